//! The oracle of gas: with our schedule as its table, wasmtime's fuel is our gas. What a call costs us must be what it costs
//! there, instruction by instruction, with each byte and element that a bulk operator moves and each page and element that a
//! memory or table grows by. How parts by the unit are priced, and those that fuel knows nothing of (locals set to zero, the
//! search of a throw), is accounted for: together with the instructions they are the whole.
//!
//! Where a call traps, wasmtime has written its fuel down only at the last call, `unreachable` or throw before: equal if that
//! is what trapped, else not more than ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use stepmark_core::code::Op;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop, TierKind};
use stepmark_core::module::{ExternKind, Features, Module, ValType};
use stepmark_state::limits::Limits;
use stepmark_state::trap::Trap;

use super::prices::{COUNTED, Prices, is_call};
use crate::differential::others::{Wasmtime, wasmtime_config};
use crate::differential::{ALONE, End, Engine};
use crate::generate::{Rng, random_args};

/// Gas of a call; what needs more is not compared.
const GAS: u64 = 300_000;
/// Frames, so that wasmtime's stack holds them too.
const CALL_DEPTH: u32 = 150;
/// Fuel that a store begins with: never spent.
pub const FUEL: u64 = 1 << 60;
/// What it says when that does not suffice.
const NO_FUEL: &str = "all fuel consumed";

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Modules that could be instantiated.
    pub modules: u64,
    /// Calls that returned: fuel and gas are equal.
    pub returned: u64,
    /// Calls that trapped where fuel is exact: they are equal too.
    pub trapped_exact: u64,
    /// Calls that trapped elsewhere: fuel is not more than gas.
    pub trapped: u64,
    /// Calls left out: out of gas, stack or exceptions.
    pub left_out: u64,
    /// Gas for instructions that was equal.
    pub gas: u64,
    /// Bytes, pages and elements that were equal.
    pub counted: u64,
    /// Gas by the unit, as the schedule prices it, by row.
    pub by_unit: BTreeMap<String, u64>,
}

impl Figures {
    /// Adds another run's.
    pub fn add(&mut self, other: &Figures) {
        self.modules += other.modules;
        self.returned += other.returned;
        self.trapped_exact += other.trapped_exact;
        self.trapped += other.trapped;
        self.left_out += other.left_out;
        self.gas += other.gas;
        self.counted += other.counted;
        self.add_units(&other.by_unit);
    }

    fn add_units(&mut self, by_unit: &BTreeMap<String, u64>) {
        for (row, gas) in by_unit.iter().filter(|(_, gas)| **gas > 0) {
            *self.by_unit.entry(row.clone()).or_default() += gas;
        }
    }
}

/// Wasmtime with a schedule's prices.
#[derive(Clone)]
pub struct GasOracle {
    prices: Prices,
    engine: wasmtime::Engine,
}

impl GasOracle {
    /// # Errors
    /// If wasmtime's table cannot hold a price.
    pub fn new(schedule: &Schedule) -> Result<Self> {
        Self::priced(schedule, schedule)
    }

    /// An oracle whose fuel is priced by `theirs` while our side is charged by `ours`: with two that differ, it must object.
    ///
    /// # Errors
    /// If wasmtime's table cannot hold a price.
    pub fn priced(ours: &Schedule, theirs: &Schedule) -> Result<Self> {
        let mut config = wasmtime_config();
        config.consume_fuel(true).operator_cost(Prices::new(theirs)?.table());
        config.compiler_inlining(wasmtime::Inlining::No);
        let engine = wasmtime::Engine::new(&config).map_err(|e| anyhow!("{e}"))?;
        Ok(Self { prices: Prices::new(ours)?, engine })
    }

    /// The schedule taken apart.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// Wasmtime without an instance.
    ///
    /// # Errors
    /// If it counts no fuel.
    pub(crate) fn wasmtime(&self) -> Result<Wasmtime> {
        let mut wasmtime = Wasmtime::new(&self.engine);
        wasmtime.store.set_fuel(FUEL).map_err(|e| anyhow!("{e}"))?;
        Ok(wasmtime)
    }

