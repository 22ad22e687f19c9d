//! The files of a chain of snapshots, in memory under the names that they have on disk.

use std::collections::BTreeMap;

use stepmark_hosts::external::{ExternalReply, decode_calls};
use stepmark_session::output_file::OutputFile;
use stepmark_session::spec::{self, SnapshotName};
use stepmark_snapshot::snap;

use crate::error::Error;

/// Name of the directory that a node is told the chain is in.
pub(crate) const DIRECTORY: &str = "/chain";

/// A segment that has come to its end, or a pause in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Number of the snapshot, from 1; of a pause that of the snapshot before it, 0 without one.
    pub id: u64,
    /// A pause, outside the chain.
    pub paused: bool,
    /// Gas used of the segment's limit.
    pub gas: u64,
    /// The state, but for what is in pages.
    pub snap: Vec<u8>,
    /// The pages that changed.
    pub bin: Vec<u8>,
    /// The answers from outside, if the job lets any come.
    pub calls: Option<Vec<u8>>,
}

impl Segment {
    /// The snapshot `id`, or the pause after it, of the files that a run has made.
    ///
    /// # Errors
    /// One of them is missing.
    pub(crate) fn of(
        id: u64,
        paused: bool,
        gas: u64,
        files: &mut BTreeMap<OutputFile, Vec<u8>>,
    ) -> Result<Self, Error> {
        let name = if paused { SnapshotName::Paused } else { SnapshotName::Number(id) };
        let missing = || Error::Node("a snapshot is incomplete".to_owned());
        let snap = files.remove(&OutputFile::Snap(name)).ok_or_else(missing)?;
        let bin = files.remove(&OutputFile::Bin(name)).ok_or_else(missing)?;
        Ok(Self { id, paused, gas, snap, bin, calls: files.remove(&OutputFile::Calls(name)) })
    }

    /// The files, by their names in a chain.
    pub fn files(&self) -> impl Iterator<Item = (String, &[u8])> {
        let stem = if self.paused { "paused".to_owned() } else { self.id.to_string() };
        let files = [("bin", Some(&self.bin)), ("snap", Some(&self.snap)), ("calls", self.calls.as_ref())];
        files.into_iter().filter_map(move |(kind, bytes)| Some((format!("{stem}.{kind}"), bytes?.as_slice())))
    }
}

/// Which snapshot of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotId {
    /// The snapshot of this number, from 1.
    Number(u64),
    /// The pause after the last one.
    Paused,
}

impl SnapshotId {
    pub(crate) fn resume(self) -> spec::ResumeFrom {
        let id = match self {
            Self::Number(id) => SnapshotName::Number(id),
            Self::Paused => SnapshotName::Paused,
        };
        spec::ResumeFrom { dir: DIRECTORY.to_owned(), id }
    }
}

/// A chain: `1.snap`, `1.bin`, `1.calls` and so on. Restoring snapshot *k* takes `k.snap` and `1.bin` to `k.bin`.
///
/// ```
/// use node_sdk::{Chain, Next, Value, Vm};
///
/// # let wasm = wat::parse_str(r#"(module (func (export "f") (param i32) (result i32) (loop $l
/// #   (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $l (local.get 0))) (i32.const 7)))"#).unwrap();
/// let program = Vm::builder().module(wasm);
/// let mut run = program.start(Some("f"), &[Value::I32(100)], 200)?;
/// let mut chain = Chain::new();
/// while let Next::Segment(segment) = run.next()? {
///     chain.add(&segment);
/// }
/// assert_eq!(chain.last(), 3);
/// assert!(chain.file("3.snap").is_some() && chain.file("4.snap").is_none());
/// # Ok::<(), node_sdk::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    files: BTreeMap<String, Vec<u8>>,
}

impl Chain {
    /// No file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file under its name on disk.
    pub fn insert(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name.to_owned(), bytes);
    }

    /// Adds the files of a segment or of a pause.
    pub fn add(&mut self, segment: &Segment) {
        for (name, bytes) in segment.files() {
            self.insert(&name, bytes.to_vec());
        }
    }

    /// The file of this name.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// All files, in the order of their names.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// The highest number of a snapshot; 0 without one.
    pub fn last(&self) -> u64 {
        let numbers = self.files.keys().filter_map(|name| name.strip_suffix(".snap")?.parse().ok());
        numbers.max().unwrap_or(0)
    }

    /// The recorded answers of the segment that leads to snapshot `id`, or to the end of the run.
    ///
    /// # Errors
    /// A snapshot error if there is no record, or a damaged or foreign one.
    pub(crate) fn answers(&self, id: u64) -> Result<Vec<ExternalReply>, Error> {
        let name = format!("{id}.calls");
        let wrong = |what: &str| Error::Snapshot(format!("{name}: {what}"));
        let bytes = self.file(&name).ok_or_else(|| wrong("no such file"))?;
        let (prefix, answers) = decode_calls(bytes).map_err(|e| wrong(e.message()))?;
        if prefix.id != id || prefix.paused {
            return Err(wrong("is of another segment"));
        }
        Ok(answers)
    }

    /// Whether a job's run records answers, as its snapshot says.
    pub(crate) fn asks_outside(&self, id: u64) -> Result<bool, Error> {
        let name = format!("{id}.snap");
        let bytes = self.file(&name).ok_or_else(|| Error::Snapshot(format!("{name}: no such file")))?;
        let snapshot = snap::decode(bytes)?;
        Ok(snapshot.job.store.is_some() || !snapshot.job.functions.is_empty())
    }
}
