//! The oracle of the compiled tier: called with any gas, compiled code and the interpreter after it come to the state that the
//! interpreter alone comes to, and compiled code has left everything as the interpreter has it at that gas.

use anyhow::{Context, Result, ensure};
use engine_tests::generate::Rng;
use stepmark_compile::LeftFrames;
use stepmark_core::machine::{Budget, DIRTY_PAGE, Machine, Stop};
use stepmark_state::canonical::{ExceptionState, FrameState, InstanceState};

use crate::drive::Drive;
use crate::host::{Ended, Host};
use crate::place::memory_of;
use crate::transplant::{frame_states, transplanted};

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Modules of which anything was compiled.
    pub modules: u64,
    /// Functions compiled.
    pub funcs: u64,
    /// Functions that were not.
    pub not_compiled: u64,
    /// Calls.
    pub calls: u64,
    /// Gas limits under which they were made.
    pub stops: u64,
    /// Those at which compiled code left.
    pub left: u64,
    /// Frames left.
    pub frames: u64,
    /// The most at once.
    pub deepest: u64,
    /// Calls that compiled code returned from by itself.
    pub returned: u64,
    /// Calls that ended in a trap.
    pub trapped: u64,
    /// Turns of compiled code in chains.
    pub turns: u64,
    /// Gas charged.
    pub gas: u64,
    /// The part of it that compiled code charged.
    pub gas_compiled: u64,
}

impl Figures {
    /// Adds another run's.
    pub fn add(&mut self, other: &Figures) {
        self.modules += other.modules;
        self.funcs += other.funcs;
        self.not_compiled += other.not_compiled;
        self.calls += other.calls;
        self.stops += other.stops;
        self.left += other.left;
        self.frames += other.frames;
        self.deepest = self.deepest.max(other.deepest);
        self.returned += other.returned;
        self.trapped += other.trapped;
        self.turns += other.turns;
        self.gas += other.gas;
        self.gas_compiled += other.gas_compiled;
    }
}

/// How far calls go and at how many gas limits they are made.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Gas of a whole call.
    pub gas: u64,
    /// Every limit below this one.
    pub every: u64,
    /// Random limits up to what the call costs.
    pub random: u64,
    /// Segments of a chain in which compiled code is entered wherever it can be.
    pub segments: u64,
    /// Gas that none of them reaches.
    pub longest: u64,
}

/// A call of a compiled function, from the state of a machine.
pub struct Call<'a> {
    /// In which nothing runs.
    pub template: &'a Machine,
    /// The instance that is compiled.
    pub instance: u32,
    /// The function, by its index in the program.
    pub func: u32,
    /// Its arguments, a slot each.
    pub args: &'a [u64],
}

#[derive(Debug, PartialEq, Eq)]
struct Observed {
    stop: Stop,
    gas: u64,
    frames: Vec<FrameState>,
    instances: Vec<InstanceState>,
    globals: Vec<u64>,
    exceptions: Vec<ExceptionState>,
    exception_slots: u64,
}

