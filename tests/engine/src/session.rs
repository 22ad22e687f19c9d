//! Whole runs on files in memory, the way a face drives them: from the start or from snapshots, in slices, paused, encoded
//! and restored. What a run leaves behind is compared as bytes.

use std::collections::BTreeMap;
use stepmark_core::machine::TierKind;

use anyhow::{Context, Result, ensure};
use stepmark_hosts::external::{ExternalCall, ExternalReply};
use stepmark_session::{Budget, Event, Session};
use stepmark_state::error::JobError;

/// Files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Directory of the files that every run here makes, and of the snapshots that it resumes from.
pub const OUT: &str = "out";

/// How a run is driven.
#[derive(Clone, Copy, Debug)]
pub struct Drive {
    /// Gas of each call of the session.
    pub slice: u64,
    /// Uncharged steps of each call of the session.
    pub steps: u64,
    /// Snapshots after which the run is left alone.
    pub snapshots: u64,
    /// Who runs.
    pub tier: TierKind,
    /// Gas in total after which the run is left alone, wherever it is.
    pub gas: u64,
}

impl Drive {
    /// To the end, without a stop.
    pub const WHOLE: Drive =
        Drive { slice: u64::MAX, steps: u64::MAX, snapshots: u64::MAX, tier: TierKind::Register, gas: u64::MAX };

    /// In slices of this much gas.
    pub fn sliced(slice: u64) -> Drive {
        Drive { slice, ..Self::WHOLE }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a result.
    Finished,
    /// It was left alone.
    Left,
    /// The node refused to go on.
    Error(String),
}

/// What a run left behind.
#[derive(Clone, Debug)]
pub struct Run {
    /// The files that it made, below [`OUT`].
    pub files: Files,
    /// What the program wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it and its host functions wrote to standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// Exit code.
    pub exit_code: i32,
    /// Gas charged since the start of the job.
    pub gas: u64,
    /// The part that the fast engine charged, in this process.
    pub gas_fast: u64,
    /// Times that the session paused.
    pub pauses: u64,
    /// Highest snapshot.
    pub id: u64,
}

impl Run {
    /// A text file that the run made.
    pub fn text(&self, name: &str) -> String {
        let bytes = self.files.get(&format!("{OUT}/{name}"));
        bytes.map_or_else(|| format!("no {name}: {:?}", self.end), |b| String::from_utf8_lossy(b).into_owned())
    }

    /// The lines of `result.txt`.
    pub fn result(&self) -> Vec<String> {
        self.text("result.txt").lines().map(str::to_owned).collect()
    }

    /// What `result.txt` says that the entry returned.
    pub fn values(&self) -> String {
        self.result().get(2).cloned().unwrap_or_else(|| format!("no values: {:?}", self.end))
    }

    /// The deterministic part of `receipt.json`.
    pub fn receipt(&self) -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&self.text("receipt.json"))
            .map_or(serde_json::Value::Null, |mut json| json["result"].take())
    }

    /// The snapshot files only.
    pub fn chain(&self) -> Files {
        let is_chain = |name: &str| name.ends_with(".snap") || name.ends_with(".bin");
        self.files.iter().filter(|(name, _)| is_chain(name)).map(|(n, b)| (n.clone(), b.clone())).collect()
    }
}

/// The words of a command line.
pub fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// A session that has been given all its files.
///
/// # Errors
/// What the node refuses.
pub fn load(inputs: &Files, argv: &[String]) -> Result<Session, JobError> {
    let mut session = guest_interp::args::session(argv)?;
    while let Some(path) = session.want()? {
        match inputs.get(&path) {
            Some(bytes) => {
                for chunk in bytes.chunks(60_000) {
                    session.give(chunk)?;
                }
                session.give_end(true)?;
            }
            None => session.give_end(false)?,
        }
    }
    Ok(session)
}

/// Takes the files that are ready.
///
/// # Errors
/// What the node refuses to write.
pub fn take_files(session: &mut Session, files: &mut Files) -> Result<(), JobError> {
    let mut chunk = Vec::new();
    while let Some(file) = session.next_file() {
        let mut bytes = Vec::new();
        while session.take_chunk(&mut chunk)? {
            bytes.extend_from_slice(&chunk);
        }
        files.insert(format!("{OUT}/{file}"), bytes);
    }
    Ok(())
}

