//! `cargo xtask reproducible`: two clean builds of the node, in different folders, with different home folders, one with the
//! standard library's sources installed and one without, and with settings that must not reach it, give the bytes that this
//! build embeds, whatever it was built for; and CHANGELOG.md names their hash.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use stepmark_runner::node::embedded_module::{self, NODE_WASM};

/// Most bytes of the node: 1.1 MiB, and 16 KiB for what it takes to run compiled code beside it.
const MOST: usize = 1_153_433 + (16 << 10);
/// Ways to build the host runner, each of which embeds the node.
const BUILDS: [(&str, &[&str]); 3] = [
    ("debug", &["build", "--workspace", "--all-targets"]),
    ("test", &["test", "--workspace", "--no-run"]),
    ("clippy", &["clippy", "--workspace", "--all-targets"]),
];
/// Settings of a user's that must not change the node.
const HOSTILE: [(&str, &str); 4] = [
    ("RUSTFLAGS", "-C debuginfo=2"),
    ("CARGO_PROFILE_NODE_OPT_LEVEL", "1"),
    ("CARGO_BUILD_TARGET", "wasm32-unknown-unknown"),
    ("CARGO_INCREMENTAL", "1"),
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the hashes to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Arguments of the hidden command that one clean build is.
#[derive(clap::Args)]
pub(crate) struct BuildArgs {
    root: PathBuf,
    target_dir: PathBuf,
}

/// Builds the node once, with the environment that this process has.
pub(crate) fn build_node(args: &BuildArgs) -> Result<bool> {
    let built = node_build::build_node(&args.root, &args.target_dir);
    println!("{}", built.map_err(|error| anyhow::anyhow!("{error}"))?.display());
    Ok(true)
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = crate::workspace().canonicalize()?;
    let dir = tempfile::tempdir()?;
    let places = [("a", "home"), ("a/longer/way to another folder", "home of somebody else")];
    let (sysroot, other) = (sysroot(&root)?, dir.path().join("other toolchain"));
    let has_sources = other_toolchain(&sysroot, &other)?;
    let toolchains = [(&sysroot, has_sources), (&other, !has_sources)];
    let builds = places.iter().zip(toolchains).map(|((folder, home), (toolchain, _))| {
        clean_build(&root, &dir.path().join(folder), &dir.path().join(home), toolchain)
    });
    // Both are started before the first is waited for.
    let builds: Vec<Result<Child>> = builds.collect();
    let mut nodes = Vec::new();
    for (build, ((folder, home), (_, there))) in builds.into_iter().zip(places.iter().zip(toolchains)) {
        let sources = if there { "with" } else { "without" };
        let name = format!("clean build in '{folder}' with home '{home}', {sources} the standard library's sources");
        nodes.push((name, finish(build?)?));
    }
    for (name, words) in BUILDS {
        nodes.push((format!("embedded by the {name} build"), fs::read(embedded(&root, words)?)?));
    }
    let mut good = true;
    let mut rows = Vec::new();
    for (name, wasm) in &nodes {
        let hash = blake3::hash(wasm).to_hex();
        println!("{hash}  {name}");
        good &= hash.as_str() == embedded_module::node_hash();
        rows.push(json!({ "build": name, "blake3": hash.as_str() }));
    }
    let in_changelog = in_changelog(&root)?;
    if !in_changelog {
        println!("CHANGELOG.md does not name blake3 {} in its first section", embedded_module::node_hash());
    }
    let size = NODE_WASM.len();
    good &= in_changelog && size <= MOST;
    let verdict = if good { "the same bytes" } else { "NOT right" };
    let figure = format!(
        "reproducible: {} builds, {verdict}: {size} bytes of {MOST}, {}",
        nodes.len(),
        embedded_module::node_hash()
    );
    if let Some(file) = &args.json {
        let object = json!({ "figure": figure, "builds": rows });
        fs::write(file, serde_json::to_string_pretty(&object)?).with_context(|| file.display().to_string())?;
    }
    println!("{figure}");
    Ok(good)
}

/// The folder of the toolchain that this is built with.
fn sysroot(root: &Path) -> Result<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).current_dir(root).output().context("rustc")?;
    ensure!(output.status.success(), "rustc: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}

/// Where a toolchain keeps the standard library's sources, if they are installed; rustc looks for this file of them.
const STD_SOURCES: [&str; 2] = ["lib/rustlib/src", "rust/library/std/src/lib.rs"];

/// Copies a toolchain, without the standard library's sources if it has them and as if it had them if not; whether it has.
fn other_toolchain(sysroot: &Path, copy: &Path) -> Result<bool> {
    let sources = sysroot.join(STD_SOURCES[0]);
    let has_sources = sources.join(STD_SOURCES[1]).is_file();
    // Documentation is large, and nothing that compiles.
    let left_out = [sources, sysroot.join("share"), sysroot.join("libexec")];
    link_all(&sysroot.canonicalize()?, copy, &left_out.map(|path| path.canonicalize().unwrap_or(path)))?;
    if !has_sources {
        let file = copy.join(STD_SOURCES[0]).join(STD_SOURCES[1]);
        fs::create_dir_all(file.parent().context("a file without a folder")?)?;
        fs::write(file, "")?;
    }
    Ok(has_sources)
}

/// A second name for each file of a folder, or a copy where that cannot be.
fn link_all(from: &Path, to: &Path, left_out: &[PathBuf]) -> Result<()> {
    if left_out.iter().any(|path| path == from) {
        return Ok(());
    }
    if !from.is_dir() {
        return fs::hard_link(from, to)
            .or_else(|_| fs::copy(from, to).map(|_| ()))
            .with_context(|| from.display().to_string());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name: OsString = entry?.file_name();
        link_all(&from.join(&name), &to.join(&name), left_out)?;
    }
    Ok(())
}

/// Starts a build of a copy of the sources, as somebody else with this toolchain.
fn clean_build(root: &Path, folder: &Path, home: &Path, toolchain: &Path) -> Result<Child> {
    copy_sources(root, folder)?;
    let cargo_home = home.join("the cargo");
    copy_downloads(&cargo_home)?;
    let mut build = Command::new(std::env::current_exe()?);
    build.arg("build-node").arg(folder).arg(folder.join("target"));
    // The toolchain's folder is the home's unless it is named.
    let rustup_home = std::env::var_os("RUSTUP_HOME").or_else(|| Some(home_folder()?.join(".rustup").into()));
    build.env("RUSTUP_HOME", rustup_home.context("neither RUSTUP_HOME nor HOME is set")?);
    build.env("HOME", home).env("CARGO_HOME", cargo_home).envs(HOSTILE);
    // Cargo and rustc of the toolchain itself, before rustup's programs that choose one.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(toolchain.join("bin")).chain(std::env::split_paths(&path));
    build.env("PATH", std::env::join_paths(path)?).env_remove("CARGO").env_remove("RUSTC");
    build.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().context("a build does not start")
}

fn finish(build: Child) -> Result<Vec<u8>> {
    let output = build.wait_with_output()?;
    ensure!(output.status.success(), "a clean build failed: {}", output.status);
    let path = String::from_utf8(output.stdout)?;
    fs::read(path.trim_end()).with_context(|| path.clone())
}

fn home_folder() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

/// The files that belong to the project, as they are now.
fn copy_sources(root: &Path, folder: &Path) -> Result<()> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().context("git")?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (from, to) = (root.join(name), folder.join(name));
        if from.is_file() {
            to.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::copy(&from, &to).with_context(|| name.to_owned())?;
        }
    }
    Ok(())
}

