//! `reference`: the same program directly on wasmtime, without the node, to compare with by hand.

use std::time::Instant;

use serde_json::json;

use crate::cli::reply::Reply;
use crate::cli::{OutputArgs, print, run};
use crate::console::Console;
use crate::flags::{ConfigFlags, InputFlags, JobFlags};
use stepmark_runner::failure::Result;
use stepmark_runner::node::runner_report::nanoseconds;
use stepmark_runner::node::sink::Sink;
use stepmark_runner::reference::{self, ReferenceOutcome};

/// Arguments of `reference`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReferenceArgs {
    #[command(flatten)]
    inputs: InputFlags,
    /// Most bytes of linear memory that the program may have
    #[arg(long, value_name = "BYTES")]
    max_memory: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    /// The program, the export to call (for a module without `_start`), and its arguments
    #[arg(value_name = "PROGRAM [ENTRY] [ARGS]", required = true, num_args = 1.., trailing_var_arg = true)]
    words: Vec<String>,
}

pub(super) fn execute(args: &ReferenceArgs) -> Result<Reply> {
    let mut console = Console::new(args.output.verbosity(), args.output.json);
    let config =
        ConfigFlags { inputs: args.inputs.clone(), max_memory: args.max_memory.clone(), ..ConfigFlags::default() };
    let job = reference::ReferenceJob::new(&JobFlags { config, ..JobFlags::default() }.job(&args.words)?);
    let started = Instant::now();
    let outcome = reference::run(job)?;
    let time = started.elapsed();
    console.output(1, &outcome.stdout)?;
    console.output(2, &outcome.stderr)?;
    let ReferenceOutcome { end, values, .. } = &outcome;
    if args.output.json {
        let object = json!({
            "outcome": end.to_string(),
            "values": values.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "time_ns": nanoseconds(time),
        });
        return Ok(Reply::object(end.exit_code(), object));
    }
    values.iter().map(run::signed).try_for_each(|value| print(&value))?;
    console.note(&format!("{end}, {:.3} s on wasmtime", time.as_secs_f64()));
    Ok(end.exit_code().into())
}