/// Who answers what a run asks of the outside, if anybody can.
pub type Answers<'a> = &'a mut dyn FnMut(&ExternalCall) -> Option<ExternalReply>;

/// Drives a loaded session that asks nothing of the outside.
pub fn run(session: &mut Session, drive: Drive) -> Run {
    run_answered(session, drive, &mut |_| None)
}

/// Drives a loaded session.
pub fn run_answered(session: &mut Session, drive: Drive, answers: Answers<'_>) -> Run {
    let mut run = Run {
        files: Files::new(),
        stdout: Vec::new(),
        stderr: Vec::new(),
        end: End::Left,
        exit_code: 0,
        gas: 0,
        gas_fast: 0,
        pauses: 0,
        id: 0,
    };
    session.set_tier(drive.tier);
    run.end = advance(session, drive, &mut run, answers).unwrap_or_else(|error| End::Error(error.message().to_owned()));
    let progress = session.progress();
    (run.gas, run.gas_fast, run.id) = (progress.gas_total, session.gas_fast(), progress.snapshot_id);
    run.exit_code = session.exit_code();
    run
}

fn advance(session: &mut Session, drive: Drive, run: &mut Run, answers: Answers<'_>) -> Result<End, JobError> {
    let mut gas = drive.slice;
    let mut written = 0;
    loop {
        let before = session.progress().gas_total;
        let event = session.run(Budget { gas: gas.min(drive.gas.saturating_sub(before)), steps: drive.steps });
        run.stdout.extend(session.take_output(1));
        run.stderr.extend(session.take_output(2));
        let event = event?;
        take_files(session, &mut run.files)?;
        let after = session.progress().gas_total;
        match event {
            Event::Finished => return Ok(End::Finished),
            Event::Snapshot(_) => {
                written += 1;
                if written >= drive.snapshots {
                    return Ok(End::Left);
                }
            }
            Event::Paused => {
                run.pauses += 1;
                // The next instruction costs more than is left, or makes an uncharged loop.
                let stuck = after == before && gas == u64::MAX;
                let endless = drive.steps != u64::MAX && run.pauses > 20;
                if gas >= drive.gas.saturating_sub(before) || stuck || endless {
                    return Ok(End::Left);
                }
            }
            Event::Question => {
                let answer = session.question().and_then(&mut *answers);
                session.answer(answer.ok_or_else(|| JobError::usage("nobody answers"))?)?;
            }
            Event::Output => {}
        }
        // A slice below the cost of one instruction makes no progress.
        let stuck = event == Event::Paused && after == before;
        gas = if stuck { gas.saturating_mul(2).max(1) } else { drive.slice };
    }
}

/// Loads and drives.
///
/// # Errors
/// What the node refuses before the run begins.
pub fn drive(inputs: &Files, argv: &[String], drive: Drive) -> Result<Run, JobError> {
    load(inputs, argv).map(|mut session| run(&mut session, drive))
}

/// Loads and drives a command line of words without spaces.
///
/// # Errors
/// As [`drive`].
pub fn drive_line(inputs: &Files, line: &str, how: Drive) -> Result<Run, JobError> {
    drive(inputs, &words(line), how)
}

/// `paused.bin` and `paused.snap` of a session as it is.
///
/// # Errors
/// What the node refuses.
pub fn pause(session: &mut Session) -> Result<Files, JobError> {
    session.encode_pause()?;
    let mut files = Files::new();
    take_files(session, &mut files)?;
    Ok(files)
}

/// Both sets of files; those of `more` replace.
pub fn with(mut files: Files, more: &Files) -> Files {
    files.extend(more.iter().map(|(name, bytes)| (name.clone(), bytes.clone())));
    files
}

/// The files of `part` that are not byte for byte in `whole`.
pub fn differing(part: &Files, whole: &Files) -> Vec<String> {
    part.iter().filter(|(name, bytes)| whole.get(*name) != Some(bytes)).map(|(name, _)| name.clone()).collect()
}

/// A module in the text format as the only file, `program.wasm`.
///
/// # Panics
/// If the text is no module.
pub fn program(text: &str) -> Files {
    Files::from([("program.wasm".to_owned(), wat::parse_str(text).unwrap_or_else(|e| panic!("{e}")))])
}

