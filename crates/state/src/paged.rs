//! Contents that are kept in pages, wherever they are: a memory, a table, a file. One piece of code hashes them, finds what
//! changed, writes a `.bin` and restores from one.

use crate::merkle::PageTree;
use crate::pages::{PAGE, SpaceId};

/// A page of a space.
pub type Page = [u8; PAGE];

/// A set of spaces. A number that it does not have is a bug of the caller.
pub trait Paged {
    /// The spaces, ascending.
    fn numbers(&self) -> Vec<SpaceId>;

    /// Pages of a space, the last one possibly in part.
    fn page_count(&self, number: SpaceId) -> usize;

    /// One byte for each page of a space: 1 if it may have changed since the last snapshot.
    fn marks(&mut self, number: SpaceId) -> &mut [u8];

    /// The contents of a page, filled up with zeros.
    fn page(&self, number: SpaceId, page: usize) -> Page;

    /// Replaces the contents of a page, unmarked: the caller takes it into the tree.
    fn set_page(&mut self, number: SpaceId, page: usize, contents: &Page);

    /// What a space holds before its first dirty page is looked at.
    fn initial(&self, number: SpaceId) -> PageTree;
}

/// The dirty marks of all spaces.
pub type DirtyMarks = Vec<Vec<u8>>;

/// A copy of all dirty marks.
pub fn dirty_marks(contents: &mut dyn Paged) -> DirtyMarks {
    contents.numbers().into_iter().map(|number| contents.marks(number).to_vec()).collect()
}

/// Puts the dirty marks back to what they were.
pub fn set_dirty_marks(contents: &mut dyn Paged, marks: &DirtyMarks) {
    for (number, marks) in contents.numbers().into_iter().zip(marks) {
        contents.marks(number).copy_from_slice(marks);
    }
}

/// Marks every page: which ones changed is left to their hashes.
pub fn mark_all(contents: &mut dyn Paged) {
    for number in contents.numbers() {
        contents.marks(number).fill(1);
    }
}
