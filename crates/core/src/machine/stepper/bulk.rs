//! Operators on whole ranges of memories and tables. Each checks its bounds first, then charges by the unit, then acts.

use super::{Done, PlacedInstr};
use crate::code::{Instr, Op};
use crate::gas::Unit;
use crate::machine::Machine;
use stepmark_state::trap::Trap;

impl Machine {
    pub(super) fn bulk(&mut self, at: &PlacedInstr) -> Done {
        self.afford(&at.instr, 0)?;
        match at.instr.op {
            Op::MemoryGrow => self.memory_grow(at)?,
            Op::TableGrow => self.table_grow(at)?,
            _ => self.ranged(at)?,
        }
        self.next(at);
        Ok(())
    }

    /// Charges a bulk operator whose bounds are right, or only its base cost if it is about to trap.
    fn charge_units<T>(
        &mut self,
        instr: &Instr,
        unit: Unit,
        amount: u64,
        bounds: Result<T, Trap>,
    ) -> Result<T, super::Interruption> {
        match bounds {
            Ok(bounds) => {
                self.charge(instr, self.units(unit, amount))?;
                Ok(bounds)
            }
            Err(trap) => Err(self.charge_trap(instr, trap)),
        }
    }

    fn memory_grow(&mut self, at: &PlacedInstr) -> Done {
        let memory = self.memory_address(at.instr.aux);
        let is64 = self.store.memories[memory as usize].limits().is64;
        let pages = self.operand(at, 0);
        let result = if self.store.may_grow_memory(memory, pages, &self.limits) {
            self.charge(&at.instr, self.units(Unit::MemoryGrow, pages))?;
            let grown = self.store.grow_memory(memory, pages, &self.limits);
            grown.map_err(|e| super::Interruption::Stop(crate::machine::Stop::Failed(e)))?
        } else {
            self.charge(&at.instr, 0)?;
            minus_one(is64)
        };
        self.stack[at.top - 1] = result;
        Ok(())
    }

    fn table_grow(&mut self, at: &PlacedInstr) -> Done {
        let table = self.instance().tables[at.instr.aux as usize];
        let is64 = self.store.tables[table as usize].ty().limits.is64;
        let (by, value) = (self.operand(at, 0), self.operand(at, 1));
        let result = if self.store.may_grow_table(table, by, &self.limits) {
            self.charge(&at.instr, self.units(Unit::TableGrow, by))?;
            let grown = self.store.grow_table(table, by, value);
            grown.map_err(|e| super::Interruption::Stop(crate::machine::Stop::Failed(e)))?
        } else {
            self.charge(&at.instr, 0)?;
            minus_one(is64)
        };
        self.stack[at.top - 2] = result;
        Ok(())
    }

    fn ranged(&mut self, at: &PlacedInstr) -> Done {
        let op = at.instr.op;
        // An i32 lies zero-extended in its slot, so that addresses of both widths are read alike.
        let [length, second, to] = [0, 1, 2].map(|depth| self.operand(at, depth));
        let from = second;
        let (aux, imm) = (at.instr.aux as usize, at.instr.imm as u32);
        let number = self.instance_number();
        match op {
            Op::MemoryFill => {
                let memory = self.memory_address(at.instr.aux) as usize;
                let bounds = self.store.memories[memory].check(to, length);
                let range = self.charge_units(&at.instr, Unit::MemoryFill, length, bounds)?;
                self.store.memories[memory].fill(range, second as u8);
            }
            Op::MemoryCopy => {
                let (target, source) = (self.memory_address(at.instr.aux), self.memory_address(imm));
                let bounds = self.store.check_memory_copy(target, source, to, from, length);
                let ranges = self.charge_units(&at.instr, Unit::MemoryCopy, length, bounds)?;
                self.store.copy_memory(target, source, ranges);
            }
            Op::MemoryInit => {
                let memory = self.memory_address(at.instr.aux);
                let bounds = self.store.check_memory_init(number, imm, memory, to, from, length);
                self.charge_units(&at.instr, Unit::MemoryInit, length, bounds)?;
                self.store.memory_init(number, imm, memory, to, from, length)?;
            }
            Op::TableFill => {
                let table = self.instance().tables[aux] as usize;
                let bounds = self.store.tables[table].check(to, length);
                let range = self.charge_units(&at.instr, Unit::TableFill, length, bounds)?;
                self.store.tables[table].fill(range, second);
            }
            Op::TableCopy => {
                let (target, source) = (self.instance().tables[aux], self.instance().tables[imm as usize]);
                let bounds = self.store.check_table_copy(target, source, to, from, length);
                let ranges = self.charge_units(&at.instr, Unit::TableCopy, length, bounds)?;
                self.store.copy_table(target, source, ranges);
            }
            _ => {
                let table = self.instance().tables[aux];
                let bounds = self.store.check_table_init(number, imm, table, to, from, length);
                self.charge_units(&at.instr, Unit::TableInit, length, bounds)?;
                self.store.table_init(number, imm, table, to, from, length)?;
            }
        }
        Ok(())
    }
}

/// What `grow` gives when it fails: -1 in the width of the addresses.
fn minus_one(is64: bool) -> u64 {
    if is64 { u64::MAX } else { u32::MAX.into() }
}
