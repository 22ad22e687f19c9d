//! The store in the interface of module `store`: its keys are in the order of their bytes, and can be gone through.
#![expect(unsafe_code, reason = "imports")]

use alloc::vec;
use alloc::vec::Vec;
use core::ptr;

use crate::imports::store;
use crate::parts::ROOM;

/// The value of a key, or `None` if it has none.
pub fn get(key: &[u8]) -> Option<Vec<u8>> {
    let mut value = vec![0; ROOM];
    loop {
        // SAFETY: the import reads `key` and writes no more than `value`, both whole slices.
        let length = unsafe { store::get(key.as_ptr(), key.len(), value.as_mut_ptr(), value.len()) };
        let length = usize::try_from(length).ok()?;
        let fits = length <= value.len();
        value.resize(length, 0);
        if fits {
            return Some(value);
        }
    }
}

/// Gives a key a value, in place of the one that it may have.
pub fn put(key: &[u8], value: &[u8]) {
    // SAFETY: the import reads two whole slices.
    unsafe { store::put(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

/// Takes a key and its value away, if it is there.
pub fn delete(key: &[u8]) {
    // SAFETY: the import reads a whole slice.
    unsafe { store::delete(key.as_ptr(), key.len()) }
}

/// The keys from `start` on and before `limit`, or to the last one, with their values, in the order of the keys.
pub fn iterate(start: &[u8], limit: Option<&[u8]>) -> Iter {
    // No slice is longer than isize::MAX.
    let (limit, limit_len) = limit.map_or((ptr::null(), -1), |limit| (limit.as_ptr(), limit.len() as isize));
    // SAFETY: the import reads `start` and, unless its length is given as -1, `limit`, both whole slices.
    let handle = unsafe { store::iterate(start.as_ptr(), start.len(), limit, limit_len) };
    Iter { handle, key: vec![0; ROOM], value: vec![0; ROOM] }
}

/// Keys and values in order, as the node goes through them; dropping it closes the node's handle.
#[derive(Debug)]
pub struct Iter {
    handle: i32,
    /// Room for a key.
    key: Vec<u8>,
    /// Room for a value.
    value: Vec<u8>,
}

impl Iterator for Iter {
    type Item = (Vec<u8>, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (key, value) = (&mut self.key, &mut self.value);
            // SAFETY: the import writes no more than `key` and `value`, both whole slices, and no other part of the
            // program uses the handle.
            let lengths =
                unsafe { store::next(self.handle, key.as_mut_ptr(), key.len(), value.as_mut_ptr(), value.len()) };
            let lengths = u64::try_from(lengths).ok()?;
            let (key_len, value_len) = ((lengths >> 32) as usize, lengths as u32 as usize);
            if let (Some(key), Some(value)) = (key.get(..key_len), value.get(..value_len)) {
                return Some((key.to_vec(), value.to_vec()));
            }
            key.resize(key_len.max(key.len()), 0);
            value.resize(value_len.max(value.len()), 0);
        }
    }
}

impl Drop for Iter {
    fn drop(&mut self) {
        store::close(self.handle);
    }
}
