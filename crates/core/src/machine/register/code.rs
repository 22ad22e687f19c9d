//! All register code of a machine in one place, and what a call needs to know of each function.

use super::run::run;
use crate::alloc;
use crate::code::{
    Body, EntryPoint, Environment, FuncCode, Inst, Location, Scope, SideTable, VerifiedCode, translate, verify,
};
use crate::gas::Unit;
use crate::machine::tier::{CodeMark, Exit, Parts, Tier, TierKind};
use crate::machine::{FuncKind, Outline, Store};
use crate::module::FuncType;

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
    Done(Box<[EntryPoint]>),
}

/// The code of all functions of a store; translated when first needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegisterTier {
    pub(crate) insts: Vec<Inst>,
    pub(crate) funcs: Vec<FastFunc>,
    pub(crate) outlines: Vec<Outline>,
    translated: Vec<Translated>,
}

impl RegisterTier {
    /// Adds a function's code. `zeroing` is the gas of setting its locals to zero.
    fn add(&mut self, func: u32, code: Option<VerifiedCode>, zeroing: u64) {
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

    fn entries(&self, func: u32) -> &[EntryPoint] {
        match &self.translated[func as usize] {
            Translated::Done(entries) => entries,
            _ => &[],
        }
    }

    /// Checks the code of a function against the store that it will run on.
    fn verify(&self, func: u32, code: FuncCode, store: &Store) -> VerifiedCode {
        let instance = store.funcs[func as usize].instance;
        let callee_params = |func: u32| {
            let callee = store.funcs.get(func as usize)?;
            (callee.kind == FuncKind::Wasm && callee.instance == instance).then_some(callee.params)
        };
        let scope = Scope {
            globals: store.globals.len(),
            tables: store.tables.len(),
            callee_params: &callee_params,
            memories: store.memories.len(),
            first_outline: self.outlines.len() as u32,
            type_params: &|number| store.types.get(number as usize).map(FuncType::param_slots),
        };
        verify(code, &scope)
            .unwrap_or_else(|(pc, rule)| panic!("BUG: register code of function {func} at {pc}: {rule}"))
    }
}

impl Tier for RegisterTier {
    fn kind(&self) -> TierKind {
        TierKind::Register
    }

    fn copied(&self) -> Box<dyn Tier> {
        Box::new(self.clone())
    }

    fn grow(&mut self, store: &Store) {
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

    fn is_prepared(&self, func: u32) -> bool {
        !matches!(self.translated[func as usize], Translated::NotYet)
    }

    fn prepare(&mut self, func: u32, body: &Body, store: &Store, environment: &Environment<'_>) {
        let environment = Environment { first_outline: self.outlines.len() as u32, ..*environment };
        let code = translate(body, &environment).ok().map(|code| self.verify(func, code, store));
        let zeroed = store.funcs[func as usize].zeroed;
        self.add(func, code, environment.schedule.units(Unit::ZeroedLocals, zeroed.into()));
    }

    fn has_code(&self, func: u32) -> bool {
        matches!(self.translated[func as usize], Translated::Done(_))
    }

    fn entry_at_index(&self, func: u32, index: u32) -> Option<EntryPoint> {
        let entries = self.entries(func);
        entries.binary_search_by_key(&index, |e| e.index).ok().map(|i| entries[i])
    }

    /// Several entries share a position where nothing that costs gas or leaves code lies between them; the one after a call
    /// is the first of its position.
    fn entry_at_position(&self, func: u32, pc: u32) -> Option<EntryPoint> {
        let entries = self.entries(func);
        entries.get(entries.partition_point(|e| e.pc < pc)).filter(|e| e.pc == pc).copied()
    }

    fn run(&self, parts: Parts<'_>, gas: &mut i64) -> Exit {
        run(self, parts, gas)
    }

    fn locate(&self, func: u32, pc: u32, body: &Body, environment: &Environment<'_>) -> Location {
        let pc = pc - self.funcs[func as usize].pc;
        SideTable::new(body, environment).and_then(|table| table.locate(pc)).expect("BUG: a trap has a location")
    }

    fn mark(&self) -> CodeMark {
        CodeMark(self.insts.len(), self.outlines.len())
    }

    fn truncate(&mut self, funcs: usize, CodeMark(insts, outlines): CodeMark) {
        self.funcs.truncate(funcs);
        self.translated.truncate(funcs);
        self.insts.truncate(insts);
        self.outlines.truncate(outlines);
    }
}
