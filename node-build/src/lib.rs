//! The one function that builds the node's wasm. The bytes of the node are part of what a receipt states, so every
//! build of one source tree must give the same bytes: the profile is fixed, nothing of the caller's cargo or rustc
//! configuration reaches the build through the environment, and the folders that debug paths and panic messages would
//! mention (workspace, cargo home, sysroot) are mapped to fixed names.
//!
//! `host-runner/build.rs` and `xtask` call it; nothing else builds the node for shipping.

mod target;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Target that the node is built for.
pub const TARGET: &str = target::TARGET;
/// Cargo profile (in the workspace's `Cargo.toml`) that the node is built with.
pub const PROFILE: &str = "node";
/// Package and binary that is the node.
pub const PACKAGE: &str = "guest-interp";

/// Variables that are kept although they begin with one of [`CLEARED_PREFIXES`]: they say where the tools and the
/// downloaded sources are, not how to build.
const KEPT: [&str; 4] = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_NET_OFFLINE"];

/// Prefixes of the variables that could change the build.
const CLEARED_PREFIXES: [&str; 12] =
    ["CARGO", "RUST", "__CARGO", "__RUST", "CC_", "CFLAGS", "CXX_", "CXXFLAGS", "AR_", "BLAKE3_", "TARGET_", "HOST_"];

/// Variables without a telling prefix that cargo, rustc or a build script of a dependency reads.
const CLEARED: [&str; 12] = [
    "CC",
    "CXX",
    "AR",
    "TARGET",
    "HOST",
    "OUT_DIR",
    "NUM_JOBS",
    "OPT_LEVEL",
    "PROFILE",
    "DEBUG",
    "SOURCE_DATE_EPOCH",
    "MAKEFLAGS",
];

/// Numbers that the linker fills in take as many bytes as they need, not five: a sixteenth of the node. And its linear
/// memory is 3.5 GiB at most: one runtime ends its process where a memory grows beyond 3.75 GiB, and an error is better.
const LINK_FLAGS: [&str; 4] = ["-C", "link-arg=--compress-relocations", "-C", "link-arg=--max-memory=3758096384"];

/// Why the node could not be built: a sentence for the user, with cargo's own output where there is any.
#[derive(Debug)]
pub struct BuildError(String);

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}

/// Result of building the node.
pub type Result<T> = std::result::Result<T, BuildError>;

/// Builds the node of the workspace at `workspace_root` into `target_dir` and returns the path of the wasm file.
///
/// Two clean builds of the same sources in different folders, with different home folders, give the same bytes.
///
/// # Errors
/// When cargo or rustc cannot be started, the `wasm32-wasip1` target is not there and cannot be added, or the build fails; the error
/// then carries cargo's output.
pub fn build_node(workspace_root: &Path, target_dir: &Path) -> Result<PathBuf> {
    build_wasm(workspace_root, target_dir, PACKAGE, &[])
}

/// Builds the binary of `package` with these features, the way the node is built, and returns the path of the wasm file.
///
/// # Errors
/// As [`build_node`].
pub fn build_wasm(workspace_root: &Path, target_dir: &Path, package: &str, features: &[&str]) -> Result<PathBuf> {
    let root = canonical(workspace_root)?;
    let rustc = Rustc::ask(&root)?;
    let say = |line: &str| eprintln!("{line}");
    target::ensure_target(&rustc.sysroot, OsStr::new("rustup"), target::is_offline(), say).map_err(BuildError)?;
    let cargo_home = cargo_home();
    let known = registries(&cargo_home);
    let build = || {
        let mut cargo = cargo(&root, &rustc, &cargo_home, target_dir);
        cargo.args(["--package", package, "--bin", package, "--features", &features.join(",")]);
        expect_success(run(&mut cargo)?, &format!("{package} does not build"))
    };
    build()?;
    if registries(&cargo_home) != known {
        // Cargo fetched sources into a folder that was not there to be mapped: once more, with its name mapped.
        build()?;
    }
    let wasm = target_dir.join(TARGET).join(PROFILE).join(format!("{package}.wasm"));
    if wasm.is_file() {
        Ok(wasm)
    } else {
        Err(BuildError(format!("cargo succeeded but {} is not there", wasm.display())))
    }
}

