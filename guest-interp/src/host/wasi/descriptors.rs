//! The descriptor table itself: closing, renumbering, flags and rights, and the question which directories were given.

use crate::host::GuestMemory;
use crate::host::wasi::calls::Args;
use crate::host::wasi::rights;
use crate::host::wasi::stat::file_type;
use crate::host::wasi::state::ALL_FLAGS;
use crate::host::wasi::{Answer, Errno, Wasi, put, store};

/// Name of the one preopened directory.
const PREOPEN: &[u8] = b"/";

/// Its length in bytes.
const PREOPEN_LENGTH: u32 = 1;

impl Wasi {
    /// `fd_close(fd)`.
    pub(super) fn fd_close(&mut self, args: Args<'_>) -> Answer {
        self.state.descriptors.remove(&args.u32(0)).map(drop).ok_or(Errno::Badf)
    }

    /// `fd_renumber(from, to)`: `to` is closed, and `from` moves there. Both must be open.
    pub(super) fn fd_renumber(&mut self, args: Args<'_>) -> Answer {
        let (from, to) = (args.u32(0), args.u32(1));
        self.descriptor(to)?;
        let moved = self.state.descriptors.remove(&from).ok_or(Errno::Badf)?;
        self.state.descriptors.insert(to, moved);
        Ok(())
    }

    /// `fd_fdstat_get(fd, record)`: type, flags, rights, inheriting rights.
    pub(super) fn fd_fdstat_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let descriptor = self.descriptor(args.u32(0))?;
        let mut record = [0; 24];
        put(&mut record, 0, &[file_type(descriptor.target, &self.tree)]);
        put(&mut record, 2, &descriptor.flags.to_le_bytes());
        put(&mut record, 8, &descriptor.rights.to_le_bytes());
        put(&mut record, 16, &descriptor.inheriting.to_le_bytes());
        store(memory, args.ptr(1), &record)
    }

    /// `fd_fdstat_set_flags(fd, flags)`. No flag changes what a call does here: nothing blocks, and nothing is written
    /// to a disk. They are kept because programs read them back.
    pub(super) fn fd_fdstat_set_flags(&mut self, args: Args<'_>) -> Answer {
        let descriptor = self.descriptor_mut(args.u32(0))?;
        let flags = parse_flags(args.u32(1))?;
        if descriptor.rights & rights::FD_FDSTAT_SET_FLAGS == 0 {
            return Err(Errno::Notcapable);
        }
        descriptor.flags = flags;
        Ok(())
    }

    /// `fd_fdstat_set_rights(fd, rights, inheriting)`: rights can be given up, never gained.
    pub(super) fn fd_fdstat_set_rights(&mut self, args: Args<'_>) -> Answer {
        let descriptor = self.descriptor_mut(args.u32(0))?;
        let (base, inheriting) = (args.u64(1), args.u64(2));
        if base & !descriptor.rights != 0 || inheriting & !descriptor.inheriting != 0 {
            return Err(Errno::Notcapable);
        }
        (descriptor.rights, descriptor.inheriting) = (base, inheriting);
        Ok(())
    }

    /// `fd_prestat_get(fd, record)`: `EBADF` for whatever is not preopened, which is how libraries end their search.
    pub(super) fn fd_prestat_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        if !self.descriptor(args.u32(0))?.preopen {
            return Err(Errno::Badf);
        }
        let mut record = [0; 8];
        put(&mut record, 4, &PREOPEN_LENGTH.to_le_bytes());
        store(memory, args.ptr(1), &record)
    }

    /// `fd_prestat_dir_name(fd, buffer, length)`.
    pub(super) fn fd_prestat_dir_name(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        if !self.descriptor(args.u32(0))?.preopen {
            return Err(Errno::Badf);
        }
        if args.u32(2) < PREOPEN_LENGTH {
            return Err(Errno::Nametoolong);
        }
        store(memory, args.ptr(1), PREOPEN)
    }
}

/// Descriptor flags from an argument: unknown bits are `EINVAL`.
pub(super) fn parse_flags(flags: u32) -> Result<u16, Errno> {
    u16::try_from(flags).ok().filter(|flags| flags & !ALL_FLAGS == 0).ok_or(Errno::Inval)
}
