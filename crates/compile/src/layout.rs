//! Where the parts of a machine lie in the memory that a companion works in, as constants of its code. If any of it moves,
//! the companion is emitted anew.

/// Pages after a marked one that may have changed too.
pub use stepmark_core::machine::MARK_REACH;

/// Addresses in the companion's memory, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Number of the instance whose functions are compiled, as references to them carry it.
    pub instance: u32,
    /// First byte of the program's memory 0. It is the last thing in the memory, so that it may grow.
    pub memory: u32,
    /// A word of 32 bits: size of that memory in bytes.
    pub memory_size: u32,
    /// A byte for each page of 4 KiB of that memory: not 0 if it may have changed. A mark stands for the page and the
    /// [`MARK_REACH`] pages after it.
    pub marks: u32,
    /// A slot of 64 bits for each of the program's globals, by index; the upper half of a value of 32 bits is zero.
    pub globals: Vec<u32>,
    /// The tables, by index.
    pub tables: Vec<TablePlace>,
    /// Room for a word of 32 bits for each function of the program: what it can be called as. The companion fills it itself.
    pub signatures: u32,
    /// A slot of 64 bits: gas, when a frame was left.
    pub gas: u32,
    /// A word of 32 bits: the innermost frame that was left.
    pub innermost: u32,
    /// The greatest address of a frame that may be entered: no frame is made above it but one, which leaves at once. It must
    /// leave that one room among the slots and frames that the job still allows, see [`frame_bound`], and [`BEYOND`] bytes.
    pub frame_limit: u32,
}

/// Where a table lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TablePlace {
    /// First element, of 64 bits: 0, or 1 + (instance << 32 | function).
    pub elements: u32,
    /// A word of 32 bits: how many there are.
    pub size: u32,
}

/// Bytes of the header of a frame: the number of the site at which it was left.
pub const FRAME_HEADER: u32 = 8;

/// Bytes that a frame counts at least, since the host's stack holds more of it than its slots.
pub const LEAST_FRAME: u32 = 64;

/// Instructions that a function may have to be compiled.
pub(crate) const MOST_INSTRUCTIONS: usize = 20_000;

/// Bytes behind [`Layout::frame_limit`] that frames may take: the one that is made above it is as far from its caller as that is large.
pub const BEYOND: u32 = LEAST_FRAME + 8 * MOST_INSTRUCTIONS as u32 + frame_bytes(MOST_SLOTS);

/// Slots that a frame may have for its function to be compiled.
pub const MOST_SLOTS: u32 = 500;

/// Bytes of a frame of so many slots.
pub const fn frame_bytes(slots: u32) -> u32 {
    let bytes = FRAME_HEADER + 8 * slots;
    if bytes < LEAST_FRAME { LEAST_FRAME } else { bytes }
}

/// Bytes by which the frames of a function with so many slots and instructions are apart: what the host's stack may hold of it. A
/// compiler may keep the result of every instruction there, over a call too.
pub(crate) fn frame_distance(slots: u32, instructions: usize) -> u32 {
    let values = slots.max(u32::try_from(instructions).unwrap_or(u32::MAX));
    LEAST_FRAME.saturating_add(values.saturating_mul(8))
}

/// Where a slot lies in its frame, in bytes: locals come first, then operands by height.
pub const fn slot_offset(slot: u32) -> u32 {
    FRAME_HEADER + 8 * slot
}

/// How far from the first frame a frame may begin, [`Layout::frame_limit`], for a job that still allows so many frames and
/// slots, and an area of so many bytes; `None` if not even one frame is safe.
///
/// A frame that is entered has at most [`MOST_SLOTS`] slots, and so has the one that it calls, which leaves if it begins
/// beyond the limit: by then it has been entered, which the job must have allowed.
pub fn frame_bound(frames: u64, slots: u64, area: u64) -> Option<u32> {
    let largest = u64::from(frame_bytes(MOST_SLOTS));
    let by_slots = (slots * 8).checked_sub(2 * largest)?;
    let by_area = area.checked_sub(2 * largest)?;
    // The frame beyond the limit is one more.
    let by_frames = frames.checked_sub(2)? * u64::from(LEAST_FRAME);
    u32::try_from(by_slots.min(by_area).min(by_frames)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_allows_little_more_than_a_frame_is_not_compiled_for() {
        assert_eq!(frame_bound(1, 100_000, 1 << 20), None);
        assert_eq!(frame_bound(1000, 900, 1 << 20), None);
        assert_eq!(frame_bound(1000, 100_000, 8000), None);
        assert_eq!(frame_bound(12, 100_000, 1 << 20), Some(640));
    }
}
