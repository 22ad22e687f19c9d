//! A run in which compiled code and the interpreter take turns: whoever the innermost frame rests with goes on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stepmark_compile::frame_bytes;
use stepmark_core::code::Body;
use stepmark_core::machine::{Budget, Machine, Stop, TierKind};
use stepmark_state::canonical::FrameState;

use crate::host::{Ended, Host};
use crate::oracle::marked;
use crate::transplant::{frame_states, transplanted};

/// A call that is driven.
pub struct Drive<'a> {
    host: &'a mut Host,
    /// A machine in which nothing has run.
    template: &'a Machine,
    /// Store address of the function that was called.
    func: u32,
    /// Where the run is.
    pub machine: Machine,
    /// Turns of compiled code.
    pub turns: u64,
    /// Gas that it charged.
    pub gas_compiled: u64,
    /// Time that it took.
    pub time: Duration,
}

impl<'a> Drive<'a> {
    /// From a machine that has been called.
    pub fn new(host: &'a mut Host, template: &'a Machine, func: u32, mut machine: Machine) -> Drive<'a> {
        machine.set_tier(TierKind::Stepper);
        Drive { host, template, func, machine, turns: 0, gas_compiled: 0, time: Duration::ZERO }
    }

    /// Runs until so much gas is spent or the run ends.
    ///
    /// # Errors
    /// If compiled code fails, or what it leaves is refused.
    pub fn run(&mut self, mut gas: u64) -> Result<Stop> {
        loop {
            if let Some(stop) = self.compiled(&mut gas)? {
                return Ok(stop);
            }
            if let Some(stop) = self.step(&mut gas) {
                return Ok(stop);
            }
        }
    }

    /// The interpreter executes one instruction that is paid for, and what is free around it.
    fn step(&mut self, gas: &mut u64) -> Option<Stop> {
        let before = self.machine.gas_total();
        let mut allowed = 0;
        loop {
            let stop = self.machine.run(Budget { gas: allowed, steps: u64::MAX });
            let spent = self.machine.gas_total() - before;
            match stop {
                Stop::OutOfGas { .. } if spent > 0 => {
                    *gas -= spent;
                    return None;
                }
                // With less than its whole cost an instruction may ask for a part of it only.
                Stop::OutOfGas { need } if allowed < *gas => allowed = need.min(*gas),
                stop => return Some(stop),
            }
        }
    }

    /// A turn of compiled code, if the innermost frame rests where it can go on; the stop if the run has returned.
    fn compiled(&mut self, gas: &mut u64) -> Result<Option<Stop>> {
        self.machine.collect_exceptions();
        let mut frames = self.machine.frame_states();
        let can_enter = |host: &Host, frames: &[FrameState], gas: u64| {
            let entry = frames.last().and_then(|frame| host.entry(frame));
            entry.is_some_and(|entry| i64::try_from(gas).is_ok_and(|gas| gas >= entry.gas))
        };
        if !can_enter(self.host, &frames, *gas) || !self.host.placement.holds(&self.machine) {
            return Ok(None);
        }
        self.host.load(&self.machine);
        let spent = self.machine.gas_total();
        let before = *gas;
        while can_enter(self.host, &frames, *gas) {
            let Some(top) = frames.pop() else { break };
            let above = self.bytes(&frames);
            if above > self.host.placement.layout.frame_limit - self.host.placement.frames {
                frames.push(top);
                break;
            }
            self.turns += 1;
            let start = Instant::now();
            let ended = self.host.resume(&top, above, *gas)?;
            self.time += start.elapsed();
            match ended {
                Ended::Left(left) => {
                    ensure!(left.gas <= *gas, "{} gas is left of {gas}", left.gas);
                    *gas = left.gas;
                    frames.extend(frame_states(&left, top.instance));
                    // It has left for a reason: the interpreter goes on.
                    break;
                }
                Ended::Returned(values, rest) => {
                    *gas = rest;
                    match frames.last_mut() {
                        Some(caller) => caller.operands.extend(values),
                        None => return self.returned(values, spent + before - *gas).map(Some),
                    }
                }
            }
        }
        self.gas_compiled += before - *gas;
        marked(&self.machine, self.host)?;
        self.machine = self.rest(frames, spent + before - *gas)?;
        Ok(None)
    }

    fn returned(&mut self, values: Vec<u64>, gas: u64) -> Result<Stop> {
        self.gas_compiled += gas - self.machine.gas_total();
        marked(&self.machine, self.host)?;
        self.machine = self.rest(Vec::new(), gas)?;
        Ok(Stop::Done(values))
    }

    fn rest(&mut self, frames: Vec<FrameState>, gas: u64) -> Result<Machine> {
        let mut machine = transplanted(self.template, &mut self.machine, self.host, self.func, frames, gas)?;
        machine.set_tier(TierKind::Stepper);
        Ok(machine)
    }

    /// Bytes of the frames below.
    fn bytes(&self, frames: &[FrameState]) -> u32 {
        let store = &self.machine.store;
        let size = |frame: &FrameState| {
            let module = &store.instances[frame.instance as usize].module;
            frame_bytes(Body::decode(module, frame.func).frame_slots())
        };
        frames.iter().map(size).sum()
    }
}
