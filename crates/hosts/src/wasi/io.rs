//! Data in and out: reads from standard input and files, writes to standard output, error and files, positions. One call moves
//! at most [`MAX_TRANSFER`] bytes; a short count is what POSIX and every library expect, and it keeps the price of a
//! single call within any reasonable gas limit.

use crate::wasi::calls::Args;
use crate::wasi::rights;
use crate::wasi::state::{APPEND, Descriptor, DescriptorTarget, MAX_OFFSET};
use crate::wasi::{Answer, Errno, Wasi, in_bounds, store};
use stepmark_core::host::{GuestMemory, Work};

/// Most buffers in one call, the `IOV_MAX` of common systems; more is `EINVAL`.
pub const MAX_IOVECS: u32 = 1024;

/// Most bytes that one read or write moves.
pub const MAX_TRANSFER: u64 = 1 << 20;

/// Bytes of a buffer's entry in the program's memory: address and length, 32 bits each.
const IOVEC: usize = 8;

/// A buffer of the program, inside its memory.
#[derive(Clone, Copy)]
struct Iovec {
    addr: u64,
    len: u64,
}

/// The buffers at `args[1]`, `args[2]` of them, all inside the memory.
fn iovecs(args: Args<'_>, memory: &dyn GuestMemory) -> Result<Vec<Iovec>, Errno> {
    let count = args.u32(2);
    if count > MAX_IOVECS {
        return Err(Errno::Inval);
    }
    let table = memory.read(args.ptr(1), table_size(count)).ok_or(Errno::Fault)?;
    let mut buffers = Vec::with_capacity(table.len().div_ceil(IOVEC));
    for &[a, b, c, d, e, f, g, h] in table.as_chunks::<IOVEC>().0 {
        let addr = u64::from(u32::from_le_bytes([a, b, c, d]));
        let len = u64::from(u32::from_le_bytes([e, f, g, h]));
        in_bounds(memory, addr, len)?;
        buffers.push(Iovec { addr, len });
    }
    Ok(buffers)
}

/// Bytes of the table of buffers; a table that is too long is refused unread.
pub(super) fn table_size(count: u32) -> u64 {
    if count > MAX_IOVECS { 0 } else { u64::from(count).saturating_mul(IOVEC as u64) }
}

/// Cuts the buffers so that they hold `limit` bytes together, and says how many they hold.
fn cut(buffers: &mut Vec<Iovec>, limit: u64) -> u64 {
    let mut left = limit;
    for buffer in buffers.iter_mut() {
        buffer.len = buffer.len.min(left);
        left = left.saturating_sub(buffer.len);
    }
    buffers.retain(|buffer| buffer.len > 0);
    limit.saturating_sub(left)
}

/// A read or write that will succeed, its result pointer and the room in files aside.
struct Transfer {
    target: DescriptorTarget,
    start: u64,
    buffers: Vec<Iovec>,
    total: u64,
}

impl Wasi {
    /// Length of what is behind a descriptor that can be read.
    fn readable(&self, descriptor: &Descriptor) -> Result<u64, Errno> {
        if descriptor.rights & rights::FD_READ == 0 {
            return Err(Errno::Badf);
        }
        match descriptor.target {
            DescriptorTarget::Stdin => Ok(self.stdin.len() as u64),
            DescriptorTarget::Stdout | DescriptorTarget::Stderr => Err(Errno::Badf),
            DescriptorTarget::Node(node) => self.fs.length(node).ok_or(Errno::Badf),
        }
    }

    /// Some of the `most` bytes from `at` on, of standard input or a file: at least one where it has one.
    fn bytes(&self, target: DescriptorTarget, at: u64, most: u64) -> &[u8] {
        match target {
            DescriptorTarget::Node(node) => self.fs.bytes(node, at, most),
            _ => {
                let from = usize::try_from(at).ok().and_then(|at| self.stdin.get(at..)).unwrap_or_default();
                usize::try_from(most).ok().and_then(|most| from.get(..most)).unwrap_or(from)
            }
        }
    }

    /// Bytes between a descriptor's position and its end; `None` if it cannot be read.
    pub(super) fn available(&self, descriptor: &Descriptor) -> Option<u64> {
        Some(self.readable(descriptor).ok()?.saturating_sub(descriptor.offset))
    }

