//! wasmtime: compiled by Cranelift, without and with fuel, and Pulley, its interpreter.

use anyhow::{Context, Result, anyhow};
use peers_shim::Number;
use peers_shim::wasi::{Function, MODULE, Output, Wasi};
use wasmtime::{Caller, Config, Engine, Extern, Linker, Module, Store, Val};

use super::{Load, library::Library};

/// Stack that a program may use: a part of that of the measuring thread.
const STACK: usize = 64 << 20;

/// Cranelift without metering.
pub fn cranelift() -> Result<Load> {
    load(Config::new(), false)
}

/// Cranelift with fuel.
pub fn cranelift_fuel() -> Result<Load> {
    let mut config = Config::new();
    config.consume_fuel(true);
    load(config, true)
}

/// Cranelift with fuel and NaNs whose bits are the same everywhere: what compiled code in the node stands in for.
pub fn cranelift_exact() -> Result<Load> {
    let mut config = Config::new();
    config.consume_fuel(true).cranelift_nan_canonicalization(true);
    load(config, true)
}

/// Pulley.
pub fn pulley() -> Result<Load> {
    let mut config = Config::new();
    config.target("pulley64")?;
    load(config, false)
}

fn load(mut config: Config, fuel: bool) -> Result<Load> {
    config.max_wasm_stack(STACK).async_stack_size(STACK);
    let engine = Engine::new(&config)?;
    Ok(Box::new(move |program| {
        let module = Module::new(&engine, &program.wasm)?;
        let args = program.task.args().to_vec();
        Ok(Library::program(&program.task, move || Ok(Box::new(Instance::new(&module, &args, fuel)?))))
    }))
}

struct Instance {
    store: Store<Wasi>,
    instance: wasmtime::Instance,
}

impl Instance {
    fn new(module: &Module, args: &[String], fuel: bool) -> Result<Self> {
        let mut store = Store::new(module.engine(), Wasi::new(args));
        if fuel {
            store.set_fuel(u64::MAX)?;
        }
        let instance = linker(module)?.instantiate(&mut store, module)?;
        Ok(Self { store, instance })
    }
}

/// The functions of WASI that the module imports.
fn linker(module: &Module) -> Result<Linker<Wasi>> {
    let mut linker = Linker::new(module.engine());
    // A module may import a function twice.
    linker.allow_shadowing(true);
    for import in module.imports().filter(|import| import.module() == MODULE) {
        let function = Function::named(import.name())?;
        let ty = import.ty().func().cloned().with_context(|| format!("{} is no function", import.name()))?;
        linker.func_new(MODULE, import.name(), ty, move |caller, params, results| {
            wasi_call(function, caller, params, results)
        })?;
    }
    Ok(linker)
}

fn wasi_call(
    function: Function,
    mut caller: Caller<'_, Wasi>,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let Some(memory) = caller.get_export("memory").and_then(Extern::into_memory) else {
        return Err(wasmtime::Error::msg("the program exports no memory"));
    };
    let args = params.iter().map(|value| match value {
        Val::I32(value) => u64::from(*value as u32),
        Val::I64(value) => *value as u64,
        _ => 0,
    });
    let (memory, wasi) = memory.data_and_store_mut(&mut caller);
    let errno = wasi.call(function, args, memory).map_err(|_| wasmtime::Error::msg("exit"))?;
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
        let func =
            self.instance.get_func(&mut self.store, export).with_context(|| format!("no function {export:?}"))?;
        let params: Vec<Val> = argument.into_iter().map(value).collect();
        let mut results = vec![Val::I64(0); func.ty(&self.store).results().len()];
        match func.call(&mut self.store, &params, &mut results) {
            Err(error) if !self.store.data().exited() => return Err(anyhow!("{error:#}")),
            _ => {}
        }
        Ok(match results.first() {
            Some(Val::I32(value)) => u64::from(*value as u32),
            Some(Val::I64(value)) => *value as u64,
            Some(Val::F32(bits)) => u64::from(*bits),
            Some(Val::F64(bits)) => *bits,
            _ => 0,
        })
    }

    fn memory_fold(&mut self) -> Result<u64> {
        let memory = self.instance.get_memory(&mut self.store, "memory").context("the program exports no memory")?;
        Ok(peers_shim::fold(memory.data(&self.store)))
    }

    fn output(&mut self) -> Result<Output> {
        Ok(self.store.data().output())
    }
}

/// The wasmtime that interpreters run in, the node and its peers alike: set as the host runner sets it, every function at
/// the beginning of a cache line.
///
/// # Errors
/// If wasmtime does not know the setting.
#[allow(unsafe_code, reason = "wasmtime has no safe setting for it")]
pub fn inner_engine() -> Result<Engine> {
    let mut config = Config::new();
    // SAFETY: the setting moves code and changes none.
    unsafe { config.cranelift_flag_set("log2_min_function_alignment", "6") };
    Ok(Engine::new(&config)?)
}
