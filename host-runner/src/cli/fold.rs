//! `merge`, `prune`, `export` and `import`: a chain made smaller, and carried elsewhere.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::print;
use crate::flags::FileFlags;
use crate::interrupt::on_ctrl_c;
use stepmark_runner::archive;
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::chain::durable::OutputDir;
use stepmark_runner::compact::{self, Keep};
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::job::rerun::{JobFiles, Rerun};

/// A chain and the files of its job.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ChainArgs {
    /// Directory of the chain
    #[arg(value_name = "DIR")]
    chain: PathBuf,
    /// The program's file [default: looked for by name and hash in DIR, beside DIR and in the working directory]
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
        let mut chain = ChainFiles::open(&self.chain)?;
        chain.check_bins(&mut |_| {});
        let what = format!("{}: is no chain that hangs together", self.chain.display());
        let faults = chain.faults.values().flatten();
        let faults = faults.filter(|fault| !fault.ends_with("missing") || chain.base.is_none());
        let mut faults = faults.chain(&chain.aside_faults).peekable();
        let Some(job) = chain.job.clone().filter(|_| faults.peek().is_none()) else {
            return Err(faults.fold(Failure::data(what), Failure::caused_by));
        };
        let files = JobFiles::find(&job, self.program.as_deref(), &self.files.given()?, &self.chain)?;
        let rerun = Rerun::new(job, &files, &self.chain);
        Ok((chain, rerun, files))
    }

    fn say(&self, object: &serde_json::Value, text: &str) -> Result<i32> {
        print(if self.json { object.to_string() } else { text.to_owned() }.as_str()).map(|()| 0)
    }
}

/// Arguments of `merge`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MergeArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// The last snapshot to be folded into the base [default: the highest]
    #[arg(long, value_name = "K")]
    to: Option<u64>,
}

pub(super) fn merge(args: &MergeArgs) -> Result<i32> {
    let (chain, rerun, _) = args.chain.open()?;
    let to = args.to.unwrap_or_else(|| chain.last());
    let first = chain.base.map_or(1, |(base, _)| base);
    if !(first..=chain.last()).contains(&to) {
        return Err(Failure::usage(format!("--to {to}: expected {first} to {}", chain.last())));
    }
    let out = OutputDir::open(&args.chain.chain)?;
    let merged = compact::merge(&chain, &rerun, &out, to)?;
    let compact::Merged { before, after, files } = merged;
    let object = json!({ "to": to, "files": files, "bytes_before": before, "bytes_after": after });
    args.chain.say(&object, &format!("{files} .bin files of {before} bytes became base.bin of {after} bytes"))
}

/// Arguments of `prune`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PruneArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// Keep this many snapshots at the end, all of which can be restored
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    keep_last: u64,
    /// Of those before keep every M-th .snap: a record of its hashes, which cannot be restored
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..))]
    keep_every: Option<u64>,
}

pub(super) fn prune(args: &PruneArgs) -> Result<i32> {
    let (chain, rerun, _) = args.chain.open()?;
    let out = OutputDir::open(&args.chain.chain)?;
    let keep = Keep { last: args.keep_last, every: args.keep_every };
    let gone = compact::prune(&chain, &rerun, &out, keep)?;
    let kept = chain.links.len().saturating_sub(gone.len());
    let text = format!("{} snapshots went, {kept} are kept", gone.len());
    args.chain.say(&json!({ "removed": gone, "kept": kept }), &text)
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

pub(super) fn export(args: &ExportArgs) -> Result<i32> {
    let (chain, rerun, files) = args.chain.open()?;
    let mut writer = archive::Writer::create(&args.output)?;
    writer.chain("", &chain.dir, &|_| true)?;
    writer.job(&rerun.job().program.name, &files)?;
    let size = writer.finish()?;
    let output = args.output.display().to_string();
    let text = format!("{} snapshots exported to {output}, {size} bytes", chain.links.len());
    args.chain.say(&json!({ "file": output, "bytes": size, "snapshots": chain.links.len() }), &text)
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
}

pub(super) fn import(args: &ImportArgs) -> Result<i32> {
    let mut count = 0;
    archive::import(&args.archive, &args.chain, &on_ctrl_c()?, |staged| {
        let unpacked =
            ChainArgs { chain: staged.to_path_buf(), program: None, files: FileFlags::default(), json: false };
        let (chain, _, _) = unpacked.open()?;
        count = chain.links.len();
        Ok(())
    })?;
    print(&format!("{count} snapshots imported into {}", args.chain.display()))?;
    Ok(0)
}
