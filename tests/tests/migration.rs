//! A running node moves from wasmtime to Node.js and back: frozen and thawed by the real host runner, and by the embedder
//! of docs/migration.md. `cargo xtask migration` takes it to Chromium too.

use node_tests::migration::{Movers, Stage};
use node_tests::node_js;
use node_tests::same_everywhere::{JOBS, Job, Place};

/// Jobs and the gas at which they move.
const MOVES: [(&str, [u64; 3]); 3] = [
    ("matrix multiplication", [7_000_000, 11_000_000, 16_000_000]),
    ("Rust", [300_000, 700_000, 1_300_000]),
    ("Go with files", [1_500_000, 2_300_000, 2_900_000]),
];

fn job(name: &str) -> &'static Job {
    JOBS.iter().find(|job| job.name == name).unwrap()
}

/// Moves each job through `stages`; its files are those of the native run.
#[track_caller]
fn moves(stages: &[Stage]) {
    if stages.contains(&Stage::NodeJs) && node_js::version().unwrap().is_none() {
        return;
    }
    let movers = Movers::new(None).unwrap();
    for (name, stops) in MOVES {
        let whole = job(name).run(Place::Native, std::path::Path::new("")).unwrap();
        let moved = movers.run(job(name), stages, &stops[..stages.len()]).unwrap();
        assert_eq!(whole.differences(&moved.ended).unwrap(), Vec::<String>::new(), "{name}");
        println!("{name}: frozen nodes of {:?} bytes, {} files equal", moved.frozen_bytes, whole.files.len());
    }
}

#[test]
fn a_node_that_was_frozen_goes_on_in_another_process() {
    moves(&[Stage::Wasmtime]);
}

#[test]
fn a_node_goes_from_wasmtime_to_node_js_and_ends_there() {
    moves(&[Stage::NodeJs]);
}

#[test]
fn a_node_goes_from_wasmtime_to_node_js_and_back() {
    moves(&[Stage::NodeJs, Stage::Wasmtime]);
}

#[test]
fn a_node_may_go_to_and_fro() {
    moves(&[Stage::Wasmtime, Stage::NodeJs, Stage::Wasmtime]);
}