    /// Decides a read; `at` is the position of `fd_pread`.
    fn prepare_read(&self, args: Args<'_>, memory: &dyn GuestMemory, at: Option<u64>) -> Result<Transfer, Errno> {
        let descriptor = self.descriptor(args.u32(0))?;
        let length = self.readable(descriptor)?;
        if at.is_some() && descriptor.target == DescriptorTarget::Stdin {
            return Err(Errno::Spipe);
        }
        if at.is_some_and(|at| at > MAX_OFFSET) {
            return Err(Errno::Inval);
        }
        let start = at.unwrap_or(descriptor.offset).min(length);
        let mut buffers = iovecs(args, memory)?;
        let total = cut(&mut buffers, length.saturating_sub(start).min(MAX_TRANSFER));
        Ok(Transfer { target: descriptor.target, start, buffers, total })
    }

    /// The work of a read: the bytes it moves and the table of its buffers.
    pub(super) fn read_work(&self, args: Args<'_>, memory: &dyn GuestMemory, at: Option<u64>) -> Work {
        let size = table_size(args.u32(2));
        Work::moving(self.prepare_read(args, memory, at).map_or(size, |read| read.total.saturating_add(size)))
    }

    /// `fd_read(fd, buffers, count, read)`.
    pub(super) fn fd_read(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let read = self.prepare_read(args, memory, None)?;
        self.perform_read(&read, args.ptr(3), memory)?;
        let descriptor = self.descriptor_mut(args.u32(0))?;
        descriptor.offset = descriptor.offset.saturating_add(read.total);
        Ok(())
    }

    /// `fd_pread(fd, buffers, count, position, read)`.
    pub(super) fn fd_pread(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let read = self.prepare_read(args, memory, Some(args.u64(3)))?;
        self.perform_read(&read, args.ptr(4), memory)
    }

    /// Copies what `read` decided, and the number of bytes to `result`.
    fn perform_read(&self, read: &Transfer, result: u64, memory: &mut dyn GuestMemory) -> Answer {
        in_bounds(memory, result, 4)?;
        let mut at = read.start;
        for buffer in &read.buffers {
            let end = at.saturating_add(buffer.len);
            let mut addr = buffer.addr;
            while at < end {
                let bytes = self.bytes(read.target, at, end.saturating_sub(at));
                if bytes.is_empty() {
                    return Err(Errno::Fault);
                }
                store(memory, addr, bytes)?;
                at = at.saturating_add(bytes.len() as u64);
                addr = addr.saturating_add(bytes.len() as u64);
            }
        }
        store(memory, result, &count(read.total)?.to_le_bytes())
    }

    /// Decides a write; `at` is the position of `fd_pwrite`, which does not look at the flag to append.
    fn prepare_write(&self, args: Args<'_>, memory: &dyn GuestMemory, at: Option<u64>) -> Result<Transfer, Errno> {
        let descriptor = self.descriptor(args.u32(0))?;
        if descriptor.rights & rights::FD_WRITE == 0 {
            return Err(Errno::Badf);
        }
        let length = match descriptor.target {
            DescriptorTarget::Node(node) => self.fs.length(node).ok_or(Errno::Badf)?,
            _ => 0,
        };
        let next = if descriptor.flags & APPEND != 0 { length } else { descriptor.offset };
        let mut buffers = iovecs(args, memory)?;
        let total = cut(&mut buffers, MAX_TRANSFER);
        Ok(Transfer { target: descriptor.target, start: at.unwrap_or(next), buffers, total })
    }

    /// The work of a write: the bytes it moves, the table of its buffers, and the pages by which a file grows.
    pub(super) fn write_work(&self, args: Args<'_>, memory: &dyn GuestMemory, at: Option<u64>) -> Work {
        let size = table_size(args.u32(2));
        let Ok(write) = self.prepare_write(args, memory, at) else { return Work::moving(size) };
        let growth = match write.target {
            DescriptorTarget::Node(node) if write.total > 0 => {
                self.growth_work(node, write.start.saturating_add(write.total))
            }
            _ => Work::NONE,
        };
        Work { bytes: write.total.saturating_add(size).saturating_add(growth.bytes), ..growth }
    }

