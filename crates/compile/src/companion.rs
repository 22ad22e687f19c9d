//! The companion as a module: its sections around the functions.
//!
//! It imports one memory, `env` `memory`, and exports `enter` and `resume`. Functions of the program come first, in the order of their
//! indices; behind them, for each, the form that takes its arguments from its frame; then `enter`,
//! the resumed forms and `resume`.

use std::collections::{BTreeMap, BTreeSet};

use stepmark_core::gas::Schedule;
use stepmark_core::module::Module;
use wasm_encoder as we;

use crate::entry;
use crate::function::{Entries, FuncEmitter};
use crate::ingredient::Ingredient;
use crate::layout::Layout;
use crate::made::can_be_made;
use crate::points::EntrySite;
use crate::program::{CALLED, ENTERED, NO_SIGNATURE, Program, RESUMED};
use crate::rules::Num;
use crate::site::{CompiledFunc, LeaveSite};

/// What is emitted of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// A module in binary form. It imports a memory as `env` `memory`, and exports
    /// `enter(func: i32, frame: i32, gas: i64) -> i64`: calls a [compiled](Self::funcs) function with the arguments in the slots
    /// of `frame`. It answers the gas that is left, with the results in the slots of `frame`, or [`LEFT`](crate::LEFT), with
    /// frames from there on.
    ///
    /// And `resume(func: i32, point: i32, frame: i32, gas: i64) -> i64`: goes on at an [entry](Self::entries) of a function with
    /// the locals and operands in the slots of `frame`; it answers the same.
    pub wasm: Vec<u8>,
    /// Bytes of the code of its functions without their resumed forms.
    pub normal_bytes: usize,
    /// Where its code can be left, by the number in the header of a frame.
    pub sites: Vec<LeaveSite>,
    /// The functions that are compiled, by index.
    pub funcs: BTreeMap<u32, CompiledFunc>,
    /// Where its functions can be entered: by function, by byte offset in the program's module of the instruction at which it
    /// goes on. The first of a function has the number 0 and is for `enter`. Only frames for which there is an
    /// [`entry`](Self::entry) may be entered.
    pub entries: BTreeMap<u32, BTreeMap<u32, EntrySite>>,
}

impl Companion {
    /// The entry at which a frame of a function with these locals rests, if it can be entered there: the locals are then ones that
    /// the program can have.
    pub fn entry(&self, func: u32, offset: u32, locals: &[u64]) -> Option<&EntrySite> {
        let entry = self.entries.get(&func)?.get(&offset)?;
        let compiled = self.funcs.get(&func)?;
        let is_begun = entry.number > 0 || locals.iter().skip(compiled.params as usize).all(|local| *local == 0);
        let kinds = compiled.locals.iter().zip(&compiled.made);
        let can_be =
            |((ty, made), bits): ((&Option<Num>, &bool), &u64)| !made || ty.is_none_or(|ty| can_be_made(ty, *bits));
        (is_begun && locals.len() == compiled.locals.len() && kinds.zip(locals).all(can_be)).then_some(entry)
    }
}

/// Emits those of the `wanted` functions of a module that can be compiled, for an instance whose parts lie where `layout` says.
///
/// Those of `points`, byte offsets by function as [`entry_offsets`](crate::entry_offsets) gives them, can be entered.
///
/// The same arguments give the same companion everywhere.
pub fn emit(
    module: &Module,
    schedule: &Schedule,
    layout: &Layout,
    wanted: &[u32],
    points: &BTreeMap<u32, BTreeSet<u32>>,
) -> Companion {
    emit_without(&[], module, schedule, layout, wanted, points)
}

/// The same without some of what makes compiled code keep its promises: nothing that comes of it may be believed. It is for measuring.
pub fn emit_without(
    without: &[Ingredient],
    module: &Module,
    schedule: &Schedule,
    layout: &Layout,
    wanted: &[u32],
    points: &BTreeMap<u32, BTreeSet<u32>>,
) -> Companion {
    let mut program = Program::new(module, schedule, layout, wanted);
    program.leave_out(without);
    let (mut sites, mut entries) = (Vec::new(), BTreeMap::<u32, Entries>::new());
    let mut code = we::CodeSection::new();
    for func in program.funcs.keys() {
        let (function, entry) = FuncEmitter::normal(&program, *func, &mut sites);
        code.function(&function);
        entries.insert(*func, entry);
    }
    for func in program.funcs.keys() {
        code.function(&entry::from_frame(&program, *func));
    }
    code.function(&entry::enter());
    let normal_bytes = code.byte_len();
    let mut resumed = Vec::new();
    for (func, offsets) in points {
        let Some(entries) = entries.get_mut(func) else { continue };
        let (function, more) = FuncEmitter::resumed(&program, *func, offsets, &mut sites);
        code.function(&function);
        entries.extend(more);
        resumed.push(*func);
    }
    code.function(&entry::resume());
    let wasm = sections(&program, &resumed, &code);
    Companion { wasm, normal_bytes, sites, funcs: program.funcs, entries }
}

