//! Loads and stores of the program's memory, which lies at a constant address of the companion's, and its globals.

use stepmark_core::code::{Instr, Op};
use stepmark_core::machine::DIRTY_SHIFT;
use stepmark_state::limits::WASM_PAGE;
use wasm_encoder::Encode;

use super::stack::PlacedOperand;
use super::{FuncEmitter, OwnLocal, at};
use crate::reach::{BoundsTest, PageMark};
use crate::rules::{Num, Rule};
use crate::source;

impl FuncEmitter<'_> {
    /// Reads the size of the memory at the entry, for a function that accesses it: nothing changes it while compiled frames exist.
    pub(crate) fn read_memory_size(&mut self) {
        let needs = |instr: &Instr| {
            let is_access = matches!(self.program.rules.of(instr.op), Rule::Load { .. } | Rule::Store { .. });
            let is_other = matches!(instr.op, Op::MemorySize | Op::MemoryFill | Op::MemoryCopy);
            (is_access || is_other) && self.program.is_emitted(self.compiled, instr)
        };
        if self.body.instrs.iter().any(needs) {
            let (size, place) = (self.own(OwnLocal::MemorySize), self.program.layout.memory_size);
            self.sink().i32_const(0).i32_load(at(place)).local_set(size);
        }
    }

    pub(crate) fn memory_size(&mut self) {
        let size = self.own(OwnLocal::MemorySize);
        self.sink().local_get(size).i32_const(WASM_PAGE.trailing_zeros() as i32).i32_shr_u();
        self.push_result(Num::I32);
    }

    pub(crate) fn load(&mut self, index: u32, instr: &Instr, result: Num) {
        self.test_bounds(index, self.operands.peek(0));
        let address = self.operands.pop();
        self.get(address);
        self.access(instr);
        self.push_result(result);
    }

    pub(crate) fn store(&mut self, index: u32, instr: &Instr) {
        self.test_bounds(index, self.operands.peek(1));
        self.refine_top(1);
        let value = self.operands.pop();
        let address = self.operands.pop();
        self.mark(index, address);
        self.get(address);
        self.get(value);
        self.access(instr);
    }

    /// The program's access itself, at the place where the memory lies.
    fn access(&mut self, instr: &Instr) {
        let code = source::code_of(self.program.module, instr);
        let offset = self.program.layout.memory + instr.imm as u32;
        self.code.push(code);
        at(offset).encode(&mut self.code);
    }

    /// Leaves before an access that is not inside the memory, or before others that are tested with it.
    fn test_bounds(&mut self, index: u32, address: PlacedOperand) {
        let Some(BoundsTest { moved, bytes }) = self.accesses.tests.get(&index).copied() else { return };
        self.get_moved(address, moved);
        self.reaches_beyond(bytes);
        self.leave_if(index);
    }

    /// Whether something of so many bytes from the address on the companion's stack on lies outside the memory.
    pub(crate) fn reaches_beyond(&mut self, bytes: u64) {
        let size = self.own(OwnLocal::MemorySize);
        if bytes <= self.program.least_memory() {
            self.sink().local_get(size).i32_const(bytes as i32).i32_sub().i32_gt_u();
        } else {
            self.sink().i64_extend_i32_u().i64_const(bytes as i64).i64_add();
            self.sink().local_get(size).i64_extend_i32_u().i64_gt_u();
        }
    }

    fn get_moved(&mut self, address: PlacedOperand, moved: u32) {
        self.get(address);
        if moved != 0 {
            self.sink().i32_const(moved as i32).i32_add();
        }
    }

    /// Marks the page of a store. The mark is read first: nearly always it is there already.
    fn mark(&mut self, index: u32, address: PlacedOperand) {
        let Some(PageMark { moved, offset }) = self.accesses.marks.get(&index).copied() else { return };
        let place = at(self.program.layout.marks + (offset >> DIRTY_SHIFT));
        let page = self.own(OwnLocal::Word);
        self.get_moved(address, moved);
        self.sink().i32_const(DIRTY_SHIFT as i32).i32_shr_u().local_tee(page);
        self.sink().i32_load8_u(place).i32_eqz();
        self.open_if();
        self.sink().local_get(page).i32_const(1).i32_store8(place);
        self.close();
    }

    /// Reads or writes a global.
    pub(crate) fn global(&mut self, instr: &Instr) {
        let (ty, place) = self.program.global(instr).expect("BUG: it is emitted");
        if instr.op == Op::GlobalSet {
            self.refine_top(1);
            let value = self.operands.pop();
            self.sink().i32_const(0);
            self.get(value);
            return self.store_value(ty, place);
        }
        self.sink().i32_const(0);
        self.load_value(ty, place);
        self.push_result(ty);
    }
}
