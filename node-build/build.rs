//! Looks for the node's target before anything else is compiled: this package has no dependencies, so this runs first.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[path = "src/target.rs"]
mod target;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/target.rs");
    println!("cargo::rerun-if-env-changed={}", target::OFFLINE);
    match sysroot().and_then(|sysroot| {
        // A folder that is not there any more counts as changed.
        let folder = sysroot.join("lib").join("rustlib").join(target::TARGET);
        println!("cargo::rerun-if-changed={}", folder.display());
        target::ensure_target(&sysroot, OsStr::new("rustup"), target::is_offline(), |line| {
            println!("cargo::warning={line}");
        })
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the toolchain that runs this build.
fn sysroot() -> Result<PathBuf, String> {
    let rustc = env::var_os("RUSTC").ok_or("RUSTC is not set: run this through cargo")?;
    let output = Command::new(rustc).args(["--print", "sysroot"]).output();
    let output = output.map_err(|error| format!("rustc cannot be started: {error}"))?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()))
}
