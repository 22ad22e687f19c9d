//! The n-th allocation fails, natively, for running, resuming and verifying: the process says so in one line and ends with the
//! exit code of input and output, or goes on to the right end where who asked is told. No file is half of one, and the same
//! command goes on from what is there to the same files.
#![allow(unsafe_code, reason = "an allocator works on addresses")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use stepmark_runner::failure::Failure;
use stepmark_runner::node::sandbox::WasmNode;

use crate::runner::{self, node_module};

/// The system's allocator, of which one allocation can be made to fail.
#[derive(Debug, Default)]
pub struct Failing {
    /// How many allocations have been counted; counting begins when `at` is set.
    count: AtomicU64,
    /// Number of the one that fails; 0 for none, and nothing is counted.
    at: AtomicU64,
}

impl Failing {
    /// One that does as the system's.
    pub const fn new() -> Self {
        Self { count: AtomicU64::new(0), at: AtomicU64::new(0) }
    }

    /// Lets the allocation of this number from now on fail, and every one after it: memory that is not there does not come back.
    pub fn fail_from(&self, number: u64) {
        self.count.store(0, Ordering::SeqCst);
        self.at.store(number, Ordering::SeqCst);
    }

    /// Allocations since then.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    fn fails(&self) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at != 0 && self.count.fetch_add(1, Ordering::Relaxed) + 1 >= at
    }
}

// SAFETY: every block is the system's, with the layout that it was asked for.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if self.fails() { std::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if self.fails() { std::ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        if self.fails() { std::ptr::null_mut() } else { unsafe { System.realloc(block, layout, size) } }
    }
}

/// What was done, and what was wrong with it.
#[derive(Debug, Default)]
pub struct Figures {
    /// What was done, with its allocations and how many of them were made to fail.
    pub rows: Vec<(&'static str, u64, u64)>,
    /// What must not be.
    pub wrong: Vec<String>,
}

/// What is done, and in a directory in which what has been done.
struct Case {
    name: &'static str,
    argv: &'static str,
    after: Option<&'static str>,
    code: i32,
}

const RUN: &str = "run --engine native --quiet --overwrite --gas-limit 13000 --snapshot-output out t.wasm run";

const CASES: [Case; 4] = [
    Case { name: "load a bad module", argv: "run --engine native --quiet bad.wasm run", after: None, code: 65 },
    Case { name: "run to a snapshot", argv: RUN, after: None, code: 75 },
    Case {
        name: "resume to the end",
        argv: "resume --engine native --quiet --enable-gas-refill out",
        after: Some(RUN),
        code: 0,
    },
    Case { name: "verify", argv: "verify --engine=native t.wasm out", after: Some(RUN), code: 75 },
];

const PROGRAM: &str = r#"(module (memory 2) (func (export "run") (result i32) (local i32)
    (loop $l (i32.store (local.get 0) (local.get 0)) (local.set 0 (i32.add (local.get 0) (i32.const 64)))
      (br_if $l (i32.lt_u (local.get 0) (i32.const 60000))))
    (drop (memory.grow (i32.const 3))) (local.get 0)))"#;

/// Loads, runs to a snapshot, and resumes to the end inside wasm, at every limit of the node's memory, page by page, until it is
/// enough: what was done, how many sizes were not enough, and what was said at those where nothing was said of memory.
///
/// # Errors
/// If the node is none, or a run does not end with memory enough.
pub fn sizes_of_memory() -> Result<Vec<(&'static str, usize, Vec<String>)>> {
    let functions: String = (0..3000).map(|n| format!("(func (result i32) (i32.const {n}))")).collect();
    let calls: String = (0..3000).map(|n| format!("(drop (call {n}))")).collect();
    let text = format!(
        "(module (memory 20) {functions} (func (export \"run\") (result i32) {calls}
           (drop (memory.grow (i32.const 10))) (memory.fill (i32.const 0) (i32.const 1) (i32.const 100000)) (memory.size)))"
    );
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("t.wasm"), wat::parse_str(text)?)?;
    let run = "--snapshot-output out --gas-limit 5000 t.wasm run";
    let first = at_each_size("run to a snapshot", run, dir.path())?;
    let ended = runner::run(&mut WasmNode::new(node_module())?, &words(run), dir.path())?;
    ensure!((ended.exit_code, ended.snapshots()) == (75, 1), "{}: {:?}", ended.exit_code, ended.files.keys());
    std::fs::create_dir(dir.path().join("out"))?;
    for (name, bytes) in &ended.files {
        std::fs::write(dir.path().join("out").join(name), bytes)?;
    }
    let resume = "--snapshot-input out --snapshot-id 1 --gas-limit 10000000 t.wasm";
    Ok(vec![first, at_each_size("resume to the end", resume, dir.path())?])
}

/// A program whose memory and file grow in turns, by 16 and 8 MiB, until both are as long as the default limits allow: each lies
/// in the other's way. It exits with how many of its 128 growths failed.
const IN_TURNS: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 130)
  (data (i32.const 100) "f")
  (data (i32.const 200) "\00\04\00\00\00\00\80\00")
  (func (export "_start") (local $n i32) (local $failed i32)
    (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 1) (i64.const 0x1fffffff) (i64.const 0)
      (i32.const 0) (i32.const 300))
    (if (then unreachable))
    (memory.fill (i32.const 1024) (i32.const 7) (i32.const 0x800000))
    (loop $again
      (if (i32.eq (memory.grow (i32.const 256)) (i32.const -1))
        (then (local.set $failed (i32.add (local.get $failed) (i32.const 1)))))
      (call $write (i32.load (i32.const 300)) (i32.const 200) (i32.const 1) (i32.const 304))
      (if (then unreachable))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 128))))
    (call $exit (local.get $failed))))"#;

