//! Reading a value of unknown length: most fit into the first buffer, and of a longer one the rest is read from where
//! that ended.

use alloc::vec;
use alloc::vec::Vec;

/// What there is room for at first: more than names and numbers take.
pub(crate) const ROOM: usize = 64;

/// The whole value that `read` copies from an offset on into what room it is given, and tells the length of; `None` if
/// it says that there is none, which is `u32::MAX`.
pub(crate) fn read_whole(mut read: impl FnMut(&mut [u8], usize) -> u32) -> Option<Vec<u8>> {
    let mut value = vec![0; ROOM];
    let length = match read(&mut value, 0) {
        u32::MAX => return None,
        length => length as usize,
    };
    value.resize(length, 0);
    if let Some(rest) = value.get_mut(ROOM..).filter(|rest| !rest.is_empty()) {
        read(rest, ROOM);
    }
    Some(value)
}
