//! Host calls of a run: of the system interface, of the store, of contracts, and of functions that the embedder serves. Each
//! is charged before its first effect, or not made at all. What it takes from outside is asked for, and used once it can be
//! paid; until then it is part of the state.

use std::sync::Arc;

use super::Running;
use super::names::ByName;
use crate::report::RunOutcome;
use stepmark_core::gas::Unit;
use stepmark_core::host::{GuestMemory, Work};
use stepmark_core::machine::{Extern, HostCall, HostImports, Stop, local_slots};
use stepmark_core::module::{ExternKind, FuncType, Module, ValType};
use stepmark_hosts::external;
use stepmark_hosts::external::{ExternalCall, ExternalReply};
use stepmark_hosts::stand_in;
use stepmark_hosts::store::{Called, ContractCall, KvView, MAX_INVOCATIONS, Needs};
use stepmark_hosts::wasi::Wasi;
use stepmark_hosts::{HostFunc, HostModule, HostOutcome};
use stepmark_snapshot::job::JobFunction;
use stepmark_state::canonical::Phase;
use stepmark_state::error::{ErrorKind, JobError};
use stepmark_state::trap::Trap;

/// Numbers of host functions from here on are the store's.
const STORE: u32 = 1 << 16;
/// Numbers of host functions from here on are those that the job declares.
const EXTERNAL: u32 = 1 << 17;
/// Steps that keeping an answer of the store takes, beside its bytes: it is hashed, and goes to the log and to the map.
const KEEPING_STEPS: u64 = 6;

/// What `contract.call` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Status {
    Done = 0,
    Trapped = 1,
    OutOfGas = 2,
    Unknown = 3,
    TooDeep = 4,
    NotInstantiated = 5,
}

/// What a host call has come to.
pub(super) enum Served {
    /// The program goes on.
    GoOn,
    /// The run has ended.
    Ended(RunOutcome),
    /// An answer is asked for.
    Ask,
}

/// The functions that a program, or a contract, can import from hosts.
pub(super) struct Imports<'a> {
    /// None for a contract that is called by name: its failure must undo all that it did.
    pub(super) wasi: Option<&'a Wasi>,
    pub(super) store: &'a KvView,
    pub(super) functions: &'a [JobFunction],
    pub(super) names: &'a ByName,
}

impl HostImports for Imports<'_> {
    fn resolve(&self, module: &str, name: &str) -> Option<(u32, FuncType)> {
        let typed = |func: HostFunc| {
            let types =
                |list: &[stepmark_state::host_type::HostType]| list.iter().map(|ty| ValType::from(*ty)).collect();
            FuncType { params: types(func.params), results: types(func.results) }
        };
        if let Some(func) = self.wasi.and_then(|wasi| wasi.resolve(module, name)) {
            return Some((func.id, typed(func)));
        }
        if let Some(func) = self.store.resolve(module, name) {
            return Some((STORE + func.id, typed(func)));
        }
        let wanted = (module, name);
        let compared = |function: &JobFunction| (function.module.as_str(), function.name.as_str()).cmp(&wanted);
        let id = self.names.find(|number| compared(&self.functions[number]))?;
        Some((EXTERNAL + id, external::func_type(&self.functions[id as usize])))
    }

    fn stand_in(&self, module: &Module, import: u32) -> Option<u32> {
        self.wasi?;
        stand_in::find(module, import)
    }
}

/// Whether this is a host function that can ask for an answer from outside.
pub(super) fn is_outside(host: u32) -> bool {
    (STORE..stand_in::FIRST).contains(&host)
}

/// A module's export that is called without arguments, by name.
pub(super) fn plain_export(module: &Module, name: &str) -> bool {
    let export = module.export(name).filter(|export| export.kind == ExternKind::Func);
    export.is_some_and(|export| {
        let ty = module.func_type(export.index);
        ty.params.is_empty() && ty.results.is_empty()
    })
}

