//! The other engines behind one face.

use anyhow::{Context, Result, anyhow, bail};
use guest_interp::trap::Trap;

use super::{End, Engine};

/// Cranelift with canonical NaNs.
pub(super) fn wasmtime_engine() -> Result<wasmtime::Engine> {
    let mut config = wasmtime::Config::new();
    config.cranelift_nan_canonicalization(true).cranelift_opt_level(wasmtime::OptLevel::None);
    config.memory_reservation(1 << 20).memory_guard_size(1 << 16).memory_reservation_for_growth(1 << 20);
    config.wasm_tail_call(true).wasm_function_references(false).wasm_gc(false);
    wasmtime::Engine::new(&config).map_err(|e| anyhow!("{e}"))
}

pub(super) fn wasmi_engine() -> wasmi::Engine {
    wasmi::Engine::new(&wasmi::Config::default())
}

pub(super) struct Wasmtime {
    store: wasmtime::Store<()>,
    instance: wasmtime::Instance,
}

impl Wasmtime {
    pub(super) fn new(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Self> {
        let module = wasmtime::Module::new(engine, bytes).map_err(|e| anyhow!("{e:#}"))?;
        let mut store = wasmtime::Store::new(engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).map_err(|e| anyhow!("{e:#}"))?;
        Ok(Self { store, instance })
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
        let value = |(ty, bits): (ValType, &u64)| match ty {
            ValType::I32 => Val::I32(*bits as i32),
            ValType::I64 => Val::I64(*bits as i64),
            ValType::F32 => Val::F32(*bits as u32),
            ValType::F64 => Val::F64(*bits),
            ValType::V128 => unreachable!("no SIMD is generated"),
            ValType::Ref(ty) => Val::null_ref(ty.heap_type()),
        };
        let args: Vec<Val> = ty.params().zip(args).map(value).collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(End::Returned(results.iter().map(wasmtime_bits).collect())),
            Err(error) => match error.downcast_ref::<wasmtime::Trap>() {
                Some(trap) => Ok(End::Trapped(wasmtime_trap(*trap)?)),
                None => bail!("wasmtime: {error:#}"),
            },
        }
    }

    fn memory(&mut self, export: &str) -> Vec<u8> {
        let memory = self.instance.get_memory(&mut self.store, export).expect("the node has this export");
        memory.data(&self.store).to_vec()
    }

    fn global(&mut self, export: &str) -> u64 {
        let global = self.instance.get_global(&mut self.store, export).expect("the node has this export");
        wasmtime_bits(&global.get(&mut self.store))
    }
}

fn wasmtime_bits(value: &wasmtime::Val) -> u64 {
    use wasmtime::Val;
    match value {
        Val::I32(v) => u64::from(*v as u32),
        Val::I64(v) => *v as u64,
        Val::F32(v) => u64::from(*v),
        Val::F64(v) => *v,
        Val::FuncRef(r) => u64::from(r.is_some()),
        Val::ExternRef(r) => u64::from(r.is_some()),
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
        other => bail!("wasmtime: unknown trap {other}"),
    })
}

pub(super) struct Wasmi {
    store: wasmi::Store<()>,
    instance: wasmi::Instance,
}

impl Wasmi {
    pub(super) fn new(engine: &wasmi::Engine, bytes: &[u8]) -> Result<Self> {
        let module = wasmi::Module::new(engine, bytes)?;
        let mut store = wasmi::Store::new(engine, ());
        let instance = wasmi::Instance::new(&mut store, &module, &[])?;
        Ok(Self { store, instance })
    }
}

impl Engine for Wasmi {
    fn name(&self) -> &'static str {
        "wasmi"
    }

    fn call(&mut self, export: &str, args: &[u64]) -> Result<End> {
        use wasmi::{Val, ValType};
        let func = self.instance.get_func(&self.store, export).context("no such export")?;
        let ty = func.ty(&self.store);
        let value = |(ty, bits): (&ValType, &u64)| match ty {
            ValType::I32 => Val::I32(*bits as i32),
            ValType::I64 => Val::I64(*bits as i64),
            ValType::F32 => Val::F32(wasmi::F32::from_bits(*bits as u32)),
            ValType::F64 => Val::F64(wasmi::F64::from_bits(*bits)),
            other => Val::default_for_ty(*other),
        };
        let args: Vec<Val> = ty.params().iter().zip(args).map(value).collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(End::Returned(results.iter().map(wasmi_bits).collect())),
            Err(error) => match error.as_trap_code() {
                Some(code) => Ok(End::Trapped(wasmi_trap(code)?)),
                None => bail!("wasmi: {error}"),
            },
        }
    }

    fn memory(&mut self, export: &str) -> Vec<u8> {
        self.instance.get_memory(&self.store, export).expect("the node has this export").data(&self.store).to_vec()
    }

    fn global(&mut self, export: &str) -> u64 {
        let global = self.instance.get_global(&self.store, export).expect("the node has this export");
        wasmi_bits(&global.get(&self.store))
    }
}

fn wasmi_bits(value: &wasmi::Val) -> u64 {
    use wasmi::Val;
    match value {
        Val::I32(v) => u64::from(*v as u32),
        Val::I64(v) => *v as u64,
        Val::F32(v) => u64::from(v.to_bits()),
        Val::F64(v) => v.to_bits(),
        Val::FuncRef(r) => u64::from(!r.is_null()),
        Val::ExternRef(r) => u64::from(!r.is_null()),
        other => unreachable!("no {other:?} is generated"),
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
        other => bail!("wasmi: unknown trap {other:?}"),
    })
}
