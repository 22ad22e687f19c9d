//! Room in long buffers. Doubling them, as the standard library does, would leave up to half of the node's memory unused,
//! and so would moving them whenever they grow: inside wasm nothing that was freed goes back to the host.

use std::collections::TryReserveError;

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
