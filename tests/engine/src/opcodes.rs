//! One small module for each instruction of the node: what it executes is known, so that what it is charged can be.

use stepmark_core::code::Op;

/// A module whose function `f` executes `op`, and how often it executes each instruction.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Text of the module.
    pub text: String,
    /// The instructions of the module's function, with a local `$l` of type i32.
    pub body: String,
    /// The instructions that run, markers included, in order.
    pub runs: Vec<Op>,
    /// Units of work of the one operator that has them.
    pub units: u64,
}

/// What samples use: a memory, a table, a global, a function, a tag, segments.
pub const PARTS: &str = "(memory 1 10) (data $d \"0123456789abcdef0123456789abcdef\") \
    (type $v (func)) (tag $x) (table $t 20 90 funcref) (elem $e func $g $g $g) (elem (i32.const 0) func $g) (func $g) \
    (global $m (mut i32) (i32.const 5))";

/// Several lines of instructions and the instructions of them that run.
fn sample(body: &str, runs: &[Op], units: u64) -> Sample {
    let text = format!("(module {PARTS} (func (export \"f\") (local $l i32) {body}))");
    Sample { text, body: body.to_owned(), runs: [runs, &[Op::End]].concat(), units }
}

/// The sample of an instruction.
pub fn sample_of(op: Op) -> Sample {
    use Op::{Block, CallIndirect, Drop, End, I32Const, RefFunc, RefNull, TryTable};
    let name = op.mnemonic();
    if is_vector(op) {
        return vector_sample(op);
    }
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
        Op::CallRef => sample("ref.func $g call_ref $v", &[RefFunc, op, End], 0),
        Op::ReturnCallRef => sample("ref.func $g return_call_ref $v", &[RefFunc, op], 0),
        Op::BrOnNull => sample("block ref.null $v br_on_null 0 drop end", &[Block, RefNull, op], 0),
        Op::BrOnNonNull => sample(
            "block (result (ref $v)) ref.func $g br_on_non_null 0 unreachable end drop",
            &[Block, RefFunc, op, Drop],
            0,
        ),
        Op::RefAsNonNull => sample("ref.func $g ref.as_non_null drop", &[RefFunc, op, Drop], 0),
        Op::TryTable => sample("try_table end", &[op, End], 0),
        Op::Throw => sample("block try_table (catch $x 0) throw $x end end", &[Block, TryTable, op], 1),
        // The first is caught with a reference and thrown again; each looks at one clause.
        Op::ThrowRef => sample(
            "block $done
                block $again (result exnref) try_table (catch_all_ref $again) throw $x end unreachable end
                try_table (param exnref) (catch_all $done) throw_ref end
            end",
            &[Block, Block, TryTable, Op::Throw, TryTable, op],
            2,
        ),
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

/// Is it an instruction on vectors: of `v128`, or of a shape as `i8x16`.
fn is_vector(op: Op) -> bool {
    let kind = op.mnemonic().split_once('.').map_or("", |(kind, _)| kind);
    kind == "v128" || kind.contains('x')
}

/// The sample of an instruction on vectors, by the slots that it takes and gives.
fn vector_sample(op: Op) -> Sample {
    use Op::{Drop, I32Const, V128Const};
    let name = op.mnemonic();
    // Normal numbers as floats of both widths.
    let vector = ("v128.const f32x4 1.5 2.5 3.5 4.5", V128Const);
    let address = ("i32.const 8", I32Const);
    let scalar = match name.split_once('x').map(|(lane, _)| lane) {
        Some("i64") => ("i64.const 1", Op::I64Const),
        Some("f32") => ("f32.const 1", Op::F32Const),
        Some("f64") => ("f64.const 1", Op::F64Const),
        _ => ("i32.const 1", I32Const),
    };
    let is_access = op.is_memory_access();
    let (taken, given) = op.fixed_arity().unwrap_or((0, 2));
    let operands = match taken {
        0 => vec![],
        1 if is_access => vec![address],
        1 => vec![scalar],
        2 => vec![vector],
        3 if is_access => vec![address, vector],
        3 if name.ends_with(".replace_lane") => vec![vector, scalar],
        3 => vec![vector, ("i32.const 3", I32Const)],
        4 => vec![vector, vector],
        _ => vec![vector, vector, vector],
    };
    let immediates = match name {
        "v128.const" => "i64x2 1 2",
        "i8x16.shuffle" => "0 31 2 29 4 27 6 25 8 23 10 21 12 19 14 17",
        _ if name.ends_with("_lane") || name.contains("extract_lane") => "1",
        _ => "",
    };
    let constants: String = operands.iter().map(|(text, _)| format!("{text} ")).collect();
    let drop = if given > 0 { "drop" } else { "" };
    let mut runs: Vec<Op> = operands.iter().map(|(_, op)| *op).collect();
    runs.push(op);
    runs.extend((given > 0).then_some(Drop));
    sample(&format!("{constants}{name} {immediates} {drop}"), &runs, 0)
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
