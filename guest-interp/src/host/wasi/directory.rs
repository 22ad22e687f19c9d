//! Listing a directory: `.` and `..`, then the names in the order in which they were made; those of the job's inputs come
//! first, in byte order. A cookie is the position after an entry, which an entry keeps as long as it is there, so a listing
//! can be taken up anywhere, survives changes, and costs what it returns.

use crate::host::GuestMemory;
use crate::host::wasi::calls::Args;
use crate::host::wasi::fs::Directory;
use crate::host::wasi::rights;
use crate::host::wasi::stat::{inode, node_type};
use crate::host::wasi::state::Target;
use crate::host::wasi::{Answer, Errno, Wasi, in_bounds, put, store};

/// Bytes of an entry's head; its name follows.
const DIRENT: usize = 24;

/// The entries `.` and `..`.
const DOTS: u64 = 2;

/// A directory as it is listed.
struct Listing<'a> {
    own: u32,
    directory: &'a Directory,
}

impl<'a> Listing<'a> {
    /// Cookie of the next entry, name and node of the entries from `cookie` on.
    fn from(&self, cookie: u64) -> impl Iterator<Item = (u64, &'a str, u32)> + use<'a> {
        let dots = [(1, ".", self.own), (DOTS, "..", self.directory.parent)];
        let names = self.directory.from(cookie.saturating_sub(DOTS));
        let names =
            names.map(|entry| (entry.position.saturating_add(DOTS).saturating_add(1), entry.name.as_str(), entry.node));
        dots.into_iter().filter(move |(next, ..)| *next > cookie).chain(names)
    }
}

impl Wasi {
    fn listing(&self, fd: u32) -> Result<Listing<'_>, Errno> {
        let descriptor = self.descriptor(fd)?;
        let Target::Node(own) = descriptor.target else { return Err(Errno::Notdir) };
        let directory = self.fs.directory(own).ok_or(Errno::Notdir)?;
        if descriptor.rights & rights::FD_READDIR == 0 {
            return Err(Errno::Notcapable);
        }
        Ok(Listing { own, directory })
    }

    /// Price of a listing: the bytes it returns.
    pub(super) fn readdir_units(&self, args: Args<'_>) -> u64 {
        let Ok(listing) = self.listing(args.u32(0)) else { return 0 };
        let length = args.ptr(2);
        let mut used = 0u64;
        for (_, name, _) in listing.from(args.u64(3)) {
            used = used.saturating_add(DIRENT as u64).saturating_add(name.len() as u64);
            if used >= length {
                break;
            }
        }
        used.min(length)
    }

    /// `fd_readdir(fd, buffer, length, cookie, used)`. The last entry is cut where the buffer ends; a buffer that is not
    /// filled means that the directory is at its end.
    pub(super) fn fd_readdir(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let (buffer, length, result) = (args.ptr(1), args.ptr(2), args.ptr(4));
        let listing = self.listing(args.u32(0))?;
        in_bounds(memory, buffer, length)?;
        in_bounds(memory, result, 4)?;
        let mut used = 0u64;
        for (next, name, node) in listing.from(args.u64(3)) {
            let entry = dirent(next, name, node, node_type(node, &self.fs));
            let room = usize::try_from(length.saturating_sub(used)).unwrap_or(usize::MAX);
            let part = entry.get(..room).unwrap_or(&entry);
            store(memory, buffer.saturating_add(used), part)?;
            used = used.saturating_add(part.len() as u64);
            if used == length {
                break;
            }
        }
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
