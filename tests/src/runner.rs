//! Drives a node in this process, natively or as wasm, and keeps what it hands out. Files come from a directory, and
//! slices are short, so that every run is also a run in many pieces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use guest_interp::args;
use stepmark_runner::node::embedded_module::{self, NODE_WASM};
use stepmark_runner::node::engine::{Budget, Event, ModuleSession, TierChoice};
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::sandbox::{NodeModule, WasmNode};

/// Bytes of a file handed over in one call: few, so that there are several calls.
const CHUNK: usize = 40_000;

/// What a job has handed out so far, and in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The files, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What the program wrote to standard output.
    pub stdout: Vec<u8>,
    /// What the program wrote to standard error.
    pub stderr: Vec<u8>,
    /// Exit code of the run, by the host runner's table.
    pub exit_code: i32,
}

impl Ended {
    /// Takes off standard output what the command, not the program, has printed there: the values of the entry, a line each.
    ///
    /// # Errors
    /// If they are not what `result.txt` says.
    pub fn without_printed_values(&mut self, name: &str) -> Result<()> {
        let text = self.files.get("result.txt").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let values = text.iter().flat_map(|text| text.lines().nth(2)).flat_map(str::split_whitespace);
        let printed: String = values.map(|value| format!("{value}\n")).collect();
        let rest = self.stdout.strip_suffix(printed.as_bytes());
        let rest = rest.with_context(|| format!("{name}: the values are not printed: {printed:?}"))?;
        self.stdout = rest.to_vec();
        Ok(())
    }

    /// The `result` object of the receipt: the part that is the same everywhere.
    ///
    /// # Errors
    /// If there is no receipt, or it is no JSON.
    pub fn result(&self) -> Result<serde_json::Value> {
        let receipt = self.files.get("receipt.json").context("no receipt.json")?;
        let receipt: serde_json::Value = serde_json::from_slice(receipt)?;
        receipt.get("result").cloned().context("the receipt has no result")
    }

    /// How many snapshots there are.
    pub fn snapshots(&self) -> usize {
        self.files.keys().filter(|name| name.ends_with(".snap")).count()
    }

    /// Message of the trap that ended the program.
    ///
    /// # Errors
    /// As [`Ended::result`].
    pub fn trap(&self) -> Result<Option<String>> {
        Ok(self.result()?["trap"]["message"].as_str().map(str::to_owned))
    }

    /// What must be the same in every place, by name: each file, of the receipt its result, and the program's output.
    ///
    /// # Errors
    /// As [`Ended::result`].
    pub fn portable(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut all = self.files.clone();
        all.insert("receipt.json".to_owned(), serde_json::to_vec(&self.result()?)?);
        all.insert("(stdout)".to_owned(), self.stdout.clone());
        all.insert("(stderr)".to_owned(), self.stderr.clone());
        Ok(all)
    }

    /// BLAKE3 hash over [`Ended::portable`].
    ///
    /// # Errors
    /// As [`Ended::result`].
    pub fn portable_hash(&self) -> Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        for (name, bytes) in self.portable()? {
            hasher.update(name.as_bytes()).update(&[0]).update(blake3::hash(&bytes).as_bytes());
        }
        Ok(hasher.finalize())
    }

    /// Names of what is not the same as in `other`.
    ///
    /// # Errors
    /// As [`Ended::result`].
    pub fn differences(&self, other: &Self) -> Result<Vec<String>> {
        Ok(unlike(&self.portable()?, &other.portable()?))
    }
}

/// The names under which the two have not the same, or only one has something.
pub fn unlike<V: PartialEq>(ours: &BTreeMap<String, V>, theirs: &BTreeMap<String, V>) -> Vec<String> {
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name)).cloned().collect()
}

/// The node's wasm, compiled once for all tests of a process.
///
/// # Panics
/// If it does not compile.
pub fn node_module() -> &'static NodeModule {
    static MODULE: OnceLock<NodeModule> = OnceLock::new();
    MODULE.get_or_init(|| NodeModule::compile(NODE_WASM).expect("the node compiles"))
}

