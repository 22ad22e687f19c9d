//! The node against two other engines, wasmtime and wasmi, on random modules: results, traps, memories, globals and tables
//! after every call that ends within a bound. NaNs are canonical everywhere. wasmi has neither exceptions nor typed function
//! references: modules that need them are compared with wasmtime alone, and counted. Relaxed SIMD is not compared: the node
//! takes the deterministic choice of the specification's, which both others make otherwise (they fuse `relaxed_madd`).

mod others;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use guest_interp::gas::Schedule;
use guest_interp::limits::Limits;
use guest_interp::module::{ExternKind, Features, Module, ValType};
use guest_interp::runtime::{Budget, Extern, Linker, Machine, NoHost, Stop};
use guest_interp::trap::Trap;

use crate::generate::{Rng, random_args};

/// Name of the engine that is sometimes wrong on its own, in about one module of ten thousand: where the node and wasmtime
/// agree, that is counted apart.
const WASMI: &str = "wasmi";
/// Gas of a call; what needs more is not compared.
const GAS: u64 = 300_000;

/// How a call ended; a reference is only null or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With these values.
    Returned(Vec<u128>),
    /// With this trap.
    Trapped(Trap),
}

/// An engine with one instance of the module.
pub trait Engine {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Calls an exported function.
    fn call(&mut self, export: &str, args: &[u64]) -> Result<End>;
    /// The bytes of an exported memory.
    fn memory(&mut self, export: &str) -> &[u8];
    /// The value of an exported global.
    fn global(&mut self, export: &str) -> u128;
    /// Which elements of an exported table are not null.
    fn table(&mut self, export: &str) -> Vec<bool>;
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Modules that could be instantiated.
    pub modules: u64,
    /// Calls compared.
    pub calls: u64,
    /// Those that returned.
    pub returned: u64,
    /// Those that ended with an exception that nothing caught.
    pub uncaught: u64,
    /// Those that were compared with wasmtime alone.
    pub wasmtime_only: u64,
    /// Modules in which wasmi alone differs: the node and wasmtime agree.
    pub wasmi_alone: u64,
    /// Calls left out: out of gas or stack.
    pub left_out: u64,
}

impl Figures {
    /// Adds another run's.
    pub fn add(&mut self, other: &Figures) {
        self.modules += other.modules;
        self.calls += other.calls;
        self.returned += other.returned;
        self.uncaught += other.uncaught;
        self.wasmtime_only += other.wasmtime_only;
        self.wasmi_alone += other.wasmi_alone;
        self.left_out += other.left_out;
    }

    /// Takes note of a module in which wasmi alone differs.
    fn wasmi_differs(&mut self, seed: u64, error: &anyhow::Error) {
        println!("seed {seed}: wasmi alone: {error:#}");
        self.wasmi_alone += 1;
    }
}

/// Reusable engines, which are dear to make.
#[derive(Clone)]
pub struct Differential {
    wasmtime: wasmtime::Engine,
}

impl Differential {
    /// # Errors
    /// If wasmtime refuses its configuration.
    pub fn new() -> Result<Self> {
        Ok(Self { wasmtime: others::wasmtime_engine()? })
    }

    /// An instance of a module without imports in wasmtime.
    ///
    /// # Errors
    /// If wasmtime refuses it.
    pub fn wasmtime(&self, bytes: &[u8]) -> Result<Box<dyn Engine>> {
        others::Wasmtime::boxed(&self.wasmtime, bytes)
    }

