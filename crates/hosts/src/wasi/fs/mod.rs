//! The file system of a program: the job's input files, and everything that the program made of them. It lives wholly in
//! the node's state. The tree (names, sizes, times) is in the state of the host module, what files hold is in spaces of
//! pages, of which a snapshot carries only those that changed.

use crate::wasi::errno::Errno;
use std::sync::Arc;
use stepmark_core::host::Steps;
use stepmark_state::error::JobError;
use stepmark_state::merkle::PageTree;

mod content;
mod delivery;
mod inputs;
mod node;
mod pageset;
mod resolve;
mod saved;
mod sorted;

pub(super) use content::pages;
pub(super) use delivery::Delivery;
pub(super) use node::{Directory, FileNode, NodeKind};
pub(super) use resolve::{MAX_PATH, ResolvedPath, byte_steps};
pub(super) use saved::{SavedTree, is_target};

use content::{Content, PAGE_SHIFT};
use node::FileTimes;
use sorted::Sorted;
use stepmark_state::paged::Page;

/// A directory to be made below `parent`.
pub(super) fn new_directory(parent: u32) -> NodeKind {
    NodeKind::Directory(Directory::new(parent, 0))
}

/// An empty file to be made.
pub(super) fn new_file() -> NodeKind {
    NodeKind::File { length: 0, content: Content::default() }
}

/// Longest name of a file or directory in bytes, as most systems have it.
pub(super) const MAX_NAME: usize = 255;

/// Number of the root directory.
pub(super) const ROOT: u32 = 0;

/// What names and nodes made by the program may take together, by [`node_cost`] and [`name_cost`]: a quarter of a million
/// files. A snapshot carries all of them.
const MAX_METADATA: u64 = 32 << 20;

