//! Jobs that must come out the same, byte for byte, in every place where the node runs. Each has a limit that gives a few
//! snapshots, and together they cover the languages, the inputs and the ends that a program can have.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::node_js;
use crate::programs;
use crate::runner::{self, Ended};

/// The program `language.wasm`, which is in no file.
const LANGUAGE: &str = include_str!("language.wat");

/// A job: its name, and the words after `--snapshot-output out --enable-gas-refill --gas-limit`.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// What people call it.
    pub name: &'static str,
    /// Gas limit, flags, program and arguments.
    pub line: &'static str,
    /// Exit code by the host runner's table.
    pub exit_code: i32,
}

const fn job(name: &'static str, line: &'static str, exit_code: i32) -> Job {
    Job { name, line, exit_code }
}

/// The jobs.
pub const JOBS: &[Job] = &[
    job("matrix multiplication", "5000000 matrix_multiplication_cpp_100.wasm run", 0),
    job("fib 27", "1000000 fib32.wasm fib 27", 0),
    job("fib 27, seed-ordinal", "2000000 --gas-schedule seed-ordinal fib32.wasm fib 27", 0),
    job("sha256 65536", "3000000 sha256.wasm 65536", 0),
    job("iostream", "16000 --stdin words.txt --env GREETING=hello iostream_cpp.wasm one two", 0),
    job("iostream fails", "16000 --stdin words.txt iostream_cpp.wasm fail", 3),
    job("Rust", "600000 --env GREETING=moin --seed 7 rust_std.wasm 42 a b a", 42),
    job("Rust panics", "600000 rust_std.wasm panic", 134),
    job("Rust with files of its own", "500000 --preopen / wasi/files.wasm 6", 0),
    job("Go", "1000000 --env GREETING=hi go_hello.wasm one", 0),
    job("Go with files", "1000000 --file data/words=words.txt --file data/more/a=stdin.txt go_hello.wasm fail", 4),
    job("memory and tables", "2500000 grow_table_trap.wasm work", 0),
    job("unreachable", "1 grow_table_trap.wasm trap 0", 134),
    job("integer divide by zero", "2 grow_table_trap.wasm trap 1", 134),
    job("out of bounds memory access", "1 grow_table_trap.wasm trap 2", 134),
    job("undefined element", "2 grow_table_trap.wasm trap 3", 134),
    job("indirect call type mismatch", "2 grow_table_trap.wasm trap 4", 134),
    job("call stack exhausted", "60000 grow_table_trap.wasm trap 5", 134),
    job("integer overflow", "2 grow_table_trap.wasm trap 6", 134),
    job("uninitialized element", "2 grow_table_trap.wasm trap 7", 134),
    job("out of bounds table access", "2 grow_table_trap.wasm trap 8", 134),
    job("invalid conversion to integer", "1 grow_table_trap.wasm trap 9", 134),
    job("exit code 42", "400 exit_code.wasm 42", 42),
    job("exit code 200", "400 exit_code.wasm 200", 200),
    job("WebAssembly 3.0", "800 language.wasm run 40", 0),
    job("too many exceptions", "250 --max-exceptions 40 language.wasm run 40", 134),
    job("C++ exceptions", "5000000 apps/exceptions.wasm", 0),
    job("two linked modules", "250 --gas-schedule seed-ordinal --preload lib=linked_b.wasm linked_a.wasm run", 0),
];

impl Job {
    /// The node's arguments.
    pub fn argv(&self) -> Vec<String> {
        let line = format!("--snapshot-output out --enable-gas-refill --gas-limit {}", self.line);
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// Runs it in a fresh directory.
    ///
    /// # Errors
    /// If the place does not work, or the exit code is not that of the job.
    pub fn run(&self, place: Place, wasm: &Path) -> Result<Ended> {
        let dir = self.directory()?;
        let (dir, argv) = (dir.path(), self.argv());
        let native = |wanted: &str| -> Result<Ended> {
            let node = runner::nodes()?.into_iter().find(|(name, _)| *name == wanted);
            let (_, mut node) = node.context("no such engine")?;
            runner::run(node.as_mut(), &argv, dir)
        };
        let ended = match place {
            Place::Native => native("native"),
            Place::Wasmtime => native("wasm"),
            Place::NodeJsCommand => node_js::command_face(wasm, dir, &argv, "out"),
            Place::NodeJsExports => node_js::documented_example(wasm, dir, &argv, "out"),
        };
        let ended = ended.with_context(|| format!("{} in {}", self.name, place.name()))?;
        let expected = if place == Place::NodeJsCommand { under_wasi(self.exit_code) } else { self.exit_code };
        let stderr = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.exit_code == expected, "{}: exit code {}: {stderr}", self.name, ended.exit_code);
        Ok(ended)
    }

    /// A directory with every file that it names.
    ///
    /// # Errors
    /// If a file cannot be copied.
    pub fn directory(&self) -> Result<TempDir> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("words.txt"), "b a\nb \u{e9}\n\nlast b")?;
        std::fs::write(dir.path().join("stdin.txt"), "")?;
        let named = |word: &&str| word.ends_with(".wasm");
        for file in self.line.split_whitespace().map(|word| word.rsplit('=').next().unwrap_or(word)).filter(named) {
            let place = dir.path().join(file);
            place.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            let bytes = if file == "language.wasm" { wat::parse_str(LANGUAGE)? } else { programs::bytes(file)? };
            std::fs::write(place, bytes)?;
        }
        Ok(dir)
    }
}

/// The exit code of the command face: some WASI runtimes turn codes from 126 up into 1.
fn under_wasi(code: i32) -> i32 {
    match code {
        134 => 70,
        code => code.min(125),
    }
}

/// Where the node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The library in this process.
    Native,
    /// The wasm's exported functions, under wasmtime.
    Wasmtime,
    /// The wasm's command face, under the WASI of Node.js.
    NodeJsCommand,
    /// The wasm's exported functions, in Node.js.
    NodeJsExports,
}

impl Place {
    /// All of them; the first is what the others are compared with.
    pub const ALL: [Self; 4] = [Self::Native, Self::Wasmtime, Self::NodeJsCommand, Self::NodeJsExports];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasmtime => "wasm in wasmtime",
            Self::NodeJsCommand => "WASI command in Node.js",
            Self::NodeJsExports => "exports in Node.js",
        }
    }

    /// Whether it needs Node.js.
    pub fn needs_node_js(self) -> bool {
        matches!(self, Self::NodeJsCommand | Self::NodeJsExports)
    }
}