impl Running {
    /// Serves a host call.
    pub(super) fn host_call(&mut self, call: &HostCall) -> Result<Served, Stop> {
        let served = match call.host {
            host if host >= stand_in::FIRST => self.stand_in_call(call, host - stand_in::FIRST),
            host if host >= EXTERNAL => self.external_call(call),
            host if host >= STORE => self.store_call(call, host - STORE),
            _ => self.wasi_call(call),
        };
        match &self.machine.watch {
            Some(watch) => watch.after_host_call().map_err(Stop::Failed).and(served),
            None => served,
        }
    }

    fn wasi_call(&mut self, call: &HostCall) -> Result<Served, Stop> {
        let work = self.wasi.work(call.host, &call.args, &self.machine.host_memory(call));
        let paid = self.machine.charge_host_call(work).map_err(|need| Stop::OutOfGas { need })?;
        let gas = self.machine.gas_total();
        let outcome = self.wasi.call(call.host, &call.args, &mut self.machine.host_memory(call), gas, paid);
        match outcome {
            HostOutcome::Return(values) => {
                self.machine.answer(values.as_slice());
                Ok(Served::GoOn)
            }
            HostOutcome::Exit(code) => {
                self.phase = Phase::Exited { code };
                Ok(Served::Ended(RunOutcome::Exited(code)))
            }
            HostOutcome::Trap(trap) => Err(Stop::Trap(trap)),
        }
    }

    /// A function that nothing provides.
    fn stand_in_call(&mut self, call: &HostCall, import: u32) -> Result<Served, Stop> {
        let module = self.machine.store.instances[call.instance as usize].module.clone();
        let paid = self.machine.charge_host_call(stand_in::work(&module, import));
        drop(paid.map_err(|need| Stop::OutOfGas { need })?);
        let results = stand_in::call(&module, import, &call.args, &self.machine.host_memory(call));
        let results = results.map_err(|reason| self.refuse(reason))?;
        self.machine.answer(&results);
        Ok(Served::GoOn)
    }

    /// A host function traps, for a reason that the receipt tells.
    fn refuse(&mut self, reason: String) -> Stop {
        self.detail = Some(reason);
        Stop::Trap(Trap::HostError)
    }

    /// Asks for an answer, if the call itself can be paid.
    fn ask(&mut self, call: &HostCall, question: impl FnOnce(u64) -> ExternalCall) -> Result<Served, Stop> {
        let base = self.machine.host_call_cost(Work::NONE);
        if base > self.machine.gas_left() {
            return Err(Stop::OutOfGas { need: base });
        }
        let remaining = self.gas_allowed();
        self.asked = Some((question(remaining.saturating_sub(base)), call.clone()));
        Ok(Served::Ask)
    }

    // Functions of the embedder's.

