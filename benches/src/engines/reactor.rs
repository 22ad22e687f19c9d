//! The node's wasm in wasmtime, through its exported functions (docs/guest-abi.md).

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use wasmtime::{Instance, Linker, Memory, Module, Store, WasmParams};

use super::node::Node;
use super::wasmtime::inner_engine;

/// Bytes handed over in one call: less than the exchange buffer takes.
const CHUNK: usize = 256 << 10;
/// The events of `node_run`.
const FINISHED: i32 = 0;
const OUTPUT: i32 = 3;

/// A node in an instance of its own.
pub struct Reactor {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    stdout: Vec<u8>,
}

impl Reactor {
    /// Compiles the node in the file `path`.
    ///
    /// # Errors
    /// If it cannot be read or is not valid.
    pub fn compile(path: &Path) -> Result<Module> {
        Ok(Module::new(&inner_engine()?, std::fs::read(path)?)?)
    }

    /// A node without a job.
    ///
    /// # Errors
    /// If `module` is no node.
    pub fn new(module: &Module) -> Result<Self> {
        let mut store = Store::new(module.engine(), ());
        let mut linker = Linker::new(module.engine());
        linker.define_unknown_imports_as_traps(module)?;
        let instance = linker.instantiate(&mut store, module)?;
        let memory = instance.get_memory(&mut store, "memory").context("the node exports no memory")?;
        Ok(Self { store, instance, memory, stdout: Vec::new() })
    }

    fn call(&mut self, export: &str, params: impl WasmParams) -> Result<i32> {
        let function = self.instance.get_typed_func(&mut self.store, export)?;
        Ok(function.call(&mut self.store, params)?)
    }

    /// The result of an export that returns errors below 0.
    fn check(&mut self, value: i32) -> Result<usize> {
        if value < 0 {
            let length = self.call("node_error", ())?;
            let text = self.read(length as usize)?;
            bail!("the node: {}", String::from_utf8_lossy(&text));
        }
        Ok(value as usize)
    }

    /// The bytes that an export hands out in pieces.
    fn all(&mut self, export: &str, params: impl WasmParams + Copy) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let value = self.call(export, params)?;
            match self.check(value)? {
                0 => return Ok(all),
                length => all.extend(self.read(length)?),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<u32> {
        let length = bytes.len() as u32;
        let address = self.call("node_buffer", length)?;
        ensure!(address != 0, "{length} bytes are more than the node takes at once");
        self.memory.write(&mut self.store, address as u32 as usize, bytes)?;
        Ok(length)
    }

    fn read(&mut self, length: usize) -> Result<Vec<u8>> {
        let address = self.call("node_buffer", 0_u32)?;
        let mut bytes = vec![0; length];
        self.memory.read(&self.store, address as u32 as usize, &mut bytes)?;
        Ok(bytes)
    }
}

impl Node for Reactor {
    fn load(&mut self, argv: &[String]) -> Result<()> {
        self.stdout.clear();
        let length = self.write(argv.join("\0").as_bytes())?;
        let code = self.call("node_load", length)?;
        self.check(-code).map(|_| ())
    }

    fn want(&mut self) -> Result<Option<String>> {
        let value = self.call("node_want", ())?;
        match self.check(value)? {
            0 => Ok(None),
            length => Ok(Some(String::from_utf8(self.read(length)?)?)),
        }
    }

    fn give(&mut self, bytes: &[u8]) -> Result<()> {
        for chunk in bytes.chunks(CHUNK) {
            let length = self.write(chunk)?;
            let value = self.call("node_give", length)?;
            self.check(value)?;
        }
        let value = self.call("node_give_end", 1_u32)?;
        self.check(value).map(|_| ())
    }

    fn run(&mut self) -> Result<Duration> {
        let start = Instant::now();
        loop {
            match self.call("node_run", (u64::MAX, u64::MAX))? {
                FINISHED => return Ok(start.elapsed()),
                OUTPUT => {
                    let bytes = self.all("node_output", 1_u32)?;
                    self.stdout.extend(bytes);
                    // Not looked at, but it must not fill up.
                    self.all("node_output", 2_u32)?;
                }
                event => {
                    self.check(event)?;
                    bail!("the node stopped with event {event}")
                }
            }
        }
    }

    fn take_stdout(&mut self) -> Result<Vec<u8>> {
        let rest = self.all("node_output", 1_u32)?;
        self.stdout.extend(rest);
        Ok(std::mem::take(&mut self.stdout))
    }

    fn exit_code(&mut self) -> Result<i32> {
        self.call("node_exit_code", ())
    }

    fn take_result(&mut self) -> Result<String> {
        Ok(String::from_utf8(self.all("node_take", ())?)?)
    }
}
