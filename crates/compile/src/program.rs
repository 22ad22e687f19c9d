//! What the emitter knows of a program as a whole: which functions are compiled, what can be called as what, which
//! instructions are emitted.

use std::collections::BTreeMap;

use stepmark_core::code::{Body, Instr, Op};
use stepmark_core::gas::{Schedule, Unit};
use stepmark_core::module::{FuncType, Module};
use stepmark_state::limits::WASM_PAGE;

use crate::cost::is_priced;
use crate::ingredient::Ingredient;
use crate::layout::{Layout, MOST_INSTRUCTIONS, MOST_SLOTS, frame_distance};
use crate::made::made_locals;
use crate::rules::{Num, Rule, Rules};
use crate::site::CompiledFunc;
use crate::source;

/// Operands that there may be on average before an instruction of a function: each place at which it is left stores all that are there. A
/// loop that was unrolled has more. So many are let pass in one function, and in all functions of a program.
const USUAL_OPERANDS: u64 = 8;
const MORE_OPERANDS: u64 = 1 << 16;
const MORE_IN_ALL: u64 = 1 << 17;

/// Instructions from which a function's locals are written through: where a frame is left in so many places, the one place that
/// stores all locals would join them all, and take most of the time that a compiler has for the function.
const WRITTEN_THROUGH: usize = 300;

/// Stands for a function that is not compiled, where signatures are compared.
pub(crate) const NO_SIGNATURE: u32 = u32::MAX;

/// The companion's tables, by function of the program: the functions as they call each other, as they are entered, as they are
/// resumed.
pub(crate) const CALLED: u32 = 0;
pub(crate) const ENTERED: u32 = 1;
pub(crate) const RESUMED: u32 = 2;

/// A program that is being compiled.
pub(crate) struct Program<'a> {
    pub(crate) module: &'a Module,
    pub(crate) schedule: &'a Schedule,
    pub(crate) layout: &'a Layout,
    pub(crate) rules: Rules,
    /// The functions that are compiled, by index.
    pub(crate) funcs: BTreeMap<u32, CompiledFunc>,
    /// Their numbers in that order.
    numbers: BTreeMap<u32, u32>,
    /// By type index, the first type that is the same for certain.
    signatures: Vec<u32>,
    /// By signature, what the dearest of its compiled functions begins with.
    dearest: BTreeMap<u32, i64>,
    /// What is left out, to measure what it costs.
    without: Vec<Ingredient>,
}

impl<'a> Program<'a> {
    /// Chooses from `wanted` what can be compiled.
    pub(crate) fn new(module: &'a Module, schedule: &'a Schedule, layout: &'a Layout, wanted: &[u32]) -> Self {
        let (funcs, numbers, dearest) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (rules, signatures) = (Rules::new(), signatures(module));
        let without = Vec::new();
        let mut program = Program { module, schedule, layout, rules, funcs, numbers, signatures, dearest, without };
        let mut more = MORE_IN_ALL;
        for func in wanted {
            let Some(compiled) = program.candidate(*func, &mut more) else { continue };
            let zeroed = zeroed_cost(schedule, &compiled) as i64;
            let dearest = program.dearest.entry(program.signature(*func)).or_default();
            *dearest = zeroed.max(*dearest);
            program.funcs.insert(*func, compiled);
        }
        program.numbers = program.funcs.keys().copied().zip(0..).collect();
        program
    }

    /// A function, if all its values are numbers and it is neither too large nor free to loop; what it has of operands beyond the usual is
    /// taken from those that may be `more` than that.
    fn candidate(&self, func: u32, more: &mut u64) -> Option<CompiledFunc> {
        let locals = source::locals(self.module, func, MOST_SLOTS)?;
        let ty = self.module.func_type(func);
        let results = Num::list(&ty.results)?;
        let body = Body::decode(self.module, func);
        let slots = body.frame_slots();
        let params = ty.params.len() as u32;
        let frame = frame_distance(slots, body.instrs.len());
        let written_through = body.instrs.len() >= WRITTEN_THROUGH;
        let made = made_locals(&self.rules, &body, &locals, params);
        let compiled = CompiledFunc { params, locals, made, written_through, results, frame };
        let zeroed = zeroed_cost(self.schedule, &compiled);
        let operands: u64 = body.instrs.iter().map(|instr| u64::from(instr.height)).sum();
        let beyond = operands.saturating_sub(USUAL_OPERANDS * body.instrs.len() as u64);
        let is_small =
            slots <= MOST_SLOTS && body.instrs.len() <= MOST_INSTRUCTIONS && beyond <= MORE_OPERANDS.min(*more);
        if !is_small || !is_priced(&body, self.schedule, zeroed) {
            return None;
        }
        *more -= beyond;
        Some(compiled)
    }

    /// Leaves something out.
    pub(crate) fn leave_out(&mut self, without: &[Ingredient]) {
        self.without = without.to_vec();
        if !self.has(Ingredient::Frames) {
            self.funcs.values_mut().for_each(|compiled| compiled.written_through = false);
        }
    }

    /// Whether compiled code has this.
    pub(crate) fn has(&self, ingredient: Ingredient) -> bool {
        !self.without.contains(&ingredient)
    }

    /// What a function can be called as; no other type has the same number unless it is equal.
    pub(crate) fn signature(&self, func: u32) -> u32 {
        self.signatures[self.module.func_type_index(func) as usize]
    }

    /// What a type can be called as.
    pub(crate) fn signature_of_type(&self, ty: u32) -> u32 {
        self.signatures[ty as usize]
    }

