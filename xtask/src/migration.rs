//! `cargo xtask migration`: running nodes move from wasmtime to Node.js, to Chromium and back, each job several times from
//! other moments, and leave the files of a run that never moved. A place that is not here is named as skipped.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use node_tests::migration::{Moved, Movers, Stage};
use node_tests::node_js;
use node_tests::runner::Ended;
use node_tests::same_everywhere::{JOBS, Job, Place};

/// Jobs that move: several languages, files, traps, vectors and exceptions.
const NAMES: [&str; 8] = [
    "matrix multiplication",
    "fib 27",
    "Rust",
    "Rust with files of its own",
    "Go with files",
    "iostream",
    "C++ exceptions",
    "call stack exhausted",
];
/// Ways, each from wasmtime.
const WAYS: [&[Stage]; 6] = [
    &[Stage::Wasmtime],
    &[Stage::NodeJs],
    &[Stage::NodeJs, Stage::Wasmtime],
    &[Stage::Chromium],
    &[Stage::Chromium, Stage::Wasmtime],
    &[Stage::NodeJs, Stage::Chromium, Stage::Wasmtime],
];
/// Moments of the first move, in percent of a run's gas; further moves are spread over what is left.
const MOMENTS: [u64; 3] = [5, 40, 75];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory that tests/runtimes/get.sh filled, for Chromium
    #[arg(long, value_name = "DIR")]
    runtimes: Option<PathBuf>,
    /// Only jobs whose name contains this
    #[arg(long)]
    job: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let movers = Movers::new(args.runtimes.as_deref())?;
    let skipped = skipped(args);
    let is_here = |stage: &Stage| !skipped.iter().any(|(absent, _)| absent == stage);
    let ways: Vec<_> = WAYS.into_iter().filter(|way| way.iter().all(is_here)).collect();
    let wanted = |job: &&Job| args.job.as_ref().is_none_or(|part| job.name.contains(part.as_str()));
    let jobs: Vec<&Job> = JOBS.iter().filter(|job| NAMES.contains(&job.name)).filter(wanted).collect();
    ensure!(!jobs.is_empty(), "no such job");

    println!("{:<28}{:<46}{:<30}{:<30}ms, place by place", "job", "way", "at gas", "frozen bytes");
    let (mut moves, mut failures) = (0, 0);
    for job in &jobs {
        let whole = job.run(Place::Native, std::path::Path::new(""))?;
        for (way, moment) in ways.iter().flat_map(|way| MOMENTS.map(|moment| (way, moment))) {
            match journey(&movers, job, &whole, way, moment) {
                Ok(count) => moves += count,
                Err(error) => {
                    failures += 1;
                    println!("{:<28}failed: {error:#}", job.name);
                }
            }
        }
    }
    for (stage, reason) in &skipped {
        println!("skipped: {}: {reason}", stage.name());
    }
    let places: Vec<_> =
        [Stage::Wasmtime, Stage::NodeJs, Stage::Chromium].into_iter().filter(is_here).map(Stage::name).collect();
    let verdict = if failures == 0 { "all files equal".to_owned() } else { format!("{failures} journeys failed") };
    println!("migration: {moves} moves of {} jobs through {}: {verdict}", jobs.len(), places.join(", "));
    Ok(failures == 0 && moves > 0)
}

/// What is not here, with the reason.
fn skipped(args: &Args) -> Vec<(Stage, String)> {
    let node_js = match node_js::version() {
        Ok(Some(_)) => None,
        Ok(None) => Some(format!("{}=1", node_js::LEAVE_OUT)),
        Err(error) => Some(format!("{error:#}")),
    };
    let chromium = match &args.runtimes {
        None => Some("no --runtimes DIR".to_owned()),
        Some(dir) if !dir.join("chromium").exists() => Some(format!("not in {}", dir.display())),
        // Node.js starts it.
        Some(_) => node_js.clone(),
    };
    let absent = [(Stage::NodeJs, node_js), (Stage::Chromium, chromium)];
    absent.into_iter().filter_map(|(stage, reason)| Some((stage, reason?))).collect()
}

/// Moves a job along `way`, at first after `moment` percent of its gas; how many moves that were.
fn journey(movers: &Movers, job: &Job, whole: &Ended, way: &[Stage], moment: u64) -> Result<usize> {
    let gas = whole.result()?["gas_used"].as_u64().context("a receipt without gas")?;
    let parts = u64::try_from(way.len())?;
    let stop = |number: u64| gas / 100 * moment + gas / 100 * (100 - moment) / parts * number;
    let stops: Vec<u64> = (0..parts).map(stop).collect();
    let Moved { ended, frozen_bytes, times } = movers.run(job, way, &stops)?;
    let differences = whole.differences(&ended)?;
    let names: Vec<_> = std::iter::once(&Stage::Wasmtime).chain(way).map(|stage| stage.name()).collect();
    ensure!(differences.is_empty(), "{} at {stops:?}: other contents: {differences:?}", names.join(" -> "));
    let listed = |numbers: Vec<String>| numbers.join(" ");
    let stops = listed(stops.iter().map(u64::to_string).collect());
    let bytes = listed(frozen_bytes.iter().map(u64::to_string).collect());
    let times = listed(times.iter().map(|time| time.as_millis().to_string()).collect());
    println!("{:<28}{:<46}{stops:<30}{bytes:<30}{times}", job.name, names.join(" -> "));
    Ok(way.len())
}
