//! Turns with compiled code. An embedder that has compiled functions hands them over: where a frame of one rests at a place
//! at which its code can go on, the machine stops with [`Stop::Enter`], and is told what compiled code has come to. All else of
//! such a function is stepped.
//!
//! Compiled code works on memories, tables and globals where they lie. What it needs beside them lies in a workspace, whose
//! first words say what is to be gone on with.

use std::collections::BTreeMap;

use super::by_func::ByFunc;
use super::stack::ResumePoint;
use super::{Machine, Stop, Store};
use crate::alloc;
use crate::machine::DIRTY_PAGE;
use stepmark_state::canonical::FrameState;
use stepmark_state::error::JobError;
use stepmark_state::limits::WASM_PAGE;

/// Pages after a marked one that may have changed too: compiled code marks by an address without the part of its offset
/// below a page, and an access may reach over the end of the page.
pub const MARK_REACH: u32 = 2;

/// Words at the beginning of a workspace that say what is to be gone on with: function, offset, gas, address and number of
/// the frame's values, frames and slots that there may be from this frame on, bytes of memory 0; then the size of each table.
pub const ENTER_WORDS: usize = 8;

/// In place of an offset: the machine's parts no longer lie where they lay when compiled code was made.
const MOVED: u32 = 0;

/// Bytes to which a memory may grow at least before compiled code has to be made anew, if it may grow so far at all.
const ROOM: u64 = 64 << 20;

/// Elements to which a table may grow before that, likewise.
const TABLE_ROOM: u64 = 1 << 10;

/// Globals of contracts to come, likewise.
const GLOBALS_ROOM: usize = 1 << 12;

/// What is handed over. A copy of a machine has none of it: compiled code knows where the parts of one machine lie.
#[derive(Debug, Default)]
pub(super) struct Handover {
    /// By function: byte offsets at which compiled code goes on, and the gas that it asks for there, by ascending offset.
    pub(super) entries: ByFunc<Box<[(u32, u64)]>>,
    /// By instance.
    workspaces: ByFunc<Workspace>,
    /// Compiled code has left where the machine is, or does not go on there: it is the machine's turn.
    stays: bool,
}

impl Clone for Handover {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What compiled code of an instance works in.
#[derive(Debug)]
struct Workspace {
    words: Vec<u64>,
    /// A byte for each page of memory 0: not 0 if it may have changed.
    marks: Vec<u8>,
    /// Bytes of memory for which there are marks.
    capacity: u64,
    /// Where the machine's parts lay when the code was made.
    addresses: Vec<usize>,
}

impl Machine {
    /// Gets a workspace of so many words ready for the compiled code of an instance. What its maker is told, in words: the
    /// addresses of the workspace and of the marks, the bytes for which there are marks; address of memory 0; address and
    /// length of the program, and of the schedule's text; limits of the job, frames and slots; number of globals and their addresses, number of tables and
    /// their addresses; then the functions that have run, by index.
    ///
    /// # Errors
    /// A usage error if there is no such instance, and a resource error if there is no room.
    pub fn compile(&mut self, number: u32, words: usize) -> Result<Vec<u64>, JobError> {
        let instance = self.store.instances.get(number as usize);
        let instance = instance.ok_or_else(|| JobError::usage(format!("there is no instance {number}")))?.clone();
        let no_room = |_| JobError::resource("there is no room for compiled code".to_owned());
        let capacity = self.make_room(number).map_err(no_room)?;
        let marks = capacity.div_ceil(DIRTY_PAGE as u64) + u64::from(MARK_REACH);
        let addresses = addresses(&self.store, number).collect();
        let mut workspace = Workspace { words: Vec::new(), marks: Vec::new(), capacity, addresses };
        let words = words.max(ENTER_WORDS + instance.tables.len());
        alloc::reserve(&mut workspace.words, words).map_err(no_room)?;
        alloc::reserve(&mut workspace.marks, marks as usize).map_err(no_room)?;
        workspace.words.resize(words, 0);
        workspace.marks.resize(marks as usize, 0);
        let program = instance.module.bytes();
        let mut told = vec![
            workspace.words.as_ptr().addr(),
            workspace.marks.as_ptr().addr(),
            capacity as usize,
            workspace.addresses[1],
            program.as_ptr().addr(),
            program.len(),
            self.schedule.text().as_ptr().addr(),
            self.schedule.text().len(),
            self.limits.call_depth as usize,
            self.limits.stack_slots as usize,
            instance.globals.len(),
        ];
        told.extend(instance.globals.iter().map(|slot| workspace.addresses[0] + 8 * *slot as usize));
        told.push(instance.tables.len());
        told.extend(&workspace.addresses[2..]);
        let has_run = |(_, func): &(usize, &u32)| self.tier.is_prepared(**func);
        told.extend(instance.funcs.iter().enumerate().filter(has_run).map(|(index, _)| index));
        self.handover.get_or_insert_default().workspaces.insert(number, workspace);
        Ok(told.into_iter().map(|word| word as u64).collect())
    }

