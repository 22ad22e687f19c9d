//! The node against two other engines, wasmtime and wasmi, on random modules, alone and linked: results, traps, memories,
//! globals and tables after every call that ends within a bound. NaNs are canonical everywhere. wasmi has neither exceptions
//! nor typed function references, and may fail at calls between instances: modules that need them are compared with wasmtime
//! alone, and counted. Relaxed SIMD is not compared: the node takes the deterministic choice of the specification's, which
//! both others make otherwise (they fuse `relaxed_madd`).

pub(crate) mod others;

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop};
use stepmark_core::module::{ExternKind, Features, Module, ValType};
use stepmark_state::limits::Limits;
use stepmark_state::trap::Trap;

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

/// An engine with instances, by name, that import from each other.
pub trait Engine {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Makes an instance of a module whose imports are exports of the instances before, named as their module; the trap of
    /// its segments or its start function, after which there is no instance of this name.
    fn instantiate(&mut self, name: &str, bytes: &[u8]) -> Result<Option<Trap>>;
    /// Calls an exported function.
    fn call(&mut self, instance: &str, export: &str, args: &[u64]) -> Result<End>;
    /// The bytes of an exported memory.
    fn memory(&mut self, instance: &str, export: &str) -> &[u8];
    /// The value of an exported global.
    fn global(&mut self, instance: &str, export: &str) -> u128;
    /// Which elements of an exported table are not null.
    fn table(&mut self, instance: &str, export: &str) -> Vec<bool>;
}

/// Name of an instance that is alone.
pub const ALONE: &str = "";

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

    /// An instance of a module without imports, [`ALONE`], in wasmtime.
    ///
    /// # Errors
    /// If wasmtime refuses it.
    pub fn wasmtime(&self, bytes: &[u8]) -> Result<Box<dyn Engine>> {
        alone(Box::new(others::Wasmtime::new(&self.wasmtime)), bytes)
    }

    /// Compares the engines on `calls` calls of every exported function.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&self, bytes: &[u8], seed: u64, calls: usize) -> Result<Figures> {
        self.compare_linked(&[(ALONE.to_owned(), bytes.to_vec())], seed, calls)
    }

    /// Compares the engines on modules that import from each other: what becomes of each, and `calls` calls of every function
    /// that they export. A module that does not link, or whose segments or start function trap, exports nothing; what it has
    /// written stays.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare_linked(&self, modules: &[(String, Vec<u8>)], seed: u64, calls: usize) -> Result<Figures> {
        let mut comparison = Comparison::new(self, modules, seed)?;
        for (name, bytes) in modules {
            if !comparison.instantiate(name, bytes).with_context(|| format!("instantiation of {name:?}"))? {
                return Ok(comparison.figures);
            }
        }
        comparison.figures.modules = u64::from(!comparison.instances.is_empty());
        for place in 0..comparison.instances.len() {
            for export in functions(&comparison.instances[place].module) {
                for _ in 0..calls {
                    if !comparison.call(place, &export)? {
                        return Ok(comparison.figures);
                    }
                }
            }
        }
        Ok(comparison.figures)
    }
}

/// An engine with this one instance.
fn alone(mut engine: Box<dyn Engine>, bytes: &[u8]) -> Result<Box<dyn Engine>> {
    match engine.instantiate(ALONE, bytes)? {
        None => Ok(engine),
        Some(trap) => bail!("instantiation: trap: {trap}"),
    }
}

/// An instance that all engines have.
struct Instance {
    name: String,
    number: u32,
    module: Arc<Module>,
}

/// The same modules and calls in the node and the others.
struct Comparison {
    machine: Machine,
    linker: InstanceLinker,
    instances: Vec<Instance>,
    /// wasmtime, and wasmi after it while that agrees.
    others: Vec<Box<dyn Engine>>,
    seed: u64,
    rng: Rng,
    figures: Figures,
}

impl Comparison {
    fn new(engines: &Differential, modules: &[(String, Vec<u8>)], seed: u64) -> Result<Self> {
        let mut others: Vec<Box<dyn Engine>> = vec![Box::new(others::Wasmtime::new(&engines.wasmtime))];
        // wasmi 2.0.0 reads outside its memory at some calls of imported functions (linked seed 254): the process ends.
        if let [(_, bytes)] = modules
            && known_to_wasmi(bytes)?
        {
            others.push(Box::new(others::Wasmi::new()));
        }
        let limits = Limits { call_depth: 150, ..Limits::default() };
        Ok(Self {
            machine: Machine::new(Schedule::default(), limits),
            linker: InstanceLinker::default(),
            instances: Vec::new(),
            others,
            seed,
            rng: Rng::new(seed),
            figures: Figures::default(),
        })
    }

