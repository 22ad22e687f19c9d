//! The examples of `embedders` in Python and JavaScript; that in Rust is tested in its own crate.

use std::path::PathBuf;
use std::process::Command;

use node_tests::{embedders, node_js};

/// The Python that has the package `wasmtime`.
const PYTHON: &str = "NODE_TESTS_PYTHON";

/// A Python that can run the example; none, with a line that says so, where the machine's own cannot.
fn python() -> Option<PathBuf> {
    let given = std::env::var_os(PYTHON).map(PathBuf::from);
    let python = given.clone().unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", "import wasmtime"]).output();
    if found.as_ref().is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(given.is_none(), "{PYTHON}={}: it cannot import wasmtime: {found:?}", python.display());
    eprintln!("skipped: Python: python3 cannot import wasmtime; {PYTHON} names one that can (embedders/README.md)");
    None
}

#[test]
fn the_example_in_python_leaves_the_native_files() {
    let Some(python) = python() else { return };
    let start = || {
        let mut command = Command::new(&python);
        command.arg(embedders::example("python/segments.py"));
        command
    };
    println!("{}", embedders::check("python/segments.py", &start).unwrap().join("\n"));
}

#[test]
fn the_example_in_javascript_leaves_the_native_files() {
    if node_js::version().unwrap().is_none() {
        return;
    }
    let start = || {
        let mut command = Command::new("node");
        command.arg(embedders::example("node/segments.mjs"));
        command
    };
    println!("{}", embedders::check("node/segments.mjs", &start).unwrap().join("\n"));
}
