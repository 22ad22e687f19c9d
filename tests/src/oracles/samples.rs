//! The sample programs and the benchmark programs under the oracle of gas: those that need no WASI.

use std::collections::BTreeMap;
use stepmark_core::machine::TierKind;

use anyhow::{Context, Result, ensure};
use stepmark_state::trap::Trap;

use super::gas::{Figures, GasOracle, Spent, spent_fuel};
use crate::benchmarks;
use crate::differential::{ALONE, End, Engine};
use crate::programs::{self, Case, Program};

/// The module whose functions sample programs import and, here, never call.
const WASI: &str = "wasi_snapshot_preview1";

/// Compares every case of a sample program that is no command.
///
/// # Errors
/// The first difference.
pub fn compare_samples(oracle: &GasOracle) -> Result<Figures> {
    let mut figures = Figures::default();
    for program in programs::expected()?.program.iter().filter(|program| program.kind != "command") {
        for case in &program.case {
            compare_case(oracle, program, case, &mut figures)?;
        }
    }
    Ok(figures)
}

/// Compares the benchmark programs at their smaller size.
///
/// # Errors
/// The first difference.
pub fn compare_benchmarks(oracle: &GasOracle) -> Result<Figures> {
    let mut figures = Figures::default();
    for benchmark in benchmarks::all()?.iter().chain(&benchmarks::extensions()?) {
        let program = benchmark.program();
        compare_case(oracle, &program, &program.case[0], &mut figures)?;
    }
    Ok(figures)
}

fn compare_case(oracle: &GasOracle, program: &Program, case: &Case, figures: &mut Figures) -> Result<()> {
    let (mut ours, instance) = programs::machine(program, &oracle.prices().counted, TierKind::Stepper)?;
    let mut theirs = oracle.wasmtime()?;
    theirs.silent(WASI);
    for (name, file) in &program.link {
        theirs.instantiate(name, &programs::bytes(file)?)?;
    }
    ensure!(theirs.instantiate(ALONE, &programs::bytes(&program.file)?)?.is_none(), "{} traps", program.file);
    if program.kind == "reactor" {
        theirs.call(ALONE, "_initialize", &[])?;
    }
    figures.modules += 1;
    for call in &case.calls {
        let named = || format!("{} {}: {}{:?}", program.file, case.name, call.export, call.args);
        let args: Vec<u64> = call.args.iter().map(|arg| arg.parse()).collect::<Result<_, _>>()?;
        let before = (ours.gas_total(), ours.gas_stepped());
        let ended = programs::call(&mut ours, instance, &call.export, &args)?;
        let (total, instructions) = (ours.gas_total() - before.0, ours.gas_stepped() - before.1);
        let (end, fuel) = spent_fuel(&mut theirs, ALONE, &call.export, &args).with_context(named)?;
        let trap = match end {
            End::Trapped(trap) => Some((trap, ours.next_mnemonic())),
            End::Returned(_) => None,
        };
        if matches!(trap, Some((Trap::CallStackExhausted, _))) {
            // How deep calls may go is each engine's own.
            figures.left_out += 1;
            continue;
        }
        ensure!(trap.is_some() == ended.is_err(), "{}: {ended:?}, wasmtime {trap:?}", named());
        let counted = total - instructions;
        let spent = Spent { trap, instructions, counted, by_unit: BTreeMap::new() };
        spent.compare(fuel, 0, figures).with_context(named)?;
    }
    Ok(())
}
