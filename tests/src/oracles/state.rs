//! The oracle of state: wasmtime's debugger, stepping from instruction to instruction, sees every frame of the program that
//! it compiled. Where it stands after so many instructions, our stepper stands too: the same functions, offsets, locals and
//! operands, and the same globals, memories and tables, by bit pattern. References to functions are compared by the function
//! that they mean, exceptions by their payload.
//!
//! Of a frame that waits for a call, our offset is that of the instruction after the call. Wasmtime's is that one or the
//! call's, and above our operands it may show the arguments, which are locals of the next frame, or places for the results,
//! which hold nothing yet: it takes the place that its table has nearest before the return address. What lies below the call
//! is compared.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

use anyhow::{Context, Result, anyhow, bail, ensure};
use stepmark_core::code::{Body, Instr, Op};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Extern, InstanceLinker, Machine, NoHost, Stop};
use stepmark_core::module::{ExternKind, Features, Module, ValType};
use stepmark_state::canonical::{ExceptionState, FrameState};
use stepmark_state::limits::Limits;
use stepmark_state::trap::Trap;
use wasmtime::{AsContextMut, DebugEvent, DebugHandler, FrameHandle, StoreContextMut, Val};

use crate::differential::others::{arguments, wasmtime_config};
use crate::generate::{Rng, random_args};

/// Instructions of a call; longer ones are left out.
const MOST: u64 = 20_000;
/// Frames, so that wasmtime's stack holds them too.
const CALL_DEPTH: u32 = 100;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Modules that could be instantiated.
    pub modules: u64,
    /// Calls: both executed the same number of instructions.
    pub calls: u64,
    /// Instructions that they executed.
    pub instructions: u64,
    /// Stops at which the states were equal.
    pub stops: u64,
    /// Frames there.
    pub frames: u64,
    /// Locals, operands, globals and elements there, and the fields of exceptions.
    pub values: u64,
    /// Bytes of memories there.
    pub bytes: u64,
    /// Calls left out: too long, or out of stack or exceptions.
    pub left_out: u64,
}

impl Figures {
    /// Adds another run's.
    pub fn add(&mut self, other: &Figures) {
        self.modules += other.modules;
        self.calls += other.calls;
        self.instructions += other.instructions;
        self.stops += other.stops;
        self.frames += other.frames;
        self.values += other.values;
        self.bytes += other.bytes;
        self.left_out += other.left_out;
    }
}

/// Changes what our side says of a stop, so that the oracle has to object.
pub type Tamper = fn(&mut Vec<FrameState>);

/// Wasmtime with its debugger.
#[derive(Clone)]
pub struct StateOracle {
    engine: wasmtime::Engine,
    tamper: Option<Tamper>,
}

impl StateOracle {
    /// # Errors
    /// If wasmtime refuses its configuration.
    pub fn new() -> Result<Self> {
        let mut config = wasmtime_config();
        config.guest_debug(true).compiler_inlining(wasmtime::Inlining::No);
        Ok(Self { engine: wasmtime::Engine::new(&config).map_err(|e| anyhow!("{e}"))?, tamper: None })
    }

    /// An oracle that is told something else than our state.
    ///
    /// # Errors
    /// As [`StateOracle::new`].
    pub fn tampered(tamper: Tamper) -> Result<Self> {
        Ok(Self { tamper: Some(tamper), ..Self::new()? })
    }

