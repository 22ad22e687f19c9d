//! What the node's own code needs of the engine under it: numbers as IEEE 754 has them, and memory that grows and is zero.

use std::hint::black_box;

use super::{Check, Report};
use stepmark_core::alloc;

/// Bytes that the memory must be able to grow by: what a small program needs.
const GROWTH: usize = 64 << 20;

pub(super) fn check(report: &mut Report<'_>) {
    report.check("64-bit integers", integers());
    report.check("numbers with a floating point", floats());
    report.check("memory grows by 64 MiB of zeros", memory());
}

fn integers() -> Check {
    let a: u64 = black_box(0x0123_4567_89ab_cdef);
    let b: u32 = black_box(0x9e37_79b9);
    equal("rotation", a.rotate_left(20), 0x5678_9abc_def0_1234)?;
    equal("multiplication", a.wrapping_mul(u64::from(b)), 0x4e81_b4e7_71d6_c8b7)?;
    equal("division", a.checked_div(u64::from(b)).unwrap_or(0), 0x01d7_495b)?;
    equal("bits", [a.leading_zeros(), a.trailing_zeros(), a.count_ones()].map(u64::from).iter().sum(), 7 + 32)
}

fn floats() -> Check {
    let bits = f64::to_bits;
    equal("rounding to even", bits(black_box(0.1) + black_box(0.2)), 0x3fd3_3333_3333_3334)?;
    equal("division", bits(black_box(1.0) / black_box(3.0)), 0x3fd5_5555_5555_5555)?;
    equal("square root", bits(black_box(2.0_f64).sqrt()), 0x3ff6_a09e_667f_3bcd)?;
    equal("subnormal numbers", bits(black_box(f64::MIN_POSITIVE) / black_box(4.0)), 0x0004_0000_0000_0000)?;
    equal("single precision", u64::from((black_box(1.0_f32) / black_box(3.0)).to_bits()), 0x3eaa_aaab)?;
    equal("subnormal single", u64::from((black_box(f32::MIN_POSITIVE) / black_box(4.0)).to_bits()), 0x0020_0000)?;
    equal("the sign of zero", bits(black_box(-0.0) * black_box(1.0)), 1 << 63)
}

fn equal(what: &str, found: u64, expected: u64) -> Check {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:#x}, expected {expected:#x}")) }
}

fn memory() -> Check {
    let mut zeros = Vec::new();
    // As a program's memory is made: inside wasm nobody but the host has written the zeros.
    alloc::lengthen(&mut zeros, GROWTH, GROWTH).map_err(|_| "there is no more memory".to_owned())?;
    match black_box(&zeros).iter().position(|byte| *byte != 0) {
        Some(at) => Err(format!("byte {at} of new memory is not zero")),
        None => Ok(()),
    }
}
