//! `cargo xtask portability`: the same jobs in every runtime that is here, and a table of what came out. The node's files
//! are the same in all of them, or the command fails; a runtime that is not here is named as skipped.

mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use node_tests::node_js;
use node_tests::runner::Ended;
use node_tests::runtimes::{self, Places, Runtime};
use node_tests::same_everywhere::{JOBS, Job, Place};
use serde_json::json;
use stepmark_runner::node::embedded_module::{self, NODE_WASM};
use table::{Ground, Reference, Row, Run};
use tempfile::TempDir;

/// Times that a start is measured; the shortest counts.
const STARTS: u32 = 5;
/// The job whose peak memory is measured.
const FIB: &str = "fib 20";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory that tests/runtimes/get.sh filled
    #[arg(long)]
    runtimes: Option<PathBuf>,
    /// Only jobs whose name contains this
    #[arg(long)]
    job: Option<String>,
    /// Only runtimes whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// All jobs in slow runtimes too
    #[arg(long)]
    all: bool,
    /// Write all results to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the table to this file
    #[arg(long)]
    markdown: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let (places, _kept) = places(args.runtimes.as_deref())?;
    let (mut rows, skipped) = rows(args, &places);
    let chosen = |job: &&Job| args.job.as_ref().is_none_or(|part| job.name.contains(part.as_str()));
    let jobs: Vec<&Job> = JOBS.iter().filter(chosen).collect();
    ensure!(!jobs.is_empty(), "no such job");

    let reference = natively(&jobs, &places.node)?;
    run_all(&mut rows, &jobs, &reference, &places.node, args.all);
    table::print(&rows, &reference);
    for (runtime, reason) in &skipped {
        println!("skipped: {runtime}: {reason}");
    }

    let (same, compared) = rows.iter().fold((0, 0), |(same, all), row| (same + row.same(), all + row.runs.len()));
    let figure = format!(
        "portability: {} jobs in {} runtimes: {same} of {compared} comparisons the same; {} runtimes skipped",
        jobs.len(),
        // The native library is one.
        rows.len() + 1,
        skipped.len()
    );
    if let Some(file) = &args.json {
        let native: BTreeMap<_, _> = reference.iter().map(|(job, (_, hash))| (job, hash.to_string())).collect();
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        let object = json!({
            "figure": figure, "node": embedded_module::node_hash(), "native": native, "runtimes": rows, "skipped": skipped
        });
        fs::write(file, serde_json::to_string_pretty(&object)?).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &args.markdown {
        fs::write(file, table::markdown(&rows, &reference)).with_context(|| file.display().to_string())?;
    }
    println!("{figure}");
    Ok(same == compared && same > 0)
}

/// Where things are. The node's file, with what is compiled from it, is kept beside the runtimes, or else for this run.
pub(crate) fn places(runtimes: Option<&Path>) -> Result<(Places, Option<TempDir>)> {
    let runtimes = match runtimes {
        Some(dir) => Some(dir.canonicalize().with_context(|| dir.display().to_string())?),
        None => None,
    };
    let (kept, temporary) = match &runtimes {
        Some(runtimes) => (runtimes.join(format!("node-{}", embedded_module::node_hash())), None),
        None => {
            let temporary = tempfile::tempdir()?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    fs::create_dir_all(&kept)?;
    let node = kept.join("guest-interp.wasm");
    fs::write(&node, NODE_WASM)?;
    Ok((Places { runtimes, host: std::env::current_exe()?, node }, temporary))
}

/// What is here and wanted, measured, and what is not here, with the reason.
fn rows(args: &Args, places: &Places) -> (Vec<Row>, BTreeMap<String, String>) {
    let wanted = |name: &str| args.only.as_ref().is_none_or(|part| name.contains(part.as_str()));
    let (mut rows, mut skipped) = (Vec::new(), BTreeMap::new());
    for (place, version) in [
        (Place::Wasmtime, Ok(Some(embedded_module::WASMTIME_VERSION.to_owned()))),
        (Place::NodeJsExports, node_js::version()),
    ] {
        let version = match version {
            Ok(Some(version)) => version,
            Ok(None) => {
                skipped.insert(place.name().to_owned(), format!("{}=1", node_js::LEAVE_OUT));
                continue;
            }
            Err(error) => {
                skipped.insert(place.name().to_owned(), format!("{error:#}"));
                continue;
            }
        };
        rows.push(Row::new(place.name(), version.trim_start_matches('v'), Ground::Place(place)));
    }
    let (here, absent) = runtimes::found(places);
    skipped.extend(absent.into_iter().map(|(name, reason)| (name.to_owned(), reason)));
    skipped.retain(|name, _| wanted(name));
    rows.retain(|row| wanted(row.name));
    rows.extend(here.into_iter().filter(|runtime| wanted(runtime.name)).map(measured));
    (rows, skipped)
}

/// The node's own verdict; start-up and peak memory, with nothing else running, and compiled code in its place. If that
/// does not work, it counts as a job that failed.
fn measured(runtime: Runtime) -> Row {
    let name = runtime.name;
    let measure = || -> Result<_> {
        runtime.prepare()?;
        let exit_codes = runtime.hands_on_exit_codes()?;
        let good = runtime.selftest(exit_codes)?;
        let start = runtime.start_up(STARTS)?;
        let fib = JOBS.iter().find(|job| job.name == FIB).context("no such job")?;
        let dir = fib.directory()?;
        Ok((exit_codes, good, start, runtime.peak(dir.path(), &fib.argv())?))
    };
    let measured = measure();
    let version = runtime.version.clone();
    match measured {
        Ok((exit_codes, good, start, peak)) => {
            let ground = Ground::Runtime { runtime, exit_codes };
            Row { selftest: Some(good), start: Some(start), peak, ..Row::new(name, &version, ground) }
        }
        Err(error) => {
            let mut row = Row::new(name, &version, Ground::Runtime { runtime, exit_codes: true });
            row.runs.insert("start", Run::Failed(format!("start of {name}: {error:#}")));
            row
        }
    }
}

/// What every other place must give.
fn natively(jobs: &[&Job], node: &Path) -> Result<Reference> {
    let each = jobs.iter().map(|job| {
        let ended = job.run(Place::Native, node)?;
        let hash = ended.portable_hash()?;
        Ok((job.name, (ended, hash)))
    });
    each.collect()
}

/// Runs every job in every row that could be measured, on all processors.
fn run_all(rows: &mut [Row], jobs: &[&Job], reference: &Reference, node: &Path, all: bool) {
    let work: Vec<(usize, &Job)> = rows
        .iter()
        .enumerate()
        .filter(|(_, it)| it.runs.is_empty())
        .flat_map(|(row, it)| {
            jobs.iter().filter(move |job| all || job.short || !it.is_slow()).map(move |job| (row, *job))
        })
        .collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let worker = || {
        while let Some((row, job)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = rows[*row].ground.run(job, node).and_then(|ended| compare(&ended, &reference[job.name].0));
            let run = result.unwrap_or_else(|error| Run::Failed(format!("{error:#}")));
            done.lock().expect("no worker panics").push((*row, job.name, run));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    for (row, job, run) in done.into_inner().expect("no worker panics") {
        rows[row].runs.insert(job, run);
    }
}

fn compare(ended: &Ended, native: &Ended) -> Result<Run> {
    Ok(Run::Ended {
        hash: ended.portable_hash()?,
        snapshots: ended.snapshots(),
        differences: native.differences(ended)?,
    })
}