    fn external_call(&mut self, call: &HostCall) -> Result<Served, Stop> {
        let Some(answer) = self.replies.pending().cloned() else {
            let function = &self.job.functions[(call.host - EXTERNAL) as usize];
            let (module, name, args) = (function.module.clone(), function.name.clone(), call.args.clone());
            return self.ask(call, |remaining| ExternalCall::Call { module, name, args, remaining });
        };
        // One that was restored has not been looked at yet.
        let (module, name, args) = Default::default();
        let question = ExternalCall::Call { module, name, args, remaining: 0 };
        self.check_answer(&question, call, &answer).map_err(forged)?;
        let base = self.machine.host_call_cost(Work::NONE);
        let instruction = base - self.machine.schedule().host_call(Work::NONE);
        match answer {
            ExternalReply::Returned { results, writes, charges, refund } => {
                let bytes = writes.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(bytes.len() as u64));
                let cost = self.machine.host_call_cost(Work::moving(bytes)).saturating_add(external::total(&charges));
                self.pay(instruction, cost)?;
                self.replies.used();
                let mut memory = self.machine.host_memory(call);
                let outside = writes.iter().find(|(at, bytes)| memory.read(*at, bytes.len() as u64).is_none());
                if let Some((at, bytes)) = outside {
                    let length = bytes.len();
                    return Err(self.refuse(format!("it writes {length} bytes at {at:#x}, outside the memory")));
                }
                for (at, bytes) in &writes {
                    memory.write(*at, bytes);
                }
                let refund = refund.min(self.segment_gas);
                self.segment_gas -= refund;
                self.replies.refund(refund);
                self.machine.answer(&results);
                Ok(Served::GoOn)
            }
            ExternalReply::Failed { message, charges } => {
                self.pay(instruction, base.saturating_add(external::total(&charges)))?;
                self.replies.used();
                Err(self.refuse(message))
            }
            ExternalReply::Unpaid { need } => {
                self.replies.used();
                Err(Stop::OutOfGas { need: base.saturating_add(need) })
            }
            ExternalReply::Value(_) | ExternalReply::Entry(_) => {
                unreachable!("BUG: answers are checked when they are given")
            }
        }
    }

    fn pay(&mut self, instruction: u64, cost: u64) -> Result<(), Stop> {
        self.machine.charge_outside(instruction, cost).map_err(|need| Stop::OutOfGas { need })?;
        self.account();
        Ok(())
    }

    /// Whether an answer fits what a call has asked.
    ///
    /// # Errors
    /// As [`external::check`].
    pub(super) fn check_answer(
        &self,
        question: &ExternalCall,
        call: &HostCall,
        answer: &ExternalReply,
    ) -> Result<(), JobError> {
        let function = call.host.checked_sub(EXTERNAL).and_then(|index| self.job.functions.get(index as usize));
        external::check(question, answer, function.map_or(&[], |function| &function.results))
    }

    // The store and contracts.

    fn store_call(&mut self, call: &HostCall, id: u32) -> Result<Served, Stop> {
        loop {
            let steps = self.machine.schedule().most_units(Unit::HostSteps, self.machine.gas_left());
            let work = match self.store.plan(id, &call.args, &self.machine.host_memory(call), steps) {
                Ok(Needs::Pay(work)) => work,
                Ok(Needs::Ask(question)) => {
                    let Some(answer) = self.replies.pending().cloned() else {
                        return self.ask(call, |_| question);
                    };
                    external::check(&question, &answer, &[]).map_err(forged)?;
                    let schedule = self.machine.schedule();
                    let moved = schedule.units(Unit::HostBytes, KvView::answer_bytes(&question, &answer));
                    self.pay(0, moved.saturating_add(schedule.units(Unit::HostSteps, KEEPING_STEPS)))?;
                    self.replies.used();
                    self.store.take_in(&call.args, question, &answer).map_err(|reason| self.refuse(reason))?;
                    continue;
                }
                Err(reason) => {
                    drop(self.machine.charge_host_call(Work::NONE).map_err(|need| Stop::OutOfGas { need })?);
                    return Err(self.refuse(reason));
                }
            };
            return self.perform(call, id, work);
        }
    }

    fn perform(&mut self, call: &HostCall, id: u32, work: Work) -> Result<Served, Stop> {
        if KvView::calls_contract(id) {
            return self.call_contract(call, work);
        }
        let paid = self.machine.charge_host_call(work).map_err(|need| Stop::OutOfGas { need })?;
        let called = self.store.perform(id, &call.args, &mut self.machine.host_memory(call), paid);
        match called.map_err(|reason| self.refuse(reason))? {
            Called::Return(result) => self.machine.answer(result.as_slice()),
            Called::Debug(text) => {
                self.wasi.debug(&text);
                self.machine.answer(&[]);
            }
        }
        Ok(Served::GoOn)
    }

    /// `contract.call`: charged with what making an instance takes, then its `_initialize` and `invoke` run.
    fn call_contract(&mut self, call: &HostCall, work: Work) -> Result<Served, Stop> {
        let entered = self.store.contract_call(&call.args, &self.machine.host_memory(call));
        let (name, args, gas) = entered.map_err(|reason| self.refuse(reason))?;
        let contracts = &self.job.contracts;
        let found = self.contract_names.find(|number| contracts[number].name.as_str().cmp(&name));
        let contract = found.map(|number| (number, self.contracts[number as usize].clone()));
        let making = contract.as_ref().map_or_else(Vec::new, |(_, module)| sizes(module));
        let own = self.machine.host_call_cost(work);
        let schedule = self.machine.schedule();
        let cost = making.iter().fold(own, |sum, (unit, size)| sum.saturating_add(schedule.units(*unit, *size)));
        let base = self.machine.host_call_cost(Work::NONE);
        let instruction = base - self.machine.schedule().host_call(Work::NONE);
        self.pay(instruction, cost)?;
        let Some((number, module)) = contract else { return self.answer_status(Status::Unknown) };
        // An `invoke_host` has no frame to come back to.
        if self.store.invocations().len() >= MAX_INVOCATIONS || self.machine.depth() == 0 {
            return self.answer_status(Status::TooDeep);
        }
        let caller = self.caller_name();
        let left = self.store.invocations().last().map_or(u64::MAX, |inner| inner.gas_left);
        let gas_left = gas.min(left);
        let frames = self.machine.depth() as u32;
        let first_spaces = self.machine.store.next_spaces;
        match self.make_contract(&module) {
            Ok(instance) => {
                self.store.current().frames = frames;
                let contract = Some(number);
                let initializing = plain_export(&module, "_initialize");
                let invocation = ContractCall {
                    contract,
                    args,
                    caller,
                    gas_left,
                    initializing,
                    first_spaces,
                    ..ContractCall::default()
                };
                self.store.enter(invocation);
                self.begin_contract(instance)?;
                Ok(Served::GoOn)
            }
            Err(error) if error.kind() == ErrorKind::Resource => Err(Stop::Failed(error)),
            Err(_) => self.answer_status(Status::NotInstantiated),
        }
    }

    fn caller_name(&self) -> String {
        let contract = self.store.invocations().last().and_then(|invocation| invocation.contract);
        let name = contract.and_then(|number| self.job.contracts.get(number as usize));
        let program = || self.job.program.name.trim_end_matches(".wasm").to_owned();
        name.map_or_else(program, |contract| contract.name.clone())
    }

    /// A fresh instance of a contract, whose caller waits from now on.
    pub(super) fn make_contract(&mut self, module: &Arc<Module>) -> Result<u32, JobError> {
        let (functions, names) = (&self.job.functions, &self.function_names);
        let instance = self.machine.enter(module, &Imports { wasi: None, store: &self.store, functions, names })?;
        match self.machine.store.write_segments(instance) {
            Ok(()) => Ok(instance),
            Err(trap) => {
                self.machine.leave_contract()?;
                Err(JobError::program(trap.message()))
            }
        }
    }

    /// The function that a contract's call is in or begins with.
    pub(super) fn contract_func(&self, instance: u32, initializing: bool) -> u32 {
        let name = if initializing { "_initialize" } else { "invoke" };
        match self.machine.store.export(instance, name) {
            Some(Extern::Func(func)) => func,
            _ => unreachable!("BUG: contracts were checked when they were loaded"),
        }
    }

    /// Calls what the innermost contract's call begins with, or goes on with.
    fn begin_contract(&mut self, instance: u32) -> Result<(), Stop> {
        let initializing = self.store.current().initializing;
        let func = self.contract_func(instance, initializing);
        if self.machine.invoke(func, &[]).is_err() { self.end_contract(Status::Trapped) } else { Ok(()) }
    }

    /// The function that ran in a contract has returned.
    pub(super) fn contract_returned(&mut self) -> Result<(), Stop> {
        let instance = self.machine.store.instances.len() as u32 - 1;
        if self.store.current().initializing {
            self.store.current().initializing = false;
            return self.begin_contract(instance);
        }
        self.end_contract(Status::Done)
    }

    /// The contract has trapped.
    pub(super) fn contract_trapped(&mut self) -> Result<(), Stop> {
        self.detail = None;
        self.end_contract(Status::Trapped)
    }

    /// The contract's own limit is reached. What was left below it is gone: an instruction that cannot be paid for may have
    /// been looked into before that was known.
    pub(super) fn contract_out_of_gas(&mut self) -> Result<(), Stop> {
        let left = self.store.current().gas_left;
        let rest = self.machine.schedule().units(Unit::ContractRest, left);
        self.pay(0, rest)?;
        self.end_contract(Status::OutOfGas)
    }

    fn end_contract(&mut self, status: Status) -> Result<(), Stop> {
        self.store.leave(status != Status::Done).map_err(|reason| self.refuse(reason))?;
        let call = self.machine.leave_contract().map_err(Stop::Failed)?;
        if call.host < STORE || call.host >= EXTERNAL || !KvView::calls_contract(call.host - STORE) {
            return Err(Stop::Failed(JobError::snapshot("state: a contract was called by something else")));
        }
        self.store.current().frames = 0;
        self.machine.answer(&[status as u64]);
        Ok(())
    }

    fn answer_status(&mut self, status: Status) -> Result<Served, Stop> {
        self.store.forget_result();
        self.machine.answer(&[status as u64]);
        Ok(Served::GoOn)
    }

    /// Whether a contract is running that another has called.
    pub(super) fn in_contract(&self) -> bool {
        self.store.invocations().len() > 1
    }

    /// Counts gas that has been charged against the segment's limit and those of all contracts that are being called.
    pub(super) fn account(&mut self) {
        let total = self.machine.gas_total();
        let used = total - std::mem::replace(&mut self.accounted, total);
        self.segment_gas += used;
        for invocation in self.store.invocations_mut() {
            invocation.gas_left = invocation.gas_left.saturating_sub(used);
        }
    }

    /// Gas that may be charged until the segment ends, or the limit of a contract that is being called.
    pub(super) fn gas_allowed(&self) -> u64 {
        let segment = self.limit - self.segment_gas;
        self.store.invocations().last().map_or(segment, |inner| inner.gas_left.min(segment))
    }

    /// Checks what has been loaded as a contract.
    ///
    /// # Errors
    /// A program error: it exports no `invoke`, or has a start function.
    pub(super) fn check_contract(module: &Module) -> Result<(), JobError> {
        if !plain_export(module, "invoke") {
            return Err(JobError::program("a contract must export invoke () -> ()"));
        }
        if module.start().is_some() {
            return Err(JobError::program("a contract cannot have a start function"));
        }
        Ok(())
    }
}

