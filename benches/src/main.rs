//! The node beside other WebAssembly runtimes: the same programs, one process, engines taking turns.

mod engines;
mod figures;
mod foreign;
mod interface;
mod measure;
mod program;
mod report;
mod table;
mod targets;
mod wrapper;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::engines::Files;
use crate::figures::{BASE, Results, Row};
use crate::measure::{Rounds, measure};
use crate::program::Program;
use crate::targets::Verdict;

/// Stack of the thread that measures: some peers recurse on it as deeply as the program does.
const STACK: usize = 512 << 20;

/// Our own engines: what they get wrong is a fault, what a peer gets wrong is a remark.
const OWN: [&str; 7] = ["node", "node-nogas", "node-nodirty", "node-v8", "native", "compiled", "compiled-v8"];

#[derive(Parser)]
#[command(about = "measures the node beside other WebAssembly runtimes")]
struct Cli {
    /// Folder with a bench.toml, or with WASI commands and modules that export setup and run [default: wasmfiles/bench]
    folder: Option<PathBuf>,
    /// Only these programs, by name
    #[arg(long, value_delimiter = ',')]
    programs: Vec<String>,
    /// Only these engines, by the names that the table gives
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Timed runs of each engine on each program
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Little work: shows that everything runs; the figures are rough
    #[arg(long)]
    quick: bool,
    /// Seconds that one engine may spend on one program before it sits out the remaining rounds
    #[arg(long, default_value_t = 10)]
    limit: u64,
    /// Write everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables for docs/evidence.md to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    #[command(flatten)]
    files: Files,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || run(&cli));
    match thread.map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")))) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: no thread: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/bench"));
    let folder = cli.folder.clone().unwrap_or_else(default);
    let own = folder.join(program::LIST).is_file();
    let programs = if own { program::listed(&folder, cli.quick)? } else { foreign::found(&folder)? };
    let programs = select(programs, &cli.programs)?;
    let (engines, absent) = engines::select(&cli.engines, &cli.files)?;
    let rounds = Rounds { count: cli.rounds, limit: Duration::from_secs(cli.limit) };

    println!("{}", table::heading(&engines));
    let mut results = Results { keys: engines.iter().map(|engine| engine.key).collect(), rows: Vec::new() };
    for program in &programs {
        let row = Row { program: program.name.clone(), times: measure(program, &engines, &rounds) };
        println!("{}", table::row(&results, &row));
        results.rows.push(row);
    }
    println!("\n{}", table::summary(&results, &engines, &absent));
    println!("{}", table::targets(&results));
    let figure = figure(&results);
    if let Some(path) = &cli.json {
        write(path, &serde_json::to_string_pretty(&report::json(&results, &engines, &absent, &figure))?)?;
    }
    if let Some(path) = &cli.markdown {
        write(path, &report::markdown(&results, &engines))?;
    }
    println!("{figure}");
    let own_failures: usize = OWN.iter().map(|key| results.failures(key)).sum();
    Ok(own_failures == 0 && targets::count(&results, Verdict::Missed) == 0)
}

/// The figure of the run: its last line.
fn figure(results: &Results) -> String {
    let ratio = |key| results.mean(key, BASE).map_or("-".to_owned(), |mean| format!("{:.2}", mean.mean));
    let count = |verdict| targets::count(results, verdict);
    let failures: usize = results.keys.iter().map(|key| results.failures(key)).sum();
    format!(
        "peers: {} programs, {} engines, {failures} failures: time over that of native wasmi 2: node in wasmtime {}, \
         native {}; promises: {} reached, {} met, {} missed, {} not measured",
        results.rows.len(),
        results.keys.len(),
        ratio("node"),
        ratio("native"),
        count(Verdict::Reached),
        count(Verdict::Met),
        count(Verdict::Missed),
        count(Verdict::NotMeasured),
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// The programs with these names, or all.
fn select(programs: Vec<Program>, names: &[String]) -> Result<Vec<Program>> {
    for name in names {
        ensure!(programs.iter().any(|program| program.name == *name), "no program {name}");
    }
    let wanted = |program: &Program| names.is_empty() || names.contains(&program.name);
    let programs: Vec<Program> = programs.into_iter().filter(wanted).collect();
    ensure!(!programs.is_empty(), "no programs");
    Ok(programs)
}
