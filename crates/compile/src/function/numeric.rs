//! Numeric operators: their code is the program's own. What may trap is tested before it, and left.

use stepmark_core::code::{Instr, Op};
use stepmark_core::numeric::{F32_NAN, F64_NAN};

use super::FuncEmitter;
use super::stack::{Operand, PlacedOperand};
use crate::rules::{Danger, Num};
use crate::source;

impl FuncEmitter<'_> {
    pub(crate) fn numeric(&mut self, instr: &Instr, operands: usize, result: Num) {
        if sees_bits(instr.op) {
            self.refine_top(operands as u32);
        }
        let first = self.operands.height() - operands as u32;
        for height in first..first + operands as u32 {
            self.get(self.operands.at(height));
        }
        source::copy_operator(self.program.module, instr, &mut self.code);
        self.operands.truncate(first);
        self.push_result(result);
    }

    /// Makes a NaN in a temporary the canonical one.
    pub(crate) fn canonical(&mut self, height: u32, ty: Num) {
        let temporary = self.temporary(height, ty);
        self.sink().local_get(temporary).local_get(temporary);
        match ty {
            Num::F32 => self.sink().f32_ne(),
            _ => self.sink().f64_ne(),
        };
        self.open_if();
        self.constant(if ty == Num::F32 { F32_NAN.into() } else { F64_NAN }, ty);
        self.sink().local_set(temporary);
        self.close();
    }

    /// Leaves before an instruction that would trap, with the operands that it has.
    pub(crate) fn test_danger(&mut self, index: u32, danger: Danger) {
        match danger {
            Danger::None => return,
            Danger::Zero | Danger::ZeroOrOverflow => {
                if !self.test_divisor(danger) {
                    return;
                }
            }
            Danger::Range { of, low, low_included, high } => self.test_range(of, low, low_included, high),
        }
        self.leave_if(index);
    }

    /// Whether a division may trap, as a value on the companion's stack; `false` if it is known that it does not.
    fn test_divisor(&mut self, danger: Danger) -> bool {
        let (divisor, dividend) = (self.operands.peek(0), self.operands.peek(1));
        if let Operand::Constant(bits, ty) = divisor.1 {
            let minus_one = if ty.is_wide() { u64::MAX } else { u32::MAX.into() };
            if bits != 0 && (bits != minus_one || danger == Danger::Zero) {
                return false;
            }
        }
        let wide = divisor.1.ty().is_wide();
        self.get(divisor);
        match wide {
            true => self.sink().i64_eqz(),
            false => self.sink().i32_eqz(),
        };
        if danger == Danger::ZeroOrOverflow {
            let least = if wide { i64::MIN } else { i32::MIN.into() };
            self.is_equal(dividend, least, wide);
            self.is_equal(divisor, -1, wide);
            self.sink().i32_and().i32_or();
        }
        true
    }

    fn is_equal(&mut self, operand: PlacedOperand, number: i64, wide: bool) {
        self.get(operand);
        let mut sink = self.sink();
        match wide {
            true => sink.i64_const(number).i64_eq(),
            false => sink.i32_const(number as i32).i32_eq(),
        };
    }

    /// Whether the topmost operand is outside the range, or no number.
    fn test_range(&mut self, of: Num, low: f64, low_included: bool, high: f64) {
        let operand = self.operands.peek(0);
        let bits = |bound: f64| if of == Num::F32 { (bound as f32).to_bits().into() } else { bound.to_bits() };
        self.get(operand);
        self.constant(bits(low), of);
        match (of, low_included) {
            (Num::F32, true) => self.sink().f32_ge(),
            (Num::F32, false) => self.sink().f32_gt(),
            (_, true) => self.sink().f64_ge(),
            (_, false) => self.sink().f64_gt(),
        };
        self.get(operand);
        self.constant(bits(high), of);
        match of {
            Num::F32 => self.sink().f32_lt(),
            _ => self.sink().f64_lt(),
        };
        self.sink().i32_and().i32_eqz();
    }
}

/// Whether what an operator gives depends on the bits of a NaN: those that move bits. To all others a NaN is a NaN.
fn sees_bits(op: Op) -> bool {
    use Op::*;
    matches!(op, F32Abs | F32Neg | F32Copysign | F64Abs | F64Neg | F64Copysign | I32ReinterpretF32 | I64ReinterpretF64)
}
