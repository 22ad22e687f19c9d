//! A loop over the sample of each instruction.

use stepmark_core::code::Op;

use super::Row;
use crate::opcodes::{PARTS, sample_of};

/// How often a sample stands in the loop.
const COPIES: usize = 8;

pub(super) fn without_row() -> Vec<(&'static str, &'static str)> {
    vec![("unreachable", "ends the program")]
}

/// State of the rows whose floats are subnormal: processors that finish those in microcode take so much longer for them that
/// they have a bound of their own (docs/gas.md).
pub const SUBNORMAL: &str = "of subnormal floats";

/// Instructions that processors finish in microcode where an operand or the result is subnormal, and operands that make it so.
const OF_SUBNORMALS: [(&str, &str); 16] = [
    ("f32.mul", "f32.const 1e-20 f32.const 1e-20"),
    ("f64.mul", "f64.const 1e-160 f64.const 1e-160"),
    ("f32.div", "f32.const 1e-30 f32.const 1e10"),
    ("f64.div", "f64.const 1e-300 f64.const 1e15"),
    ("f32.sqrt", "f32.const 1e-40"),
    ("f64.sqrt", "f64.const 1e-310"),
    ("f32.demote_f64", "f64.const 1e-40"),
    ("f64.promote_f32", "f32.const 1e-40"),
    ("f32x4.mul", "v128.const f32x4 1e-20 1e-20 1e-20 1e-20 v128.const f32x4 1e-20 1e-20 1e-20 1e-20"),
    ("f64x2.mul", "v128.const f64x2 1e-160 1e-160 v128.const f64x2 1e-160 1e-160"),
    ("f32x4.div", "v128.const f32x4 1e-30 1e-30 1e-30 1e-30 v128.const f32x4 1e10 1e10 1e10 1e10"),
    ("f64x2.div", "v128.const f64x2 1e-300 1e-300 v128.const f64x2 1e15 1e15"),
    ("f32x4.sqrt", "v128.const f32x4 1e-40 1e-40 1e-40 1e-40"),
    ("f64x2.sqrt", "v128.const f64x2 1e-310 1e-310"),
    ("f32x4.demote_f64x2_zero", "v128.const f64x2 1e-40 1e-40"),
    ("f64x2.promote_low_f32x4", "v128.const f32x4 1e-40 1e-40 1e-40 1e-40"),
];

pub(super) fn rows() -> Vec<Row> {
    let subnormal = OF_SUBNORMALS
        .iter()
        .map(|(op, operands)| Row::new(op, SUBNORMAL, &looped("", &format!("{operands} {op} drop ").repeat(COPIES))));
    plain().into_iter().chain(subnormal).collect()
}

fn plain() -> Vec<Row> {
    let reasons = without_row();
    let with_row = Op::ALL.iter().filter(|op| reasons.iter().all(|(name, _)| *name != op.mnemonic()));
    with_row.map(|op| row(*op)).collect()
}

fn row(op: Op) -> Row {
    let body = sample_of(op).body;
    let text = match op {
        // These leave the function that they are in.
        Op::Return | Op::ReturnCall | Op::ReturnCallIndirect | Op::ReturnCallRef => {
            looped(&format!("(func $sample {body})"), &"(call $sample) ".repeat(COPIES))
        }
        _ => looped("", &format!("{body} ").repeat(COPIES)),
    };
    Row::new(op.mnemonic(), "plain", &text)
}

/// A module with what samples use, `more`, and a function that runs `body` so often as its argument says.
fn looped(more: &str, body: &str) -> String {
    format!(
        "(module {PARTS} {more} (func (export \"f\") (param $n i32) (local $l i32)
            (loop $next {body} (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"
    )
}
