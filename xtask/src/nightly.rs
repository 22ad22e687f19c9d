//! `cargo xtask miri` and `cargo xtask asan`: the code that may touch memory unchecked, under tools that see a wrong access.
//! Both need a nightly compiler; where none is, the command says so and ends well.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use node_tests::spec::{Score, Suite};
use serde_json::json;

use crate::evidence;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run ten times as much
    #[arg(long)]
    long: bool,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Write the figure to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

/// Files of the suite that Miri runs: control, calls, memory in bulk, tables, globals, traps, each at most some tens of
/// assertions, for an assertion takes it up to a second.
const MIRI_FILES: [&str; 8] =
    ["block", "br_table", "memory_grow", "memory_trap", "call_indirect", "global", "unwind", "fac"];
/// More of them.
const MIRI_LONG: [&str; 8] =
    ["if", "loop", "br_if", "select", "memory_redundancy", "address", "float_memory", "return"];
/// Files that AddressSanitizer runs, over 1,000 assertions.
const ASAN_FILES: [&str; 12] = [
    "address",
    "align",
    "block",
    "br_if",
    "br_table",
    "call_indirect",
    "i32",
    "memory_grow",
    "memory_redundancy",
    "memory_trap",
    "return",
    "select",
];
/// Assertions that AddressSanitizer must see.
const LEAST_ASAN: u64 = 1_000;
/// Cases of a property test under Miri.
const CASES: &str = "16";

pub(crate) fn miri(args: &Args) -> Result<bool> {
    if !is_there(&["miri", "--version"]) {
        println!("miri: not run: there is no nightly compiler with miri here");
        return Ok(true);
    }
    let mut test = nightly(&["miri", "test", "--quiet", "-p", "guest-interp", "--lib", "--", "blocks::"]);
    test.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", CASES);
    let allocator = test.output().context("cargo")?;
    ensure!(allocator.status.success(), "{}", String::from_utf8_lossy(&allocator.stderr));
    let tests = passed(&String::from_utf8_lossy(&allocator.stdout));
    let mut files = MIRI_FILES.to_vec();
    if args.long {
        files.extend(MIRI_LONG);
    }
    let mut run = nightly(&["miri", "run", "--quiet", "-p", "spec-suite", "--"]);
    run.args([Suite::V1.name(), "fast"]).args(&files).env("MIRIFLAGS", "-Zmiri-disable-isolation");
    let score = score(&mut run)?;
    let figure = format!(
        "miri: {tests} tests of the allocator, {} of {} assertions of {} files of the specification's test suite on the fast \
         engine, no undefined behaviour",
        score.passed,
        score.assertions,
        files.len()
    );
    finish(args, "Miri", &figure, &score, tests > 0 && score.assertions > 0)
}

pub(crate) fn asan(args: &Args) -> Result<bool> {
    if !is_there(&["--version"]) {
        println!("asan: not run: there is no nightly compiler here");
        return Ok(true);
    }
    let platform = crate::fuzz::platform()?;
    let folder = crate::fuzz::target_folder().join("asan");
    let mut run = nightly(&["run", "--quiet", "--locked", "-p", "spec-suite", "--target", &platform, "--target-dir"]);
    run.arg(folder).args(["--", Suite::V1.name(), "fast"]);
    if !args.long {
        run.args(ASAN_FILES);
    }
    run.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", "-Zsanitizer=address");
    let score = score(&mut run)?;
    let figure = format!(
        "asan: {} of {} assertions of the specification's test suite on the fast engine, no wrong access",
        score.passed, score.assertions
    );
    finish(args, "AddressSanitizer", &figure, &score, score.assertions >= LEAST_ASAN)
}

/// Cargo of the nightly compiler, in the workspace.
fn nightly(args: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    // What the cargo that runs this command has set is of the other compiler.
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        cargo.env_remove(variable);
    }
    cargo.arg("+nightly").args(args).current_dir(crate::workspace());
    cargo
}

fn is_there(args: &[&str]) -> bool {
    nightly(args).output().is_ok_and(|output| output.status.success())
}

/// The score that the suite's runner prints.
fn score(run: &mut Command) -> Result<Score> {
    let output = run.output().context("cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Tests that passed, as the test harness says.
fn passed(text: &str) -> u64 {
    let count = |line: &str| line.split_once("ok. ")?.1.split(' ').next()?.parse::<u64>().ok();
    text.lines().filter_map(count).sum()
}

fn finish(args: &Args, section: &str, figure: &str, score: &Score, enough: bool) -> Result<bool> {
    score.failures.iter().take(20).for_each(|line| println!("{line}"));
    if let Some(path) = &args.json {
        let figures = json!({ "figure": figure, "score": score });
        std::fs::write(path, format!("{figures:#}\n")).with_context(|| path.display().to_string())?;
    }
    println!("{figure}");
    if args.evidence {
        evidence::record(section, &evidence::command_line(), "", figure)?;
    }
    Ok(enough && score.passed == score.assertions && score.others_failed == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_passed_are_counted() {
        let text = "running 6 tests\n......\ntest result: ok. 6 passed; 0 failed; 0 ignored\n";
        assert_eq!(passed(text), 6);
    }
}
