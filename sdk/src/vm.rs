//! A live program: linked once, called many times.

use std::sync::Arc;
use std::time::Instant;

use stepmark_hosts::store::ReadWriteSet;
use stepmark_session::{Budget, Live, LiveEvent, SessionMode};

use crate::error::{Error, Signature};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::serve::Server;
use crate::setup::{EntryCall, Setup, check_arguments, not_found};
use crate::value::{Value, ValueType};

/// A live program. Its memory, globals, tables and files, its output and its view of the store stay from call to call,
/// a trap's too, as in other runtimes; only what a failed call wrote to the store is undone. Calls are charged as in a
/// run but leave no snapshot, and what host functions answer to them is not recorded: for that, [`start`](Self::start)
/// a run.
///
/// It may go from thread to thread, one at a time.
pub struct Vm {
    pub(crate) setup: Arc<Setup>,
    live: Live,
    server: Server,
    metrics: Metrics,
    output: [Vec<u8>; 2],
}

impl Vm {
    pub(crate) fn new(setup: &Setup) -> Result<Self, Error> {
        let began = Instant::now();
        let setup = Arc::new(setup.clone());
        let mut options = setup.options(&EntryCall { words: setup.args.clone() });
        options.gas_limit = Some(setup.config.gas());
        let live = setup.session(options, None, SessionMode::Live)?.into_live()?;
        let metrics = Metrics::default();
        let mut vm = Self { server: setup.server(), setup, live, metrics, output: [Vec::new(), Vec::new()] };
        vm.finish()?;
        vm.live.keep();
        vm.metrics.times.setting_up = began.elapsed();
        Ok(vm)
    }

