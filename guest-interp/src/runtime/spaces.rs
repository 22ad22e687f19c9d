//! The paged contents of a state: every memory and every table as a space of 4 KiB pages with a Merkle tree of its own,
//! kept up to date from the dirty marks, so that a root and a `.bin` cost what changed.

use super::Store;
use super::memory::DIRTY_PAGE;
use super::table::PAGE_ELEMENTS;
use crate::error::Error;
use crate::snapshot::bin::{BinHeader, BinWriter, PageSink};
use crate::snapshot::merkle::PageTree;
use crate::snapshot::state::SpaceState;
use crate::snapshot::{SPACE_MEMORY, SPACE_TABLE};

/// Bytes that a `.bin` is produced in at a time, at least.
const CHUNK: usize = 64 << 10;

type Page = [u8; DIRTY_PAGE];

/// Number of a space: its kind and its address in the store.
type Number = (u8, u32);

/// The Merkle trees of all spaces, as of the last snapshot.
#[derive(Clone, Debug, Default)]
pub struct Spaces {
    trees: Vec<(Number, PageTree)>,
}

impl Spaces {
    /// The spaces of a state none of whose dirty pages has been hashed yet, such as state 0.
    pub fn new(store: &mut Store) -> Spaces {
        let memories = (0..store.memories.len()).map(|i| (SPACE_MEMORY, i as u32));
        let tables = (0..store.tables.len()).map(|i| (SPACE_TABLE, i as u32));
        let mut spaces = Spaces { trees: memories.chain(tables).map(|number| (number, PageTree::new())).collect() };
        spaces.update(store);
        spaces
    }

    /// Takes every dirty page into its tree and clears the marks.
    pub fn update(&mut self, store: &mut Store) {
        for (number, tree) in &mut self.trees {
            for page in 0..store.page_count(*number) {
                if store.take_dirty(*number, page) {
                    tree.update(page as u64, &store.page(*number, page));
                }
            }
        }
    }

    /// Number, size and root of each.
    pub fn states(&mut self, store: &Store) -> Vec<SpaceState> {
        let state = |(number, tree): &mut (Number, PageTree)| SpaceState {
            kind: number.0,
            index: number.1,
            pages: store.page_count(*number) as u64,
            root: tree.root(),
        };
        self.trees.iter_mut().map(state).collect()
    }
}

/// A `.bin` in the making: the pages whose contents changed, produced in chunks.
#[derive(Debug)]
pub struct Delta {
    writer: BinWriter,
    /// Pages that changed, in order; their trees know them already.
    changed: Vec<(Number, Vec<u64>)>,
    space: usize,
    page: usize,
}

impl Delta {
    /// Hashes the dirty pages, takes them into the trees, clears their marks, and begins the file with those that really
    /// changed. The store must stay as it is until the last chunk.
    pub fn new(spaces: &mut Spaces, store: &mut Store, header: &BinHeader, out: &mut Vec<u8>) -> Delta {
        let mut changed = Vec::new();
        for (number, tree) in &mut spaces.trees {
            let mut pages = Vec::new();
            for page in 0..store.page_count(*number) {
                if store.take_dirty(*number, page) && tree.update(page as u64, &store.page(*number, page)) {
                    pages.push(page as u64);
                }
            }
            if !pages.is_empty() {
                changed.push((*number, pages));
            }
        }
        Delta { writer: BinWriter::new(header, out), changed, space: 0, page: 0 }
    }

    /// Appends the next chunk; `false` when only the end of the file is missing.
    pub fn produce(&mut self, store: &Store, out: &mut Vec<u8>) -> bool {
        while out.len() < CHUNK {
            let Some((number, pages)) = self.changed.get(self.space) else { return false };
            if self.page == 0 {
                self.writer.space(number.0, number.1, pages.len() as u64, out);
            }
            let page = pages[self.page];
            self.writer.page(page, &store.page(*number, page as usize), out);
            self.page += 1;
            if self.page == pages.len() {
                (self.space, self.page) = (self.space + 1, 0);
            }
        }
        true
    }

    /// Appends the end of the file; its hash.
    pub fn finish(self, out: &mut Vec<u8>) -> [u8; 32] {
        self.writer.finish(out)
    }
}

/// The dirty marks of all memories and tables.
pub type DirtyMarks = Vec<Vec<u8>>;

impl Store {
    fn marks(&mut self) -> impl Iterator<Item = &mut Vec<u8>> {
        self.memories.iter_mut().map(|m| &mut m.dirty).chain(self.tables.iter_mut().map(|t| &mut t.dirty))
    }

