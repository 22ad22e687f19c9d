//! Runs a call to its end in one of the configurations.

use anyhow::{Result, bail, ensure};
use guest_interp::gas::Schedule;
use guest_interp::limits::Limits;
use guest_interp::runtime::{Budget, Machine, Stop};
use guest_interp::trap::Trap;

use super::Config;

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
}

impl Driver {
    pub(super) fn new(config: Config) -> Self {
        let mut machine = Machine::new(Schedule::default(), Limits::default());
        machine.set_stepper_only(config == Config::Stepper);
        Self { machine, config, pauses: 0 }
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
            Config::Sliced(gas) => self.sliced(gas),
        }
    }

    /// Spends `gas` at a time; an instruction dearer than that gets what it needs.
    fn sliced(&mut self, slice: u64) -> Result<Outcome> {
        let mut gas = slice;
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
