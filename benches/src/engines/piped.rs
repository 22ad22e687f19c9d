//! The node in a process of its own, which times the run itself: natively (the crate `native-node`, built with other flags
//! than the peers) and in Node.js (`node.mjs`). Requests and answers are lines of JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Load;
use super::node::{Job, Node, files};
use crate::program::Program;

/// The scripts, as they stand beside the sources.
const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engines/node.mjs");
const V8: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engines/v8.mjs");

/// Programs in the node's library, in the program `native-node` at `path`.
pub fn native(path: &Path) -> Result<Load> {
    process(path, &[])
}

/// Programs as compiled code in the node as wasm, in the program `native-node` at `path`.
pub fn compiled(path: &Path) -> Result<Load> {
    process(path, &["compiled"])
}

fn process(path: &Path, words: &'static [&'static str]) -> Result<Load> {
    let path = path.canonicalize().with_context(|| path.display().to_string())?;
    Ok(load(move || {
        let mut command = Command::new(&path);
        command.args(words);
        command
    }))
}

/// Programs in the node in the file `wasm`, in Node.js; with its `compiler`, as compiled code.
pub fn node_js(wasm: &Path, compiler: Option<&Path>) -> Result<Load> {
    let files: Vec<&Path> = [wasm].into_iter().chain(compiler).collect();
    script(NODE, &files)
}

/// Programs in V8 itself.
pub fn v8() -> Result<Load> {
    script(V8, &[])
}

fn script(script: &'static str, files: &[&Path]) -> Result<Load> {
    let version = Command::new("node").arg("--version").output().context("Node.js is not in PATH")?;
    ensure!(version.status.success(), "node --version: {}", version.status);
    let absolute = |path: &&Path| path.canonicalize().with_context(|| path.display().to_string());
    let files = files.iter().map(absolute).collect::<Result<Vec<_>>>()?;
    Ok(load(move || {
        let mut command = Command::new("node");
        command.arg("--no-warnings").arg(script).args(&files);
        command
    }))
}

fn load(command: impl Fn() -> Command + 'static) -> Load {
    Box::new(move |program| Ok(Box::new(Job::new(Piped::start(command(), program)?, program))))
}

struct Piped {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// The program's files: the process reads them itself.
    _folder: TempDir,
}

impl Piped {
    fn start(mut command: Command, program: &Program) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, bytes) in files(program) {
            std::fs::write(folder.path().join(name), bytes)?;
        }
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().context("no pipe to the process")?;
        let stdout = BufReader::new(child.stdout.take().context("no pipe from the process")?);
        Ok(Self { child, stdin, stdout, _folder: folder })
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.stdin, "{request}")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("the process answered {line:?}"))?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => bail!("{error}"),
            None => Ok(answer["value"].clone()),
        }
    }

    fn ask_text(&mut self, request: &str) -> Result<String> {
        let value = self.ask(&json!({ "call": request }))?;
        Ok(value.as_str().with_context(|| format!("{request}: {value}"))?.to_owned())
    }

    fn ask_number(&mut self, request: &str) -> Result<i64> {
        let value = self.ask(&json!({ "call": request }))?;
        value.as_i64().with_context(|| format!("{request}: {value}"))
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node for Piped {
    fn load(&mut self, argv: &[String]) -> Result<()> {
        self.ask(&json!({ "call": "load", "argv": argv })).map(|_| ())
    }

    fn want(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    fn give(&mut self, _bytes: &[u8]) -> Result<()> {
        bail!("the process reads files itself")
    }

    fn run(&mut self) -> Result<Duration> {
        Ok(Duration::from_nanos(self.ask_number("run")?.unsigned_abs()))
    }

    fn take_stdout(&mut self) -> Result<Vec<u8>> {
        let text = self.ask_text("stdout")?;
        let digits = |place: usize| u8::from_str_radix(&text[place..place + 2], 16);
        Ok((0..text.len()).step_by(2).map(digits).collect::<Result<_, _>>()?)
    }

    fn exit_code(&mut self) -> Result<i32> {
        Ok(i32::try_from(self.ask_number("exit_code")?)?)
    }

    fn take_result(&mut self) -> Result<String> {
        self.ask_text("result")
    }
}
