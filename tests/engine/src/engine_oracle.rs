//! The oracle of engine equality: the fast engine and the stepper, given the same program and the same budget, stop for
//! the same reason in the same state. A state is compared in the terms of the specification: every frame with its
//! function, offset, locals and operands; gas; every global, memory byte and table element; dropped segments; exceptions.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop, TierKind};
use stepmark_core::module::{Features, Module, SlotKind, ValType, slot_kinds};
use stepmark_state::canonical::{ExceptionState, FrameState, InstanceState};
use stepmark_state::limits::Limits;

use crate::generate::{Rng, random_args};

/// Small limits, so that random programs meet them.
pub const LIMITS: Limits = Limits {
    call_depth: 60,
    stack_slots: 3000,
    memory_bytes: 5 << 16,
    table_elements: 500,
    file_bytes: 0,
    exception_slots: 64,
};

/// Bounds of one comparison.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The tier that is compared with the stepper.
    pub tier: TierKind,
    /// Gas of the whole run.
    pub gas: u64,
    /// Uncharged steps of the whole run.
    pub steps: u64,
    /// Stops that are compared one by one.
    pub stops: u64,
    /// Calls of each exported function.
    pub calls: usize,
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Modules.
    pub modules: u64,
    /// Calls that began.
    pub calls: u64,
    /// Calls that returned.
    pub returned: u64,
    /// Calls that trapped.
    pub trapped: u64,
    /// Calls that ran out of their budget.
    pub unfinished: u64,
    /// Budgets under which both engines were compared.
    pub budgets: u64,
    /// Gas that the fast engine's runs charged.
    pub gas: u64,
    /// The part of it that its stepper charged.
    pub gas_stepped: u64,
}

impl Figures {
    /// Adds another run's.
    pub fn add(&mut self, other: &Figures) {
        self.modules += other.modules;
        self.calls += other.calls;
        self.returned += other.returned;
        self.trapped += other.trapped;
        self.unfinished += other.unfinished;
        self.budgets += other.budgets;
        self.gas += other.gas;
        self.gas_stepped += other.gas_stepped;
    }
}

#[derive(PartialEq, Eq, Debug)]
struct Observed {
    stop: Stop,
    gas: u64,
    steps_left: u64,
    frames: Vec<FrameState>,
    instances: Vec<InstanceState>,
    exceptions: Vec<ExceptionState>,
    exception_slots: u64,
}

/// Numbers of exceptions that were returned mean nothing: what is returned is no longer part of the state.
fn without_exceptions(stop: Stop, kinds: &[SlotKind]) -> Stop {
    let Stop::Done(values) = stop else { return stop };
    let opaque =
        |(value, kind): (u64, &SlotKind)| if *kind == SlotKind::Exception { u64::from(value != 0) } else { value };
    Stop::Done(values.into_iter().zip(kinds).map(opaque).collect())
}

fn observe(machine: &mut Machine, stop: Stop) -> Observed {
    // First: it numbers exceptions as they are reached.
    machine.collect_exceptions();
    Observed {
        exceptions: machine.exception_states(),
        exception_slots: machine.store.exceptions.counted(),
        stop,
        gas: machine.gas_total(),
        steps_left: machine.steps_left(),
        frames: machine.frame_states(),
        instances: machine.instance_states(),
    }
}

fn difference(ours: &Observed, oracle: &Observed) -> String {
    let line = |name: &str, it: &Observed, frame: usize| {
        let (stop, gas, steps, frames) = (&it.stop, it.gas, it.steps_left, it.frames.len());
        let frame = it.frames.get(frame);
        let rest = (&it.instances, &it.exceptions, it.exception_slots);
        format!("\n  {name} {stop:?}, gas {gas}, steps left {steps}, {frames} frames: {frame:?}; {rest:?}")
    };
    let frame = ours.frames.iter().zip(&oracle.frames).take_while(|(a, b)| a == b).count();
    format!("\n  frame {frame}{}{}", line("fast   ", ours, frame), line("stepper", oracle, frame))
}

