//! All register code of a machine in one place, and what a call needs to know of each function.

use crate::code::{Entry, FuncCode, Inst};
use crate::runtime::Store;

/// Greater than any counter: a call of a function without register code always stops the fast engine.
const UNPAYABLE: u64 = i64::MAX as u64;

/// What a call needs of its callee.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FastFunc {
    /// Where its register code begins.
    pub(crate) pc: u32,
    /// Slots of its frame.
    pub(crate) frame_slots: u32,
    /// Gas that entering it charges: its zeroed locals and T of its first block.
    pub(crate) cost: i64,
    /// Parameter slots.
    pub(crate) params: u32,
    /// Slots that a call sets to zero.
    pub(crate) zeroed: u32,
    /// Number of its type.
    pub(crate) type_number: u32,
    /// Address of memory 0 of its instance.
    memory: Option<u32>,
}

#[derive(Clone, Debug)]
enum Translated {
    NotYet,
    TooLarge,
    /// Position of the code, and its entries with absolute positions.
    Done(Vec<Entry>),
}

/// The code of all functions of a store; translated when first needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    pub(crate) insts: Vec<Inst>,
    pub(crate) funcs: Vec<FastFunc>,
    translated: Vec<Translated>,
}

impl Code {
    /// Takes note of functions that the store has gained.
    pub(crate) fn grow(&mut self, store: &Store) {
        for func in &store.funcs[self.funcs.len()..] {
            let memory = store.instances.get(func.instance as usize).and_then(|i| i.memories.first().copied());
            self.funcs.push(FastFunc {
                pc: 0,
                frame_slots: 0,
                cost: UNPAYABLE as i64,
                params: func.params,
                zeroed: func.zeroed,
                type_number: func.type_number,
                memory,
            });
            self.translated.push(Translated::NotYet);
        }
    }

    /// Has translating this function been tried.
    pub(crate) fn is_known(&self, func: u32) -> bool {
        !matches!(self.translated[func as usize], Translated::NotYet)
    }

    /// Adds a function's code. `zeroing` is the gas of setting its locals to zero.
    pub(crate) fn add(&mut self, func: u32, code: Option<FuncCode>, zeroing: u64) {
        let base = self.insts.len();
        let known = code.filter(|code| u32::try_from(base + code.insts.len()).is_ok());
        let Some(mut code) = known else {
            self.translated[func as usize] = Translated::TooLarge;
            return;
        };
        self.insts.extend_from_slice(&code.insts);
        for entry in &mut code.entries {
            entry.pc += base as u32;
        }
        let place = &mut self.funcs[func as usize];
        place.pc = base as u32;
        place.frame_slots = code.frame_slots;
        let cost = zeroing.saturating_add(code.entries.first().map_or(0, |e| u64::from(e.cost)));
        place.cost = cost.min(UNPAYABLE) as i64;
        self.translated[func as usize] = Translated::Done(code.entries);
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

    /// Address of memory 0 of the function's instance.
    #[inline]
    pub(crate) fn memory_of(&self, func: u32) -> Option<u32> {
        self.funcs[func as usize].memory
    }
}
