//! Advances a run: start functions in the order of linking, `_initialize`, the entry; host calls in between; a snapshot
//! whenever the limit of the segment is reached.

use super::calls::Served;
use super::{Budget, Event, OUTPUT_PENDING, Running, Session, Turn};
use crate::report::{ReturnedValue, RunOutcome};
use crate::values::ValKind;
use stepmark_core::machine::Stop;
use stepmark_core::module::ValType;
use stepmark_state::canonical::Phase;
use stepmark_state::error::JobError;
use stepmark_state::trap::Trap;

/// What is to be called in each phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Phases {
    /// Start functions by instance.
    pub(super) starts: Vec<(u32, u32)>,
    /// `_initialize`, where the program is a reactor.
    pub(super) initialize: Option<u32>,
    /// The entry, if there is one, and its arguments.
    pub(super) entry: Option<u32>,
    pub(super) args: Vec<u64>,
    /// Types of the entry's results.
    pub(super) results: Vec<ValKind>,
}

impl Phases {
    /// The first phase of a run.
    pub(super) fn first(&self) -> Phase {
        let after_starts = if self.initialize.is_some() { Phase::Initialize } else { Phase::Entry };
        self.starts.first().map_or(after_starts, |(instance, _)| Phase::Start { instance: *instance })
    }

    /// The phase after `phase`, which has completed.
    fn next(&self, phase: Phase) -> Phase {
        let after_starts = if self.initialize.is_some() { Phase::Initialize } else { Phase::Entry };
        match phase {
            Phase::Start { instance } => {
                let later = self.starts.iter().find(|(i, _)| *i > instance);
                later.map_or(after_starts, |(instance, _)| Phase::Start { instance: *instance })
            }
            Phase::Initialize => Phase::Entry,
            _ => Phase::Finished,
        }
    }

    /// The function (store address) and arguments that a phase calls.
    pub(super) fn call(&self, phase: Phase) -> Option<(u32, &[u64])> {
        match phase {
            Phase::Start { instance } => self.starts.iter().find(|(i, _)| *i == instance).map(|(_, f)| (*f, &[][..])),
            Phase::Initialize => self.initialize.map(|f| (f, &[][..])),
            Phase::Entry => self.entry.map(|f| (f, self.args.as_slice())),
            _ => None,
        }
    }
}

/// The kind of a value on the command line and in reports.
pub(super) fn val_kind(ty: ValType) -> ValKind {
    match ty {
        ValType::I32 => ValKind::I32,
        ValType::I64 => ValKind::I64,
        ValType::F32 => ValKind::F32,
        ValType::F64 => ValKind::F64,
        ValType::V128 => ValKind::V128,
        ValType::Ref(_) => ValKind::Ref,
    }
}

/// What stopped a stretch of running.
pub(super) enum StopReason {
    Asks,
    Paused,
    Limit,
    Ended(RunOutcome),
    Output,
    /// Compiled code of this instance can go on.
    Enter(u32),
}

impl Session {
    /// Runs on until the budget is spent, the limit is reached, the program ends, or its output should be taken. Once it has
    /// ended, what it leaves behind is hashed: a step of the budget pays for a byte of it.
    ///
    /// # Errors
    /// A usage error if files are missing, or if an instruction costs more than the whole limit; a resource error if the
    /// node cannot hold what the program is allowed.
    pub fn run(&mut self, budget: Budget) -> Result<Event, JobError> {
        if let Some(running) = self.running.as_deref_mut() {
            running.machine.end_handover();
        }
        match self.run_or_enter(budget)? {
            Turn::Event(event) => Ok(event),
            Turn::Enter(_) => unreachable!("BUG: nothing is handed over"),
        }
    }

    /// Runs on as [`run`](Self::run) does, and stops where compiled code that the embedder has made can go on.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_or_enter(&mut self, budget: Budget) -> Result<Turn, JobError> {
        self.drop_files()?;
        if self.question().is_some() {
            return Ok(Turn::Event(Event::Question));
        }
        let Some(running) = self.running.as_deref_mut() else {
            return Err(JobError::usage("the run has not begun: files are still wanted"));
        };
        let mut to_hash = budget.steps;
        if running.outcome.is_none() && !running.stopped {
            let reason = running.run_until_stop(budget)?;
            if let StopReason::Enter(instance) = reason {
                return Ok(Turn::Enter(instance));
            }
            running.machine.merge_marks();
            match reason {
                StopReason::Asks => return Ok(Turn::Event(Event::Question)),
                StopReason::Paused => return Ok(Turn::Event(Event::Paused)),
                StopReason::Output => return Ok(Turn::Event(Event::Output)),
                StopReason::Enter(_) => {}
                StopReason::Ended(outcome) => {
                    running.outcome = Some(outcome);
                    // Whoever bounds steps looks up, and finds the moment before anything is hashed.
                    to_hash = if budget.steps > u64::MAX / 2 { u64::MAX } else { 0 };
                }
                StopReason::Limit => {
                    running.stopped = !running.refill;
                    let id = running.id + 1;
                    self.begin_snapshot(false);
                    return Ok(Turn::Event(Event::Snapshot(id)));
                }
            }
        } else if running.outcome.is_none() {
            running.outcome = Some(RunOutcome::GasLimit);
        }
        if !running.reported {
            if !running.hash_left_files(to_hash) {
                return Ok(Turn::Event(Event::Paused));
            }
            running.reported = true;
            if self.spec.keep_final && running.outcome != Some(RunOutcome::GasLimit) {
                self.begin_snapshot(true);
            }
            self.begin_report();
        }
        Ok(Turn::Event(Event::Finished))
    }

    /// Produces and forgets files that nobody took: the chain goes on all the same.
    fn drop_files(&mut self) -> Result<(), JobError> {
        let mut chunk = Vec::new();
        while self.next_file().is_some() {
            while self.take_chunk(&mut chunk)? {}
        }
        Ok(())
    }
}

