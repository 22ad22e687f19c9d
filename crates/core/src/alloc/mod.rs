//! Room in long buffers. Doubling them, as the standard library does, would leave up to half of the node's memory unused,
//! and so would moving them whenever they grow: inside wasm nothing that was freed goes back to the host.
#![expect(unsafe_code, reason = "zeroed memory that may not be there has no safe function")]

pub mod pages;

use std::alloc::{Layout, alloc_zeroed};
use std::collections::TryReserveError;

use stepmark_state::encoding::is_zero;
use stepmark_state::pages::PAGE;

/// The node's memory is not enough.
#[derive(Debug)]
pub struct NoRoom;

impl From<TryReserveError> for NoRoom {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}

/// Reserves memory for `more` items, and for an eighth of what there is: growing item by item still takes time in proportion.
pub fn reserve<T>(buffer: &mut Vec<T>, more: usize) -> Result<(), NoRoom> {
    if buffer.capacity() - buffer.len() < more {
        pages::may_fail(|| buffer.try_reserve_exact(more.max(buffer.len() / 8)))?;
    }
    Ok(())
}

/// Reserves memory for `count` items so that later allocations land behind it; dropping it returns the hole to the allocator.
pub fn hold_open<T>(count: usize) -> Result<Vec<T>, NoRoom> {
    let mut room = Vec::new();
    pages::may_fail(|| room.try_reserve_exact(count))?;
    Ok(room)
}

/// Length from which a buffer that has to move inside wasm gets all the room that it may ever use: it lies where the next
/// thing is put behind it again, and a few such moves would use up all addresses. They are no memory until they are used.
const LONG: usize = 64 << 20;

/// Makes the buffer `length` bytes long, the new ones zero: where it is if it can be, and if most of it is new or the move
/// would make all of it resident (inside wasm), in memory that is touched only where the old contents are not zero. It will
/// never be longer than `most`.
pub fn lengthen(buffer: &mut Vec<u8>, length: usize, most: usize) -> Result<(), NoRoom> {
    let more = length.saturating_sub(buffer.len());
    if more > buffer.capacity() - buffer.len() {
        if pages::lengthen_in_place(buffer, length) {
            return Ok(());
        }
        if more >= buffer.len() || cfg!(target_family = "wasm") {
            return lengthen_anew(buffer, length, most);
        }
    }
    reserve(buffer, more)?;
    // By the page, which is one instruction of the host's: `resize` is a loop over bytes in a build for size.
    let zero = vec![0; PAGE];
    while buffer.len() < length {
        buffer.extend_from_slice(&zero[..(length - buffer.len()).min(PAGE)]);
    }
    Ok(())
}

/// Lengthens a buffer by moving it to new memory, which the system hands out zeroed page by page as it is used: a program of 1 GiB that
/// uses 1 MiB costs 1 MiB. Where little is new there is room for an eighth more, so that not every growth moves.
fn lengthen_anew(buffer: &mut Vec<u8>, length: usize, most: usize) -> Result<(), NoRoom> {
    let little = length - buffer.len() < buffer.len() / 8;
    let some = length + if little { buffer.len() / 8 } else { 0 };
    let all = if cfg!(target_family = "wasm") && length >= LONG { most.max(length) } else { some };
    let mut longer = zeroed(all).or_else(|_| zeroed(some.min(all))).or_else(|_| zeroed(length))?;
    longer.truncate(length);
    for (to, from) in longer.chunks_mut(PAGE).zip(buffer.chunks(PAGE)) {
        if !is_zero(from) {
            to[..from.len()].copy_from_slice(from);
        }
    }
    *buffer = longer;
    Ok(())
}

/// So many zeros, at least one, that cost nothing until they are touched.
fn zeroed(length: usize) -> Result<Vec<u8>, NoRoom> {
    let layout = Layout::array::<u8>(length).map_err(|_| NoRoom)?;
    // SAFETY: the layout is not of length 0: only a buffer that is too short is lengthened.
    let bytes = pages::may_fail(|| unsafe { alloc_zeroed(layout) });
    if bytes.is_null() {
        return Err(NoRoom);
    }
    // SAFETY: the block is of this layout, and zero is a byte.
    Ok(unsafe { Vec::from_raw_parts(bytes, length, length) })
}
