//! The node in Node.js: the script `v8.mjs` drives it and times the run itself; requests and answers are lines of JSON.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Load;
use super::node::{Job, Node, files};
use crate::program::Program;

/// The script, as it stands beside the sources.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engines/v8.mjs");

/// Programs in the node in the file `node`, in Node.js.
pub fn load(node: &std::path::Path) -> Result<Load> {
    let version = Command::new("node").arg("--version").output().context("Node.js is not in PATH")?;
    ensure!(version.status.success(), "node --version: {}", version.status);
    let node = node.canonicalize().with_context(|| node.display().to_string())?;
    Ok(Box::new(move |program| Ok(Box::new(Job::new(V8::start(&node, program)?, program)))))
}

struct V8 {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// The program's files: the script reads them itself.
    _folder: TempDir,
}

impl V8 {
    fn start(node: &std::path::Path, program: &Program) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, bytes) in files(program) {
            std::fs::write(folder.path().join(name), bytes)?;
        }
        let mut command = Command::new("node");
        command.arg("--no-warnings").arg(SCRIPT).arg(node).current_dir(folder.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().context("no pipe to Node.js")?;
        let stdout = BufReader::new(child.stdout.take().context("no pipe from Node.js")?);
        Ok(Self { child, stdin, stdout, _folder: folder })
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.stdin, "{request}")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("Node.js answered {line:?}"))?;
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

impl Drop for V8 {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node for V8 {
    fn load(&mut self, argv: &[String]) -> Result<()> {
        self.ask(&json!({ "call": "load", "argv": argv })).map(|_| ())
    }

    fn want(&mut self) -> Result<Option<String>> {
        Ok(None)
    }

    fn give(&mut self, _bytes: &[u8]) -> Result<()> {
        bail!("the script reads files itself")
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
