//! The specification's test suite under the oracle of gas: every script runs on the stepper, and wasmtime does the same
//! beside it, instance by instance and call by call.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use stepmark_core::module::Module;
use stepmark_state::trap::Trap;

use super::gas::{Figures, GasOracle, Spent, spent_fuel};
use crate::differential::Engine;
use crate::differential::others::Wasmtime;
use crate::spec::{Called, Follower, Suite, run_followed};

/// What was compared in an edition.
#[derive(Clone, Debug, Default)]
pub struct SuiteFigures {
    /// Calls.
    pub gas: Figures,
    /// Modules that wasmtime refuses, by its own limits or because it misses one of those.
    pub refused: u64,
    /// Calls of instances that it does not have.
    pub unknown: u64,
    /// What differed.
    pub differences: Vec<String>,
}

/// Runs an edition. What the scripts themselves assert is not looked at here.
///
/// # Errors
/// If wasmtime counts no fuel.
pub fn compare_suite(oracle: &GasOracle, suite: Suite) -> Result<SuiteFigures> {
    let mut figures = SuiteFigures::default();
    for file in suite.files() {
        let mut beside = Beside { wasmtime: oracle.wasmtime()?, figures: SuiteFigures::default() };
        // The runner's own failures are those of `cargo xtask spec`.
        run_followed(suite, &file, oracle.prices().counted.clone(), &mut beside);
        let SuiteFigures { gas, refused, unknown, differences } = beside.figures;
        figures.gas.add(&gas);
        figures.refused += refused;
        figures.unknown += unknown;
        figures.differences.extend(differences.into_iter().map(|line| format!("{}: {line}", file.name())));
    }
    Ok(figures)
}

/// Wasmtime with the instances of a script, named by their numbers and as they are registered.
struct Beside {
    wasmtime: Wasmtime,
    figures: SuiteFigures,
}

fn name(instance: u32) -> String {
    format!("#{instance}")
}

impl Beside {
    fn compare(&mut self, call: Called<'_>) -> Result<()> {
        if matches!(call.trap, Some((Trap::CallStackExhausted | Trap::ExceptionsExhausted, _))) {
            self.figures.gas.left_out += 1;
            return Ok(());
        }
        let fuel = spent_fuel(&mut self.wasmtime, &name(call.instance), call.export, call.args)?.1;
        let spent =
            Spent { trap: call.trap, instructions: call.instructions, counted: call.by_unit, by_unit: BTreeMap::new() };
        spent.compare(fuel, 0, &mut self.figures.gas)
    }
}

impl Follower for Beside {
    fn instantiated(&mut self, module: &Module, instance: u32, trapped: bool) -> Result<()> {
        match self.wasmtime.instantiate(&name(instance), module.bytes()) {
            Ok(trap) => {
                ensure!(trapped == trap.is_some(), "instantiation: trapped {trapped}, wasmtime {trap:?}");
                self.figures.gas.modules += u64::from(!trapped);
            }
            Err(_) => self.figures.refused += 1,
        }
        Ok(())
    }

    fn registered(&mut self, as_name: &str, instance: u32) {
        self.wasmtime.rename(&name(instance), as_name);
    }

    fn called(&mut self, call: Called<'_>) -> Result<()> {
        if self.wasmtime.instance(&name(call.instance)).is_err() {
            self.figures.unknown += 1;
        } else if let Err(error) = self.compare(call) {
            self.figures.differences.push(format!("{}{:x?}: {error:#}", call.export, call.args));
        }
        Ok(())
    }
}
