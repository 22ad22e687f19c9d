//! `memory.fill` and `memory.copy`, in place. Their cost depends on how much they move: they are left to the interpreter if it cannot be
//! paid with all that may follow.

use stepmark_core::code::{Instr, Op};
use stepmark_core::machine::DIRTY_SHIFT;

use super::stack::PlacedOperand;
use super::{FuncEmitter, OwnLocal};

impl FuncEmitter<'_> {
    pub(crate) fn move_bytes(&mut self, index: u32, instr: &Instr) {
        let [length, second, to] = [0, 1, 2].map(|depth| self.operands.peek(depth));
        self.test_end(index, to, length);
        if instr.op == Op::MemoryCopy {
            self.test_end(index, second, length);
        }
        self.charge_units(index, instr, length);
        self.operands.truncate(to.0);
        self.get(length);
        self.open_if();
        self.mark_range(to, length);
        self.close();
        self.get_place(to);
        match instr.op {
            Op::MemoryFill => {
                self.get(second);
                self.get(length);
                self.sink().memory_fill(0);
            }
            _ => {
                self.get_place(second);
                self.get(length);
                self.sink().memory_copy(0, 0);
            }
        }
    }

    /// Leaves before a range that is not inside the memory.
    fn test_end(&mut self, index: u32, start: PlacedOperand, length: PlacedOperand) {
        let size = self.own(OwnLocal::MemorySize);
        self.get(start);
        self.sink().i64_extend_i32_u();
        self.get(length);
        self.sink().i64_extend_i32_u().i64_add().local_get(size).i64_extend_i32_u().i64_gt_u();
        self.leave_if(index);
    }

    /// Charges what is paid by the unit; leaves before that if it, the rest of the run and the dearest way on from there are more
    /// than is left.
    fn charge_units(&mut self, index: u32, instr: &Instr, length: PlacedOperand) {
        let Some((cost, size)) = self.program.byte_price(instr.op) else { return };
        let (gas, units) = (self.gas(), self.own(OwnLocal::Wide));
        let beyond = self.costs.need(index) - self.costs.rest(index);
        self.sink().local_get(gas);
        self.get(length);
        self.sink().i64_extend_i32_u().i64_const(size - 1).i64_add().i64_const(size).i64_div_u();
        self.sink().i64_const(cost).i64_mul().local_tee(units).i64_sub().i64_const(beyond).i64_lt_s();
        self.leave_if(index);
        self.sink().local_get(gas).local_get(units).i64_sub().local_set(gas);
    }

    /// Marks the pages of a range that is not empty.
    fn mark_range(&mut self, to: PlacedOperand, length: PlacedOperand) {
        let (marks, shift) = (self.program.layout.marks, DIRTY_SHIFT as i32);
        self.get(to);
        self.sink().i32_const(shift).i32_shr_u().i32_const(marks as i32).i32_add().i32_const(1);
        self.get(to);
        self.get(length);
        self.sink().i32_add().i32_const(1).i32_sub().i32_const(shift).i32_shr_u();
        self.get(to);
        self.sink().i32_const(shift).i32_shr_u().i32_sub().i32_const(1).i32_add().memory_fill(0);
    }

    /// Puts the place of an address of the program on the companion's stack.
    fn get_place(&mut self, address: PlacedOperand) {
        let base = self.program.layout.memory;
        self.get(address);
        self.sink().i32_const(base as i32).i32_add();
    }
}