/// Cargo, told everything but what to build.
fn cargo(root: &Path, rustc: &Rustc, cargo_home: &Path, target_dir: &Path) -> Command {
    let mut cargo = command(&tool("CARGO", "cargo"), root);
    cargo.args(["build", "--target", TARGET, "--profile", PROFILE, "--locked", "--target-dir"]).arg(target_dir);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags(root, rustc, cargo_home));
    cargo
}

/// The flags for rustc, separated as `CARGO_ENCODED_RUSTFLAGS` wants them so that folder names may hold spaces.
fn rustflags(root: &Path, rustc: &Rustc, cargo_home: &Path) -> OsString {
    // The last matching prefix wins: the sysroot is usually below the home folder, and registries are below cargo's.
    let mut maps = vec![(cargo_home.to_path_buf(), "/cargo")];
    // A registry's folder is named after the address that cargo took the sources from, which may be a mirror.
    maps.extend(registries(cargo_home).into_iter().map(|folder| (folder, "/crates")));
    // Where the standard library's sources are installed (editors want them), rustc names those in place of its own name.
    let (std_sources, name) = (rustc.sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{}", rustc.commit));
    maps.extend([(rustc.sysroot.clone(), "/rust"), (std_sources, &name), (root.to_path_buf(), "/node")]);
    let mut flags = OsString::new();
    for (from, to) in maps {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    }
    for flag in LINK_FLAGS {
        flags.push("\u{1f}");
        flags.push(flag);
    }
    flags
}

/// Folders with the sources of dependencies, in order; none before cargo has fetched anything.
fn registries(cargo_home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cargo_home.join("registry").join("src"));
    let mut folders: Vec<PathBuf> = entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// A command with everything removed from its environment that could change the build.
fn command(program: &OsString, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_cleared) {
            command.env_remove(&name);
        }
    }
    command
}

/// Whether the variable `name` must not reach the build.
fn is_cleared(name: &str) -> bool {
    !KEPT.contains(&name) && (CLEARED.contains(&name) || CLEARED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

/// The program that the environment names, or the usual one.
fn tool(variable: &str, default: &str) -> OsString {
    env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| default.into())
}

/// The compiler that builds the node.
struct Rustc {
    /// The folder of its toolchain.
    sysroot: PathBuf,
    /// Hash of the commit that it was built from: it names the standard library's sources `/rustc/HASH/library`.
    commit: String,
}

impl Rustc {
    /// Asks the compiler itself.
    fn ask(root: &Path) -> Result<Self> {
        let said = |arg: &[&str]| {
            let output = run(command(&tool("RUSTC", "rustc"), root).args(arg))?;
            let output = expect_success(output, "rustc does not run")?;
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        };
        let version = said(&["-vV"])?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
        Ok(Self { sysroot: said(&["--print", "sysroot"])?.into(), commit: commit.unwrap_or("unknown").to_owned() })
    }
}

/// Where cargo keeps the sources of dependencies, whose paths panic messages mention.
fn cargo_home() -> PathBuf {
    let home =
        || env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(|home| Path::new(&home).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(|| PathBuf::from("/.cargo"))
}

fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| BuildError(format!("{}: {error}", path.display())))
}

/// The output of a command that has succeeded; else an error that says `what`, with the command's own words.
fn expect_success(output: Output, what: &str) -> Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(BuildError(format!("{what} ({}):\n{}", output.status, text.trim_end())))
}

