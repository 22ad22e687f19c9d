//! A segment witness: a snapshot's state, the pages of memory that the segment after it touches, and the hashes beside them,
//! so that whoever has the program can execute the segment without the rest of the memory and learn what it leads to. The
//! format is in docs/snapshot-format.md. What is decoded here is only well-formed: a run begins from a [`ClosedWitness`].
//! Nothing of this is in the node: it is for verifiers that link the library.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

mod closed;

use std::collections::BTreeMap;

use crate::VERSION;
use crate::bin::{BinHeader, BinReader, BinWriter, PageSink};
use crate::snap;
use crate::snap::{MAX_SNAP, RawSnapshot};
use stepmark_state::encoding::{is_zero, take};
use stepmark_state::error::JobError;
use stepmark_state::merkle::each_sibling;
use stepmark_state::paged::Page;
use stepmark_state::pages::PAGE;
use stepmark_state::pages::SpaceId;

pub use closed::{ClosedWitness, Growth, is_recorded_by_page, refuse_answers};

/// First 8 bytes of a witness.
pub const MAGIC: [u8; 8] = *b"GI-WITN\n";
/// Bytes of the hash at the end.
const TRAILER_LEN: usize = 32;

/// Pages of a space by index. One that is all zero has no contents: it takes 16 bytes of a file and must not take 4,096 here.
pub type SpacePages = BTreeMap<u64, Option<Box<Page>>>;

/// The contents of a page.
pub fn contents(page: &Option<Box<Page>>) -> &Page {
    static ZERO: Page = [0; PAGE];
    page.as_deref().unwrap_or(&ZERO)
}

/// What is kept of a page.
pub fn kept(contents: &Page) -> Option<Box<Page>> {
    (!is_zero(contents)).then(|| Box::new(*contents))
}

/// A decoded witness: well-formed, and nothing more.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The snapshot that the segment starts from.
    pub snapshot: RawSnapshot,
    /// Its bytes.
    pub snap: Vec<u8>,
    /// Contents of the pages that are here, by space.
    pub pages: BTreeMap<SpaceId, SpacePages>,
    /// Hashes of the subtrees beside them, of every space of the state, in the order of [`siblings`](stepmark_state::merkle::siblings).
    pub hashes: BTreeMap<SpaceId, Vec<[u8; 32]>>,
}

impl Witness {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(self.snap.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.snap);
        let mut writer = BinWriter::new(&self.header(), &mut out);
        for (SpaceId { kind, index }, pages) in self.pages.iter().filter(|(_, pages)| !pages.is_empty()) {
            writer.space(*kind, *index, pages.len() as u64, &mut out);
            for (index, page) in pages {
                writer.page(*index, contents(page), &mut out);
            }
        }
        writer.finish(&mut out);
        for hash in self.hashes.values().flatten() {
            out.extend_from_slice(hash);
        }
        let hash = *blake3::hash(&out).as_bytes();
        out.extend_from_slice(&hash);
        out
    }

    /// The pages are written as a `.bin` that follows the snapshot's own.
    fn header(&self) -> BinHeader {
        let segment = &self.snapshot.segment;
        let id = segment.id.saturating_add(1);
        BinHeader { base: false, paused: false, id, job_hash: self.snapshot.job.job_hash(), previous: segment.bin }
    }

    /// Reads a witness.
    ///
    /// # Errors
    /// A snapshot error if the bytes are not what [`encode`](Self::encode) makes of some witness.
    pub fn decode(bytes: &[u8]) -> Result<Witness, JobError> {
        let refused = |why: &str| JobError::snapshot(format!("witness: {why}"));
        let body = bytes.len().checked_sub(TRAILER_LEN).and_then(|end| bytes.split_at_checked(end));
        let Some((body, trailer)) = body else { return Err(refused("cut short")) };
        let mut rest = body;
        if take(&mut rest) != Some(MAGIC) {
            return Err(refused("no witness: unknown magic at byte 0"));
        }
        if take(&mut rest).map(u32::from_le_bytes) != Some(VERSION) {
            return Err(refused(&format!("expected format version {VERSION} at byte 8")));
        }
        if blake3::hash(body).as_bytes() != trailer {
            return Err(refused("its hash does not match: damaged"));
        }
        let length = take(&mut rest).map(u64::from_le_bytes).filter(|length| *length <= MAX_SNAP);
        let snap = length.and_then(|length| rest.split_at_checked(usize::try_from(length).ok()?));
        let (snap, rest) = snap.ok_or_else(|| refused("cut short in the .snap"))?;
        let mut witness = Witness {
            snapshot: snap::decode(snap).map_err(|e| e.context("witness"))?,
            snap: snap.to_vec(),
            pages: BTreeMap::new(),
            hashes: BTreeMap::new(),
        };
        if witness.snapshot.segment.paused {
            return Err(refused("of a paused snapshot, expected one of a chain"));
        }
        witness.pages_and_hashes(rest)?;
        if witness.encode() != bytes {
            return Err(refused("not in canonical form"));
        }
        Ok(witness)
    }

    /// Reads what follows the `.snap`. How long the pages are follows from how many hashes come after them.
    fn pages_and_hashes(&mut self, rest: &[u8]) -> Result<(), JobError> {
        let mut collected = Collect(BTreeMap::new());
        let mut reader = BinReader::new();
        let mut left = rest;
        while reader.is_open() {
            let Some((chunk, after)) = left.split_at_checked(reader.wants().max(1)) else {
                return Err(JobError::snapshot("witness: cut short in the pages"));
            };
            reader.push(chunk, &mut collected).map_err(|e| e.context("witness"))?;
            left = after;
        }
        let footer = reader.finish().map_err(|e| e.context("witness"))?;
        if footer.header != self.header() {
            return Err(JobError::snapshot("witness: the pages are not of this snapshot"));
        }
        self.pages = collected.0;
        for space in &self.snapshot.state.spaces {
            let number = space.id();
            let pages: Vec<u64> = self.pages.get(&number).into_iter().flatten().map(|(page, _)| *page).collect();
            let mut hashes = Vec::new();
            each_sibling(&pages, |_, _| {
                let hash = take(&mut left).ok_or_else(|| JobError::snapshot("witness: cut short in the hashes"))?;
                hashes.push(hash);
                Ok::<(), JobError>(())
            })?;
            self.hashes.insert(number, hashes);
        }
        Ok(())
    }
}

/// Keeps pages.
struct Collect(BTreeMap<SpaceId, SpacePages>);

impl PageSink for Collect {
    fn space(&mut self, _: u8, _: u32, _: u64) -> Result<(), JobError> {
        // A space is kept with its first page: one without pages is not in a canonical file.
        Ok(())
    }

    fn page(&mut self, kind: u8, index: u32, page: u64, contents: &Page) -> Result<(), JobError> {
        self.0.entry(SpaceId::new(kind, index)).or_default().insert(page, kept(contents));
        Ok(())
    }
}
