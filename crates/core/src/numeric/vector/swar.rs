//! Lane-wise integer operators on 64 bits, half a vector, all lanes of `W` bits at once: the carries of one machine
//! operation are kept from crossing into the next lane. A vector operator is one of these on each half.

/// The lowest bit of every lane.
const fn lsb<const W: u32>() -> u64 {
    u64::MAX / (u64::MAX >> (64 - W))
}

/// The highest bit of every lane.
const fn msb<const W: u32>() -> u64 {
    lsb::<W>() << (W - 1)
}

/// All ones in the lanes whose highest bit is set in `m`, which has no other bits.
#[inline(always)]
pub(super) fn spread<const W: u32>(m: u64) -> u64 {
    (m << 1).wrapping_sub(m >> (W - 1))
}

/// All ones for true.
#[inline(always)]
pub(super) fn all_ones_if(condition: bool) -> u64 {
    u64::from(condition).wrapping_neg()
}

/// `a` where `mask` is set, else `b`.
#[inline(always)]
pub(super) fn select(mask: u64, a: u64, b: u64) -> u64 {
    b ^ ((a ^ b) & mask)
}

/// `f` of the two lanes of 32 bits.
#[inline(always)]
fn words(a: u64, b: u64, f: impl Fn(u32, u32) -> u32) -> u64 {
    u64::from(f(a as u32, b as u32)) | (u64::from(f((a >> 32) as u32, (b >> 32) as u32)) << 32)
}

/// Sum.
#[inline(always)]
pub(super) fn add<const W: u32>(a: u64, b: u64) -> u64 {
    if W == 64 {
        return a.wrapping_add(b);
    }
    let high = msb::<W>();
    ((a & !high) + (b & !high)) ^ ((a ^ b) & high)
}

/// Difference.
#[inline(always)]
pub(super) fn sub<const W: u32>(a: u64, b: u64) -> u64 {
    if W == 64 {
        return a.wrapping_sub(b);
    }
    let high = msb::<W>();
    ((a | high) - (b & !high)) ^ (!(a ^ b) & high)
}

/// Product of lanes of 16, 32 or 64 bits.
#[inline(always)]
pub(super) fn mul<const W: u32>(a: u64, b: u64) -> u64 {
    match W {
        64 => a.wrapping_mul(b),
        32 => words(a, b, u32::wrapping_mul),
        _ => {
            let lane = |i: u32| ((a >> i).wrapping_mul(b >> i) & 0xffff) << i;
            lane(0) | lane(16) | lane(32) | lane(48)
        }
    }
}

/// The highest bit of every lane that is not zero.
#[inline(always)]
fn nonzero<const W: u32>(x: u64) -> u64 {
    let high = msb::<W>();
    (((x & !high) + !high) | x) & high
}

/// Mask of the lanes that are equal.
#[inline(always)]
pub(super) fn eq<const W: u32>(a: u64, b: u64) -> u64 {
    match W {
        64 => all_ones_if(a == b),
        _ => spread::<W>(nonzero::<W>(a ^ b) ^ msb::<W>()),
    }
}

/// Mask of the lanes where `a < b`.
#[inline(always)]
pub(super) fn lt_u<const W: u32>(a: u64, b: u64) -> u64 {
    match W {
        64 => all_ones_if(a < b),
        32 => words(a, b, |a, b| all_ones_if(a < b) as u32),
        _ => spread::<W>(((!a & b) | (!(a ^ b) & sub::<W>(a, b))) & msb::<W>()),
    }
}

/// Mask of the lanes where `a < b`, signed.
#[inline(always)]
pub(super) fn lt_s<const W: u32>(a: u64, b: u64) -> u64 {
    match W {
        64 => all_ones_if((a as i64) < (b as i64)),
        32 => words(a, b, |a, b| all_ones_if((a as i32) < (b as i32)) as u32),
        _ => spread::<W>(((a & !b) | (!(a ^ b) & sub::<W>(a, b))) & msb::<W>()),
    }
}

/// Opposite number.
#[inline(always)]
pub(super) fn neg<const W: u32>(a: u64) -> u64 {
    sub::<W>(0, a)
}

/// Magnitude; that of the smallest value is itself.
#[inline(always)]
pub(super) fn abs<const W: u32>(a: u64) -> u64 {
    let sign = spread::<W>(a & msb::<W>());
    sub::<W>(a ^ sign, sign)
}

