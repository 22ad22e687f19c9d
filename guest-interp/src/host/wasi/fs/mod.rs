//! The file system of a program: the job's input files, and everything that the program made of them. It lives wholly in
//! the node's state. The tree (names, sizes, times) is in the state of the host module, what files hold is in spaces of
//! pages, of which a snapshot carries only those that changed.

use crate::error::Error;
use crate::host::wasi::errno::Errno;
use crate::snapshot::merkle::PageTree;
use std::collections::BTreeMap;
use std::sync::Arc;

mod content;
mod delivery;
mod inputs;
mod node;
mod resolve;
mod saved;

pub(super) use content::pages;
pub(super) use delivery::Delivery;
pub(super) use node::{Directory, Kind, Node};
pub(super) use resolve::{Found, MAX_PATH};
pub(super) use saved::{Saved, is_target};

use crate::snapshot::paged::Page;
use content::Content;
use node::Times;

/// A directory to be made below `parent`.
pub(super) fn new_directory(parent: u32) -> Kind {
    Kind::Directory(Directory::new(parent))
}

/// Longest name of a file or directory in bytes, as most systems have it.
pub(super) const MAX_NAME: usize = 255;

/// Number of the root directory.
pub(super) const ROOT: u32 = 0;

/// What names and nodes made by the program may take together, by [`node_cost`] and [`name_cost`]: a quarter of a million
/// files. A snapshot carries all of them.
const MAX_METADATA: u64 = 32 << 20;

/// What a node counts for.
fn node_cost(node: &Node) -> u64 {
    match &node.kind {
        Kind::Link(target) => (target.len() as u64).saturating_add(96),
        _ => 96,
    }
}

/// What a name counts for.
fn name_cost(name: &str) -> u64 {
    (name.len() as u64).saturating_add(32)
}

/// The job's part of the file system, as every run of the job begins.
#[derive(Debug, Default)]
struct Initial {
    nodes: BTreeMap<u32, Node>,
    contents: BTreeMap<u32, Arc<[u8]>>,
    /// Cost of its nodes and names.
    metadata: u64,
}

/// All files, directories and links.
#[derive(Clone, Debug)]
pub(super) struct FileSystem {
    initial: Arc<Initial>,
    nodes: BTreeMap<u32, Node>,
    /// Contents of the files that the program has written to.
    contents: BTreeMap<u32, Content>,
    /// Number of the next new node.
    next: u32,
    /// Pages that the contents may have together.
    max_pages: u64,
    /// Pages that they have.
    pages: u64,
    /// Cost of all nodes and names.
    metadata: u64,
}

impl FileSystem {
    /// The inputs, and the directories `preopens`, which are made where no input makes them; the node of each. Contents may
    /// take `max_bytes` together, in whole pages.
    ///
    /// # Errors
    /// A path with empty, `.`, `..` or overlong components, given twice, or used as file and directory.
    pub(super) fn new(
        inputs: impl IntoIterator<Item = (String, Arc<[u8]>)>,
        preopens: &[String],
        max_bytes: u64,
    ) -> Result<(Self, Vec<u32>), Error> {
        let (initial, directories) = inputs::build(inputs.into_iter().collect(), preopens)?;
        let nodes = initial.nodes.clone();
        let next = u32::try_from(nodes.len()).map_err(|_| Error::usage("too many input files"))?;
        let max_pages = max_bytes / crate::snapshot::PAGE as u64;
        let metadata = initial.metadata;
        let initial = Arc::new(initial);
        let contents = BTreeMap::new();
        Ok((Self { initial, nodes, contents, next, max_pages, pages: 0, metadata }, directories))
    }

    /// The node with this number.
    pub(super) fn get(&self, node: u32) -> Option<&Node> {
        self.nodes.get(&node)
    }

