//! `cargo xtask wasmfiles`: the sample programs are the files that `expected.toml` describes, the benchmark programs
//! those of `bench.toml`, the contracts those of `contracts.toml`, and with `--rebuild` all are the files that their
//! sources give. What no compiler is here for is named as skipped, and never counted as the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use node_tests::benchmarks::{self, Benchmark};
use node_tests::contracts::{self, Contract};
use node_tests::program_files::{check_file, sha256};
use node_tests::programs::{self, Program};
use serde_json::json;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Compare hashes, validity and imports with expected.toml, bench.toml and contracts.toml (what happens without
    /// --rebuild too)
    #[arg(long, conflicts_with = "rebuild")]
    check: bool,
    /// Build the sources into a temporary directory as well, and compare bytes
    #[arg(long)]
    rebuild: bool,
    /// Write what was found to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What came of rebuilding a program.
enum Rebuilt {
    Same,
    Differs(String),
    Skipped(String),
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let samples = programs::expected()?.program;
    ensure!(!samples.is_empty(), "expected.toml describes no program");
    let mut benchmarks = benchmarks::all()?;
    benchmarks.extend(benchmarks::extensions()?);
    ensure!(!benchmarks.is_empty(), "bench.toml describes no program");
    let contracts = contracts::all()?;
    ensure!(!contracts.is_empty(), "contracts.toml describes no contract");
    let mut programs = samples;
    programs.extend(benchmarks.iter().map(Benchmark::program));
    programs.extend(contracts.iter().map(Contract::program));
    let mut rows = Vec::new();
    let mut as_expected = 0;
    for program in &programs {
        let checked = programs::bytes(&program.file).and_then(|bytes| check_file(program, &bytes));
        match &checked {
            Ok(()) => as_expected += 1,
            Err(error) => println!("{error:#}"),
        }
        rows.push(json!({ "file": program.file, "sha256": program.sha256, "as_expected": checked.is_ok() }));
    }
    let mut good = as_expected == programs.len() && nothing_undescribed(&programs)?;
    let mut figure = format!("wasmfiles: {as_expected} of {} programs as expected", programs.len());
    if args.rebuild {
        let (mut same, mut skipped) = (0, 0);
        for (rebuilt, row) in rebuild(&programs)?.iter().zip(&mut rows) {
            let file = row["file"].as_str().unwrap_or_default().to_owned();
            let text = match rebuilt {
                Rebuilt::Same => {
                    same += 1;
                    "same".to_owned()
                }
                Rebuilt::Differs(why) => {
                    good = false;
                    format!("differs: {why}")
                }
                Rebuilt::Skipped(why) => {
                    skipped += 1;
                    format!("skipped: {why}")
                }
            };
            println!("{file}: rebuilt: {text}");
            row["rebuilt"] = text.into();
        }
        good &= same > 0;
        figure += &format!(", {same} rebuilt the same, {} not, {skipped} skipped", programs.len() - same - skipped);
    }
    if let Some(file) = &args.json {
        let object = json!({ "figure": figure, "good": good, "programs": rows });
        std::fs::write(file, serde_json::to_string_pretty(&object)?).with_context(|| file.display().to_string())?;
    }
    println!("{figure}");
    Ok(good)
}

/// Whether every .wasm beside `expected.toml`, `bench.toml` and `contracts.toml` is described there.
fn nothing_undescribed(programs: &[Program]) -> Result<bool> {
    let mut good = true;
    for (directory, description) in [
        ("", "expected.toml"),
        ("toolchains/", "expected.toml"),
        ("bench/", "bench.toml"),
        ("bench/extensions/", "bench.toml"),
        ("contracts/", "contracts.toml"),
    ] {
        for entry in std::fs::read_dir(programs::directory().join(directory))? {
            let name = format!("{directory}{}", entry?.file_name().to_string_lossy());
            if name.ends_with(".wasm") && !programs.iter().any(|program| program.file == name) {
                println!("{name}: {description} does not describe it");
                good = false;
            }
        }
    }
    Ok(good)
}

/// Builds what it can into a temporary directory, and compares, in the order of `programs`.
fn rebuild(programs: &[Program]) -> Result<Vec<Rebuilt>> {
    let dir = tempfile::tempdir()?;
    let script = programs::directory().join("build.sh");
    let output = match Command::new("bash").arg(&script).arg("--available").arg(dir.path()).output() {
        Ok(output) => output,
        Err(error) => {
            let skipped = |_: &Program| Rebuilt::Skipped(format!("bash does not start: {error}"));
            return Ok(programs.iter().map(skipped).collect());
        }
    };
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "build.sh failed:\n{log}");
    programs.iter().map(|program| compare(program, dir.path(), &log)).collect()
}

fn compare(program: &Program, dir: &Path, log: &str) -> Result<Rebuilt> {
    let skipped = format!("build.sh: skipped: {}: ", program.file);
    if let Some(reason) = log.lines().find_map(|line| line.strip_prefix(&skipped)) {
        return Ok(Rebuilt::Skipped(reason.to_owned()));
    }
    let Ok(built) = std::fs::read(dir.join(&program.file)) else {
        return Ok(Rebuilt::Differs("build.sh made no such file".to_owned()));
    };
    let committed = programs::bytes(&program.file)?;
    if built == committed {
        return Ok(Rebuilt::Same);
    }
    let (here, there) = (sha256(&built), sha256(&committed));
    Ok(Rebuilt::Differs(format!("{} bytes, SHA-256 {here}; committed {}, {there}", built.len(), committed.len())))
}
