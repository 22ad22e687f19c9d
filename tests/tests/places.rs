//! Place invariance: native, wasm in wasmtime, and wasm in Node.js, as a WASI command and through its exported functions,
//! give the same bytes.

use std::fs;
use std::path::Path;

use node_tests::node_js;
use node_tests::same_everywhere::{JOBS, Job, Place};
use stepmark_runner::node::embedded_module::NODE_WASM;

/// Runs jobs in every place; what is wrong, a line each.
fn compare(jobs: &[Job]) -> Vec<String> {
    let node_js = node_js::version().unwrap().is_some();
    let dir = tempfile::tempdir().unwrap();
    let wasm = dir.path().join("guest-interp.wasm");
    fs::write(&wasm, NODE_WASM).unwrap();
    let mut wrong = Vec::new();
    for job in jobs {
        if let Err(error) = compare_job(job, &wasm, node_js, &mut wrong) {
            wrong.push(format!("{error:#}"));
        }
    }
    wrong
}

fn compare_job(job: &Job, wasm: &Path, node_js: bool, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let native = job.run(Place::Native, wasm)?;
    let count = native.snapshots();
    let expected = if job.refill && job.from.is_none() { 2..=6 } else { 1..=2 };
    if !expected.contains(&count) {
        wrong.push(format!("{}: {count} snapshots", job.name));
    }
    for place in Place::ALL {
        if place == Place::Native || (place.needs_node_js() && !node_js) {
            continue;
        }
        let differences = native.differences(&job.run(place, wasm)?)?;
        if !differences.is_empty() {
            wrong.push(format!("{} in {}: {differences:?}", job.name, place.name()));
        }
    }
    println!("{}: {count} snapshots, {}", job.name, native.portable_hash()?);
    Ok(())
}

#[test]
fn a_job_gives_the_same_bytes_in_every_place() {
    let (left, right) = JOBS.split_at(JOBS.len() / 2);
    let mut wrong = std::thread::scope(|scope| {
        let left = scope.spawn(|| compare(left));
        let mut wrong = compare(right);
        wrong.append(&mut left.join().unwrap());
        wrong
    });
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
