//! What the emitter does with each instruction, by what its name says: types of what it leaves, what can go wrong in it.

use stepmark_core::code::Op;
use stepmark_core::module::ValType;

/// A type of value that compiled code works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Num {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Single-precision float.
    F32,
    /// Double-precision float.
    F64,
}

impl Num {
    /// The type of this name.
    fn named(name: &str) -> Option<Num> {
        Some(match name {
            "i32" => Num::I32,
            "i64" => Num::I64,
            "f32" => Num::F32,
            "f64" => Num::F64,
            _ => return None,
        })
    }

    /// The same as a type of the source program, if compiled code works with that.
    pub(crate) fn of(ty: ValType) -> Option<Num> {
        Some(match ty {
            ValType::I32 => Num::I32,
            ValType::I64 => Num::I64,
            ValType::F32 => Num::F32,
            ValType::F64 => Num::F64,
            ValType::V128 | ValType::Ref(_) => return None,
        })
    }

    /// These as types of the source program, if compiled code works with all of them.
    pub(crate) fn list(types: &[ValType]) -> Option<Vec<Num>> {
        types.iter().map(|ty| Num::of(*ty)).collect()
    }

    /// The same in the companion.
    pub(crate) fn encoded(self) -> wasm_encoder::ValType {
        match self {
            Num::I32 => wasm_encoder::ValType::I32,
            Num::I64 => wasm_encoder::ValType::I64,
            Num::F32 => wasm_encoder::ValType::F32,
            Num::F64 => wasm_encoder::ValType::F64,
        }
    }

    /// Whether a value has 64 bits, not 32.
    pub fn is_wide(self) -> bool {
        matches!(self, Num::I64 | Num::F64)
    }

    /// Whether it is a float.
    pub fn is_float(self) -> bool {
        matches!(self, Num::F32 | Num::F64)
    }
}

/// What a numeric instruction may trap at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Danger {
    /// Nothing.
    None,
    /// A divisor of 0.
    Zero,
    /// A divisor of 0, or the least number by -1.
    ZeroOrOverflow,
    /// A float outside `low..high`; the lower bound belongs to it if `low_included`.
    Range { of: Num, low: f64, low_included: bool, high: f64 },
}

/// What an instruction is to the emitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// Takes so many operands and leaves a value of this type; its code is copied.
    Numeric { operands: usize, result: Num, danger: Danger, may_be_nan: bool },
    /// Reads memory.
    Load { bytes: u32, result: Num },
    /// Writes memory.
    Store { bytes: u32 },
    /// A constant.
    Constant(Num),
    /// Something that the emitter knows by its name.
    Special,
    /// Nothing is emitted for it: compiled code leaves before it.
    Unknown,
}

/// The rules of all instructions.
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    pub(crate) fn new() -> Rules {
        Rules(Op::ALL.iter().map(|op| rule(*op)).collect())
    }

    pub(crate) fn of(&self, op: Op) -> Rule {
        self.0[op as usize]
    }
}

fn rule(op: Op) -> Rule {
    if is_special(op) {
        return Rule::Special;
    }
    let Some((name, action)) = op.mnemonic().split_once('.') else { return Rule::Unknown };
    let Some(ty) = Num::named(name).filter(|_| !op.is_vector()) else { return Rule::Unknown };
    if action == "const" {
        return Rule::Constant(ty);
    }
    if op.is_memory_access() {
        let bytes = access_bytes(action, ty);
        return if action.starts_with("load") { Rule::Load { bytes, result: ty } } else { Rule::Store { bytes } };
    }
    let Some((operands, 1)) = op.fixed_arity() else { return Rule::Unknown };
    let result = if is_test(action) { Num::I32 } else { ty };
    let may_be_nan = result.is_float() && is_arithmetic(action);
    Rule::Numeric { operands: operands as usize, result, danger: danger(action, ty), may_be_nan }
}

fn is_special(op: Op) -> bool {
    use Op::*;
    matches!(
        op,
        Nop | Block
            | Loop
            | If
            | Else
            | End
            | Br
            | BrIf
            | BrTable
            | Return
            | Call
            | CallIndirect
            | Drop
            | Select
            | LocalGet
    ) || matches!(op, LocalSet | LocalTee | GlobalGet | GlobalSet | MemorySize | MemoryFill | MemoryCopy)
}