/// Compares what two machines have come to, where a call that returns leaves values of these kinds.
fn same(
    fast: &mut Machine,
    fast_stop: Stop,
    stepper: &mut Machine,
    stepper_stop: Stop,
    kinds: &[SlotKind],
) -> Result<()> {
    let stops = [fast_stop, stepper_stop].map(|stop| without_exceptions(stop, kinds));
    let [fast_stop, stepper_stop] = stops;
    let (ours, oracle) = (observe(fast, fast_stop), observe(stepper, stepper_stop));
    ensure!(ours == oracle, "the engines differ{}", difference(&ours, &oracle));
    ensure!(fast.store.globals == stepper.store.globals, "globals differ");
    for (a, b) in fast.store.memories.iter().zip(&stepper.store.memories) {
        ensure!(a.bytes() == b.bytes(), "memories differ");
    }
    for (a, b) in fast.store.tables.iter().zip(&stepper.store.tables) {
        ensure!(a.elements() == b.elements(), "tables differ");
    }
    Ok(())
}

/// Compares the engines on every exported function of a module, called in order on one instance.
///
/// # Errors
/// The first difference, with the call and the budget.
pub fn engines_agree(bytes: &[u8], schedule: &Schedule, seed: u64, bounds: Bounds) -> Result<Figures> {
    linked_engines_agree(&[(String::new(), bytes.to_vec())], schedule, seed, bounds)
}

/// Compares the engines on every exported function of modules that import from each other, their start functions first. A
/// module that does not link, or whose segments or start function trap, exports nothing; what it has written stays.
///
/// # Errors
/// The first difference, with the call and the budget.
pub fn linked_engines_agree(
    modules: &[(String, Vec<u8>)],
    schedule: &Schedule,
    seed: u64,
    bounds: Bounds,
) -> Result<Figures> {
    let machine = Machine::new(schedule.clone(), LIMITS);
    let mut comparison = Comparison { machine, rng: Rng::new(seed), bounds, figures: Figures::default() };
    let mut linker = InstanceLinker::default();
    let mut instances = Vec::new();
    for (name, bytes) in modules {
        let module = Arc::new(Module::parse(bytes.clone(), Features::default())?);
        let Ok(instance) = comparison.machine.link(name, module.clone(), &linker, &NoHost) else { continue };
        if comparison.machine.store.write_segments(instance).is_err() {
            continue;
        }
        if let Some(start) = module.start() {
            let func = comparison.machine.store.instances[instance as usize].funcs[start as usize];
            if !comparison.call(func, &[]).with_context(|| format!("{name:?}: start function"))? {
                continue;
            }
        }
        linker.register(name, instance);
        instances.push((name, instance, module));
    }
    comparison.figures.modules += 1;
    for (name, instance, module) in &instances {
        for export in module.exports() {
            let Some(Extern::Func(func)) = comparison.machine.store.export(*instance, &export.name) else { continue };
            let ty = comparison.machine.store.func_type(func).clone();
            if ty.params.iter().any(|ty| matches!(ty, ValType::Ref(ty) if !ty.nullable)) {
                continue;
            }
            for _ in 0..bounds.calls {
                let args = random_args(&mut comparison.rng, &ty);
                comparison.call(func, &args).with_context(|| format!("{name}.{}{args:x?}", export.name))?;
            }
        }
    }
    Ok(comparison.figures)
}

/// Calls on one machine, one after the other.
struct Comparison {
    machine: Machine,
    rng: Rng,
    bounds: Bounds,
    figures: Figures,
}

impl Comparison {
    /// Compares the engines on a call, and lets the machine go on from its end; did it return.
    fn call(&mut self, func: u32, args: &[u64]) -> Result<bool> {
        let results = slot_kinds(&self.machine.store.func_type(func).results);
        let call = Call { func, args, bounds: self.bounds, results: &results };
        let (machine, one) = call.compare(&self.machine, &mut self.rng)?;
        self.figures.add(&one);
        self.machine = machine;
        Ok(one.returned == 1)
    }
}

struct Call<'a> {
    func: u32,
    args: &'a [u64],
    bounds: Bounds,
    /// Kinds of the slots that it returns.
    results: &'a [SlotKind],
}

