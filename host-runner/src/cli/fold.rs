//! `merge`, `prune`, `export` and `import`: a chain made smaller, and carried elsewhere.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::print;
use crate::cli::reply::Reply;
use crate::cli::words::program_and_place;
use crate::flags::FileFlags;
use crate::interrupt::on_ctrl_c;
use stepmark_runner::archive;
use stepmark_runner::chain::durable::OutputDir;
use stepmark_runner::chain::{ChainFiles, snapshots_in_words};
use stepmark_runner::compact::{self, Keep, Pruning};
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_runner::named_output::{OutputKind, check_output};

/// A chain and the files of its job.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ChainArgs {
    /// Directory of the chain; the program may be named beside it
    #[arg(value_name = "DIR [PROGRAM]", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// The program's file [default: looked for by name and hash in DIR, beside DIR, in the working directory and where the run had it]
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    #[command(flatten)]
    files: FileFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ChainArgs {
    /// The chain, its job and the files of it. A chain with faults is left alone.
    fn open(&self) -> Result<(ChainFiles, Rerun, JobFiles)> {
        let (program, dir) = program_and_place(&self.words, self.program.as_deref())?;
        open(Path::new(dir), program, &self.files.given()?)
    }

    fn say(&self, object: Value, text: &str) -> Result<Reply> {
        if self.json { Ok(Reply::object(0, object)) } else { print(text).map(|()| 0.into()) }
    }
}

/// A chain, its job and the files of it. A chain with faults is left alone.
fn open(dir: &Path, program: Option<&str>, given: &GivenFiles) -> Result<(ChainFiles, Rerun, JobFiles)> {
    let mut chain = ChainFiles::open(dir)?;
    chain.check_bins(&mut |_| Ok(()))?;
    let Some(job) = chain.job.clone() else { return Err(chain.without_a_job()) };
    chain.check_restorable()?;
    let faults: Vec<&String> = chain.faults_from_its_beginning().chain(&chain.aside_faults).collect();
    if !faults.is_empty() {
        let what = format!("{}: is no chain that hangs together", dir.display());
        return Err(faults.into_iter().fold(Failure::data(what), Failure::caused_by));
    }
    let files = JobFiles::find(&job, program, given, dir)?;
    let rerun = Rerun::new(job, &files, dir);
    Ok((chain, rerun, files))
}

/// Arguments of `merge`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MergeArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// The last snapshot to be folded into the base; those before it cannot be restored then [default: none is folded]
    #[arg(long, value_name = "K")]
    to: Option<u64>,
    /// Say what would be folded, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn merge(args: &MergeArgs) -> Result<Reply> {
    let (chain, rerun, _) = args.chain.open()?;
    let first = chain.base.map_or(1, |(base, _)| base).max(chain.beginning.first());
    if chain.links.is_empty() {
        return args.chain.say(nothing_folded(args.dry_run), "nothing was folded: the chain has no snapshot");
    }
    let range = format!("{first} to {}", chain.last());
    let Some(to) = args.to else {
        let text = format!("nothing was folded: say up to which snapshot with --to K ({range})");
        return args.chain.say(nothing_folded(args.dry_run), &text);
    };
    if !(first..=chain.last()).contains(&to) {
        return Err(Failure::usage(format!("--to {to}: expected {range}")));
    }
    if args.dry_run {
        let bins = chain.links.range(1..=to).map(|(_, link)| link.bin_bytes).filter(|bytes| *bytes > 0);
        let (files, before) = bins.fold((0_u64, 0_u64), |(files, sum), bytes| (files + 1, sum.saturating_add(bytes)));
        let object = json!({ "to": to, "files": files, "bytes_before": before, "bytes_after": null, "dry_run": true });
        let text = format!(
            "would fold {files} .bin files of {before} bytes into base.bin: what is before {to} could not be restored"
        );
        return args.chain.say(object, &text);
    }
    let out = OutputDir::open(&chain.dir)?;
    let merged = compact::merge(&chain, &rerun, &out, to)?;
    let compact::Merged { before, after, files } = merged;
    let object = json!({ "to": to, "files": files, "bytes_before": before, "bytes_after": after, "dry_run": false });
    args.chain.say(object, &format!("{files} .bin files of {before} bytes became base.bin of {after} bytes"))
}

