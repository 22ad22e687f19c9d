//! What the tree is made of: files, directories and symbolic links, by number. A number is never given twice in a run.

use super::content::Content;
use super::sorted::Sorted;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A file, directory or link.
#[derive(Clone, Debug)]
pub(in crate::wasi) struct FileNode {
    pub(in crate::wasi) kind: NodeKind,
    /// Names that it has; without any it lives as long as a descriptor of it.
    pub(in crate::wasi) links: u32,
    pub(in crate::wasi) times: FileTimes,
}

/// Nanoseconds since 1970 on the program's own clock; 0 for what the job gave. Reading a file does not change its time of
/// access, as on systems that are mounted so: a state would change with every read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::wasi) struct FileTimes {
    pub(in crate::wasi) access: u64,
    pub(in crate::wasi) modification: u64,
    pub(in crate::wasi) change: u64,
}

impl FileTimes {
    /// All three at once.
    pub(super) fn all(now: u64) -> Self {
        Self { access: now, modification: now, change: now }
    }
}

/// What a node is.
#[derive(Clone, Debug)]
pub(in crate::wasi) enum NodeKind {
    Directory(Directory),
    File {
        length: u64,
        content: Content,
    },
    /// Where it leads.
    Link(String),
}

/// The entries of a directory, each at a position that it keeps: positions ascend in the order in which names were made, so
/// that a listing under way neither skips nor repeats what is there all the time.
#[derive(Clone, Debug)]
pub(in crate::wasi) struct Directory {
    /// The directory above; its own number for the root and for one that was removed.
    pub(in crate::wasi) parent: u32,
    /// Position of the next new name.
    pub(super) next: u64,
    by_position: Sorted<Arc<DirectoryEntry>>,
    by_name: Sorted<Arc<DirectoryEntry>>,
}

/// A name in a directory.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::wasi) struct DirectoryEntry {
    pub position: u64,
    pub(in crate::wasi) name: String,
    pub node: u32,
}

impl Directory {
    /// An empty directory below `parent`, whose next name goes to position `next`.
    pub(super) fn new(parent: u32, next: u64) -> Self {
        Self { parent, next, by_position: Sorted::default(), by_name: Sorted::default() }
    }

    fn entry(&self, name: &str) -> Option<&Arc<DirectoryEntry>> {
        let found = self.by_name.get(&|entry| entry.name.as_str() < name);
        found.filter(|entry| entry.name == name)
    }

    /// The node called `name`.
    pub(in crate::wasi) fn get(&self, name: &str) -> Option<u32> {
        self.entry(name).map(|entry| entry.node)
    }

    /// Whether it has no entries.
    pub(super) fn is_empty(&self) -> bool {
        self.by_position.is_empty()
    }

    /// Adds a name at the next position; `false`, with nothing done, if it is there already.
    pub(super) fn insert(&mut self, name: &str, node: u32) -> bool {
        let added = self.put(DirectoryEntry { position: self.next, name: name.to_owned(), node });
        self.next = self.next.saturating_add(u64::from(added));
        added
    }

    /// Puts a name after all others; `false`, with nothing done, if it is there already or its position is not after theirs.
    pub(super) fn put(&mut self, entry: DirectoryEntry) -> bool {
        if self.entry(&entry.name).is_some() || self.from(entry.position).next().is_some() {
            return false;
        }
        let entry = Arc::new(entry);
        self.by_name.insert(&|other| other.name < entry.name, Arc::clone(&entry));
        self.by_position.insert(&|_| true, entry);
        true
    }

    /// Removes a name; what it stood for.
    pub(super) fn remove(&mut self, name: &str) -> Option<u32> {
        let position = self.entry(name)?.position;
        self.by_name.remove(&|entry| entry.name.as_str() < name);
        self.by_position.remove(&|entry| entry.position < position).map(|entry| entry.node)
    }

    /// The entries from `position` on.
    pub(in crate::wasi) fn from(&self, position: u64) -> impl Iterator<Item = &DirectoryEntry> {
        self.by_position.from(&|entry| entry.position < position).map(Arc::as_ref)
    }
}
