//! `cargo xtask miri` and `cargo xtask asan`: the code that may touch memory unchecked, under tools that see a wrong access.
//! Both need a nightly compiler; where none is, the command says so and ends well.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use node_tests::spec::{Score, Suite};
use serde_json::json;

use crate::evidence;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// AddressSanitizer: all files of the suite
    #[arg(long)]
    long: bool,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Write the figure to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

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
/// Where the tests of the hot loop write and find their modules.
const HOT_LOOP_MODULES: &str = "HOT_LOOP_MODULES";

pub(crate) fn miri(args: &Args) -> Result<bool> {
    if !is_there(&["miri", "--version"]) {
        println!("miri: not run: there is no nightly compiler with miri here");
        return Ok(true);
    }
    let allocator = miri_tests(&["-p", "stepmark-core", "--lib", "--", "alloc::pages::"], None)?;
    let hot_loop = hot_loop()?;
    let figure = format!(
        "miri: {allocator} tests of the allocator and {hot_loop} of the hot loop (every instruction, accesses at the ends of a \
         memory, random programs), no undefined behaviour"
    );
    report(args, "Miri", &figure, &json!({ "figure": figure, "allocator": allocator, "hot loop": hot_loop }))?;
    Ok(allocator > 0 && hot_loop > 0)
}

/// Runs the tests of the hot loop, which write their modules as bytes, and then under Miri, where they read them.
fn hot_loop() -> Result<u64> {
    let tests = ["-p", "engine-tests", "--test", "hot_loop"];
    let modules = tempfile::tempdir()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--quiet", "--locked"]).args(tests).current_dir(crate::workspace());
    let written = cargo.env(HOT_LOOP_MODULES, modules.path()).output().context("cargo")?;
    ensure!(written.status.success(), "{}", String::from_utf8_lossy(&written.stdout));
    miri_tests(&tests, Some(modules.path()))
}

/// Runs tests under Miri, which find their modules in this folder, and gives how many passed.
fn miri_tests(which: &[&str], modules: Option<&Path>) -> Result<u64> {
    let mut test = nightly(&[&["miri", "test", "--quiet"], which].concat());
    test.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", CASES);
    test.envs(modules.map(|folder| (HOT_LOOP_MODULES, folder)));
    let output = test.output().context("cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(passed(&text))
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
    score.failures.iter().take(20).for_each(|line| println!("{line}"));
    report(args, "AddressSanitizer", &figure, &json!({ "figure": figure, "score": score }))?;
    Ok(score.assertions >= LEAST_ASAN && score.passed == score.assertions && score.others_failed == 0)
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

fn report(args: &Args, section: &str, figure: &str, figures: &serde_json::Value) -> Result<()> {
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{figures:#}\n")).with_context(|| path.display().to_string())?;
    }
    println!("{figure}");
    if args.evidence {
        evidence::record(section, &evidence::command_line(), "", figure)?;
    }
    Ok(())
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
