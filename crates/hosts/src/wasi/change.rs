//! Calls that change the tree: making, linking, moving and removing, and setting sizes and times. Each decides everything
//! before its first effect.

use crate::wasi::calls::Args;
use crate::wasi::fs::{NodeKind, ResolvedPath, is_target, new_directory};
use crate::wasi::path::{follows, read_path};
use crate::wasi::rights;
use crate::wasi::stat::NewTimes;
use crate::wasi::state::MAX_OFFSET;
use crate::wasi::{Answer, Errno, Wasi};
use stepmark_core::host::{GuestMemory, Steps, Work};

/// What adding a page to a file counts for, in bytes moved: the node keeps a record of it.
const PAGE_RECORD: u64 = 8;

impl Wasi {
    /// Forgets a node to which neither a name nor a descriptor leads.
    pub(super) fn release(&mut self, node: u32) {
        if self.fs.get(node).is_some_and(|node| node.links == 0) && !self.state.is_open(node) {
            self.fs.release(node);
        }
    }

    /// The work of making a file reach `end`: the new pages, and a record of each.
    pub(super) fn growth_work(&self, node: u32, end: u64) -> Work {
        let pages = self.fs.growth(node, end.min(MAX_OFFSET)).min(self.max_pages);
        Work { bytes: pages.saturating_mul(PAGE_RECORD), pages, ..Work::NONE }
    }

    /// The work of `fd_allocate` and `fd_filestat_set_size` up to `end`.
    pub(super) fn resize_work(&self, fd: u32, end: u64) -> Work {
        self.regular_file(fd, Errno::Badf).map_or(Work::NONE, |(node, _)| self.growth_work(node, end))
    }

    /// `fd_allocate(fd, offset, length)`: a file that ends before is made longer.
    pub(super) fn fd_allocate(&mut self, args: Args<'_>, now: u64) -> Answer {
        let (node, descriptor) = self.regular_file(args.u32(0), Errno::Spipe)?;
        let (offset, length) = (args.u64(1), args.u64(2));
        if length == 0 {
            return Err(Errno::Inval);
        }
        if descriptor.rights & rights::FD_ALLOCATE == 0 {
            return Err(Errno::Notcapable);
        }
        let end = offset.checked_add(length).filter(|end| *end <= MAX_OFFSET).ok_or(Errno::Fbig)?;
        let size = self.fs.length(node).unwrap_or_default();
        self.fs.resize(node, size.max(end), now)
    }

    /// `fd_filestat_set_size(fd, size)`.
    pub(super) fn fd_filestat_set_size(&mut self, args: Args<'_>, now: u64) -> Answer {
        let (node, descriptor) = self.regular_file(args.u32(0), Errno::Inval)?;
        if descriptor.rights & rights::FD_FILESTAT_SET_SIZE == 0 {
            return Err(Errno::Notcapable);
        }
        if args.u64(1) > MAX_OFFSET {
            return Err(Errno::Fbig);
        }
        self.fs.resize(node, args.u64(1), now)
    }

    /// `path_filestat_set_times(fd, lookup, path, length, access, modification, flags)`.
    pub(super) fn path_filestat_set_times(
        &mut self,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        now: u64,
        steps: &mut Steps,
    ) -> Answer {
        let (path, follow) = ((args.ptr(2), args.ptr(3)), follows(args.u32(1)));
        let needed = rights::PATH_FILESTAT_SET_TIMES;
        let found = self.look_up(args.u32(0), needed, follow.unwrap_or_default(), memory, path, steps)?;
        follow?;
        let node = found.node.ok_or(Errno::Noent)?;
        NewTimes::new(args.u64(4), args.u64(5), args.u32(6), now)?.apply(node, &mut self.fs, now);
        Ok(())
    }

    /// `path_create_directory(fd, path, length)`.
    pub(super) fn path_create_directory(
        &mut self,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        now: u64,
        steps: &mut Steps,
    ) -> Answer {
        let path = (args.ptr(1), args.ptr(2));
        let found = self.look_up(args.u32(0), rights::PATH_CREATE_DIRECTORY, false, memory, path, steps)?;
        self.fs.create(found.directory, found.new_name()?, new_directory(found.directory), now).map(drop)
    }

    /// A place for something new that is no directory.
    fn place(
        &self,
        fd: u32,
        needed: u64,
        memory: &dyn GuestMemory,
        path: (u64, u64),
        steps: &mut Steps,
    ) -> Result<ResolvedPath, Errno> {
        let found = self.look_up(fd, needed, false, memory, path, steps)?;
        found.new_name()?;
        if found.slash { Err(Errno::Noent) } else { Ok(found) }
    }

