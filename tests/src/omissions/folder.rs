//! A directory as a proof: the files of a run, of which some are in question. `verify` may call the directory right only as it
//! was, and whoever resumes from the same `.snap` comes to the same files, or is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::job::rerun::GivenFiles;
use stepmark_runner::state::LoadedState;
use stepmark_snapshot::snap::{RawSnapshot, decode};

use super::bundle::{archived, entries, verified};
use super::parts::Part;
use super::{Omission, Proof, Statement, Verdict};
use crate::mutate::{forge, seal};
use crate::session::{Drive, End, Files, Job, OUT};

/// Gas that a run may take more than the honest one.
const MORE_GAS: u64 = 100_000;

/// What stands in the place of the files in question, by name; what is not among them is not there.
pub(super) type Changed = (String, Files);

/// The files of a run.
pub(super) struct Folder {
    /// For messages.
    name: String,
    /// What was run.
    job: Job,
    /// All files by name, the honest ones.
    files: Files,
    /// Which of them are in question.
    questioned: Vec<String>,
    /// What is done to those.
    changes: Vec<Changed>,
    /// The honest files as an archive.
    bytes: Vec<u8>,
    /// What resuming from the honest files comes to.
    ends: BTreeMap<&'static str, Files>,
}

impl Folder {
    /// The files of a run, of which these are in question; `changes` says what is done to them, and `resumed` which snapshots
    /// can be gone on from, where the job needs nobody's answers.
    ///
    /// # Errors
    /// The honest ones cannot be resumed from.
    pub(super) fn new(
        name: String,
        job: Job,
        files: Files,
        questioned: &[&str],
        resumed: &[&'static str],
        changes: Vec<Changed>,
    ) -> Result<Folder> {
        let honest = files.iter().filter(|(name, _)| questioned.contains(&name.as_str()));
        let bytes = archived(honest.map(|(name, bytes)| (name, bytes.clone())));
        let questioned = questioned.iter().map(|name| (*name).to_owned()).collect();
        let mut folder = Folder { name, job, files, questioned, changes, bytes, ends: BTreeMap::new() };
        for id in resumed {
            let end = folder.resume(&folder.files, id, u64::MAX)?.context("the honest run goes on")?;
            folder.ends.insert(id, end);
        }
        Ok(folder)
    }

    /// The files in which those in question are replaced by these.
    fn with(&self, changed: impl IntoIterator<Item = (String, Vec<u8>)>) -> Files {
        let mut files = self.files.clone();
        files.retain(|name, _| !self.questioned.contains(name));
        files.extend(changed);
        files
    }

    /// The files of a run that goes on from snapshot `id` to the end; none if it is refused, or takes too long.
    fn resume(&self, files: &Files, id: &str, gas: u64) -> Result<Option<Files>> {
        let files = files.iter().map(|(name, bytes)| (format!("{OUT}/{name}"), bytes.clone())).collect();
        let flags = format!("--snapshot-id {id} --enable-gas-refill");
        let run = self.job.resume(&files, &flags, Drive { gas, ..Drive::WHOLE });
        Ok(run.ok().filter(|run| run.end == End::Finished).map(|run| run.files))
    }

    /// Resumes from files that may not be honest: from the same `.snap` it comes to the same, or is refused.
    fn check_resumed(&self, files: &Files) -> Result<()> {
        for (id, honest) in &self.ends {
            let snap = format!("{id}.snap");
            let gas = self.files.get(&snap).and_then(|snap| decode(snap).ok()).map_or(0, |raw| raw.state.gas_total);
            let end = self.resume(files, id, gas.saturating_add(MORE_GAS))?;
            let same_start = files.get(&snap) == self.files.get(&snap);
            ensure!(!same_start || end.is_none_or(|end| end == *honest), "resume from {id} comes to something else");
        }
        Ok(())
    }

    /// Reads every state that is there as `inspect` does; what it finds is held to the roots, so only panics are a fault.
    fn inspect(&self, dir: &Path, files: &Files) {
        for stem in self.questioned.iter().filter_map(|name| name.strip_suffix(".snap")) {
            if let (true, Ok(id)) = (files.contains_key(&format!("{stem}.snap")), stem.parse()) {
                let program = dir.join(&self.job.call[0]).display().to_string();
                drop(LoadedState::open(&SnapshotRef::new(dir, id), Some(&program), &GivenFiles::default()));
            }
        }
    }

    /// Writes the files and what the job needs.
    fn write(&self, dir: &Path, files: &Files) -> Result<()> {
        let linked = self.job.flags.iter().filter_map(|flag| flag.split_once('='));
        let linked = linked.filter(|(_, file)| file.ends_with(".wasm"));
        let linked =
            linked.filter_map(|(name, file)| Some((format!("{name}.wasm"), self.job.inputs.get(file)?.clone())));
        let all = self.job.inputs.iter().chain(files).map(|(name, bytes)| (name.clone(), bytes.clone()));
        for (name, bytes) in all.chain(linked) {
            fs::write(dir.join(name), bytes)?;
        }
        Ok(())
    }
}

impl Proof for Folder {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn omissions(&self) -> Box<dyn Iterator<Item = Omission> + Send + '_> {
        Box::new(self.changes.iter().map(|(what, files)| {
            let bytes = archived(files.iter().map(|(name, bytes)| (name, bytes.clone())));
            Omission { what: what.clone(), bytes }
        }))
    }

