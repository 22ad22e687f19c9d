//! A program that is linked once and called many times, for those who link the library: its memory, globals, tables,
//! files and its view of the store stay from call to call, until it is reset. Host calls are served and charged exactly
//! as in a run. Nothing of it is written down: a live program has no snapshots, and no record of answers from outside.

use std::sync::Arc;

use super::run::{StopReason, val_kind};
use super::{Budget, Running, Session};
use crate::report::{ReturnedValue, RunOutcome, TrapReport};
use stepmark_core::machine::{Extern, Machine, MemoryView};
use stepmark_core::module::{FuncType, Module};
use stepmark_hosts::external::{ExternalCall, ExternalReply};
use stepmark_hosts::store::{ContractCall, KvView, ReadWriteSet};
use stepmark_snapshot::job::Job;
use stepmark_state::canonical::Phase;
use stepmark_state::error::JobError;

/// Why [`Live::run`] came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveEvent {
    /// The function returned these values.
    Returned(Vec<ReturnedValue>),
    /// The program asked to exit with this code.
    Exited(u32),
    /// The program trapped.
    Trapped(TrapReport),
    /// The next instruction costs more than the limit leaves.
    OutOfGas,
    /// The budget is spent.
    Paused,
    /// Program output waits to be taken.
    Output,
    /// Something is asked of the outside.
    Question,
}

/// A live program: see the module.
pub struct Live {
    running: Box<Running>,
    /// The state to go back to.
    start: Arc<Running>,
    /// Where the store's writes and iterators stood before the call.
    before: (u64, u64),
}

impl Session {
    /// The program, all of whose files have been given. Its start functions are the first thing that [`Live::run`]
    /// runs.
    ///
    /// # Errors
    /// A usage error if files are missing, or the run has an entry.
    pub fn into_live(mut self) -> Result<Live, JobError> {
        match self.running.take().filter(|running| running.live && self.loading.is_complete()) {
            Some(running) => Ok(Live { start: Arc::new((*running).clone()), running, before: (0, 0) }),
            None => Err(JobError::usage("the run has not begun, or has an entry")),
        }
    }
}

impl Live {
    /// Another program like this one, in the state to which this one goes back. It knows all code that this one has
    /// translated.
    #[must_use]
    pub fn fork(&self) -> Live {
        let mut fork = Live { running: self.running.clone(), start: self.start.clone(), before: (0, 0) };
        fork.reset();
        fork
    }

    /// Makes the present state the one to go back to.
    pub fn keep(&mut self) {
        self.running.machine.abandon();
        self.start = Arc::new((*self.running).clone());
    }

    /// Goes back to the state that was kept. Costs what was written since.
    pub fn reset(&mut self) {
        let Running { machine, wasi, store, replies, .. } = self.running.as_mut();
        machine.reset_to(&self.start.machine);
        wasi.clone_from(&self.start.wasi);
        store.clone_from(&self.start.store);
        replies.clone_from(&self.start.replies);
        self.running.asked = None;
        self.running.detail = None;
        self.running.outcome = None;
        self.running.results.clear();
        self.running.segment_gas = self.start.segment_gas;
        self.running.accounted = self.start.accounted;
        self.running.limit = self.start.limit;
        self.before = self.running.store.position();
    }

    /// The instance of this name; of the program itself without one.
    pub fn instance(&self, name: Option<&str>) -> Option<u32> {
        let name = name.unwrap_or_default();
        let instances = &self.running.machine.store.instances;
        (0..).zip(instances).find(|(_, instance)| instance.name == name).map(|(number, _)| number)
    }

    /// The module of an instance.
    pub fn module(&self, instance: u32) -> Option<&Arc<Module>> {
        self.running.machine.store.instances.get(instance as usize).map(|instance| &instance.module)
    }

    /// The function that an instance exports under `name`, and its type.
    pub fn func(&self, instance: u32, name: &str) -> Option<(u32, &FuncType)> {
        let store = &self.running.machine.store;
        store.instances.get(instance as usize)?;
        match store.export(instance, name) {
            Some(Extern::Func(func)) => Some((func, store.func_type(func))),
            _ => None,
        }
    }

    /// Prepares a call of a function; a call that has not come to its end is given up. `args` are bit patterns, a
    /// vector's two, and must be as many as the function has parameter slots.
    ///
    /// # Errors
    /// A usage error if there is no such function or if the number of arguments is not its own.
    pub fn call(&mut self, func: u32, args: &[u64]) -> Result<(), JobError> {
        let store = &self.running.machine.store;
        let callee = store.funcs.get(func as usize).filter(|callee| callee.params as usize == args.len());
        if callee.is_none() {
            return Err(JobError::usage("the arguments are not those of a function of the program"));
        }
        let results = store.func_type(func).results.iter().map(|ty| val_kind(*ty)).collect();
        self.give_up();
        let running = self.running.as_mut();
        running.plan.entry = Some(func);
        running.plan.args = args.to_vec();
        running.plan.results = results;
        running.phase = Phase::Entry;
        running.outcome = None;
        running.results.clear();
        running.detail = None;
        running.replies.used();
        self.before = running.store.position();
        if let Err(trap) = running.begin_phase() {
            running.outcome = Some(RunOutcome::Trapped(running.trap_report(trap)));
        }
        Ok(())
    }