    /// `fd_write(fd, buffers, count, written)`.
    pub(super) fn fd_write(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory, now: u64) -> Answer {
        let write = self.prepare_write(args, memory, None)?;
        self.perform_write(&write, args.ptr(3), memory, now)?;
        if let DescriptorTarget::Node(_) = write.target {
            self.descriptor_mut(args.u32(0))?.offset = write.start.saturating_add(write.total);
        }
        Ok(())
    }

    /// `fd_pwrite(fd, buffers, count, position, written)`.
    pub(super) fn fd_pwrite(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory, now: u64) -> Answer {
        let write = self.prepare_write(args, memory, Some(args.u64(3)))?;
        in_bounds(memory, args.ptr(4), 4)?;
        match write.target {
            DescriptorTarget::Node(_) => self.perform_write(&write, args.ptr(4), memory, now),
            _ => Err(Errno::Spipe),
        }
    }

    /// Writes what `write` decided, and the number of bytes to `result`. A file takes all of it or nothing.
    fn perform_write(&mut self, write: &Transfer, result: u64, memory: &mut dyn GuestMemory, now: u64) -> Answer {
        in_bounds(memory, result, 4)?;
        let mut at = write.start;
        if let DescriptorTarget::Node(node) = write.target
            && write.total > 0
        {
            let end = at.checked_add(write.total).filter(|end| *end <= MAX_OFFSET).ok_or(Errno::Fbig)?;
            self.fs.reserve(node, end)?;
        }
        for buffer in &write.buffers {
            let bytes = memory.read(buffer.addr, buffer.len).ok_or(Errno::Fault)?;
            match write.target {
                DescriptorTarget::Stdout => self.stdout.push(bytes),
                DescriptorTarget::Stderr => self.stderr.push(bytes),
                DescriptorTarget::Node(node) => self.fs.write(node, at, bytes, now),
                DescriptorTarget::Stdin => return Err(Errno::Badf),
            }
            at = at.saturating_add(buffer.len);
        }
        store(memory, result, &count(write.total)?.to_le_bytes())
    }

    /// A descriptor that has a position: an open file.
    fn seekable(&self, fd: u32) -> Result<(&Descriptor, u64), Errno> {
        let descriptor = self.descriptor(fd)?;
        match descriptor.target {
            DescriptorTarget::Stdin | DescriptorTarget::Stdout | DescriptorTarget::Stderr => Err(Errno::Spipe),
            DescriptorTarget::Node(node) => Ok((descriptor, self.fs.length(node).ok_or(Errno::Badf)?)),
        }
    }

    /// `fd_seek(fd, distance, whence, position)`.
    pub(super) fn fd_seek(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let (descriptor, length) = self.seekable(args.u32(0))?;
        // Preview 0 counts from the position, the end, the start.
        let whence = match args.u32(2) {
            whence @ 0..=2 if args.is_unstable => whence.wrapping_add(1) % 3,
            whence => whence,
        };
        let distance = args.u64(1);
        let asks_only = distance == 0 && whence == 1;
        let needed = if asks_only { rights::FD_SEEK | rights::FD_TELL } else { rights::FD_SEEK };
        if descriptor.rights & needed == 0 {
            return Err(Errno::Notcapable);
        }
        let base = match whence {
            0 => 0,
            1 => descriptor.offset,
            2 => length,
            _ => return Err(Errno::Inval),
        };
        let position = base.checked_add_signed(distance.cast_signed()).filter(|position| *position <= MAX_OFFSET);
        let position = position.ok_or(Errno::Inval)?;
        store(memory, args.ptr(3), &position.to_le_bytes())?;
        self.descriptor_mut(args.u32(0))?.offset = position;
        Ok(())
    }

    /// `fd_tell(fd, position)`.
    pub(super) fn fd_tell(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let (descriptor, _) = self.seekable(args.u32(0))?;
        if descriptor.rights & rights::FD_TELL == 0 {
            return Err(Errno::Notcapable);
        }
        store(memory, args.ptr(1), &descriptor.offset.to_le_bytes())
    }
}

/// A count as the program gets it. Never more than [`MAX_TRANSFER`], so it fits.
fn count(total: u64) -> Result<u32, Errno> {
    u32::try_from(total).map_err(|_| Errno::Inval)
}