/// A sample program by its name.
///
/// # Panics
/// If it is not there.
pub fn wasmfile(name: &str) -> (String, Vec<u8>) {
    let path = format!("{}/../../wasmfiles/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    (format!("{name}.wasm"), std::fs::read(&path).unwrap_or_else(|e| panic!("wasmfiles/{name}.wasm: {e}")))
}

/// A job that can be driven in many ways.
#[derive(Clone, Debug)]
pub struct Job {
    /// Program, linked modules, standard input and so on.
    pub inputs: Files,
    /// Flags that describe the job.
    pub flags: Vec<String>,
    /// Program, entry and arguments.
    pub call: Vec<String>,
}

/// What was done in comparing the ways.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Jobs.
    pub programs: u64,
    /// Jobs that ran to their end.
    pub finished: u64,
    /// Jobs that ended in a trap.
    pub trapped: u64,
    /// Segments of the runs with refill.
    pub segments: u64,
    /// Sessions that resumed from the chain.
    pub resumed: u64,
    /// Sessions that resumed from a paused snapshot.
    pub restored: u64,
    /// Pauses within a session.
    pub pauses: u64,
    /// Files that were compared.
    pub files: u64,
    /// Gas of the runs with refill.
    pub gas: u64,
}

impl Figures {
    /// Adds another job's.
    pub fn add(&mut self, other: &Figures) {
        self.programs += other.programs;
        self.finished += other.finished;
        self.trapped += other.trapped;
        self.segments += other.segments;
        self.resumed += other.resumed;
        self.restored += other.restored;
        self.pauses += other.pauses;
        self.files += other.files;
        self.gas += other.gas;
    }
}

impl Job {
    /// A job by its command line, with the inputs.
    pub fn new(inputs: Files, flags: &str, call: &str) -> Job {
        Job { inputs, flags: words(flags), call: words(call) }
    }

    /// The command line with these flags before those of the job.
    pub fn argv(&self, flags: &str) -> Vec<String> {
        [words(flags), self.flags.clone(), self.call.clone()].concat()
    }

    /// Drives the job from the start.
    ///
    /// # Errors
    /// As [`drive`].
    pub fn start(&self, flags: &str, how: Drive) -> Result<Run, JobError> {
        drive(&self.inputs, &self.argv(flags), how)
    }

    /// Drives the job from a snapshot among `files`.
    ///
    /// # Errors
    /// As [`drive`].
    pub fn resume(&self, files: &Files, flags: &str, how: Drive) -> Result<Run, JobError> {
        drive(&with(self.inputs.clone(), files), &self.argv(&format!("--snapshot-input {OUT} {flags}")), how)
    }

    /// One run with refill under `limit`, at most `segments` long, and all the other ways to get there.
    ///
    /// `slices` are the gas between pauses, each pause encoded, restored in a new session and continued there.
    ///
    /// # Errors
    /// The first difference.
    pub fn all_ways(&self, limit: u64, segments: u64, slices: &[u64]) -> Result<(Run, Figures)> {
        let flags = format!("--gas-limit {limit} --enable-gas-refill");
        let how = Drive { snapshots: segments, ..Drive::WHOLE };
        let whole = self.start(&flags, how)?;
        let mut figures = Figures { programs: 1, segments: whole.id + 1, gas: whole.gas, ..Figures::default() };
        figures.finished += u64::from(whole.end == End::Finished);
        figures.trapped += u64::from(whole.receipt()["outcome"] == "trapped");
        let other = self.start(&flags, Drive { tier: TierKind::Stepper, ..how })?;
        ensure!(other.gas_fast == 0, "the fast engine charged {} of {}", other.gas_fast, other.gas);
        same(&other, &whole, &mut figures).context("on the stepper")?;
        for slice in [limit / 3 + 1, limit / 7 + 1] {
            let other = self.start(&flags, Drive { slice, ..how })?;
            same(&other, &whole, &mut figures).with_context(|| format!("in slices of {slice}"))?;
        }
        self.chain(limit, segments, &whole, &mut figures)?;
        for id in 1..=whole.id.min(segments.saturating_sub(1)) {
            let mut how = how;
            how.snapshots -= id;
            let rest = self.resume(&whole.files, &format!("--snapshot-id {id} --enable-gas-refill"), how)?;
            figures.resumed += 1;
            same_end(&rest, &whole, &mut figures).with_context(|| format!("with refill from {id}"))?;
        }
        for slice in slices {
            self.restored(&flags, segments, *slice, &whole, &mut figures)
                .with_context(|| format!("restored after every {slice} gas"))?;
        }
        Ok((whole, figures))
    }