    /// A copy of all dirty marks.
    pub fn dirty_marks(&mut self) -> DirtyMarks {
        self.marks().map(|marks| marks.clone()).collect()
    }

    /// Puts the dirty marks back to what they were.
    pub fn set_dirty_marks(&mut self, marks: DirtyMarks) {
        for (place, marks) in self.marks().zip(marks) {
            *place = marks;
        }
    }

    /// Marks every page: which ones changed is left to their hashes.
    pub(crate) fn mark_all(&mut self) {
        self.marks().for_each(|marks| marks.fill(1));
    }

    /// Pages of 4 KiB of a space.
    fn page_count(&self, (kind, index): Number) -> usize {
        match kind {
            SPACE_MEMORY => self.memories[index as usize].dirty.len(),
            _ => self.tables[index as usize].dirty.len(),
        }
    }

    /// Clears the mark of a page; was it set.
    fn take_dirty(&mut self, (kind, index): Number, page: usize) -> bool {
        let dirty = match kind {
            SPACE_MEMORY => &mut self.memories[index as usize].dirty,
            _ => &mut self.tables[index as usize].dirty,
        };
        std::mem::take(&mut dirty[page]) != 0
    }

    /// The contents of a page; beyond the last element of a table zeros.
    fn page(&self, (kind, index): Number, page: usize) -> Page {
        let mut contents = [0; DIRTY_PAGE];
        match kind {
            SPACE_MEMORY => {
                contents.copy_from_slice(&self.memories[index as usize].bytes[page * DIRTY_PAGE..][..DIRTY_PAGE])
            }
            _ => {
                let elements = &self.tables[index as usize].elements[page * PAGE_ELEMENTS..];
                for (element, bytes) in elements.iter().zip(contents.chunks_exact_mut(8)) {
                    bytes.copy_from_slice(&element.to_le_bytes());
                }
            }
        }
        contents
    }

    /// Replaces the contents of a page, unmarked: the caller takes it into the tree.
    fn set_page(&mut self, (kind, index): Number, page: usize, contents: &Page) {
        match kind {
            SPACE_MEMORY => {
                self.memories[index as usize].bytes[page * DIRTY_PAGE..][..DIRTY_PAGE].copy_from_slice(contents)
            }
            _ => {
                let elements = &mut self.tables[index as usize].elements[page * PAGE_ELEMENTS..];
                for (element, bytes) in elements.iter_mut().zip(contents.as_chunks().0) {
                    *element = u64::from_le_bytes(*bytes);
                }
            }
        }
    }
}

/// Receives the pages of the `.bin` files of a chain.
#[derive(Debug)]
pub struct Restore<'a> {
    /// The store whose memories and tables have the sizes of the snapshot being restored.
    pub store: &'a mut Store,
    /// Its spaces.
    pub spaces: &'a mut Spaces,
}

/// A space in messages.
fn shown((kind, index): Number) -> String {
    format!("{} {index}", crate::snapshot::space_name(kind).unwrap_or("space"))
}

impl Restore<'_> {
    fn present(&self, number: Number) -> Result<u64, Error> {
        let known = self.spaces.trees.iter().any(|(n, _)| *n == number);
        if !known {
            return Err(Error::snapshot(format!("{} is none of the program's", shown(number))));
        }
        Ok(self.store.page_count(number) as u64)
    }
}

impl PageSink for Restore<'_> {
    fn space(&mut self, kind: u8, index: u32, pages: u64) -> Result<(), Error> {
        let present = self.present((kind, index))?;
        if pages > present {
            let name = shown((kind, index));
            return Err(Error::snapshot(format!("{name}: {pages} changed pages, it has {present}")));
        }
        Ok(())
    }

    fn page(&mut self, kind: u8, index: u32, page: u64, contents: &Page) -> Result<(), Error> {
        let number = (kind, index);
        let present = self.present(number)?;
        if page >= present {
            return Err(Error::snapshot(format!("{}: page {page}, it has {present}", shown(number))));
        }
        self.store.set_page(number, page as usize, contents);
        let tree = self.spaces.trees.iter_mut().find(|(n, _)| *n == number);
        // What is beyond the last element of a table is read as zeros: compare what was kept, not what was sent.
        let kept = self.store.page(number, page as usize);
        let changed = tree.is_some_and(|(_, tree)| tree.update(page, &kept));
        if kept != *contents {
            return Err(Error::snapshot(format!("{}: page {page} has elements beyond the end", shown(number))));
        }
        if !changed {
            return Err(Error::snapshot(format!("{}: page {page} is there, but did not change", shown(number))));
        }
        Ok(())
    }
}
