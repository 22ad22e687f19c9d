//! Numeric operators: their code is the program's own. What may trap is tested before it, and left.

use stepmark_core::code::Instr;
use stepmark_core::numeric::{F32_NAN, F64_NAN};

use crate::function::FuncEmitter;
use crate::rules::{Danger, Num};
use crate::source;
use crate::stack::{Operand, PlacedOperand};

impl FuncEmitter<'_> {
    pub(crate) fn numeric(&mut self, instr: &Instr, operands: usize, result: Num) {
        let first = self.operands.height() - operands as u32;
        for height in first..first + operands as u32 {
            self.get(self.operands.at(height));
        }
        source::copy_operator(self.program.module, instr, &mut self.code);
        self.operands.truncate(first);
        self.push_result(result);
    }

    /// Makes any NaN that the topmost operand is the canonical one.
    pub(crate) fn canonical(&mut self, ty: Num) {
        let (height, _) = self.operands.peek(0);
        let temporary = self.temporary(height, ty);
        self.sink().local_get(temporary).local_get(temporary);
        match ty {
            Num::F32 => self.sink().f32_ne(),
            _ => self.sink().f64_ne(),
        };
        self.open_if();
        let bits = if ty == Num::F32 { F32_NAN.into() } else { F64_NAN };
        self.constant(bits, ty);
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
        self.open_if();
        self.leave_before(index);
        self.close();
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
