//! What the tree is made of: files, directories and symbolic links, by number. A number is never given twice in a run.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A file, directory or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::host::wasi) struct Node {
    pub(in crate::host::wasi) kind: Kind,
    /// Names that it has; without any it lives as long as a descriptor of it.
    pub(in crate::host::wasi) links: u32,
    pub(in crate::host::wasi) times: Times,
}

/// Nanoseconds since 1970 on the program's own clock; 0 for what the job gave. Reading a file does not change its time of
/// access, as on systems that are mounted so: a state would change with every read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host::wasi) struct Times {
    pub(in crate::host::wasi) access: u64,
    pub(in crate::host::wasi) modification: u64,
    pub(in crate::host::wasi) change: u64,
}

impl Times {
    /// All three at once.
    pub(super) fn all(now: u64) -> Self {
        Self { access: now, modification: now, change: now }
    }
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::host::wasi) enum Kind {
    Directory(Directory),
    /// Its length, and the pages of its contents if the program has written to it; an input that it has not is read where
    /// it is.
    File {
        length: u64,
        pages: Option<u64>,
    },
    /// Where it leads.
    Link(String),
}

/// The entries of a directory, each at a position that it keeps: positions ascend in the order in which names were made, so
/// that a listing under way neither skips nor repeats what is there all the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::host::wasi) struct Directory {
    /// The directory above; its own number for the root and for one that was removed.
    pub(in crate::host::wasi) parent: u32,
    /// Position of the next new name.
    pub(super) next: u64,
    entries: BTreeMap<u64, Entry>,
    names: BTreeMap<String, u64>,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::host::wasi) struct Entry {
    pub(in crate::host::wasi) name: String,
    pub(in crate::host::wasi) node: u32,
}

impl Directory {
    /// An empty directory below `parent`.
    pub(super) fn new(parent: u32) -> Self {
        Self::with_next(parent, 0)
    }

    /// The same, whose next name goes to position `next`.
    pub(super) fn with_next(parent: u32, next: u64) -> Self {
        Self { parent, next, entries: BTreeMap::new(), names: BTreeMap::new() }
    }

    /// The node called `name`.
    pub(in crate::host::wasi) fn get(&self, name: &str) -> Option<u32> {
        let position = self.names.get(name)?;
        self.entries.get(position).map(|entry| entry.node)
    }

    /// Whether it has no entries.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a name at the next position; `false`, with nothing done, if it is there already.
    pub(super) fn insert(&mut self, name: &str, node: u32) -> bool {
        let added = self.put(self.next, name, node);
        self.next = self.next.saturating_add(u64::from(added));
        added
    }

    /// Puts a name at a position; `false`, with nothing done, if one of them is there already.
    pub(super) fn put(&mut self, position: u64, name: &str, node: u32) -> bool {
        if self.names.contains_key(name) || self.entries.contains_key(&position) {
            return false;
        }
        self.names.insert(name.to_owned(), position);
        self.entries.insert(position, Entry { name: name.to_owned(), node });
        true
    }

    /// Removes a name; what it stood for.
    pub(super) fn remove(&mut self, name: &str) -> Option<u32> {
        let position = self.names.remove(name)?;
        self.entries.remove(&position).map(|entry| entry.node)
    }

    /// Position and entry of the names from `position` on.
    pub(in crate::host::wasi) fn from(&self, position: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let range = (Bound::Included(position), Bound::Unbounded);
        self.entries.range::<u64, _>(range).map(|(position, entry)| (*position, entry))
    }
}
