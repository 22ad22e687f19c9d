//! A snapshot as users name it: `DIR` or `DIR@ID`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::snap;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::canonical::SegmentRecord;
use stepmark_state::error::JobError;

use crate::chain::durable::{self, Name, PAUSE, PAUSE_NOTE};
use crate::failure::{Failure, Result};
use crate::foreign::{self, Foreign, ForeignKind};
use crate::strict;
use crate::terminal::quoted;

/// A snapshot in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRef {
    /// The directory.
    pub dir: PathBuf,
    /// Which of its snapshots.
    pub id: SnapshotName,
}

impl SnapshotRef {
    /// The snapshot that `DIR[@ID]` names: without an id the pause of the directory, else its highest snapshot. An `@` that
    /// is no part of an id belongs to the directory.
    ///
    /// # Errors
    /// Exit code 2 for a directory that is not there, 74 for one that cannot be read, 65 for one without snapshots.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_or(text, latest)
    }

    /// As [`parse`](Self::parse), for those who only look: without an id the pause, else the kept end, else the highest snapshot.
    ///
    /// # Errors
    /// As those of [`parse`](Self::parse).
    pub fn to_look_at(text: &str) -> Result<Self> {
        let is_kept = |dir: &Path, id: &SnapshotName| foreign::is_there(dir, &format!("{id}.snap"));
        Self::parse_or(text, |dir| {
            let outside = [SnapshotName::Paused, SnapshotName::Final].into_iter().find(|id| is_kept(dir, id));
            outside.map_or_else(|| latest(dir), Ok)
        })
    }

    fn parse_or(text: &str, default: impl Fn(&Path) -> Result<SnapshotName>) -> Result<Self> {
        let is_id = |id: &str| {
            matches!(id, "paused" | "final") || (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
        };
        match text.rsplit_once('@') {
            Some((dir, id)) if is_id(id) && !Path::new(text).is_dir() => {
                Ok(Self::new(dir, id.parse().map_err(|error: JobError| error.context(text))?))
            }
            _ => Ok(Self::new(text, default(Path::new(text))?)),
        }
    }

    /// Snapshot `id` of `dir`.
    pub fn new(dir: impl Into<PathBuf>, id: SnapshotName) -> Self {
        Self { dir: dir.into(), id }
    }

    /// Path of the `.snap`.
    pub fn snap_path(&self) -> PathBuf {
        self.dir.join(format!("{}.snap", self.id))
    }

    /// Bytes of the `.snap`.
    ///
    /// # Errors
    /// Exit code 2 when it is not there, 74 when it cannot be read, 65 when it is longer than any.
    pub fn read_bytes(&self) -> Result<Vec<u8>> {
        match Foreign::find_within(&self.dir, &format!("{}.snap", self.id), ForeignKind::Snap)? {
            Some(file) => file.bytes(),
            None => Err(self.missing()?),
        }
    }

    /// Says that there is no such snapshot, and which there are.
    #[cold]
    fn missing(&self) -> Result<Failure> {
        let dir = self.dir.display();
        let ids: BTreeSet<u64> = snapshots_in(&self.dir)?.collect();
        let there = match (ids.first(), ids.last()) {
            (Some(first), Some(last)) if first == last => format!("there is snapshot {first}"),
            (Some(first), Some(last)) => format!("there are {} snapshots, {first} to {last}", ids.len()),
            _ => "there is no snapshot".to_owned(),
        };
        let what = match self.id {
            SnapshotName::Number(id) => format!("{dir}: has no snapshot {id}: {there}"),
            SnapshotName::Paused => format!("{dir}: has no pause: {there}"),
            SnapshotName::Final => {
                format!("{dir}: has no state at the end, which a run leaves with --keep-final: {there}")
            }
        };
        Ok(Failure::usage(what))
    }

    /// The `.snap`, decoded.
    ///
    /// # Errors
    /// As [`read_bytes`](Self::read_bytes), and 65 when it is not well-formed.
    pub fn read(&self) -> Result<RawSnapshot> {
        self.decode(&self.read_bytes()?)
    }

    /// As [`read`](Self::read), for who wants to go on from here, and may go on from an earlier one.
    ///
    /// # Errors
    /// As those of [`read`](Self::read), with what to do.
    pub fn read_to_go_on(&self) -> Result<RawSnapshot> {
        self.read().map_err(|failure| {
            let is_before = |id: &u64| !matches!(self.id, SnapshotName::Number(this) if *id >= this);
            let before = snapshots_in(&self.dir).ok().and_then(|ids| ids.filter(is_before).max());
            let is_there = foreign::is_there(&self.dir, &format!("{}.snap", self.id));
            match before.filter(|_| is_there) {
                Some(id) => failure.help(self.go_on_before(id)),
                None => failure,
            }
        })
    }

    fn go_on_before(&self, id: u64) -> String {
        let place = quoted(&format!("{}@{id}", self.dir.display()));
        format!("bring it back, or go on from before it: stepmark resume {place} --overwrite")
    }

    /// Decodes the bytes of this snapshot, which were read.
    ///
    /// # Errors
    /// Exit code 65 when they are not well-formed.
    pub fn decode(&self, bytes: &[u8]) -> Result<RawSnapshot> {
        let raw = snap::decode(bytes);
        raw.map_err(|error| Failure::data(format!("{}: {}", self.snap_path().display(), error.message())))
    }

    /// Checks that a snapshot of this directory follows the one before it, where that is there, or the start of the run.
    /// What a pause follows must be there.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_follows(&self, raw: &RawSnapshot) -> std::result::Result<(), String> {
        let segment = &raw.segment;
        let id = if segment.paused { segment.id } else { segment.id.saturating_sub(1) };
        let before = Self::new(&self.dir, SnapshotName::Number(id));
        if id == 0 {
            return check_follows(segment, raw.state.gas_total, ([0; 32], 0));
        }
        if !segment.paused && !foreign::is_there(&self.dir, &format!("{id}.snap")) {
            return Ok(());
        }
        let before = before.read().map_err(|failure| format!("what it follows: {}", failure.what()))?;
        if before.job != raw.job {
            return Err(format!("is of another job than {id}.snap, which it follows"));
        }
        check_follows(segment, raw.state.gas_total, (before.hash, before.state.gas_total))
    }

    /// Checks that the changes of memory are there that lead to this state, after so many snapshots.
    ///
    /// # Errors
    /// Exit code 65 that says what is not, and where it may be.
    fn check_builds_on(&self, snapshots: u64) -> Result<()> {
        let names = durable::files_in(&self.dir)?;
        if names.iter().any(|(kind, _)| *kind == Name::Base) {
            return Ok(());
        }
        let bins: BTreeSet<u64> =
            names.iter().filter_map(|(kind, _)| if let Name::Bin(id) = kind { Some(*id) } else { None }).collect();
        let Some(first) = (1..=snapshots).find(|id| !bins.contains(id)) else { return Ok(()) };
        let last = bins.range(first..).next().map_or(snapshots, |next| (next - 1).min(snapshots));
        let (dir, this) = (self.dir.display(), self.id);
        let failure = Failure::data(format!("{dir}: {first}.bin is not there, on which {this}.snap builds"));
        Err(failure.help(match (first, last) {
            (1, 1) => "copy 1.bin and 1.snap from the directory that the run went on from".to_owned(),
            (1, last) => {
                format!("copy 1.bin to {last}.bin and {last}.snap from the directory that the run went on from")
            }
            _ => self.go_on_before(first - 1),
        }))
    }

    /// Whether the run that came to here refilled its gas after a snapshot: the pause says it, or the receipt. A run of which
    /// neither is there was killed, and went on until then: one without a refill ends with a receipt at once.
    pub fn was_refilled(&self) -> bool {
        let read = |name: &str| foreign::read_within(&self.dir, name, ForeignKind::Text).ok();
        let said = |name: &str| Some(strict::parse(&read(name)?).unwrap_or_default());
        if let Some(note) = said(PAUSE_NOTE) {
            return note["refill"] == true;
        }
        if let Some(receipt) = said("receipt.json") {
            return receipt["runner"]["refill"] == true;
        }
        let SnapshotName::Number(last) = self.id else { return false };
        let ids = snapshots_in(&self.dir).map(|ids| ids.collect::<BTreeSet<u64>>()).unwrap_or_default();
        let is_whole = u64::try_from(ids.len()) == Ok(last) && ids.last() == Some(&last);
        is_whole && !["result.txt", PAUSE[0]].iter().any(|name| foreign::is_there(&self.dir, name))
    }

    /// What a run that goes on from here starts from, in words. Nothing is said of what is no snapshot: the node says that.
    ///
    /// # Errors
    /// Exit code 2 when it is not there, 65 when it does not follow the snapshots beside it.
    pub fn start(&self) -> Result<Option<String>> {
        let bytes = self.read_bytes()?;
        let Ok(raw) = self.decode(&bytes) else { return Ok(None) };
        self.check_builds_on(raw.segment.id)?;
        self.check_follows(&raw).map_err(|what| {
            let failure = Failure::data(format!("{}: {what}", self.snap_path().display()));
            failure.help("name another snapshot to start from as DIR@ID")
        })?;
        let what = match (raw.segment.paused, raw.segment.id) {
            (true, 0) => "the pause before snapshot 1".to_owned(),
            (true, id) => format!("the pause after snapshot {id}"),
            (false, id) => format!("snapshot {id}"),
        };
        let (shown, gas) = (self.snap_path().display().to_string(), raw.state.gas_total);
        Ok(Some(format!("going on from {what} ({shown}, {gas} gas in total), which is taken on trust")))
    }
}

