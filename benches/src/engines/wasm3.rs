//! wasm3, an interpreter in C. Its host functions see the memory by copying only.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow};
use peers_shim::Number;
use peers_shim::wasi::{Function, MODULE, Memory, Output, Wasi};
use wasm3x::{AsContext, AsContextMut, Caller, Config, Engine, FuncType, Linker, Module, Store, Val, ValType};

use super::{Load, library::Library};
use crate::interface::{Import, Interface};

/// Bytes of its stack of values.
const STACK: usize = 16 << 20;

/// wasm3 as its crate configures it.
pub fn load() -> Load {
    Box::new(|program| {
        let (wasm, args) = (program.wasm.clone(), program.task.args().to_vec());
        let imports = Interface::of(&wasm)?.imports;
        // Translated code belongs to an instance, so every instance begins with the bytes.
        Ok(Library::program(&program.task, move || Ok(Box::new(Instance::new(&wasm, &imports, &args)?))))
    })
}

struct Instance {
    store: Store<()>,
    instance: wasm3x::Instance,
    wasi: Arc<Mutex<Wasi>>,
}

impl Instance {
    fn new(wasm: &[u8], imports: &[Import], args: &[String]) -> Result<Self> {
        let mut config = Config::new();
        config.stack_size(STACK);
        let engine = Engine::new(&config);
        let wasi = Arc::new(Mutex::new(Wasi::new(args)));
        let mut linker = Linker::new(&engine);
        for import in imports.iter().filter(|import| import.module == MODULE) {
            define(&mut linker, import, &wasi)?;
        }
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate_and_start(&mut store, &Module::new(&engine, wasm)?)?;
        Ok(Self { store, instance, wasi })
    }
}

fn define(linker: &mut Linker<()>, import: &Import, wasi: &Arc<Mutex<Wasi>>) -> Result<()> {
    let types = |types: &[wasmparser::ValType]| types.iter().map(val_type).collect::<Result<Vec<_>>>();
    let ty = FuncType::new(types(import.ty.params())?, types(import.ty.results())?);
    let (function, wasi) = (Function::named(&import.name)?, wasi.clone());
    linker.func_new(MODULE, &import.name, ty, move |caller, params, results| {
        wasi_call(function, &mut lock(&wasi), caller, params, results)
    })?;
    Ok(())
}

fn val_type(ty: &wasmparser::ValType) -> Result<ValType> {
    match ty {
        wasmparser::ValType::I32 => Ok(ValType::I32),
        wasmparser::ValType::I64 => Ok(ValType::I64),
        other => Err(anyhow!("WASI has no {other}")),
    }
}

fn lock(wasi: &Mutex<Wasi>) -> MutexGuard<'_, Wasi> {
    wasi.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memory during a host call.
struct View<'a> {
    caller: Caller<'a, ()>,
    memory: wasm3x::Memory,
}

impl Memory for View<'_> {
    fn read(&self, at: u64, bytes: &mut [u8]) -> Option<()> {
        self.memory.read(self.caller.as_context(), usize::try_from(at).ok()?, bytes).ok()
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Option<()> {
        self.memory.write(self.caller.as_context_mut(), usize::try_from(at).ok()?, bytes).ok()
    }
}

fn wasi_call(
    function: Function,
    wasi: &mut Wasi,
    caller: Caller<'_, ()>,
    params: &[Val],
    results: &mut [Val],
) -> wasm3x::Result<()> {
    let memory = caller.get_memory().ok_or_else(|| wasm3x::Error::new("the program has no memory"))?;
    let args = params.iter().map(|value| match value {
        Val::I32(value) => u64::from(*value as u32),
        Val::I64(value) => *value as u64,
        _ => 0,
    });
    let errno = wasi.call(function, args, &mut View { caller, memory }).map_err(|_| wasm3x::Error::new("exit"))?;
    results[0] = Val::I32(errno);
    Ok(())
}

fn value(number: Number) -> Val {
    match number {
        Number::I32(value) => Val::I32(value),
        Number::I64(value) => Val::I64(value),
    }
}

impl peers_shim::Instance for Instance {
    fn call(&mut self, export: &str, argument: Option<Number>) -> Result<u64> {
        let func = self.instance.get_func(&self.store, export).with_context(|| format!("no function {export:?}"))?;
        let params: Vec<Val> = argument.into_iter().map(value).collect();
        let mut results = vec![Val::I64(0); func.ty(&self.store)?.results().len()];
        match func.call(&mut self.store, &params, &mut results) {
            Err(error) if !lock(&self.wasi).exited() => return Err(error.into()),
            _ => {}
        }
        Ok(match results.first() {
            Some(Val::I32(value)) => u64::from(*value as u32),
            Some(Val::I64(value)) => *value as u64,
            Some(Val::F32(value)) => u64::from(value.to_bits()),
            Some(Val::F64(value)) => value.to_bits(),
            _ => 0,
        })
    }

    fn memory_fold(&mut self) -> Result<u64> {
        let memory = self.instance.get_memory(&self.store).context("the program has no memory")?;
        Ok(peers_shim::fold(memory.data(&self.store)))
    }

    fn output(&mut self) -> Result<Output> {
        Ok(lock(&self.wasi).output())
    }
}
