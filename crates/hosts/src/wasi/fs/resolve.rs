//! Paths: name by name from a directory, which none can leave, neither by `..`, nor by being absolute, nor by a link.

use super::{Directory, FileSystem, MAX_NAME, NodeKind};
use crate::wasi::errno::Errno;
use stepmark_core::host::Steps;

/// Longest path in bytes, as most systems have it; longer ones answer `ENAMETOOLONG`.
pub(in crate::wasi) const MAX_PATH: usize = 4096;

/// Links that a path may lead through, as Linux has it.
const MAX_LINKS: u32 = 40;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wasi) struct ResolvedPath {
    /// The directory that holds the last name.
    pub(in crate::wasi) directory: u32,
    /// The last name; none for a path that ends in `.` or `..`.
    pub(in crate::wasi) name: Option<String>,
    /// What it stands for, if there is something.
    pub node: Option<u32>,
    /// A slash follows: only a directory will do.
    pub(in crate::wasi) slash: bool,
}

impl ResolvedPath {
    /// The place for something new that may only be a directory if a slash follows.
    ///
    /// # Errors
    /// `EEXIST` if something is there.
    pub(in crate::wasi) fn new_name(&self) -> Result<&str, Errno> {
        match (self.node, &self.name) {
            (None, Some(name)) => Ok(name),
            _ => Err(Errno::Exist),
        }
    }

    /// The name, of something that can be removed or moved.
    ///
    /// # Errors
    /// `EINVAL` for a path that ends in `.` or `..`.
    pub(in crate::wasi) fn own_name(&self) -> Result<&str, Errno> {
        self.name.as_deref().ok_or(Errno::Inval)
    }
}

/// A path that is being followed.
struct Walk<'a> {
    fs: &'a FileSystem,
    /// Paths still to go, the next one last. None is empty or begins with a slash.
    rest: Vec<&'a str>,
    /// The directory that it is in, by number and itself.
    at: u32,
    directory: &'a Directory,
    /// Directories below the one where it began.
    depth: u32,
    links: u32,
    /// Follow the last name too if it is a link.
    follow: bool,
    slash: bool,
    steps: &'a mut Steps,
}

/// What a name on the way stands for.
struct FoundName<'a> {
    directory: u32,
    name: Option<&'a str>,
    node: Option<u32>,
}

/// Steps of looking at the bytes of a name, a path or a link's target: one for each 16.
pub(in crate::wasi) fn byte_steps(length: usize) -> u64 {
    length as u64 >> 4
}

impl FileSystem {
    /// Where `path` leads from directory `base`: a step for each name, also of links, and for 16 bytes. The last name need not exist; if it is a link, it is followed when asked.
    ///
    /// # Errors
    /// `ENOTCAPABLE` for a path that would leave `base`, `ENOENT` for an empty path or a missing directory on the way,
    /// `ENOTDIR` for a file on the way or with a slash after it, `ELOOP`, `ENAMETOOLONG`.
    pub(in crate::wasi) fn resolve(
        &self,
        base: u32,
        path: &str,
        follow: bool,
        steps: &mut Steps,
    ) -> Result<ResolvedPath, Errno> {
        if path.is_empty() {
            return Err(Errno::Noent);
        }
        let directory = self.directory(base).ok_or(Errno::Notdir)?;
        let (rest, depth, links, slash) = (Vec::new(), 0, 0, false);
        let mut walk = Walk { fs: self, rest, at: base, directory, depth, links, follow, slash, steps };
        walk.push(path)?;
        let found = walk.run()?;
        let is_file = found.node.is_some_and(|node| self.directory(node).is_none());
        if found.slash && is_file { Err(Errno::Notdir) } else { Ok(found) }
    }
}

impl<'a> Walk<'a> {
    /// Puts a path before those still to go.
    fn push(&mut self, path: &'a str) -> Result<(), Errno> {
        if path.starts_with('/') {
            return Err(Errno::Notcapable);
        }
        self.slash |= self.rest.is_empty() && path.ends_with('/');
        self.steps.take(byte_steps(path.len()));
        self.keep(path);
        Ok(())
    }

    /// Byte by byte, as the next function: most names are short.
    fn keep(&mut self, path: &'a str) {
        let start = path.bytes().position(|byte| byte != b'/');
        self.rest.extend(start.and_then(|start| path.get(start..)));
    }