fn run(command: &mut Command) -> Result<Output> {
    command
        .output()
        .map_err(|error| BuildError(format!("{} cannot be started: {error}", command.get_program().to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_callers_build_are_cleared() {
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTDOCFLAGS", "CARGO_TARGET_DIR"] {
            assert!(is_cleared(name), "{name}");
        }
        for name in ["CARGO_PROFILE_NODE_LTO", "CARGO_BUILD_TARGET", "OUT_DIR", "CC", "CFLAGS_wasm32_wasip1"] {
            assert!(is_cleared(name), "{name}");
        }
    }

    #[test]
    fn places_of_the_tools_are_kept() {
        for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "TMPDIR"] {
            assert!(!is_cleared(name), "{name}");
        }
    }

    #[test]
    fn the_sysroot_below_the_cargo_home_keeps_its_own_name() {
        let rustc = Rustc { sysroot: "/cargo-home/toolchain".into(), commit: "59807616".to_owned() };
        let flags = rustflags(Path::new("/w"), &rustc, Path::new("/cargo-home"));
        let flags = flags.to_string_lossy();
        let position = |text: &str| flags.find(text).expect(text);
        assert!(position("=/cargo\u{1f}") < position("--remap-path-prefix=/cargo-home/toolchain=/rust"));
        let sources = "--remap-path-prefix=/cargo-home/toolchain/lib/rustlib/src/rust=/rustc/59807616\u{1f}";
        assert!(position("=/rust\u{1f}") < position(sources));
        assert!(
            flags.contains("--remap-path-prefix=/w=/node\u{1f}-C\u{1f}link-arg=--compress-relocations\u{1f}"),
            "{flags}"
        );
    }

    /// A program that is being written cannot be started, nor while a process that another thread starts has it open still.
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

    /// A toolchain without the target, and a rustup that does what it is told, or fails.
    fn toolchain(rustup: &str) -> (PathBuf, PathBuf) {
        use std::os::unix::fs::PermissionsExt;
        let dir = env::temp_dir().join(format!("node-build-{}-{}", std::process::id(), rustup.len()));
        let (sysroot, program) = (dir.join("1.95.0-any"), dir.join("rustup"));
        fs::create_dir_all(&sysroot).expect("a folder");
        let text = format!("#!/bin/sh\ncd '{}'\necho \"$@\" >called\n{rustup}\n", dir.display());
        fs::write(&program, text).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
        (sysroot, program)
    }

    #[test]
    fn a_missing_target_is_added_and_that_is_said_in_one_line() {
        let _alone = ONE_AT_A_TIME.lock();
        let (sysroot, rustup) = toolchain("mkdir -p 1.95.0-any/lib/rustlib/wasm32-wasip1");
        let said = std::cell::RefCell::new(Vec::new());
        let say = |line: &str| said.borrow_mut().push(line.to_owned());
        for _ in 0..2 {
            target::ensure_target(&sysroot, rustup.as_os_str(), false, say).expect("the target is added");
        }
        let called = fs::read_to_string(rustup.with_file_name("called")).expect("rustup was called");
        assert_eq!(called, "target add --toolchain 1.95.0-any wasm32-wasip1\n");
        let expected = "adding it (rustup target add --toolchain 1.95.0-any wasm32-wasip1)";
        assert!(matches!(said.borrow().as_slice(), [line] if line.ends_with(expected)), "{said:?}");
        fs::remove_dir_all(rustup.parent().expect("its folder")).expect("removed");
    }

    #[test]
    fn a_target_that_cannot_be_added_is_an_error_that_names_the_command() {
        let _alone = ONE_AT_A_TIME.lock();
        let (sysroot, rustup) = toolchain("echo no network >&2; exit 3");
        let by_hand = "rustup target add --toolchain 1.95.0-any wasm32-wasip1";
        let error = target::ensure_target(&sysroot, rustup.as_os_str(), false, |_| ()).expect_err("rustup fails");
        assert!(error.contains(by_hand) && error.ends_with("no network"), "{error}");
        fs::remove_file(rustup.with_file_name("called")).expect("rustup was called");
        let error = target::ensure_target(&sysroot, rustup.as_os_str(), true, |_| ()).expect_err("nothing is fetched");
        assert!(error.ends_with(&format!("and STEPMARK_OFFLINE is set: run `{by_hand}`")), "{error}");
        assert!(!rustup.with_file_name("called").exists());
        let error =
            target::ensure_target(&sysroot, OsStr::new("/nowhere/rustup"), false, |_| ()).expect_err("no rustup");
        assert!(error.contains("rustup cannot be started"), "{error}");
        fs::remove_dir_all(rustup.parent().expect("its folder")).expect("removed");
    }
}
