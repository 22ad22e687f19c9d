//! `throw` and `throw_ref`: the handler is looked for first, and only then are frames left. Nothing happens at a throw
//! that is not paid for or that nothing catches, so that a trap shows the whole call stack.

use std::sync::Arc;

use super::{Done, PlacedInstr};
use crate::code::{BranchTarget, Catch, Handler, HandlerChange, Instr, Op};
use crate::gas::Unit;
use crate::machine::{Exception, Machine, ResumePoint, Room};
use stepmark_state::trap::Trap;

/// What a throw needs of a function that has handlers.
#[derive(Clone, Debug)]
pub(crate) struct Catcher {
    handlers: Vec<Handler>,
    changes: Vec<HandlerChange>,
    targets: Vec<BranchTarget>,
    /// Local slots.
    locals: u32,
    /// Result slots.
    results: u32,
    /// Instructions: a target of this index is out of the function.
    end: u32,
}

/// The clause that catches an exception.
struct Caught {
    /// Number of the frame that it belongs to.
    frame: usize,
    catch: Catch,
    catcher: Arc<Catcher>,
}

/// Clauses and frames that are looked at between two looks at the budget.
const LOOKS_BETWEEN: u64 = 64;

impl Machine {
    pub(super) fn throw(&mut self, at: &PlacedInstr) -> Done {
        let instr = &at.instr;
        self.afford(instr, 0)?;
        let Some(thrown) = self.thrown(at) else { return Err(self.charge_trap(instr, Trap::NullReference)) };
        let (caught, looked_at) = self.find_catch(at, thrown.tag)?;
        let Some(caught) = caught else {
            let search = self.units(Unit::ThrowUncaught, looked_at);
            return Err(self.charge_trap_after(instr, search, Trap::UncaughtException));
        };
        let is_new = caught.catch.with_reference && instr.op == Op::Throw;
        let room = if is_new { self.exception_room(instr)? } else { Room::default() };
        // Nothing has changed so far but numbers of exceptions, those among the values included.
        let payload = self.units(Unit::ThrowPayload, thrown.values.len() as u64);
        let search = self.units(Unit::ThrowSearch, looked_at);
        self.charge(instr, search.saturating_add(payload).saturating_add(room.cost))?;
        let thrown = self.thrown(at).expect("BUG: it was there before");
        let reference = match (caught.catch.with_reference, is_new) {
            (false, _) => None,
            (true, false) => Some(self.operand(at, 0)),
            (true, true) => {
                self.store.exceptions.set_counted(room.counted);
                Some(self.store.exceptions.add(thrown.clone()))
            }
        };
        let values = if caught.catch.tag.is_some() { thrown.values } else { Vec::new() };
        self.catch(&caught, &values, reference);
        Ok(())
    }

    /// The exception at the top of the stack, none for a null reference.
    fn thrown(&self, at: &PlacedInstr) -> Option<Exception> {
        if at.instr.op == Op::ThrowRef {
            return self.store.exceptions.get(self.operand(at, 0)).cloned();
        }
        let tag = self.instance().tags[at.instr.imm as usize];
        let slots = self.store.tag_type(tag).param_slots() as usize;
        Some(Exception { tag, values: self.stack[at.top - slots..at.top].to_vec() })
    }

    /// The innermost clause that catches an exception of `tag`, and how many clauses and frames were looked at for it.
    /// It stops where that cannot be paid for, found or not.
    fn find_catch(&mut self, at: &PlacedInstr, tag: u32) -> Done<(Option<Caught>, u64)> {
        let mut looked_at = 0;
        for frame in (0..self.frames.len()).rev() {
            let func = self.frames[frame].func;
            let catcher = self.catcher(func);
            if catcher.handlers.is_empty() {
                self.look(&at.instr, &mut looked_at)?;
                continue;
            }
            let is_top = frame + 1 == self.frames.len();
            let index = if is_top { at.index } else { self.resume_index(frame) - 1 };
            let instance = self.store.funcs[func as usize].instance as usize;
            let tags = &self.store.instances[instance].tags;
            let innermost = HandlerChange::innermost(&catcher.changes, index);
            for handler in Handler::around(&catcher.handlers, innermost) {
                for catch in &handler.catches {
                    self.look(&at.instr, &mut looked_at)?;
                    if catch.tag.is_none_or(|wanted| tags[wanted as usize] == tag) {
                        return Ok((Some(Caught { frame, catch: *catch, catcher: catcher.clone() }), looked_at));
                    }
                }
            }
            self.look(&at.instr, &mut looked_at)?;
        }
        Ok((None, looked_at))
    }

    /// Counts one more that was looked at; stops, every few, before a throw that cannot pay for them.
    #[inline]
    fn look(&self, instr: &Instr, looked_at: &mut u64) -> Done {
        *looked_at += 1;
        if looked_at.is_multiple_of(LOOKS_BETWEEN) {
            let (found, in_vain) = (Unit::ThrowSearch, Unit::ThrowUncaught);
            self.afford(instr, self.units(found, *looked_at).min(self.units(in_vain, *looked_at)))?;
        }
        Ok(())
    }

    /// Leaves the frames above the clause and branches where it says.
    fn catch(&mut self, caught: &Caught, values: &[u64], reference: Option<u64>) {
        self.frames.truncate(caught.frame + 1);
        let base = self.frames[caught.frame].base as usize;
        let operands = base + caught.catcher.locals as usize;
        let target = caught.catcher.targets[caught.catch.target as usize];
        let mut top = operands + target.height as usize;
        for value in values.iter().copied().chain(reference) {
            self.stack[top] = value;
            top += 1;
        }
        if target.index == caught.catcher.end {
            self.leave(base, top, caught.catcher.results);
        } else {
            self.set_resume(ResumePoint::Wasm(target.index));
        }
    }

    /// What a throw needs of a function, kept: many functions may be on the stack of a program that throws often.
    fn catcher(&mut self, func: u32) -> Arc<Catcher> {
        if let Some(catcher) = self.catchers.get(func) {
            return catcher.clone();
        }
        let body = self.body(func);
        let has_handlers = !body.handlers.is_empty();
        let catcher = Arc::new(Catcher {
            handlers: body.handlers.clone(),
            changes: body.handler_changes.clone(),
            targets: if has_handlers { body.targets.clone() } else { Vec::new() },
            locals: body.locals,
            results: body.results,
            end: body.instrs.len() as u32,
        });
        self.catchers.insert(func, catcher.clone());
        catcher
    }
}
