//! The other engines behind one face.

use anyhow::{Context, Result, anyhow, bail};
use guest_interp::trap::Trap;

use super::{End, Engine};
use crate::caught::caught;

/// Cranelift with canonical NaNs.
pub(super) fn wasmtime_engine() -> Result<wasmtime::Engine> {
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
    wasmtime::Engine::new(&config).map_err(|e| anyhow!("{e}"))
}

pub(super) struct Wasmtime {
    store: wasmtime::Store<()>,
    instance: wasmtime::Instance,
}

impl Wasmtime {
    pub(super) fn boxed(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Box<dyn Engine>> {
        let module = wasmtime::Module::new(engine, bytes).map_err(|e| anyhow!("{e:#}"))?;
        let mut store = wasmtime::Store::new(engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).map_err(|e| anyhow!("{e:#}"))?;
        Ok(Box::new(Self { store, instance }))
    }
}

impl Engine for Wasmtime {
    fn name(&self) -> &'static str {
        "wasmtime"
    }

    fn call(&mut self, export: &str, args: &[u64]) -> Result<End> {
        use wasmtime::{Val, ValType};
        let func = self.instance.get_func(&mut self.store, export).context("no such export")?;
        let ty = func.ty(&self.store);
        let mut slots = args.iter().copied();
        let mut slot = || slots.next().unwrap_or(0);
        let value = |ty: ValType| match ty {
            ValType::I32 => Val::I32(slot() as i32),
            ValType::I64 => Val::I64(slot() as i64),
            ValType::F32 => Val::F32(slot() as u32),
            ValType::F64 => Val::F64(slot()),
            ValType::V128 => Val::V128((u128::from(slot()) | u128::from(slot()) << 64).into()),
            ValType::Ref(ty) => {
                slot();
                Val::null_ref(ty.heap_type())
            }
        };
        let args: Vec<Val> = ty.params().map(value).collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(End::Returned(results.iter().map(wasmtime_bits).collect())),
            Err(error) if error.is::<wasmtime::ThrownException>() => {
                self.store.take_pending_exception();
                Ok(End::Trapped(Trap::UncaughtException))
            }
            Err(error) => match error.downcast_ref::<wasmtime::Trap>() {
                Some(trap) => Ok(End::Trapped(wasmtime_trap(*trap)?)),
                None => bail!("wasmtime: {error:#}"),
            },
        }
    }

    fn memory(&mut self, export: &str) -> &[u8] {
        let memory = self.instance.get_memory(&mut self.store, export).expect("the node has this export");
        memory.data(&self.store)
    }

    fn table(&mut self, export: &str) -> Vec<bool> {
        let mut store = wasmtime::RootScope::new(&mut self.store);
        let table = self.instance.get_table(&mut store, export).expect("the node has this export");
        let size = table.size(&store);
        (0..size).map(|i| table.get(&mut store, i).is_some_and(|element| !element.is_null())).collect()
    }

    fn global(&mut self, export: &str) -> u128 {
        let global = self.instance.get_global(&mut self.store, export).expect("the node has this export");
        wasmtime_bits(&global.get(&mut self.store))
    }
}

fn wasmtime_bits(value: &wasmtime::Val) -> u128 {
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
    instance: wasmi::Instance,
}

impl Wasmi {
    /// It stops at some modules by a panic in translation. That happens here, once for all functions, and not in the
    /// midst of a run, where it would end the process; and its engine is used for nothing else.
    pub(super) fn boxed(bytes: &[u8]) -> Result<Box<dyn Engine>> {
        let eager = wasmi::CompilationMode::Eager;
        let engine = wasmi::Engine::new(wasmi::Config::default().consume_fuel(true).compilation_mode(eager));
        let module = caught(|| Ok(wasmi::Module::new(&engine, bytes)?))?;
        let mut store = wasmi::Store::new(&engine, ());
        store.set_fuel(WASMI_FUEL)?;
        let instance = wasmi::Instance::new(&mut store, &module, &[])?;
        Ok(Box::new(Self { store, instance }))
    }
}

impl Engine for Wasmi {
    fn name(&self) -> &'static str {
        super::WASMI
    }

    fn call(&mut self, export: &str, args: &[u64]) -> Result<End> {
        use wasmi::{Val, ValType};
        let func = self.instance.get_func(&self.store, export).context("no such export")?;
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
            Err(error) => match error.as_trap_code() {
                Some(code) => Ok(End::Trapped(wasmi_trap(code)?)),
                None => bail!("wasmi: {error}"),
            },
        }
    }

    fn memory(&mut self, export: &str) -> &[u8] {
        self.instance.get_memory(&self.store, export).expect("the node has this export").data(&self.store)
    }

    fn table(&mut self, export: &str) -> Vec<bool> {
        let table = self.instance.get_table(&self.store, export).expect("the node has this export");
        let not_null = |element: wasmi::Ref| match element {
            wasmi::Ref::Func(element) => !element.is_null(),
            wasmi::Ref::Extern(element) => !element.is_null(),
        };
        (0..table.size(&self.store)).map(|i| table.get(&self.store, i).is_some_and(not_null)).collect()
    }

    fn global(&mut self, export: &str) -> u128 {
        let global = self.instance.get_global(&self.store, export).expect("the node has this export");
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
