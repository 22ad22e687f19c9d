//! Real programs do what they do on wasmtime, and every segment of theirs can be made again from the snapshot before it.

use anyhow::Result;
use node_tests::apps::{self, App, SEGMENTS};
use node_tests::runner;
use stepmark_runner::node::engine::ModuleSession;
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::sandbox::WasmNode;

fn app(name: &str) -> App {
    apps::all().unwrap().into_iter().find(|app| app.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn native() -> Result<Box<dyn ModuleSession>> {
    Ok(Box::new(NativeNode::new()))
}

fn check(name: &str) {
    let app = app(name);
    if let Some(feature) = &app.waits_for {
        println!("{name}: skipped: waits for {feature}");
        return;
    }
    let figures = app.check(native, SEGMENTS).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    println!("{name}: {figures:?}");
    assert!(figures.segments >= SEGMENTS && figures.restored + 1 == figures.segments, "{figures:?}");
}

#[test]
fn sqlite_runs_in_segments() {
    check("SQLite");
}

#[test]
fn lua_runs_in_segments() {
    check("Lua");
}

#[test]
fn quickjs_runs_in_segments() {
    check("QuickJS");
}

#[test]
fn zstandard_runs_in_segments() {
    check("Zstandard");
}

#[test]
fn go_runs_in_segments() {
    check("Go");
}

#[test]
fn cpp_with_exceptions_runs_in_segments() {
    check("C++ exceptions");
}

#[test]
fn rust_runs_in_segments_natively_and_in_the_node() {
    check("Rust");
    app("Rust").check(|| Ok(Box::new(WasmNode::new(runner::node_module())?)), SEGMENTS).unwrap();
}

#[test]
fn snapshots_of_a_program_that_writes_100_mib_follow_what_it_wrote() {
    let app = app("100 MiB");
    let figures = app.check(native, SEGMENTS).unwrap();
    println!("{figures:?}");
    assert!(app.bounded.is_some() && figures.written > 100 << 20, "{figures:?}");
    let bytes = figures.bytes as u64;
    assert!(bytes > 100 << 20 && bytes < figures.written + figures.written / 20, "{figures:?}");
}

#[test]
fn every_program_is_described_and_tested() {
    let apps = apps::all().unwrap();
    let names: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["SQLite", "Lua", "QuickJS", "Zstandard", "Go", "Rust", "100 MiB", "C++ exceptions"]);
    for entry in std::fs::read_dir(apps::directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".wasm") || apps.iter().any(|app| app.file == name), "{name}");
    }
}
