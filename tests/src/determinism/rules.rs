//! What every result must be, wherever it was computed: an operator that makes NaNs makes the canonical one, and one that
//! moves values leaves all their bits.

use super::Figures;
use super::operators::{Access, Operator};
use super::program::result_bytes;

/// A result from its bytes.
pub(super) fn number(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Bits of the lanes of an operator on floats, by its name.
fn lane_bits(operator: &Operator) -> Option<usize> {
    match operator.mnemonic.split('.').next() {
        Some("f32" | "f32x4") => Some(32),
        Some("f64" | "f64x2") => Some(64),
        _ => None,
    }
}

fn lanes(value: u128, bits: usize) -> impl Iterator<Item = u64> {
    (0..128 / bits).map(move |lane| (value >> (lane * bits)) as u64 & (u64::MAX >> (64 - bits)))
}

/// A NaN that is not the canonical one; `Some(true)` for the canonical one.
fn nan(lane: u64, bits: usize) -> Option<bool> {
    let (infinity, canonical) = if bits == 32 { (0x7f80_0000, 0x7fc0_0000) } else { (0x7ff << 52, 0x7ff8 << 48) };
    let magnitude = lane & (u64::MAX >> (65 - bits));
    (magnitude > infinity).then_some(lane == canonical)
}

/// The operation without its type.
fn operation(operator: &Operator) -> &str {
    operator.mnemonic.split_once('.').map_or(operator.mnemonic.as_str(), |(_, rest)| rest)
}

/// Does it compute floats.
fn makes_nans(operator: &Operator) -> bool {
    let moves = ["neg", "abs", "copysign", "pmin", "pmax", "const", "splat", "extract_lane", "replace_lane"];
    let compares = ["eq", "ne", "lt", "gt", "le", "ge"];
    let operation = operation(operator);
    lane_bits(operator).is_some()
        && operator.access == Access::None
        && !moves.contains(&operation)
        && !compares.contains(&operation)
        && !operation.starts_with("reinterpret")
}

/// What an operator that only moves bits must give, in as many bits as it has.
fn moved(operator: &Operator, operands: &[u128]) -> Option<u128> {
    let bits = lane_bits(operator);
    let all = match operator.mnemonic.split('.').next() {
        Some("f32") => 1 << 31,
        Some("f64") => 1 << 63,
        _ if bits == Some(32) => (0..4).fold(0_u128, |mask, lane| mask | 1 << (31 + 32 * lane)),
        _ => 1 << 63 | 1 << 127,
    };
    match (operation(operator), operands) {
        ("neg", [a]) if bits.is_some() => Some(a ^ all),
        ("abs", [a]) if bits.is_some() => Some(a & !all),
        ("copysign", [a, b]) => Some(a & !all | b & all),
        ("select", [a, b, which]) => Some(if *which as u32 == 0 { *b } else { *a }),
        ("load", [found]) if operator.mnemonic == "v128.load" => Some(*found),
        ("load", [found]) => Some(found & if bits == Some(32) { 0xffff_ffff } else { u128::from(u64::MAX) }),
        (name, [a]) if name.starts_with("reinterpret") => Some(*a),
        _ => None,
    }
    .filter(|_| bits.is_some() || !operator.mnemonic.starts_with('i') || operation(operator).starts_with("reinterpret"))
}

/// Checks all results of an operator.
pub(super) fn check(operator: &Operator, combinations: &[Vec<u128>], results: &[u8], figures: &mut Figures) {
    let name = &operator.text;
    for (operands, bytes) in combinations.iter().zip(results.chunks_exact(result_bytes(operator))) {
        let result = number(bytes);
        if let Some(bits) = lane_bits(operator).filter(|_| makes_nans(operator)) {
            for lane in lanes(result, bits) {
                match nan(lane, bits) {
                    Some(true) => figures.canonical += 1,
                    Some(false) => {
                        figures.differences.push(format!("{name}{operands:x?} gives the NaN {lane:#x}"));
                    }
                    None => {}
                }
            }
        }
        if let Some(expected) = moved(operator, operands) {
            figures.moved += 1;
            if expected != result {
                figures.differences.push(format!("{name}{operands:x?} gives {result:#x}, not {expected:#x}"));
            }
        }
        if let (Some(bits), "pmin" | "pmax", [a, b]) = (lane_bits(operator), operation(operator), operands.as_slice()) {
            figures.moved += 1;
            let mut both = lanes(result, bits).zip(lanes(*a, bits).zip(lanes(*b, bits)));
            if both.any(|(lane, (a, b))| lane != a && lane != b) {
                figures.differences.push(format!("{name}{operands:x?} gives {result:#x}, which is neither"));
            }
        }
    }
}
