//! Calls of contracts: a fresh instance runs on a call stack of its own while its caller's waits, and goes with everything that
//! it defines when it returns.

use std::sync::Arc;

use super::stack::Frame;
use super::tier::CodeMark;
use super::{Budget, HostCall, HostImports, InstanceLinker, Machine, Stop};
use crate::module::Module;
use stepmark_state::error::JobError;

/// A call stack that waits at a host call.
#[derive(Clone, Debug)]
pub(super) struct Suspended {
    frames: Vec<Frame>,
    stack: Vec<u64>,
    /// Result slots of what was invoked.
    results: u32,
    /// How much of everything there was before the instance that it waits for.
    before: Mark,
}

/// How much there is of all that a module defines.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    instances: usize,
    funcs: usize,
    tables: usize,
    memories: usize,
    globals: usize,
    tags: usize,
    code: CodeMark,
}

impl Machine {
    /// Frames that the running call stack may have: those of the job's limit that waiting ones have not.
    pub(crate) fn frames_left(&self) -> usize {
        let waiting: usize = self.suspended.iter().map(|suspended| suspended.frames.len()).sum();
        (self.limits.call_depth as usize).saturating_sub(waiting)
    }

    /// Frames of the running call stack.
    pub fn depth(&self) -> usize {
        self.frames.len()
    }

    /// Lets the call stack wait and links a fresh instance of `module`; its address. Where that fails, nothing has changed.
    ///
    /// # Errors
    /// As [`link`](Self::link); and a resource error.
    pub fn enter(&mut self, module: &Arc<Module>, host: &dyn HostImports) -> Result<u32, JobError> {
        let before = self.mark();
        let instance = match self.link("", module.clone(), &InstanceLinker::default(), host) {
            Ok(instance) => instance,
            Err(error) => {
                self.forget_after(before);
                return Err(error);
            }
        };
        let stack = std::mem::replace(&mut self.stack, vec![0; 64.min(self.limits.stack_slots as usize)]);
        let frames = std::mem::take(&mut self.frames);
        self.suspended.push(Suspended { frames, stack, results: self.results, before });
        Ok(instance)
    }

    /// Ends the innermost call of a contract: its instance is gone, and its caller's stack runs again, at the host call.
    ///
    /// # Errors
    /// A snapshot error if the caller does not rest at a host call, as only a forged state can have it.
    pub fn leave_contract(&mut self) -> Result<HostCall, JobError> {
        let Some(suspended) = self.suspended.pop() else { unreachable!("BUG: a contract was entered") };
        self.frames = suspended.frames;
        self.stack = suspended.stack;
        self.results = suspended.results;
        self.invoked_host = None;
        self.forget_after(suspended.before);
        self.awaited_call()
    }

    /// The host call at which the run rests.
    ///
    /// # Errors
    /// A snapshot error if it does not, as only a forged state can have it.
    pub fn awaited_call(&mut self) -> Result<HostCall, JobError> {
        let call = self.current_instr().filter(|instr| instr.op.is_call());
        // As much as it takes to see what is called; what was left of the budget stays.
        let gas = call.map_or(0, |instr| self.schedule.cost_of(&instr));
        let budget = (self.left, self.steps);
        let stop = self.run(Budget { gas, steps: 1 });
        (self.left, self.steps) = budget;
        match stop {
            Stop::HostCall(call) => Ok(call),
            _ => Err(JobError::snapshot("state: awaits the answer of a host call, but the next instruction is none")),
        }
    }

    /// Gives up whatever runs, and every instance of a contract that runs in it.
    pub fn abandon(&mut self) {
        let mut suspended = std::mem::take(&mut self.suspended);
        if let Some(outermost) = suspended.first_mut() {
            self.stack = std::mem::take(&mut outermost.stack);
            self.forget_after(outermost.before);
        }
        self.frames.clear();
        self.invoked_host = None;
    }

    fn mark(&self) -> Mark {
        let store = &self.store;
        Mark {
            instances: store.instances.len(),
            funcs: store.funcs.len(),
            tables: store.tables.len(),
            memories: store.memories.len(),
            globals: store.globals.len(),
            tags: store.tags.len(),
            code: self.tier.mark(),
        }
    }

    fn forget_after(&mut self, mark: Mark) {
        let store = &mut self.store;
        store.instances.truncate(mark.instances);
        store.funcs.truncate(mark.funcs);
        store.truncate_spaces(mark.memories, mark.tables);
        store.globals.truncate(mark.globals);
        store.global_types.truncate(mark.globals);
        store.tags.truncate(mark.tags);
        self.tier.truncate(mark.funcs, mark.code);
        self.bodies.truncate(mark.funcs);
        self.frame_slots.truncate(mark.funcs);
        self.catchers.truncate(mark.funcs);
        if let Some(handover) = &mut self.handover {
            handover.entries.truncate(mark.funcs);
        }
        (self.current, self.passing) = (None, None);
    }

    /// Does something for every call stack, outermost first, as if it were the running one.
    pub(super) fn for_each_stack(&mut self, mut each: impl FnMut(&mut Self)) {
        let mut suspended = std::mem::take(&mut self.suspended);
        for waiting in &mut suspended {
            std::mem::swap(&mut self.frames, &mut waiting.frames);
            std::mem::swap(&mut self.stack, &mut waiting.stack);
            each(self);
            std::mem::swap(&mut self.frames, &mut waiting.frames);
            std::mem::swap(&mut self.stack, &mut waiting.stack);
        }
        each(self);
        self.suspended = suspended;
    }

    /// Makes the frames that have been restored those of the waiting stack at `position`.
    pub(super) fn suspend_restored(&mut self, position: usize, results: u32) {
        let waiting = &mut self.suspended[position];
        std::mem::swap(&mut self.frames, &mut waiting.frames);
        std::mem::swap(&mut self.stack, &mut waiting.stack);
        waiting.results = results;
    }
}