    /// Compares gas and fuel of `calls` calls of every exported function of a module without imports.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&self, bytes: &[u8], seed: u64, calls: usize) -> Result<Figures> {
        let mut figures = Figures::default();
        let module = Arc::new(Module::parse(bytes.to_vec(), Features::default())?);
        let Some(mut ours) = Ours::new(&self.prices, &module)? else { return Ok(figures) };
        let mut theirs = self.wasmtime()?;
        ensure!(theirs.instantiate(ALONE, bytes)?.is_none(), "only wasmtime does not instantiate");
        figures.modules = 1;
        let mut rng = Rng::new(seed);
        for export in module.exports().iter().filter(|export| export.kind == ExternKind::Func) {
            let ty = module.func_type(export.index);
            if ty.params.iter().any(|ty| matches!(ty, ValType::Ref(ty) if !ty.nullable)) {
                continue;
            }
            for _ in 0..calls {
                let args = random_args(&mut rng, ty);
                let Some(spent) = ours.call(&export.name, &args)? else {
                    figures.left_out += 1;
                    return Ok(figures);
                };
                let before = Growth::of(&mut theirs, &module);
                let fuel = match spent_fuel(&mut theirs, ALONE, &export.name, &args) {
                    Ok((_, fuel)) => fuel,
                    // It charges for a length that no memory has before it looks at the bounds, and has no fuel for that.
                    Err(error) if spent.trapped_by_amount() && format!("{error:#}").contains(NO_FUEL) => {
                        figures.left_out += 1;
                        return Ok(figures);
                    }
                    Err(error) => return Err(error),
                };
                let grown = Growth::of(&mut theirs, &module).since(&before);
                let named = |error: anyhow::Error| error.context(format!("{}{args:x?}", export.name));
                spent.compare(fuel, grown, &mut figures).map_err(named)?;
            }
        }
        Ok(figures)
    }
}

/// How a call ends in wasmtime, and the fuel that it takes.
///
/// # Errors
/// If it ends in a way that the node does not know.
pub(crate) fn spent_fuel(wasmtime: &mut Wasmtime, instance: &str, export: &str, args: &[u64]) -> Result<(End, u64)> {
    let left = |wasmtime: &Wasmtime| wasmtime.store.get_fuel().map_err(|e| anyhow!("{e}"));
    let before = left(wasmtime)?;
    let end = wasmtime.call(instance, export, args)?;
    Ok((end, before - left(wasmtime)?))
}

/// Pages and elements of what a module exports.
struct Growth(u64);

impl Growth {
    fn of(wasmtime: &mut Wasmtime, module: &Module) -> Self {
        let Ok(instance) = wasmtime.instance(ALONE) else { return Self(0) };
        let store = &mut wasmtime.store;
        let mut seen = Vec::new();
        let mut sum = 0;
        for export in module.exports().iter().filter(|e| matches!(e.kind, ExternKind::Memory | ExternKind::Table)) {
            // One may be exported under several names.
            if seen.contains(&(export.kind, export.index)) {
                continue;
            }
            seen.push((export.kind, export.index));
            sum += match instance.get_export(&mut *store, &export.name) {
                Some(wasmtime::Extern::Memory(memory)) => memory.size(&*store),
                Some(wasmtime::Extern::Table(table)) => table.size(&*store),
                _ => 0,
            };
        }
        Self(sum)
    }

    fn since(&self, before: &Growth) -> u64 {
        self.0 - before.0
    }
}

/// What a call costs us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The trap that ended it, with the instruction that trapped.
    pub trap: Option<(Trap, &'static str)>,
    /// Gas for instructions.
    pub instructions: u64,
    /// Bytes, pages and elements.
    pub counted: u64,
    /// Gas by the unit, as the schedule prices it, by row; empty where it was not asked for.
    pub by_unit: BTreeMap<String, u64>,
}

/// Is the fuel that wasmtime has written down at this trap exact.
fn is_exact((trap, mnemonic): (Trap, &str)) -> bool {
    let is_call = Op::from_mnemonic(mnemonic).is_some_and(is_call);
    matches!(trap, Trap::Unreachable | Trap::UncaughtException) || is_call
}

impl Spent {
    /// Whether it ended at an instruction that is charged by its amount.
    fn trapped_by_amount(&self) -> bool {
        self.trap.is_some_and(|(_, mnemonic)| COUNTED.contains(&mnemonic))
    }

