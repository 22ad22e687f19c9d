//! The node against two other engines, wasmtime and wasmi, on random modules: results, traps, memories and globals of
//! every call that ends within a bound. NaNs are canonical everywhere.

mod others;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use guest_interp::gas::Schedule;
use guest_interp::limits::Limits;
use guest_interp::module::{ExternKind, Features, Module, ValType};
use guest_interp::runtime::{Budget, Extern, Linker, Machine, NoHost, Stop};
use guest_interp::trap::Trap;

use crate::generate::{Rng, random_args};

/// Gas of a call; what needs more is not compared.
const GAS: u64 = 300_000;

/// How a call ended; a reference is only null or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With these values.
    Returned(Vec<u64>),
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
    fn memory(&mut self, export: &str) -> Vec<u8>;
    /// The value of an exported global.
    fn global(&mut self, export: &str) -> u64;
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
    /// Calls left out: out of gas or stack.
    pub left_out: u64,
}

impl Figures {
    /// Adds another run's.
    pub fn add(&mut self, other: &Figures) {
        self.modules += other.modules;
        self.calls += other.calls;
        self.returned += other.returned;
        self.left_out += other.left_out;
    }
}

/// Reusable engines, which are dear to make.
#[derive(Clone)]
pub struct Differential {
    wasmtime: wasmtime::Engine,
    wasmi: wasmi::Engine,
}

impl Differential {
    /// # Errors
    /// If wasmtime refuses its configuration.
    pub fn new() -> Result<Self> {
        Ok(Self { wasmtime: others::wasmtime_engine()?, wasmi: others::wasmi_engine() })
    }

    /// Compares the engines on `calls` calls of every exported function. Where there are `floats`, wasmi is left out: it
    /// has no mode in which every NaN is the canonical one, and programs can see the bits.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&self, bytes: &[u8], seed: u64, calls: usize, floats: bool) -> Result<Figures> {
        let mut figures = Figures::default();
        let module = Arc::new(Module::parse(bytes.to_vec(), Features::default())?);
        let mut machine = Machine::new(Schedule::default(), Limits { call_depth: 150, ..Limits::default() });
        let instance = machine.link("", module.clone(), &Linker::default(), &NoHost)?;
        let instantiated = machine.store.write_segments(instance);
        let wasmtime = others::Wasmtime::new(&self.wasmtime, bytes);
        let wasmi = others::Wasmi::new(&self.wasmi, bytes);
        let (mut wasmtime, mut wasmi) = match (instantiated, wasmtime, wasmi) {
            (Ok(()), wasmtime, wasmi) => (wasmtime.context("wasmtime")?, wasmi.context("wasmi")?),
            (Err(_), Err(_), Err(_)) => return Ok(figures),
            (Err(trap), ..) => anyhow::bail!("only the node refuses to instantiate: {trap}"),
        };
        figures.modules = 1;
        let mut rng = Rng::new(seed);
        let exports: Vec<String> = functions(&module);
        for name in exports.iter().flat_map(|name| std::iter::repeat_n(name, calls)) {
            let Some(Extern::Func(func)) = machine.store.export(instance, name) else { continue };
            let ty = machine.store.func_type(func).clone();
            let args = random_args(&mut rng, &ty);
            let Some(ours) = run(&mut machine, func, &args, &ty.results) else {
                // What it has written so far the others cannot be brought to.
                figures.left_out += 1;
                return Ok(figures);
            };
            figures.calls += 1;
            figures.returned += u64::from(matches!(ours, End::Returned(_)));
            let others = [&mut wasmtime as &mut dyn Engine, &mut wasmi];
            for other in others.into_iter().take(if floats { 1 } else { 2 }) {
                let theirs = other.call(name, &args)?;
                let at = format!("{}: {name}{args:x?}", other.name());
                ensure!(ours == theirs, "{at}: {theirs:x?}, the node: {ours:x?}");
                compare_state(&machine, instance, &module, other).with_context(|| format!("after {name}{args:x?}"))?;
            }
        }
        Ok(figures)
    }
}

fn functions(module: &Module) -> Vec<String> {
    module.exports().iter().filter(|e| e.kind == ExternKind::Func).map(|e| e.name.clone()).collect()
}

fn run(machine: &mut Machine, func: u32, args: &[u64], types: &[ValType]) -> Option<End> {
    machine.invoke(func, args).ok()?;
    match machine.run(Budget { gas: GAS, steps: u64::MAX }) {
        Stop::Done(values) => Some(End::Returned(values.iter().zip(types).map(|(v, ty)| opaque(*v, *ty)).collect())),
        Stop::Trap(Trap::CallStackExhausted) => None,
        // The others have one code for both.
        Stop::Trap(Trap::UndefinedElement) => Some(End::Trapped(Trap::TableOutOfBounds)),
        Stop::Trap(trap) => Some(End::Trapped(trap)),
        _ => None,
    }
}

/// References of different engines have nothing in common but null.
fn opaque(value: u64, ty: ValType) -> u64 {
    if ty.is_ref() { u64::from(value != 0) } else { value }
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
                let (ours, theirs) = (opaque(machine.store.globals[a as usize], ty), other.global(&export.name));
                ensure!(
                    ours == theirs,
                    "{}: global {:?} is {theirs:#x}, the node: {ours:#x}",
                    other.name(),
                    export.name
                );
            }
            _ => {}
        }
    }
    Ok(())
}
