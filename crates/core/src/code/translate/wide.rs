//! Values of two slots, and the instructions that are executed out of line: vectors, and accesses of memories that
//! instructions do not reach directly.

use super::{Place, Translator};
use crate::code::Outline;
use crate::code::{Inst, Instr, Op};

impl Translator<'_> {
    /// Moves a vector; `false` if the instruction is none that does.
    pub(super) fn wide_variable(&mut self, instr: &Instr) -> bool {
        let first = instr.imm as u16;
        match instr.op {
            Op::LocalGet => self.push_wide_local(first),
            Op::LocalSet => self.set_wide_local(first),
            Op::LocalTee => {
                self.set_wide_local(first);
                self.push_wide_local(first);
            }
            Op::Drop => {
                self.pop();
                self.pop();
            }
            Op::Select => self.select_wide(),
            Op::GlobalGet => {
                let global = self.environment.globals[instr.imm as usize];
                self.push_result(|d| Inst::GlobalGet { d, global });
                self.push_result(|d| Inst::GlobalGet { d, global: global + 1 });
                self.last_result = None;
            }
            Op::GlobalSet => {
                let global = self.environment.globals[instr.imm as usize];
                let a = self.pop_wide();
                self.emit(Inst::GlobalSet { a, global });
                self.emit(Inst::GlobalSet { a: a + 1, global: global + 1 });
            }
            _ => return false,
        }
        true
    }

    fn push_wide_local(&mut self, first: u16) {
        self.stack.push(Place::Local(first));
        self.stack.push(Place::Local(first + 1));
    }

    fn set_wide_local(&mut self, first: u16) {
        let (high, _) = self.pop();
        let (low, height) = self.pop();
        let source = self.slot(height);
        let computed = low == Place::Slot && high == Place::Slot && self.last_result == Some(source);
        let released = self.release_local(first) | self.release_local(first + 1);
        if computed && !released && self.redirect_wide(first) {
            return;
        }
        for (half, place) in [low, high].into_iter().enumerate() {
            let (d, a) = (first + half as u16, source + half as u16);
            match place {
                Place::Slot => self.copy(d, a),
                Place::Local(same) if same == d => {}
                place => self.emit_place(d, place),
            }
        }
    }

    /// Lets the last instruction write its result of two slots to `d`.
    fn redirect_wide(&mut self, d: u16) -> bool {
        let last = self.insts.get_mut(self.last_at);
        let Some(Inst::Outline { d: result, .. } | Inst::V128Load { d: result, .. }) = last else { return false };
        *result = d;
        self.last_result = None;
        true
    }

    /// Where a popped value of two slots can be read.
    fn pop_wide(&mut self) -> u16 {
        let (high, high_at) = self.pop();
        let (low, low_at) = self.pop();
        match (low, high) {
            (Place::Local(first), Place::Local(second)) if second == first + 1 => first,
            _ => {
                for (place, height) in [(low, low_at), (high, high_at)] {
                    self.emit_place(self.slot(height), place);
                }
                self.slot(low_at)
            }
        }
    }

    fn select_wide(&mut self) {
        let condition = self.pop();
        let c = self.register(condition);
        let b = self.pop_wide();
        let a = self.pop_wide();
        for half in 0..2 {
            let d = self.slot(self.stack.len());
            self.push_words([Inst::Select { d, a: a + half, b: b + half }, Inst::Wide { low: 0, high: c }]);
        }
        self.last_result = None;
    }

    /// A load or store of a whole vector of the first memory, near its address; `false` if the instruction is none.
    pub(super) fn vector_access(&mut self, instr: &Instr) -> bool {
        let Ok(off) = u16::try_from(instr.imm) else { return false };
        if !instr.op.is_memory_access() || !self.environment.is_reached(instr) {
            return false;
        }
        match instr.op {
            Op::V128Load => {
                let operand = self.pop();
                let a = self.address(operand);
                self.push_result(|d| Inst::V128Load { d, a, off });
                self.stack.push(Place::Slot);
            }
            Op::V128Store => {
                let b = self.pop_wide();
                let operand = self.pop();
                let a = self.address(operand);
                self.emit(Inst::V128Store { a, b, off });
            }
            _ => return false,
        }
        true
    }

    /// An instruction that both engines execute by one function.
    pub(super) fn outline(&mut self, instr: &Instr) {
        let what = Outline::new(instr, self.body, self.environment.memories).expect("BUG: it has a shape");
        let mut operands = [0; 3];
        for (operand, slots) in operands.iter_mut().zip(what.shape.operands).rev() {
            *operand = match slots {
                0 => 0,
                1 => {
                    let popped = self.pop();
                    self.register(popped)
                }
                _ => self.pop_wide(),
            };
        }
        let [a, b, c] = operands;
        let number = self.environment.first_outline + self.outlines.len() as u32;
        let words = [Inst::Outline { d: self.slot(self.stack.len()), a, b }, Inst::Wide { low: number, high: c }];
        match what.shape.result {
            0 => self.emit_words(words),
            1 => self.push_words(words),
            _ => {
                self.push_words(words);
                self.stack.push(Place::Slot);
            }
        }
        self.outlines.push(what);
    }
}
