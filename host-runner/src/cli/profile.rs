//! `profile`: where the gas of a run goes.

use std::path::{Path, PathBuf};

use stepmark_tools::profile::ProfileLimits;

use crate::cli::OutputArgs;
use crate::cli::reply::Reply;
use crate::console::{Console, Verbosity};
use crate::flags::JobFlags;
use crate::flame_graph::flame_graph;
use crate::interrupt::on_ctrl_c;
use stepmark_runner::ask::profile;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::named_output::{OutputKind, check_output_if_named, write_output};
use stepmark_runner::store::RunStore;
use stepmark_runner::terminal::print_lines;

/// Arguments of `profile`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ProfileArgs {
    #[command(flatten)]
    job: JobFlags,
    /// Write the call stacks as lines `outermost;...;innermost GAS`
    #[arg(long, value_name = "FILE")]
    folded: Option<PathBuf>,
    /// Write the call stacks as a flame graph
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Functions and source lines in the table
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Most functions above each other in the call stacks; calls beyond count to their callers
    #[arg(long, value_name = "N", default_value_t = ProfileLimits::default().depth,
        value_parser = clap::value_parser!(u32).range(1..))]
    max_depth: u32,
    #[command(flatten)]
    output: OutputArgs,
    /// The program, the export to call (for a module without `_start`), and its arguments
    #[arg(value_name = "PROGRAM [ENTRY] [ARGS]", required = true, num_args = 1.., trailing_var_arg = true)]
    words: Vec<String>,
}

/// Checks what is to be written before anything runs.
fn check_outputs(args: &ProfileArgs) -> Result<()> {
    if let (Some(folded), Some(svg)) = (&args.folded, &args.svg)
        && folded == svg
    {
        return Err(Failure::usage(format!("--svg {}: the call stacks are written there", svg.display())));
    }
    check_output_if_named(args.folded.as_deref(), OutputKind::Stacks)?;
    check_output_if_named(args.svg.as_deref(), OutputKind::Picture)
}

pub(super) fn execute(args: &ProfileArgs) -> Result<Reply> {
    check_outputs(args)?;
    let mut job = args.job.job(&args.words)?;
    let mut store = RunStore::of(args.job.store(), args.job.config.contract.wait, &mut job)?;
    let stop = on_ctrl_c();
    let mut console = Console::new(args.output.verbosity(), args.output.json);
    let limits = ProfileLimits { depth: args.max_depth, ..ProfileLimits::default() };
    let shown = args.output.verbosity() == Verbosity::Verbose;
    let profiled = profile::run(&job, limits, &mut store, &mut console, shown, &stop)?;
    if let Some(path) = &args.folded {
        write_output(path, OutputKind::Stacks, profiled.profile.folded().as_bytes())?;
    }
    if let Some(path) = &args.svg {
        let program = args.words.first().map(|program| Path::new(program).file_name().unwrap_or_default());
        let title = format!("{}: gas", program.unwrap_or_default().to_string_lossy());
        write_output(path, OutputKind::Picture, &flame_graph(&title, &profiled.profile)?)?;
    }
    if args.output.json {
        return Ok(Reply::object(0, profiled.object()));
    }
    if args.output.verbosity() != Verbosity::Quiet {
        print_lines(&profiled.table(args.top))?;
    }
    Ok(0.into())
}
