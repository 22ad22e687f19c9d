//! A chain of snapshots on disk: which files are there, and whether they hang together by their hashes. What the hashes
//! cannot tell is whether the program leads from one snapshot to the next: `verify` executes it to see.

pub mod beginning;
pub mod disk;
pub mod durable;
pub mod snapshot_ref;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::bin::{BinFooter, BinReader, PageSink};
use stepmark_snapshot::job::Job;
use stepmark_state::canonical::SegmentRecord;

use crate::chain::beginning::Beginning;
use crate::chain::durable::{BASE, Name};
use crate::chain::snapshot_ref::{SnapshotRef, check_follows};
use crate::failure::{Failure, IO, Result};
use crate::foreign::{self, Foreign, ForeignKind};
use crate::strict;

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// A `.snap` that is well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The segment that leads to it.
    pub segment: SegmentRecord,
    /// Its hash.
    pub hash: [u8; 32],
    /// Gas of the program up to it.
    pub gas_total: u64,
    /// Bytes of its `.bin`; 0 when that is not there.
    pub bin_bytes: u64,
}

/// A chain.
#[derive(Debug)]
pub struct ChainFiles {
    /// Its directory.
    pub dir: PathBuf,
    /// The job that all snapshots are of, the states outside the chain too; none when there is none of them.
    pub job: Option<Job>,
    /// Where it begins.
    pub beginning: Beginning,
    /// The well-formed snapshots by id.
    pub links: BTreeMap<u64, Link>,
    /// Id and hash of the snapshot that the base stands for, in a merged chain.
    pub base: Option<(u64, [u8; 32])>,
    /// What is wrong, by the id of the file: what is missing, damaged, foreign, or does not follow what is before it.
    pub faults: BTreeMap<u64, Vec<String>>,
    /// What is wrong with the states outside the chain: of a pause, and of the end.
    pub aside_faults: Vec<String>,
    /// What the run says of its end, as it was when the chain was opened: who shows it and who compares it read the same.
    pub reports: Reports,
}

/// `receipt.json` and `result.txt`: their bytes, none where they are not there, or why they cannot be read.
#[derive(Clone, Debug)]
pub struct Reports {
    /// The receipt.
    pub receipt: Result<Option<Vec<u8>>>,
    /// The result.
    pub result: Result<Option<Vec<u8>>>,
}

impl Reports {
    fn read(dir: &Path) -> Self {
        let read = |name: &str| Foreign::find_within(dir, name, ForeignKind::Text)?.map(Foreign::bytes).transpose();
        Self { receipt: read("receipt.json"), result: read("result.txt") }
    }

    /// Whether anything says how the run ended.
    pub fn are_there(&self) -> bool {
        [&self.receipt, &self.result].into_iter().any(|report| !matches!(report, Ok(None)))
    }

    /// The receipt as JSON; nothing of one that is not there or is none.
    pub fn receipt(&self) -> serde_json::Value {
        let bytes = self.receipt.as_ref().ok().and_then(Option::as_deref);
        strict::parse(bytes.unwrap_or_default()).unwrap_or_default()
    }
}

impl ChainFiles {
    /// Reads every `.snap` of a directory, and checks that they follow each other and have their `.bin`. Nothing of the
    /// contents of the `.bin` files is looked at: see [`check_bins`](Self::check_bins).
    ///
    /// # Errors
    /// Exit code 74 when the directory cannot be read.
    pub fn open(dir: &Path) -> Result<Self> {
        let files = ChainNames::list(dir)?;
        let mut chain = Self {
            dir: dir.to_path_buf(),
            job: None,
            beginning: Beginning::Start,
            links: BTreeMap::new(),
            base: None,
            faults: BTreeMap::new(),
            aside_faults: Vec::new(),
            reports: Reports::read(dir),
        };
        if files.base {
            chain.read_base();
        }
        chain.beginning = Beginning::of(&files, chain.base.map(|(id, _)| id));
        for id in &files.snaps {
            chain.read_link(*id, &files);
        }
        chain.check_order(&files);
        chain.check_aside();
        Ok(chain)
    }

    /// Checks that this process may read every file of the chain: what it may not look at is neither right nor wrong.
    ///
    /// # Errors
    /// Exit code 74 that names one that it may not read.
    pub fn check_readable(&self) -> Result<()> {
        let mut names = durable::files_in(&self.dir)?.into_iter().map(|(_, name)| name);
        match names.find(|name| foreign::is_forbidden(&self.dir, name)) {
            None => Ok(()),
            Some(name) => {
                let path = self.dir.join(name);
                Err(Failure::new(IO, format!("{}: this user may not read it: nothing was decided", path.display())))
            }
        }
    }

    /// The ids that files have, and the first one of each gap between them.
    pub fn ids(&self) -> BTreeSet<u64> {
        self.links.keys().chain(self.faults.keys()).copied().collect()
    }

