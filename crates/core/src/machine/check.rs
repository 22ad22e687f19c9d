//! The check that stands between a decoded snapshot and a machine: nothing of a snapshot is believed before it has been
//! compared with the program. Positions must be instructions that can be reached, operands must have the heights and types
//! that validation gives them there, callers must have called their callees, and every index and size must be in range.
//! What is consistent but false is not found here but by executing the segment again.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::code::{Body, Instr, Op};
use crate::machine::{FuncKind, Instance, Machine};
use crate::module::{FuncType, HeapType, RefType, TypesAt, ValType, types_at};
use stepmark_state::canonical::{FrameState, InstanceState, Phase, RunState};
use stepmark_state::error::JobError;
use stepmark_state::limits::WASM_PAGE;
use stepmark_state::paged::Paged;
use stepmark_state::pages::SpaceId;

/// A state that fits the program.
#[derive(Clone, Debug)]
pub struct CheckedState {
    state: RunState,
    waiting: Vec<Waiting>,
}

impl CheckedState {
    /// The state.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// The call stacks below the running one; theirs are the first frames.
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }
}

/// A call stack that waits for a contract that it has called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its frames.
    pub frames: usize,
    /// What its outermost frame is a call of: a store address.
    pub func: u32,
}

/// Types of the locals and operands at positions: instance, function, offset.
type Types = BTreeMap<u32, BTreeMap<(u32, u32), TypesAt>>;

/// Checks `state` against a machine in state 0 whose contracts have been entered: below the running call stack, whose
/// outermost frame must be a call of `outermost` (a store address), those that wait. And the spaces `others` (number and
/// pages) of the host modules that go with it.
///
/// # Errors
/// A snapshot error that says what does not fit, where, and what was expected.
pub fn check_state(
    state: RunState,
    machine: &mut Machine,
    outermost: u32,
    waiting: Vec<Waiting>,
    others: &[(SpaceId, u64)],
) -> Result<CheckedState, JobError> {
    let exceptions = state.exceptions.len() as u64;
    let mut checker = Checker::new(machine, exceptions);
    checker.instances(&state)?;
    checker.exceptions(&state)?;
    checker.sizes(&state)?;
    checker.spaces(&state, others)?;
    checker.stacks(&state, outermost, &waiting)?;
    Ok(CheckedState { state, waiting })
}

struct Checker<'a> {
    machine: &'a mut Machine,
    /// How many exceptions there are to refer to.
    exceptions: u64,
    /// Bodies of the functions on the call stack, each decoded once.
    bodies: BTreeMap<u32, Arc<Body>>,
    /// Whether functions make tail calls.
    tail_callers: BTreeMap<u32, bool>,
    /// Whether the results of one type fit those of another, by their numbers.
    fitting: BTreeMap<(u32, u32), bool>,
}

impl<'a> Checker<'a> {
    fn new(machine: &'a mut Machine, exceptions: u64) -> Self {
        let (bodies, tail_callers, fitting) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Checker { machine, exceptions, bodies, tail_callers, fitting }
    }
}

fn mismatch(what: impl std::fmt::Display, found: impl std::fmt::Display, expected: impl std::fmt::Display) -> JobError {
    JobError::snapshot(format!("state: {what} is {found}, expected {expected}"))
}