impl Running {
    pub(super) fn run_until_stop(&mut self, budget: Budget) -> Result<StopReason, JobError> {
        let Budget { gas: mut left, mut steps } = budget;
        loop {
            if self.wasi.pending() >= OUTPUT_PENDING {
                return Ok(StopReason::Output);
            }
            let before = self.machine.gas_total();
            let stop = self.machine.run(Budget { gas: left.min(self.gas_allowed()), steps });
            self.account();
            let stop = match stop {
                Stop::HostCall(call) => self.host_call(&call),
                other => Err(other),
            };
            self.account();
            let stop = match stop {
                Err(stop) if self.in_contract() => self.stopped_in_contract(stop),
                stop => stop,
            };
            left -= self.machine.gas_total() - before;
            steps = self.machine.steps_left();
            let halt = match stop {
                Ok(Served::GoOn) => None,
                Ok(Served::Ask) => Some(StopReason::Asks),
                Ok(Served::Ended(outcome)) => Some(StopReason::Ended(outcome)),
                Err(Stop::Done(results)) => self.phase_done(results),
                Err(Stop::OutOfGas { need }) => Some(self.out_of_gas(need)?),
                Err(Stop::OutOfSteps) => Some(StopReason::Paused),
                Err(Stop::Trap(trap)) => Some(StopReason::Ended(RunOutcome::Trapped(self.trap_report(trap)))),
                Err(Stop::Enter(instance)) => Some(StopReason::Enter(instance)),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::HostCall(_)) => unreachable!("BUG: host calls were served"),
            };
            if let Some(halt) = halt {
                return Ok(halt);
            }
        }
    }

    /// The next instruction costs `need`: more than is left of the segment, or only of the budget.
    fn out_of_gas(&mut self, need: u64) -> Result<StopReason, JobError> {
        if need <= self.limit - self.segment_gas {
            let total = self.machine.gas_total();
            // No run comes here, but a snapshot may say that one did: no budget would ever make it go on.
            return match total.checked_add(need) {
                Some(_) => Ok(StopReason::Paused),
                None => Err(JobError::resource(format!("{total} gas have been used: the counter holds no more"))),
            };
        }
        if self.segment_gas == 0 && need > self.limit && !self.live {
            let frame = self.machine.frame_states().pop();
            let at = frame.map_or_else(String::new, |f| format!(" of function {} (at offset {:#x})", f.func, f.offset));
            let name = self.machine.next_mnemonic();
            let limit = self.limit;
            return Err(JobError::usage(format!(
                "the gas limit {limit} does not pay for the next instruction {name}{at}: it needs a limit of at least {need}"
            )));
        }
        Ok(StopReason::Limit)
    }

    /// What stops a contract that another has called may be the end of that call only.
    fn stopped_in_contract(&mut self, stop: Stop) -> Result<Served, Stop> {
        let inner = self.store.invocations().last().map_or(u64::MAX, |inner| inner.gas_left);
        match stop {
            Stop::Done(_) => self.contract_returned()?,
            Stop::Trap(_) => self.contract_trapped()?,
            Stop::OutOfGas { need } if need > inner => self.contract_out_of_gas()?,
            other => return Err(other),
        }
        Ok(Served::GoOn)
    }

    /// The function of the current phase has returned.
    fn phase_done(&mut self, results: Vec<u64>) -> Option<StopReason> {
        let next = self.plan.next(self.phase);
        if next == Phase::Finished {
            self.phase = next;
            self.results = results;
            return Some(StopReason::Ended(RunOutcome::Finished));
        }
        self.phase = next;
        self.begin_phase().err().map(|trap| StopReason::Ended(RunOutcome::Trapped(self.trap_report(trap))))
    }

    /// Calls the function of the current phase.
    pub(super) fn begin_phase(&mut self) -> Result<(), Trap> {
        match self.plan.call(self.phase) {
            Some((func, args)) => self.machine.invoke(func, args),
            None => Ok(()),
        }
    }

    /// What the entry returned, with types.
    pub(super) fn values(&self) -> Vec<ReturnedValue> {
        let mut slots = self.results.iter().copied();
        let value = |kind: &ValKind| {
            let low = u128::from(slots.next()?);
            let high = if *kind == ValKind::V128 { u128::from(slots.next()?) } else { 0 };
            Some(ReturnedValue { kind: *kind, bits: low | high << 64 })
        };
        self.plan.results.iter().map_while(value).collect()
    }
}
