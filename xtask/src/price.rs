//! `cargo xtask price`: is work always paid. Nanoseconds a unit of gas of every instruction and host call, in the plain
//! state and in the dear ones, over those of an `i32.add`; and whether snapshots, restores and their check take time in
//! proportion to the state.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use node_tests::price::growth::{self, Growth};
use node_tests::price::{self, Effort, Engine, Price, Row, SUBNORMAL, Scale};
use serde_json::json;

use crate::evidence;

/// The worst ratio that the schedule `default` allows, natively and in the module.
const MOST: f64 = 30.0;
/// The same of floats that are subnormal, in both: a processor that finishes them in microcode takes 45 ns for each, which the
/// schedule does not price (docs/gas.md).
const MOST_OF_SUBNORMALS: f64 = 200.0;
/// Time for a state twice as large over time for the state: 2, and what other things the machine does.
const MOST_GROWTH: f64 = 3.0;
/// Rows of each table.
const SHOWN: usize = 40;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Longer runs, all rows in the module and on the stepper too
    #[arg(long)]
    long: bool,
    /// So many of the rows that are the dearest natively are measured in the module too
    #[arg(long, default_value_t = 24)]
    in_module: usize,
    /// Only rows whose name or state holds this
    #[arg(long)]
    only: Option<String>,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Write the table of the dearest rows to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let begin = Instant::now();
    let prices = prices(args)?;
    let growths = growths(args)?;
    if let Some(path) = &args.json {
        let prices: Vec<_> = prices.iter().map(figures).collect();
        let growths: Vec<_> = growths.iter().map(growth_figures).collect();
        let text = format!("{:#}\n", json!({ "prices": prices, "states": growths }));
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    let is_subnormal = |price: &&Price| price.state == SUBNORMAL;
    let worst = |engine| {
        let others = prices.iter().filter(|price| !is_subnormal(price));
        others.clone().find(|price| price.engine == engine).map(line).unwrap_or_default()
    };
    let worst_of_subnormals = prices.iter().find(is_subnormal).map(line).unwrap_or_default();
    let rows = |engine| prices.iter().filter(|price| price.engine == engine).count();
    let steepest = growths.iter().max_by(|a, b| a.growth.total_cmp(&b.growth));
    let figure = format!(
        "price: in {:.0} s, {} rows natively and the dearest {} of them in the module; at most {MOST} times an `i32.add` \
         a unit of gas: {}; {}. {} states twice as large, at most {MOST_GROWTH} times the time: {}. \
         Of subnormal floats at most {MOST_OF_SUBNORMALS} times: {worst_of_subnormals}",
        begin.elapsed().as_secs_f64(),
        rows(Engine::Fast),
        rows(Engine::Module),
        worst(Engine::Fast),
        worst(Engine::Module),
        growths.len() / 2,
        steepest.map(growth_line).unwrap_or_default(),
    );
    println!("{figure}");
    if args.evidence {
        let table = table(&prices) + "\n" + &growth_table(&growths);
        evidence::record("Price", &evidence::command_line(), &table, &figure)?;
    }
    let right = prices.iter().all(|price| price.ratio <= most(&price.state));
    Ok(right && growths.iter().all(|growth| growth.growth <= MOST_GROWTH))
}

/// All prices, dearest first.
fn prices(args: &Args) -> Result<Vec<Price>> {
    let effort = if args.long {
        Effort { least: Duration::from_millis(8), runs: 5 }
    } else {
        Effort { least: Duration::from_micros(400), runs: 2 }
    };
    let is_wanted = |row: &Row| {
        args.only.as_ref().is_none_or(|only| row.name.contains(only.as_str()) || row.state.contains(only.as_str()))
    };
    let rows: Vec<Row> = price::rows().into_iter().filter(is_wanted).collect();
    let mut prices = measured(&rows, Engine::Fast, effort)?;
    if args.long {
        prices.extend(measured(&rows, Engine::Stepper, effort)?);
    }
    let dearest: Vec<Row> = if args.long {
        rows
    } else {
        prices.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
        let is_dear =
            |row: &Row| prices.iter().take(args.in_module).any(|p| p.name == row.name && p.state == row.state);
        rows.into_iter().filter(is_dear).collect()
    };
    prices.extend(measured(&dearest, Engine::Module, effort)?);
    prices.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    if args.only.is_some() {
        prices.iter().for_each(|price| println!("{}", line(price)));
    }
    Ok(prices)
}

