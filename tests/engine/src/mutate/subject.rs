//! The real snapshots that are changed.

use std::sync::OnceLock;

use stepmark_hosts::external::{ExternalCall, ExternalReply, Versioned};
use stepmark_hosts::store::StoreExport;
use stepmark_session::{Budget, Event, Session};
use stepmark_snapshot::snap;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::error::JobError;

use crate::session::{Drive, Files, Job, OUT, load, pause, program, take_files, wasmfile, words};

/// References on the operand stack, in locals, globals and tables; tail-called frames; a table that has grown.
pub(super) const REFERENCES: &str = "(module
  (type $t (func (param i32 i32) (result i32)))
  (table $t 3 40 funcref) (table $x 2 5 externref) (elem (table $t) (i32.const 0) func $odd $even)
  (memory 1 3) (data $d \"passive\") (data (i32.const 5) \"active\") (elem $e func $odd $even)
  (global $kept (mut funcref) (ref.func $odd)) (global $fixed f32 (f32.const 1.5)) (global $n (mut i64) (i64.const -1))
  (func $even (type $t)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_indirect $t (type $t) (i32.sub (local.get 0) (i32.const 1))
      (i32.add (local.get 1) (i32.const 2)) (i32.const 0)))
  (func $odd (type $t) (local i64 f64 externref)
    (if (i32.eqz (local.get 0)) (then (return (i32.const -1))))
    (return_call $even (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 1))))
  (func $keep (param i32 funcref externref i32) (result i32)
    (global.set $kept (local.get 1))
    (table.set $t (i32.const 2) (local.get 1))
    (table.set $x (i32.const 1) (local.get 2))
    (i32.add (local.get 0) (local.get 3)))
  (func (export \"run\") (param i32) (result i32) (local funcref f64 f32)
    (local.set 1 (ref.func $even)) (local.set 2 (f64.const 2.5))
    (drop (table.grow $t (ref.func $odd) (i32.const 9)))
    (data.drop $d)
    (loop $again
      (global.set $n (i64.add (global.get $n) (i64.const 3)))
      (i32.store (i32.and (i32.wrap_i64 (global.get $n)) (i32.const 4095)) (local.get 0))
      (i32.const 5) (local.get 1) (ref.null extern) (call $even (i32.const 30) (i32.const 0))
      (drop (call $keep))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.load (i32.const 100))))";

/// Exceptions, vectors, a 64-bit memory beside a 32-bit one.
const EXTENDED: &str = "(module
  (tag $n (param i32)) (memory $a i64 1) (memory $b 1 2) (table $t 3 exnref)
  (global $v (mut v128) (v128.const i64x2 1 2)) (global $e (mut exnref) (ref.null exn))
  (func $make (param i32) (result exnref)
    (block $c (result exnref) (try_table (catch_all_ref $c) (throw $n (local.get 0))) (unreachable)))
  (func $spin (param i32) (result i32)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.const 0))
  (func $use (param exnref v128 i32))
  (func (export \"run\") (param i32) (result i32) (local $x exnref) (local $w v128)
    (loop $again
      (local.set $x (call $make (local.get 0)))
      (table.set $t (i32.const 1) (local.get $x))
      (global.set $e (call $make (i32.const 7)))
      (local.set $w (i32x4.add (local.get $w) (i32x4.splat (local.get 0))))
      (global.set $v (v128.xor (global.get $v) (local.get $w)))
      (v128.store $a (i64.const 64) (local.get $w))
      (i32.store $b (i32.const 100) (local.get 0))
      (call $use (call $make (i32.const 5)) (local.get $w) (call $spin (i32.const 40)))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.load $b (i32.const 100))))";

