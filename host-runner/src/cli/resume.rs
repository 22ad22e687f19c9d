//! `resume`: go on from a directory without retyping anything. The snapshot carries the whole job; the files that it names
//! are looked for beside the directory and recognised by their hashes.

use std::path::PathBuf;

use crate::cli::reply::Reply;
use crate::cli::words::program_and_place;
use crate::cli::{OutputArgs, run};
use crate::console::Verbosity;
use crate::flags::{ConfigFlags, ContractFlags, InputFlags, JobFlags};
use crate::flags::{EngineFlags, FileFlags};
use crate::units;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::Result;
use stepmark_runner::job::rerun::JobFiles;
use stepmark_runner::node::kept::KEPT;
use stepmark_runner::terminal;

/// Arguments of `resume`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// Directory of the chain, and the snapshot to start from: a number or "paused" [default: the pause if there is one,
    /// else the highest]
    #[arg(value_name = "DIR[@ID] [PROGRAM]", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// Gas of a segment from here on [default: what the snapshot's own segment had]
    #[arg(long, value_name = "N")]
    gas_limit: Option<String>,
    /// Refill the gas after each snapshot, and go on until the program ends [default: as the run did before]
    #[arg(long)]
    enable_gas_refill: bool,
    /// Stop at the next snapshot, also where the run refilled its gas before
    #[arg(long, conflicts_with = "enable_gas_refill")]
    disable_gas_refill: bool,
    /// Write the state at the end, a trap's too, as final.snap and final.bin
    #[arg(long)]
    keep_final: bool,
    /// Directory for what is written [default: DIR]
    #[arg(short = 'o', long, value_name = "DIR")]
    snapshot_output: Option<String>,
    /// The program's file [default: looked for by name and hash in DIR, beside DIR, in the working directory and where the run had it]
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    files: FileFlags,
    /// The key-value store, as for `run`
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Leave the store as it is, as for `run`
    #[arg(long, requires = "store")]
    no_commit: bool,
    /// Wait so long for a store that another process has open [default: 10; 0 fails at once]
    #[arg(long, value_name = "SECONDS", value_parser = units::seconds, requires = "store")]
    wait: Option<u64>,
    /// Directory for the files that the program leaves behind, when it ends normally
    #[arg(long, value_name = "DIR")]
    deliver: Option<PathBuf>,
    /// Replace the snapshots after the one that the run goes on from
    #[arg(long)]
    overwrite: bool,
    /// Print integers that the entry returns without a sign
    #[arg(long)]
    unsigned: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn execute(args: &ResumeArgs) -> Result<Reply> {
    run::execute(&run_args(args)?)
}

/// The command line of `run` that goes on from there.
fn run_args(args: &ResumeArgs) -> Result<run::RunArgs> {
    let (program, place) = program_and_place(&args.words, args.program.as_deref())?;
    let place = SnapshotRef::parse(place)?;
    let dir = place.dir.display().to_string();
    let remembers = !args.disable_gas_refill && !args.enable_gas_refill && place.was_refilled();
    if remembers && args.output.verbosity() > Verbosity::Quiet {
        terminal::say(
            "the gas is refilled after each snapshot, as before (--disable-gas-refill: stop at the next one)",
        );
    }
    let files = JobFiles::find(&place.read_to_go_on()?.job, program, &args.files.given()?, &place.dir)?;
    let flag = |(name, path): (String, String)| format!("{name}={path}");
    let inputs = InputFlags {
        preload: files.modules.into_iter().map(flag).collect(),
        file: files.inputs.into_iter().map(flag).collect(),
        stdin: files.stdin,
        ..InputFlags::default()
    };
    let contract = ContractFlags {
        store: args.store.clone(),
        no_commit: args.no_commit,
        wait: args.wait,
        contract: files.contracts.into_iter().map(flag).collect(),
        ..ContractFlags::default()
    };
    Ok(run::RunArgs {
        job: JobFlags {
            snapshot_output: args.snapshot_output.clone().or_else(|| Some(dir.clone())),
            snapshot_input: Some(dir),
            snapshot_id: Some(place.id.to_string()),
            gas_limit: args.gas_limit.clone(),
            enable_gas_refill: args.enable_gas_refill || remembers,
            keep_final: args.keep_final,
            invoke: None,
            config: ConfigFlags { inputs, contract, ..ConfigFlags::default() },
        },
        engine: args.engine,
        check_reference: false,
        deliver: args.deliver.clone(),
        overwrite: args.overwrite,
        keep_output: KEPT,
        is_resume: true,
        unsigned: args.unsigned,
        output: args.output,
        words: vec![files.program],
    })
}
