//! The read-only file system: the job's input files as a tree. Nodes are numbered in the order of a walk through the
//! tree, names in byte order, so that the numbers depend on the paths alone and not on the order in which inputs are given.

use crate::error::Error;
use crate::host::wasi::errno::Errno;
use std::sync::Arc;

/// Longest path in bytes, as most systems have it; longer ones answer `ENAMETOOLONG`.
pub(super) const MAX_PATH: usize = 4096;

/// Longest name of a file or directory in bytes, as most systems have it.
pub(super) const MAX_NAME: usize = 255;

/// Number of the root directory, present whenever there are inputs.
pub(super) const ROOT: u32 = 0;

/// An entry of a directory.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) node: u32,
    /// Bytes of the names up to and including this one, to price a listing without walking it.
    names_end: u64,
}

/// A file or a directory.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Directory { parent: u32, children: Vec<Child> },
    File(Arc<[u8]>),
}

/// All files and directories; empty if the job has no inputs.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Node(u32),
    /// The directory exists, the last name in it does not.
    Missing,
}

impl Tree {
    /// Builds the tree from guest paths and contents.
    ///
    /// # Errors
    /// A path with empty, `.`, `..` or overlong components, given twice, or used as file and directory.
    pub(super) fn new(inputs: impl IntoIterator<Item = (String, Arc<[u8]>)>) -> Result<Self, Error> {
        let inputs: Vec<(String, Arc<[u8]>)> = inputs.into_iter().collect();
        let mut sorted = Vec::with_capacity(inputs.len());
        for (path, content) in &inputs {
            sorted.push((components(path)?, path, content));
        }
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut tree = Self::default();
        if !sorted.is_empty() {
            tree.nodes.push(Node::Directory { parent: ROOT, children: Vec::new() });
        }
        // Directories from the root to the file added last, by name, and that file's own name.
        let mut open: Vec<(&str, u32)> = Vec::new();
        let mut last_file: &[&str] = &[];
        for (names, path, content) in &sorted {
            if !last_file.is_empty() && names.starts_with(last_file) {
                return Err(Error::usage(format!("input file {path:?}: given twice, or below another input file")));
            }
            let shared = open.iter().zip(names).take_while(|(dir, name)| dir.0 == **name).count();
            open.truncate(shared);
            let Some((file, dirs)) = names.split_last() else { continue };
            for name in dirs.iter().skip(shared) {
                let parent = open.last().map_or(ROOT, |dir| dir.1);
                let node = tree.add(parent, name, Node::Directory { parent, children: Vec::new() })?;
                open.push((name, node));
            }
            let parent = open.last().map_or(ROOT, |dir| dir.1);
            tree.add(parent, file, Node::File(Arc::clone(content)))?;
            last_file = names;
        }
        Ok(tree)
    }

    fn add(&mut self, parent: u32, name: &str, node: Node) -> Result<u32, Error> {
        let number = u32::try_from(self.nodes.len()).map_err(|_| Error::usage("too many input files"))?;
        if let Some(Node::Directory { children, .. }) = self.get_mut(parent) {
            let before = children.last().map_or(0, |child| child.names_end);
            let names_end = before.saturating_add(u64::try_from(name.len()).unwrap_or(u64::MAX));
            children.push(Child { name: name.to_owned(), node: number, names_end });
        }
        self.nodes.push(node);
        Ok(number)
    }

    /// Whether there are no inputs, and so no root.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The node with this number.
    pub(super) fn get(&self, node: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(node).ok()?)
    }

    fn get_mut(&mut self, node: u32) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(node).ok()?)
    }

    /// Whether the node is a directory.
    pub(super) fn is_directory(&self, node: u32) -> bool {
        matches!(self.get(node), Some(Node::Directory { .. }))
    }

    /// Where `path` leads from directory `base`, which it cannot leave: neither by `..` nor by being absolute.
    ///
    /// # Errors
    /// `ENOTCAPABLE` for a path that would leave `base`, `ENOENT` for an empty path or a missing directory on the way,
    /// `ENOTDIR` for a file on the way or with a slash after it, `ENAMETOOLONG`.
    pub(super) fn resolve(&self, base: u32, path: &str) -> Result<Found, Errno> {
        if path.is_empty() {
            return Err(Errno::Noent);
        }
        if path.starts_with('/') {
            return Err(Errno::Notcapable);
        }
        let mut depth = 0u32;
        let mut at = Found::Node(base);
        for name in path.split('/') {
            at = self.step(at, name, &mut depth)?;
        }
        Ok(at)
    }

    /// One component further. An empty one (a doubled or trailing slash) stays, and demands a directory unless nothing
    /// is there yet: `mkdir("new/")` names something that may become one.
    fn step(&self, at: Found, name: &str, depth: &mut u32) -> Result<Found, Errno> {
        let Found::Node(number) = at else {
            return if name.is_empty() { Ok(at) } else { Err(Errno::Noent) };
        };
        let Some(Node::Directory { parent, children }) = self.get(number) else { return Err(Errno::Notdir) };
        match name {
            "" | "." => return Ok(at),
            ".." => {
                *depth = depth.checked_sub(1).ok_or(Errno::Notcapable)?;
                return Ok(Found::Node(*parent));
            }
            _ if name.len() > MAX_NAME => return Err(Errno::Nametoolong),
            _ => *depth = depth.saturating_add(1),
        }
        let found = children.binary_search_by(|child| child.name.as_str().cmp(name)).ok();
        Ok(found.and_then(|index| children.get(index)).map_or(Found::Missing, |child| Found::Node(child.node)))
    }
}

