//! A loop over the sample of each instruction.

use stepmark_core::code::Op;

use super::Row;
use crate::opcodes::{PARTS, sample_of};

/// How often a sample stands in the loop.
const COPIES: usize = 8;

pub(super) fn without_row() -> Vec<(&'static str, &'static str)> {
    vec![("unreachable", "ends the program")]
}

pub(super) fn rows() -> Vec<Row> {
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
