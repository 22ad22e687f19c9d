//! Verification of a chain: the hashes first, then every segment is executed again, and what comes out is compared with the
//! files byte by byte. The segments are shared out among workers, each with a node of its own: a worker restores the state
//! before its first segment, which takes one pass over the chain, and then goes on from one segment to the next as long as
//! they are right; being right means that its own state is the one in the files.

mod aside;
mod claim;
mod executor;
mod plan;
mod report;
mod worker;

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::bounds::{Allowance, Bounds};
use crate::chain::ChainFiles;
use crate::chain::durable;
use crate::compact;
use crate::failure::{BEYOND, Failure, GAS_LIMIT, INTERRUPTED, MISMATCH, Result};
use crate::interrupt::Interrupt;
use crate::job::rerun::Rerun;
use crate::node::engine::{Engine, TierChoice};

pub use claim::{Claim, ClaimedEnd, Expected, as_text, readable};
pub use executor::SegmentExecutor;
pub use plan::{PlannedSegment, RunEnd};
pub use report::html;

/// What came of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every byte is the same.
    Same,
    /// It leads somewhere else: what differs.
    Differs(Vec<String>),
    /// It could not be executed or compared: why.
    NotCompared(String),
    /// It would have taken more than the verifier allows: why.
    GivenUp(String),
}

impl Verdict {
    /// One word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs(_) => "differs",
            Self::NotCompared(_) => "not compared",
            Self::GivenUp(_) => "given up",
        }
    }

    /// What is wrong.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Same => Vec::new(),
            Self::Differs(details) => details.clone(),
            Self::NotCompared(why) | Self::GivenUp(why) => vec![why.clone()],
        }
    }
}

/// A segment and what came of it.
#[derive(Clone, Debug)]
pub struct SegmentVerdict {
    /// The segment.
    pub segment: PlannedSegment,
    /// The verdict.
    pub verdict: Verdict,
    /// Gas that was executed for it.
    pub gas: u64,
    /// Time that it took.
    pub time: Duration,
    /// Number of the worker.
    pub worker: usize,
}

/// How to verify.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Snapshot that is taken on trust; 0 is the start.
    pub from: u64,
    /// Last snapshot; none for the end of the run.
    pub to: Option<u64>,
    /// Workers.
    pub jobs: usize,
    /// What executes the segments.
    pub executor: SegmentExecutor,
    /// What the chain may claim, and what executing it may take.
    pub bounds: Bounds,
    /// Directory of the files that the program left behind, to be compared too.
    pub delivered: Option<std::path::PathBuf>,
}

/// All of a chain, by one worker with this command's module.
impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            from: 0,
            to: None,
            jobs: 1,
            executor: SegmentExecutor::Own(Engine::Wasm(TierChoice::Register)),
            bounds: Bounds::default(),
            delivered: None,
        }
    }
}

/// What a verification comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The program leads to what the chain claims.
    Valid,
    /// It does as far as the chain goes, but the run has not ended there.
    Incomplete,
    /// Something is otherwise, or could not be compared.
    Invalid,
    /// Nothing is otherwise so far, but executing all of it would have taken more than the verifier allows.
    Undecided,
}

impl Conclusion {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Incomplete => "incomplete",
            Self::Invalid => "invalid",
            Self::Undecided => "undecided",
        }
    }

    /// Exit code of the command.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Valid => 0,
            Self::Incomplete => GAS_LIMIT,
            Self::Invalid => MISMATCH,
            Self::Undecided => BEYOND,
        }
    }
}

/// What a verification found.
#[derive(Debug)]
pub struct Verification {
    /// What the chain claims.
    pub claim: Claim,
    /// Every segment, in order.
    pub segments: Vec<SegmentVerdict>,
    /// What is wrong with the files themselves.
    pub faults: Vec<String>,
    /// Why the pause was not executed to its end, where that would have taken more than the verifier allows.
    pub given_up: Option<String>,
    /// Names in the directory, and among delivered files, of which nothing is said.
    pub not_covered: Vec<String>,
    /// Snapshot that was taken on trust.
    pub from: u64,
    /// Last snapshot that was looked at; none for the end of what the chain claims.
    pub to: Option<u64>,
    /// Workers.
    pub jobs: usize,
    /// Time for the hashes and for the segments.
    pub time: Duration,
}

impl Verification {
    /// Whether nothing is wrong of all that was executed.
    fn is_right_so_far(&self) -> bool {
        let is_right = |verdict: &Verdict| matches!(verdict, Verdict::Same | Verdict::GivenUp(_));
        self.faults.is_empty() && self.segments.iter().all(|checked| is_right(&checked.verdict))
    }

    /// Whether everything was compared and is the same.
    pub fn is_right(&self) -> bool {
        self.is_right_so_far() && self.given_up.is_none() && self.count("given up") == 0
    }