/// A node in which compiled code runs the program from the beginning.
///
/// # Errors
/// If the module cannot be instantiated.
pub fn compiled_node() -> Result<WasmNode> {
    let mut node = WasmNode::new(node_module())?;
    node.set_tier(TierChoice::Compiled)?;
    Ok(node)
}

/// A node for each engine, with the engine's name.
///
/// # Errors
/// If the module cannot be instantiated.
pub fn nodes() -> Result<[(&'static str, Box<dyn ModuleSession>); 2]> {
    Ok([("native", Box::new(NativeNode::new())), ("wasm", Box::new(WasmNode::new(node_module())?))])
}

/// The host runner's program, in the directory of this one or, where this one is a test, above it.
///
/// # Errors
/// If it was not built, or carries another node than this program.
pub fn host_runner() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let name = format!("stepmark{}", std::env::consts::EXE_SUFFIX);
    let path = own.ancestors().skip(1).take(2).map(|folder| folder.join(&name)).find(|path| path.is_file());
    let path = path.with_context(|| format!("no {name} near {}: cargo build -p host-runner", own.display()))?;
    let version = Command::new(&path).arg("--version").output()?.stdout;
    let same = String::from_utf8_lossy(&version).contains(embedded_module::node_hash());
    ensure!(same, "{} carries another node: cargo build -p host-runner", path.display());
    Ok(path)
}

/// Loads a job, with the files that it asks for from `dir`.
///
/// # Errors
/// The node's.
pub fn load(node: &mut dyn ModuleSession, argv: &[String], dir: &Path) -> Result<()> {
    node.load(&args::job(argv)?)?;
    while let Some(path) = node.want()? {
        let file = dir.join(&path);
        if file.exists() {
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            bytes.chunks(CHUNK).try_for_each(|chunk| node.give(chunk))?;
            node.give_end(true)?;
        } else {
            node.give_end(false)?;
        }
    }
    Ok(())
}

/// Runs one slice, and takes what is ready. True when the job is finished.
///
/// # Errors
/// The node's.
pub fn slice(node: &mut dyn ModuleSession, gas: u64, ended: &mut Ended) -> Result<bool> {
    let event = node.run(Budget { gas, steps: 50_000_000 })?;
    ended.stdout.append(&mut node.take_output(1)?);
    ended.stderr.append(&mut node.take_output(2)?);
    while let Some(file) = node.next_file()? {
        ended.files.insert(file.to_string(), node.take_all()?);
    }
    if event != Event::Finished {
        return Ok(false);
    }
    ended.exit_code = node.exit_code()?;
    Ok(true)
}

/// Runs a slice of at least `gas`, doubled as often as nothing moves. True when the job is finished.
///
/// # Errors
/// The node's.
pub fn advance(node: &mut dyn ModuleSession, gas: u64, ended: &mut Ended) -> Result<bool> {
    let mut budget = gas.max(1);
    let before = node.progress()?;
    loop {
        if slice(node, budget, ended)? {
            return Ok(true);
        }
        if before != node.progress()? {
            return Ok(false);
        }
        budget = budget.saturating_mul(2);
    }
}

/// Runs a loaded job to its end in slices, as [`advance`].
///
/// # Errors
/// The node's.
pub fn finish(node: &mut dyn ModuleSession, gas: u64, ended: &mut Ended) -> Result<()> {
    while !advance(node, gas, ended)? {}
    Ok(())
}

/// Loads a job and runs it to its end.
///
/// # Errors
/// The node's.
pub fn run(node: &mut dyn ModuleSession, argv: &[String], dir: &Path) -> Result<Ended> {
    let mut ended = Ended::default();
    load(node, argv, dir)?;
    finish(node, 3_000_000, &mut ended)?;
    Ok(ended)
}

/// The files that the program of a finished job has left behind: path and contents, in the node's order.
///
/// # Errors
/// The node's.
pub fn delivered(node: &mut dyn ModuleSession) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    while let Some(path) = node.deliver_name()? {
        let (mut contents, mut chunk) = (Vec::new(), Vec::new());
        while node.deliver_chunk(&mut chunk)? {
            contents.extend_from_slice(&chunk);
        }
        files.push((path, contents));
    }
    Ok(files)
}