    /// Lets the parts of an instance grow without moving; the bytes that memory 0 may have.
    fn make_room(&mut self, number: u32) -> Result<u64, alloc::NoRoom> {
        let instance = self.store.instances[number as usize].clone();
        alloc::reserve(&mut self.store.globals, GLOBALS_ROOM)?;
        for address in &instance.tables {
            let table = &mut self.store.tables[*address as usize];
            let room =
                table.max_size().min(2 * table.size() + TABLE_ROOM).min(self.limits.table_elements.max(table.size()));
            let more = room - table.size();
            alloc::reserve(&mut table.elements, more as usize)?;
        }
        let Some(address) = instance.memories.first() else { return Ok(0) };
        let memory = &mut self.store.memories[*address as usize];
        let size = memory.bytes.len() as u64;
        let most = memory.max_pages().saturating_mul(WASM_PAGE).min(self.limits.memory_bytes).max(size);
        let room = (2 * size).max(ROOM).min(most);
        alloc::reserve(&mut memory.bytes, (room - size) as usize)?;
        Ok(room)
    }

    /// Hands functions of an instance over, or takes them back. In words: its index, the number of places at which compiled code goes
    /// on, none to take it back, and for each its byte offset, ascending, and the gas that it asks for there. No words at all take back
    /// whatever was handed over.
    pub fn hand_over(&mut self, instance: u32, words: &[u64]) {
        if words.is_empty() {
            return self.end_handover();
        }
        // Register code that there is would call register code, and not stop.
        self.replace_tier(self.tier.kind());
        let handed = &mut self.handover.get_or_insert_default().entries;
        let mut words = words;
        while let [func, count, rest @ ..] = words {
            let (places, rest) = rest.split_at(2 * *count as usize);
            let address = self.store.instances[instance as usize].funcs[*func as usize];
            let places: Box<[(u32, u64)]> = places.as_chunks().0.iter().map(|[at, gas]| (*at as u32, *gas)).collect();
            match places.is_empty() {
                true => handed.remove(address),
                false => handed.insert(address, places),
            }
            words = rest;
        }
    }

    /// Takes everything back.
    pub fn end_handover(&mut self) {
        self.merge_marks();
        self.handover = None;
    }

    /// Marks the pages that compiled code has marked.
    pub fn merge_marks(&mut self) {
        let Some(handover) = &mut self.handover else { return };
        for (instance, workspace) in handover.workspaces.iter_mut() {
            let Some(memory) = self.store.instances[instance].memories.first() else { continue };
            let dirty = &mut self.store.memories[*memory as usize].dirty;
            for (page, mark) in workspace.marks.iter_mut().enumerate().filter(|(_, mark)| **mark != 0) {
                *mark = 0;
                let end = dirty.len().min(page + 1 + MARK_REACH as usize);
                dirty[page.min(end)..end].fill(1);
            }
        }
    }

    pub(super) fn is_handed_over(&self, func: u32) -> bool {
        self.handover.as_ref().is_some_and(|handover| handover.entries.get(func).is_some())
    }

    /// Stops for compiled code, if it can go on with the top frame, or makes a step.
    pub(super) fn enter_or_step(&mut self) -> Option<Stop> {
        let is_own_turn = self.handover.as_mut().is_none_or(|handover| std::mem::take(&mut handover.stays));
        let stop = if is_own_turn { None } else { self.enter_compiled() };
        stop.or_else(|| self.step())
    }