    /// Compares with the fuel of the same call, after which memories and tables are `grown` larger.
    ///
    /// # Errors
    /// The difference.
    pub fn compare(&self, fuel: u64, grown: u64, figures: &mut Figures) -> Result<()> {
        let ours = self.instructions + self.counted;
        // One for the entry of the function that was called; a call that traps has entered none.
        let entered = 1 - u64::from(self.trap.is_some_and(|(_, name)| Op::from_mnemonic(name).is_some_and(is_call)));
        let theirs = (fuel + grown).saturating_sub(entered);
        let said = || {
            format!("{ours} gas for instructions and amounts, {theirs} by fuel ({grown} of it by growing): {self:?}")
        };
        match self.trap {
            None => {
                ensure!(ours == theirs, "{}", said());
                figures.returned += 1;
            }
            Some(trap) if is_exact(trap) => {
                ensure!(ours == theirs, "{}", said());
                figures.trapped_exact += 1;
            }
            Some(_) => {
                ensure!(ours >= theirs, "{}", said());
                figures.trapped += 1;
            }
        }
        figures.gas += self.instructions;
        figures.counted += self.counted;
        figures.add_units(&self.by_unit);
        Ok(())
    }
}

/// One module on several machines, which differ by what is charged and by the engine.
struct Ours {
    instance: u32,
    /// The schedule itself, on both engines.
    fast: Machine,
    stepper: Machine,
    /// Each byte and element at 1.
    counted: Machine,
    /// Only one row's part by the unit.
    by_unit: Vec<(String, Machine)>,
}

impl Ours {
    /// `None` if the module's segments do not fit.
    fn new(prices: &Prices, module: &Arc<Module>) -> Result<Option<Self>> {
        let mut instance = 0;
        let mut machine = |schedule: &Schedule, tier: TierKind| -> Result<Option<Machine>> {
            let mut machine = Machine::new(schedule.clone(), Limits { call_depth: CALL_DEPTH, ..Limits::default() });
            machine.set_tier(tier);
            instance = machine.link("", module.clone(), &InstanceLinker::default(), &NoHost)?;
            Ok(machine.store.write_segments(instance).is_ok().then_some(machine))
        };
        let Some(fast) = machine(&prices.schedule, TierKind::Register)? else { return Ok(None) };
        let rest = [machine(&prices.schedule, TierKind::Stepper)?, machine(&prices.growing, TierKind::Stepper)?];
        let [Some(stepper), Some(counted)] = rest else { return Ok(None) };
        let mut by_unit = Vec::new();
        for (row, only) in prices.units_of(module) {
            by_unit.extend(machine(only, TierKind::Register)?.map(|machine| (row.name.clone(), machine)));
        }
        Ok(Some(Self { instance, fast, stepper, counted, by_unit }))
    }

    /// What a call costs; `None` if it does not end within the bounds.
    fn call(&mut self, export: &str, args: &[u64]) -> Result<Option<Spent>> {
        let Some(Extern::Func(func)) = self.fast.store.export(self.instance, export) else { return Ok(None) };
        let run = |machine: &mut Machine, gas: u64| {
            let before = (machine.gas_total(), machine.gas_stepped());
            machine.invoke(func, args).ok()?;
            let stop = machine.run(Budget { gas, steps: u64::MAX });
            Some((stop, machine.gas_total() - before.0, machine.gas_stepped() - before.1))
        };
        let Some((stop, total, _)) = run(&mut self.fast, GAS) else { return Ok(None) };
        let trap = match stop {
            Stop::Done(_) => None,
            Stop::Trap(Trap::CallStackExhausted | Trap::ExceptionsExhausted) => return Ok(None),
            Stop::Trap(trap) => Some((trap, self.fast.next_mnemonic())),
            _ => return Ok(None),
        };
        // The same way, whatever it costs.
        let same =
            |machine: &mut Machine| run(machine, u64::MAX).map_or((0, 0), |(_, total, stepped)| (total, stepped));
        let again = same(&mut self.stepper).0;
        ensure!(again == total, "{total} gas on the fast engine, {again} on the stepper");
        let (amounts, instructions) = same(&mut self.counted);
        let by_unit: BTreeMap<String, u64> =
            self.by_unit.iter_mut().map(|(row, machine)| (row.clone(), same(machine).0)).collect();
        let sum = instructions + by_unit.values().sum::<u64>();
        ensure!(sum == total, "{total} gas, but {instructions} for instructions and by the unit {by_unit:?}");
        Ok(Some(Spent { trap, instructions, counted: amounts - instructions, by_unit }))
    }
}
