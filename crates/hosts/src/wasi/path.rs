//! Calls that name a file by descriptor of a directory and path below it: opening it, and looking at it.

use crate::wasi::calls::Args;
use crate::wasi::descriptors::parse_flags;
use crate::wasi::fs::{MAX_PATH, NodeKind, ResolvedPath, new_file};
use crate::wasi::rights;
use crate::wasi::stat::store_filestat;
use crate::wasi::state::{Descriptor, DescriptorTarget, max_rights};
use crate::wasi::{Answer, Errno, Wasi, in_bounds, store};
use stepmark_core::host::{GuestMemory, Steps};

const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

/// The path of `length` bytes at `addr`.
pub(super) fn read_path(memory: &dyn GuestMemory, addr: u64, length: u64) -> Result<&str, Errno> {
    in_bounds(memory, addr, length)?;
    if length > MAX_PATH as u64 {
        return Err(Errno::Nametoolong);
    }
    let bytes = memory.read(addr, length).ok_or(Errno::Fault)?;
    let path = std::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)?;
    if path.contains('\0') { Err(Errno::Inval) } else { Ok(path) }
}

/// Flags of a lookup: whether a link at the end of the path is followed.
pub(super) fn follows(flags: u32) -> Result<bool, Errno> {
    if flags <= 1 { Ok(flags == 1) } else { Err(Errno::Inval) }
}

/// Whether `path_open` follows a link at the end of its path: one that must make its file does not.
pub(super) fn follows_to_open(follow: bool, oflags: u32) -> bool {
    follow && oflags & (CREATE | EXCLUSIVE) != CREATE | EXCLUSIVE
}

/// How a file is to be opened.
#[derive(Clone, Copy)]
struct Opening {
    oflags: u32,
    rights: u64,
    /// Rights of the directory that it is opened through.
    directory: u64,
}

impl Opening {
    fn has(self, flags: u32) -> bool {
        self.oflags & flags == flags
    }
}

impl Wasi {
    /// The directory behind `fd`, if the descriptor has the right `needed`.
    fn directory(&self, fd: u32, needed: u64) -> Result<(u32, &Descriptor), Errno> {
        let descriptor = self.descriptor(fd)?;
        let DescriptorTarget::Node(node) = descriptor.target else { return Err(Errno::Notdir) };
        if self.fs.directory(node).is_none() {
            return Err(Errno::Notdir);
        }
        if descriptor.rights & needed != needed {
            return Err(Errno::Notcapable);
        }
        Ok((node, descriptor))
    }

    /// Where the path of `length` bytes at `addr` leads from directory `fd`.
    pub(super) fn look_up(
        &self,
        fd: u32,
        needed: u64,
        follow: bool,
        memory: &dyn GuestMemory,
        (addr, length): (u64, u64),
        steps: &mut Steps,
    ) -> Result<ResolvedPath, Errno> {
        let (base, _) = self.directory(fd, needed)?;
        self.fs.resolve(base, read_path(memory, addr, length)?, follow, steps)
    }

    /// `path_filestat_get(fd, lookup, path, length, record)`.
    pub(super) fn path_filestat_get(
        &mut self,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        steps: &mut Steps,
    ) -> Answer {
        let (path, follow) = ((args.ptr(2), args.ptr(3)), follows(args.u32(1)));
        let needed = rights::PATH_FILESTAT_GET;
        let found = self.look_up(args.u32(0), needed, follow.unwrap_or_default(), memory, path, steps)?;
        follow?;
        let node = found.node.ok_or(Errno::Noent)?;
        store_filestat(args, 4, DescriptorTarget::Node(node), &self.fs, memory)
    }

