//! Runs a call to its end in one of the configurations.

use anyhow::{Result, bail, ensure};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Machine, Stop, TierKind};
use stepmark_state::limits::Limits;
use stepmark_state::trap::Trap;

use super::Config;
use super::restore::{History, round_trip};

/// How a call ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Returned(Vec<u64>),
    Trapped(Trap),
}

/// A machine and the way it is driven.
pub(super) struct Driver {
    pub(super) machine: Machine,
    config: Config,
    pub(super) pauses: u64,
    pub(super) restores: u64,
    pub(super) history: History,
}

impl Driver {
    pub(super) fn new(config: Config, schedule: Schedule) -> Self {
        let mut machine = Machine::new(schedule, Limits::default());
        machine.set_tier(if config == Config::Stepper { TierKind::Stepper } else { TierKind::Register });
        Self { machine, config, pauses: 0, restores: 0, history: History::default() }
    }

    pub(super) fn call(&mut self, func: u32, args: &[u64]) -> Result<Outcome> {
        if let Err(trap) = self.machine.invoke(func, args) {
            return Ok(Outcome::Trapped(trap));
        }
        match self.config {
            Config::Fast | Config::Stepper => {
                let stop = self.machine.run(Budget::UNLIMITED);
                ended(stop)
            }
            Config::Sliced(gas) => self.sliced(gas, None),
            Config::Restored { every, most } => self.sliced(every, Some((func, most))),
        }
    }

    /// Spends `slice` gas at a time; an instruction dearer than that gets what it needs. With `restored`, the function
    /// called and a bound, each of the first pauses of the call is one between two machines.
    fn sliced(&mut self, slice: u64, restored: Option<(u32, u64)>) -> Result<Outcome> {
        let mut gas = slice;
        let first = self.restores;
        loop {
            let before = self.machine.gas_total();
            match self.machine.run(Budget { gas, steps: u64::MAX }) {
                Stop::OutOfGas { need } => {
                    let spent = self.machine.gas_total() - before;
                    ensure!(spent <= gas, "a run of {gas} gas charged {spent}");
                    ensure!(
                        spent + need > gas,
                        "a run of {gas} gas stopped at {spent} before an instruction of {need}"
                    );
                    ensure!(gas - spent == self.machine.gas_left(), "gas charged and left do not add up");
                    gas = slice.max(need);
                    self.pauses += 1;
                    if let Some((func, _)) = restored.filter(|(_, most)| self.restores - first < *most) {
                        self.machine = round_trip(&mut self.machine, &mut self.history, func)?;
                        self.restores += 1;
                    }
                }
                stop => return ended(stop),
            }
        }
    }
}

fn ended(stop: Stop) -> Result<Outcome> {
    match stop {
        Stop::Done(values) => Ok(Outcome::Returned(values)),
        Stop::Trap(trap) => Ok(Outcome::Trapped(trap)),
        other => bail!("the run stopped with {other:?}"),
    }
}