/// What cargo has downloaded, for a home folder that has not; the sources are unpacked there anew.
fn copy_downloads(cargo_home: &Path) -> Result<()> {
    let home = home_folder().map(|home| home.join(".cargo"));
    let known = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home).context("no cargo home")?;
    for part in ["config.toml", "registry/cache", "registry/index"] {
        copy_all(&known.join(part), &cargo_home.join(part))?;
    }
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name: OsString = entry?.file_name();
            copy_all(&from.join(&name), &to.join(&name))?;
        }
    } else if from.is_file() {
        to.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::copy(from, to)?;
    }
    Ok(())
}

/// The node that the host runner embeds when cargo is called so.
fn embedded(root: &Path, words: &[&str]) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(words).args(["--locked", "--message-format=json"]).current_dir(root);
    let output = cargo.stderr(Stdio::inherit()).output().context("cargo does not start")?;
    ensure!(output.status.success(), "cargo {}: {}", words.join(" "), output.status);
    for line in String::from_utf8(output.stdout)?.lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let variables = message["env"].as_array().into_iter().flatten();
        if let Some(path) = variables.filter(|pair| pair[0] == "NODE_WASM").find_map(|pair| pair[1].as_str()) {
            return Ok(path.into());
        }
    }
    bail!("cargo {}: no build script told where the node is", words.join(" "))
}

/// Whether the first section of CHANGELOG.md names the node.
fn in_changelog(root: &Path) -> Result<bool> {
    let text = fs::read_to_string(root.join("CHANGELOG.md"))?;
    let section = text.split("\n## ").nth(1).context("CHANGELOG.md has no section")?;
    Ok(section.contains(embedded_module::node_hash()))
}
