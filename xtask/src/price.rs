//! `cargo xtask price`: is work always paid. Nanoseconds a unit of gas of every instruction and host call, in the plain
//! state and in the dear ones, over those of an `i32.add`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use node_tests::price::{self, Effort, Engine, Price, Row, Scale};
use serde_json::json;

use crate::evidence;

/// The worst ratio that the schedule `default` allows.
const MOST: f64 = 30.0;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Longer runs, and the module in wasmtime too
    #[arg(long)]
    long: bool,
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
    let effort = if args.long {
        Effort { least: Duration::from_millis(8), runs: 5 }
    } else {
        Effort { least: Duration::from_micros(400), runs: 2 }
    };
    let is_wanted = |row: &Row| {
        args.only.as_ref().is_none_or(|only| row.name.contains(only.as_str()) || row.state.contains(only.as_str()))
    };
    let rows: Vec<Row> = price::rows().into_iter().filter(is_wanted).collect();
    let engines: &[Engine] =
        if args.long { &[Engine::Fast, Engine::Stepper, Engine::Module] } else { &[Engine::Fast, Engine::Stepper] };
    let mut prices = Vec::new();
    let mut scales: Vec<_> = engines.iter().map(|engine| Scale::new(*engine, effort)).collect();
    for row in &rows {
        for scale in &mut scales {
            let price = scale.measure(row, MOST, 4)?;
            if price.ratio > MOST || args.only.is_some() {
                println!("{}", line(&price));
            }
            prices.push(price);
        }
    }
    prices.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    if let Some(path) = &args.json {
        let table: Vec<_> = prices.iter().map(figures).collect();
        std::fs::write(path, format!("{:#}\n", json!(table))).with_context(|| path.display().to_string())?;
    }
    let worst = prices.first().context("no row is called so")?;
    let figure = format!(
        "price: {} rows ({} instructions and host calls without one) on {} engines in {:.0} s; the dearest is {}, {} on {}: {:.1} \
         times an `i32.add` a unit of gas, at most {MOST}",
        rows.len(),
        price::without_row().len(),
        engines.len(),
        begin.elapsed().as_secs_f64(),
        worst.name,
        worst.state,
        worst.engine.name(),
        worst.ratio
    );
    println!("{figure}");
    if args.evidence {
        evidence::record("price", &evidence::command_line(), &table(&prices), &figure)?;
    }
    Ok(worst.ratio <= MOST)
}

fn line(price: &Price) -> String {
    let Price { name, state, engine, nanoseconds, ratio } = price;
    format!("{name}, {state}, {}: {nanoseconds:.1} ns a gas, {ratio:.1} times", engine.name())
}

fn figures(price: &Price) -> serde_json::Value {
    json!({
        "name": price.name, "state": price.state, "engine": price.engine.name(), "nanoseconds": price.nanoseconds,
        "ratio": price.ratio,
    })
}

/// The 40 dearest rows.
fn table(prices: &[Price]) -> String {
    let head = "| what | state | engine | ns a gas | times `i32.add` |\n| --- | --- | --- | ---: | ---: |\n".to_owned();
    let rows = prices.iter().take(40).map(|price| {
        let Price { name, state, engine, nanoseconds, ratio } = price;
        format!("| `{name}` | {state} | {} | {nanoseconds:.1} | {ratio:.1} |\n", engine.name())
    });
    head + &rows.collect::<String>()
}