    /// The directory with this number, if it is one.
    pub(super) fn directory(&self, node: u32) -> Option<&Directory> {
        match &self.nodes.get(&node)?.kind {
            Kind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// The length of a file; `None` of what is none.
    pub(super) fn length(&self, node: u32) -> Option<u64> {
        match self.nodes.get(&node)?.kind {
            Kind::File { length, .. } => Some(length),
            _ => None,
        }
    }

    /// Some of the `most` bytes of a file from `at` on: at least one where it has one.
    pub(super) fn bytes(&self, node: u32, at: u64, most: u64) -> &[u8] {
        let most = self.length(node).unwrap_or_default().saturating_sub(at).min(most);
        if let Some(content) = self.contents.get(&node) {
            return content.bytes(at, most);
        }
        let range = usize::try_from(at).ok().zip(usize::try_from(at.saturating_add(most)).ok());
        let input = self.initial.contents.get(&node).zip(range);
        input.and_then(|(input, (start, end))| input.get(start..end)).unwrap_or_default()
    }

    /// Pages by which a file grows when it is written up to `end`.
    pub(super) fn growth(&self, node: u32, end: u64) -> u64 {
        pages(end).saturating_sub(pages(self.length(node).unwrap_or_default()))
    }

    // Files.

    /// Makes room for `end` bytes in a file, which from then on has contents of its own.
    ///
    /// # Errors
    /// `ENOSPC`, with nothing done.
    pub(super) fn reserve(&mut self, node: u32, end: u64) -> Result<(), Errno> {
        let Some(Node { kind: Kind::File { length, pages: held }, .. }) = self.nodes.get_mut(&node) else {
            return Err(Errno::Badf);
        };
        let wanted = pages(end.max(*length)).max(held.unwrap_or_default());
        let total = self.pages.saturating_sub(held.unwrap_or_default()).saturating_add(wanted);
        if total > self.max_pages {
            return Err(Errno::Nospc);
        }
        (self.pages, *held) = (total, Some(wanted));
        let base = self.initial.contents.get(&node);
        let content = || Content::new(base.cloned().unwrap_or_default(), wanted);
        self.contents.entry(node).or_insert_with(content).grow(wanted);
        Ok(())
    }

    /// Writes bytes for which room was made.
    pub(super) fn write(&mut self, node: u32, at: u64, bytes: &[u8], now: u64) {
        if let Some(content) = self.contents.get_mut(&node) {
            content.write(at, bytes);
        }
        let end = at.saturating_add(bytes.len() as u64);
        self.set_length(node, |length| length.max(end), now);
    }

    /// Makes a file `size` bytes long: cuts it, or adds zeros.
    ///
    /// # Errors
    /// `ENOSPC`, with nothing done.
    pub(super) fn resize(&mut self, node: u32, size: u64, now: u64) -> Result<(), Errno> {
        if self.length(node) == Some(size) {
            self.set_length(node, |length| length, now);
            return Ok(());
        }
        self.reserve(node, size)?;
        if let Some(content) = self.contents.get_mut(&node) {
            content.clear_from(size);
        }
        self.set_length(node, |_| size, now);
        Ok(())
    }

    fn set_length(&mut self, node: u32, change: impl FnOnce(u64) -> u64, now: u64) {
        let Some(node) = self.nodes.get_mut(&node) else { return };
        (node.times.modification, node.times.change) = (now, now);
        if let Kind::File { length, .. } = &mut node.kind {
            *length = change(*length);
        }
    }

    /// Sets the times of a node that are given.
    pub(super) fn set_times(&mut self, node: u32, access: Option<u64>, modification: Option<u64>, now: u64) {
        let Some(node) = self.nodes.get_mut(&node) else { return };
        node.times = Times {
            access: access.unwrap_or(node.times.access),
            modification: modification.unwrap_or(node.times.modification),
            change: now,
        };
    }

    // Names.

    /// Makes a node and gives it a name that is free.
    ///
    /// # Errors
    /// `ENOSPC` beyond what names and nodes may take, `ENOENT` in a directory that was removed, `EEXIST`.
    pub(super) fn create(&mut self, directory: u32, name: &str, kind: Kind, now: u64) -> Result<u32, Errno> {
        let node = Node { kind, links: 0, times: Times::all(now) };
        let cost = node_cost(&node);
        self.room(cost.saturating_add(name_cost(name)))?;
        let number = self.next;
        let next = number.checked_add(1).ok_or(Errno::Nospc)?;
        self.free_name(directory, name)?;
        self.nodes.insert(number, node);
        self.metadata = self.metadata.saturating_add(cost);
        self.next = next;
        self.link(directory, name, number, now)?;
        Ok(number)
    }

    /// Gives a node another name, which is free.
    ///
    /// # Errors
    /// As [`create`](Self::create), and `EMLINK`.
    pub(super) fn link(&mut self, directory: u32, name: &str, node: u32, now: u64) -> Result<(), Errno> {
        self.room(name_cost(name))?;
        self.free_name(directory, name)?;
        let target = self.nodes.get_mut(&node).ok_or(Errno::Noent)?;
        target.links = target.links.checked_add(1).ok_or(Errno::Mlink)?;
        target.times.change = now;
        if let Kind::Directory(moved) = &mut target.kind {
            moved.parent = directory;
        }
        self.change_directory(directory, now, |entries| entries.insert(name, node));
        self.metadata = self.metadata.saturating_add(name_cost(name));
        Ok(())
    }

    /// Takes a name away; the node that it stood for, which stays until [`release`](Self::release).
    pub(super) fn unlink(&mut self, directory: u32, name: &str, now: u64) -> Option<u32> {
        let number = self.change_directory(directory, now, |entries| entries.remove(name))??;
        self.metadata = self.metadata.saturating_sub(name_cost(name));
        let node = self.nodes.get_mut(&number)?;
        node.links = node.links.saturating_sub(1);
        node.times.change = now;
        if let Kind::Directory(removed) = &mut node.kind {
            removed.parent = number;
        }
        Some(number)
    }

    /// Forgets a node that has no name.
    pub(super) fn release(&mut self, number: u32) {
        let Some(node) = self.nodes.get(&number).filter(|node| node.links == 0) else { return };
        self.metadata = self.metadata.saturating_sub(node_cost(node));
        if let Kind::File { pages: Some(held), .. } = node.kind {
            self.pages = self.pages.saturating_sub(held);
        }
        self.nodes.remove(&number);
        self.contents.remove(&number);
    }

    /// Whether directory `inner` is `outer` or lies below it.
    pub(super) fn is_within(&self, mut inner: u32, outer: u32) -> bool {
        while inner != outer {
            match self.directory(inner) {
                Some(directory) if directory.parent != inner => inner = directory.parent,
                _ => return false,
            }
        }
        true
    }

    /// Whether a directory has no entries.
    pub(super) fn is_empty(&self, directory: u32) -> bool {
        self.directory(directory).is_some_and(Directory::is_empty)
    }

    /// Whether a directory can have one more name, or a name for another.
    ///
    /// # Errors
    /// `ENOSPC`, or `ENOENT` in a directory that was removed.
    pub(super) fn check_name(&self, directory: u32, name: &str) -> Result<(), Errno> {
        self.room(name_cost(name))?;
        self.nodes.get(&directory).filter(|node| node.links > 0).map(drop).ok_or(Errno::Noent)
    }

    /// Whether there is room for names and nodes of this cost.
    fn room(&self, cost: u64) -> Result<(), Errno> {
        let most = self.initial.metadata.saturating_add(MAX_METADATA);
        if self.metadata.saturating_add(cost) <= most { Ok(()) } else { Err(Errno::Nospc) }
    }

    fn free_name(&self, directory: u32, name: &str) -> Result<(), Errno> {
        let node = self.nodes.get(&directory).filter(|node| node.links > 0).ok_or(Errno::Noent)?;
        match &node.kind {
            Kind::Directory(entries) if entries.get(name).is_none() => Ok(()),
            Kind::Directory(_) => Err(Errno::Exist),
            _ => Err(Errno::Notdir),
        }
    }

    fn change_directory<T>(&mut self, number: u32, now: u64, change: impl FnOnce(&mut Directory) -> T) -> Option<T> {
        let node = self.nodes.get_mut(&number)?;
        (node.times.modification, node.times.change) = (now, now);
        match &mut node.kind {
            Kind::Directory(directory) => Some(change(directory)),
            _ => None,
        }
    }

    // Spaces.

    /// The files that have contents of their own, by ascending number.
    pub(super) fn written(&self) -> impl Iterator<Item = u32> {
        self.contents.keys().copied()
    }

    /// Pages of a file that has contents of its own.
    pub(super) fn page_count(&self, file: u32) -> usize {
        self.contents.get(&file).map_or(0, Content::page_count)
    }

    /// The dirty marks of a file's pages.
    pub(super) fn marks(&mut self, file: u32) -> &mut [u8] {
        self.contents.get_mut(&file).map(Content::marks).unwrap_or_default()
    }

    /// A page of a file.
    pub(super) fn page(&self, file: u32, index: usize) -> Page {
        self.contents.get(&file).map_or([0; crate::snapshot::PAGE], |content| content.page(index))
    }

    /// Replaces a page of a file, unmarked.
    pub(super) fn set_page(&mut self, file: u32, index: usize, page: &Page) {
        if let Some(content) = self.contents.get_mut(&file) {
            content.set_page(index, page);
        }
    }

    /// The Merkle tree of a file as the job gave it.
    pub(super) fn initial_tree(&self, file: u32) -> PageTree {
        self.contents.get(&file).map(Content::base_tree).unwrap_or_default()
    }
}
