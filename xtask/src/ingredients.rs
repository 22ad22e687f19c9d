//! `cargo xtask ingredients`: how long the benchmark programs take in compiled code over plain WebAssembly in the same engine, with
//! everything that compiled code promises, and with each part of that left out in turn.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use compiled_tests::host::engine;
use compiled_tests::speed::{Measured, measure};
use compiled_tests::subjects::{Benchmark, benchmarks};
use serde_json::json;
use stepmark_compile::Ingredient;

use crate::evidence;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only programs whose name contains this
    #[arg(long)]
    program: Option<String>,
    /// Measure each so often, and take the shortest
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only the whole, with nothing left out
    #[arg(long)]
    whole: bool,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the table to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

/// What compiled code may take over plain WebAssembly, as a geometric mean over all programs.
const MOST: f64 = 1.6;

/// What was measured of a program, as ratios to plain WebAssembly by what is left out.
struct Row {
    name: String,
    ratios: Vec<f64>,
    measured: Measured,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    ensure!(args.rounds > 0, "--rounds must be 1 at least");
    let engine = engine(true)?;
    let without = if args.whole { vec![Vec::new()] } else { variants() };
    let is_wanted = |program: &Benchmark| args.program.as_ref().is_none_or(|name| program.name.contains(name));
    let mut rows = Vec::new();
    for program in benchmarks()?.into_iter().filter(is_wanted) {
        let measured = measure(&engine, &program, &without, args.rounds).with_context(|| program.name.clone())?;
        let ratio = |time: &std::time::Duration| time.as_secs_f64() / measured.plain.as_secs_f64();
        let row = Row { name: program.name, ratios: measured.compiled.iter().map(ratio).collect(), measured };
        println!("{}", line(&row));
        rows.push(row);
    }
    ensure!(!rows.is_empty(), "no program is called so");
    let mean = |of: &dyn Fn(&Row) -> f64| {
        let sum: f64 = rows.iter().map(|row| of(row).ln()).sum();
        (sum / rows.len() as f64).exp()
    };
    let means: Vec<f64> = (0..without.len()).map(|number| mean(&|row| row.ratios[number])).collect();
    let table = table(&without, &rows, &means);
    println!("{table}");
    if let Some(path) = &args.json {
        let rows: Vec<_> = rows.iter().map(|row| json!({ "program": row.name, "ratios": row.ratios })).collect();
        let figures = json!({ "variants": without.iter().map(|it| name(it)).collect::<Vec<_>>(), "programs": rows });
        std::fs::write(path, format!("{figures:#}\n")).with_context(|| path.display().to_string())?;
    }
    let worst = rows.iter().max_by(|a, b| a.ratios[0].total_cmp(&b.ratios[0])).context("there are rows")?;
    let figure = format!(
        "ingredients: {} programs, {} rounds: compiled code takes {:.2} times plain WebAssembly (at most {MOST}), without {}; worst \
         {} {:.2}; {:.1} times its code",
        rows.len(),
        args.rounds,
        means[0],
        (1..without.len()).map(|n| format!("{} {:.2}", name(&without[n]), means[n])).collect::<Vec<_>>().join(", "),
        worst.name,
        worst.ratios[0],
        mean(&|row| row.measured.size),
    );
    println!("{figure}");
    if args.evidence {
        evidence::record("What compiled code costs", &evidence::command_line(), &table, &figure)?;
    }
    Ok(means[0] <= MOST)
}

/// What is left out: nothing, each thing, everything.
fn variants() -> Vec<Vec<Ingredient>> {
    let each = Ingredient::ALL.map(|ingredient| vec![ingredient]);
    [Vec::new()].into_iter().chain(each).chain([Ingredient::ALL.to_vec()]).collect()
}

fn name(without: &[Ingredient]) -> String {
    match without {
        [] => "nothing".to_owned(),
        [one] => format!("{one:?}").to_lowercase(),
        _ => "all of it".to_owned(),
    }
}

fn line(row: &Row) -> String {
    let Measured { plain, gas, gas_compiled, size, .. } = &row.measured;
    let share = 100.0 * *gas_compiled as f64 / *gas as f64;
    let ratios: Vec<String> = row.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    format!(
        "{:<22} plain {plain:>8.1?}, over it {}; {share:.2} % of {gas} gas, code {size:.1} x",
        row.name,
        ratios.join(" ")
    )
}

fn table(without: &[Vec<Ingredient>], rows: &[Row], means: &[f64]) -> String {
    let heads: Vec<String> = without.iter().map(|it| if it.is_empty() { "whole".into() } else { name(it) }).collect();
    let head = format!("| program | {} |\n| --- |{}\n", heads.join(" | "), " ---: |".repeat(heads.len()));
    let row = |name: &str, ratios: &[f64]| {
        let ratios: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        format!("| {name} | {} |\n", ratios.join(" | "))
    };
    let rows: String = rows.iter().map(|of| row(&of.name, &of.ratios)).collect();
    head + &rows + &row("geometric mean", means)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_nothing_first_then_each_thing_then_everything() {
        let names: Vec<String> = variants().iter().map(|without| name(without)).collect();
        assert_eq!(names, ["nothing", "gas", "bounds", "marks", "nans", "dangers", "frames", "rounds", "all of it"]);
    }
}
