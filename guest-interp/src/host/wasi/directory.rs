//! Listing a directory: `.` and `..`, then the names in byte order. A cookie is the position of an entry, so a listing
//! can be taken up anywhere and costs what it returns.

use crate::host::GuestMemory;
use crate::host::wasi::calls::Args;
use crate::host::wasi::rights;
use crate::host::wasi::stat::{DIRECTORY, REGULAR_FILE, inode};
use crate::host::wasi::state::Target;
use crate::host::wasi::tree::{Child, Node, names_from};
use crate::host::wasi::{Answer, Errno, Wasi, in_bounds, put, store};

/// Bytes of an entry's head; its name follows.
const DIRENT: usize = 24;

/// Bytes of the entries `.` and `..`, and of `..` alone.
const DOTS_FROM: [u64; 2] = [2 * DIRENT as u64 + 3, DIRENT as u64 + 2];

/// A directory as it is listed.
struct Listing<'a> {
    own: u32,
    parent: u32,
    children: &'a [Child],
}

impl<'a> Listing<'a> {
    /// Position, name and node of the entries from `cookie` on. A cookie beyond the end gives none, however large.
    fn from(&self, cookie: u64) -> impl Iterator<Item = (u64, &'a str, u32)> + use<'a> {
        let dots = [(".", self.own), ("..", self.parent)];
        let first_dot = usize::try_from(cookie).unwrap_or(usize::MAX);
        let first_child = first_dot.saturating_sub(dots.len());
        let children = self.children.get(first_child..).unwrap_or_default();
        let entries = dots.into_iter().skip(first_dot).chain(children.iter().map(|c| (c.name.as_str(), c.node)));
        entries.zip(cookie..).map(|((name, node), position)| (position, name, node))
    }

    /// Bytes of the entries from `cookie` on, without walking them.
    fn size_from(&self, cookie: u64) -> u64 {
        let dots = match cookie {
            0 => DOTS_FROM[0],
            1 => DOTS_FROM[1],
            _ => 0,
        };
        let index = usize::try_from(cookie.saturating_sub(2)).unwrap_or(usize::MAX);
        let heads = (self.children.len().saturating_sub(index) as u64).saturating_mul(DIRENT as u64);
        names_from(self.children, index).saturating_add(heads).saturating_add(dots)
    }
}

impl Wasi {
    fn listing(&self, fd: u32) -> Result<Listing<'_>, Errno> {
        let descriptor = self.descriptor(fd)?;
        let Target::Node(own) = descriptor.target else { return Err(Errno::Notdir) };
        let Some(Node::Directory { parent, children }) = self.tree.get(own) else { return Err(Errno::Notdir) };
        if descriptor.rights & rights::FD_READDIR == 0 {
            return Err(Errno::Notcapable);
        }
        Ok(Listing { own, parent: *parent, children })
    }

    /// Price of a listing: the bytes it returns.
    pub(super) fn readdir_units(&self, args: Args<'_>) -> u64 {
        self.listing(args.u32(0)).map_or(0, |listing| listing.size_from(args.u64(3)).min(args.ptr(2)))
    }

    /// `fd_readdir(fd, buffer, length, cookie, used)`. The last entry is cut where the buffer ends; a buffer that is not
    /// filled means that the directory is at its end.
    pub(super) fn fd_readdir(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let (buffer, length, result) = (args.ptr(1), args.ptr(2), args.ptr(4));
        let listing = self.listing(args.u32(0))?;
        in_bounds(memory, buffer, length)?;
        in_bounds(memory, result, 4)?;
        let mut used = 0u64;
        for (position, name, node) in listing.from(args.u64(3)) {
            let kind = if self.tree.is_directory(node) { DIRECTORY } else { REGULAR_FILE };
            let entry = dirent(position, name, node, kind);
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
fn dirent(position: u64, name: &str, node: u32, kind: u8) -> Vec<u8> {
    let mut entry = vec![0; DIRENT];
    put(&mut entry, 0, &position.saturating_add(1).to_le_bytes());
    put(&mut entry, 8, &inode(node).to_le_bytes());
    put(&mut entry, 16, &u32::try_from(name.len()).unwrap_or_default().to_le_bytes());
    put(&mut entry, 20, &[kind]);
    entry.extend_from_slice(name.as_bytes());
    entry
}