    /// The highest id of any file of the chain; 0 when there is none.
    pub fn last(&self) -> u64 {
        self.ids().last().copied().unwrap_or(0)
    }

    /// The snapshot up to which a base stands for the `.bin` files, if there is one.
    pub fn base_id(&self) -> Option<u64> {
        self.base.map(|(id, _)| id)
    }

    /// Path of the `.bin` of a snapshot.
    pub fn bin_path(&self, id: u64) -> PathBuf {
        self.dir.join(format!("{id}.bin"))
    }

    /// Whether the `.bin` of a snapshot was merged into the base.
    pub fn is_merged(&self, id: u64) -> bool {
        self.base.is_some_and(|(base, _)| id <= base) && !foreign::is_there(&self.dir, &format!("{id}.bin"))
    }

    /// Records that something is wrong with the files of a snapshot.
    pub fn fault(&mut self, id: u64, what: String) {
        self.faults.entry(id).or_default().push(what);
    }

    /// Bytes of the `.snap` of a snapshot once more: those that were there when the chain was opened.
    ///
    /// # Errors
    /// Exit code 65 when they are others now, or never were a snapshot; 74 when they cannot be read.
    pub fn snap_again(&self, id: u64) -> Result<Vec<u8>> {
        let place = SnapshotRef::new(&self.dir, SnapshotName::Number(id));
        let bytes = place.read_bytes()?;
        let hash = place.decode(&bytes)?.hash;
        match self.links.get(&id) {
            Some(link) if link.hash != hash => Err(Failure::data(changed(id))),
            _ => Ok(bytes),
        }
    }

    fn read_base(&mut self) {
        match check_bin(&self.dir, BASE) {
            Ok(footer) if footer.header.base => self.base = Some((footer.header.id, footer.header.previous)),
            Ok(footer) => self.fault(footer.header.id, format!("{BASE}: is no base")),
            Err(error) => self.fault(1, error.what().to_owned()),
        }
    }

    fn read_link(&mut self, id: u64, files: &ChainNames) {
        let raw = match SnapshotRef::new(&self.dir, SnapshotName::Number(id)).read() {
            Ok(raw) => raw,
            Err(failure) => return self.fault(id, failure.what().to_owned()),
        };
        if raw.segment.id != id || raw.segment.paused {
            return self.fault(id, format!("{id}.snap: is of snapshot {}", raw.segment.id));
        }
        match &self.job {
            None => self.job = Some(raw.job),
            Some(job) if *job == raw.job => {}
            Some(_) => return self.fault(id, format!("{id}.snap: belongs to another job")),
        }
        let bin_bytes = files.bins.get(&id).copied().unwrap_or(0);
        let gas_total = raw.state.gas_total;
        self.links.insert(id, Link { segment: raw.segment, hash: raw.hash, gas_total, bin_bytes });
    }

    /// Checks that nothing is missing, and that each snapshot names the one before it.
    fn check_order(&mut self, files: &ChainNames) {
        let base = self.base.map_or(0, |(id, _)| id);
        let highest = files.snaps.iter().chain(files.bins.keys()).copied().max().unwrap_or(base).max(base);
        // A chain can be long and a file name high: what is missing between is named once.
        let known: BTreeSet<u64> = files.snaps.iter().chain(files.bins.keys()).copied().chain([highest]).collect();
        let mut expected = 1;
        for id in known.into_iter().filter(|id| *id > 0) {
            if id > expected {
                self.fault(expected, format!("{expected}.snap and {expected}.bin: missing (the next are of {id})"));
            }
            expected = id.saturating_add(1);
            if !files.snaps.contains(&id) {
                self.fault(id, format!("{id}.snap: missing"));
            }
            if !files.bins.contains_key(&id) && id > base {
                self.fault(id, format!("{id}.bin: missing"));
            }
            self.check_predecessor(id);
        }
    }

    fn check_predecessor(&mut self, id: u64) {
        let before = match id.checked_sub(1) {
            Some(0) => Some(([0; 32], 0)),
            before => before.and_then(|before| self.links.get(&before)).map(|link| (link.hash, link.gas_total)),
        };
        let (Some(link), Some(before)) = (self.links.get(&id), before) else { return };
        if let Err(what) = check_follows(&link.segment, link.gas_total, before) {
            self.fault(id, format!("{id}.snap: {what}"));
        }
    }