    /// What a compiled function charges before its first comparison: for the locals that it sets to zero.
    pub(crate) fn zeroed_cost(&self, func: u32) -> i64 {
        let compiled = self.funcs.get(&func).filter(|_| self.has(Ingredient::Gas));
        compiled.map_or(0, |compiled| zeroed_cost(self.schedule, compiled) as i64)
    }

    /// What the function that is called, or the dearest that may be, charges before its first comparison.
    pub(crate) fn entering_cost(&self, instr: &Instr) -> i64 {
        match instr.op {
            Op::Call => self.zeroed_cost(instr.imm as u32),
            _ => self.dearest.get(&self.signature_of_type(instr.imm as u32)).copied().unwrap_or(0),
        }
    }

    /// The type of what a call calls.
    pub(crate) fn called_type(&self, instr: &Instr) -> &FuncType {
        match instr.op {
            Op::Call => self.module.func_type(instr.imm as u32),
            _ => &self.module.types()[instr.imm as usize],
        }
    }

    /// Index in the companion of the type that a function of a signature has there: three types come first.
    pub(crate) fn companion_type(&self, signature: u32) -> u32 {
        3 + signature
    }

    /// Index in the companion of a compiled function.
    pub(crate) fn companion_func(&self, func: u32) -> u32 {
        self.numbers[&func]
    }

    /// Whether code is emitted for an instruction of a function: compiled code leaves before all others.
    pub(crate) fn is_emitted(&self, compiled: &CompiledFunc, instr: &Instr) -> bool {
        match self.rules.of(instr.op) {
            Rule::Numeric { .. } | Rule::Constant(_) => true,
            Rule::Load { bytes, .. } | Rule::Store { bytes } => self.reaches(instr, bytes),
            Rule::Unknown => false,
            Rule::Special => match instr.op {
                Op::Block | Op::Loop | Op::If => source::block_types(self.module, instr).is_some(),
                Op::Call => self.funcs.contains_key(&(instr.imm as u32)),
                Op::CallIndirect => self.calls_by_table(instr),
                Op::GlobalGet | Op::GlobalSet => self.global(instr).is_some(),
                Op::LocalGet | Op::LocalSet | Op::LocalTee => compiled.locals[instr.imm as usize].is_some(),
                Op::MemorySize => self.is_addressed(instr.aux),
                Op::MemoryFill => self.is_addressed(instr.aux) && self.byte_price(instr.op).is_some(),
                Op::MemoryCopy => instr.imm == 0 && self.is_addressed(instr.aux) && self.byte_price(instr.op).is_some(),
                _ => true,
            },
        }
    }

    /// What `memory.fill` or `memory.copy` costs by the unit: gas, and for how many bytes; `None` if it is so dear that a product
    /// might not fit.
    pub(crate) fn byte_price(&self, op: Op) -> Option<(i64, i64)> {
        let unit = if op == Op::MemoryFill { Unit::MemoryFill } else { Unit::MemoryCopy };
        let cost = self.schedule.units(unit, 1);
        let size = if cost == 0 { 1 } else { self.schedule.most_units(unit, cost) };
        (cost < 1 << 20).then_some((cost as i64, size as i64))
    }

    /// Type and address of the global that an instruction names, if compiled code can hold it.
    pub(crate) fn global(&self, instr: &Instr) -> Option<(Num, u32)> {
        let index = instr.imm as usize;
        let ty = Num::of(self.module.globals()[index].0.value)?;
        Some((ty, *self.layout.globals.get(index)?))
    }

    /// Whether a memory is the one that compiled code addresses.
    fn is_addressed(&self, memory: u32) -> bool {
        memory == 0 && self.module.memories().first().is_some_and(|memory| !memory.is64)
    }

    /// Bytes that the memory has at least.
    pub(crate) fn least_memory(&self) -> u64 {
        self.module.memories().first().map_or(0, |memory| memory.min * WASM_PAGE)
    }

    /// Whether the last byte of an access through an address of 0 still has an address in the companion's memory.
    fn reaches(&self, instr: &Instr, bytes: u32) -> bool {
        let end = instr.imm.saturating_add(bytes.into()).saturating_add(self.layout.memory.into());
        self.is_addressed(instr.memory()) && end <= u64::from(u32::MAX)
    }

    fn calls_by_table(&self, instr: &Instr) -> bool {
        let table = instr.aux as usize;
        let is_narrow = self.module.tables().get(table).is_some_and(|(ty, _)| !ty.limits.is64);
        let has_functions = self.dearest.contains_key(&self.signature_of_type(instr.imm as u32));
        is_narrow && has_functions && self.layout.tables.len() > table
    }
}

fn zeroed_cost(schedule: &Schedule, compiled: &CompiledFunc) -> u64 {
    let zeroed = compiled.locals.len() as u64 - u64::from(compiled.params);
    schedule.units(Unit::ZeroedLocals, zeroed)
}

/// By type index, the first type that is equal. Types of recursion groups are equal to none but themselves here: the
/// interpreter knows better, and is asked.
fn signatures(module: &Module) -> Vec<u32> {
    let mut first: BTreeMap<&FuncType, u32> = BTreeMap::new();
    let mut signatures = Vec::new();
    let mut index = 0;
    for group in module.type_groups() {
        for _ in 0..*group {
            let ty = &module.types()[index as usize];
            let plain = *group == 1 && Num::list(&ty.params).is_some() && Num::list(&ty.results).is_some();
            signatures.push(if plain { *first.entry(ty).or_insert(index) } else { index });
            index += 1;
        }
    }
    signatures
}
