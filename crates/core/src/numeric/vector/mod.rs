//! The meaning of the vector operators, SIMD and relaxed SIMD (WebAssembly 3.0, section 4.3 "Numerics"). A vector is a
//! `u128` with lane 0 in its lowest bits, as in memory; a function is named like its instruction. Most work on both
//! halves alike, all lanes of 64 bits at once: the node runs where there may be no vector unit, and must stay small.

#[cfg(test)]
mod check;
mod convert;
mod float;
mod int;
mod lane;
mod memory;
mod relaxed;
mod swar;
mod widen;

pub use convert::*;
pub use float::*;
pub use int::*;
pub use lane::*;
pub use memory::*;
pub use relaxed::*;
pub use widen::*;

/// The half with the lower lanes.
#[inline(always)]
fn low(a: u128) -> u64 {
    a as u64
}

/// The half with the higher lanes.
#[inline(always)]
fn high(a: u128) -> u64 {
    (a >> 64) as u64
}

/// A vector from its halves.
#[inline(always)]
fn join(low: u64, high: u64) -> u128 {
    u128::from(low) | (u128::from(high) << 64)
}

/// `f` of each half.
#[inline(always)]
fn map(a: u128, f: impl Fn(u64) -> u64) -> u128 {
    join(f(low(a)), f(high(a)))
}

/// `f` of the halves of both.
#[inline(always)]
fn zip(a: u128, b: u128, f: impl Fn(u64, u64) -> u64) -> u128 {
    join(f(low(a), low(b)), f(high(a), high(b)))
}

/// Defines vector operators, each from what it does to a half of its operands: `name = half;`, where the operands have
/// the names given. Not a function that takes closures: the compiler would call these.
macro_rules! by_halves {
    (unary($a:ident) { $($(#[$doc:meta])* $name:ident = $half:expr;)* }) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name(a: u128) -> u128 {
            let low = { let $a = super::low(a); $half };
            let high = { let $a = super::high(a); $half };
            super::join(low, high)
        })*
    };
    (binary($a:ident, $b:ident) { $($(#[$doc:meta])* $name:ident = $half:expr;)* }) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name(a: u128, b: u128) -> u128 {
            let low = { let ($a, $b) = (super::low(a), super::low(b)); $half };
            let high = { let ($a, $b) = (super::high(a), super::high(b)); $half };
            super::join(low, high)
        })*
    };
    (shift($a:ident, $count:ident) { $($(#[$doc:meta])* $name:ident = $half:expr;)* }) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name(a: u128, $count: u32) -> u128 {
            let low = { let $a = super::low(a); $half };
            let high = { let $a = super::high(a); $half };
            super::join(low, high)
        })*
    };
}
use by_halves;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lane_zero_is_in_the_lowest_bits() {
        assert_eq!(join(1, 2), 1 | 2 << 64);
        assert_eq!((low(1 | 2 << 64), high(1 | 2 << 64)), (1, 2));
        assert_eq!(i32x4_extract_lane(u128::from_le_bytes(*b"0123456789abcdef"), 1), u32::from_le_bytes(*b"4567"));
    }
}