/// The pause of a directory, else its highest snapshot.
fn latest(dir: &Path) -> Result<SnapshotName> {
    if foreign::is_there(dir, "paused.snap") {
        return Ok(SnapshotName::Paused);
    }
    let none = || Failure::data(format!("{}: holds no snapshot to resume from", dir.display()));
    snapshots_in(dir)?.max().map(SnapshotName::Number).ok_or_else(none)
}

/// Ids of the snapshots in a directory.
fn snapshots_in(dir: &Path) -> Result<impl Iterator<Item = u64>> {
    Ok(durable::files_in(dir)?.into_iter().filter_map(|(kind, _)| match kind {
        Name::Snap(id) => Some(id),
        _ => None,
    }))
}

/// Checks that a segment goes on from a snapshot with this hash and so much gas in total; of the start both are zero.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_follows(
    segment: &SegmentRecord,
    gas_total: u64,
    (hash, gas): ([u8; 32], u64),
) -> std::result::Result<(), String> {
    let before = if segment.paused { segment.id } else { segment.id.saturating_sub(1) };
    let before = if before == 0 { "the start of the run".to_owned() } else { format!("{before}.snap") };
    if segment.previous_snap != hash {
        return Err(format!("does not follow {before}: files of two chains are mixed"));
    }
    match gas.checked_add(segment.gas_used) == Some(gas_total) {
        true => Ok(()),
        false => Err(format!("{gas_total} gas in total, expected {gas} and the segment's {}", segment.gas_used)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn without_an_id_the_pause_comes_first_and_then_the_highest() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let dir = temporary.path().to_str().expect("UTF-8").to_owned();
        assert_eq!(SnapshotRef::parse(&dir).expect_err("empty").code(), 65);
        // Other spellings of a number are not names of ours, here as everywhere.
        for name in ["2.snap", "10.snap", "9.bin", "x.snap", "+77.snap", "0012.snap", "0.snap"] {
            fs::write(temporary.path().join(name), "").expect("a file");
        }
        assert_eq!(SnapshotRef::parse(&dir).expect("found"), SnapshotRef::new(&dir, SnapshotName::Number(10)));
        assert_eq!(
            SnapshotRef::parse(&format!("{dir}@2")).expect("given"),
            SnapshotRef::new(&dir, SnapshotName::Number(2))
        );
        fs::write(temporary.path().join("paused.snap"), "").expect("a file");
        assert_eq!(SnapshotRef::parse(&dir).expect("found"), SnapshotRef::new(&dir, SnapshotName::Paused));
    }

    #[test]
    fn who_only_looks_is_shown_the_end_before_the_highest() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let dir = temporary.path().to_str().expect("UTF-8").to_owned();
        for (name, expected) in
            [("2", SnapshotName::Number(2)), ("final", SnapshotName::Final), ("paused", SnapshotName::Paused)]
        {
            fs::write(temporary.path().join(format!("{name}.snap")), "").expect("a file");
            assert_eq!(SnapshotRef::to_look_at(&dir).expect("found"), SnapshotRef::new(&dir, expected));
        }
        assert_eq!(SnapshotRef::to_look_at(&format!("{dir}@2")).expect("given").id, SnapshotName::Number(2));
    }
}
