//! The tree as a snapshot carries it: the nodes that are not as the job gave them. What a snapshot says is checked before
//! anything is built from it, and again as a whole: every build has the names that it counts, every directory hangs below
//! the root, and sizes are within the job's limits.

use super::content::Content;
use super::node::{Directory, DirectoryEntry, FileNode, FileTimes, NodeKind};
use super::sorted::Sorted;
use super::{FileSystem, MAX_NAME, MAX_PATH, ROOT, name_cost, node_cost, pages};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use stepmark_state::encoding::bounded;
use stepmark_state::encoding::not_ascending;
use stepmark_state::error::JobError;

/// Nodes and names that a state can carry: those that the bound of what they take leaves room for, and as many inputs as a
/// job can name. A bound for the memory that decoding takes.
const MAX_ITEMS: usize = 1 << 20;

/// The tree, as far as it differs from the job's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::wasi) struct SavedTree {
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
    times: FileTimes,
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

#[cold]
fn refuse(what: &str) -> JobError {
    JobError::snapshot(format!("wasi state: {what}"))
}

#[cold]
fn refuse_node(number: u32, why: &str) -> JobError {
    refuse(&format!("file {number}: {why}"))
}

impl FileSystem {
    /// The saved form.
    pub(in crate::wasi) fn save(&self) -> SavedTree {
        let mut saved = SavedTree { next: self.next, nodes: Vec::new(), names: Vec::new() };
        let mut given = self.initial.numbered().peekable();
        for (number, node) in self.nodes.iter() {
            while let Some((gone, _)) = given.next_if(|(other, _)| other < number) {
                saved.nodes.push((gone, None));
            }
            let was = given.next_if(|(other, _)| other == number);
            if !was.is_some_and(|(_, was)| is_same(was, node)) {
                saved.add(*number, node);
            }
        }
        saved.nodes.extend(given.map(|(gone, _)| (gone, None)));
        saved
    }

    /// The tree of a saved form, its written contents as the job gave them until their pages come. `open` are the nodes
    /// that descriptors lead to.
    ///
    /// # Errors
    /// No run of this job comes to such a tree.
    pub(in crate::wasi) fn restore(&self, saved: &SavedTree, open: &[u32]) -> Result<FileSystem, JobError> {
        let pages = saved.pages();
        if pages > self.max_pages {
            let most = self.max_pages;
            return Err(refuse(&format!("{pages} pages of files, the job's limit is {most}")));
        }
        let (initial, nodes) = (Arc::clone(&self.initial), Sorted::default());
        let (next, max_pages) = (saved.next, self.max_pages);
        let mut fs = FileSystem { initial, nodes, next, max_pages, pages, metadata: 0 };
        saved.fill(&mut fs)?;
        fs.check_nodes(open)?;
        fs.check_names()?;
        match fs.room(0) {
            Ok(()) => Ok(fs),
            Err(_) => Err(refuse("more files and names than a program may have")),
        }
    }

    /// Puts a node after all others, without its names.
    fn add(&mut self, number: u32, node: FileNode) {
        self.metadata = self.metadata.saturating_add(node_cost(&node));
        self.nodes.insert(&|_| true, (number, Box::new(node)));
    }

    /// Checks the contents, once all pages have come: no file holds anything beyond its end.
    ///
    /// # Errors
    /// One does; it is named by its number.
    pub(in crate::wasi) fn check_contents(&self) -> Result<(), JobError> {
        let is_good = |(length, content): (u64, &Content)| content.is_zero_from(length);
        let bad = self.written().find(|number| !self.file(*number).is_some_and(is_good));
        bad.map_or(Ok(()), |number| Err(refuse_node(number, "has contents beyond its end")))
    }
}

