//! Describes a program step by step. Nothing is read or checked before [`VmBuilder::build`], [`VmBuilder::start`] or
//! [`VmBuilder::resume`]; a description can be used any number of times.

use std::sync::Arc;

use crate::cache::ModuleCache;
use crate::chain::{Chain, SnapshotId};
use crate::config::Config;
use crate::error::Error;
use crate::linker::Linker;
use crate::pool::Pool;
use crate::run::Run;
use crate::setup::{EntryCall, Setup};
use crate::store::StoreSource;
use crate::value::Value;
use crate::vm::Vm;

/// Modules that a description keeps without a cache of the embedder's.
const OWN_CACHE: usize = 16;

/// The description of a program: see [`Vm::builder`].
#[derive(Clone)]
pub struct VmBuilder {
    pub(crate) setup: Setup,
}

impl Vm {
    /// Describes a program.
    ///
    /// ```
    /// use node_sdk::{Value, Vm};
    ///
    /// let wasm = wat::parse_str(
    ///     r#"(module (global $n (mut i32) (i32.const 0)) (func (export "next") (result i32)
    ///         (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"#,
    /// ).unwrap();
    /// let mut vm = Vm::builder().module(wasm).build()?;
    /// assert_eq!(vm.run_func(None, "next", &[])?, [Value::I32(1)]);
    /// assert_eq!(vm.run_func(None, "next", &[])?, [Value::I32(2)]);
    /// vm.reset();
    /// assert_eq!(vm.run_func(None, "next", &[])?, [Value::I32(1)]);
    /// # Ok::<(), node_sdk::Error>(())
    /// ```
    pub fn builder() -> VmBuilder {
        VmBuilder::new()
    }

    /// Begins a run of the same description, beside this instance: see [`VmBuilder::start`].
    ///
    /// # Errors
    /// As there.
    pub fn start(&self, entry: Option<&str>, args: &[Value], gas_limit: u64) -> Result<Run, Error> {
        self.description().start(entry, args, gas_limit)
    }

    /// Goes on from a snapshot of a run of the same description: see [`VmBuilder::resume`].
    ///
    /// # Errors
    /// As there.
    pub fn resume(&self, chain: &Chain, id: SnapshotId, gas_limit: Option<u64>) -> Result<Run, Error> {
        self.description().resume(chain, id, gas_limit)
    }

    fn description(&self) -> VmBuilder {
        VmBuilder { setup: (*self.setup).clone() }
    }
}

impl VmBuilder {
    pub(crate) fn new() -> Self {
        Self {
            setup: Setup {
                config: Config::default(),
                name: "program.wasm".to_owned(),
                program: None,
                modules: Vec::new(),
                contracts: Vec::new(),
                args: Vec::new(),
                env: Vec::new(),
                stdin: None,
                inputs: Vec::new(),
                preopens: Vec::new(),
                clock_rate: None,
                seed: None,
                call_data: None,
                caller: None,
                linker: Arc::default(),
                store: None,
                cache: Arc::new(ModuleCache::new(OWN_CACHE)),
            },
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Setup)) -> Self {
        change(&mut self.setup);
        self
    }

    /// Features, limits, schedule.
    #[must_use]
    pub fn config(self, config: Config) -> Self {
        self.with(|setup| setup.config = config)
    }

    /// The active module: the one that is run, and that functions are called in where no other is named.
    #[must_use]
    pub fn module(self, wasm: impl Into<Arc<[u8]>>) -> Self {
        self.with(|setup| setup.program = Some(wasm.into()))
    }

