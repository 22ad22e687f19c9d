//! Builds the node and the compiler for `wasm32-wasip1` and tells the library where their wasm is, to be embedded.

// It reads the lock file of this workspace and speaks to cargo.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The packages that the module and the compiler are linked of.
const LINKED: [&str; 9] = [
    "crates/compile",
    "crates/compiler",
    "crates/core",
    "crates/hosts",
    "crates/op-rules",
    "crates/session",
    "crates/snapshot",
    "crates/state",
    "guest-interp",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let manifest_dir = variable("CARGO_MANIFEST_DIR")?;
    let root = manifest_dir.ancestors().nth(2).ok_or("the package is not inside a workspace")?;
    for input in ["Cargo.toml", "Cargo.lock", "node-build/src"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    for linked in LINKED {
        println!("cargo::rerun-if-changed={}", root.join(linked).join("src").display());
        println!("cargo::rerun-if-changed={}", root.join(linked).join("Cargo.toml").display());
    }
    // Its own folder: the build that runs this script holds the lock of the usual one.
    let target_dir = variable("OUT_DIR")?.join("node");
    let wasm = node_build::build_node(root, &target_dir).map_err(|error| error.to_string())?;
    println!("cargo::rustc-env=NODE_WASM={}", wasm.display());
    let compiler =
        node_build::build_wasm(root, &target_dir, "stepmark-compiler", &[]).map_err(|error| error.to_string())?;
    println!("cargo::rustc-env=COMPILER_WASM={}", compiler.display());
    println!("cargo::rustc-env=WASMTIME_VERSION={}", locked_version(root, "wasmtime")?);
    Ok(())
}

/// The version of `package` in the workspace's lock file; wasmtime does not tell its own.
fn locked_version(root: &Path, package: &str) -> Result<String, String> {
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    let entry = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock.split_once(&entry).ok_or_else(|| format!("Cargo.lock: no package {package}"))?;
    let (version, _) = rest.split_once('"').ok_or("Cargo.lock: an open string")?;
    Ok(version.to_owned())
}

fn variable(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set: run this through cargo"))
}
