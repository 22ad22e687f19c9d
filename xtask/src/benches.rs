//! What `peers` and `overheads` share: the crates of `benches/`, built for release and apart from the workspace.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Flags of the compiler. The peers are built as their authors build them, without what the project sets for itself.
pub(crate) const FLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";
/// For [`FLAGS`].
pub(crate) const NO_FLAGS: &str = "";

/// Cargo for the crates of `benches/`, in the caller's directory: paths among the options are relative to it.
pub(crate) fn cargo(root: &Path, command: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([command, "--locked", "--manifest-path"]).arg(root.join("benches").join("Cargo.toml"));
    cargo
}

/// Runs cargo to the end of what it builds, which is `what`.
pub(crate) fn build(mut cargo: Command, what: &str) -> Result<()> {
    ensure!(cargo.status().context("cargo does not start")?.success(), "{what} does not build");
    Ok(())
}
