//! `cargo xtask crash`: the node is stopped, killed, cut off from power and refused by the system at every moment of a save.
//! Afterwards the old or the new snapshot must load, and every message must be the expected one.

use std::path::PathBuf;

use anyhow::{Context, Result};
use node_tests::crash::node::CommandFace;
use node_tests::crash::report::Figures;
use node_tests::crash::{host_faults, kill, node_faults, power, process};
use node_tests::runner;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Stop the node between the instructions of a save; without any of these four, all of them
    #[arg(long)]
    kill_points: bool,
    /// Kill processes of the host runner, and let several race for a directory
    #[arg(long)]
    sigkill: bool,
    /// Make the images that a disk can hold after power is lost
    #[arg(long)]
    power_loss: bool,
    /// Refuse every operation, and plant things in place of every file
    #[arg(long)]
    faults: bool,
    /// Instructions from one kill point to the next; 1 for all
    #[arg(long, default_value_t = 250)]
    stride: u64,
    /// Processes to kill
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// Races of eight processes for a directory
    #[arg(long, default_value_t = 3)]
    races: usize,
    /// Random images beside those of all prefixes
    #[arg(long, default_value_t = 2_000)]
    images: usize,
    /// Seed of the moments and of the random images
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

type RunPart = fn(&Args) -> Result<Part>;

/// A part's figure, the same for programs, and what went wrong.
struct Part {
    figure: String,
    json: (&'static str, Value),
    wrong: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let parts: [(bool, RunPart); 4] = [
        (args.kill_points, kill_points),
        (args.sigkill, sigkill),
        (args.power_loss, power_loss),
        (args.faults, faults),
    ];
    let all = parts.iter().all(|(wanted, _)| !wanted);
    let wanted = parts.iter().filter(|(wanted, _)| all || *wanted);
    let parts = wanted.map(|(_, part)| part(args)).collect::<Result<Vec<Part>>>()?;
    let wrong: Vec<&String> = parts.iter().flat_map(|part| &part.wrong).collect();
    if let Some(path) = &args.json {
        let mut figures: serde_json::Map<String, Value> =
            parts.iter().map(|part| (part.json.0.to_owned(), part.json.1.clone())).collect();
        figures.insert("wrong".to_owned(), json!(wrong));
        std::fs::write(path, format!("{:#}\n", Value::Object(figures))).with_context(|| path.display().to_string())?;
    }
    wrong.iter().take(20).for_each(|line| println!("{line}"));
    let figures: Vec<&str> = parts.iter().map(|part| part.figure.as_str()).collect();
    println!("crash: {}: {} lost", figures.join(", "), wrong.len());
    Ok(wrong.is_empty())
}

fn kill_points(args: &Args) -> Result<Part> {
    let kill::Figures { points, of, calls, directories, lost } = kill::run(args.stride)?;
    let figure = format!(
        "{points} kill points of {of} (stride {}) and all {calls} before a call, {directories} different directories",
        args.stride
    );
    let json = json!({ "points": points, "of": of, "stride": args.stride, "calls": calls, "directories": directories });
    Ok(Part { figure, json: ("kill_points", json), wrong: lost })
}

fn sigkill(args: &Args) -> Result<Part> {
    let runner = runner::host_runner()?;
    let process::Figures { killed, resumed, races, refused, lost } =
        process::run(&runner, args.kills, args.races, args.seed)?;
    let figure =
        format!("{killed} processes killed ({resumed} resumed), {races} races of 8 writers ({refused} refused)");
    let json = json!({ "killed": killed, "resumed": resumed, "races": races, "refused": refused });
    Ok(Part { figure, json: ("sigkill", json), wrong: lost })
}

fn power_loss(args: &Args) -> Result<Part> {
    let power::Figures { images, lost } = power::run(args.images, args.seed)?;
    let figure = format!("{images} different power-loss images");
    Ok(Part { figure, json: ("power_loss", json!({ "images": images })), wrong: lost })
}

fn faults(_: &Args) -> Result<Part> {
    let (node, mut figures) = (CommandFace::new()?, Figures::default());
    host_faults::run(&mut figures)?;
    node_faults::run(&node, &mut figures)?;
    #[cfg(unix)]
    node_tests::crash::planted::run(&node, &mut figures)?;
    let figure = format!("{} fault kinds at {} places", figures.kinds.len(), figures.places());
    Ok(Part { figure, json: ("faults", json!(figures.kinds)), wrong: figures.wrong })
}