    /// Compares states at up to `stops` random instructions of a call of every exported function.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&self, bytes: &[u8], seed: u64, stops: u64) -> Result<Figures> {
        let module = Arc::new(Module::parse(bytes.to_vec(), Features::default())?);
        let mut machine = Machine::new(Schedule::default(), Limits { call_depth: CALL_DEPTH, ..Limits::default() });
        let number = machine.link("", module.clone(), &InstanceLinker::default(), &NoHost)?;
        if machine.store.write_segments(number).is_err() {
            return Ok(Figures::default());
        }
        let mut theirs = Theirs::new(&self.engine, bytes, &machine, number)?;
        let figures = Figures { modules: 1, ..Figures::default() };
        theirs.beside(|beside| (beside.tamper, beside.figures) = (self.tamper, figures));
        let mut rng = Rng::new(seed);
        for export in module.exports().iter().filter(|export| export.kind == ExternKind::Func) {
            let Some(Extern::Func(func)) = machine.store.export(number, &export.name) else { continue };
            let ty = module.func_type(export.index);
            if ty.params.iter().any(|ty| matches!(ty, ValType::Ref(ty) if !ty.nullable)) {
                continue;
            }
            let args = random_args(&mut rng, ty);
            if machine.invoke(func, &args).is_err() {
                continue;
            }
            let start = machine.clone();
            let Some(length) = length(&mut machine) else {
                theirs.beside(|beside| beside.figures.left_out += 1);
                break;
            };
            theirs.beside(|beside| beside.begin(start, random_stops(&mut rng, length, stops)));
            theirs.call(&export.name, &args)?;
            theirs.beside(|beside| beside.end(length)).with_context(|| format!("{}{args:x?}", export.name))?;
        }
        Ok(theirs.beside(|beside| beside.figures))
    }
}

/// Runs a call to its end; its instructions, if it came to none of the bounds.
fn length(machine: &mut Machine) -> Option<u64> {
    for count in 0..=MOST {
        match machine.step_once() {
            None => {}
            // What comes after the last instruction is no instruction.
            Some(Stop::Done(_)) => return Some(count),
            Some(Stop::Trap(Trap::CallStackExhausted | Trap::ExceptionsExhausted)) => return None,
            Some(Stop::Trap(_)) => return Some(count + 1),
            Some(_) => return None,
        }
    }
    None
}

/// Different numbers below `length`, ascending.
fn random_stops(rng: &mut Rng, length: u64, most: u64) -> Vec<u64> {
    let mut stops: Vec<u64> = (0..most.min(length)).map(|_| rng.bits() % length).collect();
    stops.sort_unstable();
    stops.dedup();
    stops
}

/// Wasmtime's instance, and our machine in the hands of its debugger.
struct Theirs {
    store: wasmtime::Store<()>,
    instance: wasmtime::Instance,
    debugger: Debugger,
}

impl Theirs {
    fn new(engine: &wasmtime::Engine, bytes: &[u8], machine: &Machine, number: u32) -> Result<Self> {
        let module = wasmtime::Module::new(engine, bytes).map_err(|e| anyhow!("{e:#}"))?;
        let mut store = wasmtime::Store::new(engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).map_err(|e| anyhow!("{e:#}"))?;
        let mut functions = BTreeMap::new();
        for (index, address) in machine.store.instances[number as usize].funcs.iter().enumerate() {
            let func = instance.debug_function(&mut store, index as u32).context("no such function in wasmtime")?;
            functions.insert(func.to_raw(&mut store) as usize, machine.store.func_ref(*address));
        }
        let beside = Beside {
            machine: machine.clone(),
            number,
            instance,
            functions,
            bodies: BTreeMap::new(),
            stops: Vec::new().into_iter().peekable(),
            seen: 0,
            stepped: 0,
            difference: None,
            figures: Figures::default(),
            tamper: None,
        };
        let debugger = Debugger(Arc::new(Mutex::new(beside)));
        store.set_debug_handler(debugger.clone());
        let breakpoints = store.edit_breakpoints();
        breakpoints.context("wasmtime has no debugger")?.single_step(true).map_err(|e| anyhow!("{e}"))?;
        Ok(Self { store, instance, debugger })
    }

    fn beside<T>(&self, work: impl FnOnce(&mut Beside) -> T) -> T {
        work(&mut self.debugger.beside())
    }

