//! `bisect`: where two accounts of one run part; `executor`, one of the parties; `check-bundle`, the dispute once more.

use std::path::{Path, PathBuf};

use serde_json::json;

use stepmark_session::spec::SnapshotName;

use crate::cli::print;
use crate::cli::reply::Reply;
use crate::cli::words::{program_and_place, program_and_places};
use crate::flags::{BoundFlags, EngineFlags, FileFlags};
use crate::units;
use stepmark_runner::bisect::{self, ExecutorProcess, SegmentQuestion, Side};
use stepmark_runner::bounds::Bounds;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::chain::{ChainFiles, snapshots_in_words};
use stepmark_runner::failure::{Failure, MISMATCH, Result};
use stepmark_runner::job::rerun::{JobFiles, Rerun};
use stepmark_runner::named_output::{OutputKind, check_output_if_named};

/// Arguments of `bisect`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BisectArgs {
    /// The program, where it is not found by its hash; then two chains of one job, or with --left and --right DIR@K, the
    /// snapshot that the segment starts from
    #[arg(value_name = "[PROGRAM] DIR_A DIR_B|[PROGRAM] DIR@K", required = true, num_args = 1..=3)]
    words: Vec<String>,
    /// The program, as another way to name it
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    /// Command of an executor (docs/bisect.md)
    #[arg(long, value_name = "CMD", requires = "right")]
    left: Option<String>,
    /// Command of the other one
    #[arg(long, value_name = "CMD", requires = "left")]
    right: Option<String>,
    /// Gas after the snapshot up to which the executors are compared [default: the segment's limit]
    #[arg(long, value_name = "N", requires = "left", value_parser = units::number)]
    gas: Option<u64>,
    /// Write everything that is needed to decide it again into one file
    #[arg(short = 'o', long, value_name = "FILE.tar")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    files: FileFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: &BisectArgs) -> Result<Reply> {
    // Before anything takes long.
    check_output_if_named(args.bundle.as_deref(), OutputKind::Archive)?;
    let program = args.program.as_deref();
    if let (Some(left), Some(right)) = (&args.left, &args.right) {
        let (program, place) = program_and_place(&args.words, program)?;
        return executors(args, program, place, [left, right]);
    }
    let (program, places) = program_and_places(&args.words, 2, program)?;
    chains(args, program, Path::new(places[0]), Path::new(places[1]))
}

/// A chain, its job and the files of it.
fn open(args: &BisectArgs, program: Option<&str>, dir: &Path) -> Result<(ChainFiles, Rerun, JobFiles)> {
    let chain = ChainFiles::open(dir)?;
    let job = chain.job.clone().ok_or_else(|| chain.without_a_job())?;
    let files = JobFiles::find(&job, program, &args.files.given()?, dir)?;
    let rerun = Rerun::new(job, &files, dir);
    Ok((chain, rerun, files))
}

fn chains(args: &BisectArgs, program: Option<&str>, first: &Path, second: &Path) -> Result<Reply> {
    let (a, rerun_a, files) = open(args, program, first)?;
    let (b, rerun_b, _) = open(args, program, second)?;
    let Some(parting) = bisect::part(&a, &b, [&rerun_a, &rerun_b], args.engine.engine(), &Bounds::default())? else {
        return same_snapshots(args, [first, second], a, b);
    };
    if let Some(path) = &args.bundle {
        bisect::write_chains(path, [&a, &b], &files, &parting)?;
    }
    let (id, before) = (parting.id, parting.id.saturating_sub(1));
    if args.json {
        let object = json!({
            "parted": true, "snapshot": id, "right": parting.right, "questions": parting.questions,
            "snap_hash": stepmark_state::encoding::hex(&parting.snap_hash), "a": parting.a, "b": parting.b,
        });
        return Ok(Reply::object(MISMATCH, object));
    }
    print(&format!("the chains part at snapshot {id} ({} hashes compared); {before} is the same", parting.questions))?;
    let right = match parting.right {
        Some(Side::A) => format!("{} is right", first.display()),
        Some(Side::B) => format!("{} is right", second.display()),
        None => "neither is right".to_owned(),
    };
    print(&format!("executing segment {before} -> {id} again: {right}"))?;
    for (dir, claims) in [(first, &parting.a), (second, &parting.b)] {
        for difference in claims {
            print(&format!("{} (right | claimed): {difference}", dir.display()))?;
        }
    }
    Ok(MISMATCH.into())
}

/// The snapshots of one chain that another lacks, as far as both go.
fn lacking(of: &ChainFiles, other: &ChainFiles) -> Vec<u64> {
    let last = of.last().min(other.last());
    other.links.keys().filter(|id| **id <= last && !of.links.contains_key(*id)).copied().collect()
}

/// How many snapshots two chains have in common, in words.
fn of_both(a: &ChainFiles, b: &ChainFiles) -> String {
    let count = a.links.keys().filter(|id| b.links.contains_key(*id)).count();
    format!("{count} snapshot{}", if count == 1 { "" } else { "s" })
}