    /// Says in the workspace what is to be gone on with, if compiled code goes on there.
    fn enter_compiled(&mut self) -> Option<Stop> {
        let instr = self.current_instr()?;
        let top = *self.frames.last()?;
        let locals = self.body(top.func).locals;
        let func = self.store.funcs[top.func as usize];
        let frames = (self.frames_left() + 1).saturating_sub(self.frames.len());
        let handover = self.handover.as_deref_mut()?;
        let entries = handover.entries.get(top.func)?;
        let entry = entries.binary_search_by_key(&instr.offset, |entry| entry.0).ok()?;
        let workspace = handover.workspaces.get_mut(func.instance)?;
        if entries[entry].1 > self.left {
            return None;
        }
        let store = &self.store;
        let instance = &store.instances[func.instance as usize];
        let memory = instance.memories.first().map_or(0, |memory| store.memories[*memory as usize].bytes.len());
        let lies_there = addresses(store, func.instance).eq(workspace.addresses.iter().copied());
        let offset = if lies_there && memory <= workspace.capacity as usize { instr.offset } else { MOVED };
        let words = [
            func.index as usize,
            offset as usize,
            0,
            self.stack[top.base as usize..].as_ptr().addr(),
            (locals + instr.height) as usize,
            frames,
            self.limits.stack_slots as usize - top.base as usize,
            memory,
        ];
        let sizes = instance.tables.iter().map(|table| store.tables[*table as usize].elements.len());
        for (place, word) in workspace.words.iter_mut().zip(words.into_iter().chain(sizes)) {
            *place = word as u64;
        }
        workspace.words[2] = self.left;
        Some(Stop::Enter(func.instance))
    }

    /// Compiled code does not go on with the top frame as it is.
    pub fn not_entered(&mut self) {
        if let Some(handover) = &mut self.handover {
            handover.stays = true;
        }
    }

    /// Compiled code has gone on with the top frame until its function returned: so much gas is left, and its results are in the
    /// workspace from this word on.
    ///
    /// # Panics
    /// If that cannot be.
    pub fn compiled_returned(&mut self, at: usize, gas_left: u64) {
        let top = self.frames.pop().expect("BUG: a frame was entered");
        let func = self.store.funcs[top.func as usize];
        let workspaces = self.handover.as_ref().map(|handover| &handover.workspaces);
        let words = workspaces.and_then(|all| Some(&all.get(func.instance)?.words)).expect("BUG: it is handed over");
        let count = func.results as usize;
        self.stack[top.base as usize..][..count].copy_from_slice(&words[at..][..count]);
        self.spent_compiled(gas_left);
    }

    /// Compiled code has gone on with the top frame and has left: so much gas is left, and in place of that frame there are
    /// these, outermost first. A frame is three words, function, offset of the instruction, number of its operands, then its
    /// locals and operands.
    ///
    /// # Errors
    /// A resource error if the stack cannot hold them.
    ///
    /// # Panics
    /// If that cannot be.
    pub fn compiled_left(&mut self, words: &[u64], gas_left: u64) -> Result<(), JobError> {
        let top = self.frames.pop().expect("BUG: a frame was entered");
        let instance = self.store.funcs[top.func as usize].instance;
        let (mut base, mut words, mut bodies) = (top.base as usize, words, BTreeMap::new());
        while let [func, offset, operands, rest @ ..] = words {
            let address = self.store.instances[instance as usize].funcs[*func as usize];
            let (locals, rest) = rest.split_at(self.body(address).locals as usize);
            let (operands, rest) = rest.split_at(*operands as usize);
            let (locals, operands) = (locals.to_vec(), operands.to_vec());
            let state = FrameState { instance, func: *func as u32, offset: *offset as u32, locals, operands };
            base = self.restore_frame(base, &state, &mut bodies)?;
            words = rest;
        }
        self.spent_compiled(gas_left);
        self.not_entered();
        Ok(())
    }

    fn spent_compiled(&mut self, gas_left: u64) {
        let spent = self.left.checked_sub(gas_left).expect("BUG: compiled code never overspends");
        self.left = gas_left;
        self.set_gas_total(self.gas_total() + spent);
    }

    /// Puts all frames into canonical form and lets a fresh tier of this kind run the program.
    pub(super) fn replace_tier(&mut self, kind: super::TierKind) {
        // No position of another tier's means anything to this one.
        self.for_each_stack(|machine| {
            for frame in 0..machine.frames.len() {
                machine.frames[frame].resume = ResumePoint::Wasm(machine.resume_index(frame));
            }
        });
        self.tier = kind.make();
        self.tier.grow(&self.store);
    }
}

/// Where the parts of an instance lie that compiled code works on: globals, memory 0, tables.
fn addresses(store: &Store, number: u32) -> impl Iterator<Item = usize> {
    let instance = &store.instances[number as usize];
    let memory = instance.memories.first().map_or(0, |memory| store.memories[*memory as usize].bytes.as_ptr().addr());
    let tables = instance.tables.iter().map(|table| store.tables[*table as usize].elements.as_ptr().addr());
    [store.globals.as_ptr().addr(), memory].into_iter().chain(tables)
}
