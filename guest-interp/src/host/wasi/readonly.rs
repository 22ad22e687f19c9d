//! Calls that would change the file system. It is read-only, so a call whose arguments are right answers `EROFS`; the
//! arguments are checked first, in the way of a system that could write, so that a program learns the most specific cause.

use crate::host::GuestMemory;
use crate::host::wasi::calls::Args;
use crate::host::wasi::path::{check_lookup, read_path};
use crate::host::wasi::rights;
use crate::host::wasi::state::Target;
use crate::host::wasi::tree::Found;
use crate::host::wasi::{Answer, Errno, Wasi};

/// Kinds of advice that preview 1 defines: 0 to 5.
const LAST_ADVICE: u32 = 5;

/// Whether flags say "set to this" and "set to now" of the same time, or something unknown.
fn check_times(flags: u32) -> Answer {
    if flags > 15 || flags & 3 == 3 || flags & 12 == 12 { Err(Errno::Inval) } else { Ok(()) }
}

impl Wasi {
    /// A regular file behind `fd`; streams answer `stream`, directories `EBADF`.
    fn regular_file(&self, fd: u32, stream: Errno) -> Answer {
        match self.descriptor(fd)?.target {
            Target::Stdin | Target::Stdout | Target::Stderr => Err(stream),
            Target::Node(node) if self.tree.is_directory(node) => Err(Errno::Badf),
            Target::Node(_) => Ok(()),
        }
    }

    /// `fd_advise(fd, offset, length, advice)`: advice has no effect.
    pub(super) fn fd_advise(&mut self, args: Args<'_>) -> Answer {
        self.regular_file(args.u32(0), Errno::Spipe)?;
        if args.u32(3) > LAST_ADVICE {
            return Err(Errno::Inval);
        }
        let allowed = self.descriptor(args.u32(0))?.rights & rights::FD_ADVISE != 0;
        if allowed { Ok(()) } else { Err(Errno::Notcapable) }
    }

    /// `fd_allocate(fd, offset, length)`.
    pub(super) fn fd_allocate(&mut self, args: Args<'_>) -> Answer {
        self.regular_file(args.u32(0), Errno::Spipe)?;
        Err(if args.u64(2) == 0 { Errno::Inval } else { Errno::Rofs })
    }

    /// `fd_sync(fd)` and `fd_datasync(fd)`: nothing waits to be written, so they succeed on whatever can be written back.
    pub(super) fn fd_sync(&mut self, args: Args<'_>) -> Answer {
        let descriptor = self.descriptor(args.u32(0))?;
        match descriptor.target {
            Target::Stdin => Err(Errno::Inval),
            _ if descriptor.rights & rights::FD_SYNC == 0 => Err(Errno::Notcapable),
            _ => Ok(()),
        }
    }

    /// `fd_filestat_set_size(fd, size)`.
    pub(super) fn fd_filestat_set_size(&mut self, args: Args<'_>) -> Answer {
        self.regular_file(args.u32(0), Errno::Inval)?;
        Err(Errno::Rofs)
    }

    /// `fd_filestat_set_times(fd, access, modification, flags)`.
    pub(super) fn fd_filestat_set_times(&mut self, args: Args<'_>) -> Answer {
        let descriptor = self.descriptor(args.u32(0))?;
        check_times(args.u32(3))?;
        match descriptor.target {
            Target::Node(_) if descriptor.rights & rights::FD_FILESTAT_SET_TIMES == 0 => Err(Errno::Notcapable),
            Target::Node(_) => Err(Errno::Rofs),
            _ => Err(Errno::Badf),
        }
    }

    /// `path_filestat_set_times(fd, lookup, path, length, access, modification, flags)`.
    pub(super) fn path_filestat_set_times(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let path = (args.ptr(2), args.ptr(3));
        self.look_up_node(args.u32(0), rights::PATH_FILESTAT_SET_TIMES, memory, path)?;
        check_lookup(args.u32(1))?;
        check_times(args.u32(6))?;
        Err(Errno::Rofs)
    }

    /// `path_create_directory(fd, path, length)`.
    pub(super) fn path_create_directory(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        self.refuse_new(args.u32(0), rights::PATH_CREATE_DIRECTORY, memory, (args.ptr(1), args.ptr(2)))
    }

    /// The answer to making something at a path: `EEXIST` or `EROFS`.
    fn refuse_new(&self, fd: u32, needed: u64, memory: &dyn GuestMemory, path: (u64, u64)) -> Answer {
        match self.look_up(fd, needed, memory, path)? {
            Found::Node(_) => Err(Errno::Exist),
            Found::Missing => Err(Errno::Rofs),
        }
    }

    /// `path_link(old fd, lookup, old path, length, new fd, new path, length)`.
    pub(super) fn path_link(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let old_path = (args.ptr(2), args.ptr(3));
        self.look_up_node(args.u32(0), rights::PATH_LINK_SOURCE, memory, old_path)?;
        check_lookup(args.u32(1))?;
        self.refuse_new(args.u32(4), rights::PATH_LINK_TARGET, memory, (args.ptr(5), args.ptr(6)))
    }

    /// `path_symlink(target, length, fd, path, length)`. The target need not exist, only be a path.
    pub(super) fn path_symlink(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let target_is_empty = read_path(memory, args.ptr(0), args.ptr(1))?.is_empty();
        let answer = self.refuse_new(args.u32(2), rights::PATH_SYMLINK, memory, (args.ptr(3), args.ptr(4)));
        if target_is_empty && answer == Err(Errno::Rofs) { Err(Errno::Noent) } else { answer }
    }

    /// `path_rename(old fd, old path, length, new fd, new path, length)`.
    pub(super) fn path_rename(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        self.look_up_node(args.u32(0), rights::PATH_RENAME_SOURCE, memory, (args.ptr(1), args.ptr(2)))?;
        self.look_up(args.u32(3), rights::PATH_RENAME_TARGET, memory, (args.ptr(4), args.ptr(5)))?;
        Err(Errno::Rofs)
    }

    /// `path_remove_directory(fd, path, length)`.
    pub(super) fn path_remove_directory(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let path = (args.ptr(1), args.ptr(2));
        let node = self.look_up_node(args.u32(0), rights::PATH_REMOVE_DIRECTORY, memory, path)?;
        Err(if self.tree.is_directory(node) { Errno::Rofs } else { Errno::Notdir })
    }

    /// `path_unlink_file(fd, path, length)`.
    pub(super) fn path_unlink_file(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let path = (args.ptr(1), args.ptr(2));
        let node = self.look_up_node(args.u32(0), rights::PATH_UNLINK_FILE, memory, path)?;
        Err(if self.tree.is_directory(node) { Errno::Isdir } else { Errno::Rofs })
    }
}
