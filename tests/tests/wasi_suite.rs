//! The programs of wasmfiles/wasi do what their expectations say, and what they do directly on wasmtime.

use std::path::{Path, PathBuf};

use node_tests::runner;
use node_tests::session::{Drive, Job};
use node_tests::wasi_suite::{self, Program};
use stepmark_runner::reference;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasmfiles/wasi")
}

fn programs() -> Vec<Program> {
    let programs = wasi_suite::programs(&folder()).unwrap();
    let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
    assert_eq!(names, ["files", "posix", "preopens"]);
    programs
}

#[test]
fn every_program_passes_on_both_engines() {
    for program in programs() {
        program.check().unwrap_or_else(|error| panic!("{}: {error:#}", program.name));
    }
}

#[test]
fn every_program_does_the_same_directly_on_wasmtime() {
    for program in programs() {
        let job = reference::ReferenceJob::new(&program.job().unwrap());
        let outcome = reference::run(job).unwrap();
        let ended = program.run().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&outcome.stdout),
            String::from_utf8_lossy(&ended.stdout),
            "{}",
            program.name
        );
        assert_eq!(outcome.end.exit_code(), ended.exit_code, "{}", program.name);
    }
}

/// A program with its files in memory, as the sessions of the harness want it.
fn job(program: &Program) -> Job {
    let argv = guest_interp::args::print(&program.job().unwrap());
    let (flags, words) = argv.split_at(argv.len() - program.words().len());
    let mut inputs = node_tests::session::Files::new();
    let mut add = |path: &str| drop(inputs.insert(path.to_owned(), std::fs::read(path).unwrap()));
    add(&words[0]);
    for pair in flags.windows(2).filter(|pair| pair[0] == "--file") {
        add(pair[1].split_once('=').unwrap().1);
    }
    Job { inputs, flags: flags.to_vec(), call: words.to_vec() }
}

#[test]
fn a_chain_of_segments_paused_and_restored_anywhere_writes_the_same_bytes() {
    for program in programs() {
        let job = job(&program);
        let gas = job.start("", Drive::WHOLE).unwrap().gas;
        let (whole, figures) = job
            .all_ways(gas / 20, u64::MAX, &[gas / 90 + 1])
            .unwrap_or_else(|error| panic!("{}: {error:#}", program.name));
        println!("{}: {gas} gas, {} snapshots, {figures:?}", program.name, whole.id);
        assert!(whole.id >= 20, "{}: {} snapshots", program.name, whole.id);
    }
}

#[test]
fn the_receipt_names_what_is_left_behind_and_delivery_hands_it_out() {
    let program = programs().into_iter().find(|program| program.name == "posix").unwrap();
    for (engine, mut node) in runner::nodes().unwrap() {
        let ended =
            runner::run(node.as_mut(), &guest_interp::args::print(&program.job().unwrap()), &program.folder).unwrap();
        let result = ended.result().unwrap();
        let listed = runner::delivered(node.as_mut()).unwrap().into_iter().map(|(path, contents)| {
            let hash = blake3::hash(&contents).to_hex().to_string();
            serde_json::json!({ "path": path, "bytes": contents.len(), "hash": hash })
        });
        let listed = listed.collect();
        assert_eq!(result["files"], serde_json::Value::Array(listed), "{engine}");
        let paths: Vec<&str> =
            result["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["input.txt", "hard", "log"], "{engine}");
    }
}
