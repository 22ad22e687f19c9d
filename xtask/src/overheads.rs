//! `cargo xtask overheads`: what the node costs beside running. The measuring program is `benches/overheads`; this command
//! builds it, the host runner and the wasm that it measures, and hands all options on.

use std::env::consts::EXE_SUFFIX;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::benches::{build, cargo};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// For the measuring program: `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = crate::workspace().canonicalize()?;
    let target_dir = root.join("target-node");
    build_startup(&root, &target_dir)?;
    let mut measuring = cargo(&root, "build");
    // From the workspace's directory, where cargo finds the flags that the project sets for itself.
    measuring
        .args(["--profile", "measure", "--package", "overheads", "--target-dir"])
        .arg(&target_dir)
        .current_dir(&root);
    build(measuring, "the measuring program")?;
    let mut runner = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    runner.args(["build", "--release", "--locked", "--package", "host-runner", "--target-dir"]).arg(&target_dir);
    runner.current_dir(&root);
    build(runner, "the host runner")?;
    let built = |profile: &str, name: &str| target_dir.join(profile).join(format!("{name}{EXE_SUFFIX}"));
    let startup = target_dir.join(node_build::TARGET).join(node_build::PROFILE).join("startup.wasm");
    let mut overheads = Command::new(built("measure", "overheads"));
    overheads.arg("--runner").arg(built("release", "stepmark")).arg("--startup").arg(startup).args(&args.options);
    Ok(overheads.status().context("the measuring program does not start")?.success())
}

fn build_startup(root: &Path, target_dir: &Path) -> Result<()> {
    let mut startup = cargo(root, "build");
    startup.args(["--quiet", "--package", "startup", "--target", node_build::TARGET]);
    startup.args(["--profile", node_build::PROFILE, "--target-dir"]).arg(target_dir);
    build(startup, "startup")
}
