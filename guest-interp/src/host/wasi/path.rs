//! Calls that name a file by descriptor of a directory and path below it, and change nothing.

use crate::host::GuestMemory;
use crate::host::wasi::calls::Args;
use crate::host::wasi::descriptors::parse_flags;
use crate::host::wasi::rights;
use crate::host::wasi::stat::filestat;
use crate::host::wasi::state::{Descriptor, Target, max_rights};
use crate::host::wasi::tree::{Found, MAX_PATH};
use crate::host::wasi::{Answer, Errno, Wasi, in_bounds, store};

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

/// Flags of a lookup: only "follow links" is defined, and there are no links.
pub(super) fn check_lookup(flags: u32) -> Answer {
    if flags <= 1 { Ok(()) } else { Err(Errno::Inval) }
}

impl Wasi {
    /// The directory behind `fd`, if the descriptor has the right `needed`.
    fn directory(&self, fd: u32, needed: u64) -> Result<(u32, &Descriptor), Errno> {
        let descriptor = self.descriptor(fd)?;
        let Target::Node(node) = descriptor.target else { return Err(Errno::Notdir) };
        if !self.tree.is_directory(node) {
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
        memory: &dyn GuestMemory,
        (addr, length): (u64, u64),
    ) -> Result<Found, Errno> {
        let (base, _) = self.directory(fd, needed)?;
        self.tree.resolve(base, read_path(memory, addr, length)?)
    }

    /// The same, for a path that must exist.
    pub(super) fn look_up_node(
        &self,
        fd: u32,
        needed: u64,
        memory: &dyn GuestMemory,
        path: (u64, u64),
    ) -> Result<u32, Errno> {
        match self.look_up(fd, needed, memory, path)? {
            Found::Node(node) => Ok(node),
            Found::Missing => Err(Errno::Noent),
        }
    }

    /// `path_filestat_get(fd, lookup, path, length, record)`.
    pub(super) fn path_filestat_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let path = (args.ptr(2), args.ptr(3));
        let node = self.look_up_node(args.u32(0), rights::PATH_FILESTAT_GET, memory, path)?;
        check_lookup(args.u32(1))?;
        store(memory, args.ptr(4), &filestat(Target::Node(node), &self.tree))
    }

    /// `path_readlink(fd, path, length, buffer, buffer length, used)`: nothing is a link, which is `EINVAL`.
    pub(super) fn path_readlink(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        self.look_up_node(args.u32(0), rights::PATH_READLINK, memory, (args.ptr(1), args.ptr(2)))?;
        in_bounds(memory, args.ptr(3), args.ptr(4))?;
        in_bounds(memory, args.ptr(5), 4)?;
        Err(Errno::Inval)
    }

    /// `path_open(fd, lookup, path, length, open flags, rights, inheriting, descriptor flags, opened)`. The new
    /// descriptor has the rights asked for as far as the target can have them and the directory passes them on. Asking to
    /// write, to create or to truncate a file is `EROFS`.
    pub(super) fn path_open(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let fd = args.u32(0);
        let (oflags, base, inheriting) = (args.u32(4), args.u64(5), args.u64(6));
        let (_, directory) = self.directory(fd, rights::PATH_OPEN)?;
        let (passed_on, may_create) = (directory.inheriting, directory.rights & rights::PATH_CREATE_FILE != 0);
        in_bounds(memory, args.ptr(8), 4)?;
        check_lookup(args.u32(1))?;
        let flags = parse_flags(args.u32(7))?;
        if oflags > CREATE | DIRECTORY | EXCLUSIVE | TRUNCATE || oflags & (CREATE | DIRECTORY) == CREATE | DIRECTORY {
            return Err(Errno::Inval);
        }
        let found = self.look_up(fd, rights::PATH_OPEN, memory, (args.ptr(2), args.ptr(3)))?;
        let Found::Node(node) = found else {
            let refusal = if may_create { Errno::Rofs } else { Errno::Notcapable };
            return Err(if oflags & CREATE == 0 { Errno::Noent } else { refusal });
        };
        self.check_open(node, oflags, base)?;
        let target = Target::Node(node);
        let opened = Descriptor {
            rights: base & passed_on & max_rights(target, &self.tree),
            flags,
            ..Descriptor::new(target, &self.tree, inheriting & passed_on)
        };
        let number = self.state.lowest_free().ok_or(Errno::Mfile)?;
        store(memory, args.ptr(8), &number.to_le_bytes())?;
        self.state.descriptors.insert(number, opened);
        Ok(())
    }

    /// Whether an existing node can be opened like this.
    fn check_open(&self, node: u32, oflags: u32, base: u64) -> Answer {
        let changes = base & rights::FD_WRITE != 0 || oflags & TRUNCATE != 0;
        if oflags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE {
            Err(Errno::Exist)
        } else if self.tree.is_directory(node) {
            if oflags & (CREATE | TRUNCATE) != 0 || base & rights::FD_WRITE != 0 && oflags & DIRECTORY == 0 {
                Err(Errno::Isdir)
            } else {
                Ok(())
            }
        } else if oflags & DIRECTORY != 0 {
            Err(Errno::Notdir)
        } else if changes {
            Err(Errno::Rofs)
        } else {
            Ok(())
        }
    }
}
