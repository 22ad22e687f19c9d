//! The files that a program leaves behind: every one that is not there as the job gave it. Links are not among them: what
//! they mean where the files go is not for the program to say.

use super::node::DirectoryEntry;
use super::{FileSystem, MAX_PATH, NodeKind, ROOT};

/// A walk through the tree, in the order of listings.
#[derive(Clone, Debug)]
pub(in crate::wasi) struct Delivery {
    /// The open directories, outermost first: number, position of the next name, length of its path.
    open: Vec<(u32, u64, usize)>,
    path: String,
}

impl Delivery {
    /// A walk from the start.
    pub(in crate::wasi) fn new() -> Self {
        Self { open: vec![(ROOT, 0, 0)], path: String::new() }
    }

    /// Path, without a leading slash, and number of the next file. A directory whose path is longer than any that can be
    /// opened stands for what is in it: whoever delivers files cannot deliver those, and says so.
    pub(in crate::wasi) fn next(&mut self, fs: &FileSystem) -> Option<(String, u32)> {
        while let Some((directory, position, length)) = self.open.last_mut() {
            self.path.truncate(*length);
            let next = fs.directory(*directory).and_then(|entries| entries.from(*position).next());
            let Some(entry) = next else {
                self.open.pop();
                continue;
            };
            *position = entry.position.saturating_add(1);
            let directory = *directory;
            if !self.path.is_empty() {
                self.path.push('/');
            }
            self.path.push_str(&entry.name);
            let is_too_long = self.path.len() > MAX_PATH;
            match fs.get(entry.node).map(|node| &node.kind) {
                Some(NodeKind::Directory(entries)) if is_too_long && entries.is_empty() => {}
                Some(NodeKind::Directory(_)) if is_too_long => return Some((self.path.clone(), entry.node)),
                Some(NodeKind::Directory(_)) => self.open.push((entry.node, 0, self.path.len())),
                Some(NodeKind::File { .. }) if !fs.is_as_given(directory, entry) => {
                    return Some((self.path.clone(), entry.node));
                }
                _ => {}
            }
        }
        None
    }
}

impl FileSystem {
    /// Whether a name stands for an input that the program has left alone.
    fn is_as_given(&self, directory: u32, entry: &DirectoryEntry) -> bool {
        let given = self.initial.directory(directory).and_then(|given| given.get(&entry.name));
        given == Some(entry.node) && self.file(entry.node).is_some_and(|(_, content)| content.held().is_none())
    }
}
