//! The paged contents of a state: every memory, table and written file as a space of 4 KiB pages with a Merkle tree of its
//! own, kept up to date from the dirty marks, so that a root and a `.bin` cost what changed.

use crate::bin::{BinHeader, BinWriter, PageSink};
use stepmark_state::canonical::SpaceState;
use stepmark_state::error::JobError;
use stepmark_state::merkle::PageTree;
use stepmark_state::paged::{Page, Paged};
use stepmark_state::pages::SPACE_FILE;
use stepmark_state::pages::SpaceId;

/// Bytes that a `.bin` is produced in at a time, at least.
const CHUNK: usize = 64 << 10;

/// The Merkle trees of all spaces, as of the last snapshot.
#[derive(Clone, Debug, Default)]
pub struct Spaces {
    /// By ascending number.
    trees: Vec<(SpaceId, PageTree)>,
}

impl Spaces {
    /// The spaces of a state none of whose dirty pages has been hashed yet, such as state 0.
    pub fn new(contents: &mut dyn Paged) -> Spaces {
        let mut spaces = Spaces::default();
        spaces.update(contents);
        spaces
    }

    /// Takes every dirty page into its tree and clears the marks.
    pub fn update(&mut self, contents: &mut dyn Paged) {
        self.changed_pages(contents);
    }

    /// The same; the pages that really changed, by space, both ascending.
    fn changed_pages(&mut self, contents: &mut dyn Paged) -> Vec<(SpaceId, Vec<usize>)> {
        self.follow(contents);
        let mut changed = Vec::new();
        for (number, tree) in &mut self.trees {
            let dirty = take_marked(contents.marks(*number));
            let changes = |page: &usize| tree.update(*page as u64, &contents.page(*number, *page));
            let pages: Vec<usize> = dirty.into_iter().filter(changes).collect();
            if !pages.is_empty() {
                changed.push((*number, pages));
            }
        }
        changed
    }

    /// Begins the trees of spaces that are new, and forgets those of spaces that are gone.
    fn follow(&mut self, contents: &dyn Paged) {
        let mut known = std::mem::take(&mut self.trees).into_iter().peekable();
        for number in contents.numbers() {
            while known.next_if(|(other, _)| *other < number).is_some() {}
            let tree = known.next_if(|(other, _)| *other == number);
            self.trees.push(tree.unwrap_or_else(|| (number, contents.initial(number))));
        }
    }

    /// The tree of a space.
    pub fn tree(&mut self, number: SpaceId) -> Option<&mut PageTree> {
        let place = self.trees.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.trees.get_mut(place).map(|(_, tree)| tree)
    }

    /// SpaceId, size and root of each.
    pub fn states(&mut self, contents: &dyn Paged) -> Vec<SpaceState> {
        let state = |(number, tree): &mut (SpaceId, PageTree)| SpaceState {
            kind: number.kind,
            index: number.index,
            pages: contents.page_count(*number) as u64,
            root: tree.root(),
        };
        self.trees.iter_mut().map(state).collect()
    }
}

/// The marked pages, ascending; the marks are cleared. By the word: most pages of a large memory are not marked.
fn take_marked(marks: &mut [u8]) -> Vec<usize> {
    let mut marked = Vec::new();
    for (word, marks) in marks.chunks_mut(8).enumerate() {
        if marks.first_chunk().is_some_and(|bytes| u64::from_le_bytes(*bytes) == 0) {
            continue;
        }
        let pages = (word.saturating_mul(8)..).zip(marks);
        marked.extend(pages.filter_map(|(page, mark)| (std::mem::take(mark) != 0).then_some(page)));
    }
    marked
}

/// A `.bin` in the making: the pages whose contents changed, produced in chunks.
#[derive(Debug)]
pub struct Delta {
    writer: BinWriter,
    /// Pages that changed, in order; their trees know them already.
    changed: Vec<(SpaceId, Vec<usize>)>,
    space: usize,
    page: usize,
}

impl Delta {
    /// Hashes the dirty pages, takes them into the trees, clears their marks, and begins the file with those that really
    /// changed. The contents must stay as they are until the last chunk.
    pub fn new(spaces: &mut Spaces, contents: &mut dyn Paged, header: &BinHeader, out: &mut Vec<u8>) -> Delta {
        let changed = spaces.changed_pages(contents);
        Delta { writer: BinWriter::new(header, out), changed, space: 0, page: 0 }
    }

    /// Appends the next chunk; `false` when only the end of the file is missing.
    pub fn produce(&mut self, contents: &dyn Paged, out: &mut Vec<u8>) -> bool {
        while out.len() < CHUNK {
            let Some((number, pages)) = self.changed.get(self.space) else { return false };
            if self.page == 0 {
                self.writer.space(number.kind, number.index, pages.len() as u64, out);
            }
            match pages.get(self.page) {
                Some(page) => {
                    self.writer.page(*page as u64, &contents.page(*number, *page), out);
                    self.page = self.page.saturating_add(1);
                }
                None => (self.space, self.page) = (self.space.saturating_add(1), 0),
            }
        }
        true
    }

    /// Appends the end of the file; its hash.
    pub fn finish(self, out: &mut Vec<u8>) -> [u8; 32] {
        self.writer.finish(out)
    }
}

/// Receives the pages of the `.bin` files of a chain.
pub struct Restore<'a> {
    /// The contents, of the sizes of the snapshot being restored.
    pub contents: &'a mut dyn Paged,
    /// Their spaces.
    pub spaces: &'a mut Spaces,
    /// Memories and tables can be gone too: those of contracts that have returned.
    pub contracts: bool,
}

impl Restore<'_> {
    /// Pages of a space; none of one that is gone by the snapshot being restored, whose pages are passed over.
    fn present(&mut self, number: SpaceId) -> Result<Option<u64>, JobError> {
        match self.spaces.tree(number) {
            Some(_) => Ok(Some(self.contents.page_count(number) as u64)),
            None if number.kind == SPACE_FILE || self.contracts => Ok(None),
            None => Err(JobError::snapshot(format!("{} is none of the program's", number))),
        }
    }
}

impl PageSink for Restore<'_> {
    fn space(&mut self, kind: u8, index: u32, pages: u64) -> Result<(), JobError> {
        match self.present(SpaceId::new(kind, index))? {
            Some(present) if pages > present => {
                let name = SpaceId::new(kind, index);
                Err(JobError::snapshot(format!("{name}: {pages} changed pages, it has {present}")))
            }
            _ => Ok(()),
        }
    }

    fn page(&mut self, kind: u8, index: u32, page: u64, contents: &Page) -> Result<(), JobError> {
        let number = SpaceId::new(kind, index);
        let Some(present) = self.present(number)? else { return Ok(()) };
        let Some(place) = usize::try_from(page).ok().filter(|_| page < present) else {
            return Err(JobError::snapshot(format!("{}: page {page}, it has {present}", number)));
        };
        self.contents.set_page(number, place, contents);
        // What is beyond the last element of a table is read as zeros: compare what was kept, not what was sent.
        let kept = self.contents.page(number, place);
        let changed = self.spaces.tree(number).is_some_and(|tree| tree.update(page, &kept));
        if kept != *contents {
            return Err(JobError::snapshot(format!("{}: page {page} has elements beyond the end", number)));
        }
        if !changed {
            return Err(JobError::snapshot(format!("{}: page {page} is there, but did not change", number)));
        }
        Ok(())
    }
}
