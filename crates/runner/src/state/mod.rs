//! A state to look at: a snapshot restored natively, with its memory, and what it means in the terms of the program.

mod debug_info;
mod differences;
mod place;
mod sight;
mod view;

use stepmark_session::Session;
use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::snap;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::paged::Page;
use stepmark_state::pages::PAGE;
use stepmark_state::pages::SpaceId;

use crate::chain::snapshot_ref::SnapshotRef;
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::job::rerun::{GivenFiles, JobFiles, Rerun};
use crate::node::engine::ModuleSession;
use crate::node::native::NativeNode;

pub use debug_info::{SourceFrame, SourceLines};
pub(crate) use differences::Differences;
pub use differences::{Difference, differences, each_difference};
pub use place::{CallPlace, backtrace, backtrace_lines};
pub use sight::Sight;
pub(crate) use sight::check_range;
pub use view::{FrameView, FrameViews, StateView, value};

/// A restored snapshot.
pub struct LoadedState {
    /// The snapshot as it was read.
    pub raw: RawSnapshot,
    session: Session,
}

impl LoadedState {
    /// Restores a snapshot, also of a run that has ended; its files are found as [`JobFiles::find`] does.
    ///
    /// # Errors
    /// As those of resuming from it.
    pub fn open(place: &SnapshotRef, program: Option<&str>, files: &GivenFiles) -> Result<Self> {
        let raw = place.read()?;
        let files = JobFiles::find(&raw.job, program, files, &place.dir)?;
        let rerun = Rerun::new(raw.job.clone(), &files, &place.dir);
        Self::restore(raw, &rerun, place.id)
    }

    /// The state that these two files hold, beside the chain that they follow, where they count as snapshot `id`.
    ///
    /// # Errors
    /// As those of resuming from it.
    pub fn from_files(snap: &[u8], bin: &[u8], rerun: &Rerun, id: SnapshotName) -> Result<Self> {
        let raw = snap::decode(snap)?;
        let mut rerun = rerun.clone();
        rerun.snap(id, snap.to_vec());
        rerun.bin(id, bin.to_vec());
        Self::restore(raw, &rerun, id)
    }

    /// Restores a snapshot whose job's files are known.
    ///
    /// # Errors
    /// As those of resuming from it.
    pub fn restore(raw: RawSnapshot, rerun: &Rerun, id: SnapshotName) -> Result<Self> {
        let mut node = NativeNode::to_look_at();
        node.load(&rerun.from_snapshot(id, None, false))?;
        rerun.supply().feed(&mut node, &Interrupt::new())?;
        let session = node.into_session();
        let session = session.ok_or_else(|| Failure::data("the snapshot was not restored"))?;
        Ok(Self { raw, session })
    }

    /// The run that was restored.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The restored run, to compare or to run on.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Bytes of a space from `start` on, at most `length`; zeros beyond what is there.
    pub fn bytes(&mut self, number: SpaceId, start: u64, length: usize) -> Vec<u8> {
        bytes_of(|page| self.session.page(number, page), start, length)
    }
}

/// Bytes from `start` on, of the pages that `page_of` has.
pub(crate) fn bytes_of(mut page_of: impl FnMut(u64) -> Page, start: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    let page_size = u64::try_from(PAGE).unwrap_or(u64::MAX);
    let mut at = start;
    while bytes.len() < length {
        let page = page_of(at / page_size);
        let from = usize::try_from(at % page_size).unwrap_or(0);
        let rest = page.get(from..).unwrap_or_default();
        let take = rest.len().min(length.saturating_sub(bytes.len()));
        bytes.extend_from_slice(rest.get(..take).unwrap_or_default());
        at = at.saturating_add(u64::try_from(take.max(1)).unwrap_or(1));
    }
    bytes
}

/// Bytes as a dump of 16 a line, from address `start`.
pub fn hex_dump(start: u64, bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (number, line) in (0u64..).zip(bytes.chunks(16)) {
        let address = start.saturating_add(number.saturating_mul(16));
        let hex: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let text: String =
            line.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
        dump.push_str(&format!("  {address:#010x}  {hex:<48} {text}\n"));
    }
    dump
}
