//! Attributes. There are no permissions, no owners and no times in preview 1's inputs: times are 0, a file's number is
//! its number in the tree plus one, and everything lies on device 1 but the streams, which lie on none.

use crate::host::GuestMemory;
use crate::host::wasi::calls::Args;
use crate::host::wasi::rights;
use crate::host::wasi::state::Target;
use crate::host::wasi::tree::{Node, Tree};
use crate::host::wasi::{Answer, Errno, Wasi, put, store};

/// File type of the streams. Not a character device: a program then buffers its output as it does into a pipe.
pub(super) const UNKNOWN: u8 = 0;
pub(super) const DIRECTORY: u8 = 3;
pub(super) const REGULAR_FILE: u8 = 4;

/// Bytes of the attributes record.
const FILESTAT: usize = 64;

/// The number by which programs tell files apart; 0 is for "none".
pub(super) fn inode(node: u32) -> u64 {
    u64::from(node).saturating_add(1)
}

/// File type of what a descriptor leads to.
pub(super) fn file_type(target: Target, tree: &Tree) -> u8 {
    match target {
        Target::Stdin | Target::Stdout | Target::Stderr => UNKNOWN,
        Target::Node(node) if tree.is_directory(node) => DIRECTORY,
        Target::Node(_) => REGULAR_FILE,
    }
}

/// The attributes record: device, inode, type, links, size, three times.
pub(super) fn filestat(target: Target, tree: &Tree) -> [u8; FILESTAT] {
    let mut record = [0; FILESTAT];
    put(&mut record, 16, &[file_type(target, tree)]);
    if let Target::Node(node) = target {
        let size = match tree.get(node) {
            Some(Node::File(content)) => content.len() as u64,
            _ => 0,
        };
        put(&mut record, 0, &1u64.to_le_bytes());
        put(&mut record, 8, &inode(node).to_le_bytes());
        put(&mut record, 24, &1u64.to_le_bytes());
        put(&mut record, 32, &size.to_le_bytes());
    }
    record
}

impl Wasi {
    /// `fd_filestat_get(fd, record)`.
    pub(super) fn fd_filestat_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let descriptor = self.descriptor(args.u32(0))?;
        if descriptor.rights & rights::FD_FILESTAT_GET == 0 {
            return Err(Errno::Notcapable);
        }
        store(memory, args.ptr(1), &filestat(descriptor.target, &self.tree))
    }
}