    /// `path_readlink(fd, path, length, buffer, buffer length, used)`: `EINVAL` for what is no link. A target that does not
    /// fit is cut.
    pub(super) fn path_readlink(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory, steps: &mut Steps) -> Answer {
        let path = (args.ptr(1), args.ptr(2));
        let found = self.look_up(args.u32(0), rights::PATH_READLINK, false, memory, path, steps)?;
        in_bounds(memory, args.ptr(3), args.ptr(4))?;
        in_bounds(memory, args.ptr(5), 4)?;
        let node = found.node.ok_or(Errno::Noent)?;
        let Some(NodeKind::Link(target)) = self.fs.get(node).map(|node| &node.kind) else { return Err(Errno::Inval) };
        let room = usize::try_from(args.ptr(4)).unwrap_or(usize::MAX);
        let part = target.as_bytes().get(..room).unwrap_or(target.as_bytes());
        store(memory, args.ptr(3), part)?;
        let used = u32::try_from(part.len()).map_err(|_| Errno::Inval)?;
        store(memory, args.ptr(5), &used.to_le_bytes())
    }

    /// `path_open(fd, lookup, path, length, open flags, rights, inheriting, descriptor flags, opened)`. The new
    /// descriptor has the rights asked for as far as the target can have them and the directory passes them on.
    pub(super) fn path_open(
        &mut self,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        now: u64,
        steps: &mut Steps,
    ) -> Answer {
        let fd = args.u32(0);
        let (_, directory) = self.directory(fd, rights::PATH_OPEN)?;
        let (directory, passed_on) = (directory.rights, directory.inheriting);
        let opening = Opening { oflags: args.u32(4), rights: args.u64(5), directory };
        in_bounds(memory, args.ptr(8), 4)?;
        let (follow, flags) = (follows(args.u32(1))?, parse_flags(args.u32(7))?);
        if opening.oflags > CREATE | DIRECTORY | EXCLUSIVE | TRUNCATE || opening.has(CREATE | DIRECTORY) {
            return Err(Errno::Inval);
        }
        let follow = follows_to_open(follow, opening.oflags);
        let found = self.look_up(fd, rights::PATH_OPEN, follow, memory, (args.ptr(2), args.ptr(3)), steps)?;
        let number = self.state.lowest_free().ok_or(Errno::Mfile)?;
        let target = DescriptorTarget::Node(self.open_node(&found, opening, now)?);
        let opened = Descriptor {
            rights: opening.rights & passed_on & max_rights(target, &self.fs),
            flags,
            ..Descriptor::new(target, &self.fs, args.u64(6) & passed_on)
        };
        self.state.descriptors.insert(number, opened);
        store(memory, args.ptr(8), &number.to_le_bytes())
    }

    /// The node to be opened: found, cut if asked, or made.
    fn open_node(&mut self, found: &ResolvedPath, opening: Opening, now: u64) -> Result<u32, Errno> {
        if opening.has(TRUNCATE) && opening.directory & rights::PATH_FILESTAT_SET_SIZE == 0 {
            return Err(Errno::Notcapable);
        }
        if let Some(node) = found.node {
            self.check_open(node, opening)?;
            if opening.has(TRUNCATE) {
                self.fs.resize(node, 0, now)?;
            }
            return Ok(node);
        }
        if !opening.has(CREATE) || found.slash {
            return Err(Errno::Noent);
        }
        if opening.directory & rights::PATH_CREATE_FILE == 0 {
            return Err(Errno::Notcapable);
        }
        self.fs.create(found.directory, found.new_name()?, new_file(), now)
    }

    /// Whether an existing node can be opened like this.
    fn check_open(&self, node: u32, opening: Opening) -> Answer {
        let changes = opening.rights & rights::FD_WRITE != 0 || opening.has(CREATE) || opening.has(TRUNCATE);
        match self.fs.get(node).map(|node| &node.kind) {
            _ if opening.has(CREATE | EXCLUSIVE) => Err(Errno::Exist),
            Some(NodeKind::Link(_)) => Err(Errno::Loop),
            Some(NodeKind::Directory(_)) if changes => Err(Errno::Isdir),
            Some(NodeKind::File { .. }) if opening.has(DIRECTORY) => Err(Errno::Notdir),
            _ => Ok(()),
        }
    }
}
