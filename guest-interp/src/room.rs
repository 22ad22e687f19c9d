//! Room in long buffers. Doubling them, as the standard library does, would leave up to half of the node's memory unused,
//! and so would moving them whenever they grow: inside wasm nothing that was freed goes back to the host.

use std::collections::TryReserveError;

use crate::snapshot::{PAGE, is_zero};

/// Makes room for `more` items, and for an eighth of what there is: growing item by item still takes time in proportion.
///
/// Where the buffer is the last thing in the node's memory, it grows in place: a block as long as what is missing,
/// allocated behind it and freed at once, becomes free memory that the buffer can be extended into. Anywhere else, and
/// natively, that costs next to nothing.
pub(crate) fn make<T>(buffer: &mut Vec<T>, more: usize) -> Result<(), TryReserveError> {
    if buffer.capacity() - buffer.len() >= more {
        return Ok(());
    }
    let more = more.max(buffer.len() / 8);
    drop(held::<T>(more)?);
    buffer.try_reserve_exact(more)
}

/// Room for `count` items that nobody uses yet. While it is held, what is allocated lies elsewhere; dropped, it is where
/// small things go first.
pub(crate) fn held<T>(count: usize) -> Result<Vec<T>, TryReserveError> {
    let mut room = Vec::new();
    room.try_reserve_exact(count)?;
    Ok(room)
}

/// Makes the buffer `length` bytes long, the new ones zero.
pub(crate) fn lengthen(buffer: &mut Vec<u8>, length: usize) -> Result<(), TryReserveError> {
    let more = length.saturating_sub(buffer.len());
    // Where most of it is new; a little more is cheaper in the same place.
    if more > buffer.capacity() - buffer.len() && more >= buffer.len() && cfg!(not(target_family = "wasm")) {
        return lengthen_anew(buffer, length);
    }
    make(buffer, more)?;
    // By the page, which is one instruction of the host's: `resize` is a loop over bytes in a build for size.
    let zero = vec![0; PAGE];
    while buffer.len() < length {
        buffer.extend_from_slice(&zero[..(length - buffer.len()).min(PAGE)]);
    }
    Ok(())
}

/// The same by moving to new memory, which the system hands out zeroed page by page as it is used: a program of 1 GiB that
/// uses 1 MiB costs 1 MiB.
fn lengthen_anew(buffer: &mut Vec<u8>, length: usize) -> Result<(), TryReserveError> {
    // Where this is possible, so is what follows, which could not say that it is not.
    drop(held::<u8>(length)?);
    let mut longer = vec![0; length];
    for (to, from) in longer.chunks_mut(PAGE).zip(buffer.chunks(PAGE)) {
        if !is_zero(from) {
            to[..from.len()].copy_from_slice(from);
        }
    }
    *buffer = longer;
    Ok(())
}
