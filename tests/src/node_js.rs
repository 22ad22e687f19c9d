//! The node in Node.js: its command face under `node:wasi`, its exported functions by the example of docs/guest-abi.md and by the
//! client in `js`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use stepmark_runner::node::embedded_module::{COMPILER_WASM, NODE_WASM};

use crate::runner::Ended;

/// Set to 1, this leaves out the tests that need Node.js, where there is none.
pub const LEAVE_OUT: &str = "WITHOUT_NODE_JS";
/// The first version whose `node:wasi` these tests use.
const LEAST_VERSION: u32 = 20;

/// The version of Node.js; none, with a line that says so, where the tests that need it are to be left out.
///
/// # Errors
/// If there is no Node.js of version 20 or later, and nobody said to leave it out.
pub fn version() -> Result<Option<String>> {
    if std::env::var_os(LEAVE_OUT).is_some_and(|value| value == "1") {
        eprintln!("skipped: Node.js ({LEAVE_OUT}=1)");
        return Ok(None);
    }
    let advice = || format!("Node.js {LEAST_VERSION} or later has to be in PATH; {LEAVE_OUT}=1 leaves these tests out");
    let output = Command::new("node").arg("--version").output().with_context(advice)?;
    let version = String::from_utf8(output.stdout)?.trim().to_owned();
    let major = version.strip_prefix('v').and_then(|rest| rest.split('.').next()).and_then(|text| text.parse().ok());
    ensure!(major.is_some_and(|major: u32| major >= LEAST_VERSION), "found {version}: {}", advice());
    Ok(Some(version))
}

/// A script of `tests/js`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("js").join(name)
}

pub(crate) fn node_js(script: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg("--no-warnings").arg(script);
    command
}

fn start(command: &mut Command) -> Result<Output> {
    command.output().context("Node.js does not start")
}

/// The files of a directory.
///
/// # Errors
/// If it cannot be read.
pub fn read_files(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?);
    }
    Ok(files)
}

fn ended(output: Output, dir: &Path) -> Result<Ended> {
    let Some(exit_code) = output.status.code() else { bail!("Node.js was ended: {}", output.status) };
    let files = read_files(dir).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(Ended { files, stdout: output.stdout, stderr: output.stderr, exit_code })
}

/// Runs the command face of the node's file `wasm` in `dir`, under the WASI of Node.js; its files are in `dir/out`.
///
/// # Errors
/// If Node.js does not run.
pub fn command_face(wasm: &Path, dir: &Path, argv: &[String], out: &str) -> Result<Ended> {
    let output = start(node_js(&script("run-node.mjs")).arg(wasm).arg(dir).args(argv))?;
    ended(output, &dir.join(out))
}

/// Runs the exported functions of the node's file `wasm` in `dir`, by the example of docs/guest-abi.md as it stands there.
///
/// # Errors
/// If Node.js does not run, or the page has no example.
pub fn documented_example(wasm: &Path, dir: &Path, argv: &[String], out: &str) -> Result<Ended> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guest-abi.md");
    let page = std::fs::read_to_string(page)?;
    let example = page.split_once("```js\n").and_then(|(_, rest)| rest.split_once("```"));
    let (example, _) = example.context("docs/guest-abi.md has no example")?;
    let file = dir.join("run.mjs");
    std::fs::write(&file, example)?;
    let output = start(node_js(&file).arg(wasm).args(argv).current_dir(dir))?;
    ended(output, &dir.join(out))
}

/// Lays the client out in `dir` as its package has it, with the module and the compiler.
///
/// # Errors
/// If the file system does not let it.
pub fn client_package(dir: &Path) -> Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../js");
    std::fs::create_dir_all(dir)?;
    for entry in std::fs::read_dir(&sources)? {
        let entry = entry?;
        std::fs::copy(entry.path(), dir.join(entry.file_name()))?;
    }
    std::fs::write(dir.join("stepmark.wasm"), NODE_WASM)?;
    std::fs::write(dir.join("compiler.wasm"), COMPILER_WASM)?;
    Ok(())
}

/// Runs a job in `dir` by the client in `js`, on this tier.
///
/// # Errors
/// If Node.js does not run.
pub fn client(dir: &Path, tier: &str, argv: &[String], out: &str) -> Result<Ended> {
    let package = tempfile::tempdir()?;
    client_package(package.path())?;
    let mut command = node_js(&script("client.mjs"));
    let output = start(command.arg(package.path()).arg(tier).args(argv).current_dir(dir))?;
    ended(output, &dir.join(out))
}
