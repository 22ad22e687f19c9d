//! The small job whose saves are interrupted, and the question that is asked of a directory afterwards: does the run go on
//! from there to the end that it would have had?

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use stepmark_runner::chain::durable::{OutputDir, Replace};
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::node::drive::{self, RunOptions, Summary};
use stepmark_runner::node::engine::{Engine, ModuleSession, Progress};
use stepmark_runner::node::external::Nobody;
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::output::Output;
use stepmark_runner::node::receipt::Runner;
use stepmark_runner::node::sink::Sink;

use crate::runner;
use crate::session::{Files, OUT, words};

/// Fills two pages with numbers that do not compress, and returns the last one.
pub const PROGRAM: &str = r#"(module (memory 1) (func (export "run") (param $n i32) (result i64)
    (local $i i32) (local $x i64)
    (local.set $x (i64.const 88172645463325252))
    (loop $again
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
        (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
        (i64.store (i32.and (i32.shl (local.get $i) (i32.const 3)) (i32.const 0xffff)) (local.get $x))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $x)))"#;

/// Gas limit of the job's segments: four of them.
pub const LIMIT: u64 = 5_000;
/// Gas limit of an older run of the same job, which left other files under the same names.
pub const OLDER_LIMIT: u64 = 3_500;
/// Flags and words that the job always has.
const CALL: &str = "program.wasm run 700";

/// The arguments of the run from the start under a limit.
pub fn from_start(limit: u64) -> Vec<String> {
    words(&format!("--snapshot-output {OUT} --gas-limit {limit} --enable-gas-refill {CALL}"))
}

/// The arguments of the run from a snapshot in the output directory, under that one's limit.
pub fn from_snapshot(id: &str) -> Vec<String> {
    words(&format!("--snapshot-output {OUT} --snapshot-input {OUT} --snapshot-id {id} --enable-gas-refill {CALL}"))
}

/// Listens to a run. It can wish for its end once some snapshot is written.
pub struct Listener<'a> {
    /// Told the id of every snapshot that the runner says is written.
    pub reported: &'a mut dyn FnMut(u64),
    /// The snapshot after which the user wants the run to stop.
    pub stop_after: Option<u64>,
    /// How.
    pub stop: Interrupt,
}

impl Sink for Listener<'_> {
    fn output(&mut self, _: u32, _: &[u8]) -> stepmark_runner::failure::Result<()> {
        Ok(())
    }

    fn warning(&mut self, _: &str) {}

    fn detail(&mut self, text: &str) {
        let id = text.strip_prefix("snapshot ").and_then(|text| text.split(':').next()?.parse().ok());
        if let Some(id) = id {
            (self.reported)(id);
            if self.stop_after == Some(id) {
                self.stop.request();
            }
        }
    }

    fn progress(&mut self, _: &Progress, _: f64) {}
}

/// What the host runner does after parsing its command line, natively, with the files that the job reads from `dir`.
///
/// # Errors
/// The runner's.
pub fn host_run(argv: &[String], dir: &Path, out: &OutputDir, listener: &mut Listener<'_>) -> Result<Summary> {
    let mut node = NativeNode::new();
    runner::load(&mut node, argv, dir)?;
    let from_pause = argv.iter().any(|word| word == "paused");
    out.prepare(&node.job_hash()?, node.start_id()?, from_pause, Replace::Remove)?;
    let runner = Runner { engine: Engine::Native, refill: None };
    let options = RunOptions {
        runner,
        from_pause,
        keep_answers: false,
        deliver: None,
        kept: Vec::new(),
        keep_output: 0,
        leave: None,
    };
    let stop = listener.stop.clone();
    Ok(drive::run(&mut node, &mut Output::Into(out), listener, &stop, &mut Nobody, options)?)
}

/// A new directory; in memory where the system has that, because thousands of runs sync their files there.
///
/// # Errors
/// The system's.
pub fn scratch() -> Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    Ok(if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }?)
}

/// A directory with the program, and with `files` below `out`.
///
/// # Errors
/// The system's.
pub fn directory(files: &Files) -> Result<tempfile::TempDir> {
    let dir = scratch()?;
    std::fs::write(dir.path().join("program.wasm"), wat::parse_str(PROGRAM)?)?;
    let out = dir.path().join(OUT);
    std::fs::create_dir(&out)?;
    for (name, bytes) in files {
        std::fs::write(out.join(name), bytes)?;
    }
    Ok(dir)
}

/// The regular files of a directory, by name.
///
/// # Errors
/// The system's.
pub fn contents(dir: &Path) -> Result<Files> {
    let mut files = Files::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().into_string().ok().context("a name that is no text")?;
            files.insert(name, std::fs::read(entry.path())?);
        }
    }
    Ok(files)
}

/// What must be there after a crash, whatever happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// The highest snapshot that was reported as written, and that nobody asked to replace.
    pub id: u64,
    /// The end of the run was reported.
    pub finished: bool,
}

/// Judges directories. Each different one is judged once.
pub struct Judge {
    /// What undisturbed runs leave.
    chains: Vec<Files>,
    /// Every content that a file of this name may have.
    known: BTreeMap<String, BTreeSet<Vec<u8>>>,
    judged: BTreeSet<[u8; 32]>,
}

impl Judge {
    /// One that knows the job and the older run of it.
    ///
    /// # Errors
    /// If the job does not run.
    pub fn new() -> Result<Self> {
        let dir = directory(&Files::new())?;
        let chain = |limit| Ok(runner::run(&mut NativeNode::new(), &from_start(limit), dir.path())?.files);
        let chains = [LIMIT, OLDER_LIMIT].into_iter().map(chain).collect::<Result<Vec<Files>>>()?;
        let mut judge = Self { chains, known: BTreeMap::new(), judged: BTreeSet::new() };
        judge.chains.clone().iter().for_each(|chain| judge.allow(chain));
        Ok(judge)
    }

