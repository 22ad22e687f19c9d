//! The values at which arithmetic differs between machines, if anywhere.

use std::fmt;

/// Type of an operand or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Single-precision float.
    F32,
    /// Double-precision float.
    F64,
    /// Vector.
    V128,
}

impl Type {
    /// All of them.
    pub const ALL: [Type; 5] = [Self::I32, Self::I64, Self::F32, Self::F64, Self::V128];

    /// Bytes of a value.
    pub fn bytes(self) -> usize {
        match self {
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
            Self::V128 => 16,
        }
    }

    /// The values that operands of this type take.
    pub fn values(self) -> Vec<u128> {
        match self {
            Self::I32 => I32.iter().chain(&F32).map(|v| u128::from(*v)).collect(),
            Self::I64 => I64.iter().chain(&F64).map(|v| u128::from(*v)).collect(),
            Self::F32 => F32.iter().map(|v| u128::from(*v)).collect(),
            Self::F64 => F64.iter().map(|v| u128::from(*v)).collect(),
            Self::V128 => vectors(),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["i32", "i64", "f32", "f64", "v128"][*self as usize])
    }
}

const I32: [u32; 10] = [0, 1, 2, 31, 32, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x0000_8080, 0xdead_beef];
const I64: [u64; 10] =
    [0, 1, 63, 64, 0xffff_ffff, 1 << 32, 0x7fff_ffff_ffff_ffff, 1 << 63, u64::MAX, 0x0020_0000_0000_0001];

/// Zeros, ones, infinities, NaNs quiet and signalling with several payloads and both signs, denormals, extremes, halves,
/// and the bounds of the integers.
const F32: [u32; 34] = [
    0x0000_0000,
    0x8000_0000, // zeros
    0x3f80_0000,
    0xbf80_0000, // ones
    0x7f80_0000,
    0xff80_0000, // infinities
    0x7fc0_0000,
    0xffc0_0000, // canonical NaNs
    0x7fc1_2345,
    0xffe0_0001, // quiet NaNs
    0x7f80_0001,
    0xffa0_0000,
    0x7fbf_ffff, // signalling NaNs
    0x0000_0001,
    0x8000_0001,
    0x007f_ffff, // denormals
    0x0080_0000,
    0x8080_0000,
    0x7f7f_ffff,
    0xff7f_ffff, // extremes
    0x3f00_0000,
    0xbf00_0000,
    0x3fc0_0000,
    0xc020_0000,
    0x3eff_ffff, // halves
    0x4b00_0001,
    0x4aff_ffff, // where fractions end
    0x4eff_ffff,
    0x4f00_0000,
    0xcf00_0000,
    0x4f80_0000, // bounds of i32 and u32
    0x5f00_0000,
    0xdf00_0000,
    0x5f80_0000, // bounds of i64 and u64
];
const F64: [u64; 36] = [
    0x0000_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x3ff0_0000_0000_0000,
    0xbff0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ff8_1234_5678_9abc,
    0xfffc_0000_0000_0001,
    0x7ff0_0000_0000_0001,
    0xfff4_0000_0000_0000,
    0x7ff7_ffff_ffff_ffff,
    0x7ff0_0000_2000_0000,
    0x0000_0000_0000_0001,
    0x8000_0000_0000_0001,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0xffef_ffff_ffff_ffff,
    0x3fe0_0000_0000_0000,
    0xbfe0_0000_0000_0000,
    0x3ff8_0000_0000_0000,
    0xc004_0000_0000_0000,
    0x3fdf_ffff_ffff_ffff,
    0x4330_0000_0000_0001,
    0x47ef_ffff_f000_0000,
    0x36a0_0000_0000_0000,
    0x380f_ffff_ffff_ffff,
    0x41df_ffff_ffc0_0000,
    0x41e0_0000_0000_0000,
    0xc1e0_0000_0020_0000,
    0x41f0_0000_0000_0000,
    0x43e0_0000_0000_0000,
    0xc3e0_0000_0000_0000,
    0x43f0_0000_0000_0000,
];

/// Vectors of these lanes, each beginning with another one, so that all pairs of vectors have all pairs of lanes.
fn turned<const N: usize>(lanes: &[u64], bits: usize) -> impl Iterator<Item = u128> {
    let lanes = lanes.to_vec();
    (0..lanes.len()).map(move |first| {
        (0..N)
            .map(|lane| u128::from(lanes[(first + lane) % lanes.len()]) << (lane * bits))
            .fold(0, |all, lane| all | lane)
    })
}

fn vectors() -> Vec<u128> {
    let f32s: Vec<u64> = F32.iter().map(|v| u64::from(*v)).collect();
    let bytes = [0, 1, 0x7f, 0x80, 0x81, 0xff, 0x55];
    let halves = [0, 1, 0x7fff, 0x8000, 0xffff, 0x00ff, 0xff00, 0x4000];
    let words = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x0001_8000];
    let mut all: Vec<u128> = turned::<4>(&f32s, 32).collect();
    all.extend(turned::<2>(&F64, 64));
    all.extend(turned::<16>(&bytes, 8));
    all.extend(turned::<8>(&halves, 16));
    all.extend(turned::<4>(&words, 32));
    all.extend(turned::<2>(&I64[5..9], 64));
    all
}
