//! Making a chain smaller: the first `.bin` files become one base, which restores to the same states, and snapshots that
//! nobody wants to keep go. Whatever happens on the way, what could be restored before can be restored.

use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::bin::{BinHeader, BinWriter};
use stepmark_snapshot::snap::RawSnapshot;

use crate::chain::ChainFiles;
use crate::chain::durable::{BASE, OutputDir};
use crate::chain::snapshot_ref::SnapshotRef;
use crate::failure::{Failure, IO, Result};
use crate::foreign::{Foreign, ForeignKind};
use crate::interrupt::Interrupt;
use crate::job::rerun::Rerun;
use crate::job::search::file_hash;
use crate::node::engine::ModuleSession;
use crate::node::native::NativeNode;
use crate::state::LoadedState;

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Bytes of the `.bin` files that went.
    pub before: u64,
    /// Bytes of the base.
    pub after: u64,
    /// How many `.bin` files went.
    pub files: u64,
}

/// Folds `1.bin` to `{to}.bin` (and a base that is there already) into one base. The `.snap` files stay, so that the chain
/// can still be verified from its start.
///
/// # Errors
/// Exit code 65 when snapshot `to` cannot be restored, 74 when something cannot be written.
pub fn merge(chain: &ChainFiles, rerun: &Rerun, out: &OutputDir, to: u64) -> Result<Merged> {
    let raw = SnapshotRef::new(&chain.dir, SnapshotName::Number(to)).read()?;
    let header = base_header(&raw, to);
    let mut state = LoadedState::restore(raw.clone(), rerun, SnapshotName::Number(to))?;
    let after = write_base(&mut state, rerun, out, &header)?;
    check_base(raw, rerun, to)?;
    let mut merged = Merged { before: 0, after, files: 0 };
    // The first one first: without it the base is what counts.
    for (id, link) in chain.links.range(1..=to).filter(|(_, link)| link.bin_bytes > 0) {
        out.delete(&format!("{id}.bin"))?;
        merged.before = merged.before.saturating_add(link.bin_bytes);
        merged.files = merged.files.saturating_add(1);
    }
    Ok(merged)
}

/// Writes the base of a state.
fn write_base(state: &mut LoadedState, rerun: &Rerun, out: &OutputDir, header: &BinHeader) -> Result<u64> {
    let mut file = out.create(BASE)?;
    encode_base(state, rerun, header, &mut |bytes| file.write(bytes))?;
    file.commit()
}

/// Gives `write` the bytes of a base: the pages that differ from the run's start.
fn encode_base(
    state: &mut LoadedState,
    rerun: &Rerun,
    header: &BinHeader,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut start = NativeNode::new();
    start.load(&rerun.from_start(u64::MAX, false))?;
    rerun.supply().feed(&mut start, &Interrupt::new())?;
    let mut start = start.into_session().ok_or_else(|| Failure::data("the run cannot be started"))?;
    let changed = state.session_mut().pages_since_start(&mut start);
    drop(start);
    let mut bytes = Vec::new();
    let mut writer = BinWriter::new(header, &mut bytes);
    for (number, pages) in changed {
        writer.space(number.kind, number.index, u64::try_from(pages.len()).unwrap_or(u64::MAX), &mut bytes);
        for page in pages {
            writer.page(page, &state.session_mut().page(number, page), &mut bytes);
            write(&bytes)?;
            bytes.clear();
        }
    }
    writer.finish(&mut bytes);
    write(&bytes)
}

/// Compares the base of a chain with the one that its snapshot leads to, byte by byte: its `.snap` commits to the contents of
/// every space, and the run's start is known.
///
/// # Errors
/// Exit code 65 when it restores no state that the snapshot commits to, or has other pages than it must have.
pub fn verify_base(chain: &ChainFiles, rerun: &Rerun) -> Result<()> {
    let Some((id, _)) = chain.base else { return Ok(()) };
    let wrong = |what: &str| Failure::data(format!("{BASE}: {what}"));
    let place = SnapshotRef::new(&chain.dir, SnapshotName::Number(id));
    let raw = chain.snap_again(id).and_then(|bytes| place.decode(&bytes)).map_err(|failure| wrong(failure.what()))?;
    let header = base_header(&raw, id);
    let opened = rerun.as_opened(chain, id).map_err(|failure| wrong(failure.what()))?;
    let restored = LoadedState::restore(raw, &opened.without_first_bin(), SnapshotName::Number(id));
    let mut state =
        restored.map_err(|failure| wrong(&format!("does not restore snapshot {id}: {}", failure.what())))?;
    let mut expected = blake3::Hasher::new();
    encode_base(&mut state, rerun, &header, &mut |bytes| {
        expected.update(bytes);
        Ok(())
    })?;
    let found = file_hash(Foreign::within(&chain.dir, BASE, ForeignKind::Bin)?)?;
    match found == *expected.finalize().as_bytes() {
        true => Ok(()),
        false => Err(wrong(&format!("is not the base that snapshot {id} leads to"))),
    }
}

/// The header of the base that stands for the `.bin` files up to snapshot `id`.
fn base_header(raw: &RawSnapshot, id: u64) -> BinHeader {
    BinHeader { base: true, paused: false, id, job_hash: raw.job.job_hash(), previous: raw.segment.bin }
}

/// Restores from the base before anything that it stands for goes.
fn check_base(raw: RawSnapshot, rerun: &Rerun, to: u64) -> Result<()> {
    let restored = LoadedState::restore(raw, &rerun.without_first_bin(), SnapshotName::Number(to));
    let failed =
        |failure: Failure| Failure::new(IO, format!("{BASE}: does not restore snapshot {to}")).caused_by(failure);
    restored.map(|_| ()).map_err(failed)
}

/// Which snapshots to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The last ones, which can be restored.
    pub last: u64,
    /// The `.snap` of every so manieth one before, which cannot, but which a verification compares with.
    pub every: Option<u64>,
}

/// What a pruning comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// The first snapshot that can be restored after it; 0 where every one still can.
    pub first: u64,
    /// The snapshots that go.
    pub gone: Vec<u64>,
}

impl Pruning {
    /// What keeping these snapshots of a chain comes to.
    pub fn plan(chain: &ChainFiles, keep: Keep) -> Self {
        let first = chain.last().saturating_sub(keep.last.max(1).saturating_sub(1));
        if first <= 1 {
            return Self::default();
        }
        let is_kept = |id: u64| id >= first || keep.every.is_some_and(|every| id.is_multiple_of(every));
        Self { first, gone: chain.links.keys().copied().filter(|id| !is_kept(*id)).collect() }
    }

    /// Merges all but the last snapshots and removes those that nobody wants to keep.
    ///
    /// # Errors
    /// As those of [`merge`].
    pub fn execute(&self, chain: &ChainFiles, rerun: &Rerun, out: &OutputDir) -> Result<()> {
        if self.first > 0 && chain.base.is_none_or(|(base, _)| base < self.first) {
            merge(chain, rerun, out, self.first)?;
        }
        self.gone.iter().try_for_each(|id| out.delete(&format!("{id}.snap")))
    }
}
