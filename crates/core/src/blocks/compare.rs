//! Comparing bytes inside wasm. The C library compares byte by byte, which made every search among long keys and names eight
//! times as dear as natively.
#![expect(unsafe_code, reason = "a function of the C library's works on addresses")]

/// Bytes in a word.
const WORD: usize = size_of::<u64>();

/// Compares `length` bytes, in place of the C library's function of this name: below, equal or above zero.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    let mut at = 0;
    while at + WORD <= length {
        // SAFETY: the caller promises `length` bytes at both places, and these end before that.
        let words = unsafe { [left, right].map(|bytes| bytes.add(at).cast::<u64>().read_unaligned()) };
        if words[0] != words[1] {
            // The first byte in memory is the one that counts most.
            return if u64::from_be(words[0]) < u64::from_be(words[1]) { -1 } else { 1 };
        }
        at += WORD;
    }
    while at < length {
        // SAFETY: as above.
        let bytes = unsafe { [left, right].map(|bytes| i32::from(*bytes.add(at))) };
        if bytes[0] != bytes[1] {
            return bytes[0] - bytes[1];
        }
        at += 1;
    }
    0
}
