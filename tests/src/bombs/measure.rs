//! What loading a module and running it once costs, beyond what the smallest module does.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use stepmark_runner::node::engine::ModuleSession;
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::sandbox::WasmNode;

use super::Bomb;
use crate::runner::{self, node_module};
use crate::runtimes::peak;

/// Where a module is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the node's wasm.
    Wasm,
    /// In the node linked natively.
    Native,
}

/// What it took.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Time to load it and to run it to its end.
    pub time: Duration,
    /// Bytes of the node's memory, inside wasm.
    pub memory: u64,
    /// How it ended: exit code, and what is the same everywhere, or the error.
    pub outcome: String,
}

/// A bomb at its size and at twice that.
#[derive(Clone, Debug)]
pub struct Row {
    /// Bytes of the larger module.
    pub bytes: usize,
    /// Nanoseconds for a byte of it.
    pub nanoseconds: f64,
    /// Bytes of memory for a byte of it.
    pub memory: f64,
    /// Time of the larger over time of the smaller one.
    pub growth: f64,
    /// How it ended.
    pub outcome: String,
}

/// Loads the module in `dir` and runs it.
///
/// # Errors
/// If there is no node.
pub fn measure(place: Place, dir: &Path) -> Result<Cost> {
    match place {
        Place::Native => Ok(timed(&mut NativeNode::new(), dir)),
        Place::Wasm => {
            let mut node = WasmNode::new(node_module())?;
            let cost = timed(&mut node, dir);
            Ok(Cost { memory: node.memory_image().len() as u64, ..cost })
        }
    }
}

fn argv() -> Vec<String> {
    ["--snapshot-output", "out", "bomb.wasm", "run"].map(str::to_owned).to_vec()
}

/// Time that this thread has had a processor: what others do at the same time does not count. Where the system does not say
/// it, the time since the first call.
fn on_processor() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let known = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = known.as_deref().and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| FIRST.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

fn timed(node: &mut dyn ModuleSession, dir: &Path) -> Cost {
    let before = on_processor();
    let ended = runner::run(node, &argv(), dir);
    let time = on_processor().saturating_sub(before);
    let outcome = match ended {
        Ok(ended) => {
            format!("{} {}", ended.exit_code, ended.portable_hash().map_or_else(|e| e.to_string(), |h| h.to_string()))
        }
        Err(error) => format!("error: {error}"),
    };
    Cost { time, memory: 0, outcome }
}

/// Greatest resident size of a host runner's process that does the same natively.
fn resident(dir: &Path) -> Result<u64> {
    let mut command = Command::new(runner::host_runner()?);
    command.args(["--engine", "native"]).args(argv()).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(peak(command.spawn()?)?.unwrap_or(0))
}

/// The smallest of what three tries took, and the memory.
fn least(place: Place, wasm: &[u8]) -> Result<Cost> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("bomb.wasm"), wasm)?;
    let mut best = measure(place, dir.path())?;
    for _ in 0..2 {
        let again = measure(place, dir.path())?;
        best.time = best.time.min(again.time);
    }
    if place == Place::Native {
        best.memory = resident(dir.path())?;
    }
    Ok(best)
}

/// What the smallest module costs in a place.
#[derive(Clone, Debug)]
pub struct Nothing(Place, Cost);

impl Nothing {
    /// What a module costs beyond it in the same place.
    fn beyond(&self, wasm: &[u8]) -> Result<Cost> {
        let Nothing(place, nothing) = self;
        let mut cost = least(*place, wasm)?;
        cost.time = cost.time.saturating_sub(nothing.time);
        cost.memory = cost.memory.saturating_sub(nothing.memory);
        Ok(cost)
    }
}

/// Measures the smallest module.
///
/// # Errors
/// If there is no node, or the module cannot be written.
pub fn nothing(place: Place) -> Result<Nothing> {
    Ok(Nothing(place, least(place, &super::plain(Vec::new())).context("the smallest module")?))
}

/// Measures a bomb beside the smallest module, at its size and at twice that.
///
/// # Errors
/// If there is no node, or the module cannot be written.
pub fn row(bomb: &Bomb, nothing: &Nothing) -> Result<Row> {
    let small = nothing.beyond(&(bomb.make)(bomb.size))?;
    let wasm = (bomb.make)(bomb.size * 2);
    let large = nothing.beyond(&wasm)?;
    let per = |value: f64| value / wasm.len() as f64;
    Ok(Row {
        bytes: wasm.len(),
        nanoseconds: per(large.time.as_nanos() as f64),
        memory: per(large.memory as f64),
        growth: large.time.as_secs_f64() / small.time.as_secs_f64().max(1e-3),
        outcome: large.outcome,
    })
}
