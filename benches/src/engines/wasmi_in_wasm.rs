//! wasmi compiled to wasm (the crate `wasmi-in-wasm`), in the same wasmtime as the node: peers in the same place.

use std::path::Path;

use anyhow::{Context, Result, bail};
use peers_shim::Number;
use peers_shim::wasi::Output;
use wasmtime::{Linker, Memory, Module, Store, WasmParams, WasmResults};

use super::wasmtime::inner_engine;
use super::{Load, library::Library};

/// The wasmi in the file `path`, with or without fuel.
pub fn load(path: &Path, fuel: bool) -> Result<Load> {
    let wasm = std::fs::read(path).with_context(|| path.display().to_string())?;
    let module = Module::new(&inner_engine()?, wasm)?;
    Ok(Box::new(move |program| {
        let (module, wasm) = (module.clone(), program.wasm.clone());
        let args: String = program.task.args().iter().map(|arg| format!("{arg}\0")).collect();
        let instantiate = move || -> Result<Box<dyn peers_shim::Instance>> {
            let mut inner = Inner::new(&module)?;
            inner.write(&wasm)?;
            inner.fallible("load", u32::from(fuel))?;
            inner.write(args.as_bytes())?;
            inner.fallible("instantiate", ())?;
            Ok(Box::new(inner))
        };
        Ok(Library::program(&program.task, instantiate))
    }))
}

/// An instance of wasmi with an instance of a program.
struct Inner {
    store: Store<()>,
    instance: wasmtime::Instance,
    memory: Memory,
}

impl Inner {
    fn new(module: &Module) -> Result<Self> {
        let mut store = Store::new(module.engine(), ());
        let mut linker = Linker::new(module.engine());
        // Only errors call out: whoever makes one asks the environment whether it is to carry a backtrace.
        linker.define_unknown_imports_as_default_values(&mut store, module)?;
        let instance = linker.instantiate(&mut store, module)?;
        let memory = instance.get_memory(&mut store, "memory").context("wasmi exports no memory")?;
        Ok(Self { store, instance, memory })
    }

    fn call_export<R: WasmResults>(&mut self, export: &str, params: impl WasmParams) -> Result<R> {
        let function = self.instance.get_typed_func(&mut self.store, export)?;
        Ok(function.call(&mut self.store, params)?)
    }

    /// Fills the buffer.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let address: u32 = self.call_export("buffer", bytes.len() as u32)?;
        Ok(self.memory.write(&mut self.store, address as usize, bytes)?)
    }

    /// Calls a function that can fail; its value.
    fn fallible(&mut self, export: &str, params: impl WasmParams) -> Result<u64> {
        let length: u32 = self.call_export(export, params)?;
        if length == 0 {
            return self.call_export("value", ());
        }
        let address: u32 = self.call_export("buffer", length)?;
        let mut text = vec![0; length as usize];
        self.memory.read(&self.store, address as usize, &mut text)?;
        bail!("{}", String::from_utf8_lossy(&text))
    }
}

impl peers_shim::Instance for Inner {
    fn call(&mut self, export: &str, argument: Option<Number>) -> Result<u64> {
        self.write(export.as_bytes())?;
        match argument {
            Some(Number::I32(value)) => self.fallible("call_i32", value),
            Some(Number::I64(value)) => self.fallible("call_i64", value),
            None => self.fallible("call", ()),
        }
    }

    fn memory_fold(&mut self) -> Result<u64> {
        self.fallible("memory_fold", ())
    }

    fn output(&mut self) -> Result<Output> {
        let hash = self.fallible("output_hash", ())?;
        Ok(Output { hash, exit_code: self.fallible("exit_code", ())? as i32 })
    }
}