/// A contract that calls another, which reads and writes the store, iterates, and takes its time.
const CONTRACT: &str = "(module
  (import \"store\" \"put\" (func $put (param i32 i32 i32 i32)))
  (import \"contract\" \"call\" (func $call (param i32 i32 i32 i32 i64) (result i32)))
  (memory (export \"memory\") 1) (data (i32.const 0) \"inner\") (data (i32.const 8) \"abcdef\")
  (func (export \"run\") (param i32) (result i32)
    (call $put (i32.const 8) (i32.const 1) (i32.const 0) (i32.const 5))
    (loop $again
      (call $call (i32.const 0) (i32.const 5) (i32.const 8) (i32.const 3) (i64.const 100000))
      (call $put (i32.const 9) (i32.const 2) (local.get 0) (i32.const 3))
      (drop)
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.const 0)))";
const INNER: &str = "(module
  (import \"store\" \"put\" (func $put (param i32 i32 i32 i32)))
  (import \"store\" \"iterate\" (func $iterate (param i32 i32 i32 i32) (result i32)))
  (import \"store\" \"next\" (func $next (param i32 i32 i32 i32 i32) (result i64)))
  (memory (export \"memory\") 1) (data (i32.const 0) \"x\") (table 3 funcref) (elem (i32.const 1) func $spin)
  (func $spin (param i32) (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export \"invoke\") (local i32)
    (call $put (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 9))
    (local.set 0 (call $iterate (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
    (drop (call $next (local.get 0) (i32.const 100) (i32.const 50) (i32.const 200) (i32.const 50)))
    (call $spin (i32.const 300))
    (drop (call $next (local.get 0) (i32.const 100) (i32.const 50) (i32.const 200) (i32.const 50)))
    (call $spin (i32.const 300))))";

/// The store of the subject with contracts.
fn store() -> StoreExport {
    let entry = |key: &[u8]| (key.to_vec(), Versioned { version: 2, value: key.repeat(3) });
    StoreExport { version: 3, entries: [&b"a"[..], b"k", b"x"].map(entry).to_vec() }
}

/// A snapshot of a real run.
#[derive(Clone, Debug)]
pub struct Subject {
    /// For messages.
    pub name: String,
    /// Its job, with flags that keep it small.
    pub job: Job,
    /// Its chain and itself.
    pub files: Files,
    /// The snapshot.
    pub raw: RawSnapshot,
    /// Whether the job needs no host functions.
    pub alone: bool,
}

impl Subject {
    fn stem(&self) -> String {
        if self.raw.segment.paused { "paused".to_owned() } else { self.raw.segment.id.to_string() }
    }

    /// Path of its `.snap`.
    pub fn snap_path(&self) -> String {
        format!("{OUT}/{}.snap", self.stem())
    }

    /// Path of its `.bin`.
    pub fn bin_path(&self) -> String {
        format!("{OUT}/{}.bin", self.stem())
    }

    /// The command line that resumes from it.
    pub fn resume_argv(&self) -> Vec<String> {
        self.argv(&self.stem())
    }

    /// The command line that resumes from a pause after it.
    pub fn paused_argv(&self) -> Vec<String> {
        self.argv("paused")
    }

    fn argv(&self, stem: &str) -> Vec<String> {
        let resume = format!("--snapshot-input {OUT} --snapshot-id {stem} --enable-gas-refill");
        [words(&resume), self.job.flags.clone(), self.job.call[..1].to_vec()].concat()
    }

    /// The chain snapshot `id` and a pause in the segment after it, of a run under `limit`.
    ///
    /// # Panics
    /// If the run has no such snapshot.
    pub fn both(name: &str, job: Job, limit: u64, id: u64) -> [Subject; 2] {
        let imports = |bytes: &Vec<u8>| bytes.windows(5).any(|w| w == b"wasi_" || w == b"store");
        let alone = !job.inputs.values().any(imports);
        let mut session = load(&job.inputs, &job.argv(&format!("--gas-limit {limit} --enable-gas-refill"))).unwrap();
        let mut files = Files::new();
        loop {
            match session.run(Budget::UNLIMITED).unwrap() {
                Event::Snapshot(reached) if reached == id => break,
                Event::Question => answer(&mut session).unwrap(),
                _ => take_files(&mut session, &mut files).unwrap(),
            }
        }
        take_files(&mut session, &mut files).unwrap();
        let chain = Subject {
            name: name.to_owned(),
            raw: snap::decode(&files[&format!("{OUT}/{id}.snap")]).unwrap(),
            job: job.clone(),
            files: files.clone(),
            alone,
        };
        let stopped = session.run(Budget { gas: limit / 2, steps: u64::MAX }).unwrap();
        assert!(matches!(stopped, Event::Paused | Event::Question), "{name}: {stopped:?}");
        files.extend(pause(&mut session).unwrap());
        let raw = snap::decode(&files[&format!("{OUT}/paused.snap")]).unwrap();
        let paused = Subject { name: format!("{name}, paused"), raw, job, files, alone };
        [chain, paused]
    }
}

/// What the store answers to the subject with contracts.
pub fn answer_to(question: &ExternalCall) -> Option<ExternalReply> {
    store().answer(question)
}

/// Answers what a run of the subject with contracts asks.
pub(super) fn answer(session: &mut Session) -> Result<(), JobError> {
    let answer = session.question().and_then(answer_to);
    session.answer(answer.ok_or_else(|| JobError::usage("nobody answers"))?)
}

/// The subjects of every run of the mutations.
///
/// # Panics
/// If a sample program is missing or runs otherwise.
pub fn subjects() -> Vec<Subject> {
    let sample = |names: &[&str], flags: &str, call: &str| {
        let flags = format!("--max-memory 4194304 --max-call-depth 2000 {flags}");
        Job::new(names.iter().map(|name| wasmfile(name)).collect(), &flags, call)
    };
    let samples = [
        ("fib32", sample(&["fib32"], "", "fib32.wasm fib 14"), 2),
        ("grow_table_trap", sample(&["grow_table_trap"], "", "grow_table_trap.wasm work"), 3),
        ("linked", sample(&["linked_a", "linked_b"], "--preload lib=linked_b.wasm", "linked_a.wasm run"), 1),
        ("sha256", sample(&["sha256"], "", "sha256.wasm 300"), 1),
    ];
    of_jobs(samples.into_iter().chain(small_jobs()))
}

/// Those of the subjects whose programs are of a few instructions, which the fuzz targets begin with.
///
/// # Panics
/// If a program runs otherwise.
pub fn small_subjects() -> &'static [Subject] {
    static SUBJECTS: OnceLock<Vec<Subject>> = OnceLock::new();
    SUBJECTS.get_or_init(|| of_jobs(small_jobs().into_iter()))
}

fn small_jobs() -> [(&'static str, Job, u64); 3] {
    let extended = Job::new(program(EXTENDED), "--max-memory 4194304 --max-exceptions 64", "program.wasm run 50");
    let references = Job::new(program(REFERENCES), "--max-memory 4194304", "program.wasm run 50");
    [("references", references, 3), ("extended", extended, 3), ("contracts", contracts_job(), 2)]
}

/// A contract that calls another one nine times; [`answer_to`] answers what it asks of the store.
///
/// # Panics
/// If a program is no module.
pub fn contracts_job() -> Job {
    let mut inputs = program(CONTRACT);
    inputs.extend(program(INNER).into_values().map(|inner| ("inner.wasm".to_owned(), inner)));
    let flags = "--max-memory 4194304 --max-files 1048576 --store-version 3 --contract inner=inner.wasm";
    Job::new(inputs, flags, "program.wasm run 9")
}

fn of_jobs(jobs: impl Iterator<Item = (&'static str, Job, u64)>) -> Vec<Subject> {
    let subjects = |(name, job, id): (&str, Job, u64)| {
        let limit = match name {
            "linked" => 4_160,
            "contracts" => 6_000,
            _ => job.start("", Drive::WHOLE).unwrap().gas / 5 + 1,
        };
        Subject::both(name, job, limit, id)
    };
    jobs.flat_map(subjects).collect()
}