    /// Another instance of this program, in the state after linking. It shares what is known of the code, but nothing
    /// that running changes.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut fork = Self {
            setup: self.setup.clone(),
            live: self.live.fork(),
            server: self.setup.server(),
            metrics: Metrics::default(),
            output: [Vec::new(), Vec::new()],
        };
        fork.renew_store();
        fork
    }

    /// Goes back to the state after linking; costs what was written since. The store is seen at its newest version from
    /// then on, and counts start again.
    pub fn reset(&mut self) {
        self.live.reset();
        self.renew_store();
        self.metrics = Metrics::default();
        self.output = [Vec::new(), Vec::new()];
    }

    fn renew_store(&mut self) {
        if let Some((_, store)) = &self.setup.store {
            self.live.set_store_version(store.version());
        }
    }

    /// Calls the function that `module`, or the active module, exports under `name`.
    ///
    /// # Errors
    /// There is no such module or function, the arguments are not its own, it traps, exits, or uses up the gas; or the
    /// node fails.
    ///
    /// ```
    /// use node_sdk::{Error, Trap, Value, Vm};
    ///
    /// let wasm = wat::parse_str(
    ///     r#"(module (func (export "div") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1))))"#,
    /// ).unwrap();
    /// let mut vm = Vm::builder().module(wasm).build()?;
    /// assert_eq!(vm.run_func(None, "div", &[7.into(), 2.into()])?, [Value::I32(3)]);
    /// match vm.run_func(None, "div", &[7.into(), 0.into()]) {
    ///     Err(Error::Trap(report)) => assert_eq!(report.trap, Trap::IntegerDivideByZero),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    pub fn run_func(&mut self, module: Option<&str>, name: &str, args: &[Value]) -> Result<Vec<Value>, Error> {
        let instance = self.instance(module)?;
        let found = self.live.func(instance, name).map(|(func, ty)| (func, ty.clone()));
        let (func, ty) = found.ok_or_else(|| self.no_function(module, instance, name))?;
        let wanted = ty.params.iter().map(|ty| ValueType::of(*ty)).collect();
        check_arguments(name, wanted, args)?;
        if args.contains(&Value::Ref) {
            return Err(Error::usage(format!("{name}: only null references can be arguments")));
        }
        let mut slots = Vec::with_capacity(args.len());
        args.iter().for_each(|value| value.push_slots(&mut slots));
        self.live.call(func, &slots)?;
        self.finish()
    }

    fn instance(&self, module: Option<&str>) -> Result<u32, Error> {
        // The active module has no name of its own here: the empty one is nobody's.
        let known = || self.setup.modules.iter().map(|(name, _)| name.clone()).collect();
        let found = module.filter(|name| name.is_empty()).map_or_else(|| self.live.instance(module), |_| None);
        found.ok_or_else(|| Error::ModuleNotFound { name: module.unwrap_or_default().to_owned(), known: known() })
    }

    fn no_function(&self, module: Option<&str>, instance: u32, name: &str) -> Error {
        match self.live.module(instance) {
            Some(exporter) => not_found(module, name, exporter),
            None => Error::usage("the module has no instance"),
        }
    }

    /// Types of the function that `module`, or the active module, exports under `name`.
    ///
    /// # Errors
    /// There is no such module or function.
    pub fn signature(&self, module: Option<&str>, name: &str) -> Result<Signature, Error> {
        let instance = self.instance(module)?;
        let (_, ty) = self.live.func(instance, name).ok_or_else(|| self.no_function(module, instance, name))?;
        let types = |types: &[_]| types.iter().map(|ty| ValueType::of(*ty)).collect();
        Ok(Signature { params: types(&ty.params), results: types(&ty.results) })
    }

    /// Runs what is to be run to its end.
    fn finish(&mut self) -> Result<Vec<Value>, Error> {
        let began = Instant::now();
        let ended = self.run_on();
        self.take_output();
        self.metrics.gas_used = self.live.gas_used();
        self.metrics.times.running += began.elapsed();
        ended
    }

    fn run_on(&mut self) -> Result<Vec<Value>, Error> {
        loop {
            match self.live.run(Budget::UNLIMITED)? {
                LiveEvent::Returned(values) => return Ok(values.iter().map(Value::from_report).collect()),
                LiveEvent::Exited(code) => return Err(Error::Exit(code)),
                LiveEvent::Trapped(report) => return Err(Error::Trap(report)),
                LiveEvent::OutOfGas => return Err(Error::Gas { left: self.live.gas_left() }),
                LiveEvent::Paused => {}
                LiveEvent::Output => self.take_output(),
                LiveEvent::Question => self.serve()?,
            }
        }
    }

    fn serve(&mut self) -> Result<(), Error> {
        let Some(question) = self.live.question().cloned() else { return Ok(()) };
        let answer = self.server.answer(&question, &mut self.live, &mut self.metrics);
        match answer {
            Ok(answer) => Ok(self.live.answer(answer)?),
            Err(error) => {
                self.live.give_up();
                Err(error)
            }
        }
    }

    fn take_output(&mut self) {
        for (fd, all) in (1..).zip(&mut self.output) {
            all.extend(self.live.take_output(fd));
        }
    }

    /// Memory 0 of the active module, if it has one.
    pub fn memory(&mut self) -> Option<Memory<'_>> {
        let instance = self.live.instance(None)?;
        self.live.memory(instance).map(Memory::new)
    }

    /// Memory 0 of a registered module.
    ///
    /// # Errors
    /// There is no such module, or it has no memory.
    pub fn memory_of(&mut self, module: &str) -> Result<Memory<'_>, Error> {
        let instance = self.instance(Some(module))?;
        let memory = self.live.memory(instance).map(Memory::new);
        memory.ok_or_else(|| Error::usage(format!("the module '{module}' has no memory")))
    }

    /// Gas that has been charged since linking began, less what host functions gave back.
    pub fn gas_used(&self) -> u64 {
        self.live.gas_used()
    }

    /// Gas that may still be charged.
    pub fn gas(&self) -> u64 {
        self.live.gas_left()
    }

    /// Lets so much gas be charged from now on.
    ///
    /// ```
    /// # use node_sdk::{Error, Vm};
    /// let wasm = wat::parse_str(r#"(module (func (export "spin") (loop $l (br $l))))"#).unwrap();
    /// let mut vm = Vm::builder().module(wasm).build()?;
    /// vm.set_gas(1000);
    /// assert_eq!(vm.run_func(None, "spin", &[]), Err(Error::Gas { left: 0 }));
    /// assert_eq!(vm.gas_used(), 1000);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_gas(&mut self, gas: u64) {
        self.live.set_gas_left(gas);
    }

    /// What the program, a contract, is called with next, and by whom.
    pub fn set_call_data(&mut self, args: &[u8], caller: &str) {
        self.live.set_call_data(args.to_vec(), caller.to_owned());
    }

    /// What calls that returned have read of the store and written to it since the reset. Whoever commits it then
    /// resets.
    pub fn read_write_set(&self) -> ReadWriteSet {
        self.live.read_write_set()
    }

    /// Takes what the program has written to standard output.
    pub fn take_stdout(&mut self) -> Vec<u8> {
        let [stdout, _] = &mut self.output;
        std::mem::take(stdout)
    }

    /// Takes what the program has written to standard error.
    pub fn take_stderr(&mut self) -> Vec<u8> {
        let [_, stderr] = &mut self.output;
        std::mem::take(stderr)
    }

    /// What was counted since the reset.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
