//! Real processes of the host runner: killed at random moments of a run that writes many snapshots, and several at once
//! that want the same directory.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::job;
use crate::generate::Rng;
use crate::session::{Files, OUT, words};

/// A run with more than a hundred snapshots.
const CALL: &str = "--gas-limit 3000 --enable-gas-refill --snapshot-output out program.wasm run 20000";
/// Processes that want the same directory.
const WRITERS: usize = 8;
/// Every so many runs are by the native engine.
const NATIVE: usize = 5;

/// What came of it.
#[derive(Debug, Default)]
pub struct Figures {
    /// Processes that were killed before their end.
    pub killed: usize,
    /// Runs after which the directory held a snapshot to go on from.
    pub resumed: usize,
    /// Races for a directory.
    pub races: usize,
    /// Processes that were refused in them.
    pub refused: usize,
    /// What was lost.
    pub lost: Vec<String>,
}

/// Kills `kills` processes at moments that `seed` decides, and lets each directory's run go on to its end; then races.
///
/// # Errors
/// If the runner does not start, or does not run undisturbed.
pub fn run(runner: &Path, kills: usize, races: usize, seed: u64) -> Result<Figures> {
    let place = Place::new(runner)?;
    let (mut rng, mut figures) = (Rng::new(seed), Figures::default());
    let mut tries = 0;
    while figures.killed < kills {
        tries += 1;
        ensure!(tries < 4 * kills + 100, "only {} of {tries} processes were killed in time", figures.killed);
        let engine = if tries % NATIVE == 0 { "native" } else { "wasm" };
        let verdict = place.kill(engine, &mut rng, &mut figures);
        figures.lost.extend(verdict.err().map(|error| format!("try {tries}, {engine}: {error:#}")));
    }
    for number in 0..races {
        figures.races += 1;
        let verdict = place.race(&mut figures.refused);
        figures.lost.extend(verdict.err().map(|error| format!("race {number}: {error:#}")));
    }
    Ok(figures)
}

/// Whether a run has ended, or the one before it had: its last file was there when it was killed.
fn has_ended(output: &Output) -> bool {
    let code = output.status.code();
    code == Some(0) || (code == Some(2) && said(output).contains(ENDED))
}

/// What all runs have in common.
struct Place<'a> {
    runner: &'a Path,
    /// Where the runner keeps the compiled node.
    cache: tempfile::TempDir,
    /// What the undisturbed run leaves.
    whole: Files,
    /// How long it takes.
    time: Duration,
}

impl<'a> Place<'a> {
    fn new(runner: &'a Path) -> Result<Self> {
        let mut place = Self { runner, cache: job::scratch()?, whole: Files::new(), time: Duration::ZERO };
        // The first run compiles the node; the second is as long as those that follow.
        for _ in 0..2 {
            let dir = job::directory(&Files::new())?;
            let began = Instant::now();
            let output = place.start(dir.path(), CALL)?.wait_with_output()?;
            place.time = began.elapsed();
            ensure!(output.status.code() == Some(0), "undisturbed: {}", said(&output));
            place.whole = job::contents(&dir.path().join(OUT))?;
        }
        Ok(place)
    }

    fn start(&self, dir: &Path, line: &str) -> Result<Child> {
        let mut command = Command::new(self.runner);
        command.args(words(line)).current_dir(dir).env("XDG_CACHE_HOME", self.cache.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        child.with_context(|| self.runner.display().to_string())
    }

    /// Kills a run, sometimes the one that goes on from it too, and lets another one end it.
    fn kill(&self, engine: &str, rng: &mut Rng, figures: &mut Figures) -> Result<()> {
        let dir = job::directory(&Files::new())?;
        // One that ended before it was killed is run once more.
        let start = format!("--overwrite --engine {engine} {CALL}");
        let mut line = start.clone();
        while self.killed(dir.path(), &line, rng)? {
            figures.killed += 1;
            let there = job::contents(&dir.path().join(OUT)).unwrap_or_default();
            let resumable = there.keys().any(|name| name.ends_with(".snap"));
            figures.resumed += usize::from(resumable);
            line =
                if resumable { format!("resume {OUT} --engine {engine} --enable-gas-refill") } else { start.clone() };
            if !rng.once_in(3) {
                break;
            }
        }
        let output = self.start(dir.path(), &line)?.wait_with_output()?;
        ensure!(has_ended(&output), "{line}: {}", said(&output));
        self.is_whole(dir.path())
    }

    /// Starts a run and kills it, unless it ends before.
    fn killed(&self, dir: &Path, line: &str, rng: &mut Rng) -> Result<bool> {
        let mut child = self.start(dir, line)?;
        let micros = usize::try_from(self.time.as_micros())?;
        sleep(Duration::from_micros(rng.below(micros) as u64));
        child.kill()?;
        let output = child.wait_with_output()?;
        ensure!(output.status.code().is_none() || has_ended(&output), "{line}: {}", said(&output));
        Ok(output.status.code().is_none())
    }

    /// Lets processes run for the same directory at once: each wins, or is refused by the lock or by the chain that is there.
    fn race(&self, refused: &mut usize) -> Result<()> {
        let dir = job::directory(&Files::new())?;
        let children: Vec<Child> = (0..WRITERS).map(|_| self.start(dir.path(), CALL)).collect::<Result<_>>()?;
        let mut won = 0;
        for child in children {
            let output = child.wait_with_output()?;
            match output.status.code() {
                Some(0) => won += 1,
                Some(74) if said(&output).starts_with(LOCKED) => *refused += 1,
                Some(2) if said(&output).contains(THERE_ALREADY) => *refused += 1,
                _ => anyhow::bail!("{}", said(&output)),
            }
        }
        ensure!(won > 0, "nobody won");
        self.is_whole(dir.path())
    }

    fn is_whole(&self, dir: &Path) -> Result<()> {
        let differing = job::differing(&job::contents(&dir.join(OUT))?, &self.whole);
        ensure!(differing.is_empty(), "{differing:?} differ from the undisturbed run");
        Ok(())
    }
}

/// What a run says to a directory that another one writes to.
const LOCKED: &str = "error: out: another run is writing to this directory\n";
/// What a run says that goes on where one has ended.
const ENDED: &str = "the run has ended";
/// What a run says to a directory in which another one has left the same chain.
const THERE_ALREADY: &str = "of this job, which this run would remove";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
