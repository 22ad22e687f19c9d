//! The tree that a job begins with. Nodes are numbered in the order of a walk through it, names in byte order, so that the
//! numbers depend on the paths alone and not on the order in which inputs are given.

use super::content::Content;
use super::node::{FileNode, FileTimes, NodeKind};
use super::sorted::Sorted;
use super::{Initial, MAX_NAME, MAX_PATH, ROOT, name_cost, new_directory, node_cost};
use std::sync::Arc;
use stepmark_state::error::JobError;

/// A path of the job, and the file there; none for a directory.
struct Path<'a> {
    shown: &'a str,
    names: Vec<&'a str>,
    content: Option<&'a Arc<[u8]>>,
}

/// The initial tree, and the node of each of the directories `preopens`.
pub(super) fn build(inputs: Vec<(String, Arc<[u8]>)>, preopens: &[String]) -> Result<(Initial, Vec<u32>), JobError> {
    let mut paths = Sorted::default();
    let mut add = |shown, names: Vec<_>, content| {
        let path = Path { shown, names: names.clone(), content };
        paths.insert(&|other: &Path<'_>| other.names <= names, path);
    };
    for (shown, content) in &inputs {
        add(shown.as_str(), file_names(shown)?, Some(content));
    }
    for shown in preopens {
        add(shown.as_str(), directory_names(shown)?, None);
    }
    let mut initial = Initial::default();
    initial.add_node(new_directory(ROOT));
    for path in paths.iter() {
        initial.add(path)?;
    }
    let node = |shown: &String| directory_names(shown).map(|names| initial.walk(&names));
    let directories = preopens.iter().map(node).collect::<Result<_, _>>()?;
    Ok((initial, directories))
}

impl Initial {
    /// Adds what a path names; those before it in the order of names are there already.
    fn add(&mut self, path: &Path<'_>) -> Result<(), JobError> {
        let (file, directories) = match path.content {
            Some(_) => path.names.split_last().map_or((None, &[][..]), |(file, rest)| (Some(file), rest)),
            None => (None, path.names.as_slice()),
        };
        let mut at = ROOT;
        for name in directories {
            at = match self.child(at, name) {
                Some(node) if self.directory(node).is_some() => node,
                Some(_) => return Err(path.refuse("below an input file")),
                None => self.add_child(at, name, new_directory(at)),
            };
        }
        if let (Some(name), Some(content)) = (file, path.content) {
            if self.child(at, name).is_some() {
                return Err(path.refuse("given twice, or also a directory"));
            }
            let content = Content::new(Arc::clone(content));
            self.add_child(at, name, NodeKind::File { length: content.base_length(), content });
        }
        Ok(())
    }

    fn child(&self, directory: u32, name: &str) -> Option<u32> {
        self.directory(directory)?.get(name)
    }

    /// Where a path leads that is there.
    fn walk(&self, names: &[&str]) -> u32 {
        names.iter().fold(ROOT, |at, name| self.child(at, name).unwrap_or(at))
    }

    fn add_child(&mut self, parent: u32, name: &str, kind: NodeKind) -> u32 {
        let number = self.add_node(kind);
        let parent = usize::try_from(parent).ok().and_then(|parent| self.nodes.get_mut(parent));
        if let Some(FileNode { kind: NodeKind::Directory(directory), .. }) = parent {
            directory.insert(name, number);
        }
        self.metadata = self.metadata.saturating_add(name_cost(name));
        number
    }

    fn add_node(&mut self, kind: NodeKind) -> u32 {
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let node = FileNode { kind, links: 1, times: FileTimes::default() };
        self.metadata = self.metadata.saturating_add(node_cost(&node));
        self.nodes.push(node);
        number
    }
}

impl Path<'_> {
    fn refuse(&self, why: &str) -> JobError {
        let what = if self.content.is_some() { "input file" } else { "preopened directory" };
        JobError::usage(format!("{what} {:?}: {why}", self.shown))
    }
}

/// The names on the path of an input file, whose leading slash may be left out.
fn file_names(path: &str) -> Result<Vec<&str>, JobError> {
    names(path.strip_prefix('/').unwrap_or(path)).map_err(|why| JobError::usage(format!("input file {path:?}: {why}")))
}

/// The names on the path of a preopened directory; `/` and `.` are the root, a slash at the end says nothing.
fn directory_names(path: &str) -> Result<Vec<&str>, JobError> {
    match path.trim_end_matches('/').trim_start_matches('/') {
        "" | "." => Ok(Vec::new()),
        rest => names(rest).map_err(|why| JobError::usage(format!("preopened directory {path:?}: {why}"))),
    }
}

fn names(path: &str) -> Result<Vec<&str>, &'static str> {
    if path.len() >= MAX_PATH {
        return Err("path longer than 4096 bytes");
    }
    let names: Vec<&str> = path.split('/').collect();
    for name in &names {
        match *name {
            "" => return Err("a component is empty, expected names between single slashes"),
            "." | ".." => return Err("components . and .. are not allowed"),
            name if name.len() > MAX_NAME => return Err("a component is longer than 255 bytes"),
            name if name.contains('\0') => return Err("a component holds a NUL byte"),
            _ => {}
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str], preopens: &[&str]) -> Result<(Initial, Vec<u32>), JobError> {
        let inputs = paths.iter().map(|path| ((*path).to_owned(), Arc::from(path.as_bytes()))).collect();
        let preopens: Vec<String> = preopens.iter().map(|path| (*path).to_owned()).collect();
        build(inputs, &preopens)
    }

    fn listing(initial: &Initial) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, node) in initial.nodes.iter().enumerate() {
            if let NodeKind::Directory(directory) = &node.kind {
                let names: Vec<String> =
                    directory.from(0).map(|entry| format!("{}={}", entry.name, entry.node)).collect();
                lines.push(format!("{number}: {}", names.join(" ")));
            }
        }
        lines
    }

    #[test]
    fn numbers_follow_names_and_not_the_order_of_inputs() {
        let expected = ["0: a=1 a-=5 b=6", "1: x=2 y=3", "3: z=4", "6: c=7"];
        let paths = ["/a/x", "/a/y/z", "/a-", "/b/c"];
        assert_eq!(listing(&tree(&paths, &[]).unwrap().0), expected);
        let reversed: Vec<&str> = paths.iter().rev().copied().collect();
        assert_eq!(listing(&tree(&reversed, &[]).unwrap().0), expected);
    }

    #[test]
    fn preopened_directories_are_made_where_no_input_makes_them() {
        let (initial, nodes) = tree(&["/a/x"], &["/", "tmp", "/a/", ".", "/tmp/deep"]).unwrap();
        assert_eq!(listing(&initial), ["0: a=1 tmp=3", "1: x=2", "3: deep=4", "4: "]);
        assert_eq!(nodes, [0, 3, 1, 0, 4]);
    }

    #[test]
    fn conflicting_and_malformed_paths_are_refused() {
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
            let error = tree(bad, &[]).unwrap_err();
            assert!(error.message().starts_with("input file "), "{bad:?}: {error}");
        }
        assert!(tree(&[&"n".repeat(255), &"/n".repeat(2048)], &[]).is_ok());
        for bad in ["/f/x", "a//b", "a/../b", "f"] {
            let error = tree(&["/f"], &[bad]).unwrap_err();
            assert!(error.message().starts_with(&format!("preopened directory {bad:?}: ")), "{bad}: {error}");
        }
    }
}
