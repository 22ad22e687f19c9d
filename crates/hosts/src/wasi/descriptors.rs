//! The descriptor table itself: closing, renumbering, flags and rights, and the question which directories were given.

use crate::wasi::calls::Args;
use crate::wasi::fs::byte_steps;
use crate::wasi::rights;
use crate::wasi::stat::file_type;
use crate::wasi::state::{ALL_FLAGS, Descriptor, DescriptorTarget};
use crate::wasi::{Answer, Errno, Wasi, put, store};
use stepmark_core::host::GuestMemory;

/// Kinds of advice that preview 1 defines: 0 to 5.
const LAST_ADVICE: u32 = 5;

impl Wasi {
    /// Takes a descriptor out of the table; what it led to goes if nothing else leads there.
    fn close(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        let closed = self.state.descriptors.remove(fd).ok_or(Errno::Badf)?;
        if let DescriptorTarget::Node(node) = closed.target {
            self.release(node);
        }
        Ok(closed)
    }

    /// `fd_close(fd)`.
    pub(super) fn fd_close(&mut self, args: Args<'_>) -> Answer {
        self.close(args.u32(0)).map(drop)
    }

    /// `fd_renumber(from, to)`: `to` is closed, and `from` moves there. Both must be open.
    pub(super) fn fd_renumber(&mut self, args: Args<'_>) -> Answer {
        let (from, to) = (args.u32(0), args.u32(1));
        let moved = self.descriptor(from).copied()?;
        self.descriptor(to)?;
        if from != to {
            self.close(to)?;
            self.state.descriptors.remove(from);
            self.state.descriptors.insert(to, moved);
        }
        Ok(())
    }

    /// `fd_fdstat_get(fd, record)`: type, flags, rights, inheriting rights.
    pub(super) fn fd_fdstat_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let descriptor = self.descriptor(args.u32(0))?;
        let mut record = [0; 24];
        put(&mut record, 0, &[file_type(descriptor.target, &self.fs)]);
        put(&mut record, 2, &descriptor.flags.to_le_bytes());
        put(&mut record, 8, &descriptor.rights.to_le_bytes());
        put(&mut record, 16, &descriptor.inheriting.to_le_bytes());
        store(memory, args.ptr(1), &record)
    }

    /// `fd_fdstat_set_flags(fd, flags)`. Only appending changes what a call does here: nothing blocks, and nothing is
    /// written to a disk. The others are kept because programs read them back.
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

    /// The name under which a descriptor was preopened: `EBADF` for whatever was not, which is how libraries end their
    /// search.
    fn preopen_name(&self, fd: u32) -> Result<&[u8], Errno> {
        let index = self.descriptor(fd)?.preopen.ok_or(Errno::Badf)?;
        let name = usize::try_from(index).ok().and_then(|index| self.preopen_names.get(index));
        name.map(String::as_bytes).ok_or(Errno::Badf)
    }

    /// Steps of `fd_prestat_dir_name`.
    pub(super) fn dir_name_steps(&self, args: Args<'_>) -> u64 {
        self.preopen_name(args.u32(0)).map_or(0, |name| byte_steps(name.len()))
    }

    /// `fd_prestat_get(fd, record)`.
    pub(super) fn fd_prestat_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let length = u32::try_from(self.preopen_name(args.u32(0))?.len()).map_err(|_| Errno::Nametoolong)?;
        let mut record = [0; 8];
        put(&mut record, 4, &length.to_le_bytes());
        store(memory, args.ptr(1), &record)
    }

    /// `fd_prestat_dir_name(fd, buffer, length)`.
    pub(super) fn fd_prestat_dir_name(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let name = self.preopen_name(args.u32(0))?;
        if args.ptr(2) < name.len() as u64 {
            return Err(Errno::Nametoolong);
        }
        store(memory, args.ptr(1), name)
    }

    /// The file behind `fd`; streams answer `stream`, directories `EBADF`.
    pub(super) fn regular_file(&self, fd: u32, stream: Errno) -> Result<(u32, &Descriptor), Errno> {
        let descriptor = self.descriptor(fd)?;
        match descriptor.target {
            DescriptorTarget::Stdin | DescriptorTarget::Stdout | DescriptorTarget::Stderr => Err(stream),
            DescriptorTarget::Node(node) if self.fs.length(node).is_none() => Err(Errno::Badf),
            DescriptorTarget::Node(node) => Ok((node, descriptor)),
        }
    }

    /// `fd_advise(fd, offset, length, advice)`: advice has no effect.
    pub(super) fn fd_advise(&mut self, args: Args<'_>) -> Answer {
        let (_, descriptor) = self.regular_file(args.u32(0), Errno::Spipe)?;
        if args.u32(3) > LAST_ADVICE {
            return Err(Errno::Inval);
        }
        if descriptor.rights & rights::FD_ADVISE != 0 { Ok(()) } else { Err(Errno::Notcapable) }
    }

    /// `fd_sync(fd)` and `fd_datasync(fd)`: nothing waits to be written, so they succeed on whatever can be written back.
    pub(super) fn fd_sync(&mut self, args: Args<'_>) -> Answer {
        let descriptor = self.descriptor(args.u32(0))?;
        match descriptor.target {
            DescriptorTarget::Stdin => Err(Errno::Inval),
            _ if descriptor.rights & rights::FD_SYNC == 0 => Err(Errno::Notcapable),
            _ => Ok(()),
        }
    }
}

/// Descriptor flags from an argument: unknown bits are `EINVAL`.
pub(super) fn parse_flags(flags: u32) -> Result<u16, Errno> {
    u16::try_from(flags).ok().filter(|flags| flags & !ALL_FLAGS == 0).ok_or(Errno::Inval)
}
