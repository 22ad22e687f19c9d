//! Jobs that must come out the same, byte for byte, in every place where the node runs. Each has a limit that gives a few
//! snapshots, and together they cover the languages, the inputs and the ends that a program can have.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use stepmark_runner::node::native::NativeNode;
use tempfile::TempDir;

use crate::node_js;
use crate::programs;
use crate::runner::{self, Ended};
use crate::runtimes::Runtime;

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
    /// Whether it goes on with a full tank at the limit, or ends there.
    pub refill: bool,
    /// The snapshot that it goes on from, of the same job run natively; none for the beginning.
    pub from: Option<u64>,
    /// Whether it takes so little gas that it is for runtimes that are a hundred times slower too.
    pub short: bool,
}

const fn job(name: &'static str, line: &'static str, exit_code: i32) -> Job {
    Job { name, line, exit_code, refill: true, from: None, short: false }
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
    job("integer divide by zero", "2 grow_table_trap.wasm trap 1", 134).short(),
    job("out of bounds memory access", "1 grow_table_trap.wasm trap 2", 134),
    job("undefined element", "2 grow_table_trap.wasm trap 3", 134),
    job("indirect call type mismatch", "2 --gas-schedule default-1 grow_table_trap.wasm trap 4", 134),
    job("call stack exhausted", "60000 grow_table_trap.wasm trap 5", 134),
    job("integer overflow", "2 grow_table_trap.wasm trap 6", 134),
    job("uninitialized element", "2 --gas-schedule default-1 grow_table_trap.wasm trap 7", 134),
    job("out of bounds table access", "2 --gas-schedule default-1 grow_table_trap.wasm trap 8", 134),
    job("invalid conversion to integer", "1 grow_table_trap.wasm trap 9", 134),
    job("exit code 42", "400 exit_code.wasm 42", 42),
    job("exit code 200", "400 exit_code.wasm 200", 200).short(),
    job("WebAssembly 3.0", "1200 language.wasm run 40", 0),
    job("too many exceptions", "250 --gas-schedule default-1 --max-exceptions 40 language.wasm run 40", 134),
    job("C++ exceptions", "5000000 apps/exceptions.wasm", 0),
    job("two linked modules", "250 --gas-schedule seed-ordinal --preload lib=linked_b.wasm linked_a.wasm run", 0),
    // The short ones: every kind of work, start and end once more.
    job("fib 20", "60000 fib32.wasm fib 20", 0).short(),
    job("matrix multiplication from the middle", "2200000 matrix_multiplication_cpp_100.wasm run", 0).from(9).short(),
    job("sha256 4096", "200000 sha256.wasm 4096", 0).short(),
    job("Rust with files, from the middle", "500000 --preopen / wasi/files.wasm 6", 0).from(2).short(),
    job("matrix multiplication, out of gas", "1000000 matrix_multiplication_cpp_100.wasm run", 75).once().short(),
    job("Rust out of gas from the middle", "200000 --seed 7 rust_std.wasm 42 a b a", 75).from(2).once().short(),
];

impl Job {
    const fn short(self) -> Self {
        Self { short: true, ..self }
    }

    const fn once(self) -> Self {
        Self { refill: false, ..self }
    }

    const fn from(self, id: u64) -> Self {
        Self { from: Some(id), ..self }
    }

    /// The node's arguments.
    pub fn argv(&self) -> Vec<String> {
        let refill = if self.refill { " --enable-gas-refill" } else { "" };
        let from = self.from.map(|id| format!(" --snapshot-input in --snapshot-id {id}")).unwrap_or_default();
        let line = format!("--snapshot-output out{refill}{from} --gas-limit {}", self.line);
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
            Place::Compiled => runner::run(&mut runner::compiled_node()?, &argv, dir),
            Place::NodeJsCommand => node_js::command_face(wasm, dir, &argv, "out"),
            Place::NodeJsExports => node_js::documented_example(wasm, dir, &argv, "out"),
            Place::NodeJsCompiled => node_js::client(dir, "compiled", &argv, "out"),
        };
        let expected = if place == Place::NodeJsCommand { under_wasi(self.exit_code) } else { self.exit_code };
        self.ended_with(ended.with_context(|| format!("{} in {}", self.name, place.name()))?, expected)
    }

    /// Runs the command face in a fresh directory, in a runtime's own process, which has to end with the node's exit code
    /// or, if it does not hand on `exit_codes`, with 0.
    ///
    /// # Errors
    /// As [`Job::run`].
    pub fn run_in(&self, runtime: &Runtime, exit_codes: bool) -> Result<Ended> {
        let dir = self.directory()?;
        let ended = runtime.run(dir.path(), &self.argv(), "out");
        let ended = ended.with_context(|| format!("{} in {}", self.name, runtime.name))?;
        self.ended_with(ended, if exit_codes { under_wasi(self.exit_code) } else { 0 })
    }

    fn ended_with(&self, ended: Ended, expected: i32) -> Result<Ended> {
        let stderr = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.exit_code == expected, "{}: exit code {}: {stderr}", self.name, ended.exit_code);
        Ok(ended)
    }

    /// A directory with every file that it names, and the chain that it goes on from.
    ///
    /// # Errors
    /// If a file cannot be copied, or the chain does not reach as far.
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
        if let Some(last) = self.from {
            self.write_chain(dir.path(), last)?;
        }
        Ok(dir)
    }

    /// Runs it natively from its beginning, and writes the snapshots up to `last` into `dir/in`.
    fn write_chain(&self, dir: &Path, last: u64) -> Result<()> {
        let whole = Self { refill: true, from: None, ..*self };
        let mut ended = runner::run(&mut NativeNode::new(), &whole.argv(), dir)?;
        std::fs::create_dir(dir.join("in"))?;
        for name in (1..=last).flat_map(|id| [format!("{id}.bin"), format!("{id}.snap")]) {
            let bytes = ended.files.remove(&name).with_context(|| format!("{}: there is no {name}", self.name))?;
            std::fs::write(dir.join("in").join(name), bytes)?;
        }
        Ok(())
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
    /// The same, with compiled code from the beginning.
    Compiled,
    /// The wasm's command face, under the WASI of Node.js.
    NodeJsCommand,
    /// The wasm's exported functions, in Node.js.
    NodeJsExports,
    /// Compiled code from the beginning, by the client in `js`, in Node.js.
    NodeJsCompiled,
}

impl Place {
    /// All of them; the first is what the others are compared with.
    pub const ALL: [Self; 6] =
        [Self::Native, Self::Wasmtime, Self::Compiled, Self::NodeJsCommand, Self::NodeJsExports, Self::NodeJsCompiled];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasmtime => "wasm in wasmtime",
            Self::Compiled => "compiled code in wasmtime",
            Self::NodeJsCommand => "WASI command in Node.js",
            Self::NodeJsExports => "exports in Node.js",
            Self::NodeJsCompiled => "compiled code in Node.js",
        }
    }

    /// Whether it needs Node.js.
    pub fn needs_node_js(self) -> bool {
        !matches!(self, Self::Native | Self::Wasmtime | Self::Compiled)
    }
}
