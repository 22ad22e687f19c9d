//! `cargo xtask store`: contracts at once on one store, whose history must be serialisable.

use std::time::Instant;

use anyhow::Result;
use node_tests::serializability::{Plan, run as run_plan};
use serde_json::json;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Invocations that end with a commit or a trap
    #[arg(long, default_value_t = 2_000)]
    invocations: u64,
    /// Threads
    #[arg(long, default_value_t = 8)]
    threads: u64,
    /// Accounts: the fewer, the more conflicts
    #[arg(long, default_value_t = 12)]
    accounts: u64,
    /// Seed of what they do
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let Args { invocations, threads, accounts, seed, .. } = *args;
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    let figures = run_plan(Plan { invocations, threads, accounts, seed }, &folder.path().join("store.redb"))?;
    let seconds = began.elapsed().as_secs_f64();
    if let Some(path) = &args.json {
        let table = json!({
            "invocations": invocations, "threads": threads, "accounts": accounts, "commits": figures.commits,
            "conflicts": figures.conflicts, "traps": figures.traps, "reads": figures.reads,
        });
        std::fs::write(path, format!("{table:#}\n"))?;
    }
    // Without conflicts nothing has been shown.
    let enough = threads < 2 || figures.conflicts > 0;
    println!(
        "store: {invocations} invocations by {threads} threads in {seconds:.1} s: {} commits, {} conflicts made again, {} \
         traps, {} reads checked; the history is serialisable",
        figures.commits, figures.conflicts, figures.traps, figures.reads
    );
    Ok(enough)
}