impl Call<'_> {
    /// Compares at the gas limits that `bounds` asks for.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&self, host: &mut Host, rng: &mut Rng, bounds: Bounds) -> Result<Figures> {
        let mut figures = Figures { calls: 1, ..Figures::default() };
        let Some(mut whole) = self.invoked() else { return Ok(figures) };
        let stop = whole.run(Budget { gas: bounds.gas, steps: u64::MAX });
        figures.trapped += u64::from(matches!(stop, Stop::Trap(_)));
        let spent = whole.gas_total() - self.template.gas_total();
        for gas in 0..bounds.every.min(spent + 1) {
            self.at(host, gas, &mut figures).with_context(|| format!("gas {gas}"))?;
        }
        for _ in 0..bounds.random {
            let gas = rng.bits() % (spent + 1);
            self.at(host, gas, &mut figures).with_context(|| format!("gas {gas}"))?;
        }
        self.at(host, bounds.gas, &mut figures).with_context(|| format!("gas {}", bounds.gas))?;
        figures.add(&self.chain(host, rng, bounds).context("in a chain")?);
        Ok(figures)
    }

    /// Compares a run in segments of random lengths, in which compiled code is entered wherever it can be.
    fn chain(&self, host: &mut Host, rng: &mut Rng, bounds: Bounds) -> Result<Figures> {
        let mut figures = Figures::default();
        let (Some(mut oracle), Some(machine)) = (self.invoked(), self.invoked()) else { return Ok(figures) };
        let func = machine.store.instances[self.instance as usize].funcs[self.func as usize];
        let mut drive = Drive::new(host, self.template, func, machine);
        for segment in 0..bounds.segments {
            let gas = rng.bits() % bounds.longest;
            let stop = oracle.run(Budget { gas, steps: u64::MAX });
            // What it has not used is not kept: the next segment has its own.
            let ours = drive.run(gas)?;
            figures.stops += 1;
            let is_end = !matches!(stop, Stop::OutOfGas { .. });
            same(&mut drive.machine, ours, &mut oracle, stop).with_context(|| format!("segment {segment} of {gas}"))?;
            if is_end {
                break;
            }
        }
        figures.turns += drive.turns;
        figures.gas += oracle.gas_total() - self.template.gas_total();
        figures.gas_compiled += drive.gas_compiled;
        Ok(figures)
    }

    fn invoked(&self) -> Option<Machine> {
        let mut machine = self.template.clone();
        let func = machine.store.instances[self.instance as usize].funcs[self.func as usize];
        machine.invoke(func, self.args).ok().map(|()| machine)
    }

    /// Compares a call with so much gas.
    fn at(&self, host: &mut Host, gas: u64, figures: &mut Figures) -> Result<()> {
        let Some(mut oracle) = self.invoked() else { return Ok(()) };
        let stop = oracle.run(Budget { gas, steps: u64::MAX });
        host.load(self.template);
        figures.stops += 1;
        let ended = host.call(self.func, self.args, gas)?;
        marked(self.template, host)?;
        let (mut ours, our_stop, rest) = match ended {
            Ended::Returned(values, rest) => {
                figures.returned += 1;
                (self.restored(host, None, gas - rest)?, Stop::Done(values), rest)
            }
            Ended::Left(left) => {
                figures.left += 1;
                figures.frames += left.frames.len() as u64;
                figures.deepest = figures.deepest.max(left.frames.len() as u64);
                ensure!(left.gas <= gas, "{} gas is left of {gas}", left.gas);
                let mut ours = self.restored(host, Some(&left), gas - left.gas)?;
                self.left_rightly(ours.clone(), gas - left.gas).context("as it was left")?;
                let stop = ours.run(Budget { gas: left.gas, steps: u64::MAX });
                (ours, stop, left.gas)
            }
        };
        figures.gas += oracle.gas_total() - self.template.gas_total();
        figures.gas_compiled += gas - rest;
        same(&mut ours, our_stop, &mut oracle, stop)
    }

    /// What was left is what the interpreter has after so much gas.
    fn left_rightly(&self, mut ours: Machine, spent: u64) -> Result<()> {
        let Some(mut oracle) = self.invoked() else { return Ok(()) };
        // Free instructions may follow.
        let our_stop = ours.run(Budget { gas: 0, steps: u64::MAX });
        let stop = oracle.run(Budget { gas: spent, steps: u64::MAX });
        same(&mut ours, our_stop, &mut oracle, stop)
    }

    /// A machine with what is in the companion's memory, after `spent` gas, and the frames that were left, if any were.
    fn restored(&self, host: &Host, left: Option<&LeftFrames>, spent: u64) -> Result<Machine> {
        let frames = left.map_or(Vec::new(), |left| frame_states(left, self.instance));
        let mut machine = self.template.clone();
        let func = machine.store.instances[self.instance as usize].funcs[self.func as usize];
        let gas = machine.gas_total() + spent;
        transplanted(self.template, &mut machine, host, func, frames, gas)
    }
}

/// Every page of the program's memory that is another than the machine's is marked.
///
/// # Errors
/// The first that is not.
pub fn marked(before: &Machine, host: &Host) -> Result<()> {
    if !host.marks {
        return Ok(());
    }
    let before = memory_of(before, &before.store.instances[host.placement.layout.instance as usize]);
    let after = host.placement.program_memory(host.memory());
    let pages = before.chunks(DIRTY_PAGE).zip(after.chunks(DIRTY_PAGE));
    for (number, (before, after)) in pages.enumerate() {
        let is_right = before == after || host.placement.is_marked(host.memory(), number);
        ensure!(is_right, "page {number} has changed and is not marked");
    }
    Ok(())
}

/// Compares what a machine that was run partly by compiled code has come to with the interpreter's.
///
/// # Errors
/// What differs.
pub fn same(ours: &mut Machine, our_stop: Stop, oracle: &mut Machine, stop: Stop) -> Result<()> {
    let (ours_seen, theirs) = (observe(ours, our_stop), observe(oracle, stop));
    ensure!(ours_seen == theirs, "compiled {ours_seen:x?}\n  interpreter {theirs:x?}");
    for (ours, theirs) in ours.store.memories.iter().zip(&oracle.store.memories) {
        ensure!(ours.bytes() == theirs.bytes(), "memories differ");
    }
    for (ours, theirs) in ours.store.tables.iter().zip(&oracle.store.tables) {
        ensure!(ours.elements() == theirs.elements(), "tables differ");
    }
    Ok(())
}

fn observe(machine: &mut Machine, stop: Stop) -> Observed {
    let done = matches!(stop, Stop::Done(_));
    machine.collect_exceptions();
    Observed {
        stop,
        gas: machine.gas_total(),
        // A call that has returned leaves no frame, and a machine that never had one is no different.
        frames: if done { Vec::new() } else { machine.frame_states() },
        instances: machine.instance_states(),
        globals: machine.store.globals.clone(),
        exceptions: machine.exception_states(),
        exception_slots: machine.store.exceptions.counted(),
    }
}