    /// Compares the engines on `calls` calls of every exported function.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&self, bytes: &[u8], seed: u64, calls: usize) -> Result<Figures> {
        let mut figures = Figures::default();
        let module = Arc::new(Module::parse(bytes.to_vec(), Features::default())?);
        let mut machine = Machine::new(Schedule::default(), Limits { call_depth: 150, ..Limits::default() });
        let instance = machine.link("", module.clone(), &Linker::default(), &NoHost)?;
        let instantiated = machine.store.write_segments(instance);
        let wasmtime = others::Wasmtime::boxed(&self.wasmtime, bytes);
        let wasmi = known_to_wasmi(bytes)?.then(|| others::Wasmi::boxed(bytes));
        if let Err(trap) = instantiated {
            let by_all = wasmtime.is_err() && wasmi.is_none_or(|wasmi| wasmi.is_err());
            ensure!(by_all, "only the node refuses to instantiate: {trap}");
            return Ok(figures);
        }
        let mut others = vec![wasmtime.context("instantiation")?];
        match wasmi {
            Some(Ok(wasmi)) => others.push(wasmi),
            Some(Err(error)) => figures.wasmi_differs(seed, &error),
            None => {}
        }
        figures.modules = 1;
        let mut rng = Rng::new(seed);
        let exports: Vec<String> = functions(&module);
        for name in exports.iter().flat_map(|name| std::iter::repeat_n(name, calls)) {
            let Some(Extern::Func(func)) = machine.store.export(instance, name) else { continue };
            let ty = machine.store.func_type(func).clone();
            if ty.params.iter().any(|ty| matches!(ty, ValType::Ref(ty) if !ty.nullable)) {
                // There is no argument that all engines have.
                continue;
            }
            let args = random_args(&mut rng, &ty);
            let Some(ours) = run(&mut machine, func, &args, &ty.results) else {
                // What it has written so far the others cannot be brought to.
                figures.left_out += 1;
                return Ok(figures);
            };
            figures.calls += 1;
            figures.returned += u64::from(matches!(ours, End::Returned(_)));
            figures.uncaught += u64::from(ours == End::Trapped(Trap::UncaughtException));
            figures.wasmtime_only += u64::from(others.len() == 1);
            for other in &mut others {
                let compared = compare_call(&machine, instance, &module, other.as_mut(), name, &args, &ours);
                match compared {
                    Ok(()) => {}
                    // wasmtime, which comes first, has agreed with the node.
                    Err(error) if other.name() == WASMI => {
                        figures.wasmi_differs(seed, &error);
                        return Ok(figures);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(figures)
    }
}

/// Compares one call, and what it has left, with another engine's.
fn compare_call(
    machine: &Machine,
    instance: u32,
    module: &Module,
    other: &mut dyn Engine,
    name: &str,
    args: &[u64],
    ours: &End,
) -> Result<()> {
    let theirs = other.call(name, args)?;
    ensure!(*ours == theirs, "{}: {name}{args:x?}: {theirs:x?}, the node: {ours:x?}", other.name());
    compare_state(machine, instance, module, other).with_context(|| format!("after {name}{args:x?}"))
}

/// Whether a module that the node accepts is one without exceptions and typed function references.
fn known_to_wasmi(bytes: &[u8]) -> Result<bool> {
    let mut features = Features::default();
    features.set("exceptions", false)?;
    features.set("function-references", false)?;
    Ok(Module::parse(bytes.to_vec(), features).is_ok())
}

fn functions(module: &Module) -> Vec<String> {
    module.exports().iter().filter(|e| e.kind == ExternKind::Func).map(|e| e.name.clone()).collect()
}

fn run(machine: &mut Machine, func: u32, args: &[u64], types: &[ValType]) -> Option<End> {
    machine.invoke(func, args).ok()?;
    match machine.run(Budget { gas: GAS, steps: u64::MAX }) {
        Stop::Done(values) => Some(End::Returned(joined(&values, types))),
        Stop::Trap(Trap::CallStackExhausted | Trap::ExceptionsExhausted) => None,
        // The others have one code for both.
        Stop::Trap(Trap::UndefinedElement) => Some(End::Trapped(Trap::TableOutOfBounds)),
        Stop::Trap(Trap::NullFunctionReference) => Some(End::Trapped(Trap::NullReference)),
        Stop::Trap(trap) => Some(End::Trapped(trap)),
        _ => None,
    }
}

/// Values from their slots, of which a vector has two.
fn joined(slots: &[u64], types: &[ValType]) -> Vec<u128> {
    let mut slots = slots.iter().map(|slot| u128::from(*slot));
    let mut next = || slots.next().unwrap_or(0);
    types.iter().map(|ty| opaque(if ty.slots() == 2 { next() | next() << 64 } else { next() }, *ty)).collect()
}

/// References of different engines have nothing in common but null.
fn opaque(value: u128, ty: ValType) -> u128 {
    if ty.is_ref() { u128::from(value != 0) } else { value }
}

fn compare_state(machine: &Machine, instance: u32, module: &Module, other: &mut dyn Engine) -> Result<()> {
    for export in module.exports() {
        match machine.store.export(instance, &export.name) {
            Some(Extern::Memory(a)) => {
                let same = machine.store.memories[a as usize].bytes() == other.memory(&export.name);
                ensure!(same, "{}: memory {:?} differs", other.name(), export.name);
            }
            Some(Extern::Global(a)) => {
                let ty = machine.store.global_types[a as usize].value;
                let (ours, theirs) = (opaque(machine.store.global(a), ty), other.global(&export.name));
                ensure!(
                    ours == theirs,
                    "{}: global {:?} is {theirs:#x}, the node: {ours:#x}",
                    other.name(),
                    export.name
                );
            }
            Some(Extern::Table(a)) => {
                let ours: Vec<bool> = machine.store.tables[a as usize].elements().iter().map(|e| *e != 0).collect();
                ensure!(ours == other.table(&export.name), "{}: table {:?} differs", other.name(), export.name);
            }
            _ => {}
        }
    }
    Ok(())
}