/// Bytes that `load16_s`, `store8`, `load` and so on access.
fn access_bytes(action: &str, ty: Num) -> u32 {
    let width = action.trim_start_matches("load").trim_start_matches("store");
    match width.trim_end_matches("_s").trim_end_matches("_u") {
        "8" => 1,
        "16" => 2,
        "32" => 4,
        _ if ty.is_wide() => 8,
        _ => 4,
    }
}

/// Whether an operator gives 0 or 1, whatever it is of.
fn is_test(action: &str) -> bool {
    let name = action.trim_end_matches("_s").trim_end_matches("_u");
    matches!(name, "eqz" | "eq" | "ne" | "lt" | "gt" | "le" | "ge")
}

/// Whether a float operator may give a NaN that it makes itself: the others move bits or convert integers.
fn is_arithmetic(action: &str) -> bool {
    let rounding = matches!(action, "ceil" | "floor" | "trunc" | "nearest" | "sqrt");
    rounding || matches!(action, "add" | "sub" | "mul" | "div" | "min" | "max" | "demote_f64" | "promote_f32")
}

fn danger(action: &str, ty: Num) -> Danger {
    match action {
        "div_s" => Danger::ZeroOrOverflow,
        "div_u" | "rem_s" | "rem_u" => Danger::Zero,
        "trunc_f32_s" | "trunc_f32_u" | "trunc_f64_s" | "trunc_f64_u" => {
            let of = if action.contains("f32") { Num::F32 } else { Num::F64 };
            range(of, ty, action.ends_with("_s"))
        }
        _ => Danger::None,
    }
}

/// Which floats `of` can be truncated to an integer `to`: those whose integral part is one.
fn range(of: Num, to: Num, signed: bool) -> Danger {
    let bits = if to.is_wide() { 64 } else { 32 };
    if !signed {
        return Danger::Range { of, low: -1.0, low_included: false, high: 2f64.powi(bits) };
    }
    let high = 2f64.powi(bits - 1);
    // One less than the least integer is a float only if that has 32 bits and the float 64: else the next float is far off.
    match (of, to) {
        (Num::F64, Num::I32) => Danger::Range { of, low: -high - 1.0, low_included: false, high },
        _ => Danger::Range { of, low: -high, low_included: true, high },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_is_known_by_its_name() {
        let rules = Rules::new();
        let numeric = |operands, result, danger, may_be_nan| Rule::Numeric { operands, result, danger, may_be_nan };
        let cases = [
            (Op::I64Eqz, numeric(1, Num::I32, Danger::None, false)),
            (Op::F64Lt, numeric(2, Num::I32, Danger::None, false)),
            (Op::I64GeU, numeric(2, Num::I32, Danger::None, false)),
            (Op::F32Neg, numeric(1, Num::F32, Danger::None, false)),
            (Op::F32DemoteF64, numeric(1, Num::F32, Danger::None, true)),
            (Op::F64Trunc, numeric(1, Num::F64, Danger::None, true)),
            (Op::F64ConvertI32S, numeric(1, Num::F64, Danger::None, false)),
            (Op::I64DivS, numeric(2, Num::I64, Danger::ZeroOrOverflow, false)),
            (Op::I32TruncSatF32U, numeric(1, Num::I32, Danger::None, false)),
            (Op::I64Load16S, Rule::Load { bytes: 2, result: Num::I64 }),
            (Op::F32Load, Rule::Load { bytes: 4, result: Num::F32 }),
            (Op::I64Store32, Rule::Store { bytes: 4 }),
            (Op::F64Store, Rule::Store { bytes: 8 }),
            (Op::F32Const, Rule::Constant(Num::F32)),
            (Op::MemoryGrow, Rule::Unknown),
            (Op::I32x4Add, Rule::Unknown),
            (Op::I32x4ExtractLane, Rule::Unknown),
            (Op::V128Load, Rule::Unknown),
        ];
        for (op, expected) in cases {
            assert_eq!(rules.of(op), expected, "{}", op.mnemonic());
        }
    }
}