impl Checker<'_> {
    // Instances.

    fn instances(&self, state: &RunState) -> Result<(), JobError> {
        let expected = self.machine.store.instances.len();
        if state.instances.len() != expected {
            return Err(mismatch("the number of instances", state.instances.len(), expected));
        }
        for (number, instance) in state.instances.iter().enumerate() {
            self.instance(number, instance).map_err(|e| e.context(format!("instance {number}")))?;
        }
        Ok(())
    }

    fn instance(&self, number: usize, state: &InstanceState) -> Result<(), JobError> {
        let store = &self.machine.store;
        let Some(instance) = store.instances.get(number) else { return Err(mismatch("the instance", number, "less")) };
        let module = &instance.module;
        let initial = self.machine.instance_state(instance);
        let types = module.globals().iter().skip(module.imported_globals() as usize);
        let types = types.flat_map(|(ty, _)| ty.value.slot_types().map(|slot| (ty.mutable, slot)));
        same_count("slots of globals", state.globals.len(), initial.globals.len())?;
        for (index, ((mutable, ty), (value, initial))) in
            types.zip(state.globals.iter().zip(&initial.globals)).enumerate()
        {
            if !mutable && initial != value {
                return Err(mismatch(format!("slot {index} of the globals, an immutable one,"), value, initial));
            }
            let ty = ty.renumbered(&|index| number_of(instance, index));
            self.value(Some(ty), *value).map_err(|e| e.context(format!("slot {index} of the globals")))?;
        }
        same_count("memories", state.memories.len(), initial.memories.len())?;
        same_count("tables", state.tables.len(), initial.tables.len())?;
        dropped("data", &state.dropped_data, &initial.dropped_data, module.data().len())?;
        dropped("element", &state.dropped_elements, &initial.dropped_elements, module.elements().len())
    }

    /// Sizes of memories and tables: each between its size at the start and its maximum, all within the job's limits.
    fn sizes(&self, state: &RunState) -> Result<(), JobError> {
        let store = &self.machine.store;
        let limits = self.machine.limits();
        let pages: Vec<u64> = state.instances.iter().flat_map(|i| i.memories.iter().copied()).collect();
        for (number, (size, memory)) in pages.iter().zip(&store.memories).enumerate() {
            in_range(format!("pages of memory {number}"), *size, memory.pages(), memory.max_pages())?;
        }
        let bytes = pages.iter().fold(0u64, |sum, n| sum.saturating_add(n.saturating_mul(WASM_PAGE)));
        in_range("bytes of all memories".to_owned(), bytes, 0, limits.memory_bytes)?;
        let elements: Vec<u64> = state.instances.iter().flat_map(|i| i.tables.iter().copied()).collect();
        for (number, (size, table)) in elements.iter().zip(&store.tables).enumerate() {
            in_range(format!("elements of table {number}"), *size, table.size(), table.max_size())?;
        }
        let total = elements.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
        in_range("elements of all tables".to_owned(), total, 0, limits.table_elements)
    }

    fn spaces(&self, state: &RunState, others: &[(SpaceId, u64)]) -> Result<(), JobError> {
        let pages_of = |bytes: u64| bytes.div_ceil(stepmark_state::pages::PAGE as u64);
        let memories = state.instances.iter().flat_map(|i| &i.memories);
        let memories = memories.map(|pages| pages_of(pages.saturating_mul(WASM_PAGE)));
        let tables = state.instances.iter().flat_map(|i| &i.tables);
        let tables = tables.map(|size| pages_of(size.saturating_mul(8)));
        let numbers = self.machine.store.numbers();
        let own = numbers.iter().zip(memories.chain(tables)).map(|(id, pages)| (*id, pages));
        let others = others.iter().copied();
        let expected: Vec<_> = own.chain(others).map(|(id, pages)| (id.kind, id.index, pages)).collect();
        let found: Vec<_> = state.spaces.iter().map(|s| (s.kind, s.index, s.pages)).collect();
        if found != expected {
            return Err(mismatch(
                "the list of spaces (kind, index, pages)",
                format!("{found:?}"),
                format!("{expected:?}"),
            ));
        }
        Ok(())
    }

    // Frames.

    /// The frames of all call stacks.
    fn stacks(&mut self, state: &RunState, outermost: u32, waiting: &[Waiting]) -> Result<(), JobError> {
        let depth = self.machine.limits().call_depth;
        if state.frames.len() as u64 > u64::from(depth) {
            return Err(mismatch("the call depth", state.frames.len(), format!("at most {depth}")));
        }
        let mut rest = state.frames.as_slice();
        for stack in waiting {
            let Some((frames, others)) = rest.split_at_checked(stack.frames) else {
                return Err(mismatch("the number of frames", rest.len(), format!("at least {}", stack.frames)));
            };
            if frames.is_empty() {
                return Err(mismatch("the number of frames that wait", 0, "one or more"));
            }
            self.frames(frames, state.phase, stack.func)?;
            rest = others;
        }
        self.frames(rest, state.phase, outermost)
    }

    fn frames(&mut self, frames: &[FrameState], phase: Phase, outermost: u32) -> Result<(), JobError> {
        let Some(first) = frames.first() else { return self.no_frames(phase, outermost) };
        let called = self.func(first).and_then(|called| self.callee(outermost, None, called));
        called.map_err(|e| e.context("frame 0"))?;
        let mut slots = 0u64;
        for (number, frame) in frames.iter().enumerate() {
            let next = frames.get(number.saturating_add(1));
            slots = self.frame(frame, next, slots).map_err(|e| e.context(format!("frame {number}")))?;
        }
        // Only now is it known that the types are no more than the values that are there.
        let types = self.types(frames);
        for (number, frame) in frames.iter().enumerate() {
            self.frame_values(frame, &types).map_err(|e| e.context(format!("frame {number}")))?;
        }
        Ok(())
    }

    fn body(&mut self, func: u32) -> Arc<Body> {
        self.bodies.entry(func).or_insert_with(|| self.machine.body(func)).clone()
    }

    fn no_frames(&self, phase: Phase, outermost: u32) -> Result<(), JobError> {
        match self.machine.store.funcs.get(outermost as usize).map(|f| f.kind) {
            _ if phase == Phase::Finished => Ok(()),
            Some(FuncKind::Host(_)) => Ok(()),
            _ => Err(mismatch("the number of frames", 0, "one or more")),
        }
    }

    /// The store address of a frame's function.
    fn func(&self, frame: &FrameState) -> Result<u32, JobError> {
        let store = &self.machine.store;
        let instance = store.instances.get(frame.instance as usize);
        let instance = instance.ok_or_else(|| mismatch("an instance", frame.instance, "one of the program's"))?;
        let module = &instance.module;
        let defined = module.imported_funcs()..module.func_count();
        match instance.funcs.get(frame.func as usize) {
            Some(func) if defined.contains(&frame.func) => Ok(*func),
            _ => Err(mismatch("a function", frame.func, format!("in {}..{}", defined.start, defined.end))),
        }
    }

    /// Checks one frame that begins at slot `base`, all but the types of its values; where the next begins.
    fn frame(&mut self, frame: &FrameState, next: Option<&FrameState>, base: u64) -> Result<u64, JobError> {
        let func = self.func(frame)?;
        let body = self.body(func);
        let slots = base.saturating_add(u64::from(body.frame_slots()));
        let limit = self.machine.limits().stack_slots;
        if slots > u64::from(limit) {
            return Err(mismatch("the size of the stack", slots, format!("at most {limit}")));
        }
        let index = body.index_of(frame.offset);
        let not_boundary = || {
            let message =
                format!("offset {:#x} is no instruction of function {} that can be reached", frame.offset, frame.func);
            JobError::snapshot(message)
        };
        let index = index.ok_or_else(not_boundary)?;
        let height = usize::try_from(index).ok().and_then(|index| body.instrs.get(index)).map_or(0, |i| i.height);
        let mut operands = height as usize;
        if let Some(next) = next {
            let call = caller(&body, index)
                .ok_or_else(|| mismatch("the instruction before", "no call", "the call of the next frame"))?;
            operands = operands.saturating_sub(self.call(frame, call, next)?);
        }
        same_count("locals", frame.locals.len(), body.locals as usize)?;
        same_count("operands", frame.operands.len(), operands)?;
        Ok(base.saturating_add(frame.locals.len() as u64).saturating_add(frame.operands.len() as u64))
    }

    /// Checks that `call` in `frame` can have led to `next`; the number of its results.
    fn call(&mut self, frame: &FrameState, call: Instr, next: &FrameState) -> Result<usize, JobError> {
        let called = self.func(next)?;
        let store = &self.machine.store;
        let Some(instance) = store.instances.get(frame.instance as usize) else {
            return Err(mismatch("an instance", frame.instance, "less"));
        };
        let immediate = usize::try_from(call.imm).unwrap_or(usize::MAX);
        if call.op == Op::Call {
            let wanted = instance.funcs.get(immediate).copied().unwrap_or(u32::MAX);
            self.callee(wanted, None, called)
        } else {
            let wanted = instance.types.get(immediate).copied();
            let found = store.funcs.get(called as usize).filter(|func| Some(func.type_number) == wanted);
            let results = found.map(|func| func.results as usize);
            results.map_or_else(|| self.callee(called, Some((frame, immediate)), called), Ok)
        }
    }

    /// `called` runs where `wanted` was called (or, through a table, a function of a type): itself, or after a tail call
    /// a function with the same results; the number of those.
    fn callee(&mut self, wanted: u32, indirect: Option<(&FrameState, usize)>, called: u32) -> Result<usize, JobError> {
        let store = &self.machine.store;
        let number = match indirect {
            Some((frame, ty)) => {
                store.instances.get(frame.instance as usize).and_then(|instance| instance.types.get(ty).copied())
            }
            None => store.funcs.get(wanted as usize).map(|func| func.type_number),
        };
        let Some(func) = store.funcs.get(called as usize).copied() else {
            return Err(mismatch("a function", called, "one of the store's"));
        };
        let count = func.results as usize;
        if wanted == called && indirect.is_none() {
            return Ok(count);
        }
        let fits = number.is_some_and(|number| self.results_fit(func.type_number, number));
        let by_tail_call = fits && (indirect.is_some() || self.may_tail_call(wanted));
        if by_tail_call {
            Ok(count)
        } else {
            let expected = match indirect {
                Some((_, ty)) => format!("one of type {ty}"),
                None => format!("{}, which was called", self.shown(wanted)),
            };
            Err(mismatch("what runs", self.shown(called), expected))
        }
    }

    /// Whether what returns the results of the first type (by number) can return where those of the second are expected. Each pair
    /// is compared once: many frames can stand between two types with many results.
    fn results_fit(&mut self, found: u32, expected: u32) -> bool {
        if let Some(known) = self.fitting.get(&(found, expected)) {
            return *known;
        }
        let results = |number: u32| self.machine.store.types.get(number as usize).map(|ty| &ty.results);
        let fits = results(found).zip(results(expected)).is_some_and(|(found, expected)| {
            let mut pairs = found.iter().zip(expected.iter());
            found.len() == expected.len() && pairs.all(|(found, expected)| found.matches(*expected))
        });
        self.fitting.insert((found, expected), fits);
        fits
    }

    /// A function (store address) in messages.
    fn shown(&self, func: u32) -> String {
        let func = self.machine.store.funcs.get(func as usize);
        func.map_or_else(|| "nothing".to_owned(), |f| format!("function {} of instance {}", f.index, f.instance))
    }

    fn may_tail_call(&mut self, func: u32) -> bool {
        if let Some(known) = self.tail_callers.get(&func) {
            return *known;
        }
        let is_wasm = self.machine.store.funcs.get(func as usize).is_some_and(|f| f.kind == FuncKind::Wasm);
        let may = is_wasm && self.body(func).instrs.iter().any(|i| i.op.is_tail_call());
        self.tail_callers.insert(func, may);
        may
    }

    // Values.

    /// The types at the positions of all frames.
    fn types(&self, frames: &[FrameState]) -> Types {
        let mut wanted: BTreeMap<u32, BTreeMap<u32, BTreeSet<u32>>> = BTreeMap::new();
        for frame in frames {
            wanted.entry(frame.instance).or_default().entry(frame.func).or_default().insert(frame.offset);
        }
        let instances = &self.machine.store.instances;
        let types = |(number, positions): (u32, BTreeMap<u32, BTreeSet<u32>>)| {
            let instance = instances.get(number as usize);
            (number, instance.map(|i| types_at(&i.module, &positions)).unwrap_or_default())
        };
        wanted.into_iter().map(types).collect()
    }

    fn frame_values(&self, frame: &FrameState, types: &Types) -> Result<(), JobError> {
        let types = types.get(&frame.instance).and_then(|types| types.get(&(frame.func, frame.offset)));
        let (locals, operands) = types.ok_or_else(|| mismatch("the offset", frame.offset, "an instruction"))?;
        let Some(instance) = self.machine.store.instances.get(frame.instance as usize) else {
            return Err(mismatch("an instance", frame.instance, "less"));
        };
        let number = |index| number_of(instance, index);
        // A local that is never null is zero until it is first set.
        let locals = locals.iter().map(|ty| ty.map(|ty| nullable(ty.renumbered(&number))));
        self.values("slot of a local", locals, &frame.locals)?;
        // Of an outer frame the results of its call are not there yet.
        let operands = operands.iter().map(|ty| ty.map(|ty| ty.renumbered(&number)));
        self.values("slot of an operand", operands, &frame.operands)
    }

    fn values(&self, what: &str, types: impl Iterator<Item = Option<ValType>>, values: &[u64]) -> Result<(), JobError> {
        for (number, (ty, value)) in types.zip(values).enumerate() {
            self.value(ty, *value).map_err(|e| e.context(format!("{what} {number}")))?;
        }
        Ok(())
    }

    // Exceptions.

    fn exceptions(&self, state: &RunState) -> Result<(), JobError> {
        let store = &self.machine.store;
        let mut slots_taken = 0u64;
        for (number, exception) in state.exceptions.iter().enumerate() {
            let instance = store.instances.get(exception.instance as usize);
            let address = instance.and_then(|instance| instance.tags.get(exception.tag as usize));
            let tag = address.and_then(|address| store.tags.get(*address as usize));
            let own = tag.filter(|tag| (tag.instance, tag.index) == (exception.instance, exception.tag));
            let ty = own.and_then(|tag| store.types.get(tag.type_number as usize));
            let ty = ty.ok_or_else(|| mismatch("a tag", exception.tag, "one of the instance's own"));
            let ty = ty.map_err(|e| e.context(format!("exception {number}")))?;
            same_count("slots of the payload", exception.values.len(), ty.param_slots() as usize)?;
            let types = ty.params.iter().flat_map(|ty| ty.slot_types()).map(Some);
            self.values("slot", types, &exception.values).map_err(|e| e.context(format!("exception {number}")))?;
            slots_taken = slots_taken.saturating_add(1).saturating_add(exception.values.len() as u64);
        }
        let numbers: BTreeSet<u32> = store.tags.iter().map(|tag| tag.type_number).collect();
        let types = numbers.into_iter().filter_map(|number| store.types.get(number as usize));
        let greatest = types.map(FuncType::param_slots).max().unwrap_or(0);
        let most = u64::from(self.machine.limits().exception_slots).saturating_add(1).saturating_add(greatest.into());
        in_range("slots of all exceptions".to_owned(), state.exception_slots, slots_taken, most)
    }

    fn value(&self, ty: Option<ValType>, value: u64) -> Result<(), JobError> {
        let fits = match ty {
            Some(ValType::I32 | ValType::F32) => u32::try_from(value).is_ok(),
            Some(ValType::I64 | ValType::F64 | ValType::V128) | None => true,
            Some(ValType::Ref(ty)) if value == 0 => ty.nullable,
            Some(ValType::Ref(ty)) => self.is_reference(ty.heap, value),
        };
        let name = ty.map_or_else(|| "value".to_owned(), |ty| ty.to_string());
        if fits { Ok(()) } else { Err(mismatch("a value", format!("{value:#x}"), format!("a valid {name}"))) }
    }

    /// A reference that is not null to something of this type, a function's in the one form that the node gives it.
    fn is_reference(&self, heap: HeapType, value: u64) -> bool {
        let store = &self.machine.store;
        let func = store.func_of_ref(value).filter(|func| store.func_ref(*func) == value);
        match heap {
            HeapType::Func => func.is_some(),
            HeapType::Type(number) => {
                func.and_then(|func| store.funcs.get(func as usize)).is_some_and(|func| func.type_number == number)
            }
            HeapType::Extern => value <= 1 << 32,
            HeapType::Exn => value <= self.exceptions,
            HeapType::NoFunc | HeapType::NoExtern | HeapType::NoExn => false,
        }
    }
}

