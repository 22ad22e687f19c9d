//! Nanoseconds a unit of gas, of every instruction and every host call, in the plain state and in the states that make it
//! dear, over those of a loop of `i32.add` that is measured right before and after.

mod calls;
pub mod growth;
mod ops;
mod states;
mod store;

pub use ops::SUBNORMAL;

use std::sync::LazyLock;
use std::time::{Duration, Instant};
use stepmark_core::machine::TierKind;

use anyhow::{Context, Result, bail, ensure};
use stepmark_session::{Budget, Event};

use crate::session::{Files, load, words};

/// A program whose exported `f` does something so often as its argument says.
#[derive(Clone, Debug)]
pub struct Row {
    /// The instruction or host call.
    pub name: String,
    /// The state in which it runs.
    pub state: String,
    /// Its files: `program.wasm` and what it is linked with.
    pub files: Files,
    /// Flags of the job, before the program.
    pub flags: String,
    /// What `f` can be called with at most, for work that changes the state.
    pub most: u64,
}

impl Row {
    fn new(name: &str, state: &str, text: &str) -> Self {
        let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}, {state}: {error}"));
        let files = Files::from([("program.wasm".to_owned(), bytes)]);
        Self { name: name.to_owned(), state: state.to_owned(), files, flags: String::new(), most: 1 << 40 }
    }

    fn at_most(mut self, most: u64) -> Self {
        self.most = most;
        self
    }

    fn with(mut self, flags: &str) -> Self {
        self.flags = flags.to_owned();
        self
    }
}

/// Where programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Natively, on both engines.
    Fast,
    /// Natively, on the stepper alone.
    Stepper,
    /// In the node as a module, in wasmtime.
    Module,
}

impl Engine {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "native",
            Self::Stepper => "stepper",
            Self::Module => "module",
        }
    }
}

/// What was measured of a row.
#[derive(Clone, Debug)]
pub struct Price {
    /// Name of the row.
    pub name: String,
    /// State of the row.
    pub state: String,
    /// Where.
    pub engine: Engine,
    /// Nanoseconds a unit of gas.
    pub nanoseconds: f64,
    /// The same over that of an `i32.add`.
    pub ratio: f64,
}

/// All rows: each instruction and each host call has one, or the reason why not is in [`without_row`].
pub fn rows() -> Vec<Row> {
    [ops::rows(), states::rows(), calls::rows(), store::rows()].concat()
}

/// Instructions and host calls without a row, and why.
pub fn without_row() -> Vec<(&'static str, &'static str)> {
    [ops::without_row(), calls::without_row()].concat()
}

/// Time that this thread has had on a processor, so that what else runs on the machine counts for nothing; time that has
/// passed where the system does not tell.
fn clock() -> Duration {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // The count is brought up to date when the thread could be changed for another.
    std::thread::yield_now();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ran = stat.split_whitespace().next().and_then(|ran| ran.parse().ok());
    ran.map_or_else(|| BEGIN.elapsed(), Duration::from_nanos)
}

/// Time and gas of one run.
#[derive(Clone, Copy, Debug)]
struct Taken {
    time: Duration,
    gas: u64,
}

fn run(row: &Row, engine: Engine, times: u64) -> Result<Taken> {
    let line = format!("{} program.wasm f {times}", row.flags);
    if engine == Engine::Module {
        return in_module(row, &line);
    }
    let mut session = load(&row.files, &words(&line)).map_err(|e| anyhow::anyhow!("{e}"))?;
    session.set_tier(if engine == Engine::Stepper { TierKind::Stepper } else { TierKind::Register });
    let begin = clock();
    loop {
        match session.run(Budget { gas: u64::MAX, steps: u64::MAX }).map_err(|e| anyhow::anyhow!("{e}"))? {
            Event::Finished => break,
            Event::Output => drop((session.take_output(1), session.take_output(2))),
            Event::Question => {
                let answer = session.question().map(growth::nothing).context("no question")?;
                session.answer(answer).map_err(|e| anyhow::anyhow!("{e}"))?;
            }
            event => bail!("{event:?}"),
        }
    }
    // What is hashed at the end is part of the run.
    let mut files = Files::new();
    crate::session::take_files(&mut session, &mut files).map_err(|e| anyhow::anyhow!("{e}"))?;
    let time = clock().saturating_sub(begin);
    let code = session.exit_code();
    ensure!(code == 0, "exit code {code}: {:?}", files.get("out/result.txt").map(|b| String::from_utf8_lossy(b)));
    Ok(Taken { time, gas: session.progress().gas_total })
}

fn in_module(row: &Row, line: &str) -> Result<Taken> {
    use crate::runner;
    use stepmark_runner::node::engine::ModuleSession;
    let dir = tempfile::tempdir()?;
    for (name, bytes) in &row.files {
        std::fs::write(dir.path().join(name), bytes)?;
    }
    let mut node = stepmark_runner::node::sandbox::WasmNode::new(runner::node_module()).context("the node")?;
    runner::load(&mut node, &words(line), dir.path())?;
    let mut ended = runner::Ended::default();
    let begin = clock();
    while !runner::slice(&mut node, u64::MAX >> 1, &mut ended)? {
        if let Some(question) = node.question()? {
            node.answer(&growth::nothing(&question))?;
        }
    }
    let time = clock().saturating_sub(begin);
    ensure!(ended.exit_code == 0, "exit code {}", ended.exit_code);
    let gas = ended.result()?["gas_used"].as_u64().context("no gas in the receipt")?;
    Ok(Taken { time, gas })
}

