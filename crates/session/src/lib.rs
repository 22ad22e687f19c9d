//! A run from the command line to the result, without any input or output of its own: it asks for files, takes them in
//! chunks, runs with a budget, and hands out the files that it makes. The command face, the reactor and the native engine of
//! the host runner all drive this one sequence.

mod calls;
mod compiled;
#[cfg(not(target_family = "wasm"))]
mod copy;
mod delivery;
mod files;
mod link;
mod live;
mod load;
mod names;
pub mod output_file;
mod paged_state;
pub mod report;
mod restored;
mod resume;
mod run;
pub mod spec;
pub mod touched;
pub mod values;
mod view;
mod witness;

use std::collections::VecDeque;
use std::sync::Arc;

use self::names::ByName;
use crate::report::RunOutcome;
use crate::spec::JobSpec;
use stepmark_core::host::GuestMemory;
use stepmark_core::machine::{HostCall, Machine, TierKind};
use stepmark_core::module::{Module, Modules};
use stepmark_hosts::external::{ExternalCall, ExternalReplies, ExternalReply};
use stepmark_hosts::store::KvView;
use stepmark_hosts::wasi::Wasi;
use stepmark_snapshot::job::Job;
use stepmark_snapshot::spaces::Spaces;
use stepmark_state::canonical::Phase;
use stepmark_state::error::JobError;

pub use compiled::{Entered, Turn};
pub use live::{Live, LiveEvent};
pub use stepmark_core::machine::Budget;

/// Program output that is kept back at most before [`Event::Output`].
pub const OUTPUT_PENDING: usize = 64 << 10;

/// What a session is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionMode {
    /// To run the job to its end.
    #[default]
    Run,
    /// To look at a snapshot, also at one of a run that has ended; that cannot go on.
    Inspect,
    /// To call functions one after the other: see [`Live`]. Nothing is called but what the modules themselves ask for.
    Live,
}

/// Why [`Session::run`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The run has ended: `result.txt` and `receipt.json` are ready to take.
    Finished,
    /// The gas limit was reached: `{id}.bin` and `{id}.snap` are ready to take.
    Snapshot(u64),
    /// The budget is spent.
    Paused,
    /// Program output waits to be taken.
    Output,
    /// Something is asked of the outside: see [`Session::question`].
    Question,
}

/// How far the run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Gas charged since the start of the run.
    pub gas_total: u64,
    /// Gas charged in the current segment.
    pub segment_gas: u64,
    /// Limit of a segment.
    pub gas_limit: u64,
    /// Highest snapshot written or resumed from.
    pub snapshot_id: u64,
    /// The part of the gas that the stepper charged for instructions, in this process.
    pub gas_stepped: u64,
    /// Answers from outside in the current segment.
    pub answers: u64,
}

/// A run.
pub struct Session {
    spec: JobSpec,
    loading: load::Loading,
    running: Option<Box<Running>>,
    files: VecDeque<files::File>,
    messages: VecDeque<String>,
}

/// A run may go on in another thread than the one that began it.
const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Session>();
};

/// Everything about a run whose files have all been given.
#[derive(Clone)]
struct Running {
    job: Job,
    job_hash: [u8; 32],
    machine: Machine,
    spaces: Spaces,
    /// While a paused snapshot is restored: the trees as of its predecessor.
    chain_spaces: Option<Spaces>,
    /// While a paused snapshot is written: the trees as of the pause.
    paused_spaces: Option<Spaces>,
    wasi: Wasi,
    store: KvView,
    /// The contracts that can be called by name, as in the job.
    contracts: Vec<Arc<Module>>,
    contract_names: ByName,
    function_names: ByName,
    replies: ExternalReplies,
    /// What is asked of the outside, by which call.
    asked: Option<(ExternalCall, HostCall)>,
    /// What a host function said when it trapped.
    detail: Option<String>,
    plan: run::Phases,
    phase: Phase,
    outcome: Option<RunOutcome>,
    results: Vec<u64>,
    limit: u64,
    refill: bool,
    /// The limit was reached and is not refilled.
    stopped: bool,
    segment_gas: u64,
    /// The machine's gas of which the segment knows.
    accounted: u64,
    start_id: u64,
    id: u64,
    previous_snap: [u8; 32],
    previous_bin: [u8; 32],
    /// Hash of the `.bin` that the snapshot resumed from commits to.
    resumed_bin: [u8; 32],
    /// What the program has left behind is hashed while it is none of the outcome's report yet.
    left: Option<delivery::LeftReport>,
    /// The report of the end is made.
    reported: bool,
    /// Its functions are called one after the other: see [`Live`].
    live: bool,
    /// How far the files that the program leaves behind have been handed out.
    delivery: Option<delivery::Delivering>,
}

