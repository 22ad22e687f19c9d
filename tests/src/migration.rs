//! Running nodes that move: frozen by the host runner, thawed in Node.js or in a page by the embedder of docs/migration.md,
//! frozen there, and thawed again somewhere else.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use stepmark_runner::node::embedded_module::NODE_WASM;
use tempfile::TempDir;

use crate::node_js;
use crate::runner::{self, Ended};
use crate::same_everywhere::Job;

/// Lines that the embedder may have.
pub const MOST_LINES: usize = 60;

/// Where a node goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The host runner: wasmtime.
    Wasmtime,
    /// Node.js.
    NodeJs,
    /// A page in headless Chromium.
    Chromium,
}

impl Stage {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wasmtime => "wasmtime",
            Self::NodeJs => "Node.js",
            Self::Chromium => "Chromium",
        }
    }
}

/// What is needed to move nodes: the runner, the node's file, and the embedder in a directory of its own.
pub struct Movers {
    dir: TempDir,
    runner: PathBuf,
    runtimes: Option<PathBuf>,
}

/// A run that moved.
#[derive(Debug)]
pub struct Moved {
    /// What came out of it, in all places together.
    pub ended: Ended,
    /// Size of the frozen node at each move.
    pub frozen_bytes: Vec<u64>,
    /// Time of each stage, processes and pages included.
    pub times: Vec<Duration>,
}

/// The embedder, as docs/migration.md has it.
///
/// # Errors
/// If the page has none, or one that is too long.
pub fn embedder() -> Result<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migration.md");
    let page = std::fs::read_to_string(page)?;
    let code = page.split_once("```js\n").and_then(|(_, rest)| rest.split_once("```"));
    let (code, _) = code.context("docs/migration.md has no embedder")?;
    let lines = code.lines().count();
    ensure!(lines <= MOST_LINES, "the embedder of docs/migration.md has {lines} lines, {MOST_LINES} are promised");
    Ok(code.to_owned())
}

impl Movers {
    /// Finds the runner and lays out the rest. `runtimes` is a directory that tests/runtimes/get.sh filled, for Chromium.
    ///
    /// # Errors
    /// If the runner was not built, or the page has no embedder.
    pub fn new(runtimes: Option<&Path>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("node.wasm"), NODE_WASM)?;
        std::fs::write(dir.path().join("thaw.mjs"), embedder()?)?;
        std::fs::copy(node_js::script("go-on.mjs"), dir.path().join("go-on.mjs"))?;
        let runtimes = runtimes.map(std::path::absolute).transpose()?;
        Ok(Self { dir, runner: runner::host_runner()?, runtimes })
    }

    /// Runs `job`, frozen by the runner and then thawed in each of `stages`, the last of which goes on to the end. Each but
    /// that one, and the runner at first, stops at its own of the amounts of gas in `stops`.
    ///
    /// # Errors
    /// If a place does not work, or the job is over before its last stage.
    pub fn run(&self, job: &Job, stages: &[Stage], stops: &[u64]) -> Result<Moved> {
        ensure!(stages.len() == stops.len(), "{} stages and {} stops before them", stages.len(), stops.len());
        let no_chromium = self.runtimes.is_none() && stages.contains(&Stage::Chromium);
        ensure!(!no_chromium, "there is no Chromium: give the directory of the runtimes");
        let dir = job.directory()?;
        let mut moved = Moved { ended: Ended::default(), frozen_bytes: Vec::new(), times: Vec::new() };
        let mut file = dir.path().join("0.frozen");
        let mut first = self.runner(dir.path());
        first.arg("freeze").arg(&file).args(["--quiet", "--after"]).arg(stops[0].to_string()).args(job.argv());
        self.stage(&mut first, Some(&file), &mut moved)?;
        for (number, stage) in (1..).zip(stages) {
            let again = stops.get(number).map(|gas| (*gas, dir.path().join(format!("{number}.frozen"))));
            let mut command = self.command(*stage, dir.path(), &file, again.as_ref());
            let frozen = again.as_ref().map(|(_, file)| file.as_path());
            self.stage(&mut command, frozen, &mut moved)
                .with_context(|| format!("{} in {}", job.name, stage.name()))?;
            file = again.map(|(_, file)| file).unwrap_or_default();
        }
        moved.ended.files = node_js::read_files(&dir.path().join("out"))?;
        if stages.last() == Some(&Stage::Wasmtime) {
            moved.ended.without_printed_values(job.name)?;
        }
        let Ended { exit_code, stderr, .. } = &moved.ended;
        ensure!(
            *exit_code == job.exit_code,
            "{}: exit code {exit_code}: {}",
            job.name,
            String::from_utf8_lossy(stderr)
        );
        Ok(moved)
    }

    fn runner(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.runner);
        command.current_dir(dir);
        command
    }

    /// The command that goes on with `file`, to the end or until it is frozen again.
    fn command(&self, stage: Stage, dir: &Path, file: &Path, again: Option<&(u64, PathBuf)>) -> Command {
        if stage == Stage::Wasmtime {
            let mut command = self.runner(dir);
            command.args(["thaw", "--quiet", "--unsigned"]).arg(file);
            if let Some((gas, again)) = again {
                command.arg("--after").arg(gas.to_string()).arg("--to").arg(again);
            }
            return command;
        }
        let mut command = node_js::node_js(&node_js::script("migrate.mjs"));
        command.arg(self.dir.path()).arg(self.dir.path().join("node.wasm")).arg(file).arg(dir.join("out"));
        match again {
            Some((gas, again)) => command.arg(gas.to_string()).arg(again),
            None => command.arg("end"),
        };
        match &self.runtimes {
            Some(runtimes) if stage == Stage::Chromium => command.env("RUNTIMES", runtimes),
            _ => command.env_remove("RUNTIMES"),
        };
        command
    }

    /// Runs one stage and takes what it prints.
    fn stage(&self, command: &mut Command, frozen: Option<&Path>, moved: &mut Moved) -> Result<()> {
        let started = Instant::now();
        let Output { status, mut stdout, mut stderr } = command.output()?;
        moved.times.push(started.elapsed());
        let Some(exit_code) = status.code() else { bail!("a stage was ended: {status}") };
        if let Some(file) = frozen {
            let said = String::from_utf8_lossy(&stderr);
            let size = std::fs::metadata(file).with_context(|| format!("nothing was frozen, {status}: {said}"))?.len();
            ensure!(exit_code == 0, "exit code {exit_code} after freezing: {said}");
            moved.frozen_bytes.push(size);
        }
        moved.ended.exit_code = exit_code;
        moved.ended.stdout.append(&mut stdout);
        moved.ended.stderr.append(&mut stderr);
        Ok(())
    }
}