    fn judge(&self, bytes: &[u8]) -> Result<Verdict> {
        let files = self.with(entries(bytes));
        self.check_resumed(&files)?;
        let dir = tempfile::tempdir()?;
        self.write(dir.path(), &files)?;
        self.inspect(dir.path(), &files);
        let job = match verified(dir.path())? {
            Err(why) => return Ok(Verdict::Refused(why)),
            Ok(job) => job,
        };
        Ok(Verdict::Says(statement(&job, &files)))
    }
}

/// What `verify` says of a directory that it calls right: of this job, with such files, and the gas limits that the receipt and
/// the pause claim, every byte; of the receipt `result` and `run`.
fn statement(job: &[u8], files: &Files) -> Statement {
    let receipt = files.get("receipt.json").map(|text| serde_json::from_slice::<Value>(text).unwrap_or_default());
    let limit = receipt.as_ref().map(|receipt| receipt["run"]["gas_limit"].to_string()).unwrap_or_default();
    let mut stems: Vec<&str> = files.keys().filter_map(|name| name.split('.').next()).collect();
    stems.dedup();
    let mut pause = files.get("paused.snap").and_then(|bytes| decode(bytes).ok());
    let paused_at = pause.as_mut().map(|raw| std::mem::take(&mut raw.segment.limit)).unwrap_or_default();
    let about = [job, stems.join(" ").as_bytes(), limit.as_bytes(), &paused_at.to_le_bytes()].concat();
    let mut result = pause.as_ref().map(forge).unwrap_or_default();
    for (name, bytes) in files.iter().filter(|(name, _)| !["receipt.json", "paused.snap"].contains(&name.as_str())) {
        result.extend([name.as_bytes(), &[0], blake3::hash(bytes).as_bytes().as_slice()].concat());
    }
    for part in ["result", "run"] {
        result.extend(receipt.as_ref().map(|receipt| receipt[part].to_string()).unwrap_or_default().into_bytes());
    }
    Statement { about, result }
}

/// The files of a run by their names in its directory.
pub(super) fn by_name(files: &Files) -> Files {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    files.iter().map(|(path, bytes)| (name(path), bytes.clone())).collect()
}

