//! Runs a job in the node, segment by segment: segments NODE.wasm --gas-limit N --enable-gas-refill PROGRAM ...
use anyhow::{Context as _, Result, ensure};
use std::{env, fs, io::Write as _, iter, path::PathBuf, process::exit};
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, WasmParams};

/// The node. Bytes go in and out through one buffer in its memory.
struct Node(Memory, Instance, Store<()>);

impl Node {
    fn call(&mut self, name: &str, params: impl WasmParams) -> Result<u32> {
        let value: i32 = self.1.get_typed_func(&mut self.2, name)?.call(&mut self.2, params)?;
        let value = if name == "node_load" { -value } else { value }; // The one error that is not negated.
        ensure!(value >= 0 || name == "node_buffer", String::from_utf8(self.take("node_error", ())?)?);
        Ok(value.cast_unsigned())
    }
    fn give(&mut self, name: &str, bytes: &[u8]) -> Result<u32> {
        let address = self.call("node_buffer", bytes.len() as u32)?;
        self.0.write(&mut self.2, address as usize, bytes)?;
        self.call(name, bytes.len() as u32)
    }
    fn take(&mut self, name: &str, params: impl WasmParams) -> Result<Vec<u8>> {
        let (mut bytes, address) = (vec![0; self.call(name, params)? as usize], self.call("node_buffer", 0)?);
        self.0.read(&self.2, address as usize, &mut bytes)?;
        Ok(bytes)
    }
    fn all(&mut self, name: &str, params: impl WasmParams + Copy) -> Result<Vec<u8>> {
        let next = || self.take(name, params).map(|bytes| (!bytes.is_empty()).then_some(bytes)).transpose();
        Ok(iter::from_fn(next).collect::<Result<Vec<_>>>()?.concat())
    }
}

fn main() -> Result<()> {
    let module = Module::from_file(&Engine::default(), env::args().nth(1).context("which node?")?)?;
    let (mut store, mut linker) = (Store::new(module.engine(), ()), Linker::new(module.engine()));
    linker.define_unknown_imports_as_traps(&module)?; // The exported functions call none of them.
    let instance = linker.instantiate(&mut store, &module)?;
    let mut node = Node(instance.get_memory(&mut store, "memory").context("no memory")?, instance, store);
    node.give("node_load", env::args().skip(2).collect::<Vec<_>>().join("\0").as_bytes())?;
    while let path @ [_, ..] = &*node.take("node_want", ())? {
        fs::read(str::from_utf8(path)?)?.chunks(1 << 20).try_for_each(|part| node.give("node_give", part).map(drop))?;
        node.call("node_give_end", 1)?;
    }
    let directory = PathBuf::from(String::from_utf8(node.take("node_output_dir", ())?)?);
    fs::create_dir_all(&directory)?;
    let mut event = 1;
    while (1..4).contains(&event) {
        event = node.call("node_run", (1_u64 << 62, 50_000_000_u64))?; // 0 the end, 1 a snapshot; 2 and 3: go on
        std::io::stdout().write_all(&node.all("node_output", 1)?)?;
        std::io::stderr().write_all(&node.all("node_output", 2)?)?;
        let gas = u64::from_le_bytes(*node.take("node_progress", ())?.first_chunk().context("no gas")?);
        while let name @ [_, ..] = &*node.take("node_take_name", ())? {
            let (name, contents) = (str::from_utf8(name)?, node.all("node_take", ())?);
            eprintln!("{name}: {} bytes, at {gas} gas", contents.len());
            fs::write(directory.join(name), contents)?;
        }
    }
    eprintln!("result: {}", fs::read_to_string(directory.join("result.txt"))?.trim().replace('\n', " "));
    exit(node.call("node_exit_code", ())?.cast_signed())
}
