//! `cargo xtask peers`: the node beside other runtimes. The measuring program is the crate `benches/`, which is built for
//! release and apart from the workspace; this command builds it and the wasm that it measures, and hands all options on.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use crate::benches::{FLAGS, NO_FLAGS, build, cargo};

/// Builds of the node that leave work out, to measure what it costs: their files and features.
const VARIANTS: [(&str, &str); 2] =
    [("node-without-gas.wasm", "measure-without-gas"), ("node-without-dirty.wasm", "measure-without-dirty")];
/// wasmi as wasm: files and features.
const WASMI: [(&str, &str); 2] = [("wasmi1.wasm", "v1"), ("wasmi2.wasm", "v2")];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out wasm3, which needs libclang to build
    #[arg(long)]
    without_wasm3: bool,
    /// For the measuring program: `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = crate::workspace().canonicalize()?;
    let built = root.join("target-node").join("peers");
    fs::create_dir_all(&built)?;
    build_nodes(&root, &built)?;
    build_compiler(&root, &built.join("compiler.wasm"))?;
    build_native(&root, &built)?;
    for (file, feature) in WASMI {
        build_wasmi(&root, &built.join(file), feature)?;
    }
    let mut cargo = cargo(&root, "run");
    cargo.arg("--release").env(FLAGS, NO_FLAGS);
    if args.without_wasm3 {
        cargo.arg("--no-default-features");
    }
    cargo.arg("--").args(&args.options).arg("--built").arg(&built);
    Ok(cargo.status().context("cargo does not start")?.success())
}

/// The node as it ships, and its variants; a variant that does not build is left out with a warning.
fn build_nodes(root: &Path, built: &Path) -> Result<()> {
    build_node(root, &built.join("node.wasm"), &[])?;
    for (file, feature) in VARIANTS {
        let path = built.join(file);
        if let Err(error) = build_node(root, &path, &[feature]) {
            eprintln!("warning: {file}: {error:#}");
            // One of another version must not take its place.
            fs::remove_file(&path)
                .or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        }
    }
    Ok(())
}

fn build_node(root: &Path, to: &Path, features: &[&str]) -> Result<()> {
    let wasm = node_build::build_wasm(root, &root.join("target-node"), node_build::PACKAGE, features);
    copy(&wasm.map_err(|error| anyhow!("{error}"))?, to)
}

fn build_compiler(root: &Path, to: &Path) -> Result<()> {
    let wasm = node_build::build_wasm(root, &root.join("target-node"), "stepmark-compiler", &[]);
    copy(&wasm.map_err(|error| anyhow!("{error}"))?, to)
}

/// The node's library, with the project's own flags: cargo finds them from the workspace's directory.
fn build_native(root: &Path, built: &Path) -> Result<()> {
    let target_dir = root.join("target-node");
    let mut cargo = cargo(root, "build");
    cargo.args(["--quiet", "--release", "--package", "native-node", "--target-dir"]).arg(&target_dir);
    cargo.current_dir(root);
    build(cargo, "native-node")?;
    let name = format!("native-node{EXE_SUFFIX}");
    copy(&target_dir.join("release").join(&name), &built.join(name))
}

fn build_wasmi(root: &Path, to: &Path, feature: &str) -> Result<()> {
    let target_dir = root.join("target-node");
    let mut cargo = cargo(root, "build");
    cargo.args(["--quiet", "--package", "wasmi-in-wasm", "--no-default-features", "--features", feature]);
    cargo.args(["--target", node_build::TARGET, "--profile", "in-wasm", "--target-dir"]).arg(&target_dir);
    cargo.env(FLAGS, NO_FLAGS);
    build(cargo, "wasmi as wasm")?;
    copy(&target_dir.join(node_build::TARGET).join("in-wasm").join("wasmi_in_wasm.wasm"), to)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}
