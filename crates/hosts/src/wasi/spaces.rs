//! What the file system shows of itself to the rest of the node: its spaces of pages, and the files that the program leaves
//! behind.

use super::Wasi;
use super::fs::{Delivery, MAX_PATH};
use stepmark_state::error::JobError;
use stepmark_state::merkle::PageTree;
use stepmark_state::paged::{Page, Paged};
use stepmark_state::pages::SPACE_FILE;
use stepmark_state::pages::SpaceId;

impl Paged for Wasi {
    fn numbers(&self) -> Vec<SpaceId> {
        self.fs.written().map(|file| SpaceId::new(SPACE_FILE, file)).collect()
    }

    fn page_count(&self, SpaceId { index: file, .. }: SpaceId) -> usize {
        self.fs.page_count(file)
    }

    fn marks(&mut self, SpaceId { index: file, .. }: SpaceId) -> &mut [u8] {
        self.fs.marks(file)
    }

    fn page(&self, SpaceId { index: file, .. }: SpaceId, page: usize) -> Page {
        self.fs.page(file, page)
    }

    fn set_page(&mut self, SpaceId { index: file, .. }: SpaceId, page: usize, contents: &Page) {
        self.fs.set_page(file, page, contents);
    }

    fn initial(&self, SpaceId { index: file, .. }: SpaceId) -> PageTree {
        self.fs.initial_tree(file)
    }
}

/// A file that the program leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftFile {
    /// Its path from the root, without a leading slash: names that a host may still have to refuse.
    pub path: String,
    /// Its length in bytes.
    pub length: u64,
    /// The file itself, which may have several names.
    pub node: u32,
}

impl LeftFile {
    /// Whether its path is longer than any that can be opened.
    pub fn is_beyond_paths(&self) -> bool {
        self.path.len() > MAX_PATH
    }
}

/// A walk through the files that the program leaves behind.
#[derive(Clone, Debug)]
pub struct LeftFiles(Delivery);

impl Wasi {
    /// The files that are not there as the job gave them: made, written to or moved. Links and directories are not among
    /// them.
    pub fn left_files(&self) -> LeftFiles {
        LeftFiles(Delivery::new())
    }

    /// The next file of a walk.
    pub fn next_left(&self, walk: &mut LeftFiles) -> Option<LeftFile> {
        let (path, node) = walk.0.next(&self.fs)?;
        Some(LeftFile { path, node, length: self.fs.length(node).unwrap_or_default() })
    }

    /// Some of the bytes of a file from `at` on, at most `most`; none at its end.
    pub fn left_bytes(&self, file: &LeftFile, at: u64, most: u64) -> &[u8] {
        self.fs.bytes(file.node, at, most)
    }

    /// Checks the contents of restored files, once all their pages have come.
    ///
    /// # Errors
    /// A file holds something beyond its end.
    pub fn check_files(&self) -> Result<(), JobError> {
        self.fs.check_contents()
    }
}