fn sections(program: &Program<'_>, resumed: &[u32], code: &we::CodeSection) -> Vec<u8> {
    let (types, functions) = (types(program), functions(program, resumed.len()));
    let mut imports = we::ImportSection::new();
    let memory = we::MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
    imports.import("env", "memory", memory);
    let mut tables = we::TableSection::new();
    let size = u64::from(program.module.func_count());
    let table = we::TableType {
        element_type: we::RefType::FUNCREF,
        table64: false,
        minimum: size,
        maximum: Some(size),
        shared: false,
    };
    tables.table(table).table(table).table(table);
    let mut exports = we::ExportSection::new();
    let count = program.funcs.len() as u32;
    let enter = 2 * count;
    exports.export("enter", we::ExportKind::Func, enter);
    exports.export("resume", we::ExportKind::Func, enter + 1 + resumed.len() as u32);
    let mut elements = we::ElementSection::new();
    let mut put = |table: u32, place: u32, function: u32| {
        let function = [function];
        let function = we::Elements::Functions(function[..].into());
        elements.active(Some(table), &we::ConstExpr::i32_const(place as i32), function);
    };
    for (number, func) in (0..).zip(program.funcs.keys()) {
        put(CALLED, *func, number);
        put(ENTERED, *func, count + number);
    }
    for (number, func) in (0..).zip(resumed) {
        put(RESUMED, *func, enter + 1 + number);
    }
    let mut data = we::DataSection::new();
    data.active(0, &we::ConstExpr::i32_const(program.layout.signatures as i32), signatures(program));
    let mut module = we::Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables).section(&exports);
    module.section(&elements).section(code).section(&data);
    module.finish()
}

/// Types of what enters a frame, of `enter` and what resumes a frame, and of `resume`; then those of the functions.
fn types(program: &Program<'_>) -> we::TypeSection {
    let mut types = we::TypeSection::new();
    for words in 1..=3 {
        let params = std::iter::repeat_n(we::ValType::I32, words).chain([we::ValType::I64]);
        types.ty().function(params.collect::<Vec<_>>(), [we::ValType::I64]);
    }
    for ty in program.module.types() {
        // Those that no compiled function has are never named.
        let list = |types| Num::list(types).unwrap_or_default();
        let encoded = |types, more: &[we::ValType]| {
            list(types).into_iter().map(Num::encoded).chain(more.iter().copied()).collect::<Vec<_>>()
        };
        let params = encoded(&ty.params, &[we::ValType::I32, we::ValType::I64]);
        types.ty().function(params, encoded(&ty.results, &[we::ValType::I64]));
    }
    types
}

fn functions(program: &Program<'_>, resumed: usize) -> we::FunctionSection {
    let mut functions = we::FunctionSection::new();
    for func in program.funcs.keys() {
        functions.function(program.companion_type(program.signature(*func)));
    }
    for _ in &program.funcs {
        functions.function(0);
    }
    // `enter`, the resumed forms, `resume`.
    for _ in 0..1 + resumed {
        functions.function(1);
    }
    functions.function(2);
    functions
}

/// By function of the program, what it can be called as.
fn signatures(program: &Program<'_>) -> Vec<u8> {
    let signature = |func: u32| match program.funcs.contains_key(&func) {
        true => program.signature(func),
        false => NO_SIGNATURE,
    };
    (0..program.module.func_count()).flat_map(|func| signature(func).to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TablePlace, entry_offsets};
    use stepmark_core::module::Features;

    const PROGRAM: &str =
        "(module (memory 1) (global $g (mut i32) (i32.const 0)) (table 2 funcref) (elem (i32.const 0) $f)
        (type $t (func (param i32) (result i64 f32)))
        (func $f (type $t) (local f64 v128)
            (block (result i64)
                (if (i32.eqz (local.get 0)) (then (return (i64.const 1) (f32.const nan))))
                (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                (i32.store offset=70000 (i32.div_s (local.get 0) (global.get $g)) (memory.grow (i32.const 1)))
                (call_indirect (type $t) (local.get 0) (i32.const 0))
                (local.set 1 (f64.promote_f32))
                (br 0))
            (f32.demote_f64 (local.get 1))))";

    fn companion(wanted: &[u32]) -> Companion {
        let module = Module::parse(wat::parse_str(PROGRAM).unwrap(), Features::default()).unwrap();
        let layout = Layout {
            instance: 0,
            memory: 65536,
            memory_size: 24,
            marks: 2048,
            globals: vec![32],
            tables: vec![TablePlace { elements: 64, size: 28 }],
            signatures: 128,
            gas: 16,
            innermost: 8,
            frame_limit: 8192,
        };
        let points = BTreeMap::from([(0, entry_offsets(&module, 0))]);
        emit(&module, &Schedule::default(), &layout, wanted, &points)
    }

    #[test]
    fn what_is_emitted_is_valid_and_the_same_each_time() {
        let first = companion(&[0]);
        wasmparser::validate(&first.wasm).unwrap();
        assert_eq!(first, companion(&[0]));
        assert_eq!((first.funcs.len(), first.entries[&0].len()), (1, 3));
    }

    #[test]
    fn a_companion_of_no_functions_is_valid() {
        let none = companion(&[]);
        wasmparser::validate(&none.wasm).unwrap();
        assert!(none.funcs.is_empty() && none.entries.is_empty() && none.sites.is_empty());
    }
}