/// What a node counts for.
fn node_cost(node: &FileNode) -> u64 {
    match &node.kind {
        NodeKind::Link(target) => (target.len() as u64).saturating_add(96),
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
    /// By number.
    nodes: Vec<FileNode>,
    /// Cost of its nodes and names.
    metadata: u64,
}

impl Initial {
    fn get(&self, number: u32) -> Option<&FileNode> {
        self.nodes.get(usize::try_from(number).ok()?)
    }

    fn directory(&self, number: u32) -> Option<&Directory> {
        match &self.get(number)?.kind {
            NodeKind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// All nodes, with their numbers.
    fn numbered(&self) -> impl Iterator<Item = (u32, &FileNode)> {
        (0..).zip(&self.nodes)
    }
}

/// A node with its number.
type Numbered = (u32, Box<FileNode>);

/// All files, directories and links.
#[derive(Clone, Debug)]
pub(super) struct FileSystem {
    initial: Arc<Initial>,
    nodes: Sorted<Numbered>,
    /// Number of the next new node.
    next: u32,
    /// Pages that the files that the program has written to may have together.
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
    ) -> Result<(Self, Vec<u32>), JobError> {
        let (initial, directories) = inputs::build(inputs.into_iter().collect(), preopens)?;
        let next = u32::try_from(initial.nodes.len()).map_err(|_| JobError::usage("too many input files"))?;
        let mut nodes = Sorted::default();
        for (number, node) in initial.numbered() {
            nodes.insert(&|_| true, (number, Box::new(node.clone())));
        }
        let max_pages = max_bytes >> PAGE_SHIFT;
        let metadata = initial.metadata;
        let initial = Arc::new(initial);
        Ok((Self { initial, nodes, next, max_pages, pages: 0, metadata }, directories))
    }

    /// The node with this number.
    pub(super) fn get(&self, number: u32) -> Option<&FileNode> {
        let found = self.nodes.get(&|(other, _)| *other < number);
        found.filter(|(other, _)| *other == number).map(|(_, node)| node.as_ref())
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut FileNode> {
        let found = self.nodes.get_mut(&|(other, _)| *other < number);
        found.filter(|(other, _)| *other == number).map(|(_, node)| node.as_mut())
    }

    /// The directory with this number, if it is one.
    pub(super) fn directory(&self, node: u32) -> Option<&Directory> {
        match &self.get(node)?.kind {
            NodeKind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// Length and contents of a file.
    fn file(&self, node: u32) -> Option<(u64, &Content)> {
        match &self.get(node)?.kind {
            NodeKind::File { length, content } => Some((*length, content)),
            _ => None,
        }
    }

    fn content_mut(&mut self, node: u32) -> Option<&mut Content> {
        match &mut self.get_mut(node)?.kind {
            NodeKind::File { content, .. } => Some(content),
            _ => None,
        }
    }

    /// The length of a file; `None` of what is none.
    pub(super) fn length(&self, node: u32) -> Option<u64> {
        self.file(node).map(|(length, _)| length)
    }

    /// Some of the `most` bytes of a file from `at` on: at least one where it has one.
    pub(super) fn bytes(&self, node: u32, at: u64, most: u64) -> &[u8] {
        let Some((length, content)) = self.file(node) else { return &[] };
        content.bytes(at, length.saturating_sub(at).min(most))
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
        let (length, content) = self.file(node).ok_or(Errno::Badf)?;
        let held = content.held().unwrap_or_default();
        let wanted = pages(end.max(length)).max(pages(content.base_length())).max(held);
        let total = self.pages.saturating_sub(held).saturating_add(wanted);
        if total > self.max_pages {
            return Err(Errno::Nospc);
        }
        self.pages = total;
        if let Some(content) = self.content_mut(node) {
            content.grow(wanted);
        }
        Ok(())
    }

    /// Writes bytes for which room was made.
    pub(super) fn write(&mut self, node: u32, at: u64, bytes: &[u8], now: u64) {
        if let Some(content) = self.content_mut(node) {
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
        if let Some(content) = self.content_mut(node) {
            content.clear_from(size);
        }
        self.set_length(node, |_| size, now);
        Ok(())
    }

    fn set_length(&mut self, node: u32, change: impl FnOnce(u64) -> u64, now: u64) {
        let Some(node) = self.get_mut(node) else { return };
        (node.times.modification, node.times.change) = (now, now);
        if let NodeKind::File { length, .. } = &mut node.kind {
            *length = change(*length);
        }
    }

    /// Sets the times of a node that are given.
    pub(super) fn set_times(&mut self, node: u32, access: Option<u64>, modification: Option<u64>, now: u64) {
        let Some(node) = self.get_mut(node) else { return };
        node.times = FileTimes {
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
    pub(super) fn create(&mut self, directory: u32, name: &str, kind: NodeKind, now: u64) -> Result<u32, Errno> {
        let node = FileNode { kind, links: 0, times: FileTimes::all(now) };
        let cost = node_cost(&node);
        self.room(cost.saturating_add(name_cost(name)))?;
        let number = self.next;
        let next = number.checked_add(1).ok_or(Errno::Nospc)?;
        self.free_name(directory, name)?;
        self.nodes.insert(&|_| true, (number, Box::new(node)));
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
        let target = self.get_mut(node).ok_or(Errno::Noent)?;
        target.links = target.links.checked_add(1).ok_or(Errno::Mlink)?;
        target.times.change = now;
        if let NodeKind::Directory(moved) = &mut target.kind {
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
        let node = self.get_mut(number)?;
        node.links = node.links.saturating_sub(1);
        node.times.change = now;
        if let NodeKind::Directory(removed) = &mut node.kind {
            removed.parent = number;
        }
        Some(number)
    }

    /// Forgets a node that has no name.
    pub(super) fn release(&mut self, number: u32) {
        let Some(node) = self.get(number).filter(|node| node.links == 0) else { return };
        let cost = node_cost(node);
        let held = self.file(number).and_then(|(_, content)| content.held());
        self.metadata = self.metadata.saturating_sub(cost);
        self.pages = self.pages.saturating_sub(held.unwrap_or_default());
        self.nodes.remove(&|(other, _)| *other < number);
    }

    /// Whether directory `inner` is `outer` or lies below it: a step for each directory above it.
    pub(super) fn is_within(&self, mut inner: u32, outer: u32, steps: &mut Steps) -> bool {
        while inner != outer {
            steps.take(1);
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
        self.get(directory).filter(|node| node.links > 0).map(drop).ok_or(Errno::Noent)
    }

    /// Whether there is room for names and nodes of this cost.
    fn room(&self, cost: u64) -> Result<(), Errno> {
        let most = self.initial.metadata.saturating_add(MAX_METADATA);
        if self.metadata.saturating_add(cost) <= most { Ok(()) } else { Err(Errno::Nospc) }
    }

    fn free_name(&self, directory: u32, name: &str) -> Result<(), Errno> {
        let node = self.get(directory).filter(|node| node.links > 0).ok_or(Errno::Noent)?;
        match &node.kind {
            NodeKind::Directory(entries) if entries.get(name).is_none() => Ok(()),
            NodeKind::Directory(_) => Err(Errno::Exist),
            _ => Err(Errno::Notdir),
        }
    }

    fn change_directory<T>(&mut self, number: u32, now: u64, change: impl FnOnce(&mut Directory) -> T) -> Option<T> {
        let node = self.get_mut(number)?;
        (node.times.modification, node.times.change) = (now, now);
        match &mut node.kind {
            NodeKind::Directory(directory) => Some(change(directory)),
            _ => None,
        }
    }

    // Spaces.

    /// The files that the program has written to, by ascending number.
    pub(super) fn written(&self) -> impl Iterator<Item = u32> {
        let is_written =
            |node: &FileNode| matches!(&node.kind, NodeKind::File { content, .. } if content.held().is_some());
        self.nodes.iter().filter(move |(_, node)| is_written(node)).map(|(number, _)| *number)
    }

    /// Pages of a file that the program has written to.
    pub(super) fn page_count(&self, file: u32) -> usize {
        self.file(file).map_or(0, |(_, content)| content.page_count())
    }

    /// The dirty marks of a file's pages.
    pub(super) fn marks(&mut self, file: u32) -> &mut [u8] {
        self.content_mut(file).map(Content::marks).unwrap_or_default()
    }

    /// A page of a file.
    pub(super) fn page(&self, file: u32, index: usize) -> Page {
        self.file(file).map_or([0; stepmark_state::pages::PAGE], |(_, content)| content.page(index))
    }

    /// Replaces a page of a file, unmarked.
    pub(super) fn set_page(&mut self, file: u32, index: usize, page: &Page) {
        if let Some(content) = self.content_mut(file) {
            content.set_page(index, page);
        }
    }

    /// The Merkle tree of a file as the job gave it.
    pub(super) fn initial_tree(&self, file: u32) -> PageTree {
        self.file(file).map(|(_, content)| content.base_tree()).unwrap_or_default()
    }
}
