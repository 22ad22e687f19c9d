//! Attributes. There are no permissions and no owners. A file's inode is its number plus one, and everything lies on device
//! 1 but the streams, which lie on none.

use crate::wasi::calls::Args;
use crate::wasi::fs::{FileSystem, NodeKind};
use crate::wasi::rights;
use crate::wasi::state::DescriptorTarget;
use crate::wasi::{Answer, Errno, Wasi, put, store};
use stepmark_core::host::GuestMemory;

/// File type of the streams. Not a character device: a program then buffers its output as it does into a pipe.
const UNKNOWN: u8 = 0;
const DIRECTORY: u8 = 3;
const REGULAR_FILE: u8 = 4;
const SYMBOLIC_LINK: u8 = 7;

/// Bytes of the attributes record.
const FILESTAT: usize = 64;

/// Flags of the calls that set times: to this, or to now.
const ACCESS: u32 = 1;
const ACCESS_NOW: u32 = 2;
const MODIFICATION: u32 = 4;
const MODIFICATION_NOW: u32 = 8;

/// The number by which programs tell files apart; 0 is for "none".
pub(super) fn inode(node: u32) -> u64 {
    u64::from(node).saturating_add(1)
}

/// File type of a node.
pub(super) fn node_type(node: u32, fs: &FileSystem) -> u8 {
    match fs.get(node).map(|node| &node.kind) {
        Some(NodeKind::Directory(_)) => DIRECTORY,
        Some(NodeKind::File { .. }) => REGULAR_FILE,
        Some(NodeKind::Link(_)) => SYMBOLIC_LINK,
        None => UNKNOWN,
    }
}

/// File type of what a descriptor leads to.
pub(super) fn file_type(target: DescriptorTarget, fs: &FileSystem) -> u8 {
    match target {
        DescriptorTarget::Stdin | DescriptorTarget::Stdout | DescriptorTarget::Stderr => UNKNOWN,
        DescriptorTarget::Node(node) => node_type(node, fs),
    }
}

/// Where the number of links, the size and the three times lie in the record, and where it ends.
const PLACES: [usize; 6] = [24, 32, 40, 48, 56, FILESTAT];
/// The same in preview 0: the number of links has 4 bytes and lies in what is a gap here.
const PLACES_0: [usize; 6] = [20, 24, 32, 40, 48, 56];

/// Stores the attributes of what `target` leads to where argument `at` points, as the call's version of WASI has them: device,
/// inode, type, links, size, times of access, modification and change.
pub(super) fn store_filestat(
    args: Args<'_>,
    at: usize,
    target: DescriptorTarget,
    fs: &FileSystem,
    memory: &mut dyn GuestMemory,
) -> Answer {
    let mut record = [0; FILESTAT];
    let [links, size, access, modification, change, end] = if args.is_unstable { PLACES_0 } else { PLACES };
    let node =
        if let DescriptorTarget::Node(number) = target { fs.get(number).map(|node| (number, node)) } else { None };
    if let Some((number, node)) = node {
        let bytes = match &node.kind {
            NodeKind::File { length, .. } => *length,
            NodeKind::Link(target) => target.len() as u64,
            NodeKind::Directory(_) => 0,
        };
        put(&mut record, 16, &[file_type(target, fs)]);
        // What comes after the number of links may begin in its upper half, which is zero.
        let fields = [(0, 1), (8, inode(number)), (links, u64::from(node.links)), (size, bytes)];
        let times = [(access, node.times.access), (modification, node.times.modification), (change, node.times.change)];
        for (at, value) in fields.into_iter().chain(times) {
            put(&mut record, at, &value.to_le_bytes());
        }
    }
    store(memory, args.ptr(at), record.get(..end).unwrap_or_default())
}

/// The times to be set to, by the flags of a call, if they make sense.
pub(super) struct NewTimes {
    access: Option<u64>,
    modification: Option<u64>,
}

impl NewTimes {
    /// From `access`, `modification` and flags, which must not say "this" and "now" of the same time.
    pub(super) fn new(access: u64, modification: u64, flags: u32, now: u64) -> Result<Self, Errno> {
        let all = ACCESS | ACCESS_NOW | MODIFICATION | MODIFICATION_NOW;
        let both = |this: u32, now: u32| flags & this != 0 && flags & now != 0;
        if flags > all || both(ACCESS, ACCESS_NOW) || both(MODIFICATION, MODIFICATION_NOW) {
            return Err(Errno::Inval);
        }
        let pick = |this: u32, value: u64, to_now: u32| match (flags & this != 0, flags & to_now != 0) {
            (true, _) => Some(value),
            (_, true) => Some(now),
            _ => None,
        };
        let access = pick(ACCESS, access, ACCESS_NOW);
        Ok(Self { access, modification: pick(MODIFICATION, modification, MODIFICATION_NOW) })
    }

    /// Sets them.
    pub(super) fn apply(&self, node: u32, fs: &mut FileSystem, now: u64) {
        fs.set_times(node, self.access, self.modification, now);
    }
}

impl Wasi {
    /// `fd_filestat_get(fd, record)`.
    pub(super) fn fd_filestat_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let descriptor = self.descriptor(args.u32(0))?;
        if descriptor.rights & rights::FD_FILESTAT_GET == 0 {
            return Err(Errno::Notcapable);
        }
        store_filestat(args, 1, descriptor.target, &self.fs, memory)
    }

    /// `fd_filestat_set_times(fd, access, modification, flags)`.
    pub(super) fn fd_filestat_set_times(&mut self, args: Args<'_>, now: u64) -> Answer {
        let descriptor = self.descriptor(args.u32(0))?;
        let times = NewTimes::new(args.u64(1), args.u64(2), args.u32(3), now)?;
        match descriptor.target {
            DescriptorTarget::Node(_) if descriptor.rights & rights::FD_FILESTAT_SET_TIMES == 0 => {
                Err(Errno::Notcapable)
            }
            DescriptorTarget::Node(node) => {
                times.apply(node, &mut self.fs, now);
                Ok(())
            }
            _ => Err(Errno::Badf),
        }
    }
}
