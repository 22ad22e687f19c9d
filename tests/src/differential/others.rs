//! The other engines behind one face.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use stepmark_state::trap::Trap;

use super::{End, Engine};
use crate::panic_guard::caught;

/// Cranelift with canonical NaNs.
pub(super) fn wasmtime_engine() -> Result<wasmtime::Engine> {
    wasmtime::Engine::new(&wasmtime_config()).map_err(|e| anyhow!("{e}"))
}

/// The part of wasmtime's configuration that decides what programs compute.
pub(crate) fn wasmtime_config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config.cranelift_nan_canonicalization(true).cranelift_opt_level(wasmtime::OptLevel::None);
    config.cranelift_regalloc_algorithm(wasmtime::RegallocAlgorithm::SinglePass).parallel_compilation(false);
    config.memory_reservation(1 << 20).memory_guard_size(1 << 16).memory_reservation_for_growth(1 << 20);
    config.wasm_backtrace_max_frames(None).max_wasm_stack(1 << 20);
    config.wasm_tail_call(true).wasm_function_references(true).wasm_exceptions(true);
    // The node knows the heap types and recursion groups that belong to typed function references.
    config.wasm_gc(true);
    config.wasm_multi_memory(true).wasm_memory64(true).wasm_extended_const(true);
    config.wasm_simd(true).wasm_relaxed_simd(true).relaxed_simd_deterministic(true);
    config
}

/// Instances in wasmtime that import from each other.
pub(crate) struct Wasmtime {
    pub(crate) store: wasmtime::Store<()>,
    instances: BTreeMap<String, wasmtime::Instance>,
    silent: Option<&'static str>,
}

impl Wasmtime {
    pub(crate) fn new(engine: &wasmtime::Engine) -> Self {
        Self { store: wasmtime::Store::new(engine, ()), instances: BTreeMap::new(), silent: None }
    }

    /// Offers every function that is imported from this module, and answers none of them.
    pub(crate) fn silent(&mut self, module: &'static str) {
        self.silent = Some(module);
    }

    /// Lets an instance also be found under another name.
    pub(crate) fn rename(&mut self, instance: &str, name: &str) {
        if let Some(instance) = self.instances.get(instance) {
            self.instances.insert(name.to_owned(), *instance);
        }
    }

    /// The instance of this name.
    pub(crate) fn instance(&self, name: &str) -> Result<wasmtime::Instance> {
        self.instances.get(name).copied().with_context(|| format!("wasmtime has no instance {name:?}"))
    }

    fn imports(&mut self, module: &wasmtime::Module) -> Result<Vec<wasmtime::Extern>> {
        let found = |import: wasmtime::ImportType<'_>| match (self.instances.get(import.module()), import.ty()) {
            (None, wasmtime::ExternType::Func(ty)) if Some(import.module()) == self.silent => {
                let refuse = |_: wasmtime::Caller<'_, ()>, _: &[_], _: &mut [_]| wasmtime::bail!("nobody answers");
                Some(wasmtime::Func::new(&mut self.store, ty, refuse).into())
            }
            (instance, _) => instance?.get_export(&mut self.store, import.name()),
        };
        module.imports().map(found).collect::<Option<_>>().context("wasmtime: an import is not there")
    }
}

impl Engine for Wasmtime {
    fn name(&self) -> &'static str {
        "wasmtime"
    }

    fn instantiate(&mut self, name: &str, bytes: &[u8]) -> Result<Option<Trap>> {
        let module = wasmtime::Module::new(self.store.engine(), bytes).map_err(|e| anyhow!("{e:#}"))?;
        let imports = self.imports(&module)?;
        match wasmtime::Instance::new(&mut self.store, &module, &imports) {
            Ok(instance) => {
                self.instances.insert(name.to_owned(), instance);
                Ok(None)
            }
            Err(error) => Ok(Some(self.trap_of(error)?)),
        }
    }

    fn call(&mut self, instance: &str, export: &str, args: &[u64]) -> Result<End> {
        let func = self.instance(instance)?.get_func(&mut self.store, export).context("no such export")?;
        let ty = func.ty(&self.store);
        let args = arguments(&mut self.store, &ty, args)?;
        let mut results = vec![wasmtime::Val::I32(0); ty.results().len()];
        match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(End::Returned(results.iter().map(wasmtime_bits).collect())),
            Err(error) => Ok(End::Trapped(self.trap_of(error)?)),
        }
    }

    fn memory(&mut self, instance: &str, export: &str) -> &[u8] {
        let memory = self.instances[instance].get_memory(&mut self.store, export).expect("the node has this export");
        memory.data(&self.store)
    }

    fn table(&mut self, instance: &str, export: &str) -> Vec<bool> {
        let mut store = wasmtime::RootScope::new(&mut self.store);
        let table = self.instances[instance].get_table(&mut store, export).expect("the node has this export");
        let size = table.size(&store);
        (0..size).map(|i| table.get(&mut store, i).is_some_and(|element| !element.is_null())).collect()
    }

    fn global(&mut self, instance: &str, export: &str) -> u128 {
        let global = self.instances[instance].get_global(&mut self.store, export).expect("the node has this export");
        wasmtime_bits(&global.get(&mut self.store))
    }
}

