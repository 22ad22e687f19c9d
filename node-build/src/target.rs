//! The target that the node is built for, and how it gets into the toolchain: the build adds it by rustup, once. Used by the
//! library and, so that nothing long is compiled before, by this package's build script.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// Target that the node is built for.
pub(crate) const TARGET: &str = "wasm32-wasip1";

/// Set to anything but nothing or 0, it keeps the build from fetching anything.
pub(crate) const OFFLINE: &str = "STEPMARK_OFFLINE";

/// Whether the user forbids to fetch anything.
pub(crate) fn is_offline() -> bool {
    env::var_os(OFFLINE).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Adds the target to the toolchain in `sysroot`, if it is not there; says so in one line through `say`.
///
/// # Errors
/// It is not there and cannot be added: a sentence that names the command to run.
pub(crate) fn ensure_target(
    sysroot: &Path,
    rustup: &OsStr,
    is_offline: bool,
    say: impl Fn(&str),
) -> Result<(), String> {
    let is_there = || sysroot.join("lib").join("rustlib").join(TARGET).is_dir();
    if is_there() {
        return Ok(());
    }
    let toolchain = sysroot.file_name().unwrap_or_default().to_string_lossy();
    let by_hand = format!("rustup target add --toolchain {toolchain} {TARGET}");
    let missing = format!("the target {TARGET} is not installed in {}", sysroot.display());
    if is_offline {
        return Err(format!("{missing}, and {OFFLINE} is set: run `{by_hand}`"));
    }
    say(&format!("{missing}: adding it ({by_hand})"));
    let mut command = Command::new(rustup);
    command.args(["target", "add", "--toolchain", &toolchain, TARGET]).stdin(Stdio::null());
    let mut run = || command.output().map_err(|error| format!("{missing}, and rustup cannot be started: {error}"));
    let mut output = run()?;
    if !output.status.success() {
        // A connection that fails makes rustup fail, and is often there the next time.
        output = run()?;
    }
    if output.status.success() && is_there() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("{missing}; `{by_hand}` ended with {} and did not add it: {}", output.status, text.trim_end()))
}