/// Measures rows on two threads: times are those that a thread has had on a processor.
fn measured(rows: &[Row], engine: Engine, effort: Effort) -> Result<Vec<Price>> {
    let half = |first: usize| -> Result<Vec<Price>> {
        let mut scale = Scale::new(engine, effort);
        rows.iter().skip(first).step_by(2).map(|row| scale.measure(row, most(&row.state), 8)).collect()
    };
    let (even, odd) = std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        (half(0), odd.join().expect("BUG: measuring does not panic"))
    });
    let prices = [even?, odd?].concat();
    prices.iter().filter(|price| price.ratio > most(&price.state)).for_each(|price| println!("{}", line(price)));
    Ok(prices)
}

/// The worst ratio in a state.
fn most(state: &str) -> f64 {
    if state == SUBNORMAL { MOST_OF_SUBNORMALS } else { MOST }
}

fn growths(args: &Args) -> Result<Vec<Growth>> {
    let effort = Effort { least: Duration::ZERO, runs: if args.long { 5 } else { 1 } };
    let mut growths = Vec::new();
    for many in growth::states().iter().filter(|many| args.only.as_ref().is_none_or(|only| many.name.contains(only))) {
        let mut found = growth::measure(many, effort)?;
        for _ in 0..3 {
            if found.iter().all(|growth| growth.growth <= MOST_GROWTH) {
                break;
            }
            let again = growth::measure(many, Effort { runs: effort.runs + 2, ..effort })?;
            for (best, again) in found.iter_mut().zip(again) {
                if again.growth < best.growth {
                    *best = again;
                }
            }
        }
        let is_shown = |growth: &&Growth| args.only.is_some() || growth.growth > MOST_GROWTH;
        found.iter().filter(is_shown).for_each(|growth| println!("{}", growth_line(growth)));
        growths.extend(found);
    }
    Ok(growths)
}

fn line(price: &Price) -> String {
    let Price { name, state, engine, nanoseconds, ratio } = price;
    format!("{name}, {state}, {}: {nanoseconds:.1} ns a gas, {ratio:.1} times", engine.name())
}

fn growth_line(growth: &Growth) -> String {
    let Growth { name, done, count, bytes, nanoseconds, growth, .. } = growth;
    format!("{done} with {count} {name}: {bytes} bytes, {nanoseconds:.1} ns a byte, {growth:.1} times half of it")
}

fn figures(price: &Price) -> serde_json::Value {
    json!({
        "name": price.name, "state": price.state, "engine": price.engine.name(), "nanoseconds": price.nanoseconds,
        "ratio": price.ratio,
    })
}

fn growth_figures(growth: &Growth) -> serde_json::Value {
    json!({
        "name": growth.name, "done": growth.done, "count": growth.count, "snap": growth.snap, "bytes": growth.bytes,
        "bytes_each": growth.each, "nanoseconds": growth.nanoseconds, "growth": growth.growth,
    })
}

/// The dearest rows.
fn table(prices: &[Price]) -> String {
    let head = "| what | state | engine | ns a gas | times `i32.add` |\n| --- | --- | --- | ---: | ---: |\n".to_owned();
    let rows = prices.iter().take(SHOWN).map(|price| {
        let Price { name, state, engine, nanoseconds, ratio } = price;
        format!("| `{name}` | {state} | {} | {nanoseconds:.1} | {ratio:.1} |\n", engine.name())
    });
    head + &rows.collect::<String>()
}

fn growth_table(growths: &[Growth]) -> String {
    let head =
        "| state | bytes of `.snap` | each one adds | done | ns a byte of `.snap` and `.bin` | times half as many |\n\
                | --- | ---: | ---: | --- | ---: | ---: |\n"
            .to_owned();
    let rows = growths.iter().map(|growth| {
        let Growth { name, done, count, snap, each, nanoseconds, growth, .. } = growth;
        format!("| {count} {name} | {snap} | {each:.1} | {done} | {nanoseconds:.1} | {growth:.1} |\n")
    });
    head + &rows.collect::<String>()
}