/// The parts of a `.bin` or a base.
pub(super) fn bin_parts(bytes: &[u8]) -> Vec<Part> {
    let mut parts = vec![Part::new("prefix", &bytes[..56]), Part::new("previous", &bytes[56..88])];
    let mut at = 88;
    let mut take = |sort: &'static str, length: usize| {
        parts.push(Part::new(sort, &bytes[at..at + length]));
        at += length;
        at
    };
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
    let mut next = 88;
    while bytes[next] != 0 {
        let count = number(take("space", 5));
        next = take("count", 8);
        for _ in 0..count {
            next = take("page", 16 + 64 * number(next + 8).count_ones() as usize);
        }
    }
    take("end", 1);
    parts
}

/// The parts of a `.snap`.
pub(super) fn snap_parts(bytes: &[u8]) -> Vec<Part> {
    let length = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default()) as usize;
    let (job, segment) = (80 + length(56), 80 + length(56) + length(64));
    let ends = [("prefix", 0, 56), ("lengths", 56, 80), ("job", 80, job), ("segment", job, segment)];
    let parts = ends.into_iter().chain([("state", segment, bytes.len() - 32)]);
    parts.map(|(sort, from, to)| Part::new(sort, &bytes[from..to])).collect()
}

/// The file of these parts, its trailer right.
pub(super) fn sealed(parts: &[Part]) -> Vec<u8> {
    seal(parts.iter().flat_map(|part| part.bytes.iter().copied()).collect())
}

/// Every state that differs by one item of a list: dropped, repeated, moved behind the next, replaced by the next.
pub(super) fn fields(raw: &RawSnapshot) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    items(raw, "frame", 0, |raw, _| &mut raw.state.frames, &mut found);
    items(raw, "result", 0, |raw, _| &mut raw.state.results, &mut found);
    items(raw, "exception", 0, |raw, _| &mut raw.state.exceptions, &mut found);
    items(raw, "instance", 0, |raw, _| &mut raw.state.instances, &mut found);
    items(raw, "space", 0, |raw, _| &mut raw.state.spaces, &mut found);
    items(raw, "host", 0, |raw, _| &mut raw.state.hosts, &mut found);
    for at in 0..raw.state.frames.len() {
        items(raw, "local", at, |raw, at| &mut raw.state.frames[at].locals, &mut found);
        items(raw, "operand", at, |raw, at| &mut raw.state.frames[at].operands, &mut found);
    }
    for at in 0..raw.state.exceptions.len() {
        items(raw, "payload", at, |raw, at| &mut raw.state.exceptions[at].values, &mut found);
    }
    for at in 0..raw.state.instances.len() {
        items(raw, "global", at, |raw, at| &mut raw.state.instances[at].globals, &mut found);
        items(raw, "memory size", at, |raw, at| &mut raw.state.instances[at].memories, &mut found);
        items(raw, "table size", at, |raw, at| &mut raw.state.instances[at].tables, &mut found);
        items(raw, "dropped data", at, |raw, at| &mut raw.state.instances[at].dropped_data, &mut found);
        items(raw, "dropped elements", at, |raw, at| &mut raw.state.instances[at].dropped_elements, &mut found);
    }
    found
}

/// The list of a state, by the index of what it is in.
type List<T> = fn(&mut RawSnapshot, usize) -> &mut Vec<T>;

fn items<T: Clone>(raw: &RawSnapshot, what: &str, of: usize, list: List<T>, found: &mut Vec<(String, Vec<u8>)>) {
    let mut raw = raw.clone();
    let honest = list(&mut raw, of).clone();
    let mut changed = |how: &str, at: usize, now: Vec<T>| {
        *list(&mut raw, of) = now;
        found.push((format!("{what} {at} of {of} is {how}"), forge(&raw)));
    };
    for at in 0..honest.len() {
        let (before, rest) = honest.split_at(at);
        let (item, after) = (&rest[..1], &rest[1..]);
        changed("left out", at, [before, after].concat());
        changed("there twice", at, [before, item, item, after].concat());
        if let Some((next, after)) = after.split_first() {
            let next = std::slice::from_ref(next);
            changed("behind the next", at, [before, next, item, after].concat());
            changed("the next", at, [before, next, next, after].concat());
        }
    }
}