/// Runs inside wasm a program that uses all memory and all files that the default limits allow; the exit code, which is 1
/// everywhere: the last growth is one page of 64 KiB too long.
///
/// # Errors
/// The node cannot hold it.
pub fn to_the_default_limits() -> Result<i32> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("turns.wasm"), wat::parse_str(IN_TURNS)?)?;
    let line = words("--preopen / turns.wasm");
    Ok(runner::run(&mut WasmNode::new(node_module())?, &line, dir.path())?.exit_code)
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn at_each_size(name: &'static str, line: &str, dir: &Path) -> Result<(&'static str, usize, Vec<String>)> {
    let least = WasmNode::new(node_module())?.memory_image().len();
    let mut otherwise = Vec::new();
    for pages in 0..2000 {
        let mut node = WasmNode::with_memory(node_module(), least + pages * 65_536)?;
        let Err(error) = runner::run(&mut node, &words(line), dir) else { return Ok((name, pages, otherwise)) };
        let code = error.downcast_ref::<Failure>().map(Failure::code);
        let said = format!("{error:#}");
        if code != Some(74) || !says_so(&said) {
            otherwise.push(format!("{pages} pages: {code:?} {said}"));
        }
    }
    bail!("no memory is enough")
}

/// Does this text say that there is no more memory.
fn says_so(text: &str) -> bool {
    text.contains("ran out of memory") || text.contains("Stepmark cannot hold")
}

/// Fails the allocations of each case, one in `stride`, in processes that `child` makes: of the number from which allocations
/// fail (0 for none) and the command line of the host runner, which ends with `allocations: N` on standard error.
///
/// # Errors
/// If a process cannot be started, or does not end well where no allocation fails.
pub fn sweep(child: &dyn Fn(u64, &str) -> Command, stride: u64) -> Result<Figures> {
    let mut figures = Figures::default();
    for case in &CASES {
        let expected = prepared(case, child)?;
        let whole = run(child(0, case.argv), expected.path())?;
        ensure!(whole.status.code() == Some(case.code), "{}: {}", case.name, text(&whole));
        let count = counted(&whole).with_context(|| format!("{}: {}", case.name, text(&whole)))?;
        let expected = files(expected.path())?;
        let mut failed = 0;
        for number in (1..=count).step_by(usize::try_from(stride)?) {
            failed += 1;
            if let Err(error) = one(case, number, child, &expected) {
                figures.wrong.push(format!("{}, allocation {number}: {error:#}", case.name));
            }
        }
        figures.rows.push((case.name, count, failed));
    }
    Ok(figures)
}

/// A directory in which a case can be done.
fn prepared(case: &Case, child: &dyn Fn(u64, &str) -> Command) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("t.wasm"), wat::parse_str(PROGRAM)?)?;
    std::fs::write(dir.path().join("bad.wasm"), b"\0asm\x01\0\0\0\x01\x02\x01\x00")?;
    if let Some(argv) = case.after {
        let ended = run(child(0, argv), dir.path())?;
        ensure!(ended.status.code() == Some(75), "{}: {}", case.name, text(&ended));
    }
    Ok(dir)
}

/// One allocation fails; then nothing does, and all is as if nothing had.
fn one(
    case: &Case,
    number: u64,
    child: &dyn Fn(u64, &str) -> Command,
    expected: &BTreeMap<PathBuf, Vec<u8>>,
) -> Result<()> {
    let dir = prepared(case, child)?;
    let before = files(dir.path())?;
    let ended = run(child(number, case.argv), dir.path())?;
    let said = text(&ended);
    let right = match ended.status.code() {
        Some(74) => says_so(&said),
        code => code == Some(case.code),
    };
    ensure!(right, "ended with {}: {said}", ended.status);
    for (name, bytes) in files(dir.path())? {
        let whole = before.get(&name) == Some(&bytes) || expected.get(&name) == Some(&bytes) || is_aside(&name);
        ensure!(whole, "{} is neither the old nor the new file", name.display());
    }
    let again = run(child(0, case.argv), dir.path())?;
    // The last file may have been there already, and a run that has ended is not gone on with.
    let had_ended = again.status.code() == Some(2) && text(&again).contains("the run has ended");
    ensure!(had_ended || again.status.code() == Some(case.code), "then: {}", text(&again));
    let after = files(dir.path())?;
    let differs = expected.iter().find(|(name, bytes)| after.get(*name) != Some(*bytes));
    ensure!(
        differs.is_none(),
        "then: {} differs",
        differs.map_or(String::new(), |(name, _)| name.display().to_string())
    );
    Ok(())
}

/// Is it a lock, or what was being written beside its place: no command reads either.
fn is_aside(name: &Path) -> bool {
    let name = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.starts_with('.') || name.ends_with(".tmp") || name.ends_with(".lock")
}

/// All files below a directory; of the receipt what is the same everywhere.
fn files(dir: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.append(&mut files(&path)?);
            continue;
        }
        let mut bytes = std::fs::read(&path)?;
        if path.ends_with("receipt.json") {
            let receipt: serde_json::Value = serde_json::from_slice(&bytes).context("receipt.json")?;
            bytes = receipt["result"].to_string().into_bytes();
        }
        found.insert(PathBuf::from(path.file_name().unwrap_or_default()), bytes);
    }
    Ok(found)
}

fn run(mut command: Command, dir: &Path) -> Result<Output> {
    Ok(command.current_dir(dir).output()?)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Allocations of a process that says how many it made.
fn counted(output: &Output) -> Option<u64> {
    text(output).lines().find_map(|line| line.strip_prefix("allocations: ")?.parse().ok())
}