impl Call<'_> {
    fn begin(&self, template: &Machine, tier: TierKind) -> Option<Machine> {
        let mut machine = template.clone();
        machine.set_tier(tier);
        machine.invoke(self.func, self.args).ok().map(|()| machine)
    }

    fn compare(&self, template: &Machine, rng: &mut Rng) -> Result<(Machine, Figures)> {
        let mut figures = Figures { calls: 1, ..Figures::default() };
        let (Some(mut fast), Some(mut stepper)) =
            (self.begin(template, self.bounds.tier), self.begin(template, TierKind::Stepper))
        else {
            // Not even the first frame fits.
            return Ok((template.clone(), figures));
        };
        let before = (fast.gas_total(), fast.gas_stepped());
        let budget = Budget { gas: self.bounds.gas, steps: self.bounds.steps };
        let stop = fast.run(budget);
        match &stop {
            Stop::Done(_) => figures.returned += 1,
            Stop::Trap(_) => figures.trapped += 1,
            _ => figures.unfinished += 1,
        }
        let oracle = stepper.run(budget);
        same(&mut fast, stop, &mut stepper, oracle, self.results).context("at the end")?;
        figures.budgets += 1;
        figures.gas += fast.gas_total() - before.0;
        figures.gas_stepped += fast.gas_stepped() - before.1;
        figures.budgets += self.every_stop(template)?;
        figures.budgets += self.pauses(template, &mut fast, rng)?;
        Ok((fast, figures))
    }

    /// Stops at every place where gas can end, up to a number of them: a fresh run of the fast engine for each, a fast
    /// engine that is paused and goes on, and the stepper, which goes on too.
    fn every_stop(&self, template: &Machine) -> Result<u64> {
        let (Some(mut stepper), Some(mut paused)) =
            (self.begin(template, TierKind::Stepper), self.begin(template, self.bounds.tier))
        else {
            return Ok(0);
        };
        let start = stepper.gas_total();
        let mut compared = 0;
        let mut budget = 0;
        let mut steps = self.bounds.steps;
        while compared < self.bounds.stops {
            let rest = Budget { gas: start + budget - stepper.gas_total(), steps };
            let stop = stepper.run(rest);
            let again = paused.run(rest);
            same(&mut paused, again, &mut stepper, stop.clone(), self.results)
                .with_context(|| format!("paused, budget {budget}"))?;
            steps = stepper.steps_left();
            self.fresh(template, budget, &mut stepper, &stop)?;
            compared += 2;
            let Stop::OutOfGas { need } = stop else { break };
            let next = stepper.gas_total() - start + need;
            if next > budget + 1 {
                self.fresh(template, next - 1, &mut stepper, &stop)?;
                compared += 1;
            }
            if next > self.bounds.gas {
                break;
            }
            budget = next;
        }
        Ok(compared)
    }

    /// A run of the fast engine from the start comes to the same stop.
    fn fresh(&self, template: &Machine, budget: u64, stepper: &mut Machine, stop: &Stop) -> Result<()> {
        let Some(mut fast) = self.begin(template, self.bounds.tier) else { return Ok(()) };
        let again = fast.run(Budget { gas: budget, steps: self.bounds.steps });
        same(&mut fast, again, stepper, stop.clone(), self.results).with_context(|| format!("budget {budget}"))
    }

    /// The whole run in random slices comes to the same end as `done`.
    fn pauses(&self, template: &Machine, done: &mut Machine, rng: &mut Rng) -> Result<u64> {
        let Some(mut sliced) = self.begin(template, self.bounds.tier) else { return Ok(0) };
        let start = sliced.gas_total();
        let (mut steps, mut slices, mut least) = (self.bounds.steps, 0, 0);
        let stop = loop {
            let left = self.bounds.gas - (sliced.gas_total() - start);
            let gas = (rng.bits() % 97).max(least).min(left);
            match sliced.run(Budget { gas, steps }) {
                Stop::OutOfGas { need } if need <= left - (gas - sliced.gas_left()) => least = need,
                stop => break stop,
            }
            steps = sliced.steps_left();
            slices += 1;
            if slices > 2_000 {
                return Ok(slices);
            }
        };
        ensure!(!matches!(stop, Stop::Failed(_)), "failed: {stop:?}");
        let exceptions = |machine: &mut Machine| {
            machine.collect_exceptions();
            (machine.exception_states(), machine.store.exceptions.counted())
        };
        let (ours, whole) = (exceptions(&mut sliced), exceptions(done));
        ensure!(ours == whole, "in {slices} slices: exceptions are {ours:?}, whole {whole:?}, {stop:?}");
        let end = done.frame_states();
        ensure!(sliced.frame_states() == end, "in {slices} slices: frames differ");
        ensure!(sliced.gas_total() == done.gas_total(), "in {slices} slices: gas differs");
        ensure!(sliced.instance_states() == done.instance_states(), "in {slices} slices: instances differ");
        Ok(slices)
    }
}