    /// What that comes to.
    pub fn conclusion(&self) -> Conclusion {
        match self.is_right() {
            false if self.is_right_so_far() => Conclusion::Undecided,
            false => Conclusion::Invalid,
            true if self.to.is_none() && !self.claim.ended.is_final() => Conclusion::Incomplete,
            true => Conclusion::Valid,
        }
    }

    /// How many segments have this verdict.
    pub fn count(&self, name: &str) -> usize {
        self.segments.iter().filter(|checked| checked.verdict.name() == name).count()
    }
}

/// Progress of a verification.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Bytes of `.bin` files whose hashes were checked.
    Hashed(u64),
    /// Gas that a worker has executed.
    Executed(u64),
}

/// Verifies a chain that makes this claim. `each` is told of progress.
///
/// # Errors
/// Exit code 2 for a range that the chain does not have, 77 for what is beyond its bounds before anything was executed, 130 when
/// the user stops it.
pub fn verify(
    chain: &mut ChainFiles,
    rerun: &Rerun,
    claim: Claim,
    options: &VerifyOptions,
    stop: &Interrupt,
    each: &mut dyn FnMut(Step),
) -> Result<Verification> {
    let started = Instant::now();
    options.bounds.check_gas("the chain claims", plan::claimed_gas(chain, claim.gas, options))?;
    options.bounds.check_memory(rerun.job())?;
    let allowance = options.bounds.begin(rerun.job());
    chain.check_bins(&mut |bytes| {
        each(Step::Hashed(bytes));
        allowance.spend(0)
    })?;
    // What appears later is not of the chain that is judged.
    let there = durable::files_in(&chain.dir)?;
    let segments = plan::segments(chain, options)?;
    let shares = plan::shares(&segments, chain, options.bounds.workers(rerun.job(), options.jobs));
    let jobs = shares.len();
    let (mut checked, compared, delivered) = execute(chain, rerun, options, stop, &allowance, shares, each);
    if stop.is_requested() {
        return Err(Failure::new(INTERRUPTED, "interrupted: nothing was decided"));
    }
    checked.sort_by_key(|checked| checked.segment.from);
    let (low, high) = (options.from, options.to.unwrap_or(u64::MAX));
    let faults = chain.faults.iter().filter(|(id, _)| (low..=high).contains(*id)).flat_map(|(_, what)| what.clone());
    let mut faults: Vec<String> = faults.chain(chain.aside_faults.iter().cloned()).collect();
    if let Err(failure) = compact::verify_base(chain, rerun) {
        faults.push(failure.what().to_owned());
    }
    // What a segment that could not be executed would have written is not known.
    let is_executed = |verdict: &Verdict| !matches!(verdict, Verdict::NotCompared(_) | Verdict::GivenUp(_));
    if checked.iter().all(|checked| is_executed(&checked.verdict)) {
        faults.extend(aside::superfluous(there, chain, options, &compared));
    }
    let mut given_up = None;
    if options.to.is_none() && !faults.iter().any(|fault| fault.starts_with("paused.")) {
        match aside::check_pause(chain, rerun, options, stop, &allowance) {
            Ok(wrong) => faults.extend(wrong),
            Err(failure) if failure.code() == INTERRUPTED => return Err(failure),
            Err(failure) if failure.code() == BEYOND => given_up = Some(format!("the pause: {}", failure.what())),
            Err(failure) => faults.push(format!("the pause: {}", failure.what())),
        }
    }
    let mut not_covered = aside::not_covered(chain, options)?;
    if let Some(directory) = &options.delivered {
        not_covered.extend(aside::beside_delivered(directory, &delivered));
    }
    let (to, time) = (options.to, started.elapsed());
    Ok(Verification { claim, segments: checked, faults, given_up, not_covered, from: low, to, jobs, time })
}

/// What came of the segments, and the names of the files that were compared, in the chain and of those that the program left.
type Executed = (Vec<SegmentVerdict>, BTreeSet<String>, BTreeSet<String>);

/// Executes the shares of the segments, a worker each.
fn execute(
    chain: &ChainFiles,
    rerun: &Rerun,
    options: &VerifyOptions,
    stop: &Interrupt,
    allowance: &Allowance,
    shares: Vec<Vec<PlannedSegment>>,
    each: &mut dyn FnMut(Step),
) -> Executed {
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for (number, share) in shares.into_iter().enumerate() {
            let (sender, allowance) = (sender.clone(), allowance.clone());
            scope
                .spawn(move || worker::Worker::new(number, chain, rerun, options, stop, allowance, sender).run(&share));
        }
        drop(sender);
        let (mut checked, mut compared, mut delivered) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for message in receiver {
            match message {
                worker::Message::Executed(gas) => each(Step::Executed(gas)),
                worker::Message::Done(done) => checked.push(*done),
                worker::Message::Compared(name) => drop(compared.insert(name)),
                worker::Message::Delivered(name) => drop(delivered.insert(name)),
            }
        }
        (checked, compared, delivered)
    })
}