/// Bytes of the names of `children` from `index` on.
pub(super) fn names_from(children: &[Child], index: usize) -> u64 {
    let total = children.last().map_or(0, |child| child.names_end);
    let before = index.checked_sub(1).and_then(|last| children.get(last)).map_or(0, |child| child.names_end);
    if index >= children.len() { 0 } else { total.saturating_sub(before) }
}

/// The names on a guest path, whose leading slash may be left out.
fn components(path: &str) -> Result<Vec<&str>, Error> {
    let refuse = |why: &str| Err(Error::usage(format!("input file {path:?}: {why}")));
    if path.len() > MAX_PATH {
        return refuse("path longer than 4096 bytes");
    }
    let names: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    for name in &names {
        match *name {
            "" => return refuse("a component is empty, expected names between single slashes"),
            "." | ".." => return refuse("components . and .. are not allowed"),
            name if name.len() > MAX_NAME => return refuse("a component is longer than 255 bytes"),
            name if name.contains('\0') => return refuse("a component holds a NUL byte"),
            _ => {}
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Result<Tree, Error> {
        Tree::new(paths.iter().map(|path| ((*path).to_owned(), Arc::from(path.as_bytes()))))
    }

    fn listing(tree: &Tree) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, node) in tree.nodes.iter().enumerate() {
            if let Node::Directory { children, .. } = node {
                let names: Vec<String> =
                    children.iter().map(|child| format!("{}={}", child.name, child.node)).collect();
                lines.push(format!("{number}: {}", names.join(" ")));
            }
        }
        lines
    }

    #[test]
    fn numbers_follow_names_and_not_the_order_of_inputs() {
        let expected = ["0: a=1 a-=5 b=6", "1: x=2 y=3", "3: z=4", "6: c=7"];
        let paths = ["/a/x", "/a/y/z", "/a-", "/b/c"];
        assert_eq!(listing(&tree(&paths).unwrap()), expected);
        let reversed: Vec<&str> = paths.iter().rev().copied().collect();
        assert_eq!(listing(&tree(&reversed).unwrap()), expected);
    }

    #[test]
    fn conflicting_and_malformed_inputs_are_refused() {
        for bad in [
            &["/a", "/a"][..],
            &["/a", "a"],
            &["/a/b", "/a"],
            &["/a", "/a/b", "/a-"],
            &["/"],
            &[""],
            &["/a//b"],
            &["/a/"],
            &["/a/../b"],
            &["/./a"],
            &["/a\0b"],
            &[&"n".repeat(256)],
            &[&"/n".repeat(2049)],
        ] {
            let error = tree(bad).unwrap_err();
            assert!(error.message().starts_with("input file "), "{bad:?}: {error}");
        }
        assert!(tree(&[&"n".repeat(255), &"/n".repeat(2048)]).is_ok());
    }

    #[test]
    fn paths_are_resolved_component_by_component() {
        let tree = tree(&["/d/e/f", "/g"]).unwrap();
        let cases = [
            ("d", Ok(Found::Node(1))),
            ("d/", Ok(Found::Node(1))),
            (".", Ok(Found::Node(0))),
            ("d/./e/../e//f", Ok(Found::Node(3))),
            ("d/../g", Ok(Found::Node(4))),
            ("g", Ok(Found::Node(4))),
            ("g/", Err(Errno::Notdir)),
            ("g/.", Err(Errno::Notdir)),
            ("g/..", Err(Errno::Notdir)),
            ("g/x", Err(Errno::Notdir)),
            ("x", Ok(Found::Missing)),
            ("x/", Ok(Found::Missing)),
            ("x/.", Err(Errno::Noent)),
            ("x/../g", Err(Errno::Noent)),
            ("", Err(Errno::Noent)),
            ("/d", Err(Errno::Notcapable)),
            ("..", Err(Errno::Notcapable)),
            ("../g", Err(Errno::Notcapable)),
            ("d/../..", Err(Errno::Notcapable)),
            ("d/e/../../../g", Err(Errno::Notcapable)),
        ];
        for (path, expected) in cases {
            assert_eq!(tree.resolve(ROOT, path), expected, "{path}");
        }
        assert_eq!(tree.resolve(1, ".."), Err(Errno::Notcapable), "a directory is a root of its own");
        assert_eq!(tree.resolve(1, "e/../e/f"), Ok(Found::Node(3)));
        assert_eq!(tree.resolve(ROOT, &"n".repeat(256)), Err(Errno::Nametoolong));
    }
}
