//! How compiled code comes and goes. It compares gas at a function's entry, at the head of a loop and after a call, and charges
//! where a run of instructions begins. It can be left before any instruction: the operands are stored to the frame there,
//! the rest at one place at the end of the function, which returns [`LEFT`]; callers see that and do likewise.

use wasm_encoder::BlockType;

use super::stack::{Operand, PlacedOperand};
use super::{FuncEmitter, OwnLocal, at};
use crate::layout::slot_offset;
use crate::rules::Num;
use crate::site::{LeaveSite, OperandPlace};

/// The gas that a function returns when its frame has been left; what it had left is in memory.
pub const LEFT: i64 = i64::MIN;

impl FuncEmitter<'_> {
    /// What comes before the first instruction. The locals that were set to zero are paid for by whoever has called, who has
    /// seen that it can: nothing else has been charged when the first comparison is made.
    pub(crate) fn enter(&mut self) {
        let zeroed = self.program.zeroed_cost(self.func);
        let (sp, gas) = (self.sp(), self.gas());
        let (limit, need) = (self.program.layout.frame_limit, zeroed + self.costs.need(0));
        if self.compiled.written_through {
            self.store_locals();
        }
        self.sink().local_get(sp).i32_const(limit as i32).i32_gt_u();
        self.sink().local_get(gas).i64_const(need).i64_lt_s().i32_or();
        self.open_if();
        self.leave_at(0, -zeroed);
        self.close();
        self.subtract_gas(zeroed + self.costs.rest(0));
        self.read_memory_size();
    }

    /// Charges the run that begins with an instruction.
    pub(crate) fn charge(&mut self, index: u32) {
        self.subtract_gas(self.costs.rest(index));
    }

    fn subtract_gas(&mut self, cost: i64) {
        if cost != 0 {
            let gas = self.gas();
            self.sink().local_get(gas).i64_const(cost).i64_sub().local_set(gas);
        }
    }

    /// Leaves before an instruction if the dearest way from there to the next comparison cannot be paid.
    pub(crate) fn compare_gas(&mut self, index: u32) {
        let (gas, need) = (self.gas(), self.costs.need(index));
        if need > 0 {
            self.sink().local_get(gas).i64_const(need).i64_lt_s();
            self.open_if();
            self.leave_at(index, 0);
            self.close();
        }
    }

    /// Leaves before an instruction of a run that has been charged.
    pub(crate) fn leave_before(&mut self, index: u32) {
        self.leave_at(index, self.costs.rest(index));
    }

    /// The same if the value on the companion's stack is not 0.
    pub(crate) fn leave_if(&mut self, index: u32) {
        self.open_if();
        self.leave_before(index);
        self.close();
    }

    pub(crate) fn leave_at(&mut self, index: u32, rest: i64) {
        let height = self.operands.height();
        self.store_operands(height);
        let site = self.add_site(index, rest, height);
        self.sink().i32_const(site as i32);
        self.go_to_exit();
    }

    /// After a call whose results are the topmost operands, and before the next instruction: leaves if what was called has left,
    /// or if the dearest way from here to the next comparison cannot be paid. `waiting` are the operands below the arguments.
    pub(crate) fn leave_after_call(&mut self, next: u32, waiting: u32) {
        let (gas, need) = (self.gas(), self.costs.need(next));
        self.sink().local_get(gas).i64_const(need.max(0)).i64_lt_s();
        self.open_if();
        // Results that are not there are stored too: the first of the two sites does not name them.
        self.store_operands(self.operands.height());
        let site = self.add_site(next, 0, waiting);
        self.add_site(next, 0, self.operands.height());
        self.sink().local_get(gas).i64_const(0).i64_ge_s().i32_const(site as i32).i32_add();
        self.go_to_exit();
        self.close();
    }

    /// Goes to the exit with the number of the site on the companion's stack.
    fn go_to_exit(&mut self) {
        let site = self.own(OwnLocal::Site);
        let label = self.nest - 1;
        self.sink().local_set(site).br(label);
    }

    fn store_operands(&mut self, height: u32) {
        let operands: Vec<PlacedOperand> = self.operands.below(height).collect();
        let (sp, locals) = (self.sp(), self.compiled.locals.len() as u32);
        for (height, operand) in operands {
            if let Operand::Temporary(ty) | Operand::Raw(ty) = operand {
                self.sink().local_get(sp);
                self.get((height, operand));
                self.store_value(ty, slot_offset(locals + height));
            }
        }
    }

    /// Stores the value on the companion's stack at an offset from the address below it.
    pub(crate) fn store_value(&mut self, ty: Num, offset: u32) {
        let mut sink = self.sink();
        match ty {
            Num::I32 => sink.i32_store(at(offset)),
            Num::I64 => sink.i64_store(at(offset)),
            Num::F32 => sink.f32_store(at(offset)),
            Num::F64 => sink.f64_store(at(offset)),
        };
    }

    /// A site at which the operands below `height` are there; its number.
    fn add_site(&mut self, index: u32, rest: i64, height: u32) -> u32 {
        let place = |(_, operand)| match operand {
            Operand::Temporary(ty) => OperandPlace::Slot(ty),
            Operand::Raw(ty) => OperandPlace::Made(ty),
            Operand::Local(local, _) => OperandPlace::Local(local),
            Operand::Constant(bits, _) => OperandPlace::Constant(bits),
        };
        let operands = self.operands.below(height).map(place).collect();
        let offset = self.body.instrs[index as usize].offset;
        let number = self.sites.len() as u32;
        self.sites.push(LeaveSite { func: self.func, offset, rest, operands });
        number
    }

    /// Stores all locals to the frame.
    fn store_locals(&mut self) {
        let sp = self.sp();
        for (slot, ty) in (0..).zip(&self.compiled.locals) {
            match ty {
                Some(ty) => self.store_local(slot, *ty),
                // What was there before stays.
                None if self.points.is_some() => {}
                None => {
                    self.sink().local_get(sp).i64_const(0).i64_store(at(slot_offset(slot)));
                }
            }
        }
    }

    /// Stores a local to the frame.
    pub(crate) fn store_local(&mut self, slot: u32, ty: Num) {
        let (sp, place) = (self.sp(), self.local(slot));
        self.sink().local_get(sp).local_get(place);
        self.store_value(ty, slot_offset(slot));
    }

    /// The end of the function, where it is left.
    pub(crate) fn exit(&mut self) {
        let (sp, gas, site) = (self.sp(), self.gas(), self.own(OwnLocal::Site));
        let layout = self.program.layout;
        // Only the innermost frame has gas to tell of.
        self.sink().local_get(gas).i64_const(0).i64_ge_s().if_(BlockType::Empty);
        self.sink().i32_const(0).local_get(gas).i64_store(at(layout.gas));
        self.sink().i32_const(0).local_get(sp).i32_store(at(layout.innermost)).end();
        self.sink().local_get(sp).local_get(site).i32_store(at(0));
        if !self.compiled.written_through {
            self.store_locals();
        }
        if self.points.is_none() {
            let results = &self.compiled.results;
            results.iter().for_each(|ty| self.constant(0, *ty));
        }
        self.sink().i64_const(LEFT);
    }
}
