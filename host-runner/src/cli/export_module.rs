//! `export-module`: the Stepmark module as a file, for other runtimes and for people who check its hash.

use std::path::PathBuf;

use crate::cli::print;
use stepmark_runner::chain::durable;
use stepmark_runner::failure::Result;
use stepmark_runner::node::embedded_module;

/// Arguments of `export-module`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportModuleArgs {
    /// Where to write the module
    file: PathBuf,
}

pub(super) fn execute(args: &ExportModuleArgs) -> Result<i32> {
    durable::replace(&args.file, embedded_module::NODE_WASM)?;
    print(&format!("{}  {}", embedded_module::node_hash(), args.file.display()))?;
    Ok(0)
}