impl Wasmtime {
    /// The trap that an error of wasmtime's is; an exception that nothing caught is forgotten.
    fn trap_of(&mut self, error: wasmtime::Error) -> Result<Trap> {
        if error.is::<wasmtime::ThrownException>() {
            self.store.take_pending_exception();
            return Ok(Trap::UncaughtException);
        }
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(trap) => wasmtime_trap(*trap),
            None => bail!("wasmtime: {error:#}"),
        }
    }
}

/// Arguments from their slots.
pub(crate) fn arguments(
    store: &mut wasmtime::Store<()>,
    ty: &wasmtime::FuncType,
    slots: &[u64],
) -> Result<Vec<wasmtime::Val>> {
    use wasmtime::{HeapType, Val, ValType};
    let mut slots = slots.iter().copied();
    let mut slot = || slots.next().unwrap_or(0);
    let value = |ty: ValType| {
        Ok(match ty {
            ValType::I32 => Val::I32(slot() as i32),
            ValType::I64 => Val::I64(slot() as i64),
            ValType::F32 => Val::F32(slot() as u32),
            ValType::F64 => Val::F64(slot()),
            ValType::V128 => Val::V128((u128::from(slot()) | u128::from(slot()) << 64).into()),
            ValType::Ref(ty) => match (slot(), ty.heap_type()) {
                (0, heap) => Val::null_ref(heap),
                (number, HeapType::Extern) => host_reference(store, number)?,
                (_, heap) => bail!("wasmtime: no reference to {heap} can be given"),
            },
        })
    };
    ty.params().map(value).collect()
}

/// A reference to something of the embedder's, told apart by its number.
fn host_reference(store: &mut wasmtime::Store<()>, number: u64) -> Result<wasmtime::Val> {
    let reference = wasmtime::ExternRef::new(store, number).map_err(|e| anyhow!("{e}"))?;
    Ok(wasmtime::Val::ExternRef(Some(reference)))
}

pub(crate) fn wasmtime_bits(value: &wasmtime::Val) -> u128 {
    use wasmtime::Val;
    match value {
        Val::I32(v) => u128::from(*v as u32),
        Val::I64(v) => u128::from(*v as u64),
        Val::F32(v) => u128::from(*v),
        Val::F64(v) => u128::from(*v),
        Val::V128(v) => v.as_u128(),
        Val::FuncRef(r) => u128::from(r.is_some()),
        Val::ExternRef(r) => u128::from(r.is_some()),
        Val::ExnRef(r) => u128::from(r.is_some()),
        other => unreachable!("no {other:?} is generated"),
    }
}

fn wasmtime_trap(trap: wasmtime::Trap) -> Result<Trap> {
    use wasmtime::Trap as T;
    Ok(match trap {
        T::UnreachableCodeReached => Trap::Unreachable,
        T::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
        T::TableOutOfBounds => Trap::TableOutOfBounds,
        T::IndirectCallToNull => Trap::UninitializedElement,
        T::BadSignature => Trap::IndirectCallTypeMismatch,
        T::IntegerDivisionByZero => Trap::IntegerDivideByZero,
        T::IntegerOverflow => Trap::IntegerOverflow,
        T::BadConversionToInteger => Trap::InvalidConversionToInteger,
        T::StackOverflow => Trap::CallStackExhausted,
        T::NullReference => Trap::NullReference,
        other => bail!("wasmtime: unknown trap {other}"),
    })
}

/// Fuel of a call, far more than the node's calls take: where wasmi alone computes something else with vectors, it may do
/// so for ever (module 6053046 and those after it).
const WASMI_FUEL: u64 = 500_000_000;

pub(super) struct Wasmi {
    store: wasmi::Store<()>,
    instances: BTreeMap<String, wasmi::Instance>,
}

impl Wasmi {
    /// Its engine is used for nothing else: see [`Wasmi::instantiate`].
    pub(super) fn new() -> Self {
        let eager = wasmi::CompilationMode::Eager;
        let engine = wasmi::Engine::new(wasmi::Config::default().consume_fuel(true).compilation_mode(eager));
        Self { store: wasmi::Store::new(&engine, ()), instances: BTreeMap::new() }
    }

    fn instance(&self, name: &str) -> Result<wasmi::Instance> {
        self.instances.get(name).copied().with_context(|| format!("wasmi has no instance {name:?}"))
    }

