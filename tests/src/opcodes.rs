//! One small module for each instruction of the node: what it executes is known, so that what it is charged can be.

use guest_interp::code::Op;

/// A module whose function `f` executes `op`, and how often it executes each instruction.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Text of the module.
    pub text: String,
    /// The instructions that run, markers included, in order.
    pub runs: Vec<Op>,
    /// Units of work of the one operator that has them.
    pub units: u64,
}

const MEMORY: &str = "(memory 1 10) (data $d \"0123456789abcdef0123456789abcdef\")";
const TABLES: &str =
    "(type $v (func)) (table $t 20 90 funcref) (elem $e func $g $g $g) (elem (i32.const 0) func $g) (func $g)";

/// Several lines of instructions and the instructions of them that run.
fn sample(body: &str, runs: &[Op], units: u64) -> Sample {
    let text = format!(
        "(module {MEMORY} {TABLES} (global $m (mut i32) (i32.const 5)) (func (export \"f\") (local $l i32) {body}))"
    );
    Sample { text, runs: [runs, &[Op::End]].concat(), units }
}

/// The sample of an instruction.
pub fn sample_of(op: Op) -> Sample {
    use Op::{Block, CallIndirect, Drop, End, I32Const, RefNull};
    let name = op.mnemonic();
    let two = |ty: Op| [ty, ty, op, Drop];
    match op {
        Op::Unreachable => Sample { runs: vec![op], ..sample("unreachable", &[], 0) },
        Op::Nop => sample("nop", &[op], 0),
        Op::Block => sample("block end", &[op, End], 0),
        Op::Loop => sample("loop end", &[op, End], 0),
        Op::If => sample("(if (i32.const 1) (then))", &[I32Const, op, End], 0),
        // The first arm runs into `else`, which goes past the `end`.
        Op::Else => sample("(if (i32.const 1) (then) (else))", &[I32Const, Op::If, op], 0),
        Op::End => sample("", &[], 0),
        Op::Br => sample("block br 0 end", &[Block, op], 0),
        Op::BrIf => sample("block i32.const 1 br_if 0 end", &[Block, I32Const, op], 0),
        Op::BrTable => sample("block i32.const 1 br_table 0 0 end", &[Block, I32Const, op], 0),
        Op::Return => Sample { runs: vec![op], ..sample("return", &[], 0) },
        Op::Call => sample("call $g", &[op, End], 0),
        Op::CallIndirect => sample("i32.const 0 call_indirect (type $v)", &[I32Const, op, End], 0),
        Op::ReturnCall => sample("return_call $g", &[op], 0),
        Op::ReturnCallIndirect => sample("i32.const 0 return_call_indirect (type $v)", &[I32Const, op], 0),
        Op::Drop => sample("i32.const 0 drop", &[I32Const, op], 0),
        Op::Select => {
            sample("i32.const 0 i32.const 0 i32.const 0 select drop", &[I32Const, I32Const, I32Const, op, Drop], 0)
        }
        Op::LocalGet => sample("local.get $l drop", &[op, Drop], 0),
        Op::LocalSet => sample("i32.const 0 local.set $l", &[I32Const, op], 0),
        Op::LocalTee => sample("i32.const 0 local.tee $l drop", &[I32Const, op, Drop], 0),
        Op::GlobalGet => sample("global.get $m drop", &[op, Drop], 0),
        Op::GlobalSet => sample("i32.const 0 global.set $m", &[I32Const, op], 0),
        Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const => sample(&format!("{name} 1 drop"), &[op, Drop], 0),
        Op::RefNull => sample("ref.null func drop", &[op, Drop], 0),
        Op::RefIsNull => sample("ref.null func ref.is_null drop", &[RefNull, op, Drop], 0),
        Op::RefFunc => sample("ref.func $g drop", &[op, Drop], 0),
        Op::MemorySize => sample("memory.size drop", &[op, Drop], 0),
        Op::MemoryGrow => sample("i32.const 3 memory.grow drop", &[I32Const, op, Drop], 3),
        Op::MemoryFill | Op::MemoryCopy => {
            sample(&format!("i32.const 8 i32.const 0 i32.const 100 {name}"), &[I32Const, I32Const, I32Const, op], 100)
        }
        Op::MemoryInit => {
            sample("i32.const 8 i32.const 0 i32.const 31 memory.init $d", &[I32Const, I32Const, I32Const, op], 31)
        }
        Op::DataDrop => sample("data.drop $d", &[op], 0),
        Op::TableGet => sample("i32.const 0 table.get $t drop", &[I32Const, op, Drop], 0),
        Op::TableSet => sample("i32.const 0 ref.null func table.set $t", &[I32Const, RefNull, op], 0),
        Op::TableSize => sample("table.size $t drop", &[op, Drop], 0),
        Op::TableGrow => sample("ref.null func i32.const 7 table.grow $t drop", &[RefNull, I32Const, op, Drop], 7),
        Op::TableFill => {
            sample("i32.const 1 ref.null func i32.const 9 table.fill $t", &[I32Const, RefNull, I32Const, op], 9)
        }
        Op::TableCopy => {
            sample("i32.const 1 i32.const 0 i32.const 9 table.copy $t $t", &[I32Const, I32Const, I32Const, op], 9)
        }
        Op::TableInit => {
            sample("i32.const 1 i32.const 0 i32.const 3 table.init $t $e", &[I32Const, I32Const, I32Const, op], 3)
        }
        Op::ElemDrop => sample("elem.drop $e", &[op], 0),
        _ => {
            let ty = operand_type(op);
            let constant = Op::from_mnemonic(&format!("{ty}.const")).unwrap_or(CallIndirect);
            match op.fixed_arity() {
                Some((1, 1)) if op.is_memory_access() => {
                    sample(&format!("i32.const 8 {name} drop"), &[I32Const, op, Drop], 0)
                }
                Some((1, 1)) => sample(&format!("{ty}.const 1 {name} drop"), &[constant, op, Drop], 0),
                Some((2, 1)) => sample(&format!("{ty}.const 1 {ty}.const 1 {name} drop"), &two(constant), 0),
                _ => sample(&format!("i32.const 8 {ty}.const 1 {name}"), &[I32Const, constant, op], 0),
            }
        }
    }
}

/// Type of the operands of a numeric instruction, or of the value that is stored.
fn operand_type(op: Op) -> &'static str {
    let name = op.mnemonic();
    // `i32.trunc_f64_s` takes an f64; `i64.extend8_s` and all others take their own type.
    let (own, rest) = name.split_once('.').unwrap_or((name, ""));
    let types = ["i32", "i64", "f32", "f64"];
    let other = types.iter().find(|ty| rest.contains(*ty)).or(types.iter().find(|ty| **ty == own));
    other.copied().unwrap_or("i32")
}