    /// Calls a function. How it ends is compared elsewhere.
    fn call(&mut self, export: &str, args: &[u64]) -> Result<()> {
        let func = self.instance.get_func(&mut self.store, export).context("no such export")?;
        let ty = func.ty(&self.store);
        let args = arguments(&mut self.store, &ty, args)?;
        let mut results = vec![Val::I32(0); ty.results().len()];
        let ended = {
            let call = pin!(func.call_async(&mut self.store, &args, &mut results));
            match call.poll(&mut TaskContext::from_waker(Waker::noop())) {
                Poll::Ready(ended) => ended,
                // Nothing in it waits for anything.
                Poll::Pending => bail!("wasmtime waits for something"),
            }
        };
        match ended {
            Ok(()) => Ok(()),
            Err(error) if error.is::<wasmtime::Trap>() => Ok(()),
            Err(error) if error.is::<wasmtime::ThrownException>() => {
                self.store.take_pending_exception();
                Ok(())
            }
            Err(error) => bail!("wasmtime: {error:#}"),
        }
    }
}

/// Who is told of every instruction before it is executed.
#[derive(Clone)]
struct Debugger(Arc<Mutex<Beside>>);

impl Debugger {
    fn beside(&self) -> MutexGuard<'_, Beside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DebugHandler for Debugger {
    type Data = ();

    async fn handle(&self, store: StoreContextMut<'_, ()>, event: DebugEvent<'_>) {
        if matches!(event, DebugEvent::Breakpoint) {
            self.beside().before_instruction(store);
        }
    }
}

/// Our machine, which goes where wasmtime's debugger stops.
struct Beside {
    machine: Machine,
    number: u32,
    instance: wasmtime::Instance,
    /// What our references to functions are, by wasmtime's.
    functions: BTreeMap<usize, u64>,
    bodies: BTreeMap<u32, Body>,
    stops: std::iter::Peekable<std::vec::IntoIter<u64>>,
    /// Instructions of this call that wasmtime has begun.
    seen: u64,
    /// Instructions of this call that our machine has executed.
    stepped: u64,
    difference: Option<anyhow::Error>,
    figures: Figures,
    tamper: Option<Tamper>,
}

impl Beside {
    fn begin(&mut self, machine: Machine, stops: Vec<u64>) {
        self.machine = machine;
        self.stops = stops.into_iter().peekable();
        (self.seen, self.stepped) = (0, 0);
    }

    fn end(&mut self, length: u64) -> Result<()> {
        if let Some(difference) = self.difference.take() {
            return Err(difference);
        }
        ensure!(self.seen == length, "{length} instructions, {} in wasmtime", self.seen);
        self.figures.calls += 1;
        self.figures.instructions += length;
        Ok(())
    }

    fn before_instruction(&mut self, store: StoreContextMut<'_, ()>) {
        let number = self.seen;
        self.seen += 1;
        if self.stops.next_if_eq(&number).is_none() || self.difference.is_some() {
            return;
        }
        while self.stepped < number {
            self.machine.step_once();
            self.stepped += 1;
        }
        let compared = self.compare(store).with_context(|| format!("before instruction {number}"));
        self.difference = compared.err();
    }

    fn compare(&mut self, mut store: StoreContextMut<'_, ()>) -> Result<()> {
        self.machine.collect_exceptions();
        let mut ours = self.machine.frame_states();
        if let Some(tamper) = self.tamper {
            tamper(&mut ours);
        }
        let theirs = frames(&mut store)?;
        ensure!(ours.len() == theirs.len(), "{} frames, {} in wasmtime", ours.len(), theirs.len());
        let exceptions = self.machine.exception_states();
        let mut scope = wasmtime::RootScope::new(&mut store);
        let store = &mut scope.as_context_mut();
        let last = ours.len().saturating_sub(1);
        for (place, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let mut values = Values { functions: &self.functions, exceptions: &exceptions, compared: 0 };
            let waiting = match place == last {
                true => None,
                false => Some(call_before(&self.machine, &mut self.bodies, ours)?),
            };
            let described = || format!("frame {place} of {}: {ours:x?}", last + 1);
            let module = &self.machine.store.instances[self.number as usize].module;
            compare_frame(module, ours, waiting, theirs, store, &mut values).with_context(described)?;
            self.figures.values += values.compared;
        }
        self.compare_store(store, &exceptions)?;
        self.figures.stops += 1;
        self.figures.frames += theirs.len() as u64;
        Ok(())
    }