    fn next_name(&mut self) -> Option<&'a str> {
        let path = self.rest.pop()?;
        let end = path.bytes().position(|byte| byte == b'/').unwrap_or(path.len());
        let (name, rest) = path.split_at_checked(end)?;
        self.keep(rest);
        Some(name)
    }

    fn run(mut self) -> Result<ResolvedPath, Errno> {
        let mut found = self.here();
        while let Some(name) = self.next_name() {
            self.steps.take(1);
            found = self.step(name)?;
        }
        let FoundName { directory, name, node } = found;
        Ok(ResolvedPath { directory, name: name.map(str::to_owned), node, slash: name.is_some() && self.slash })
    }

    fn here(&self) -> FoundName<'a> {
        FoundName { directory: self.at, name: None, node: Some(self.at) }
    }

    /// One name further.
    fn step(&mut self, name: &'a str) -> Result<FoundName<'a>, Errno> {
        match name {
            "." => return Ok(self.here()),
            ".." => {
                self.depth = self.depth.checked_sub(1).ok_or(Errno::Notcapable)?;
                self.at = self.directory.parent;
                self.directory = self.fs.directory(self.at).ok_or(Errno::Notdir)?;
                return Ok(self.here());
            }
            _ if name.len() > MAX_NAME => return Err(Errno::Nametoolong),
            _ => {}
        }
        let node = self.directory.get(name);
        let is_last = self.rest.is_empty();
        let found = FoundName { directory: self.at, name: Some(name), node };
        match node.and_then(|number| self.fs.get(number)).map(|node| &node.kind) {
            Some(NodeKind::Link(target)) if !is_last || self.follow || self.slash => self.enter_link(target)?,
            _ if is_last => {}
            Some(NodeKind::Directory(directory)) => {
                (self.at, self.directory) = (node.unwrap_or(self.at), directory);
                self.depth = self.depth.saturating_add(1);
            }
            Some(_) => return Err(Errno::Notdir),
            None => return Err(Errno::Noent),
        }
        Ok(found)
    }

    fn enter_link(&mut self, target: &'a str) -> Result<(), Errno> {
        self.links = self.links.saturating_add(1);
        if self.links > MAX_LINKS { Err(Errno::Loop) } else { self.push(target) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ROOT;
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// `/d/e/f` and `/g`: nodes 1 to 4.
    fn tree() -> FileSystem {
        let file = |path: &str| (path.to_owned(), Arc::from(path.as_bytes()));
        FileSystem::new([file("/d/e/f"), file("/g")], &[], 1 << 20).unwrap().0
    }

    fn node(fs: &FileSystem, base: u32, path: &str) -> Result<Option<u32>, Errno> {
        fs.resolve(base, path, true, &mut Steps::counting()).map(|found| found.node)
    }

    #[test]
    fn paths_are_resolved_component_by_component() {
        let fs = tree();
        let cases = [
            ("d", Ok(Some(1))),
            ("d/", Ok(Some(1))),
            (".", Ok(Some(0))),
            ("d/./e/../e//f", Ok(Some(3))),
            ("d/../g", Ok(Some(4))),
            ("g", Ok(Some(4))),
            ("g/", Err(Errno::Notdir)),
            ("g/.", Err(Errno::Notdir)),
            ("g/..", Err(Errno::Notdir)),
            ("g/x", Err(Errno::Notdir)),
            ("x", Ok(None)),
            ("x/", Ok(None)),
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
            assert_eq!(node(&fs, ROOT, path), expected, "{path}");
        }
        assert_eq!(node(&fs, 1, ".."), Err(Errno::Notcapable), "a directory is a root of its own");
        assert_eq!(node(&fs, 1, "e/../e/f"), Ok(Some(3)));
        assert_eq!(node(&fs, ROOT, &"n".repeat(256)), Err(Errno::Nametoolong));
    }

    #[test]
    fn every_name_that_is_gone_through_is_a_step_and_so_are_16_bytes() {
        let mut fs = tree();
        let slashes = "/".repeat(200);
        fs.create(0, "far", NodeKind::Link(format!("d{slashes}e/../../d/e")), 1).unwrap();
        let cases = [
            ("g", 1),
            ("d/e/f", 3),
            ("d/../d/./e", 5),
            (&*format!("d{}e", "/".repeat(13)), 2),
            (&*format!("d{}e", "/".repeat(14)), 1 + 2),
            // The link, its target of 209 bytes and its six names, and what follows.
            ("far/f", 1 + 13 + 6 + 1),
            ("x/y", 1),
            ("/d", 0),
        ];
        for (path, expected) in cases {
            let mut steps = Steps::counting();
            drop(fs.resolve(ROOT, path, true, &mut steps));
            assert_eq!(steps.taken(), expected, "{path}");
        }
    }

    #[test]
    fn no_link_leads_out_of_the_directory() {
        let mut fs = tree();
        let mut link = |directory, name: &str, target: &str| {
            fs.create(directory, name, NodeKind::Link(target.to_owned()), 1).unwrap();
        };
        link(1, "up", "../g");
        link(2, "twice", "../up");
        link(1, "absolute", "/g");
        link(1, "loop", "loop");
        link(1, "inside", "e/../e/");
        link(0, "dangling", "d/new");
        assert_eq!(node(&fs, ROOT, "d/up"), Ok(Some(4)), "it stays below the root");
        assert_eq!(node(&fs, ROOT, "d/e/twice"), Ok(Some(4)));
        for path in ["up", "e/twice", "absolute", "up/x", "absolute/x"] {
            assert_eq!(node(&fs, 1, path), Err(Errno::Notcapable), "{path}");
        }
        assert_eq!(node(&fs, 1, "loop"), Err(Errno::Loop));
        assert_eq!(node(&fs, 1, "inside/f"), Ok(Some(3)));
        let unfollowed = fs.resolve(1, "up", false, &mut Steps::counting()).unwrap();
        assert_eq!((unfollowed.directory, unfollowed.name.as_deref()), (1, Some("up")));
        let dangling = fs.resolve(ROOT, "dangling", true, &mut Steps::counting()).unwrap();
        assert_eq!((dangling.directory, dangling.name.as_deref(), dangling.node), (1, Some("new"), None));
    }

    /// The same with all names of a path at hand: (directory, last name, node, slash).
    fn plainly(fs: &FileSystem, path: &str, follow: bool) -> Result<(u32, Option<String>, Option<u32>, bool), Errno> {
        let names = |path: &str| path.rsplit('/').filter(|n| !n.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let check = |path: &str| if path.starts_with('/') { Err(Errno::Notcapable) } else { Ok(()) };
        if path.is_empty() {
            return Err(Errno::Noent);
        }
        check(path)?;
        let (mut rest, mut slash) = (names(path), path.ends_with('/'));
        let (mut at, mut depth, mut links) = (ROOT, 0u32, 0);
        let mut found = (at, None, Some(at), false);
        while let Some(name) = rest.pop() {
            let directory = fs.directory(at).ok_or(Errno::Notdir)?;
            if name == ".." {
                depth = depth.checked_sub(1).ok_or(Errno::Notcapable)?;
                at = directory.parent;
            }
            if name == "." || name == ".." {
                found = (at, None, Some(at), false);
                continue;
            }
            let node = directory.get(&name);
            let is_last = rest.is_empty();
            found = (at, Some(name), node, is_last && slash);
            match node.and_then(|node| fs.get(node)).map(|node| &node.kind) {
                Some(NodeKind::Link(target)) if !is_last || follow || slash => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::Loop);
                    }
                    check(target)?;
                    slash |= is_last && target.ends_with('/');
                    rest.extend(names(target));
                }
                _ if is_last => {}
                Some(NodeKind::Directory(_)) => (at, depth) = (node.unwrap(), depth + 1),
                Some(_) => return Err(Errno::Notdir),
                None => return Err(Errno::Noent),
            }
        }
        let is_file = found.2.is_some_and(|node| fs.directory(node).is_none());
        if found.3 && is_file { Err(Errno::Notdir) } else { Ok(found) }
    }

    proptest! {
        #[test]
        fn a_walk_leads_where_one_over_all_names_leads(
            paths in proptest::collection::vec("((d|e|g|f|x|\\.|\\.\\.|l|m|n)/{1,2}){0,5}(d|e|f|g|l|m|n|\\.\\.)?", 4..9),
            follow: bool,
        ) {
            let mut fs = tree();
            let (targets, asked) = paths.split_at(3);
            for ((directory, name), target) in [(0, "l"), (1, "m"), (2, "n")].into_iter().zip(targets) {
                fs.create(directory, name, NodeKind::Link(target.clone()), 1).unwrap();
            }
            for path in asked {
                let found = fs.resolve(ROOT, path, follow, &mut Steps::counting());
                let found = found.map(|found| (found.directory, found.name, found.node, found.slash));
                prop_assert_eq!(found, plainly(&fs, path, follow), "{} with {:?}", path, targets);
            }
        }
    }
}
