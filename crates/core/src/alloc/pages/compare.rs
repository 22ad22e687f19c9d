//! Comparing bytes inside wasm. The C library compares byte by byte, which made every search among long keys and names eight
//! times as dear as natively.
#![expect(unsafe_code, reason = "a function of the C library's works on addresses")]

/// Bytes in a word.
const WORD: usize = size_of::<u64>();

/// Compares `length` bytes, in place of the C library's function of this name: below, equal or above zero.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    let mut at = 0;
    while length - at >= WORD {
        // SAFETY: the caller promises `length` bytes at both places, and these end before that.
        let (l, r) = unsafe { (word(left, at), word(right, at)) };
        if l != r {
            // The first byte in memory is the one that counts most.
            return if u64::from_be(l) < u64::from_be(r) { -1 } else { 1 };
        }
        at += WORD;
    }
    while at < length {
        // SAFETY: as above.
        let (l, r) = unsafe { (*left.add(at), *right.add(at)) };
        if l != r {
            return i32::from(l) - i32::from(r);
        }
        at += 1;
    }
    0
}

/// The word that begins `at` bytes behind `bytes`.
#[inline(always)]
unsafe fn word(bytes: *const u8, at: usize) -> u64 {
    // SAFETY: the caller promises a whole word there.
    unsafe { bytes.add(at).cast::<u64>().read_unaligned() }
}