/// Checks the elements of all tables, once the chain's pages are in them, and that exceptions are numbered as they are
/// reached from there and elsewhere.
///
/// # Errors
/// An element that is no valid reference of its table's type; an exception out of order, or that nothing reaches.
pub fn check_tables(machine: &mut Machine) -> Result<(), JobError> {
    let exceptions = machine.store.exceptions.list().len() as u64;
    let checker = Checker::new(machine, exceptions);
    for (number, table) in checker.machine.store.tables.iter().enumerate() {
        let ty = Some(ValType::Ref(table.ty().element));
        for (index, element) in table.elements().iter().enumerate() {
            checker.value(ty, *element).map_err(|e| e.context(format!("table {number}: element {index}")))?;
        }
    }
    if machine.collect_exceptions() {
        Ok(())
    } else {
        Err(JobError::snapshot("state: exceptions are not numbered in the order in which they are reached"))
    }
}

/// The number in the store of a type of an instance's module.
fn number_of(instance: &Instance, index: u32) -> u32 {
    instance.types.get(index as usize).copied().unwrap_or(u32::MAX)
}

/// The type with null.
fn nullable(ty: ValType) -> ValType {
    match ty {
        ValType::Ref(ty) => ValType::Ref(RefType { nullable: true, ..ty }),
        other => other,
    }
}