/// Says whether two chains without a snapshot that differs claim the same otherwise.
fn same_snapshots(args: &BisectArgs, dirs: [&Path; 2], mut a: ChainFiles, mut b: ChainFiles) -> Result<Reply> {
    [&mut a, &mut b].into_iter().try_for_each(|chain| chain.check_bins(&mut |_| Ok(())))?;
    let differences = bisect::beside(&a, &b)?;
    let shared = a.last().min(b.last());
    let lacking = [(dirs[0], lacking(&a, &b)), (dirs[1], lacking(&b, &a))];
    let code = if differences.is_empty() { 0 } else { MISMATCH };
    if args.json {
        let [of_a, of_b] = lacking.map(|(_, ids)| ids);
        let object = json!({
            "parted": false, "shared": shared, "differences": differences, "lacking": { "a": of_a, "b": of_b },
            "base_compared": !bisect::differ_in_base(&a, &b),
        });
        return Ok(Reply::object(code, object));
    }
    for (dir, ids) in lacking.iter().filter(|(_, ids)| !ids.is_empty()) {
        print(&format!("{} has no {}, which the other one has: not compared", dir.display(), snapshots_in_words(ids)))?;
    }
    if bisect::differ_in_base(&a, &b) {
        print(
            "base.bin is not compared: it does not stand for the same snapshots in both; verify says whether each is right",
        )?;
    }
    if differences.is_empty() {
        print(&format!(
            "the chains are the same: {}, and everything else that they claim; nothing was executed",
            of_both(&a, &b)
        ))?;
        return Ok(code.into());
    }
    print(&format!(
        "the chains are the same up to snapshot {shared}, but claim different things beside; nothing was executed"
    ))?;
    let [first, second] = dirs.map(Path::display);
    differences.iter().try_for_each(|difference| print(&format!("({first} | {second}) {difference}")))?;
    print("verify each of them to see which one is right")?;
    if let Some(path) = &args.bundle {
        print(&format!("{} was not written: no segment decides between them", path.display()))?;
    }
    Ok(code.into())
}

fn executors(args: &BisectArgs, program: Option<&str>, place: &str, [left, right]: [&str; 2]) -> Result<Reply> {
    let place = SnapshotRef::parse(place)?;
    let SnapshotName::Number(id) = place.id else {
        return Err(Failure::usage(format!("{}: expected DIR@K, a snapshot of the chain", place.dir.display())));
    };
    let (chain, rerun, files) = open(args, program, &place.dir)?;
    let next = chain.links.get(&id.saturating_add(1)).or_else(|| chain.links.get(&id));
    let gas = args.gas.or(next.map(|link| link.segment.limit)).unwrap_or(u64::MAX);
    let mut left = ExecutorProcess::start("left", left)?;
    let mut right = ExecutorProcess::start("right", right)?;
    let question = SegmentQuestion { rerun: &rerun, place: &place, gas, engine: args.engine.engine() };
    let Some(found) = bisect::diverge(&question, &mut left, &mut right)? else {
        if args.json {
            return Ok(Reply::object(0, json!({ "parted": false, "gas": gas })));
        }
        print(&format!("both sides agree up to {gas} gas after snapshot {id}"))?;
        return Ok(0.into());
    };
    if let Some(path) = &args.bundle {
        bisect::write_executors(path, &chain, id, &files, &found)?;
    }
    if args.json {
        return Ok(Reply::object(MISMATCH, json!({ "parted": true, "snapshot": id, "divergence": found })));
    }
    print(&format!(
        "the sides part after {} gas, {} questions each, in {}",
        found.parted.gas, found.questions, found.place
    ))?;
    print(&format!("operands: [{}]", found.operands.join(", ")))?;
    for (name, hash, differences) in
        [("left", &found.left_hash, &found.left), ("right", &found.right_hash, &found.right)]
    {
        let verdict = if *hash == found.own_hash { "as this module has it" } else { "otherwise than this module" };
        print(&format!("{name}: {verdict}, state {hash}"))?;
        differences.iter().try_for_each(|difference| print(&format!("  (this module | {name}) {difference}")))?;
    }
    Ok(MISMATCH.into())
}

/// Arguments of `executor`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExecutorArgs {
    /// The snapshot that the segment starts from; and the program, where it is not found by its name and hash in DIR, beside
    /// DIR or in the working directory
    #[arg(value_name = "DIR@K [PROGRAM]", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// The program, as another way to name it
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    files: FileFlags,
}

pub(super) fn serve(args: &ExecutorArgs) -> Result<Reply> {
    let (program, place) = program_and_place(&args.words, args.program.as_deref())?;
    let place = SnapshotRef::parse(place)?;
    let job = place.read()?.job;
    let files = JobFiles::find(&job, program, &args.files.given()?, &place.dir)?;
    let rerun = Rerun::new(job, &files, &place.dir);
    bisect::serve(&mut |position| bisect::reach(&rerun, place.id, args.engine.engine(), position))?;
    Ok(0.into())
}

/// Arguments of `check-bundle`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CheckBundleArgs {
    /// The bundle
    #[arg(value_name = "FILE.tar")]
    bundle: PathBuf,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    bounds: BoundFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn check_bundle(args: &CheckBundleArgs) -> Result<Reply> {
    let found = bisect::recheck(&args.bundle, args.engine.engine(), &args.bounds.bounds())?;
    let code = if found.confirmed { 0 } else { MISMATCH };
    if args.json {
        let object = json!({ "dispute": found.dispute, "right": found.right, "confirmed": found.confirmed });
        return Ok(Reply::object(code, object));
    }
    let verdict = if found.confirmed { "as the bundle says" } else { "the bundle says OTHERWISE" };
    print(&format!("right: {}, {verdict}", found.right))?;
    Ok(code.into())
}
