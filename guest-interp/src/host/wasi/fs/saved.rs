//! The tree as a snapshot carries it: the nodes that are not as the job gave them. What a snapshot says is checked before
//! anything is built from it, and again as a whole: every node has the names that it counts, every directory hangs below
//! the root, and sizes are within the job's limits.

use super::content::Content;
use super::node::{Directory, Kind, Node, Times};
use super::{FileSystem, Initial, MAX_METADATA, MAX_NAME, MAX_PATH, ROOT, name_cost, node_cost, pages};
use crate::error::Error;
use crate::snapshot::bounded;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Nodes and names that a state can carry: those that [`MAX_METADATA`] leaves room for, and as many inputs. A bound for
/// the memory that decoding takes.
const MAX_ITEMS: usize = 1 << 19;

/// The tree, as far as it differs from the job's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host::wasi) struct Saved {
    next: u32,
    /// By ascending number; none for an input that is gone.
    #[serde(deserialize_with = "bounded::<_, _, MAX_ITEMS>")]
    nodes: Vec<(u32, Option<SavedNode>)>,
    /// Of the directories among them, by ascending directory and position.
    #[serde(deserialize_with = "bounded::<_, _, MAX_ITEMS>")]
    names: Vec<SavedName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedNode {
    kind: SavedKind,
    links: u32,
    times: Times,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum SavedKind {
    Directory { parent: u32, next: u64 },
    File { length: u64, pages: Option<u64> },
    Link { target: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedName {
    directory: u32,
    position: u64,
    name: String,
    node: u32,
}

fn refuse(what: impl std::fmt::Display) -> Error {
    Error::snapshot(format!("wasi state: {what}"))
}

fn refuse_node(number: u32, why: &str) -> Error {
    refuse(format!("file {number}: {why}"))
}

impl FileSystem {
    /// The saved form.
    pub(in crate::host::wasi) fn save(&self) -> Saved {
        let gone = self.initial.nodes.keys().filter(|number| !self.nodes.contains_key(number));
        let changed = self.nodes.iter().filter(|(number, node)| self.initial.nodes.get(number) != Some(node));
        let mut nodes: Vec<_> = changed.map(|(number, node)| (*number, Some(SavedNode::new(node)))).collect();
        let names = nodes.iter().filter_map(|(number, _)| Some((*number, self.directory(*number)?)));
        let names = names.flat_map(|(directory, entries)| {
            entries.from(0).map(move |(position, entry)| {
                let (name, node) = (entry.name.clone(), entry.node);
                SavedName { directory, position, name, node }
            })
        });
        let names = names.collect();
        nodes.extend(gone.map(|number| (*number, None)));
        nodes.sort_by_key(|(number, _)| *number);
        Saved { next: self.next, nodes, names }
    }

    /// The tree of a saved form, its written contents as the job gave them until their pages come. `open` are the nodes
    /// that descriptors lead to.
    ///
    /// # Errors
    /// No run of this job comes to such a tree.
    pub(in crate::host::wasi) fn restore(&self, saved: &Saved, open: &BTreeSet<u32>) -> Result<FileSystem, Error> {
        let nodes = saved.nodes(&self.initial)?;
        let tree = Tree { initial: &self.initial, nodes: &nodes, open };
        tree.check(saved.next)?;
        let pages = tree.pages();
        if pages > self.max_pages {
            let most = self.max_pages;
            return Err(refuse(format!("{pages} pages of files, the job's limit is {most}")));
        }
        let metadata = tree.metadata();
        if metadata > self.initial.metadata.saturating_add(MAX_METADATA) {
            return Err(refuse("more files and names than a program may have"));
        }
        let mut contents = BTreeMap::new();
        for (number, node) in &nodes {
            if let Kind::File { pages: Some(count), .. } = node.kind {
                let base = self.initial.contents.get(number).cloned().unwrap_or_default();
                contents.insert(*number, Content::new(base, count));
            }
        }
        let (initial, next, max_pages) = (Arc::clone(&self.initial), saved.next, self.max_pages);
        Ok(FileSystem { initial, nodes, contents, next, max_pages, pages, metadata })
    }

    /// Checks the contents, once all pages have come: no file holds anything beyond its end.
    ///
    /// # Errors
    /// One does; it is named by its number.
    pub(in crate::host::wasi) fn check_contents(&self) -> Result<(), Error> {
        let bad = self
            .contents
            .iter()
            .find(|(number, content)| !content.is_zero_from(self.length(**number).unwrap_or_default()));
        bad.map_or(Ok(()), |(number, _)| Err(refuse_node(*number, "has contents beyond its end")))
    }
}

impl SavedNode {
    fn new(node: &Node) -> Self {
        let kind = match &node.kind {
            Kind::Directory(directory) => SavedKind::Directory { parent: directory.parent, next: directory.next },
            Kind::File { length, pages } => SavedKind::File { length: *length, pages: *pages },
            Kind::Link(target) => SavedKind::Link { target: target.clone() },
        };
        Self { kind, links: node.links, times: node.times }
    }

    fn node(&self) -> Node {
        let kind = match &self.kind {
            SavedKind::Directory { parent, next } => Kind::Directory(Directory::with_next(*parent, *next)),
            SavedKind::File { length, pages } => Kind::File { length: *length, pages: *pages },
            SavedKind::Link { target } => Kind::Link(target.clone()),
        };
        Node { kind, links: self.links, times: self.times }
    }
}

impl Saved {
    /// All nodes: the job's, changed as this says.
    fn nodes(&self, initial: &Initial) -> Result<BTreeMap<u32, Node>, Error> {
        let mut nodes = initial.nodes.clone();
        for (number, node) in &self.nodes {
            match node {
                Some(node) => nodes.insert(*number, node.node()),
                None => nodes.remove(number),
            };
        }
        for SavedName { directory, position, name, node } in &self.names {
            let Some(Node { kind: Kind::Directory(entries), .. }) = nodes.get_mut(directory) else {
                return Err(refuse_node(*directory, "has names, but is no directory"));
            };
            if !is_name(name) || *position >= entries.next || !entries.put(*position, name, *node) {
                return Err(refuse_node(*directory, &format!("cannot have the name {name:?} at position {position}")));
            }
        }
        Ok(nodes)
    }
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME && !name.contains(['/', '\0'])
}

/// A tree to be checked.
struct Tree<'a> {
    initial: &'a Initial,
    nodes: &'a BTreeMap<u32, Node>,
    open: &'a BTreeSet<u32>,
}

impl Tree<'_> {
    fn check(&self, next: u32) -> Result<(), Error> {
        if (next as usize) < self.initial.nodes.len() || self.nodes.keys().next_back().is_some_and(|last| *last >= next)
        {
            return Err(refuse(format!("the next file's number {next} is taken")));
        }
        for (number, node) in self.nodes {
            self.check_node(*number, node)?;
        }
        self.check_names()
    }

    fn check_node(&self, number: u32, node: &Node) -> Result<(), Error> {
        let input = self.initial.contents.get(&number);
        let was_directory = self.initial.nodes.contains_key(&number) && input.is_none();
        let fits = match &node.kind {
            Kind::Directory(directory) => self.fits_directory(number, directory, node.links) && input.is_none(),
            Kind::File { length, pages: Some(held) } => {
                let least = input.map_or(0, |input| input.len() as u64).max(*length);
                pages(least) <= *held && !was_directory
            }
            Kind::File { length, pages: None } => {
                input.map(|input| input.len() as u64) == Some(*length) || self.is_new_and_empty(number, *length)
            }
            Kind::Link(target) => is_target(target) && input.is_none() && !was_directory,
        };
        if !fits {
            return Err(refuse_node(number, "is nothing that this program can have made"));
        }
        if node.links == 0 && !self.open.contains(&number) {
            return Err(refuse_node(number, "has no name and is not open"));
        }
        Ok(())
    }

    /// A file that the program made and has not written to.
    fn is_new_and_empty(&self, number: u32, length: u64) -> bool {
        length == 0 && !self.initial.nodes.contains_key(&number)
    }

    fn fits_directory(&self, number: u32, directory: &Directory, links: u32) -> bool {
        match links {
            // The root has no name, and still cannot go; one that was removed is its own parent.
            1 => (number == ROOT) == (directory.parent == number),
            0 => number != ROOT && directory.parent == number && directory.is_empty(),
            _ => false,
        }
    }

    /// Every node has as many names as it counts, and all of them are reached from the root.
    fn check_names(&self) -> Result<(), Error> {
        let mut names: BTreeMap<u32, u32> = BTreeMap::from([(ROOT, 1)]);
        let mut open = vec![ROOT];
        while let Some(number) = open.pop() {
            let Some(Node { kind: Kind::Directory(directory), .. }) = self.nodes.get(&number) else { continue };
            for (_, entry) in directory.from(0) {
                let count = names.entry(entry.node).or_default();
                *count = count.saturating_add(1);
                match self.nodes.get(&entry.node).map(|node| &node.kind) {
                    Some(Kind::Directory(inner)) if inner.parent == number && *count == 1 => open.push(entry.node),
                    Some(Kind::Directory(_)) => return Err(refuse_node(entry.node, "is a directory with two places")),
                    Some(_) => {}
                    None => return Err(refuse_node(entry.node, "has a name, but is not there")),
                }
            }
        }
        let wrong = self.nodes.iter().find(|(number, node)| names.get(number).copied().unwrap_or(0) != node.links);
        wrong.map_or(Ok(()), |(number, _)| Err(refuse_node(*number, "does not have as many names as it counts")))
    }

    fn pages(&self) -> u64 {
        let held = |node: &Node| match node.kind {
            Kind::File { pages, .. } => pages.unwrap_or_default(),
            _ => 0,
        };
        self.nodes.values().map(held).fold(0, u64::saturating_add)
    }

    fn metadata(&self) -> u64 {
        let names = self.nodes.values().flat_map(|node| match &node.kind {
            Kind::Directory(directory) => Some(directory.from(0)),
            _ => None,
        });
        let names = names.flatten().map(|(_, entry)| name_cost(&entry.name));
        self.nodes.values().map(node_cost).chain(names).fold(0, u64::saturating_add)
    }
}

/// Whether a link can lead there: a path that is not absolute.
pub(in crate::host::wasi) fn is_target(target: &str) -> bool {
    !target.is_empty() && target.len() <= MAX_PATH && !target.starts_with('/') && !target.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/d/e/f` (nodes 1 to 3) and `/g` (4), with `/d/new` (5) written to.
    fn tree() -> FileSystem {
        let file = |path: &str| (path.to_owned(), Arc::from(path.as_bytes()));
        let (mut fs, _) = FileSystem::new([file("/d/e/f"), file("/g")], &[], 1 << 20).unwrap();
        let new = fs.create(1, "new", Kind::File { length: 0, pages: None }, 7).unwrap();
        fs.resize(new, 5000, 7).unwrap();
        fs
    }

    fn refusal(change: impl Fn(&mut Saved)) -> String {
        let fs = tree();
        let mut saved = fs.save();
        change(&mut saved);
        match fs.restore(&saved, &BTreeSet::new()) {
            Ok(restored) => panic!("restored as {restored:?}"),
            Err(error) => error.message().to_owned(),
        }
    }

    fn with(number: u32, change: impl Fn(&mut SavedNode)) -> impl Fn(&mut Saved) {
        move |saved: &mut Saved| {
            let (_, node) = saved.nodes.iter_mut().find(|(other, _)| *other == number).unwrap();
            change(node.as_mut().unwrap());
        }
    }

    #[test]
    fn only_what_differs_from_the_job_is_saved() {
        let fs = tree();
        let saved = fs.save();
        let numbers: Vec<u32> = saved.nodes.iter().map(|(number, _)| *number).collect();
        assert_eq!((numbers, saved.names.len()), (vec![1, 5], 2));
        let restored = fs.restore(&saved, &BTreeSet::new()).unwrap();
        assert_eq!(restored.save(), saved);
        assert_eq!((restored.pages, restored.metadata), (fs.pages, fs.metadata));
    }

    #[test]
    fn an_input_that_is_gone_is_said_to_be() {
        let mut fs = tree();
        let node = fs.unlink(0, "g", 8).unwrap();
        fs.release(node);
        let saved = fs.save();
        assert!(saved.nodes.contains(&(4, None)));
        assert_eq!(fs.restore(&saved, &BTreeSet::new()).unwrap().save(), saved);
    }

    #[test]
    fn a_tree_that_no_program_makes_is_refused() {
        let file = |length, pages| with(5, move |node| node.kind = SavedKind::File { length, pages });
        let directory = |parent, next| with(1, move |node| node.kind = SavedKind::Directory { parent, next });
        let name = |change: fn(&mut SavedName)| move |saved: &mut Saved| change(&mut saved.names[1]);
        let cases: Vec<(String, &str)> = vec![
            (refusal(|saved| saved.next = 5), "the next file's number 5 is taken"),
            (refusal(|saved| saved.next = 3), "the next file's number 3 is taken"),
            (refusal(file(5000, Some(1))), "file 5: is nothing that this program can have made"),
            (refusal(file(1, None)), "file 5: is nothing that this program can have made"),
            (refusal(file(5000, Some(257))), "257 pages of files, the job's limit is 256"),
            (refusal(file(5000, Some(u64::MAX))), "18446744073709551615 pages of files, the job's limit is 256"),
            (refusal(with(5, |node| node.links = 2)), "file 5: does not have as many names as it counts"),
            (refusal(with(5, |node| node.links = 0)), "file 5: has no name and is not open"),
            (refusal(directory(1, 9)), "file 1: is nothing that this program can have made"),
            (refusal(directory(2, 9)), "file 1: is a directory with two places"),
            (refusal(directory(0, 1)), "file 1: cannot have the name \"new\" at position 1"),
            (refusal(name(|name| name.name = "e".to_owned())), "cannot have the name \"e\" at position 1"),
            (refusal(name(|name| name.name = "..".to_owned())), "cannot have the name \"..\" at position 1"),
            (refusal(name(|name| name.name = "a/b".to_owned())), "cannot have the name \"a/b\" at position 1"),
            (refusal(name(|name| name.position = 0)), "cannot have the name \"new\" at position 0"),
            (refusal(name(|name| name.node = 9)), "file 9: has a name, but is not there"),
            (refusal(name(|name| name.node = 0)), "file 0: is a directory with two places"),
            (refusal(name(|name| name.node = 2)), "file 2: is a directory with two places"),
            (refusal(name(|name| name.directory = 5)), "file 5: has names, but is no directory"),
            (refusal(|saved| saved.nodes.push((3, None))), "file 3: has a name, but is not there"),
            (refusal(|saved| saved.nodes.push((0, None))), "does not have as many names as it counts"),
            (
                refusal(with(5, |node| node.kind = SavedKind::Link { target: "/etc".to_owned() })),
                "file 5: is nothing that this program can have made",
            ),
            (
                refusal(|saved| {
                    let node = SavedNode::new(&tree().nodes[&5]);
                    saved.nodes.push((4, Some(SavedNode { kind: SavedKind::Link { target: "x".to_owned() }, ..node })));
                }),
                "file 4: is nothing that this program can have made",
            ),
        ];
        for (message, expected) in cases {
            assert!(message.starts_with("wasi state: ") && message.contains(expected), "{message}, not {expected}");
        }
    }

    #[test]
    fn contents_beyond_the_end_of_a_file_are_refused() {
        let fs = tree();
        let mut restored = fs.restore(&fs.save(), &BTreeSet::new()).unwrap();
        assert_eq!(restored.check_contents(), Ok(()));
        let mut page = [0; crate::snapshot::PAGE];
        page[903] = 1;
        restored.set_page(5, 1, &page);
        assert_eq!(restored.check_contents(), Ok(()));
        page[904] = 1;
        restored.set_page(5, 1, &page);
        assert_eq!(restored.check_contents().unwrap_err().message(), "wasi state: file 5: has contents beyond its end");
    }
}
