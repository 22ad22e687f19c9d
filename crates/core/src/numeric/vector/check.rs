//! What the tests of vector operators share: vectors worth trying, and operators defined lane by lane.

use proptest::prelude::*;

/// An operator of two vectors.
pub(super) type Binary = fn(u128, u128) -> u128;
/// An operator of one vector.
pub(super) type Unary = fn(u128) -> u128;

/// The lanes of `width` bits, lane 0 first.
pub(super) fn lanes(width: u32, a: u128) -> Vec<u64> {
    (0..128 / width).map(|i| (a >> (i * width)) as u64 & (u64::MAX >> (64 - width))).collect()
}

/// The vector with these lanes of `width` bits, cut to them.
pub(super) fn vector(width: u32, lanes: impl IntoIterator<Item = i128>) -> u128 {
    let lane = |(i, x): (u32, i128)| (x as u128 & (u128::MAX >> (128 - width))) << (i * width);
    (0..128 / width).zip(lanes).map(lane).fold(0, |all, lane| all | lane)
}

/// A lane's signed value.
pub(super) fn signed(width: u32, x: u64) -> i128 {
    i128::from((x << (64 - width)) as i64 >> (64 - width))
}

/// A condition as a lane.
pub(super) fn mask(condition: bool) -> i128 {
    -i128::from(condition)
}

/// The vector of `f` of each lane.
pub(super) fn each(width: u32, a: u128, f: impl Fn(u64) -> i128) -> u128 {
    vector(width, lanes(width, a).into_iter().map(f))
}

/// The vector of `f` of each two lanes.
pub(super) fn pairs(width: u32, a: u128, b: u128, f: impl Fn(u64, u64) -> i128) -> u128 {
    vector(width, lanes(width, a).into_iter().zip(lanes(width, b)).map(|(x, y)| f(x, y)))
}

/// Vectors of random bits, and of lanes at the ends of their ranges.
pub(super) fn any_vector() -> impl Strategy<Value = u128> {
    let edges = |width: u32| {
        let edge = move |(kind, x): (u8, u64)| match kind {
            0 => 0,
            1 => 1,
            2 => i128::from(u64::MAX >> (65 - width)),
            3 => 1 << (width - 1),
            4 => -1,
            5 => i128::from(x & 0x1f),
            _ => i128::from(x),
        };
        prop::collection::vec((0u8..7, any::<u64>()), 16).prop_map(move |all| vector(width, all.into_iter().map(edge)))
    };
    prop_oneof![any::<u128>(), edges(8), edges(16), edges(32), edges(64)]
}