    /// Globals, memories and tables, exported or not.
    fn compare_store(&mut self, store: &mut StoreContextMut<'_, ()>, exceptions: &[ExceptionState]) -> Result<()> {
        let ours = &self.machine.store;
        let instance = &ours.instances[self.number as usize];
        let mut values = Values { functions: &self.functions, exceptions, compared: 0 };
        for (index, address) in instance.globals.iter().enumerate() {
            let global = self.instance.debug_global(&mut *store, index as u32).context("no such global in wasmtime")?;
            let value = global.get(&mut *store);
            let bits = ours.global(*address);
            values
                .same(&[bits as u64, (bits >> 64) as u64], &value, store)
                .with_context(|| format!("global {index}"))?;
        }
        for (index, address) in instance.memories.iter().enumerate() {
            let memory = self.instance.debug_memory(&mut *store, index as u32).context("no such memory in wasmtime")?;
            let bytes = ours.memories[*address as usize].bytes();
            ensure!(bytes == memory.data(&*store), "memory {index} differs");
            self.figures.bytes += bytes.len() as u64;
        }
        for (index, address) in instance.tables.iter().enumerate() {
            let table = self.instance.debug_table(&mut *store, index as u32).context("no such table in wasmtime")?;
            let elements = ours.tables[*address as usize].elements();
            ensure!(elements.len() as u64 == table.size(&*store), "table {index} has another size");
            for (place, element) in elements.iter().enumerate() {
                let value = table.get(&mut *store, place as u64).context("no such element in wasmtime")?;
                let described = || format!("table {index}, element {place}");
                values.same(&[*element, 0], &value.into(), store).with_context(described)?;
            }
        }
        self.figures.values += values.compared;
        Ok(())
    }
}

/// Wasmtime's frames, outermost first.
fn frames(store: &mut StoreContextMut<'_, ()>) -> Result<Vec<FrameHandle>> {
    let mut frames = Vec::new();
    let mut next = store.debug_exit_frames().next();
    while let Some(frame) = next {
        next = frame.parent(&mut *store).map_err(|e| anyhow!("{e}"))?;
        frames.push(frame);
    }
    frames.reverse();
    Ok(frames)
}

/// The call that a frame waits for.
fn call_before(machine: &Machine, bodies: &mut BTreeMap<u32, Body>, frame: &FrameState) -> Result<Instr> {
    let module = &machine.store.instances[frame.instance as usize].module;
    let body = bodies.entry(frame.func).or_insert_with(|| Body::decode(module, frame.func));
    let index = body.index_of(frame.offset).context("the offset is no instruction's")? as usize;
    body.instrs[..index].last().copied().context("no instruction before a frame that waits")
}

/// Operands that wasmtime may show above ours in a frame that waits for this call: arguments, what is called, results.
fn most_operands(module: &Module, call: Instr) -> Result<usize> {
    let index = call.imm as u32;
    let (ty, callee) = match call.op {
        Op::Call => (module.func_type(index), 0),
        Op::CallIndirect | Op::CallRef => (&module.types()[index as usize], 1),
        other => bail!("a frame waits at {}", other.mnemonic()),
    };
    Ok(ty.params.len() + callee + ty.results.len())
}

/// How many of these values take the first `slots` slots, or all of them.
fn values_in(values: &[Val], slots: usize) -> usize {
    let mut sum = 0;
    values
        .iter()
        .take_while(|value| {
            let before = sum;
            sum += slots_of(value);
            before < slots
        })
        .count()
}

fn slots_of(value: &Val) -> usize {
    if matches!(value, Val::V128(_)) { 2 } else { 1 }
}

