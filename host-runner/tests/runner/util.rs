//! A directory for each test, and the runner started in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Plain recursion: `fib 20` takes 196,000 gas.
pub(crate) const FIB: &str = r#"(module (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
        (then (local.get 0))
        (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                       (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"#;

/// Counts down and divides by what is left.
pub(crate) const TRAP: &str = r#"(module (func $divide (export "run") (result i32) (local $i i32)
    (local.set $i (i32.const 20))
    (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i32.div_u (i32.const 7) (local.get $i))))"#;

/// A test's own directory, which is the working directory of what it starts.
pub(crate) struct Dir(TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// A directory with the program `name`, assembled from `text`.
    pub(crate) fn with(name: &str, text: &str) -> Self {
        let dir = Self::new();
        dir.add(name, text);
        dir
    }

    pub(crate) fn add(&self, name: &str, text: &str) {
        fs::write(self.path(name), wat::parse_str(text).expect("valid text")).expect("a file");
    }

    /// Copies a sample program into the directory, under its last name.
    pub(crate) fn sample(&self, path: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasmfiles").join(path);
        let name = from.file_name().expect("a file").to_str().expect("UTF-8").to_owned();
        fs::copy(&from, self.path(&name)).expect("copied");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("UTF-8")
    }

    /// The runner with the arguments of `line`, not started yet.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepmark"));
        command.args(line.split_whitespace()).current_dir(self.0.path());
        command.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
        command
    }

    /// Runs the runner to its end.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran(self.command(line).output().expect("the runner starts"))
    }

    /// Names in the directory `name`, sorted.
    pub(crate) fn names(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).expect("a directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Asserts that two output directories hold the same deterministic bytes.
    #[track_caller]
    pub(crate) fn assert_same(&self, a: &str, b: &str) {
        assert_eq!(self.names(a), self.names(b));
        for name in self.names(a) {
            let [left, right] = [a, b].map(|dir| self.read(&format!("{dir}/{name}")));
            if name == "receipt.json" {
                assert_eq!(result(&left), result(&right), "{name}");
            } else {
                assert!(left == right, "{name} differs between {a} and {b}");
            }
        }
    }
}

/// The deterministic part of a receipt.
fn result(receipt: &[u8]) -> serde_json::Value {
    let receipt: serde_json::Value = serde_json::from_slice(receipt).expect("JSON");
    receipt["result"].clone()
}

/// One JSON object.
pub(crate) fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).expect("one object")
}

/// Text, whatever the bytes are.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A runner that has ended.
pub(crate) struct Ran(Output);

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self(output)
    }

    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(expected), "{}", self.stderr());
        self
    }

    pub(crate) fn exit_code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub(crate) fn stdout(&self) -> &[u8] {
        &self.0.stdout
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr().contains(text), "expected {text:?} in: {}", self.stderr());
        self
    }
}