    /// The active module's name, as a command sees it in `argv[0]`. By default `program.wasm`.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with(|setup| name.clone_into(&mut setup.name))
    }

    /// A module from which those registered later, and the active one, can import under `name`.
    #[must_use]
    pub fn register_module(self, name: &str, wasm: impl Into<Arc<[u8]>>) -> Self {
        self.with(|setup| setup.modules.push((name.to_owned(), wasm.into())))
    }

    /// The host functions.
    #[must_use]
    pub fn linker(self, linker: impl Into<Arc<Linker>>) -> Self {
        self.with(|setup| setup.linker = linker.into())
    }

    /// A contract that can be called by name.
    #[must_use]
    pub fn contract(self, name: &str, wasm: impl Into<Arc<[u8]>>) -> Self {
        self.with(|setup| setup.contracts.push((name.to_owned(), wasm.into())))
    }

    /// The key-value store that the program sees, as it was at `version`.
    #[must_use]
    pub fn store(self, version: u64, source: Arc<dyn StoreSource>) -> Self {
        self.with(|setup| setup.store = Some((version, source)))
    }

    /// What the program, a contract, is called with, and by whom.
    #[must_use]
    pub fn call_data(self, args: &[u8], caller: &str) -> Self {
        self.with(|setup| (setup.call_data, setup.caller) = (Some(args.to_vec()), Some(caller.to_owned())))
    }

    /// A command's arguments, without its name.
    #[must_use]
    pub fn args<S: Into<String>>(self, args: impl IntoIterator<Item = S>) -> Self {
        self.with(|setup| setup.args = args.into_iter().map(Into::into).collect())
    }

    /// A variable of the environment. The last value of a name counts.
    #[must_use]
    pub fn env(self, name: &str, value: &str) -> Self {
        self.with(|setup| setup.env.push((name.to_owned(), value.to_owned())))
    }

    /// What the program reads as standard input.
    #[must_use]
    pub fn stdin(self, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.with(|setup| setup.stdin = Some(bytes.into()))
    }

    /// A file that the program finds at `path`. What it writes there stays in its state.
    #[must_use]
    pub fn input_file(self, path: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.with(|setup| setup.inputs.push((path.to_owned(), bytes.into())))
    }

    /// A directory that is open to the program, made if no file is in it. By default `/` if there are files.
    #[must_use]
    pub fn preopen(self, path: &str) -> Self {
        self.with(|setup| setup.preopens.push(path.to_owned()))
    }

    /// Nanoseconds by which the program's clocks advance for each unit of gas. By default 1.
    #[must_use]
    pub fn clock_rate(self, nanoseconds: u64) -> Self {
        self.with(|setup| setup.clock_rate = Some(nanoseconds))
    }

    /// Seed of the program's random source. By default 0.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.with(|setup| setup.seed = Some(seed))
    }

    /// Modules that were validated before, for this description and others.
    #[must_use]
    pub fn cache(self, cache: Arc<ModuleCache>) -> Self {
        self.with(|setup| setup.cache = cache)
    }

    /// Links the modules and runs their start functions, and `_initialize` if the active module has it and is no
    /// command.
    ///
    /// # Errors
    /// The modules are bad or do not fit each other; a start function traps, exits or uses up the gas limit.
    pub fn build(&self) -> Result<Vm, Error> {
        self.setup.check()?;
        Vm::new(&self.setup)
    }

    /// An instance of the program, and as many more as are asked for at a time, up to `most`.
    ///
    /// # Errors
    /// As those of [`build`](Self::build).
    pub fn pool(&self, most: usize) -> Result<Pool, Error> {
        Ok(Pool::new(self.build()?, most))
    }

    /// Begins a run of the export `entry`, or of a command without one, with `gas_limit` gas for each segment.
    ///
    /// # Errors
    /// The modules are bad or do not fit each other, there is no such function, or the arguments are not its own.
    ///
    /// ```
    /// use node_sdk::{Error, Value, ValueType, Vm};
    ///
    /// let wasm = wat::parse_str(r#"(module (func (export "f") (param i64)))"#).unwrap();
    /// let program = Vm::builder().module(wasm);
    /// assert!(program.start(Some("f"), &[Value::I64(1)], 1000).is_ok());
    /// let wrong = program.start(Some("f"), &[Value::I32(1)], 1000).err().unwrap();
    /// assert_eq!(wrong.to_string(), "f: the arguments are (i32), wanted (i64)");
    /// ```
    pub fn start(&self, entry: Option<&str>, args: &[Value], gas_limit: u64) -> Result<Run, Error> {
        self.setup.check()?;
        let entry = self.setup.entry(entry, args)?;
        Run::start(&self.setup, &entry, Some(gas_limit), None)
    }

    /// Goes on from a snapshot, with `gas_limit` gas for each segment, or with the limit of the segment that led there.
    /// The description must be the one that the chain is of.
    ///
    /// # Errors
    /// A file is missing, damaged, or of another job.
    pub fn resume(&self, chain: &Chain, id: SnapshotId, gas_limit: Option<u64>) -> Result<Run, Error> {
        self.setup.check()?;
        Run::start(&self.setup, &EntryCall::default(), gas_limit, Some((chain, id)))
    }

    /// Executes the segment after snapshot `id` again, from the record of its answers: neither the linker's functions
    /// nor the store are asked. What it leads to is byte for byte what the first execution led to.
    ///
    /// # Errors
    /// As those of [`resume`](Self::resume), and if the segment's record is missing, damaged or too short.
    pub fn replay(&self, chain: &Chain, id: u64, gas_limit: Option<u64>) -> Result<Run, Error> {
        let mut run = self.resume(chain, SnapshotId::Number(id), gas_limit)?;
        if chain.asks_outside(id)? {
            run.answer_from(chain.answers(id.saturating_add(1))?);
        }
        Ok(run)
    }
}
