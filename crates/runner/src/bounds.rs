//! What somebody who checks a stranger's job lets it cost: gas, time and memory. A claim that is beyond is refused before
//! anything is executed, and what turns out to take more is given up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use stepmark_snapshot::job::Job;
use stepmark_state::limits::Limits;

use crate::claimed_job::is_built_in;
use crate::failure::{BEYOND, Failure, Result};

/// Bytes of an element of a table, of a slot of the stack and of a slot of an exception.
const SLOT: u64 = 8;

/// Bounds; none where everything is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Most gas that is executed.
    pub gas: Option<u64>,
    /// Longest time that executing may take.
    pub time: Option<Duration>,
    /// Most bytes that the job's limits may allow: see [`memory_of`].
    pub memory: Option<u64>,
}

/// Bytes that a job may take at most: what its limits allow, and the modules and inputs that it begins with.
pub fn memory_of(job: &Job) -> u64 {
    let modules = job.modules.iter().chain(&job.contracts).chain([&job.program]).map(|module| module.size);
    let inputs = job.inputs.iter().map(|input| input.size).chain(job.stdin.iter().map(|stdin| stdin.size));
    modules.chain(inputs).fold(memory_of_limits(&job.limits), u64::saturating_add)
}

/// Bytes that limits allow, of everything together: memories, tables, files with the log of a store, the stack, and exceptions.
fn memory_of_limits(limits: &Limits) -> u64 {
    let slots = [limits.table_elements, limits.stack_slots.into(), limits.exception_slots.into()];
    let slots = slots.into_iter().map(|count| count.saturating_mul(SLOT));
    slots.chain([limits.memory_bytes, limits.file_bytes, limits.log_bytes()]).fold(0, u64::saturating_add)
}

impl Bounds {
    /// Refuses a job that may take more memory.
    ///
    /// # Errors
    /// Exit code 77.
    pub fn check_memory(&self, job: &Job) -> Result<()> {
        let claimed = memory_of(job);
        let beyond = |most| {
            let what = format!("the job may take {claimed} bytes of memory in all, at most {most} may be");
            Failure::new(BEYOND, what).help("nothing was executed; --max-memory-total says how much may be")
        };
        self.memory.filter(|most| claimed > *most).map_or(Ok(()), |most| Err(beyond(most)))
    }

    /// Refuses what is claimed to take more gas.
    ///
    /// # Errors
    /// Exit code 77.
    pub fn check_gas(&self, whose: &str, claimed: u64) -> Result<()> {
        let beyond = |most| Failure::new(BEYOND, format!("{whose} {claimed} gas, at most {most} may be executed"));
        let beyond = |most| beyond(most).help("nothing was executed; --max-gas says how much may be");
        self.gas.filter(|most| claimed > *most).map_or(Ok(()), |most| Err(beyond(most)))
    }

    /// How many workers fit, of so many that are wanted, each with all the memory that the job may have.
    pub fn workers(&self, job: &Job, wanted: usize) -> usize {
        let fitting = self.memory.map_or(u64::MAX, |most| most / memory_of(job).max(1));
        wanted.min(usize::try_from(fitting).unwrap_or(usize::MAX)).max(1)
    }

    /// What `work` comes to, if it ends in time; it is left alone otherwise.
    ///
    /// # Errors
    /// Those of `work`, and exit code 77.
    pub(crate) fn in_time<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let Some(time) = self.time else { return work() };
        let (sender, receiver) = mpsc::channel();
        // Nobody may be there to listen.
        thread::spawn(move || drop(sender.send(work())));
        receiver.recv_timeout(time).unwrap_or_else(|_| Err(Failure::new(BEYOND, TIME_IS_OVER)))
    }

    /// Begins to execute a job.
    pub fn begin(&self, job: &Job) -> Allowance {
        let deadline = self.time.and_then(|time| Instant::now().checked_add(time));
        let has_free_steps = !(is_built_in(&job.schedule) && job.schedule.name.starts_with("default"));
        Allowance { gas: self.gas, spent: Arc::default(), has_free_steps, deadline }
    }
}

const TIME_IS_OVER: &str = "the time that it may take is over";
/// What a call of the outside counts that costs no gas, with the instructions around it.
const FREE_CALL: u64 = 10_000;

/// What is left to all that execute something together: copies share it.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    gas: Option<u64>,
    /// By all of them.
    spent: Arc<AtomicU64>,
    /// The schedule may make instructions free: the prover's own, or one that is not for hostile programs.
    has_free_steps: bool,
    deadline: Option<Instant>,
}