    fn imports(&self, module: &wasmi::Module) -> Result<Vec<wasmi::Extern>> {
        let found =
            |import: wasmi::ImportType<'_>| self.instances.get(import.module())?.get_export(&self.store, import.name());
        module.imports().map(found).collect::<Option<_>>().context("wasmi: an import is not there")
    }
}

impl Engine for Wasmi {
    fn name(&self) -> &'static str {
        super::WASMI
    }

    /// It stops at some modules by a panic in translation. That happens here, once for all functions, and not in the
    /// midst of a run, where it would end the process.
    fn instantiate(&mut self, name: &str, bytes: &[u8]) -> Result<Option<Trap>> {
        let module = caught(|| Ok(wasmi::Module::new(self.store.engine(), bytes)?))?;
        self.store.set_fuel(WASMI_FUEL)?;
        let imports = self.imports(&module)?;
        match wasmi::Instance::new(&mut self.store, &module, &imports) {
            Ok(instance) => {
                self.instances.insert(name.to_owned(), instance);
                Ok(None)
            }
            Err(error) => Ok(Some(wasmi_trap_of(&error)?)),
        }
    }

    fn call(&mut self, instance: &str, export: &str, args: &[u64]) -> Result<End> {
        use wasmi::{Val, ValType};
        let func = self.instance(instance)?.get_func(&self.store, export).context("no such export")?;
        let ty = func.ty(&self.store);
        let mut slots = args.iter().copied();
        let mut slot = || slots.next().unwrap_or(0);
        let value = |ty: &ValType| match ty {
            ValType::I32 => Val::I32(slot() as i32),
            ValType::I64 => Val::I64(slot() as i64),
            ValType::F32 => Val::F32(wasmi::F32::from_bits(slot() as u32)),
            ValType::F64 => Val::F64(wasmi::F64::from_bits(slot())),
            ValType::V128 => Val::V128((u128::from(slot()) | u128::from(slot()) << 64).into()),
            other => {
                slot();
                Val::default_for_ty(*other)
            }
        };
        let args: Vec<Val> = ty.params().iter().map(value).collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        self.store.set_fuel(WASMI_FUEL)?;
        match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(End::Returned(results.iter().map(wasmi_bits).collect())),
            Err(error) => Ok(End::Trapped(wasmi_trap_of(&error)?)),
        }
    }

    fn memory(&mut self, instance: &str, export: &str) -> &[u8] {
        self.instances[instance].get_memory(&self.store, export).expect("the node has this export").data(&self.store)
    }

    fn table(&mut self, instance: &str, export: &str) -> Vec<bool> {
        let table = self.instances[instance].get_table(&self.store, export).expect("the node has this export");
        let not_null = |element: wasmi::Ref| match element {
            wasmi::Ref::Func(element) => !element.is_null(),
            wasmi::Ref::Extern(element) => !element.is_null(),
        };
        (0..table.size(&self.store)).map(|i| table.get(&self.store, i).is_some_and(not_null)).collect()
    }

    fn global(&mut self, instance: &str, export: &str) -> u128 {
        let global = self.instances[instance].get_global(&self.store, export).expect("the node has this export");
        wasmi_bits(&global.get(&self.store))
    }
}

fn wasmi_bits(value: &wasmi::Val) -> u128 {
    use wasmi::Val;
    match value {
        Val::I32(v) => u128::from(*v as u32),
        Val::I64(v) => u128::from(*v as u64),
        Val::F32(v) => u128::from(v.to_bits()),
        Val::F64(v) => u128::from(v.to_bits()),
        Val::V128(v) => v.as_u128(),
        Val::FuncRef(r) => u128::from(!r.is_null()),
        Val::ExternRef(r) => u128::from(!r.is_null()),
    }
}

fn wasmi_trap_of(error: &wasmi::Error) -> Result<Trap> {
    match error.as_trap_code() {
        Some(code) => wasmi_trap(code),
        None => bail!("wasmi: {error}"),
    }
}

fn wasmi_trap(code: wasmi::TrapCode) -> Result<Trap> {
    use wasmi::TrapCode as T;
    Ok(match code {
        T::UnreachableCodeReached => Trap::Unreachable,
        T::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
        T::TableOutOfBounds => Trap::TableOutOfBounds,
        T::IndirectCallToNull => Trap::UninitializedElement,
        T::BadSignature => Trap::IndirectCallTypeMismatch,
        T::IntegerDivisionByZero => Trap::IntegerDivideByZero,
        T::IntegerOverflow => Trap::IntegerOverflow,
        T::BadConversionToInteger => Trap::InvalidConversionToInteger,
        T::StackOverflow => Trap::CallStackExhausted,
        // It goes on where the node and wasmtime have ended.
        T::OutOfFuel => bail!("wasmi: not over after {WASMI_FUEL} units of fuel"),
        other => bail!("wasmi: unknown trap {other:?}"),
    })
}
