//! Calls of other compiled functions, by name and through a table.

use stepmark_core::code::Instr;

use super::stack::Operand;
use super::{FuncEmitter, OwnLocal, at};
use crate::program::CALLED;
use crate::rules::Num;

impl FuncEmitter<'_> {
    pub(crate) fn call(&mut self, instr: &Instr) {
        let callee = self.program.companion_func(instr.imm as u32);
        self.arguments(instr);
        self.sink().call(callee);
        self.take_results(instr);
    }

    pub(crate) fn call_indirect(&mut self, index: u32, instr: &Instr) {
        let func = self.callee(index, instr);
        self.operands.pop();
        self.arguments(instr);
        let ty = self.program.companion_type(self.program.signature_of_type(instr.imm as u32));
        self.sink().local_get(func).call_indirect(CALLED, ty);
        self.take_results(instr);
    }

    /// The function that the topmost operand chooses from the table, in a local; leaves where that is none of those that can
    /// be called here as what is wanted.
    fn callee(&mut self, index: u32, instr: &Instr) -> u32 {
        let place = self.program.layout.tables[instr.aux as usize];
        let (func, element) = (self.own(OwnLocal::Word), self.own(OwnLocal::Wide));
        let chosen = self.operands.peek(0);
        self.get(chosen);
        self.sink().i32_const(0).i32_load(at(place.size)).i32_ge_u();
        self.leave_if(index);
        self.get(chosen);
        self.sink().i32_const(3).i32_shl().i64_load(at(place.elements));
        // Of this instance, and not null: less than the number of functions once its base is subtracted.
        let base = 1 + (u64::from(self.program.layout.instance) << 32);
        let count = self.program.module.func_count();
        self.sink().i64_const(base as i64).i64_sub().local_tee(element).i64_const(count.into()).i64_ge_u();
        self.leave_if(index);
        let wanted = self.program.signature_of_type(instr.imm as u32);
        let signatures = self.program.layout.signatures;
        self.sink().local_get(element).i32_wrap_i64().local_tee(func);
        self.sink().i32_const(2).i32_shl().i32_load(at(signatures)).i32_const(wanted as i32).i32_ne();
        self.leave_if(index);
        func
    }

    /// Takes the arguments, and puts them and what a frame is given beside them on the companion's stack.
    fn arguments(&mut self, instr: &Instr) {
        let count = self.program.called_type(instr).params.len() as u32;
        self.refine_top(count);
        let waiting = self.operands.height() - count;
        for height in waiting..waiting + count {
            self.get(self.operands.at(height));
        }
        self.operands.truncate(waiting);
        let (sp, gas, frame) = (self.sp(), self.gas(), self.compiled.frame);
        self.sink().local_get(sp).i32_const(frame as i32).i32_add().local_get(gas);
    }

    /// Makes what a call leaves on the companion's stack the topmost operands.
    fn take_results(&mut self, instr: &Instr) {
        let gas = self.gas();
        self.sink().local_set(gas);
        let results = Num::list(&self.program.called_type(instr).results).expect("BUG: the callee is compiled");
        let waiting = self.operands.height();
        for (height, ty) in (waiting..).zip(&results).collect::<Vec<_>>().into_iter().rev() {
            let temporary = self.temporary(height, *ty);
            self.sink().local_set(temporary);
        }
        results.iter().for_each(|ty| self.operands.push(Operand::Temporary(*ty)));
    }

    /// What comes after a call, whether compiled code has made it or the function is entered here.
    pub(crate) fn after_call(&mut self, index: u32, instr: &Instr) {
        if self.is_target(index) {
            self.arrive_after(index);
        }
        let results = self.program.called_type(instr).results.len() as u32;
        self.leave_after_call(index + 1, self.operands.height() - results);
        self.charge(index + 1);
    }
}