/// Whether a node is saved alike, its names included.
fn is_same(a: &FileNode, b: &FileNode) -> bool {
    let names_are = match (&a.kind, &b.kind) {
        (NodeKind::Directory(a), NodeKind::Directory(b)) => a.from(0).eq(b.from(0)),
        _ => true,
    };
    names_are && SavedNode::new(a) == SavedNode::new(b)
}

impl SavedNode {
    fn new(node: &FileNode) -> Self {
        let kind = match &node.kind {
            NodeKind::Directory(directory) => SavedKind::Directory { parent: directory.parent, next: directory.next },
            NodeKind::File { length, content } => SavedKind::File { length: *length, pages: content.held() },
            NodeKind::Link(target) => SavedKind::Link { target: target.clone() },
        };
        Self { kind, links: node.links, times: node.times }
    }

    /// The node, without its names; `was` is what the job gave in its place.
    fn node(&self, was: Option<&FileNode>) -> FileNode {
        let kind = match &self.kind {
            SavedKind::Directory { parent, next } => NodeKind::Directory(Directory::new(*parent, *next)),
            SavedKind::File { length, pages } => {
                let mut content = match was {
                    Some(FileNode { kind: NodeKind::File { content, .. }, .. }) => content.clone(),
                    _ => Content::default(),
                };
                if let Some(count) = pages {
                    content.grow(*count);
                }
                NodeKind::File { length: *length, content }
            }
            SavedKind::Link { target } => NodeKind::Link(target.clone()),
        };
        FileNode { kind, links: self.links, times: self.times }
    }
}

impl SavedTree {
    /// Adds a node that is not as the job gave it.
    fn add(&mut self, number: u32, node: &FileNode) {
        self.nodes.push((number, Some(SavedNode::new(node))));
        let NodeKind::Directory(entries) = &node.kind else { return };
        for entry in entries.from(0) {
            let (position, name, node) = (entry.position, entry.name.clone(), entry.node);
            self.names.push(SavedName { directory: number, position, name, node });
        }
    }

    /// Pages of all files together, before any is made.
    fn pages(&self) -> u64 {
        let held = self.nodes.iter().map(|(_, node)| match node {
            Some(SavedNode { kind: SavedKind::File { pages: Some(pages), .. }, .. }) => *pages,
            _ => 0,
        });
        held.fold(0, u64::saturating_add)
    }

    /// Puts all nodes into a file system that has none: the job's, changed as this says.
    fn fill(&self, fs: &mut FileSystem) -> Result<(), JobError> {
        if not_ascending(&self.nodes, |(number, _)| number).is_some() {
            return Err(refuse("files are not in ascending order"));
        }
        let initial = Arc::clone(&fs.initial);
        let mut given = initial.numbered().peekable();
        for (number, node) in &self.nodes {
            while let Some((other, was)) = given.next_if(|(other, _)| other < number) {
                fs.add(other, was.clone());
            }
            let was = given.next_if(|(other, _)| other == number).map(|(_, was)| was);
            if let Some(node) = node {
                fs.add(*number, node.node(was));
            }
        }
        given.for_each(|(other, was)| fs.add(other, was.clone()));
        self.fill_names(fs)
    }

