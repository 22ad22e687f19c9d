//! A segment witness: a snapshot's state, the pages of memory that the segment after it touches, and the hashes beside them,
//! so that whoever has the program can execute the segment without the rest of the memory and learn what it leads to. The
//! format is in docs/snapshot-format.md. Nothing of this is in the node: it is for verifiers that link the library.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::runtime::{Access, DIRTY_PAGE, Machine, Watch};
use crate::snapshot::bin::{BinHeader, BinReader, BinWriter, PageSink};
use crate::snapshot::merkle::siblings;
use crate::snapshot::paged::{Number, Page};
use crate::snapshot::snap::{self, MAX_SNAP, RawSnapshot};
use crate::snapshot::{VERSION, take};

/// First 8 bytes of a witness.
pub const MAGIC: [u8; 8] = *b"GI-WITN\n";
/// log2 of the bytes of a page.
const PAGE_SHIFT: u32 = DIRTY_PAGE.trailing_zeros();
/// Bytes of the hash at the end.
const TRAILER_LEN: usize = 32;

/// Pages by space.
pub type Pages = BTreeMap<Number, BTreeSet<u64>>;

/// A decoded witness: well-formed, not yet checked against the program.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The snapshot that the segment starts from.
    pub snapshot: RawSnapshot,
    /// Its bytes.
    pub snap: Vec<u8>,
    /// Contents of the pages that are here, by space.
    pub pages: BTreeMap<Number, BTreeMap<u64, Page>>,
    /// Hashes of the subtrees beside them, of every space of the state, in the order of [`siblings`].
    pub hashes: BTreeMap<Number, Vec<[u8; 32]>>,
}

impl Witness {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(self.snap.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.snap);
        let mut writer = BinWriter::new(&self.header(), &mut out);
        for ((kind, index), pages) in self.pages.iter().filter(|(_, pages)| !pages.is_empty()) {
            writer.space(*kind, *index, pages.len() as u64, &mut out);
            for (page, contents) in pages {
                writer.page(*page, contents, &mut out);
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
    pub fn decode(bytes: &[u8]) -> Result<Witness, Error> {
        let refused = |why: &str| Error::snapshot(format!("witness: {why}"));
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
    fn pages_and_hashes(&mut self, rest: &[u8]) -> Result<(), Error> {
        let mut collected = Collect(BTreeMap::new());
        let mut reader = BinReader::new();
        let mut left = rest;
        while reader.is_open() {
            let Some((chunk, after)) = left.split_at_checked(reader.wants().max(1)) else {
                return Err(Error::snapshot("witness: cut short in the pages"));
            };
            reader.push(chunk, &mut collected).map_err(|e| e.context("witness"))?;
            left = after;
        }
        let footer = reader.finish().map_err(|e| e.context("witness"))?;
        if footer.header != self.header() {
            return Err(Error::snapshot("witness: the pages are not of this snapshot"));
        }
        self.pages = collected.0;
        for space in &self.snapshot.state.spaces {
            let number = (space.kind, space.index);
            let pages: Vec<u64> = self.pages.get(&number).into_iter().flatten().map(|(page, _)| *page).collect();
            let hashes: Option<Vec<_>> = siblings(&pages).iter().map(|_| take(&mut left)).collect();
            let hashes = hashes.ok_or_else(|| Error::snapshot("witness: cut short in the hashes"))?;
            self.hashes.insert(number, hashes);
        }
        Ok(())
    }
}

/// Keeps pages.
struct Collect(BTreeMap<Number, BTreeMap<u64, Page>>);

impl PageSink for Collect {
    fn space(&mut self, kind: u8, index: u32, _: u64) -> Result<(), Error> {
        self.0.insert((kind, index), BTreeMap::new());
        Ok(())
    }

    fn page(&mut self, kind: u8, index: u32, page: u64, contents: &Page) -> Result<(), Error> {
        self.0.entry((kind, index)).or_default().insert(page, *contents);
        Ok(())
    }
}

/// Tells which pages of memory an execution touches, or keeps it to some.
#[derive(Debug, Default)]
pub struct Touched {
    /// Only those that are there may be touched.
    is_closed: bool,
    so_far: Mutex<SoFar>,
}

#[derive(Debug, Default)]
struct SoFar {
    /// By memory and page.
    pages: BTreeSet<(u32, u64)>,
    /// Most accesses are to a page that was touched just before.
    last: Option<(u32, u64)>,
    /// The first page that was not there.
    missing: Option<(u32, u64)>,
}

impl Touched {
    /// Takes every page.
    pub fn open() -> Touched {
        Touched::default()
    }

    /// Lets no page be touched but these, by store address of the memory.
    pub fn closed(pages: BTreeSet<(u32, u64)>) -> Touched {
        Touched { is_closed: true, so_far: Mutex::new(SoFar { pages, ..SoFar::default() }) }
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pages so far.
    pub fn pages(&self) -> BTreeSet<(u32, u64)> {
        self.so_far().pages.clone()
    }

    /// Whether nothing was missing.
    ///
    /// # Errors
    /// A snapshot error that names the first page that was.
    pub fn check(&self) -> Result<(), Error> {
        match self.so_far().missing {
            None => Ok(()),
            Some((memory, page)) => {
                Err(Error::snapshot(format!("the segment touches page {page} of memory {memory}, which is not there")))
            }
        }
    }
}

impl Watch for Touched {
    fn before_step(&self, machine: &mut Machine) -> Result<(), Error> {
        machine.next_accesses().into_iter().try_for_each(|access| self.touch(access))?;
        self.check()
    }

    fn touch(&self, access: Access) -> Result<(), Error> {
        let Some(last) = access.length.checked_sub(1).map(|more| access.address.saturating_add(more)) else {
            return self.check();
        };
        let mut so_far = self.so_far();
        for page in access.address >> PAGE_SHIFT..=last >> PAGE_SHIFT {
            let key = (access.memory, page);
            if so_far.last == Some(key) {
                continue;
            }
            so_far.last = Some(key);
            if !self.is_closed {
                so_far.pages.insert(key);
            } else if !so_far.pages.contains(&key) {
                so_far.missing = so_far.missing.or(Some(key));
            }
        }
        drop(so_far);
        self.check()
    }
}
