//! Verification by one worker and by two, taken in turns.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::Bench;
use crate::figures::{Figure, Target, middle, timed};

/// Segments of a chain of plain recursion.
const CHAIN: &[&str] = &["--gas-limit", "100000000", "--enable-gas-refill", "--snapshot-output", "out"];

pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let fib = bench.programs.join("fib32.wasm");
    let run = |line: &[&str]| -> Result<()> {
        let mut command = Command::new(&bench.runner);
        command.args(line).current_dir(dir.path()).stdout(Stdio::null());
        let status = command.status().with_context(|| bench.runner.display().to_string())?;
        ensure!(status.success(), "stepmark {line:?}: {status}");
        Ok(())
    };
    let fib = fib.to_str().context("the programs' folder is not UTF-8")?;
    run(&[&["-q", "--engine", "native"], CHAIN, &[fib, "fib", "40"]].concat())?;
    let (mut one, mut two) = (Vec::<Duration>::new(), Vec::new());
    for _ in 0..bench.rounds.min(5) {
        one.push(timed(|| run(&["verify", "-q", fib, "out", "-j", "1"]))?.1);
        two.push(timed(|| run(&["verify", "-q", fib, "out", "-j", "2"]))?.1);
    }
    let ratio = middle(one.clone()).as_secs_f64() / middle(two.clone()).as_secs_f64();
    let what = format!(
        "fib 40 in segments of 100 M gas: {:.1} s and {:.1} s",
        middle(one).as_secs_f64(),
        middle(two).as_secs_f64()
    );
    Ok(vec![Figure::new("verify, 2 workers over 1, wasm", ratio, "times", Target::AtLeast(1.8), what)])
}