    fn fill_names(&self, fs: &mut FileSystem) -> Result<(), JobError> {
        for SavedName { directory, position, name, node } in &self.names {
            let Some(FileNode { kind: NodeKind::Directory(entries), .. }) = fs.get_mut(*directory) else {
                return Err(refuse_node(*directory, "has names, but is no directory"));
            };
            let entry = DirectoryEntry { position: *position, name: name.clone(), node: *node };
            if !is_name(name) || *position >= entries.next || !entries.put(entry) {
                return Err(refuse_node(*directory, &format!("cannot have the name {name:?} at position {position}")));
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= MAX_NAME && !name.contains(['/', '\0'])
}

/// Whether a link can lead there: a path that is not absolute.
pub(in crate::wasi) fn is_target(target: &str) -> bool {
    !target.is_empty() && target.len() <= MAX_PATH && !target.starts_with('/') && !target.contains('\0')
}

impl FileSystem {
    /// Each node by itself.
    fn check_nodes(&self, open: &[u32]) -> Result<(), JobError> {
        let given = self.initial.nodes.len() as u64;
        let last = self.nodes.iter().last().map_or(0, |(number, _)| u64::from(*number).saturating_add(1));
        if u64::from(self.next) < given.max(last) {
            return Err(refuse(&format!("the next file's number {} is taken", self.next)));
        }
        for (number, node) in self.nodes.iter() {
            if !self.can_be(*number, node) {
                return Err(refuse_node(*number, "is nothing that this program can have made"));
            }
            if node.links == 0 && !open.contains(number) {
                return Err(refuse_node(*number, "has no name and is not open"));
            }
        }
        Ok(())
    }

    /// Whether a program can have made this of what the job gave it, names aside.
    fn can_be(&self, number: u32, node: &FileNode) -> bool {
        let was = self.initial.get(number).map(|was| &was.kind);
        match (&node.kind, was) {
            (NodeKind::Directory(directory), None | Some(NodeKind::Directory(_))) => match node.links {
                // The root has no name, and still cannot go; one that was removed is its own parent.
                1 => (number == ROOT) == (directory.parent == number),
                0 => number != ROOT && directory.parent == number && directory.is_empty(),
                _ => false,
            },
            (NodeKind::File { length, content }, None | Some(NodeKind::File { .. })) => match content.held() {
                Some(held) => pages((*length).max(content.base_length())) <= held,
                None => *length == content.base_length(),
            },
            (NodeKind::Link(target), None) => is_target(target),
            _ => false,
        }
    }

    /// Every node has as many names as it counts, and all of them are reached from the root.
    fn check_names(&mut self) -> Result<(), JobError> {
        let mut counts: Vec<(u32, u32)> = self.nodes.iter().map(|(number, node)| (*number, node.links)).collect();
        let mut found = |number: u32| {
            let place = counts.binary_search_by_key(&number, |(number, _)| *number).ok()?;
            let (_, left) = counts.get_mut(place)?;
            *left = left.checked_sub(1)?;
            Some(())
        };
        let mut cost = 0u64;
        let mut open = vec![ROOT];
        found(ROOT).ok_or_else(|| refuse("there is no root"))?;
        while let Some(number) = open.pop() {
            for entry in self.directory(number).into_iter().flat_map(|directory| directory.from(0)) {
                found(entry.node).ok_or_else(|| refuse_node(entry.node, "has more names than it counts"))?;
                cost = cost.saturating_add(name_cost(&entry.name));
                match self.directory(entry.node) {
                    Some(inner) if inner.parent == number => open.push(entry.node),
                    Some(_) => return Err(refuse_node(entry.node, "has another directory above it")),
                    None => {}
                }
            }
        }
        self.metadata = self.metadata.saturating_add(cost);
        let wrong = counts.iter().find(|(_, left)| *left > 0);
        wrong.map_or(Ok(()), |(number, _)| Err(refuse_node(*number, "has fewer names than it counts")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::new_file;
    use super::*;
    use std::sync::Arc;

    /// `/d/e/f` (nodes 1 to 3) and `/g` (4), with `/d/new` (5) written to.
    fn tree() -> FileSystem {
        let file = |path: &str| (path.to_owned(), Arc::from(path.as_bytes()));
        let (mut fs, _) = FileSystem::new([file("/d/e/f"), file("/g")], &[], 1 << 20).unwrap();
        let new = fs.create(1, "new", new_file(), 7).unwrap();
        fs.resize(new, 5000, 7).unwrap();
        fs
    }

    fn refusal(change: impl Fn(&mut SavedTree)) -> String {
        let fs = tree();
        let mut saved = fs.save();
        change(&mut saved);
        match fs.restore(&saved, &[]) {
            Ok(restored) => panic!("restored as {restored:?}"),
            Err(error) => error.message().to_owned(),
        }
    }

    fn with(number: u32, change: impl Fn(&mut SavedNode)) -> impl Fn(&mut SavedTree) {
        move |saved: &mut SavedTree| {
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
        let restored = fs.restore(&saved, &[]).unwrap();
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
        assert_eq!(fs.restore(&saved, &[]).unwrap().save(), saved);
    }

    #[test]
    fn a_tree_that_no_program_makes_is_refused() {
        let file = |length, pages| with(5, move |node| node.kind = SavedKind::File { length, pages });
        let directory = |parent, next| with(1, move |node| node.kind = SavedKind::Directory { parent, next });
        let name = |change: fn(&mut SavedName)| move |saved: &mut SavedTree| change(&mut saved.names[1]);
        let cases: Vec<(String, &str)> = vec![
            (refusal(|saved| saved.next = 5), "the next file's number 5 is taken"),
            (refusal(|saved| saved.next = 3), "the next file's number 3 is taken"),
            (refusal(file(5000, Some(1))), "file 5: is nothing that this program can have made"),
            (refusal(file(1, None)), "file 5: is nothing that this program can have made"),
            (refusal(file(5000, Some(257))), "257 pages of files, the job's limit is 256"),
            (refusal(file(5000, Some(u64::MAX))), "18446744073709551615 pages of files, the job's limit is 256"),
            (refusal(with(5, |node| node.links = 2)), "file 5: has fewer names than it counts"),
            (refusal(with(5, |node| node.links = 0)), "file 5: has no name and is not open"),
            (refusal(directory(1, 9)), "file 1: is nothing that this program can have made"),
            (refusal(directory(2, 9)), "file 1: has another directory above it"),
            (refusal(directory(0, 1)), "file 1: cannot have the name \"new\" at position 1"),
            (refusal(name(|name| name.name = "e".to_owned())), "cannot have the name \"e\" at position 1"),
            (refusal(name(|name| name.name = "..".to_owned())), "cannot have the name \"..\" at position 1"),
            (refusal(name(|name| name.name = "a/b".to_owned())), "cannot have the name \"a/b\" at position 1"),
            (refusal(name(|name| name.position = 0)), "cannot have the name \"new\" at position 0"),
            (refusal(name(|name| name.node = 9)), "file 9: has more names than it counts"),
            (refusal(name(|name| name.node = 0)), "file 0: has more names than it counts"),
            (refusal(name(|name| name.node = 2)), "file 2: has more names than it counts"),
            (refusal(name(|name| name.directory = 5)), "file 5: has names, but is no directory"),
            (refusal(|saved| saved.nodes.insert(1, (3, None))), "file 3: has more names than it counts"),
            (refusal(|saved| saved.nodes.swap(0, 1)), "files are not in ascending order"),
            (refusal(|saved| saved.nodes.insert(0, (0, None))), "there is no root"),
            (
                refusal(with(5, |node| node.kind = SavedKind::Link { target: "/etc".to_owned() })),
                "file 5: is nothing that this program can have made",
            ),
            (
                refusal(|saved| {
                    let node = SavedNode::new(tree().get(5).unwrap());
                    saved
                        .nodes
                        .insert(1, (4, Some(SavedNode { kind: SavedKind::Link { target: "x".to_owned() }, ..node })));
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
        let mut restored = fs.restore(&fs.save(), &[]).unwrap();
        assert_eq!(restored.check_contents(), Ok(()));
        let mut page = [0; stepmark_state::pages::PAGE];
        page[903] = 1;
        restored.set_page(5, 1, &page);
        assert_eq!(restored.check_contents(), Ok(()));
        page[904] = 1;
        restored.set_page(5, 1, &page);
        assert_eq!(restored.check_contents().unwrap_err().message(), "wasi state: file 5: has contents beyond its end");
    }
}
