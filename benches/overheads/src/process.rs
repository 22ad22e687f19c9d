//! The node as a user meets it first: its size, an instance of it, and a small program through the host runner, from a
//! new process with the compiled node in the cache.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stepmark_runner::node::embedded_module::NODE_WASM;
use stepmark_runner::node::sandbox::{NodeModule, WasmNode};

use crate::Bench;
use crate::figures::{Figure, Target, median, millis, timed};

/// Times more often than the others: these are short.
const OFTEN: u32 = 10;

pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let mib = NODE_WASM.len() as f64 / f64::from(1 << 20);
    let size = format!("{} bytes", NODE_WASM.len());
    let rounds = bench.rounds * OFTEN;
    let cached = median(rounds, || Ok(timed(|| instance(&NodeModule::compile(NODE_WASM)?))?.1))?;
    let module = NodeModule::compile(NODE_WASM)?;
    let again = median(rounds, || Ok(timed(|| instance(&module))?.1))?;
    let fib = bench.programs.join("fib32.wasm");
    run_fib(&bench.runner, &fib)?;
    let process = median(rounds, || run_fib(&bench.runner, &fib))?;
    Ok(vec![
        Figure::new("size of the node", mib, "MiB", Target::AtMost(1.0), size),
        Figure::new(
            "an instance, from the cache",
            millis(cached),
            "ms",
            Target::AtMost(5.0),
            "engine and all".to_owned(),
        ),
        Figure::new(
            "another instance",
            millis(again),
            "ms",
            Target::AtMost(5.0),
            "of the same compiled node".to_owned(),
        ),
        Figure::new(
            "fib(1), a process",
            millis(process),
            "ms",
            Target::AtMost(50.0),
            "stepmark fib32.wasm fib 1".to_owned(),
        ),
    ])
}

fn instance(module: &NodeModule) -> Result<()> {
    WasmNode::new(module)?;
    Ok(())
}

fn run_fib(runner: &Path, fib: &Path) -> Result<Duration> {
    let out = tempfile::tempdir()?;
    let mut command = Command::new(runner);
    command.arg("-q").arg("--snapshot-output").arg(out.path().join("out")).arg(fib).args(["fib", "1"]);
    command.stdout(Stdio::null());
    let (status, time) = timed(|| command.status().with_context(|| runner.display().to_string()))?;
    ensure!(status.success(), "the host runner: {status}");
    Ok(time)
}