    /// Makes an instance everywhere; false if the node came to a bound, after which nothing can be compared.
    fn instantiate(&mut self, name: &str, bytes: &[u8]) -> Result<bool> {
        let module = Arc::new(Module::parse(bytes.to_vec(), Features::default())?);
        let linked = self.machine.link(name, module.clone(), &self.linker, &NoHost);
        let ours = match &linked {
            Ok(number) => match initialize(&mut self.machine, *number) {
                None => {
                    self.figures.left_out += 1;
                    return Ok(false);
                }
                Some(end) => Ok(end),
            },
            Err(error) => Err(error.clone()),
        };
        self.with_others(|other, _| match (&ours, other.instantiate(name, bytes)) {
            (Err(_), Err(_)) => Ok(()),
            (Ok(None), Ok(None)) => Ok(()),
            // wasmi has no code for a segment that does not fit.
            (Ok(Some(_)), Err(_)) if other.name() == WASMI => Ok(()),
            (Ok(Some(trap)), Ok(Some(theirs))) if *trap == theirs => Ok(()),
            (ours, theirs) => bail!("{}: {theirs:?}, the node: {ours:?}", other.name()),
        })?;
        if let (Ok(number), Ok(None)) = (linked, ours) {
            self.linker.register(name, number);
            self.instances.push(Instance { name: name.to_owned(), number, module });
        }
        Ok(true)
    }

    /// Calls a function everywhere; false if what it has left cannot be compared any further.
    fn call(&mut self, place: usize, export: &str) -> Result<bool> {
        let Instance { name, number, .. } = &self.instances[place];
        let Some(Extern::Func(func)) = self.machine.store.export(*number, export) else { return Ok(true) };
        let ty = self.machine.store.func_type(func).clone();
        if ty.params.iter().any(|ty| matches!(ty, ValType::Ref(ty) if !ty.nullable)) {
            // There is no argument that all engines have.
            return Ok(true);
        }
        let args = random_args(&mut self.rng, &ty);
        let Some(ours) = run(&mut self.machine, func, &args, &ty.results) else {
            // What it has written so far the others cannot be brought to.
            self.figures.left_out += 1;
            return Ok(false);
        };
        self.figures.calls += 1;
        self.figures.returned += u64::from(matches!(ours, End::Returned(_)));
        self.figures.uncaught += u64::from(ours == End::Trapped(Trap::UncaughtException));
        self.figures.wasmtime_only += u64::from(self.others.len() == 1);
        let name = name.clone();
        self.with_others(|other, comparison| {
            let theirs = other.call(&name, export, &args)?;
            ensure!(ours == theirs, "{}: {name}.{export}{args:x?}: {theirs:x?}, the node: {ours:x?}", other.name());
            let after = || format!("after {name}.{export}{args:x?}");
            comparison.compare_state(other).with_context(after)
        })?;
        Ok(true)
    }

    /// Compares with each of the others; wasmi, if only it differs, is counted and left out from then on.
    fn with_others(&mut self, mut compare: impl FnMut(&mut dyn Engine, &Self) -> Result<()>) -> Result<()> {
        for mut other in std::mem::take(&mut self.others) {
            match compare(other.as_mut(), self) {
                Ok(()) => self.others.push(other),
                // wasmtime, which comes first, has agreed with the node.
                Err(error) if other.name() == WASMI => self.figures.wasmi_differs(self.seed, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Compares everything that the instances export.
    fn compare_state(&self, other: &mut dyn Engine) -> Result<()> {
        self.instances.iter().try_for_each(|instance| compare_exports(&self.machine, instance, other))
    }
}

/// Writes an instance's segments and runs its start function: its trap, if one trapped; `None` if it came to a bound.
fn initialize(machine: &mut Machine, number: u32) -> Option<Option<Trap>> {
    if let Err(trap) = machine.store.write_segments(number) {
        return Some(Some(trap));
    }
    let instance = &machine.store.instances[number as usize];
    let Some(start) = instance.module.start() else { return Some(None) };
    match run(machine, instance.funcs[start as usize], &[], &[])? {
        End::Returned(_) => Some(None),
        End::Trapped(trap) => Some(Some(trap)),
    }
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

fn compare_exports(machine: &Machine, instance: &Instance, other: &mut dyn Engine) -> Result<()> {
    let Instance { name, number, module } = instance;
    for export in module.exports() {
        let export = &export.name;
        match machine.store.export(*number, export) {
            Some(Extern::Memory(a)) => {
                let same = machine.store.memories[a as usize].bytes() == other.memory(name, export);
                ensure!(same, "{}: memory {name}.{export:?} differs", other.name());
            }
            Some(Extern::Global(a)) => {
                let ty = machine.store.global_types[a as usize].value;
                let (ours, theirs) = (opaque(machine.store.global(a), ty), other.global(name, export));
                let other = other.name();
                ensure!(ours == theirs, "{other}: global {name}.{export:?} is {theirs:#x}, the node: {ours:#x}");
            }
            Some(Extern::Table(a)) => {
                let ours: Vec<bool> = machine.store.tables[a as usize].elements().iter().map(|e| *e != 0).collect();
                ensure!(ours == other.table(name, export), "{}: table {name}.{export:?} differs", other.name());
            }
            _ => {}
        }
    }
    Ok(())
}
