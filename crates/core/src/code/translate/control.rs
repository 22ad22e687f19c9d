//! Branches, calls and returns. A branch whose values are not where its target wants them goes through a stub at the end of
//! the function, so that the straight line pays nothing for it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::{Fix, Landing, Place, Stub, Translator};
use crate::code::{BranchTarget, Inst, Instr, Op};

impl Translator<'_> {
    pub(super) fn control(&mut self, index: u32, instr: &Instr) {
        match instr.op {
            Op::Block | Op::Loop | Op::TryTable => self.flush(),
            Op::If => {
                let branch = self.pop_condition(false);
                // A fused branch reads locals or slots above this height, which settling does not write.
                self.flush();
                let target = self.body.targets[instr.aux as usize];
                self.conditional(branch, target);
            }
            Op::Else => self.jump(self.body.targets[instr.imm as usize]),
            Op::End => {}
            Op::Br => self.jump(self.body.targets[instr.imm as usize]),
            Op::BrIf => {
                let branch = self.pop_condition(true);
                self.conditional(branch, self.body.targets[instr.imm as usize]);
            }
            Op::BrOnNull => {
                let reference = self.pop();
                let a = self.register(reference);
                self.conditional(Inst::BrEqz { a, off: 0 }, self.body.targets[instr.imm as usize]);
                // A constant has been written to its slot.
                let place = if matches!(reference.0, Place::Const(_)) { Place::Slot } else { reference.0 };
                self.stack.push(place);
            }
            Op::BrOnNonNull => {
                let reference = self.pop();
                let a = self.register(reference);
                self.stack.push(reference.0);
                self.conditional(Inst::BrNez { a, off: 0 }, self.body.targets[instr.imm as usize]);
                self.pop();
            }
            Op::BrTable => self.br_table(instr),
            Op::Return => {
                self.return_();
            }
            Op::Unreachable => {
                self.emit(Inst::Unreachable);
                self.end_block();
            }
            Op::Call => {
                let func = self.environment.funcs[instr.imm as usize];
                let arity = (self.environment.arity)(func);
                self.flush();
                let base = self.slot(self.stack.len() - arity.0 as usize);
                self.emit(Inst::Call { base, func });
                self.after_call(index, arity);
            }
            Op::CallIndirect => {
                let (params, results) = (self.environment.type_arity)(instr.imm as u32);
                self.flush();
                let top = self.stack.len() - 1;
                let base = self.slot(top - params as usize);
                self.emit(Inst::CallIndirect { base, a: self.slot(top) });
                self.emit_table_and_type(instr);
                self.after_call(index, (params + 1, results));
            }
            Op::CallRef => {
                let (params, results) = (self.environment.type_arity)(instr.imm as u32);
                self.flush();
                let top = self.stack.len() - 1;
                self.emit(Inst::CallRef { base: self.slot(top - params as usize), a: self.slot(top) });
                self.emit_type(instr.imm);
                self.after_call(index, (params + 1, results));
            }
            Op::ReturnCallRef => {
                let params = (self.environment.type_arity)(instr.imm as u32).0 as usize;
                self.flush();
                let top = self.stack.len() - 1;
                self.emit(Inst::ReturnCallRef { base: self.slot(top - params), a: self.slot(top) });
                self.emit_type(instr.imm);
                self.emit(Inst::Wide { low: index, high: 0 });
                self.end_block();
            }
            Op::ReturnCall => {
                let func = self.environment.funcs[instr.imm as usize];
                let params = (self.environment.arity)(func).0 as usize;
                self.flush();
                let base = self.slot(self.stack.len() - params);
                self.emit(Inst::ReturnCall { base, func });
                self.emit(Inst::Wide { low: index, high: 0 });
                self.end_block();
            }
            Op::ReturnCallIndirect => {
                let params = (self.environment.type_arity)(instr.imm as u32).0 as usize;
                self.flush();
                let top = self.stack.len() - 1;
                self.emit(Inst::ReturnCallIndirect { base: self.slot(top - params), a: self.slot(top) });
                self.emit_table_and_type(instr);
                self.emit(Inst::Wide { low: index, high: 0 });
                self.end_block();
            }
            Op::MemoryCopy => self.bulk(index, |d, a, b| Inst::MemoryCopy { d, a, b }),
            Op::MemoryFill => self.bulk(index, |d, a, b| Inst::MemoryFill { d, a, b }),
            other => unreachable!("BUG: {} has no register form", other.mnemonic()),
        }
    }

    /// A bulk operator, whose cost is known only when it runs: what follows is charged by its edge.
    fn bulk(&mut self, index: u32, inst: impl FnOnce(u16, u16, u16) -> Inst) {
        let operands = [self.pop(), self.pop(), self.pop()];
        self.flush();
        let [b, a, d] = operands.map(|operand| self.register(operand));
        self.emit(inst(d, a, b));
        let edge = self.emit_edge(0);
        self.continue_after(edge);
        self.enter(index + 1);
    }

    pub(super) fn emit_table_and_type(&mut self, instr: &Instr) {
        let table = self.environment.tables[instr.aux as usize];
        let Ok(high) = u16::try_from(table) else {
            self.too_large = true;
            return;
        };
        self.emit(Inst::Wide { low: self.environment.types[instr.imm as usize], high });
    }

    fn emit_type(&mut self, ty: u64) {
        self.emit(Inst::Wide { low: self.environment.types[ty as usize], high: 0 });
    }

    pub(super) fn after_call(&mut self, index: u32, (params, results): (u32, u32)) {
        let edge = self.emit_edge(0);
        let height = self.stack.len() - params as usize + results as usize;
        self.stack.truncate(self.stack.len() - params as usize);
        self.stack.resize(height, Place::Slot);
        self.settled = height;
        self.continue_after(edge);
        self.enter(index + 1);
    }

    pub(super) fn end_block(&mut self) {
        self.reachable = false;
        self.last_result = None;
    }

    /// The branch taken when the popped condition comes out as `holds`; a comparison just computed is fused into it.
    pub(super) fn pop_condition(&mut self, holds: bool) -> Inst {
        let condition = self.pop();
        let slot = self.slot(condition.1);
        let just_computed = condition.0 == Place::Slot && self.last_result == Some(slot);
        if self.fuse
            && just_computed
            && let Some(branch) = self.fuse_last(holds)
        {
            return branch;
        }
        let a = self.register(condition);
        if holds { Inst::BrNez { a, off: 0 } } else { Inst::BrEqz { a, off: 0 } }
    }

    pub(super) fn fuse_last(&mut self, holds: bool) -> Option<Inst> {
        let last = *self.insts.last()?;
        let (removed, branch) = match self.negated_comparison(last) {
            Some(comparison) => (2, comparison.fused_branch(!holds)?),
            None => (1, last.fused_branch(holds)?),
        };
        self.insts.truncate(self.insts.len() - removed);
        self.last_result = None;
        Some(branch)
    }

    /// The comparison of this block whose operand slot `last` negates.
    pub(super) fn negated_comparison(&self, last: Inst) -> Option<Inst> {
        let Inst::I32Eqz { a, .. } = last else { return None };
        let before = self.insts.len().checked_sub(2).filter(|at| *at >= self.block_start)?;
        let comparison = self.insts[before];
        let is_operand = u32::from(a) >= self.body.locals;
        (is_operand && comparison.result() == Some(a)).then(|| comparison.fused_branch(true).map(|_| comparison))?
    }

    pub(super) fn conditional(&mut self, branch: Inst, target: BranchTarget) {
        let to = self.way(target);
        self.branch(branch, to, true);
    }

    pub(super) fn leaves(&self, target: BranchTarget) -> bool {
        target.index as usize == self.body.instrs.len()
    }

    pub(super) fn new_stub(&mut self, target: BranchTarget) -> u32 {
        self.stub_places += target.arity as usize;
        let from = self.stack.len() - target.arity as usize;
        let places = (from..self.stack.len()).map(|h| match self.stack[h] {
            // The operand's own slot, by height, told apart from a local by being beyond the locals.
            Place::Slot => Place::Local(self.slot(h)),
            other => other,
        });
        self.stubs.push(Stub { places: places.collect(), target });
        self.stubs.len() as u32 - 1
    }

    /// Emits a branch and its edge; a conditional one goes on in a new block.
    pub(super) fn branch(&mut self, branch: Inst, to: Landing, conditional: bool) {
        let (branch, extra) = self.fuse_step(branch);
        let at = self.insts.len();
        self.emit(branch);
        let edge = self.emit_edge(extra);
        debug_assert_eq!(edge, at + 1, "a branch with an edge takes two words");
        let behind = NonZeroU32::new(self.blocks.len() as u32).filter(|_| conditional);
        self.fixes.push(Fix { edge: edge as u32, behind, to });
        if conditional {
            self.begin_block(true);
        } else {
            self.end_block();
        }
    }

    /// A branch together with the addition before it, if that changes what it compares.
    fn fuse_step(&mut self, branch: Inst) -> (Inst, u16) {
        let last = self.insts[self.block_start..].last().filter(|_| self.fuse);
        match last.and_then(|add| add.then_branch(branch)) {
            Some(step) => {
                self.insts.pop();
                step
            }
            None => (branch, 0),
        }
    }

    /// An unconditional branch with its values.
    pub(super) fn jump(&mut self, target: BranchTarget) {
        if self.leaves(target) {
            return self.return_();
        }
        let from = self.stack.len() - target.arity as usize;
        for i in 0..target.arity as usize {
            let (source, d) = (from + i, self.slot(target.height as usize + i));
            match self.stack[source] {
                Place::Slot if source == target.height as usize + i => {}
                Place::Slot => self.copy(d, self.slot(source)),
                place => self.emit_place(d, place),
            }
        }
        self.branch(Inst::Br { off: 0 }, Landing::Index(target.index), false);
    }

    pub(super) fn br_table(&mut self, instr: &Instr) {
        let index = self.pop();
        let first = instr.imm as usize;
        let targets = &self.body.targets[first..=first + instr.aux as usize];
        let a = self.register(index);
        self.emit(Inst::BrTable { a, count: instr.aux });
        // What leads to one place does so by one stub, however often it is named.
        let mut ways = BTreeMap::new();
        for target in targets {
            let to = *ways.entry((target.index, target.height)).or_insert_with(|| self.way(*target));
            self.branch(Inst::Br { off: 0 }, to, false);
            if self.is_beyond_budget() {
                return;
            }
        }
    }

    /// Where a branch that carries the topmost operands leads: to its target, or to a stub that moves them.
    fn way(&mut self, target: BranchTarget) -> Landing {
        let (height, arity) = (self.stack.len(), target.arity as usize);
        let in_place = target.height as usize + arity == height;
        if in_place && self.stack[height - arity..].iter().all(|p| *p == Place::Slot) && !self.leaves(target) {
            return Landing::Index(target.index);
        }
        Landing::Stub(self.new_stub(target))
    }

    pub(super) fn return_(&mut self) {
        let count = self.body.results as usize;
        match count {
            0 => self.emit(Inst::Return),
            1 => {
                let a = self.pop_register();
                self.emit(Inst::ReturnOne { a });
            }
            _ => {
                let from = self.stack.len() - count;
                self.flush_from(from);
                self.emit(Inst::ReturnMany { a: self.slot(from), count: count as u32 });
            }
        }
        self.end_block();
    }

    pub(super) fn emit_stubs(&mut self) {
        // A stub leads into the function's code, so no stub adds another.
        for Stub { places, target } in std::mem::take(&mut self.stubs) {
            self.begin_block(false);
            self.stub_landings.push(self.here());
            for (i, place) in places.iter().enumerate() {
                let d = self.slot(target.height as usize + i);
                if *place != Place::Local(d) {
                    self.emit_place(d, *place);
                }
            }
            if self.leaves(target) {
                let a = self.slot(target.height as usize);
                match target.arity {
                    0 => self.emit(Inst::Return),
                    1 => self.emit(Inst::ReturnOne { a }),
                    count => self.emit(Inst::ReturnMany { a, count }),
                }
            } else {
                self.branch(Inst::Br { off: 0 }, Landing::Index(target.index), false);
            }
        }
    }
}
