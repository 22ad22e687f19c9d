//! The store in the interface of module `env`, which reads a value from any offset on, and the debug output.
#![expect(unsafe_code, reason = "imports")]

use alloc::vec::Vec;

use crate::imports::env;
use crate::parts::read_whole;

/// The value of a key, or `None` if it has none.
pub fn storage_read(key: &[u8]) -> Option<Vec<u8>> {
    read_whole(|to, offset| {
        // SAFETY: the import reads `key` and writes no more than `to`, both whole slices.
        unsafe { env::qlcchain_storage_read(key.as_ptr(), key.len(), to.as_mut_ptr(), to.len(), offset) }
    })
}

/// Gives a key a value, in place of the one that it may have.
pub fn storage_write(key: &[u8], value: &[u8]) {
    // SAFETY: the import reads two whole slices.
    unsafe { env::qlcchain_storage_write(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

/// Takes a key and its value away, if it is there.
pub fn storage_delete(key: &[u8]) {
    // SAFETY: the import reads a whole slice.
    unsafe { env::qlcchain_storage_delete(key.as_ptr(), key.len()) }
}

/// Writes a line to the debug output, which is no part of the result.
pub fn debug(line: &[u8]) {
    // SAFETY: the import reads a whole slice.
    unsafe { env::qlcchain_debug(line.as_ptr(), line.len()) }
}
