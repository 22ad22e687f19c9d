//! The node in its two forms, through the calls of its session: the library linked into this program, and the wasm file as
//! it ships in wasmtime (docs/guest-abi.md).

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use guest_interp::error::Error;
use guest_interp::session::{Budget, Event, Session};
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, WasmParams};

/// Bytes handed over in one call: less than the exchange buffer takes.
const CHUNK: usize = 256 << 10;

/// Where the node runs.
#[derive(Clone)]
pub enum Place {
    Native,
    Wasm(Module),
}

impl Place {
    /// The node in the wasm file's `bytes`.
    pub fn wasm(bytes: &[u8]) -> Result<Place> {
        Ok(Place::Wasm(Module::new(&Engine::default(), bytes)?))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Place::Native => "native",
            Place::Wasm(_) => "wasm",
        }
    }

    /// A node with a job; its files are still wanted.
    pub fn node(&self, argv: &[&str]) -> Result<Box<dyn Node>> {
        let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
        Ok(match self {
            Place::Native => Box::new(Session::new(&argv).map_err(text)?),
            Place::Wasm(module) => Box::new(Reactor::new(module, &argv)?),
        })
    }
}

/// Files by path, as the node asks for them.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A node with a job.
pub trait Node {
    fn want(&mut self) -> Result<Option<String>>;
    fn give(&mut self, bytes: &[u8]) -> Result<()>;
    fn run(&mut self, budget: Budget) -> Result<Event>;
    fn pause(&mut self) -> Result<()>;
    fn take_name(&mut self) -> Result<Option<String>>;
    /// The next bytes of the file named last; `false` at its end.
    fn take_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool>;
    /// Throws away what the program has written.
    fn drop_output(&mut self) -> Result<()>;
    /// Bytes of the node's own linear memory, where it has one.
    fn memory(&mut self) -> Option<usize>;
}

impl dyn Node {
    /// Gives every file that is wanted, but for those that `stop` names: returns before giving one.
    pub fn load(&mut self, files: &Files, stop: impl Fn(&str) -> bool) -> Result<()> {
        while let Some(path) = self.want()? {
            if stop(&path) {
                break;
            }
            self.give(files.get(&path).with_context(|| format!("the node wants {path}"))?)?;
        }
        Ok(())
    }

    /// Runs slice by slice until something else than output or a pause comes, telling `paused` of each pause.
    pub fn run_on(&mut self, slice: u64, mut paused: impl FnMut(&mut dyn Node) -> Result<()>) -> Result<Event>
    where
        Self: 'static,
    {
        loop {
            match self.run(Budget { gas: slice, steps: u64::MAX })? {
                Event::Output => self.drop_output()?,
                Event::Paused => paused(self)?,
                event => return Ok(event),
            }
        }
    }

    /// Takes all files that are ready.
    pub fn take(&mut self) -> Result<Files> {
        let (mut files, mut chunk) = (Files::new(), Vec::new());
        while let Some(name) = self.take_name()? {
            let file = files.entry(name).or_default();
            while self.take_chunk(&mut chunk)? {
                file.extend_from_slice(&chunk);
            }
        }
        Ok(files)
    }
}

fn text(error: Error) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

impl Node for Session {
    fn want(&mut self) -> Result<Option<String>> {
        Session::want(self).map_err(text)
    }

    fn give(&mut self, bytes: &[u8]) -> Result<()> {
        for chunk in bytes.chunks(CHUNK) {
            Session::give(self, chunk).map_err(text)?;
        }
        self.give_end(true).map_err(text)
    }

    fn run(&mut self, budget: Budget) -> Result<Event> {
        Session::run(self, budget).map_err(text)
    }

    fn pause(&mut self) -> Result<()> {
        self.encode_pause().map_err(text)
    }

    fn take_name(&mut self) -> Result<Option<String>> {
        Ok(Session::take_name(self))
    }

    fn take_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool> {
        Session::take_chunk(self, chunk).map_err(text)
    }

    fn drop_output(&mut self) -> Result<()> {
        drop((self.take_output(1), self.take_output(2)));
        Ok(())
    }

    fn memory(&mut self) -> Option<usize> {
        None
    }
}

/// The wasm file in an instance of its own.
struct Reactor {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Reactor {
    fn new(module: &Module, argv: &[String]) -> Result<Self> {
        let mut store = Store::new(module.engine(), ());
        let mut linker = Linker::new(module.engine());
        linker.define_unknown_imports_as_traps(module)?;
        let instance = linker.instantiate(&mut store, module)?;
        let memory = instance.get_memory(&mut store, "memory").context("the node exports no memory")?;
        let mut reactor = Self { store, instance, memory };
        let length = reactor.write(argv.join("\0").as_bytes())?;
        let code = reactor.call("node_load", length)?;
        reactor.check(-code)?;
        Ok(reactor)
    }

    fn call(&mut self, export: &str, params: impl WasmParams) -> Result<i32> {
        let function = self.instance.get_typed_func(&mut self.store, export)?;
        Ok(function.call(&mut self.store, params)?)
    }

    /// The result of an export that returns errors below 0.
    fn check(&mut self, value: i32) -> Result<usize> {
        if value < 0 {
            let length = self.call("node_error", ())?;
            let mut text = Vec::new();
            self.read(length as usize, &mut text)?;
            bail!("the node: {}", String::from_utf8_lossy(&text));
        }
        Ok(value as usize)
    }

    fn length(&mut self, export: &str) -> Result<usize> {
        let value = self.call(export, ())?;
        self.check(value)
    }

    fn name(&mut self, export: &str) -> Result<Option<String>> {
        let length = self.length(export)?;
        let mut name = Vec::new();
        self.read(length, &mut name)?;
        Ok(if length == 0 { None } else { Some(String::from_utf8(name)?) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<u32> {
        let address = self.call("node_buffer", bytes.len() as u32)?;
        ensure!(address != 0, "{} bytes are more than the node takes at once", bytes.len());
        self.memory.write(&mut self.store, address as u32 as usize, bytes)?;
        Ok(bytes.len() as u32)
    }

    fn read(&mut self, length: usize, out: &mut Vec<u8>) -> Result<()> {
        let start = self.call("node_buffer", 0_u32)? as u32 as usize;
        let bytes = self.memory.data(&self.store).get(start..start + length).context("beyond the node's memory")?;
        out.clear();
        out.extend_from_slice(bytes);
        Ok(())
    }
}

impl Node for Reactor {
    fn want(&mut self) -> Result<Option<String>> {
        self.name("node_want")
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

    fn run(&mut self, budget: Budget) -> Result<Event> {
        let event = self.call("node_run", (budget.gas, budget.steps))?;
        Ok(match self.check(event)? {
            0 => Event::Finished,
            1 => Event::Snapshot(0),
            2 => Event::Paused,
            _ => Event::Output,
        })
    }

    fn pause(&mut self) -> Result<()> {
        self.length("node_pause").map(|_| ())
    }

    fn take_name(&mut self) -> Result<Option<String>> {
        self.name("node_take_name")
    }

    fn take_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool> {
        let length = self.length("node_take")?;
        self.read(length, chunk)?;
        Ok(length > 0)
    }

    fn drop_output(&mut self) -> Result<()> {
        for fd in [1_u32, 2] {
            while self.call("node_output", fd)? > 0 {}
        }
        Ok(())
    }

    fn memory(&mut self) -> Option<usize> {
        Some(self.memory.data_size(&self.store))
    }
}
