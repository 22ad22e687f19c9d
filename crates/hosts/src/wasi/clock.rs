//! Virtual clocks. Time passes with the gas charged, at the job's rate, and with the program's own sleeping, which takes
//! no time at all. Sums saturate: at a nanosecond a unit of gas that is after 584 years.

use crate::wasi::calls::Args;
use crate::wasi::{Answer, Errno, Wasi, in_bounds, store};
use stepmark_core::host::GuestMemory;

/// Wall-clock time at the start of every run, in nanoseconds since 1970: 2020-01-01T00:00:00Z. Late enough for
/// certificates and build stamps to look sane, and the same for everyone.
pub const EPOCH: u64 = 1_577_836_800_000_000_000;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const PROCESS_CPUTIME: u32 = 2;
const THREAD_CPUTIME: u32 = 3;

impl Wasi {
    /// What `clock` shows, or `None` if there is no such clock.
    pub(super) fn now(&self, clock: u32, gas_total: u64) -> Option<u64> {
        let ran = gas_total.saturating_mul(self.clock_rate);
        let elapsed = ran.saturating_add(self.state.slept);
        match clock {
            REALTIME => Some(EPOCH.saturating_add(elapsed)),
            // One more, because programs take 0 for "no time yet".
            MONOTONIC => Some(elapsed.saturating_add(1)),
            PROCESS_CPUTIME | THREAD_CPUTIME => Some(ran),
            _ => None,
        }
    }

    /// The time that files get when they change: that of the realtime clock.
    pub(super) fn wall_clock(&self, gas_total: u64) -> u64 {
        self.now(REALTIME, gas_total).unwrap_or_default()
    }

    /// `clock_res_get(clock, resolution)`.
    pub(super) fn clock_res_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let clock = args.u32(0);
        self.now(clock, 0).ok_or(Errno::Inval)?;
        let resolution = self.clock_rate.max(1);
        store(memory, args.ptr(1), &resolution.to_le_bytes())?;
        self.answers.clock_res(clock, resolution);
        Ok(())
    }

    /// `clock_time_get(clock, precision, time)`. The precision asked for is met as far as the resolution allows.
    pub(super) fn clock_time_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory, gas_total: u64) -> Answer {
        let clock = args.u32(0);
        let now = self.now(clock, gas_total).ok_or(Errno::Inval)?;
        in_bounds(memory, args.ptr(2), 8)?;
        store(memory, args.ptr(2), &now.to_le_bytes())?;
        self.answers.clock_time(clock, now);
        Ok(())
    }
}