/// The call that the instruction at `index` follows.
fn caller(body: &Body, index: u32) -> Option<Instr> {
    let call = body.instrs.get(usize::try_from(index.checked_sub(1)?).ok()?)?;
    (call.op.is_call() && !call.op.is_tail_call()).then_some(*call)
}

fn same_count(what: &str, found: usize, expected: usize) -> Result<(), JobError> {
    if found == expected { Ok(()) } else { Err(mismatch(format!("the number of {what}"), found, expected)) }
}

fn in_range(what: String, found: u64, least: u64, most: u64) -> Result<(), JobError> {
    if (least..=most).contains(&found) { Ok(()) } else { Err(mismatch(what, found, format!("in {least}..={most}"))) }
}

/// Segments dropped (in ascending order, as decoding has checked): in range, and at least those that instantiation drops.
fn dropped(what: &str, found: &[u32], initial: &[u32], count: usize) -> Result<(), JobError> {
    if let Some(index) = found.iter().find(|index| **index as usize >= count) {
        return Err(mismatch(format!("a dropped {what} segment"), index, format!("below {count}")));
    }
    match initial.iter().find(|index| found.binary_search(index).is_err()) {
        Some(index) => Err(mismatch(format!("active {what} segment {index}"), "not dropped", "dropped")),
        None => Ok(()),
    }
}