    /// What the undisturbed run leaves.
    pub fn whole(&self) -> Files {
        self.chains.first().cloned().unwrap_or_default()
    }

    /// What the undisturbed older run left.
    pub fn older(&self) -> Files {
        self.chains.last().cloned().unwrap_or_default()
    }

    /// Different directories that were judged so far.
    pub fn judged(&self) -> usize {
        self.judged.len()
    }

    /// Files that are whole too: those of a pause.
    pub fn allow(&mut self, files: &Files) {
        for (name, bytes) in files {
            self.known.entry(name.clone()).or_default().insert(comparable(name, bytes));
        }
    }

    /// Whether a directory of these contents keeps the promise: no file is half-written, `result.txt` claims nothing that
    /// is not there, and the run goes on from the pause or the highest snapshot to the end that it would have had.
    ///
    /// # Errors
    /// What is lost.
    pub fn judge(&mut self, files: &Files, promise: Promise) -> Result<()> {
        if !self.judged.insert(fingerprint(files, promise)) {
            return Ok(());
        }
        let whole = |(name, bytes): (&String, &Vec<u8>)| {
            name.ends_with(".tmp") || self.known.get(name).is_some_and(|known| known.contains(&comparable(name, bytes)))
        };
        let half: Vec<&String> = files.iter().filter(|file| !whole(*file)).map(|(name, _)| name).collect();
        ensure!(half.is_empty(), "half-written: {half:?}");
        let start = latest(files);
        let id = start.as_deref().map_or(0, |start| start.parse().unwrap_or(promise.id));
        ensure!(id >= promise.id, "snapshot {} was reported, the highest is {id}", promise.id);
        ensure!(!promise.finished || files.contains_key("result.txt"), "the end was reported, there is no result.txt");
        claims_only_what_is_there(files)?;
        self.goes_on(files, start.as_deref()).with_context(|| format!("from {start:?}"))
    }

    /// Lets the host runner go on in a real directory.
    fn goes_on(&self, files: &Files, start: Option<&str>) -> Result<()> {
        let chain = self.chain_of(files, start)?;
        let dir = directory(files)?;
        let argv = start.map_or_else(|| from_start(LIMIT), from_snapshot);
        let out = OutputDir::open(&dir.path().join(OUT))?;
        let mut listener = Listener { reported: &mut |_| (), stop_after: None, stop: Interrupt::new() };
        host_run(&argv, dir.path(), &out, &mut listener)?;
        let after = contents(out.path())?;
        let differing = differing(&after, chain);
        // The .snap files before the start are not needed, and an older crash may have taken some.
        let needed = |name: &&String| !name.ends_with(".snap") || files.get(*name) != after.get(*name);
        let differing: Vec<&String> = differing.iter().filter(needed).collect();
        ensure!(differing.is_empty(), "{differing:?} differ in the end");
        Ok(())
    }

    /// The undisturbed run that a start belongs to.
    fn chain_of(&self, files: &Files, start: Option<&str>) -> Result<&Files> {
        let snap = start.map(|start| format!("{start}.snap")).filter(|snap| snap != "paused.snap");
        let Some(snap) = snap else { return self.chains.first().context("no chain") };
        self.chains.iter().find(|chain| chain.get(&snap) == files.get(&snap)).context("a snapshot of no chain")
    }
}

/// Names of the files that are not the same in both, but for what a receipt says about the runner.
pub fn differing(a: &Files, b: &Files) -> Vec<String> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let part = |files: &Files, name: &str| files.get(name).map(|bytes| comparable(name, bytes));
    names.into_iter().filter(|name| part(a, name) != part(b, name)).cloned().collect()
}

/// The pause, else the highest snapshot: where `resume` starts.
fn latest(files: &Files) -> Option<String> {
    if files.contains_key("paused.snap") {
        return Some("paused".to_owned());
    }
    let ids = files.keys().filter_map(|name| name.strip_suffix(".snap")?.parse::<u64>().ok());
    ids.max().map(|id| id.to_string())
}

/// The snapshot that `result.txt` names is there.
fn claims_only_what_is_there(files: &Files) -> Result<()> {
    let Some(result) = files.get("result.txt") else { return Ok(()) };
    let text = String::from_utf8_lossy(result);
    let id = text.lines().nth(1).context("result.txt names no snapshot")?;
    ensure!(files.contains_key(&format!("{id}.snap")), "result.txt tells of snapshot {id}, which is not there");
    Ok(())
}

/// The deterministic part of a file.
fn comparable(name: &str, bytes: &[u8]) -> Vec<u8> {
    if name != "receipt.json" {
        return bytes.to_vec();
    }
    let receipt = serde_json::from_slice::<serde_json::Value>(bytes);
    receipt.map_or_else(|_| bytes.to_vec(), |receipt| receipt["result"].to_string().into_bytes())
}

fn fingerprint(files: &Files, promise: Promise) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{promise:?}").as_bytes());
    for (name, bytes) in files {
        hasher.update(name.as_bytes()).update(&[0]).update(blake3::hash(&comparable(name, bytes)).as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The id in the name of a snapshot's file.
pub fn id_of(name: &str) -> Option<u64> {
    name.strip_suffix(".snap").or_else(|| name.strip_suffix(".bin"))?.parse().ok()
}
