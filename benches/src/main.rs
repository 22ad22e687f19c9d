//! The node beside other WebAssembly runtimes: the same programs, one process, engines taking turns.

mod engines;
mod figures;
mod interface;
mod measure;
mod program;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::engines::Files;
use crate::figures::{Results, Row};
use crate::measure::{Rounds, measure};
use crate::program::Program;

/// Stack of the thread that measures: some peers recurse on it as deeply as the program does.
const STACK: usize = 512 << 20;

#[derive(Parser)]
#[command(about = "measures the node beside other WebAssembly runtimes")]
struct Cli {
    /// Folder of the programs [default: wasmfiles/bench]
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
    let programs = select(program::listed(&folder, cli.quick)?, &cli.programs)?;
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
    println!(
        "peers: {} programs, {} engines, {} failures",
        programs.len(),
        engines.len(),
        table::failures(&results.rows)
    );
    Ok(true)
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
