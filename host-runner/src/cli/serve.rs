//! `serve`: the page that verifies chains, for the browsers of this machine, with a folder as its data.

use std::path::PathBuf;

use crate::cli::print;
use crate::cli::reply::Reply;
use crate::serve::PageServer;
use stepmark_runner::failure::Result;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// The directory of a chain, which the page opens; its program is found in it, or in its folder `files`
    dir: Option<PathBuf>,
    /// Port of this machine [default: one that is free]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

pub(super) fn execute(args: &ServeArgs) -> Result<Reply> {
    let server = PageServer::listen(args.port.unwrap_or(0), args.dir.as_deref())?;
    print(&format!("{}  (Ctrl-C ends it)", server.url()))?;
    server.run();
    Ok(0.into())
}
