//! `estimate`: what gas a run would take; with `--static`, what no call of an export can go below.

use crate::cli::OutputArgs;
use crate::cli::reply::Reply;
use crate::console::{Console, Verbosity};
use crate::flags::{EngineName, JobFlags};
use crate::interrupt::on_ctrl_c;
use stepmark_runner::ask::estimate;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::node::drive;
use stepmark_runner::node::dry_run;
use stepmark_runner::node::sink::Sink;
use stepmark_runner::store::RunStore;
use stepmark_runner::terminal::print_lines;

/// Arguments of `estimate`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct EstimateArgs {
    #[command(flatten)]
    job: JobFlags,
    /// Run nothing: say the least gas with which a call of each exported function returns
    #[arg(long = "static")]
    is_static: bool,
    /// How the module runs; the gas is the same
    #[arg(long, value_enum, default_value = "native")]
    engine: EngineName,
    #[command(flatten)]
    output: OutputArgs,
    /// The program, the export to call (for a module without `_start`), and its arguments
    #[arg(value_name = "PROGRAM [ENTRY] [ARGS]", required = true, num_args = 1.., trailing_var_arg = true)]
    words: Vec<String>,
}

pub(super) fn execute(args: &EstimateArgs) -> Result<Reply> {
    if args.is_static { least(args) } else { exact(args) }
}

fn least(args: &EstimateArgs) -> Result<Reply> {
    if args.words.len() > 1 {
        let failure = Failure::usage("--static is about all exported functions: it takes no entry and no arguments");
        return Err(failure.help("leave --static out to learn what one call takes"));
    }
    let (schedule, costs) = estimate::exports(&args.job.job(&args.words)?)?;
    if args.output.json {
        return Ok(Reply::object(0, estimate::object(&schedule, &costs)));
    }
    print_lines(&estimate::table(&schedule, &costs))?;
    Ok(0.into())
}

fn exact(args: &EstimateArgs) -> Result<Reply> {
    let mut job = args.job.job(&args.words)?;
    let mut store = RunStore::of(args.job.store(), args.job.config.contract.wait, &mut job)?;
    let stop = on_ctrl_c();
    let mut console = Console::new(args.output.verbosity(), args.output.json);
    let mut node = args.engine.engine().start()?;
    drive::load(node.as_mut(), &job, &mut console, &stop)?;
    let shown = args.output.verbosity() == Verbosity::Verbose;
    let ran = dry_run::run(node.as_mut(), &mut store, shown.then_some(&mut console as &mut dyn Sink), &stop)?;
    if args.output.json {
        return Ok(Reply::object(0, ran.object()));
    }
    let mut lines = vec![format!("gas: {}", ran.gas), format!("outcome: {}", ran.outcome())];
    if args.job.gas_limit.is_some() {
        lines.push(format!("snapshots: {}", ran.snapshots));
    }
    print_lines(&lines.join("\n"))?;
    Ok(0.into())
}
