//! What the node costs beside running: start-up, size, memory, snapshots, pauses. Each figure beside its target, natively
//! (this program's build of the library) and of the node's wasm in wasmtime, as the host runner sets it up.
//! `cargo xtask overheads` builds and runs it.

mod changes;
mod figures;
mod growth;
mod node;
mod pauses;
mod process;
mod snapshots;
mod space;
mod startup;
mod verifying;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::figures::{Figure, Target};
use crate::node::Place;

#[derive(Parser)]
#[command(about = "measures what the node costs beside running")]
struct Cli {
    /// The host runner
    #[arg(long, value_name = "FILE")]
    runner: PathBuf,
    /// The wasm of benches/startup, built as the node is built
    #[arg(long, value_name = "FILE")]
    startup: PathBuf,
    /// Folder of the sample programs
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wasmfiles"))]
    programs: PathBuf,
    /// Measurements of each time, of which the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Startup,
    Process,
    Space,
    Growth,
    Snapshots,
    Pauses,
    Changes,
    Verify,
}

/// What every part needs.
struct Bench {
    places: [Place; 2],
    programs: PathBuf,
    startup: PathBuf,
    runner: PathBuf,
    rounds: u32,
}

impl Bench {
    fn program(&self, file: &str) -> Result<Vec<u8>> {
        read(&self.programs.join(file))
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    let bench = Bench {
        places: [Place::Native, Place::wasm().context("the node")?],
        // Some parts start the host runner in a directory of its own.
        programs: absolute(&cli.programs)?,
        startup: cli.startup.clone(),
        runner: absolute(&cli.runner)?,
        rounds: cli.rounds,
    };
    let mut figures = Vec::new();
    let mut show = |part: Part, measure: &dyn Fn(&Bench) -> Result<Vec<Figure>>| -> Result<()> {
        if !cli.only.is_empty() && !cli.only.contains(&part) {
            return Ok(());
        }
        let found = measure(&bench).with_context(|| format!("{part:?}"))?;
        found.iter().for_each(|figure| println!("{figure}"));
        figures.extend(found);
        Ok(())
    };
    show(Part::Startup, &startup::measure)?;
    show(Part::Process, &process::measure)?;
    show(Part::Space, &space::measure)?;
    show(Part::Growth, &growth::measure)?;
    show(Part::Snapshots, &snapshots::measure)?;
    show(Part::Pauses, &pauses::measure)?;
    show(Part::Changes, &changes::measure)?;
    show(Part::Verify, &verifying::measure)?;
    if let Some(file) = &cli.json {
        std::fs::write(file, serde_json::to_string_pretty(&figures)?).with_context(|| file.display().to_string())?;
    }
    let (met, judged) = verdict(&figures);
    println!("overheads: {met} of {judged} targets met");
    Ok(met == judged)
}

/// How many figures have met their targets, and how many have one.
fn verdict(figures: &[Figure]) -> (usize, usize) {
    let judged = figures.iter().filter(|figure| !matches!(figure.target, Target::None));
    (judged.clone().filter(|figure| figure.met).count(), judged.count())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| path.display().to_string())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}