    /// A chain of single-segment runs in new sessions, each of which sees only the files of those before.
    fn chain(&self, limit: u64, segments: u64, whole: &Run, figures: &mut Figures) -> Result<()> {
        let mut files = Files::new();
        let mut stdout = Vec::new();
        for id in 0..segments {
            let run = if id == 0 {
                self.start(&format!("--gas-limit {limit}"), Drive { snapshots: 2, ..Drive::WHOLE })?
            } else {
                figures.resumed += 1;
                self.resume(&files, &format!("--snapshot-id {id} --gas-limit {limit}"), Drive::WHOLE)?
            };
            stdout.extend(&run.stdout);
            if run.id == id {
                let run = Run { stdout, ..run };
                return same(&run, whole, figures).with_context(|| format!("last segment, from {id}"));
            }
            ensure!(run.exit_code == 75, "exit code {} at the limit", run.exit_code);
            ensure!(run.result() == ["134".to_owned(), (id + 1).to_string()], "{:?} at the limit", run.result());
            let differing = differing(&run.chain(), &whole.files);
            ensure!(differing.is_empty(), "a single segment from {id}: {differing:?} differ");
            figures.files += 2;
            files.extend(run.chain());
        }
        Ok(())
    }

    /// The run with refill, paused after every `slice` gas and continued in a new session from the files alone.
    fn restored(&self, flags: &str, segments: u64, slice: u64, whole: &Run, figures: &mut Figures) -> Result<()> {
        let mut session = load(&self.inputs, &self.argv(flags))?;
        let (mut files, mut stdout, mut gas) = (Files::new(), Vec::new(), slice);
        loop {
            let before = session.progress().gas_total;
            let event = session.run(Budget { gas, steps: u64::MAX });
            stdout.extend(session.take_output(1));
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    ensure!(whole.end == End::Error(error.message().to_owned()), "{error}, expected {:?}", whole.end);
                    break;
                }
            };
            take_files(&mut session, &mut files)?;
            if event == Event::Finished || event == Event::Snapshot(segments) {
                break;
            }
            let stuck = event == Event::Paused && session.progress().gas_total == before;
            gas = if stuck { gas.saturating_mul(2) } else { slice };
            if event != Event::Paused {
                continue;
            }
            figures.pauses += 1;
            if stuck {
                continue;
            }
            let paused = pause(&mut session)?;
            let inputs = with(with(self.inputs.clone(), &files), &paused);
            let resume = format!("--snapshot-input {OUT} --snapshot-id paused --enable-gas-refill");
            session = load(&inputs, &self.argv(&resume)).with_context(|| format!("paused at {before}"))?;
            figures.restored += 1;
            let again = pause(&mut session)?;
            ensure!(again == paused, "a restored state is encoded differently, paused at {before}");
        }
        let chain: Files = whole.files.clone();
        let ours = Run {
            files,
            stdout,
            end: whole.end.clone(),
            exit_code: session.exit_code(),
            gas: session.progress().gas_total,
            ..whole.clone()
        };
        ensure!(chain.len() == ours.files.len(), "{} files, expected {}", ours.files.len(), chain.len());
        same(&ours, whole, figures)
    }
}

/// Every file, the result and the output of a run are those of another.
fn same(run: &Run, whole: &Run, figures: &mut Figures) -> Result<()> {
    same_end(run, whole, figures)?;
    ensure!(run.stdout == whole.stdout, "the output differs");
    Ok(())
}

/// Every file that a run made, and its result, are those of another.
fn same_end(run: &Run, whole: &Run, figures: &mut Figures) -> Result<()> {
    let differing = differing(&run.chain(), &whole.files);
    ensure!(differing.is_empty(), "{differing:?} differ");
    ensure!(run.end == whole.end, "the end is {:?}, expected {:?}", run.end, whole.end);
    ensure!(run.gas == whole.gas, "{} gas, expected {}", run.gas, whole.gas);
    ensure!(run.exit_code == whole.exit_code, "exit code {}, expected {}", run.exit_code, whole.exit_code);
    let (ours, theirs) = (run.receipt(), whole.receipt());
    ensure!(run.result() == whole.result(), "result.txt is {:?}, expected {:?}", run.result(), whole.result());
    ensure!(ours == theirs, "the receipt is {ours}, expected {theirs}");
    figures.files += run.files.len() as u64;
    Ok(())
}
