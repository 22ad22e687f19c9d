//! The examples of `embedders`: each runs a job of [`places`](crate::same_everywhere) segment by segment, and leaves the files that the
//! native library writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use stepmark_runner::node::embedded_module::NODE_WASM;

use crate::node_js;
use crate::runner::Ended;
use crate::same_everywhere::{JOBS, Place};

/// An example has fewer lines.
pub const LINES: usize = 60;
/// The jobs that each example runs.
const NAMES: [&str; 4] = ["fib 27", "matrix multiplication", "Rust", "iostream fails"];

/// A file of the examples.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../embedders").join(name)
}

/// Checks the example whose source is the file `name`, and which `start` starts: a line for each job.
///
/// # Errors
/// If it is too long, does not run, or leaves other files than the native library.
pub fn check(name: &str, start: &dyn Fn() -> Command) -> Result<Vec<String>> {
    let lines = std::fs::read_to_string(example(name)).with_context(|| name.to_owned())?.lines().count();
    ensure!(lines < LINES, "{name} has {lines} lines, fewer than {LINES} are promised");
    NAMES.iter().map(|job| check_job(job, start).with_context(|| format!("{name}: {job}"))).collect()
}

fn check_job(name: &str, start: &dyn Fn() -> Command) -> Result<String> {
    let job = JOBS.iter().find(|job| job.name == name).context("no such job")?;
    let dir = job.directory()?;
    let wasm = dir.path().join("node.wasm");
    std::fs::write(&wasm, NODE_WASM)?;
    let native = job.run(Place::Native, &wasm)?;
    let output = start().arg(&wasm).args(job.argv()).current_dir(dir.path()).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let Some(exit_code) = output.status.code() else { bail!("it was ended: {}", output.status) };
    ensure!(exit_code == job.exit_code, "exit code {exit_code}: {said}");
    let files = node_js::read_files(&dir.path().join("out")).with_context(|| said.clone())?;
    // It prints its own lines between those of the program.
    let stderr = native.stderr.clone();
    ensure!(said.as_bytes().windows(stderr.len().max(1)).any(|part| part == stderr) || stderr.is_empty(), "{said}");
    let differences = native.differences(&Ended { files, stdout: output.stdout, stderr, exit_code })?;
    ensure!(differences.is_empty(), "other contents: {differences:?}");
    for id in 1..=native.snapshots() {
        ensure!(said.contains(&format!("{id}.snap")), "nothing about snapshot {id}: {said}");
    }
    let values = native.files.get("result.txt").context("no result")?;
    let last = String::from_utf8_lossy(values).trim().lines().last().unwrap_or_default().to_owned();
    ensure!(said.contains("result: ") && said.contains(&last), "no result: {said}");
    Ok(format!("{name}: {} snapshots, {} files equal", native.snapshots(), native.files.len()))
}
