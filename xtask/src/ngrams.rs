//! `cargo xtask ngrams`: which instructions of register code run after each other, in shares of all instructions that the
//! benchmark programs run, each program counting alike. What stands at the top is worth an instruction of its own; a
//! fused instruction that no program runs is worth none.
//!
//! The counts are the stepper's, by decoded instruction, and carried over to the register code that stands for it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use node_tests::benchmarks::{self, Benchmark};
use node_tests::programs;
use stepmark_core::code::Inst;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Machine, RegisterInst, TierKind};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Longest sequence
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    length: u8,
    /// Lines printed for each length
    #[arg(long, default_value_t = 40)]
    top: usize,
    /// Only programs whose name begins so
    #[arg(long, default_value = "")]
    program: String,
}

/// Executions of a sequence: instructions by name, and for each but the first whether it reads the result of the one
/// before it.
type Counts = BTreeMap<Vec<String>, f64>;

pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut counts = vec![Counts::new(); args.length.into()];
    let mut measured = 0;
    let mut per_source = Vec::new();
    for program in benchmarks::all()?.iter().filter(|p| p.file.starts_with(&args.program)) {
        let (executed, instructions) = count(program, &mut counts)?;
        per_source.push(executed / instructions);
        println!(
            "{:<28} {instructions:>12} instructions, {:.3} of register code each",
            program.file,
            executed / instructions
        );
        measured += 1;
    }
    for (length, counts) in (1..).zip(&counts) {
        let mut ranked: Vec<_> = counts.iter().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(a.1));
        println!("\nsequences of {length}, in percent of all instructions of register code");
        for (names, share) in ranked.into_iter().take(args.top) {
            println!("{:8.3}  {}", share * 100.0 / f64::from(measured), names.join("  "));
        }
    }
    let mean = per_source.iter().sum::<f64>() / f64::from(measured);
    println!("ngrams: {measured} programs, {mean:.3} instructions of register code for each of WebAssembly");
    Ok(true)
}

/// Adds a program's shares; returns how many instructions of register code and of WebAssembly it ran.
fn count(program: &Benchmark, counts: &mut [Counts]) -> Result<(f64, f64)> {
    let (mut machine, instance) = programs::machine(&program.program(), &Schedule::default(), TierKind::Stepper)?;
    let executed = executions(&mut machine, instance, program)?;
    let mut sequences = vec![Counts::new(); counts.len()];
    let mut total = 0.0;
    let funcs: std::collections::BTreeSet<u32> = executed.keys().map(|(func, _)| *func).collect();
    for func in funcs {
        let code = machine.register_code(func).unwrap_or_default();
        let weight = |inst: &RegisterInst| executed.get(&(func, inst.index)).copied().unwrap_or(0) as f64;
        for (at, inst) in code.iter().enumerate() {
            total += weight(inst);
            for (length, sequences) in (1..).zip(&mut sequences) {
                let Some(window) = code.get(at..at + length) else { break };
                let least = window.iter().map(weight).fold(f64::INFINITY, f64::min);
                if least == 0.0 || window[..length - 1].iter().any(|inst| !inst.inst.falls_through()) {
                    break;
                }
                *sequences.entry(describe(window)).or_default() += least;
            }
        }
    }
    for (counts, sequences) in counts.iter_mut().zip(sequences) {
        for (names, executions) in sequences {
            *counts.entry(names).or_default() += executions / total;
        }
    }
    Ok((total, executed.values().sum::<u64>() as f64))
}

/// How often each instruction runs.
fn executions(machine: &mut Machine, instance: u32, program: &Benchmark) -> Result<BTreeMap<(u32, u32), u64>> {
    let func = match machine.store.export(instance, "run") {
        Some(stepmark_core::machine::Extern::Func(func)) => func,
        _ => anyhow::bail!("{} exports no run", program.file),
    };
    machine.invoke(func, &[u64::from(program.quick.n as u32)]).ok().context("the first frame does not fit")?;
    let mut executed: std::collections::HashMap<(u32, u32), u64> = std::collections::HashMap::new();
    while let Some(position) = machine.position() {
        *executed.entry(position).or_default() += 1;
        if let Some(stop) = machine.step_once() {
            anyhow::bail!("{} stopped with {stop:?}", program.file);
        }
    }
    Ok(executed.into_iter().collect())
}

/// The names; between two of them how the second reads the result of the first: `|` not at all, `>` from a local, `>1`
/// as its first operand and then no more, `>2` the same as its second.
fn describe(window: &[RegisterInst]) -> Vec<String> {
    let mut names = vec![name(window[0].inst)];
    for pair in window.windows(2) {
        let result = pair[0].inst.result();
        let mut slots = Vec::new();
        pair[1].inst.for_each_slot(|slot| slots.push(slot));
        let sources = if pair[1].inst.result().is_some() { &slots[1..] } else { &slots[..] };
        let how = match sources.iter().position(|slot| Some(*slot) == result) {
            None => "| ".to_owned(),
            Some(operand) if pair[0].to_operand => format!(">{} ", operand + 1),
            Some(_) => "> ".to_owned(),
        };
        names.push(how + &name(pair[1].inst));
    }
    names
}

fn name(inst: Inst) -> String {
    let text = format!("{inst:?}");
    text.split_whitespace().next().unwrap_or_default().to_owned()
}
