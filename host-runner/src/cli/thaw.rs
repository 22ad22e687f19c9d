//! `thaw`: go on with a frozen node, wherever it was frozen.

use std::path::{Path, PathBuf};

use crate::cli::freeze::{Freezing, Moving};
use crate::cli::reply::Reply;
use crate::cli::{OutputArgs, run};
use crate::console::Console;
use crate::interrupt::on_ctrl_c;
use crate::units;
use stepmark_runner::chain::durable::OutputDir;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{DATA, Failure, Result};
use stepmark_runner::node::engine::ModuleSession;
use stepmark_runner::node::frozen::{self, Frozen};
use stepmark_runner::node::output::Output;
use stepmark_runner::node::sandbox::{FAULT, WasmNode};
use stepmark_runner::node::sink::Sink;
use stepmark_session::spec::SnapshotName;

/// Advice about files that are no frozen modules, or other ones.
const SAME_FILE: &str =
    "a frozen module goes on in the same module file only; between modules move snapshots (`resume`)";

/// Arguments of `thaw`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ThawArgs {
    /// The frozen module
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Freeze it again, into this file, once --after is reached or at Ctrl-C
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Gas of the program since its beginning, after which it is frozen again
    #[arg(long, value_name = "GAS", requires = "to", value_parser = units::number)]
    after: Option<u64>,
    /// Directory for snapshots and results [default: the one that the job names]
    #[arg(short = 'o', long, value_name = "DIR")]
    snapshot_output: Option<PathBuf>,
    /// Directory for the files that the program leaves behind, when it ends normally
    #[arg(long, value_name = "DIR")]
    deliver: Option<PathBuf>,
    /// Print integers that the entry returns without a sign
    #[arg(long)]
    unsigned: bool,
    /// Replace snapshots that were written after the module was frozen, by a run that went on from it before
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn execute(args: &ThawArgs) -> Result<Reply> {
    args.to.as_deref().map_or(Ok(()), frozen::check_place)?;
    let stop = on_ctrl_c();
    let Thawed { node, named, job, highest, gas } = Thawed::read(&args.file)?;
    let out = OutputDir::open(args.snapshot_output.as_deref().unwrap_or(Path::new(&named)))?;
    let mut console = Console::new(args.output.verbosity(), args.output.json);
    // A run that went on from here before may have written more.
    let from_pause = is_after_pause(out.path(), gas);
    let done = out.prepare(&job, highest, from_pause, run::replace(args.overwrite, false))?;
    done.iter().for_each(|what| console.note(what));
    if (1..=highest).any(|id| !out.path().join(format!("{id}.snap")).exists()) {
        let out = out.path().display();
        console.warning(&format!(
            "snapshots up to {highest} are where the module was frozen, in '{named}': copy them to {out} before resume or verify"
        ));
    }
    let to = args.to.as_deref().map(|file| Freezing { file, after: args.after });
    let moving = Moving {
        node,
        job: None,
        out: Output::Into(&out),
        console,
        output: args.output,
        unsigned: args.unsigned,
        from_pause,
        refill: None,
        deliver: args.deliver.clone(),
        to,
    };
    let may_be_garbage = |failure: Failure| match failure.what() {
        FAULT => failure.help("a frozen module is taken as it is: this one may hold garbage"),
        _ => failure,
    };
    moving.go_on(&stop).map_err(may_be_garbage)
}

/// Whether the pause in a directory, if there is one, is of before a state with so much gas: that state goes on from it, or from
/// what led to it.
fn is_after_pause(out: &Path, gas: u64) -> bool {
    let pause = SnapshotRef::new(out, SnapshotName::Paused).read();
    pause.is_ok_and(|pause| pause.state.gas_total <= gas)
}

/// A module that was thawed, and what it says about itself.
struct Thawed {
    node: WasmNode,
    /// The output directory that its job names.
    named: String,
    job: [u8; 32],
    /// Its highest snapshot.
    highest: u64,
    /// Gas of the program up to here.
    gas: u64,
}

impl Thawed {
    /// Takes the module out of a file.
    ///
    /// # Errors
    /// Exit code 65 when the file is bad, or what is in it is no module with a job; 74 when it cannot be read.
    fn read(path: &Path) -> Result<Self> {
        frozen::check_claim(path).map_err(|failure| bad(path, &failure, SAME_FILE))?;
        let file = frozen::read(path)?;
        let frozen = Frozen::decode(&file).and_then(|frozen| frozen.expect_embedded().map(|()| frozen));
        let frozen = frozen.map_err(|failure| bad(path, &failure, SAME_FILE))?;
        let mut node = WasmNode::embedded()?;
        let refused = |failure: Failure| if failure.code() == DATA { bad(path, &failure, SAME_FILE) } else { failure };
        node.restore_memory(frozen.size, frozen.pages).map_err(refused)?;
        Self::ask(node)
            .map_err(|failure| bad(path, &failure, "it holds a memory that is not that of a module with a job"))
    }

    fn ask(mut node: WasmNode) -> Result<Self> {
        let (named, job, progress) = (node.output_dir()?, node.job_hash()?, node.progress()?);
        Ok(Self { node, named, job, highest: progress.snapshot_id, gas: progress.gas_total })
    }
}

/// A file that cannot be thawed.
fn bad(path: &Path, failure: &Failure, help: &str) -> Failure {
    Failure::data(format!("{} cannot be thawed", path.display())).caused_by(failure.what()).help(help)
}