impl Session {
    /// A run of this job.
    pub fn new(spec: JobSpec) -> Session {
        Session::with(spec, SessionMode::Run, None)
    }

    /// A run of this job, or what else the mode says. `modules` parses the modules, who may know them already; none for plain
    /// parsing.
    pub fn with(spec: JobSpec, mode: SessionMode, modules: Option<Arc<dyn Modules>>) -> Session {
        let messages = spec.warnings.iter().cloned().collect();
        let loading = load::Loading::new(&spec, mode, modules);
        Session { spec, loading, running: None, files: VecDeque::new(), messages }
    }

    fn running(&self) -> Option<&Running> {
        self.running.as_deref()
    }

    /// Takes what the program has written to standard output (1) or error (2) since the last time.
    pub fn take_output(&mut self, fd: u32) -> Vec<u8> {
        self.running.as_mut().map_or_else(Vec::new, |r| r.wasi.take_output(fd))
    }

    /// Keep a record of the clock and random answers that the program got: see [`take_answers`](Self::take_answers).
    pub fn record_answers(&mut self, on: bool) {
        if let Some(running) = &mut self.running {
            running.wasi.record_answers(on);
        }
    }

    /// Lets a tier of this kind run the program from here on.
    pub fn set_tier(&mut self, kind: TierKind) {
        if let Some(running) = &mut self.running {
            running.machine.set_tier(kind);
        }
    }

    /// Takes the recorded answers since the last time, in the format of docs/wasi.md.
    pub fn take_answers(&mut self) -> Vec<u8> {
        self.running.as_mut().map_or_else(Vec::new, |r| r.wasi.take_answers())
    }

    /// What the run asks of the outside; it goes on once there is an [`answer`](Self::answer).
    pub fn question(&self) -> Option<&ExternalCall> {
        self.running()?.asked.as_ref().map(|(question, _)| question)
    }

    /// Answers the question.
    ///
    /// # Errors
    /// A usage error if nothing was asked, or if the answer does not fit the question.
    pub fn answer(&mut self, answer: ExternalReply) -> Result<(), JobError> {
        let asked = self.running.as_deref_mut().and_then(|running| Some((running.asked.clone()?, running)));
        let Some(((question, call), running)) = asked else { return Err(JobError::usage("nothing was asked")) };
        running.check_answer(&question, &call, &answer)?;
        running.asked = None;
        running.replies.take(answer);
        Ok(())
    }

    /// Memory of the instance whose call asks: `length` bytes at `address`; none if any of them lies outside.
    pub fn asking_memory(&mut self, address: u64, length: u64) -> Option<Vec<u8>> {
        let running = self.running.as_deref_mut()?;
        let (_, call) = running.asked.as_ref()?;
        running.machine.host_memory(call).read(address, length).map(<[u8]>::to_vec)
    }

    /// Size in bytes of the memory of the instance whose call asks.
    pub fn asking_memory_size(&mut self) -> u64 {
        let running = self.running.as_deref_mut();
        let size = running.and_then(|running| Some(running.machine.host_memory(&running.asked.as_ref()?.1).size()));
        size.unwrap_or(0)
    }

    /// The program's view of the key-value store.
    pub fn store(&self) -> Option<&KvView> {
        self.running().map(|running| &running.store)
    }

    /// Takes the next warning for the user.
    pub fn take_message(&mut self) -> Option<String> {
        self.messages.pop_front()
    }

    /// Exit code of the host runner for the outcome; 0 while there is none.
    pub fn exit_code(&self) -> i32 {
        let outcome = self.running().and_then(|r| r.outcome.as_ref());
        outcome.map_or(0, |outcome| outcome.exit_code() as i32)
    }

    /// How the run ended.
    pub fn outcome(&self) -> Option<&RunOutcome> {
        self.running().and_then(|r| r.outcome.as_ref())
    }

    /// Directory of the files that the run makes, as the user typed it.
    pub fn output_dir(&self) -> &str {
        self.spec.output_dir()
    }

    /// The snapshot resumed from, 0 if none.
    pub fn start_id(&self) -> u64 {
        self.running().map_or(0, |r| r.start_id)
    }

    /// Hash of the job; zeros before all files are given.
    pub fn job_hash(&self) -> [u8; 32] {
        self.running().map_or([0; 32], |r| r.job_hash)
    }

    /// Gas that the fast engine charged, in this process.
    pub fn gas_fast(&self) -> u64 {
        self.running().map_or(0, |r| r.machine.gas_fast())
    }

    /// How far the run has come.
    pub fn progress(&self) -> Progress {
        self.running().map_or_else(Progress::default, |r| Progress {
            gas_total: r.machine.gas_total(),
            segment_gas: r.segment_gas,
            gas_limit: r.limit,
            snapshot_id: r.id,
            gas_stepped: r.machine.gas_stepped(),
            answers: r.replies.in_segment(),
        })
    }
}