    /// Gives up a call that has not come to its end: what it has written to the store is undone, its memory stays.
    pub fn give_up(&mut self) {
        let asked = self.running.asked.take().is_some();
        if asked || self.running.machine.depth() > 0 || self.running.in_contract() {
            self.failed();
        }
    }

    fn failed(&mut self) {
        self.running.machine.abandon();
        // Beyond a full log nothing can be written, and the next call says so.
        let _ = self.running.store.go_back(self.before);
    }

    /// Runs on until something is to be done or `budget` is spent.
    ///
    /// # Errors
    /// A resource error if Stepmark cannot hold what the program is allowed.
    pub fn run(&mut self, budget: Budget) -> Result<LiveEvent, JobError> {
        if self.running.asked.is_some() {
            return Ok(LiveEvent::Question);
        }
        if let Some(outcome) = self.running.outcome.clone() {
            return Ok(self.ended(outcome));
        }
        match self.running.run_until_stop(budget)? {
            StopReason::Asks => Ok(LiveEvent::Question),
            StopReason::Paused => Ok(LiveEvent::Paused),
            StopReason::Output => Ok(LiveEvent::Output),
            StopReason::Enter(_) => unreachable!("BUG: nothing is handed over"),
            StopReason::Limit => Ok(self.ended(RunOutcome::GasLimit)),
            StopReason::Ended(outcome) => Ok(self.ended(outcome)),
        }
    }

    fn ended(&mut self, outcome: RunOutcome) -> LiveEvent {
        self.running.outcome = Some(outcome.clone());
        match outcome {
            RunOutcome::Finished => LiveEvent::Returned(self.running.values()),
            RunOutcome::Exited(0) => {
                self.running.machine.abandon();
                LiveEvent::Exited(0)
            }
            RunOutcome::Exited(code) => {
                self.failed();
                LiveEvent::Exited(code)
            }
            RunOutcome::Trapped(report) => {
                self.failed();
                LiveEvent::Trapped(report)
            }
            RunOutcome::GasLimit => {
                self.failed();
                LiveEvent::OutOfGas
            }
        }
    }

    /// What is asked of the outside.
    pub fn question(&self) -> Option<&ExternalCall> {
        self.running.asked.as_ref().map(|(question, _)| question)
    }

    /// Answers the question.
    ///
    /// # Errors
    /// A usage error if nothing was asked, or if the answer does not fit the question.
    pub fn answer(&mut self, answer: ExternalReply) -> Result<(), JobError> {
        let Some((question, call)) = self.running.asked.clone() else {
            return Err(JobError::usage("nothing was asked"));
        };
        self.running.check_answer(&question, &call, &answer)?;
        self.running.asked = None;
        self.running.replies.take(answer);
        // Nobody will ask for a record.
        self.running.replies.next_segment();
        Ok(())
    }

    /// Memory of the instance whose call asks.
    pub fn asking_memory(&mut self) -> Option<MemoryView<'_>> {
        let (_, call) = self.running.asked.as_ref()?;
        Some(self.running.machine.host_memory(call))
    }

    /// Memory 0 of an instance.
    pub fn memory(&mut self, instance: u32) -> Option<MemoryView<'_>> {
        let store = &mut self.running.machine.store;
        let address = *store.instances.get(instance as usize)?.memories.first()?;
        Some(MemoryView { memory: store.memories.get_mut(address as usize), watch: None })
    }

    /// Takes what the program has written to standard output (1) or error (2) since the last time.
    pub fn take_output(&mut self, fd: u32) -> Vec<u8> {
        self.running.wasi.take_output(fd)
    }

    /// Gas that has been charged, less what was given back.
    pub fn gas_used(&self) -> u64 {
        self.running.machine.gas_total().saturating_sub(self.running.replies.refunded())
    }

    /// Gas that is left of the limit.
    pub fn gas_left(&self) -> u64 {
        self.running.limit.saturating_sub(self.running.segment_gas)
    }

    /// The limit that [`gas_left`](Self::gas_left) counts down from.
    pub fn gas_limit(&self) -> u64 {
        self.running.limit
    }

    /// Lets so much gas be charged from now on.
    pub fn set_gas_left(&mut self, gas: u64) {
        self.running.segment_gas = 0;
        self.running.limit = gas;
    }

    /// What the next call reads as its arguments and its caller, in the functions of module `contract`.
    pub fn set_call_data(&mut self, args: Vec<u8>, caller: String) {
        let outermost = self.running.store.current();
        outermost.args = args;
        outermost.caller = caller;
        outermost.result = Vec::new();
    }

    /// Begins a view of the store at `version`: what was read and written is forgotten. For a program that has a store.
    pub fn set_store_version(&mut self, version: u64) {
        let Running { store, job, .. } = self.running.as_mut();
        if store.is_open() {
            let ContractCall { args, caller, .. } = store.current().clone();
            let outermost = ContractCall { args, caller, gas_left: u64::MAX, ..ContractCall::default() };
            *store = KvView::new(Some(version), job.limits.log_bytes(), outermost);
            self.before = (0, 0);
        }
    }

    /// The reads and writes of all calls that have returned.
    pub fn read_write_set(&self) -> ReadWriteSet {
        self.running.store.read_write_set(true)
    }

    /// The job, of which only the entry is missing.
    pub fn job(&self) -> &Job {
        &self.running.job
    }

    /// The program's machine.
    pub fn machine(&self) -> &Machine {
        &self.running.machine
    }
}
