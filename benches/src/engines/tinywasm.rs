//! tinywasm, an interpreter in safe Rust.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow};
use peers_shim::Number;
use peers_shim::wasi::{Function, MODULE, Output, Wasi};
use tinywasm::engine::{Config, StackConfig};
use tinywasm::types::{FuncType, ImportType, Module, WasmValue};
use tinywasm::{Engine, FuncContext, HostFunction, Imports, ModuleInstance, Store};

use super::{Load, library::Library};

/// Least and most entries of its stacks: its own limits are below what some programs need.
const STACK: StackConfig = StackConfig::dynamic(32 << 10, 4 << 20);

/// tinywasm as its crate configures it, but with larger stacks.
pub fn load() -> Load {
    Box::new(|program| {
        let module = tinywasm::parse_bytes(&program.wasm).map_err(|error| anyhow!("{error}"))?;
        let args = program.task.args().to_vec();
        Ok(Library::program(&program.task, move || Ok(Box::new(Instance::new(&module, &args)?))))
    })
}

struct Instance {
    store: Store,
    instance: ModuleInstance,
    wasi: Rc<RefCell<Wasi>>,
}

impl Instance {
    fn new(module: &Module, args: &[String]) -> Result<Self> {
        let config = Config::new().with_value_stack(STACK).with_call_stack(STACK);
        let mut store = Store::new(Engine::new(config));
        let wasi = Rc::new(RefCell::new(Wasi::new(args)));
        let mut imports = Imports::new();
        for import in module.imports().filter(|import| import.module == MODULE) {
            let ImportType::Func(ty) = import.ty else { continue };
            define(&mut store, &mut imports, import.name, ty, &wasi)?;
        }
        let instance = ModuleInstance::instantiate(&mut store, module, Some(imports)).map_err(text)?;
        Ok(Self { store, instance, wasi })
    }
}

fn define(store: &mut Store, imports: &mut Imports, name: &str, ty: &FuncType, wasi: &Rc<RefCell<Wasi>>) -> Result<()> {
    let (function, wasi) = (Function::named(name)?, wasi.clone());
    let call = move |context: FuncContext<'_>, params: &[WasmValue]| {
        wasi_call(function, &mut wasi.borrow_mut(), context, params)
    };
    imports.define(MODULE, name, HostFunction::from_untyped(store, ty, call));
    Ok(())
}

/// The memory during a host call.
struct View<'a> {
    context: FuncContext<'a>,
    memory: tinywasm::Memory,
}

impl peers_shim::wasi::Memory for View<'_> {
    fn read(&self, at: u64, bytes: &mut [u8]) -> Option<()> {
        self.memory.read_exact(self.context.store(), usize::try_from(at).ok()?, bytes).ok()
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Option<()> {
        self.memory.copy_from_slice(self.context.store_mut(), usize::try_from(at).ok()?, bytes).ok()
    }
}

fn wasi_call(
    function: Function,
    wasi: &mut Wasi,
    context: FuncContext<'_>,
    params: &[WasmValue],
) -> tinywasm::Result<Vec<WasmValue>> {
    let memory = context.memory("memory")?;
    let args = params.iter().map(|value| match value {
        WasmValue::I32(value) => u64::from(*value as u32),
        WasmValue::I64(value) => *value as u64,
        _ => 0,
    });
    let errno = wasi.call(function, args, &mut View { context, memory });
    errno.map(|errno| vec![WasmValue::I32(errno)]).map_err(|_| tinywasm::Error::Other("exit".into()))
}

fn value(number: Number) -> WasmValue {
    match number {
        Number::I32(value) => WasmValue::I32(value),
        Number::I64(value) => WasmValue::I64(value),
    }
}

impl peers_shim::Instance for Instance {
    fn call(&mut self, export: &str, argument: Option<Number>) -> Result<u64> {
        let func = self.instance.func_untyped(&self.store, export).map_err(text).with_context(|| export.to_owned())?;
        let params: Vec<WasmValue> = argument.into_iter().map(value).collect();
        let results = match func.call(&mut self.store, &params) {
            Err(_) if self.wasi.borrow().exited() => Vec::new(),
            other => other.map_err(text)?,
        };
        Ok(match results.first() {
            Some(WasmValue::I32(value)) => u64::from(*value as u32),
            Some(WasmValue::I64(value)) => *value as u64,
            Some(WasmValue::F32(value)) => u64::from(value.to_bits()),
            Some(WasmValue::F64(value)) => value.to_bits(),
            _ => 0,
        })
    }

    fn memory_fold(&mut self) -> Result<u64> {
        let memory = self.instance.memory("memory").map_err(text)?;
        let length = memory.len(&self.store).map_err(text)?;
        Ok(peers_shim::fold(&memory.read_vec(&self.store, 0, length).map_err(text)?))
    }

    fn output(&mut self) -> Result<Output> {
        Ok(self.wasi.borrow().output())
    }
}

fn text(error: tinywasm::Error) -> anyhow::Error {
    anyhow!("{error}")
}