fn compare_frame(
    module: &Module,
    ours: &FrameState,
    waiting: Option<Instr>,
    theirs: &FrameHandle,
    store: &mut StoreContextMut<'_, ()>,
    values: &mut Values<'_>,
) -> Result<()> {
    let at = theirs.wasm_function_index_and_pc(&mut *store).map_err(|e| anyhow!("{e}"))?;
    let (func, pc) = at.context("no function of the program in wasmtime")?;
    let func = module.imported_funcs() + func.as_u32();
    ensure!(ours.func == func, "function {func} in wasmtime");
    let is_there = ours.offset == pc.raw() || waiting.is_some_and(|call| call.offset == pc.raw());
    ensure!(is_there, "offset {:#x}, in wasmtime {pc:?}", ours.offset);
    let error = |e: wasmtime::Error| anyhow!("{e}");
    let locals = theirs.num_locals(&mut *store).map_err(error)?;
    let locals: Vec<Val> =
        (0..locals).map(|i| theirs.local(&mut *store, i)).collect::<Result<_, _>>().map_err(error)?;
    values.all_same(&ours.locals, &locals, store).context("locals")?;
    let operands = theirs.num_stacks(&mut *store).map_err(error)?;
    let mut operands: Vec<Val> =
        (0..operands).map(|i| theirs.stack(&mut *store, i)).collect::<Result<_, _>>().map_err(error)?;
    if let Some(call) = waiting {
        let below = values_in(&operands, ours.operands.len());
        let more = operands.len() - below;
        ensure!(
            more <= most_operands(module, call)?,
            "{} operands in wasmtime, {more} of them of a call",
            operands.len()
        );
        operands.truncate(below);
    }
    values.all_same(&ours.operands, &operands, store).context("operands")
}

/// Compares values, and counts them.
struct Values<'a> {
    functions: &'a BTreeMap<usize, u64>,
    exceptions: &'a [ExceptionState],
    compared: u64,
}

impl Values<'_> {
    fn all_same(&mut self, slots: &[u64], values: &[Val], store: &mut StoreContextMut<'_, ()>) -> Result<()> {
        let mut rest = slots;
        for (place, value) in values.iter().enumerate() {
            let size = slots_of(value);
            ensure!(rest.len() >= size, "{slots:x?}, in wasmtime {} values", values.len());
            self.same(rest, value, store).with_context(|| format!("number {place}"))?;
            rest = &rest[size..];
        }
        ensure!(rest.is_empty(), "{slots:x?}, in wasmtime {} values", values.len());
        Ok(())
    }

    /// Is the value that begins with the first of these slots the one that wasmtime has.
    fn same(&mut self, slots: &[u64], value: &Val, store: &mut StoreContextMut<'_, ()>) -> Result<()> {
        self.compared += 1;
        let ours = slots[0];
        let theirs = match value {
            Val::I32(v) => u64::from(*v as u32),
            Val::I64(v) => *v as u64,
            Val::F32(v) => u64::from(*v),
            Val::F64(v) => *v,
            Val::V128(v) => {
                let (ours, theirs) = (u128::from(ours) | u128::from(slots[1]) << 64, v.as_u128());
                ensure!(ours == theirs, "{ours:#x}, in wasmtime {theirs:#x}");
                return Ok(());
            }
            Val::FuncRef(None) | Val::ExternRef(None) | Val::ExnRef(None) => 0,
            Val::FuncRef(Some(func)) => {
                let raw = func.to_raw(&mut *store) as usize;
                *self.functions.get(&raw).context("a reference to no function of the program in wasmtime")?
            }
            Val::ExnRef(Some(exception)) => return self.same_exception(ours, exception, store),
            other => bail!("no {other:?} is generated"),
        };
        ensure!(ours == theirs, "{ours:#x}, in wasmtime {theirs:#x}");
        Ok(())
    }

    fn same_exception(
        &mut self,
        ours: u64,
        theirs: &wasmtime::Rooted<wasmtime::ExnRef>,
        store: &mut StoreContextMut<'_, ()>,
    ) -> Result<()> {
        let number = (ours as usize).checked_sub(1).context("null, in wasmtime an exception")?;
        let exception = self.exceptions.get(number).context("no such exception")?;
        let error = |e: wasmtime::Error| anyhow!("{e}");
        let count = theirs.ty(&*store).map_err(error)?.fields().len();
        let fields: Vec<Val> =
            (0..count).map(|i| theirs.field(&mut *store, i)).collect::<Result<_, _>>().map_err(error)?;
        self.all_same(&exception.values, &fields, store).context("payload of an exception")
    }
}