impl Allowance {
    /// Takes what a slice came to that used so much of its gas, `is_paused` where it came to its end: the `steps` after which it
    /// does where the schedule makes them free are bounded as gas is; and so is what a program writes or asks for nothing.
    ///
    /// # Errors
    /// As those of [`spend`](Self::spend).
    pub(crate) fn spend_slice(&self, used: u64, gas: u64, steps: u64, is_paused: bool) -> Result<()> {
        // Where gas ends a slice, it has used nearly all.
        let free = match is_paused {
            _ if !self.has_free_steps => 0,
            true if used < gas / 2 => steps,
            false if used == 0 => FREE_CALL,
            _ => 0,
        };
        self.spend(used.saturating_add(free))
    }

    /// As much gas once more, in the same time, for what is executed a second time.
    pub(crate) fn again(&self) -> Self {
        Self { spent: Arc::default(), ..self.clone() }
    }

    /// Takes so much gas, and gives up where that is too much in all, or the time is over.
    ///
    /// # Errors
    /// Exit code 77.
    pub fn spend(&self, gas: u64) -> Result<()> {
        let add = |spent: u64| Some(spent.saturating_add(gas));
        let before = self.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or_default();
        if let Some(most) = self.gas.filter(|most| before.saturating_add(gas) > *most) {
            return Err(Failure::new(BEYOND, format!("more than {most} gas is needed")));
        }
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => Err(Failure::new(BEYOND, TIME_IS_OVER)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepmark_snapshot::job::{ModuleRef, ScheduleRef};

    use super::*;

    #[test]
    fn what_a_job_may_take_is_the_sum_of_its_limits() {
        // Memories, files, an eighth of that for the log of a store, tables, stack, exceptions.
        let sum = (2 << 30) - 65_536 + (1 << 30) + (1 << 27) + 80_000_000 + (64 << 20) + (8 << 20);
        assert_eq!(memory_of_limits(&Limits::default()), sum);
        assert_eq!(memory_of_limits(&Limits { file_bytes: u64::MAX, ..Limits::default() }), u64::MAX);
        let program = ModuleRef { size: 5, ..ModuleRef::default() };
        assert_eq!(memory_of(&Job { program, ..Job::default() }), sum + 5);
    }

    #[test]
    fn a_claim_beyond_a_bound_is_refused_and_one_at_it_is_not() {
        let job = Job::default();
        let claimed = memory_of(&job);
        let memory = |most| Bounds { memory: Some(most), ..Bounds::default() };
        assert_eq!(memory(claimed).check_memory(&job), Ok(()));
        assert_eq!(memory(claimed - 1).check_memory(&job).expect_err("beyond").code(), 77);
        let gas = Bounds { gas: Some(5), ..Bounds::default() };
        assert_eq!(gas.check_gas("it claims", 5), Ok(()));
        let refused = gas.check_gas("it claims", 6).expect_err("beyond");
        assert_eq!(refused.what(), "it claims 6 gas, at most 5 may be executed");
        let allowance = gas.begin(&job);
        assert_eq!((allowance.spend(3), allowance.clone().spend(2)), (Ok(()), Ok(())), "5 in all");
        assert_eq!(allowance.spend(1).expect_err("beyond").code(), 77);
        assert_eq!(gas.begin(&job).spend_slice(1, 4, 3, true), Ok(()), "no step of a built-in schedule is free");
        let schedule = ScheduleRef { hash: [1; 32], ..ScheduleRef::default() };
        let of_a_prover = gas.begin(&Job { schedule, ..Job::default() });
        assert_eq!(of_a_prover.spend_slice(1, 4, 3, true), Ok(()), "4 in all");
        assert_eq!(of_a_prover.spend_slice(0, 4, 3, true).expect_err("7 in all").code(), 77);
        let schedule = ScheduleRef { hash: [1; 32], ..ScheduleRef::default() };
        let writes = gas.begin(&Job { schedule, ..Job::default() });
        assert_eq!(writes.spend_slice(1, 4, 3, false), Ok(()), "it was paid for");
        assert_eq!(writes.spend_slice(0, 4, 3, false).expect_err("a free call").code(), 77);
        assert_eq!(Bounds::default().begin(&job).spend(u64::MAX), Ok(()));
    }

    #[test]
    fn no_more_workers_are_started_than_fit() {
        let job = Job::default();
        let bounds = Bounds { memory: Some(memory_of(&job) * 2 + 1), ..Bounds::default() };
        assert_eq!([1, 2, 8].map(|wanted| bounds.workers(&job, wanted)), [1, 2, 2]);
        assert_eq!(Bounds::default().workers(&job, 8), 8);
    }
}