fn nothing_folded(dry_run: bool) -> Value {
    json!({ "to": null, "files": 0, "bytes_before": 0, "bytes_after": 0, "dry_run": dry_run })
}

/// How a chain is verified that begins later than its run, as words to add; none of any other.
fn begins_later(first: u64) -> String {
    if first > 1 { format!("; it begins with snapshot {first}: verify --from {first}") } else { String::new() }
}

/// Arguments of `prune`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PruneArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// Keep this many snapshots at the end, all of which can be restored [default: all; 1 with --keep-every]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep_last: Option<u64>,
    /// Of those before keep every M-th .snap: a record of its hashes, which cannot be restored
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..))]
    keep_every: Option<u64>,
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn prune(args: &PruneArgs) -> Result<Reply> {
    let (chain, rerun, _) = args.chain.open()?;
    let last = args.keep_last.unwrap_or(if args.keep_every.is_some() { 1 } else { u64::MAX });
    let pruning = Pruning::plan(&chain, Keep { last, every: args.keep_every });
    if !args.dry_run {
        pruning.execute(&chain, &rerun, &OutputDir::open(&chain.dir)?)?;
    }
    let kept = chain.links.len().saturating_sub(pruning.gone.len());
    let begins = if pruning.gone.is_empty() { chain.beginning.first() } else { pruning.first };
    // Of those before, a `.snap` alone is a record.
    let restored = chain.links.range(begins..).count();
    let records = if restored < kept { format!(", {restored} of which can be restored") } else { String::new() };
    let text = match (args.dry_run, args.keep_last.or(args.keep_every)) {
        (_, None) => {
            format!("nothing went, all {kept} snapshots are kept: say which to keep with --keep-last or --keep-every")
        }
        (true, _) => format!("{} would go, {kept} would be kept{records}", snapshots_in_words(&pruning.gone)),
        (false, _) => {
            format!("{} went, {kept} are kept{records}{}", snapshots_in_words(&pruning.gone), begins_later(begins))
        }
    };
    args.chain.say(json!({ "removed": pruning.gone, "kept": kept, "dry_run": args.dry_run }), &text)
}

/// Arguments of `export`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// The archive to write: chain, program and all other files of the job
    #[arg(short, long, value_name = "FILE.tar")]
    output: PathBuf,
}

pub(super) fn export(args: &ExportArgs) -> Result<Reply> {
    let (chain, rerun, files) = args.chain.open()?;
    check_output(&args.output, OutputKind::Archive)?;
    let mut writer = archive::Writer::create(&args.output)?;
    writer.chain("", &chain.dir, &|_| true)?;
    writer.job(&rerun.job().program.name, &files)?;
    let size = writer.finish()?;
    let output = args.output.display().to_string();
    let begins = begins_later(chain.beginning.first());
    let text = format!("{} snapshots exported to {output}, {size} bytes{begins}", chain.links.len());
    args.chain.say(json!({ "file": output, "bytes": size, "snapshots": chain.links.len() }), &text)
}

/// Arguments of `import`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The archive
    #[arg(value_name = "FILE.tar")]
    archive: PathBuf,
    /// Directory for the chain: empty, or not there yet
    #[arg(value_name = "DIR")]
    chain: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn import(args: &ImportArgs) -> Result<Reply> {
    let (mut count, mut begins) = (0, String::new());
    archive::import(&args.archive, &args.chain, &on_ctrl_c(), |staged| {
        let (chain, ..) = open(staged, None, &GivenFiles::default())?;
        count = chain.links.len();
        begins = begins_later(chain.beginning.first());
        Ok(())
    })?;
    let dir = args.chain.display().to_string();
    if args.json {
        return Ok(Reply::object(0, json!({ "chain": dir, "snapshots": count })));
    }
    print(&format!("{count} snapshots imported into {dir}{begins}"))?;
    Ok(0.into())
}
