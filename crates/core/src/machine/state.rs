//! The machine's state as plain data, and back. Only a checked state goes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::stack::{Frame, ResumePoint};
use super::{Exception, Instance, Machine};
use crate::code::Body;
use crate::machine::check::CheckedState;
use stepmark_state::canonical::{ExceptionState, FrameState, InstanceState};
use stepmark_state::error::JobError;

/// Bodies of the functions on the call stack: however they alternate there, each is decoded once.
type DecodedBodies = BTreeMap<u32, Arc<Body>>;

impl Machine {
    /// The call stacks, those that wait first, outermost frame first.
    pub fn frame_states(&mut self) -> Vec<FrameState> {
        let mut states = Vec::new();
        self.for_each_stack(|machine| states.append(&mut machine.running_frames()));
        states
    }

    fn running_frames(&mut self) -> Vec<FrameState> {
        let frames = self.frames.clone();
        let mut ends: Vec<usize> = frames.iter().skip(1).map(|f| f.base as usize).collect();
        ends.push(usize::MAX);
        let mut bodies = DecodedBodies::new();
        let numbered = frames.iter().enumerate().zip(ends);
        numbered.map(|((number, frame), end)| self.frame_state(number, frame, end, &mut bodies)).collect()
    }

    /// `end`: the first slot of the next frame, which its arguments became; beyond the stack for the top frame.
    fn frame_state(&mut self, number: usize, frame: &Frame, end: usize, bodies: &mut DecodedBodies) -> FrameState {
        let index = self.resume_index(number);
        let body = bodies.entry(frame.func).or_insert_with(|| self.body(frame.func));
        let instr = body.instrs[index as usize];
        let func = self.store.funcs[frame.func as usize];
        let base = frame.base as usize;
        let operands = base + body.locals as usize;
        let top = (operands + instr.height as usize).min(end);
        FrameState {
            instance: func.instance,
            func: func.index,
            offset: instr.offset,
            locals: self.stack[base..operands].to_vec(),
            operands: self.stack[operands..top].to_vec(),
        }
    }

    /// The exceptions that references point to, as [`collect_exceptions`](Self::collect_exceptions) has left them.
    pub fn exception_states(&self) -> Vec<ExceptionState> {
        let state = |exception: &Exception| {
            let tag = self.store.tags[exception.tag as usize];
            ExceptionState { instance: tag.instance, tag: tag.index, values: exception.values.clone() }
        };
        self.store.exceptions.list().iter().map(state).collect()
    }

    /// What every instance holds beside its paged contents.
    pub fn instance_states(&self) -> Vec<InstanceState> {
        self.store.instances.iter().map(|instance| self.instance_state(instance)).collect()
    }

    /// What one of its instances holds.
    pub(crate) fn instance_state(&self, instance: &Instance) -> InstanceState {
        let module = &instance.module;
        let defined = |addresses: &[u32], imported: u32| addresses[imported as usize..].to_vec();
        let dropped = |flags: &[bool]| (0..).zip(flags).filter(|(_, dropped)| **dropped).map(|(i, _)| i).collect();
        let globals = defined(&instance.globals, module.imported_globals());
        let slots = |address: &u32| {
            let first = *address as usize;
            first..first + self.store.global_types[first].value.slots() as usize
        };
        let memories = defined(&instance.memories, module.imported_memories());
        let tables = defined(&instance.tables, module.imported_tables());
        InstanceState {
            globals: globals.iter().flat_map(slots).map(|slot| self.store.globals[slot]).collect(),
            memories: memories.iter().map(|a| self.store.memories[*a as usize].pages()).collect(),
            tables: tables.iter().map(|a| self.store.tables[*a as usize].size()).collect(),
            dropped_data: dropped(&instance.dropped_data),
            dropped_elements: dropped(&instance.dropped_elements),
        }
    }

    /// Puts a freshly linked machine into a checked state. The paged contents come afterwards, by
    /// whoever reads the `.bin` files.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold the memories, tables or the stack.
    pub fn restore(&mut self, checked: &CheckedState) -> Result<(), JobError> {
        let state = checked.state();
        for (number, instance) in state.instances.iter().enumerate() {
            self.restore_instance(number, instance)?;
        }
        for exception in &state.exceptions {
            let tag = self.store.instances[exception.instance as usize].tags[exception.tag as usize];
            self.store.exceptions.add(Exception { tag, values: exception.values.clone() });
        }
        self.store.exceptions.set_counted(state.exception_slots);
        let mut bodies = DecodedBodies::new();
        let mut rest = state.frames.as_slice();
        for (position, waiting) in checked.waiting().iter().enumerate() {
            let (frames, others) = rest.split_at(waiting.frames);
            self.restore_frames(frames, &mut bodies)?;
            self.suspend_restored(position, self.store.funcs[waiting.func as usize].results);
            rest = others;
        }
        self.restore_frames(rest, &mut bodies)?;
        self.set_gas_total(state.gas_total);
        Ok(())
    }

    fn restore_frames(&mut self, frames: &[FrameState], bodies: &mut DecodedBodies) -> Result<(), JobError> {
        self.frames.clear();
        let mut base = 0;
        for frame in frames {
            base = self.restore_frame(base, frame, bodies)?;
        }
        Ok(())
    }

    /// Declares what the outermost frame returns to, after a restore: the function that was invoked.
    pub fn resume_invocation(&mut self, func: u32) {
        self.results = self.store.funcs[func as usize].results;
    }

    fn restore_instance(&mut self, number: usize, state: &InstanceState) -> Result<(), JobError> {
        let instance = self.store.instances[number].clone();
        let module = &instance.module;
        let globals = &instance.globals[module.imported_globals() as usize..];
        if let Some(first) = globals.first().map(|address| *address as usize) {
            // An instance's own globals follow each other.
            self.store.globals[first..first + state.globals.len()].copy_from_slice(&state.globals);
        }
        let memories = &instance.memories[module.imported_memories() as usize..];
        for (address, pages) in memories.iter().zip(&state.memories) {
            self.store.resize_memory(*address, *pages, *pages)?;
        }
        let tables = &instance.tables[module.imported_tables() as usize..];
        for (address, size) in tables.iter().zip(&state.tables) {
            self.store.resize_table(*address, *size, 0)?;
        }
        let instance = &mut self.store.instances[number];
        let flags = |dropped: &[u32], flags: &mut [bool]| {
            for (index, flag) in flags.iter_mut().enumerate() {
                *flag = dropped.binary_search(&(index as u32)).is_ok();
            }
        };
        flags(&state.dropped_data, &mut instance.dropped_data);
        flags(&state.dropped_elements, &mut instance.dropped_elements);
        Ok(())
    }

    /// Places a frame at `base`; where the next one begins.
    pub(super) fn restore_frame(
        &mut self,
        base: usize,
        state: &FrameState,
        bodies: &mut DecodedBodies,
    ) -> Result<usize, JobError> {
        let func = self.store.instances[state.instance as usize].funcs[state.func as usize];
        let body = bodies.entry(func).or_insert_with(|| self.body(func));
        let index = body.index_of(state.offset).expect("BUG: the state was checked");
        let slots = body.frame_slots().max(body.results);
        self.reserve_frame(base, slots).map_err(|trap| JobError::snapshot(trap.message()))?;
        let operands = base + state.locals.len();
        self.stack[base..operands].copy_from_slice(&state.locals);
        let end = operands + state.operands.len();
        self.stack[operands..end].copy_from_slice(&state.operands);
        self.frames.push(Frame { func, base: base as u32, resume: ResumePoint::Wasm(index) });
        Ok(end)
    }
}
