//! All register code of a machine in one place, and what a call needs to know of each function.

use crate::alloc;
use crate::code::{Entry, Inst, VerifiedCode};
use crate::machine::{Outline, Store};

/// More than any stack has room for: a call of a function without register code always stops the fast engine.
const NO_ROOM: u32 = u32::MAX;

/// What a call needs of its callee.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FastFunc {
    /// Where its register code begins.
    pub(crate) pc: u32,
    /// Bytes of its frame, [`NO_ROOM`] without register code.
    pub(crate) frame_bytes: u32,
    /// Gas that entering it charges: its zeroed locals and T of its first block.
    pub(crate) cost: i64,
    /// Parameter slots.
    pub(crate) params: u32,
    /// Slots that a call sets to zero.
    pub(crate) zeroed: u32,
    /// Number of its type.
    pub(crate) type_number: u32,
    /// Its instance.
    pub(crate) instance: u32,
    /// Address of memory 0 of its instance.
    pub memory: Option<u32>,
}

#[derive(Clone, Debug)]
enum Translated {
    NotYet,
    TooLarge,
    /// Position of the code, and its entries with absolute positions.
    Done(Box<[Entry]>),
}

/// The code of all functions of a store; translated when first needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    pub(crate) insts: Vec<Inst>,
    pub(crate) funcs: Vec<FastFunc>,
    pub(crate) outlines: Vec<Outline>,
    translated: Vec<Translated>,
}

impl Code {
    /// Takes note of functions that the store has gained.
    pub(crate) fn grow(&mut self, store: &Store) {
        for func in &store.funcs[self.funcs.len()..] {
            let memory = store.instances.get(func.instance as usize).and_then(|i| i.memories.first().copied());
            self.funcs.push(FastFunc {
                pc: 0,
                frame_bytes: NO_ROOM,
                cost: 0,
                params: func.params,
                zeroed: func.zeroed,
                type_number: func.type_number,
                instance: func.instance,
                memory,
            });
            self.translated.push(Translated::NotYet);
        }
    }

    /// How many instructions and outlines there are.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        (self.insts.len(), self.outlines.len())
    }

    /// Forgets all functions but the first so many, and what was translated since there were so many instructions and
    /// outlines: nothing of the functions that stay.
    pub(crate) fn truncate(&mut self, funcs: usize, (insts, outlines): (usize, usize)) {
        self.funcs.truncate(funcs);
        self.translated.truncate(funcs);
        self.insts.truncate(insts);
        self.outlines.truncate(outlines);
    }

    /// Has translating this function been tried.
    pub(crate) fn is_known(&self, func: u32) -> bool {
        !matches!(self.translated[func as usize], Translated::NotYet)
    }

    /// Has the function register code.
    pub(crate) fn is_translated(&self, func: u32) -> bool {
        matches!(self.translated[func as usize], Translated::Done(_))
    }

    /// Adds a function's code. `zeroing` is the gas of setting its locals to zero.
    pub(crate) fn add(&mut self, func: u32, code: Option<VerifiedCode>, zeroing: u64) {
        let base = self.insts.len();
        // Without memory for its code a function runs on the stepper, to the same end.
        let insts = &mut self.insts;
        let fits = |code: &VerifiedCode| {
            let more = code.insts().len();
            u32::try_from(base + more).is_ok() && alloc::reserve(insts, more).is_ok()
        };
        let Some(code) = code.filter(fits) else {
            self.translated[func as usize] = Translated::TooLarge;
            return;
        };
        self.insts.extend_from_slice(code.insts());
        self.outlines.extend_from_slice(code.outlines());
        let place = &mut self.funcs[func as usize];
        place.pc = base as u32;
        place.frame_bytes = code.frame_slots() * 8;
        let mut entries = code.into_entries();
        let cost = zeroing.saturating_add(entries.first().map_or(0, |e| u64::from(e.cost)));
        place.cost = i64::try_from(cost).unwrap_or(i64::MAX);
        for entry in &mut entries {
            entry.pc += base as u32;
        }
        self.translated[func as usize] = Translated::Done(entries.into());
    }

    fn entries(&self, func: u32) -> &[Entry] {
        match &self.translated[func as usize] {
            Translated::Done(entries) => entries,
            _ => &[],
        }
    }

    /// The entry before the instruction of this decoded index.
    pub(crate) fn entry_at_index(&self, func: u32, index: u32) -> Option<Entry> {
        let entries = self.entries(func);
        entries.binary_search_by_key(&index, |e| e.index).ok().map(|i| entries[i])
    }

    /// The first entry at this position. Several entries share one where nothing that costs gas or leaves code lies
    /// between them; the one after a call is the first of its position.
    pub(crate) fn entry_at_pc(&self, func: u32, pc: u32) -> Option<Entry> {
        let entries = self.entries(func);
        entries.get(entries.partition_point(|e| e.pc < pc)).filter(|e| e.pc == pc).copied()
    }

    /// Where the function's register code begins.
    pub(crate) fn start(&self, func: u32) -> u32 {
        self.funcs[func as usize].pc
    }
}
