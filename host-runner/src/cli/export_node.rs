//! `export-node`: the node as a file, for other runtimes and for people who check its hash.

use std::path::PathBuf;

use crate::cli::print;
use crate::durable;
use crate::failure::Result;
use crate::image;

/// Arguments of `export-node`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportNodeArgs {
    /// Where to write the node
    file: PathBuf,
}

pub(super) fn execute(args: &ExportNodeArgs) -> Result<i32> {
    durable::replace(&args.file, image::NODE_WASM)?;
    print(&format!("{}  {}", image::node_hash(), args.file.display()))?;
    Ok(0)
}
