//! WasmEdge's interpreter: the command, once a run. `get-wasmedge.sh` gets it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use peers_shim::wasi::Output;
use tempfile::TempDir;

use super::whole::{Net, Whole};
use super::{Load, Run};
use crate::program::{Answer, Task};

#[derive(Clone)]
struct WasmEdge(PathBuf);

/// The command at `path`.
pub fn load(path: &Path) -> Result<Load> {
    let path = path.canonicalize().with_context(|| path.display().to_string())?;
    let version = Command::new(&path).arg("--version").output().with_context(|| path.display().to_string())?;
    ensure!(version.status.success(), "{} --version: {}", path.display(), version.status);
    let engine = WasmEdge(path);
    Ok(Box::new(move |program| Ok(Box::new(Net::new(engine.clone(), program)?))))
}

impl Whole for WasmEdge {
    fn run(&self, folder: &TempDir, program: &str, task: &Task) -> Result<Run> {
        let mut command = Command::new(&self.0);
        command.arg("--force-interpreter");
        match task {
            Task::Call { n } => command.arg("--reactor").arg(folder.path().join(program)).arg("run").arg(n.to_string()),
            Task::Command { args, .. } => command.arg(folder.path().join(program)).args(args.iter().skip(1)),
            Task::SetupRun(_) => bail!("the command calls one export only"),
        };
        let start = Instant::now();
        let output = command.stdin(Stdio::null()).output()?;
        let time = start.elapsed();
        let answer = match task {
            Task::Call { .. } => value(&output.stdout).with_context(|| text(&output.stderr))?,
            _ => task.answer(Output::new(output.status.code().unwrap_or(-1), &output.stdout)),
        };
        Ok(Run { time, answer })
    }
}

/// The printed result: an `i64`, which may be written signed or unsigned.
fn value(stdout: &[u8]) -> Result<Answer> {
    let text = std::str::from_utf8(stdout)?.trim();
    let value = text.parse().or_else(|_| text.parse().map(i64::cast_unsigned));
    Ok(Answer::Value(value.with_context(|| format!("it printed {text:?}"))?))
}

fn text(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim().to_owned()
}