    /// `path_link(old fd, lookup, old path, length, new fd, new path, length)`.
    pub(super) fn path_link(
        &mut self,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        now: u64,
        steps: &mut Steps,
    ) -> Answer {
        let (old_path, follow) = ((args.ptr(2), args.ptr(3)), follows(args.u32(1)));
        let follow_old = follow.unwrap_or_default();
        let old = self.look_up(args.u32(0), rights::PATH_LINK_SOURCE, follow_old, memory, old_path, steps)?;
        let new =
            self.look_up(args.u32(4), rights::PATH_LINK_TARGET, false, memory, (args.ptr(5), args.ptr(6)), steps)?;
        follow?;
        let node = old.node.ok_or(Errno::Noent)?;
        let name = new.new_name()?;
        match self.fs.directory(node) {
            Some(_) => Err(Errno::Perm),
            None if new.slash => Err(Errno::Noent),
            None => self.fs.link(new.directory, name, node, now),
        }
    }

    /// `path_symlink(target, length, fd, path, length)`. The target need not exist, only be a path, and not an absolute
    /// one, which could lead nowhere.
    pub(super) fn path_symlink(
        &mut self,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        now: u64,
        steps: &mut Steps,
    ) -> Answer {
        let target = read_path(memory, args.ptr(0), args.ptr(1))?.to_owned();
        let found = self.place(args.u32(2), rights::PATH_SYMLINK, memory, (args.ptr(3), args.ptr(4)), steps)?;
        if target.is_empty() {
            return Err(Errno::Noent);
        }
        if !is_target(&target) {
            return Err(Errno::Notcapable);
        }
        self.fs.create(found.directory, found.new_name()?, NodeKind::Link(target), now).map(drop)
    }

    /// `path_rename(old fd, old path, length, new fd, new path, length)`: what has the new name is replaced, a directory only
    /// if it is empty.
    pub(super) fn path_rename(
        &mut self,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        now: u64,
        steps: &mut Steps,
    ) -> Answer {
        let old =
            self.look_up(args.u32(0), rights::PATH_RENAME_SOURCE, false, memory, (args.ptr(1), args.ptr(2)), steps)?;
        let new =
            self.look_up(args.u32(3), rights::PATH_RENAME_TARGET, false, memory, (args.ptr(4), args.ptr(5)), steps)?;
        let node = old.node.ok_or(Errno::Noent)?;
        let (old_name, new_name) = (old.own_name()?, new.own_name()?);
        if new.node == Some(node) {
            return Ok(());
        }
        self.check_replace(node, &old, &new, steps)?;
        self.fs.check_name(new.directory, new_name)?;
        let replaced = new.node.and_then(|_| self.fs.unlink(new.directory, new_name, now));
        self.fs.unlink(old.directory, old_name, now);
        // Nothing fails here any more: there was room for the name beside those that are gone now.
        self.fs.link(new.directory, new_name, node, now)?;
        if let Some(replaced) = replaced {
            self.release(replaced);
        }
        Ok(())
    }

    /// Whether `node`, which is at `old`, can take the place of what is at `new`.
    fn check_replace(&self, node: u32, old: &ResolvedPath, new: &ResolvedPath, steps: &mut Steps) -> Answer {
        let there = new.node.map(|there| self.fs.directory(there).is_some());
        if self.fs.directory(node).is_none() {
            return match there {
                Some(true) => Err(Errno::Isdir),
                None if new.slash => Err(Errno::Notdir),
                _ => Ok(()),
            };
        }
        // Nothing moves into itself where it stays in its directory.
        if old.directory != new.directory && self.fs.is_within(new.directory, node, steps) {
            return Err(Errno::Inval);
        }
        match (there, new.node) {
            (Some(false), _) => Err(Errno::Notdir),
            (_, Some(there)) if !self.fs.is_empty(there) => Err(Errno::Notempty),
            _ => Ok(()),
        }
    }

    /// `path_remove_directory(fd, path, length)`.
    pub(super) fn path_remove_directory(
        &mut self,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        now: u64,
        steps: &mut Steps,
    ) -> Answer {
        let path = (args.ptr(1), args.ptr(2));
        let found = self.look_up(args.u32(0), rights::PATH_REMOVE_DIRECTORY, false, memory, path, steps)?;
        let node = found.node.ok_or(Errno::Noent)?;
        if self.fs.directory(node).is_none() {
            return Err(Errno::Notdir);
        }
        let name = found.own_name()?;
        if !self.fs.is_empty(node) {
            return Err(Errno::Notempty);
        }
        self.fs.unlink(found.directory, name, now);
        self.release(node);
        Ok(())
    }

    /// `path_unlink_file(fd, path, length)`.
    pub(super) fn path_unlink_file(
        &mut self,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        now: u64,
        steps: &mut Steps,
    ) -> Answer {
        let path = (args.ptr(1), args.ptr(2));
        let found = self.look_up(args.u32(0), rights::PATH_UNLINK_FILE, false, memory, path, steps)?;
        let node = found.node.ok_or(Errno::Noent)?;
        if self.fs.directory(node).is_some() {
            return Err(Errno::Isdir);
        }
        self.fs.unlink(found.directory, found.own_name()?, now);
        self.release(node);
        Ok(())
    }
}
