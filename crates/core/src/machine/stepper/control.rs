//! Branches, calls and returns, one at a time.

use super::{Done, Interruption, PlacedInstr};
use crate::code::{Body, BranchTarget, Instr, Op};
use crate::gas::Unit;
use crate::machine::{FuncKind, Machine, ResumePoint, Stop};
use stepmark_state::trap::Trap;

impl Op {
    /// Whether this is one of the six calls.
    pub const fn is_call(self) -> bool {
        matches!(self, Op::Call | Op::CallIndirect | Op::CallRef) || self.is_tail_call()
    }

    /// Whether a call takes the function that it calls from the stack.
    pub(crate) fn is_indirect_call(self) -> bool {
        matches!(self, Op::CallIndirect | Op::CallRef | Op::ReturnCallIndirect | Op::ReturnCallRef)
    }

    /// Whether this call replaces the frame of its caller.
    pub const fn is_tail_call(self) -> bool {
        matches!(self, Op::ReturnCall | Op::ReturnCallIndirect | Op::ReturnCallRef)
    }
}

impl Machine {
    pub(super) fn control(&mut self, at: &PlacedInstr, body: &Body) -> Done {
        let imm = at.instr.imm as usize;
        match at.instr.op {
            Op::Unreachable => return Err(Trap::Unreachable.into()),
            Op::If => {
                if self.operand(at, 0) == 0 {
                    self.branch(at, at.top - 1, body, body.targets[at.instr.aux as usize]);
                } else {
                    self.next(at);
                }
            }
            Op::Else | Op::Br => self.branch(at, at.top, body, body.targets[imm]),
            Op::BrIf => {
                if self.operand(at, 0) == 0 {
                    self.next(at);
                } else {
                    self.branch(at, at.top - 1, body, body.targets[imm]);
                }
            }
            Op::BrOnNull => {
                if self.operand(at, 0) == 0 {
                    self.branch(at, at.top - 1, body, body.targets[imm]);
                } else {
                    self.next(at);
                }
            }
            Op::BrOnNonNull => {
                if self.operand(at, 0) == 0 {
                    self.next(at);
                } else {
                    self.branch(at, at.top, body, body.targets[imm]);
                }
            }
            Op::BrTable => {
                let choice = (self.operand(at, 0) as u32).min(at.instr.aux) as usize;
                self.branch(at, at.top - 1, body, body.targets[imm + choice]);
            }
            Op::Return | Op::End => self.leave(at.base, at.top, body.results),
            other => unreachable!("BUG: {} is not executed here", other.mnemonic()),
        }
        Ok(())
    }

    fn branch(&mut self, at: &PlacedInstr, top: usize, body: &Body, target: BranchTarget) {
        if target.index as usize == body.instrs.len() {
            return self.leave(at.base, top, body.results);
        }
        let (arity, to) = (target.arity as usize, at.operands + target.height as usize);
        if arity > 0 && to != top - arity {
            self.stack.copy_within(top - arity..top, to);
        }
        self.land(&body.instrs, target.index);
    }

    /// Goes on at the target of a branch, or behind it if it is a free marker and those are [skipped](Self::skips_markers).
    fn land(&mut self, instrs: &[Instr], target: u32) {
        let instr = &instrs[target as usize];
        let inner = target as usize + 1 < instrs.len();
        let skips = instr.is_marker() && inner && self.schedule.cost(instr.op) == 0 && self.skips_markers();
        self.set_resume(ResumePoint::Wasm(if skips { instr.aux } else { target }));
    }

    /// Returns the topmost `results` slots to the caller, whose own operands they become.
    pub(super) fn leave(&mut self, base: usize, top: usize, results: u32) {
        self.stack.copy_within(top - results as usize..top, base);
        self.frames.pop();
    }

    pub(super) fn call_instr(&mut self, at: &PlacedInstr, _body: &Body) -> Done {
        let (op, instr) = (at.instr.op, &at.instr);
        self.afford(instr, 0)?;
        let indirect = op.is_indirect_call();
        let func = if indirect {
            self.callee(at).map_err(|trap| self.charge_trap(instr, trap))?
        } else {
            self.instance().funcs[at.instr.imm as usize]
        };
        let callee = self.store.funcs[func as usize];
        let args_end = at.top - usize::from(indirect);
        let args = args_end - callee.params as usize;
        if let FuncKind::Host(_) = callee.kind {
            let call = self.host_call(func, self.stack[args..args_end].to_vec());
            return Err(Interruption::Stop(Stop::HostCall(call)));
        }
        let base = if op.is_tail_call() { at.base } else { args };
        let exhausted = !op.is_tail_call() && self.frames.len() >= self.frames_left();
        let slots = self.frame_slots(func);
        if exhausted || self.reserve_frame(base, slots).is_err() {
            return Err(self.charge_trap(instr, Trap::CallStackExhausted));
        }
        let far = u64::from(self.is_far_call(instr, callee.instance));
        let units = self.units(Unit::ZeroedLocals, callee.zeroed.into()).saturating_add(self.units(Unit::FarCall, far));
        self.charge(instr, units)?;
        if op.is_tail_call() {
            self.stack.copy_within(args..args_end, base);
            self.frames.pop();
            self.part_from_other_instance(callee.instance);
        } else {
            self.next(at);
        }
        self.push_frame(func, base);
        Ok(())
    }

    /// Whether a call is one that the fast engine always hands over: into another instance, or through a table with 64-bit
    /// addresses.
    fn is_far_call(&self, instr: &Instr, callee: u32) -> bool {
        let through_table = matches!(instr.op, Op::CallIndirect | Op::ReturnCallIndirect);
        let is64 = |index: u32| self.store.tables[self.instance().tables[index as usize] as usize].ty().limits.is64;
        callee != self.instance_number() || (through_table && is64(instr.aux))
    }

    /// The function that an indirect call names.
    fn callee(&self, at: &PlacedInstr) -> Result<u32, Trap> {
        let instance = self.instance();
        if matches!(at.instr.op, Op::CallRef | Op::ReturnCallRef) {
            return self.store.func_of_ref(self.operand(at, 0)).ok_or(Trap::NullFunctionReference);
        }
        let table = &self.store.tables[instance.tables[at.instr.aux as usize] as usize];
        let reference = table.get(self.operand(at, 0)).ok_or(Trap::UndefinedElement)?;
        let func = self.store.func_of_ref(reference).ok_or(Trap::UninitializedElement)?;
        if self.store.funcs[func as usize].type_number != instance.types[at.instr.imm as usize] {
            return Err(Trap::IndirectCallTypeMismatch);
        }
        Ok(func)
    }

    /// Ends the host call at which the top frame rests.
    pub(crate) fn finish_host_call(&mut self, results: &[u64]) {
        let (at, body) = self.locate();
        let op = at.instr.op;
        if op.is_tail_call() {
            self.stack[at.operands..at.operands + results.len()].copy_from_slice(results);
            return self.leave(at.base, at.operands + results.len(), results.len() as u32);
        }
        let height = body.instrs[at.index as usize + 1].height as usize;
        let end = at.operands + height;
        self.stack[end - results.len()..end].copy_from_slice(results);
        self.next(&at);
    }
}
