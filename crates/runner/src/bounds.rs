//! What somebody who checks a stranger's job lets it cost: gas, time and memory. A claim that is beyond is refused before
//! anything is executed, and what turns out to take more is given up.

use std::time::{Duration, Instant};

use stepmark_snapshot::job::Job;
use stepmark_state::limits::Limits;

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

/// Bytes that the limits of a job allow it at most, of everything together: memories, tables, files with the log of a store, the
/// stack, and exceptions.
pub fn memory_of(limits: &Limits) -> u64 {
    let slots = [limits.table_elements, limits.stack_slots.into(), limits.exception_slots.into()];
    let slots = slots.into_iter().map(|count| count.saturating_mul(SLOT));
    slots.chain([limits.memory_bytes, limits.file_bytes, limits.log_bytes()]).fold(0, u64::saturating_add)
}

impl Bounds {
    /// Refuses a job whose limits allow it more memory.
    ///
    /// # Errors
    /// Exit code 77.
    pub fn check_memory(&self, job: &Job) -> Result<()> {
        let claimed = memory_of(&job.limits);
        let beyond = |most| {
            let what = format!("the job's limits allow {claimed} bytes of memory in all, at most {most} may be");
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
        let fitting = self.memory.map_or(u64::MAX, |most| most / memory_of(&job.limits).max(1));
        wanted.min(usize::try_from(fitting).unwrap_or(usize::MAX)).max(1)
    }

    /// Begins to execute.
    pub fn begin(&self) -> Allowance {
        Allowance { gas: self.gas, deadline: self.time.and_then(|time| Instant::now().checked_add(time)) }
    }
}

/// What is left to something that executes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowance {
    gas: Option<u64>,
    deadline: Option<Instant>,
}

impl Allowance {
    /// Gives up what has taken so much gas, or too long.
    ///
    /// # Errors
    /// Exit code 77.
    pub fn check(&self, gas: u64) -> Result<()> {
        if let Some(most) = self.gas.filter(|most| gas > *most) {
            return Err(Failure::new(BEYOND, format!("more than {most} gas is needed")));
        }
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => {
                Err(Failure::new(BEYOND, "the time that it may take is over"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_may_take_is_the_sum_of_its_limits() {
        // Memories, files, an eighth of that for the log of a store, tables, stack, exceptions.
        let sum = (2 << 30) - 65_536 + (1 << 30) + (1 << 27) + 80_000_000 + (64 << 20) + (8 << 20);
        assert_eq!(memory_of(&Limits::default()), sum);
        assert_eq!(memory_of(&Limits { file_bytes: u64::MAX, ..Limits::default() }), u64::MAX);
    }

    #[test]
    fn a_claim_beyond_a_bound_is_refused_and_one_at_it_is_not() {
        let job = Job::default();
        let claimed = memory_of(&job.limits);
        let memory = |most| Bounds { memory: Some(most), ..Bounds::default() };
        assert_eq!(memory(claimed).check_memory(&job), Ok(()));
        assert_eq!(memory(claimed - 1).check_memory(&job).expect_err("beyond").code(), 77);
        let gas = Bounds { gas: Some(5), ..Bounds::default() };
        assert_eq!(gas.check_gas("it claims", 5), Ok(()));
        let refused = gas.check_gas("it claims", 6).expect_err("beyond");
        assert_eq!(refused.what(), "it claims 6 gas, at most 5 may be executed");
        assert_eq!((gas.begin().check(5), gas.begin().check(6).expect_err("beyond").code()), (Ok(()), 77));
        assert_eq!(Bounds::default().begin().check(u64::MAX), Ok(()));
    }

    #[test]
    fn no_more_workers_are_started_than_fit() {
        let job = Job::default();
        let bounds = Bounds { memory: Some(memory_of(&job.limits) * 2 + 1), ..Bounds::default() };
        assert_eq!([1, 2, 8].map(|wanted| bounds.workers(&job, wanted)), [1, 2, 2]);
        assert_eq!(Bounds::default().workers(&job, 8), 8);
    }
}