/// One bits of each byte.
#[inline(always)]
pub(super) fn popcnt(a: u64) -> u64 {
    let pairs = a - ((a >> 1) & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + ((pairs >> 2) & 0x3333_3333_3333_3333);
    (nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f
}

/// Lesser value.
#[inline(always)]
pub(super) fn min_u<const W: u32>(a: u64, b: u64) -> u64 {
    match W {
        32 => words(a, b, |a, b| a.min(b)),
        _ => select(lt_u::<W>(a, b), a, b),
    }
}

/// Lesser value, signed.
#[inline(always)]
pub(super) fn min_s<const W: u32>(a: u64, b: u64) -> u64 {
    match W {
        32 => words(a, b, |a, b| (a as i32).min(b as i32) as u32),
        _ => select(lt_s::<W>(a, b), a, b),
    }
}

/// Greater value.
#[inline(always)]
pub(super) fn max_u<const W: u32>(a: u64, b: u64) -> u64 {
    match W {
        32 => words(a, b, |a, b| a.max(b)),
        _ => select(lt_u::<W>(a, b), b, a),
    }
}

/// Greater value, signed.
#[inline(always)]
pub(super) fn max_s<const W: u32>(a: u64, b: u64) -> u64 {
    match W {
        32 => words(a, b, |a, b| (a as i32).max(b as i32) as u32),
        _ => select(lt_s::<W>(a, b), b, a),
    }
}

/// Sum, at most the greatest value.
#[inline(always)]
pub(super) fn add_sat_u<const W: u32>(a: u64, b: u64) -> u64 {
    let sum = add::<W>(a, b);
    sum | spread::<W>(((a & b) | ((a | b) & !sum)) & msb::<W>())
}

/// Difference, at least zero.
#[inline(always)]
pub(super) fn sub_sat_u<const W: u32>(a: u64, b: u64) -> u64 {
    sub::<W>(a, b) & !lt_u::<W>(a, b)
}

/// The end of the signed range on the side of each lane of `a`.
#[inline(always)]
fn signed_end<const W: u32>(a: u64) -> u64 {
    !msb::<W>() + ((a >> (W - 1)) & lsb::<W>())
}

/// Sum, kept in the signed range.
#[inline(always)]
pub(super) fn add_sat_s<const W: u32>(a: u64, b: u64) -> u64 {
    let sum = add::<W>(a, b);
    select(spread::<W>(!(a ^ b) & (a ^ sum) & msb::<W>()), signed_end::<W>(a), sum)
}

/// Difference, kept in the signed range.
#[inline(always)]
pub(super) fn sub_sat_s<const W: u32>(a: u64, b: u64) -> u64 {
    let difference = sub::<W>(a, b);
    select(spread::<W>((a ^ b) & (a ^ difference) & msb::<W>()), signed_end::<W>(a), difference)
}

/// Mean, rounded up.
#[inline(always)]
pub(super) fn avgr_u<const W: u32>(a: u64, b: u64) -> u64 {
    (a | b) - (((a ^ b) & !lsb::<W>()) >> 1)
}

/// The bits of each lane that a shift by `count` pushes out, at the low end.
#[inline(always)]
fn low_bits<const W: u32>(count: u32) -> u64 {
    (lsb::<W>() << count) - lsb::<W>()
}

/// Shift left by `count` modulo W.
#[inline(always)]
pub(super) fn shl<const W: u32>(a: u64, count: u32) -> u64 {
    let count = count % W;
    (a << count) & !low_bits::<W>(count)
}

/// Logical shift right by `count` modulo W.
#[inline(always)]
pub(super) fn shr_u<const W: u32>(a: u64, count: u32) -> u64 {
    let count = count % W;
    (a & !low_bits::<W>(count)) >> count
}

/// Arithmetic shift right by `count` modulo W.
#[inline(always)]
pub(super) fn shr_s<const W: u32>(a: u64, count: u32) -> u64 {
    let count = count % W;
    let kept = !low_bits::<W>(count) >> count;
    ((a >> count) & kept) | (spread::<W>(a & msb::<W>()) & !kept)
}

/// 1 if no lane is zero, else 0.
#[inline(always)]
pub(super) fn all_true<const W: u32>(a: u64) -> bool {
    nonzero::<W>(a) == msb::<W>()
}

/// The highest bits of the lanes, side by side.
#[inline(always)]
pub(super) fn bitmask<const W: u32>(a: u64) -> u32 {
    let bits = (a & msb::<W>()) >> (W - 1);
    let gathered = match W {
        8 => bits.wrapping_mul(0x0102_0408_1020_4080) >> 56,
        16 => bits.wrapping_mul(0x0001_0002_0004_0008) >> 48,
        32 => bits | (bits >> 31),
        _ => bits,
    };
    gathered as u32 & ((1 << (64 / W)) - 1)
}

/// The lanes of `W` bits of 32 bits, each zero-extended to `2 * W`.
#[inline(always)]
pub(super) fn widen_u<const W: u32>(a: u32) -> u64 {
    let a = u64::from(a);
    match W {
        32 => a,
        16 => (a | (a << 16)) & 0x0000_ffff_0000_ffff,
        _ => {
            let a = (a | (a << 16)) & 0x0000_ffff_0000_ffff;
            (a | (a << 8)) & 0x00ff_00ff_00ff_00ff
        }
    }
}

/// The lanes of `W` bits of 32 bits, each sign-extended to `2 * W`.
#[inline(always)]
pub(super) fn widen_s<const W: u32>(a: u32) -> u64 {
    sign_extend::<W>(widen_u::<W>(a))
}

/// Lanes of `2 * W` bits, each sign-extended from its low half; its high half is zero.
#[inline(always)]
fn sign_extend<const W: u32>(a: u64) -> u64 {
    let sign = a & (msb::<W>() & even_u::<W>(u64::MAX));
    a | (sign << 1 << W).wrapping_sub(sign << 1)
}

/// The even lanes of `W` bits, each zero-extended to `2 * W`.
#[inline(always)]
pub(super) fn even_u<const W: u32>(a: u64) -> u64 {
    match W {
        8 => a & 0x00ff_00ff_00ff_00ff,
        16 => a & 0x0000_ffff_0000_ffff,
        _ => a & 0xffff_ffff,
    }
}

/// The even lanes of `W` bits, each sign-extended to `2 * W`.
#[inline(always)]
pub(super) fn even_s<const W: u32>(a: u64) -> u64 {
    sign_extend::<W>(even_u::<W>(a))
}

/// The lanes of `2 * W` bits cut to `W`: the caller has brought their values into range.
#[inline(always)]
pub(super) fn cut<const W: u32>(a: u64) -> u32 {
    let a = even_u::<W>(a);
    match W {
        8 => {
            let a = (a | (a >> 8)) & 0x0000_ffff_0000_ffff;
            (a | (a >> 16)) as u32
        }
        _ => (a | (a >> 16)) as u32,
    }
}

/// One value in every lane.
#[inline(always)]
pub(super) fn splat<const W: u32>(x: u64) -> u64 {
    (x & (u64::MAX >> (64 - W))).wrapping_mul(lsb::<W>())
}