    /// Checks that the states outside the chain, of a pause and of the end, belong to it. Whether the program leads to them
    /// only executing shows.
    fn check_aside(&mut self) {
        for stem in [SnapshotName::Paused, SnapshotName::Final] {
            let place = SnapshotRef::new(&self.dir, stem);
            if !foreign::is_there(&self.dir, &format!("{stem}.snap")) {
                continue;
            }
            let checked = place.read().and_then(|raw| {
                let foreign = self.job.as_ref().is_some_and(|job| *job != raw.job);
                let belongs =
                    if foreign { Err("belongs to another job".to_owned()) } else { place.check_follows(&raw) };
                belongs.map_err(|what| Failure::data(format!("{stem}.snap: {what}"))).map(|()| raw.job)
            });
            match checked {
                Err(failure) => self.aside_faults.push(failure.what().to_owned()),
                // A run that was stopped before its first snapshot, or ended before it.
                Ok(job) if self.job.is_none() && self.faults.is_empty() => self.job = Some(job),
                Ok(_) => {}
            }
        }
    }

    /// Reads every `.bin` and checks that its hash is right, that it follows the one before it, and that its `.snap` commits
    /// to it. `each` is told the bytes of every file that was read.
    ///
    /// # Errors
    /// Those of `each`, which may have had enough.
    pub fn check_bins(&mut self, each: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            let name = format!("{id}.bin");
            let Some(link) = self.links.get(&id).filter(|_| foreign::is_there(&self.dir, &name)) else { continue };
            let (bytes, segment) = (link.bin_bytes, link.segment);
            let before = self.links.get(&id.wrapping_sub(1)).map(|link| link.segment.bin);
            let wrong = match check_bin(&self.dir, &name) {
                Err(failure) => Some(failure.what().to_owned()),
                Ok(found) if found.hash != segment.bin => {
                    Some(format!("{id}.bin: is not the .bin that {id}.snap commits to"))
                }
                Ok(found) if before.is_some_and(|before| before != found.header.previous) => {
                    Some(format!("{id}.bin: does not follow the .bin before it: files of two chains are mixed"))
                }
                Ok(_) => None,
            };
            if let Some(wrong) = wrong {
                self.fault(id, wrong);
            }
            each(bytes)?;
        }
        if let Some((id, hash)) = self.base
            && self.links.get(&id).is_some_and(|link| link.segment.bin != hash)
        {
            self.fault(id, format!("{BASE}: does not stand for {id}.bin"));
        }
        Ok(())
    }
}

/// Snapshots by their ids, in words.
pub fn snapshots_in_words(ids: &[u64]) -> String {
    match ids {
        [] => "no snapshot".to_owned(),
        [id] => format!("snapshot {id}"),
        [first, .., last] => format!("{} snapshots ({first} to {last})", ids.len()),
    }
}

/// What is wrong with a `.snap` that is not the one that the chain was opened with.
pub(crate) fn changed(id: u64) -> String {
    format!("{id}.snap: was another file when the chain was opened: somebody writes to the directory")
}

/// The names in a chain's directory.
struct ChainNames {
    snaps: BTreeSet<u64>,
    /// With their sizes.
    bins: BTreeMap<u64, u64>,
    base: bool,
}

impl ChainNames {
    fn list(dir: &Path) -> Result<Self> {
        let mut files = Self { snaps: BTreeSet::new(), bins: BTreeMap::new(), base: false };
        for (kind, name) in durable::files_in(dir)? {
            match kind {
                Name::Snap(id) => drop(files.snaps.insert(id)),
                Name::Bin(id) => {
                    let size = fs::symlink_metadata(dir.join(name)).map_err(|error| Failure::io(dir, &error))?.len();
                    files.bins.insert(id, size);
                }
                Name::Base => files.base = true,
                _ => {}
            }
        }
        Ok(files)
    }
}

/// Takes pages without a use for them.
struct Nowhere;

impl PageSink for Nowhere {
    fn space(&mut self, _: u8, _: u32, _: u64) -> std::result::Result<(), stepmark_state::error::JobError> {
        Ok(())
    }

    fn page(
        &mut self,
        _: u8,
        _: u32,
        _: u64,
        _: &[u8; 4096],
    ) -> std::result::Result<(), stepmark_state::error::JobError> {
        Ok(())
    }
}

/// Reads the `.bin` called `name` to its end, giving its pages to `sink`.
///
/// # Errors
/// Exit code 74 when it cannot be read, 65 when it is no canonical `.bin` or the sink refuses.
pub fn read_bin(dir: &Path, name: &str, sink: &mut dyn PageSink) -> Result<BinFooter> {
    let mut file = Foreign::within(dir, name, ForeignKind::Bin)?;
    let path = file.path().display().to_string();
    let refused = |error: stepmark_state::error::JobError| {
        Failure::new(error.exit_code(), format!("{path}: {}", error.message()))
    };
    let mut reader = BinReader::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = file.read_chunk(&mut chunk)?;
        match chunk.get(..length) {
            Some([]) | None => return reader.finish().map_err(refused),
            Some(bytes) => reader.push(bytes, sink).map_err(refused)?,
        }
    }
}

/// Checks that a `.bin` is whole and canonical.
pub(crate) fn check_bin(dir: &Path, name: &str) -> Result<BinFooter> {
    read_bin(dir, name, &mut Nowhere)
}
