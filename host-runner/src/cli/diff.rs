//! `diff`: how two snapshots differ.

use serde_json::json;

use crate::cli::print;
use crate::flags::FileFlags;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{MISMATCH, Result};
use stepmark_runner::state::{LoadedState, differences};

/// Arguments of `diff`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// One snapshot
    #[arg(value_name = "DIR[@ID]")]
    left: String,
    /// The other one
    #[arg(value_name = "DIR[@ID]")]
    right: String,
    /// The program's file, of both [default: looked for by name and hash beside each]
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    #[command(flatten)]
    files: FileFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: &DiffArgs) -> Result<i32> {
    let open =
        |place: &str| LoadedState::open(&SnapshotRef::parse(place)?, args.program.as_deref(), &args.files.given()?);
    let (mut left, mut right) = (open(&args.left)?, open(&args.right)?);
    let found = differences(&mut left, &mut right);
    if args.json {
        print(
            &json!({ "same": found.is_empty(), "left": args.left, "right": args.right, "differences": found })
                .to_string(),
        )?;
    } else if found.is_empty() {
        print("the same state")?;
    } else {
        found.iter().try_for_each(|difference| print(&difference.to_string()))?;
    }
    Ok(if found.is_empty() { 0 } else { MISMATCH })
}