/// A restored answer that does not fit its question.
fn forged(error: JobError) -> Stop {
    Stop::Failed(JobError::snapshot(error.message()).context("state: outside"))
}

/// Pages of memory, elements of tables, bytes of segments, bytes of the module, and locals of the functions that are called in
/// it: what a call of a contract takes.
fn sizes(module: &Module) -> Vec<(Unit, u64)> {
    let pages = module.memories().iter().fold(0u64, |sum, memory| sum.saturating_add(memory.min));
    let elements = module.tables().iter().fold(0u64, |sum, (table, _)| sum.saturating_add(table.limits.min));
    let bytes = module.data().iter().fold(0u64, |sum, data| sum.saturating_add(data.bytes.len() as u64));
    let entries = ["_initialize", "invoke"].into_iter().filter(|name| plain_export(module, name));
    let funcs = entries.filter_map(|name| module.export(name)).map(|export| export.index);
    let defined = funcs.filter(|func| module.body(*func).is_some());
    let locals = defined.fold(0u64, |sum, func| sum.saturating_add(local_slots(module, func).into()));
    vec![
        (Unit::MemoryGrow, pages),
        (Unit::TableGrow, elements),
        (Unit::MemoryInit, bytes),
        (Unit::ContractCode, module.bytes().len() as u64),
        (Unit::ContractLocals, locals),
    ]
}