/// The shortest of so many runs.
fn shortest(row: &Row, engine: Engine, times: u64, runs: u32) -> Result<Taken> {
    let mut best = run(row, engine, times)?;
    for _ in 1..runs {
        let again = run(row, engine, times)?;
        ensure!(again.gas == best.gas, "{} and {} gas in two runs", best.gas, again.gas);
        best.time = best.time.min(again.time);
    }
    Ok(best)
}

/// How long runs are, and how often they are made.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// A run takes at least so long, if its row lets it.
    pub least: Duration,
    /// The shortest of so many counts.
    pub runs: u32,
}

/// Nanoseconds a unit of gas: the difference of `n` and twice as many, so that loading and making the state fall out.
fn nanoseconds(row: &Row, engine: Engine, effort: Effort) -> Result<f64> {
    let mut times = 16.min(row.most / 2).max(1);
    let mut once = run(row, engine, times)?;
    loop {
        let more = (times * 4).min(row.most / 2);
        if more <= times {
            break;
        }
        let next = run(row, engine, more)?;
        let grown = next.time.saturating_sub(once.time);
        (times, once) = (more, next);
        // What making the state takes is not the same twice: work that is small beside it would be lost in that.
        if grown >= effort.least.max(once.time / 4) {
            break;
        }
    }
    for runs in effort.runs..effort.runs + 5 {
        let (one, two) = (shortest(row, engine, times, runs)?, shortest(row, engine, 2 * times, runs)?);
        let gas = two.gas.checked_sub(one.gas).filter(|gas| *gas > 0).context("twice as much costs no more gas")?;
        if let Some(time) = two.time.checked_sub(one.time).filter(|time| !time.is_zero()) {
            return Ok(time.as_nanos() as f64 / gas as f64);
        }
    }
    bail!("{} times as much takes no longer than {times} times", 2 * times)
}

/// The loop that all others are compared with.
pub fn baseline() -> Row {
    ops::rows().into_iter().find(|row| row.name == "i32.add").expect("i32.add has a row")
}

/// Measures rows on one engine. The loop that they are compared with is measured again every few rows, so that both see the
/// machine in the same mood.
#[derive(Debug)]
pub struct Scale {
    baseline: Row,
    engine: Engine,
    effort: Effort,
    /// What it took last, and how many rows ago.
    last: Option<(f64, u32)>,
}

/// Rows between two measurements of the loop that they are compared with.
const EVERY: u32 = 8;

impl Scale {
    /// A scale for this engine.
    pub fn new(engine: Engine, effort: Effort) -> Self {
        Self { baseline: baseline(), engine, effort, last: None }
    }

    /// What the loop takes. All ratios stand on it: it runs for longer than a row.
    fn base(&self, effort: Effort) -> Result<f64> {
        nanoseconds(&self.baseline, self.engine, Effort { least: effort.least * 8, runs: effort.runs + 6 })
    }

    /// Measures a row; one that comes out above `most` is measured again, up to so many times, between two measurements of the
    /// loop: the machine does other things too.
    ///
    /// # Errors
    /// A program that fails, or costs another amount in another run.
    pub fn measure(&mut self, row: &Row, most: f64, again: u32) -> Result<Price> {
        let what = || format!("{}, {}, {}", row.name, row.state, self.engine.name());
        let base = match self.last {
            Some((base, ago)) if ago < EVERY => base,
            _ => self.base(self.effort)?,
        };
        let mut own = nanoseconds(row, self.engine, self.effort).with_context(what)?;
        let mut ratio = own / base;
        for _ in 0..again {
            if ratio <= most {
                break;
            }
            let longer = Effort { runs: self.effort.runs + 2, least: self.effort.least * 2 };
            let before = self.base(longer)?;
            let better = nanoseconds(row, self.engine, longer).with_context(what)?;
            let base = before.min(self.base(longer)?);
            if better / base < ratio {
                (own, ratio) = (better, better / base);
            }
        }
        self.last = Some((base, self.last.map_or(0, |(_, ago)| (ago + 1) % (EVERY + 1))));
        let (name, state) = (row.name.clone(), row.state.clone());
        Ok(Price { name, state, engine: self.engine, nanoseconds: own, ratio })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepmark_core::code::Op;
    use stepmark_hosts::{store as host_store, wasi};

    #[test]
    fn every_instruction_and_every_host_call_has_a_row_or_a_reason() {
        let (rows, reasons) = (rows(), without_row());
        let has_row = |name: &str| rows.iter().any(|row| row.name == name);
        let has_reason = |name: &str| reasons.iter().any(|(other, why)| *other == name && !why.is_empty());
        for name in Op::ALL.iter().map(|op| op.mnemonic()).chain(wasi::call_names()).chain(host_store::function_names())
        {
            assert!(has_row(name) || has_reason(name), "{name}: no row and no reason");
        }
    }

    #[test]
    fn every_row_runs_and_costs_more_the_more_often_it_is_done() {
        for row in rows() {
            let gas = |times| {
                run(&row, Engine::Fast, times).unwrap_or_else(|e| panic!("{}, {}: {e:#}", row.name, row.state)).gas
            };
            assert!(gas(2) > gas(1), "{}, {}", row.name, row.state);
        }
    }
}
