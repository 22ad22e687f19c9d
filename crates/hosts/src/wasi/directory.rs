//! Listing a directory: `.` and `..`, then the names in the order in which they were made; those of the job's inputs come
//! first, in byte order. A cookie is the position after an entry, which an entry keeps as long as it is there, so a listing
//! can be taken up anywhere, survives changes, and costs what it returns.

use crate::wasi::calls::Args;
use crate::wasi::fs::Directory;
use crate::wasi::rights;
use crate::wasi::stat::{inode, node_type};
use crate::wasi::state::DescriptorTarget;
use crate::wasi::{Answer, Errno, Wasi, in_bounds, put, store};
use stepmark_core::host::{GuestMemory, Steps, Work};

/// Bytes of an entry's head; its name follows.
const DIRENT: usize = 24;

/// The entries `.` and `..`.
const DOTS: u64 = 2;

/// A directory as it is listed.
struct Listing<'a> {
    own: u32,
    directory: &'a Directory,
}

impl Listing<'_> {
    /// Gives cookie of the next entry, name and node of the entries from `cookie` on to `each`, until it has had enough.
    fn from(&self, cookie: u64, each: &mut dyn FnMut(u64, &str, u32) -> Result<bool, Errno>) -> Answer {
        for (next, name, node) in [(1, ".", self.own), (DOTS, "..", self.directory.parent)] {
            if next > cookie && !each(next, name, node)? {
                return Ok(());
            }
        }
        for entry in self.directory.from(cookie.saturating_sub(DOTS)) {
            let next = entry.position.saturating_add(DOTS).saturating_add(1);
            if !each(next, &entry.name, entry.node)? {
                break;
            }
        }
        Ok(())
    }
}

impl Wasi {
    fn listing(&self, fd: u32) -> Result<Listing<'_>, Errno> {
        let descriptor = self.descriptor(fd)?;
        let DescriptorTarget::Node(own) = descriptor.target else { return Err(Errno::Notdir) };
        let directory = self.fs.directory(own).ok_or(Errno::Notdir)?;
        if descriptor.rights & rights::FD_READDIR == 0 {
            return Err(Errno::Notcapable);
        }
        Ok(Listing { own, directory })
    }

    /// The work of a listing: the bytes it returns, and a step for each entry.
    pub(super) fn readdir_work(&self, args: Args<'_>) -> Work {
        let Ok(listing) = self.listing(args.u32(0)) else { return Work::NONE };
        let length = args.ptr(2);
        let (mut used, mut steps) = (0u64, 0u64);
        let counted = listing.from(args.u64(3), &mut |_, name, _| {
            steps = steps.saturating_add(1);
            used = used.saturating_add(DIRENT as u64).saturating_add(name.len() as u64);
            Ok(used < length)
        });
        counted.map_or(Work::NONE, |()| Work { bytes: used.min(length), steps, pages: 0 })
    }

    /// `fd_readdir(fd, buffer, length, cookie, used)`. The last entry is cut where the buffer ends; a buffer that is not
    /// filled means that the directory is at its end.
    pub(super) fn fd_readdir(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory, steps: &mut Steps) -> Answer {
        let (buffer, length, result) = (args.ptr(1), args.ptr(2), args.ptr(4));
        let listing = self.listing(args.u32(0))?;
        in_bounds(memory, buffer, length)?;
        in_bounds(memory, result, 4)?;
        let mut used = 0u64;
        listing.from(args.u64(3), &mut |next, name, node| {
            steps.take(1);
            let entry = dirent(next, name, node, node_type(node, &self.fs));
            let room = usize::try_from(length.saturating_sub(used)).unwrap_or(usize::MAX);
            let part = entry.get(..room).unwrap_or(&entry);
            store(memory, buffer.saturating_add(used), part)?;
            used = used.saturating_add(part.len() as u64);
            Ok(used < length)
        })?;
        let used = u32::try_from(used).map_err(|_| Errno::Inval)?;
        store(memory, result, &used.to_le_bytes())
    }
}

/// An entry: cookie of the next one, inode, length of the name, type, name.
fn dirent(next: u64, name: &str, node: u32, kind: u8) -> Vec<u8> {
    let mut entry = vec![0; DIRENT];
    put(&mut entry, 0, &next.to_le_bytes());
    put(&mut entry, 8, &inode(node).to_le_bytes());
    put(&mut entry, 16, &u32::try_from(name.len()).unwrap_or_default().to_le_bytes());
    put(&mut entry, 20, &[kind]);
    entry.extend_from_slice(name.as_bytes());
    entry
}
