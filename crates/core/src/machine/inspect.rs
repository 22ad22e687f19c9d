//! What tools see of a machine: one instruction at a time, and the register code of a function.

use super::stack::ResumePoint;
use super::{FuncKind, Machine, Stop};
use crate::code::{Inst, Instr, Op, SideTable, translate};

/// An instruction of register code, and the decoded instruction that it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterInst {
    /// The instruction.
    pub inst: Inst,
    /// Index of the first decoded instruction that it stands for.
    pub index: u32,
    /// Whether its result is an operand, which the program reads once, and not a local.
    pub to_operand: bool,
}

impl Machine {
    /// The next instruction: function address and decoded index; `None` when nothing runs.
    ///
    /// # Panics
    /// If the top frame rests in register code, which it does only inside [`run`](Self::run).
    pub fn position(&self) -> Option<(u32, u32)> {
        let top = self.frames.last()?;
        let ResumePoint::Wasm(index) = top.resume else { unreachable!("BUG: the frame is in canonical form") };
        Some((top.func, index))
    }

    /// Executes one instruction on the stepper; tells if the run stops.
    pub fn step_once(&mut self) -> Option<Stop> {
        if self.frames.is_empty() {
            return Some(Stop::Done(self.stack[..self.results as usize].to_vec()));
        }
        (self.left, self.steps) = (u64::MAX - self.gas_total(), u64::MAX);
        let single_steps = std::mem::replace(&mut self.single_steps, true);
        let stop = self.step();
        self.single_steps = single_steps;
        stop
    }

    /// The host function that the next instruction of the innermost frame, which is `instr`, calls; none where it
    /// traps.
    pub fn host_callee(&mut self, instr: Instr) -> Option<u32> {
        if !instr.op.is_call() {
            return None;
        }
        let top = {
            let frame = *self.frames.last()?;
            (frame.base + self.body(frame.func).locals + instr.height) as usize
        };
        let instance = self.instance();
        let func = match instr.op {
            Op::Call | Op::ReturnCall => instance.funcs[instr.imm as usize],
            Op::CallRef | Op::ReturnCallRef => self.store.func_of_ref(self.stack[top - 1])?,
            _ => {
                let table = &self.store.tables[instance.tables[instr.aux as usize] as usize];
                let func = self.store.func_of_ref(table.get(self.stack[top - 1])?)?;
                let is_right = self.store.funcs[func as usize].type_number == instance.types[instr.imm as usize];
                is_right.then_some(func)?
            }
        };
        matches!(self.store.funcs[func as usize].kind, FuncKind::Host(_)).then_some(func)
    }

    /// A function's register code up to its stubs, without the words that belong to an instruction before them; `None`
    /// if it has none.
    pub fn register_code(&mut self, func: u32) -> Option<Vec<RegisterInst>> {
        let body = self.body(func);
        self.with_environment(func, |environment| {
            let code = translate(&body, environment).ok()?;
            let table = SideTable::new(&body, environment)?;
            let mut insts = Vec::new();
            let mut pc = 0;
            while let Some(inst) = code.insts.get(pc).filter(|_| pc as u32 <= table.last_start()) {
                let to_operand = inst.result().is_some_and(|slot| u32::from(slot) >= body.locals);
                insts.push(RegisterInst { inst: *inst, index: table.index_at(pc as u32)?, to_operand });
                pc += inst.words();
                if let Inst::BrTable { count, .. } = inst {
                    // Its branches are never run themselves.
                    pc += 2 * (*count as usize + 1);
                }
            }
            Some(insts)
        })
    }
}
