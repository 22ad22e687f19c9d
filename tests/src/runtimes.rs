//! The runtimes that can run the node's command face, each as a process of its own: what is here, in which version, and
//! the command line that lets the node see a directory as `.`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::node_js;
use crate::runner::Ended;

/// How to drive a runtime. In command lines, word by word: `{program}` as found, `{runtimes}` the directory of
/// `tests/runtimes/get.sh`, `{tests}` this crate's, `{node}` the node's file, `{kept}` the directory that it is in, where
/// compiled forms of it may be kept, `{dir}` what the node shall see as `.`, and where the process starts.
struct Kind {
    name: &'static str,
    /// Its program: in the directory of `get.sh`, or in PATH; [`HOST`] for what is part of this project.
    program: &'static str,
    version: Version,
    /// The command line, without the node's own arguments.
    command: &'static str,
    /// What has to be run once before, when its last word is no file yet.
    prepare: &'static str,
    /// Whether it takes a hundred times as long as others.
    slow: bool,
    /// Whether the node's own test may find it not good enough, although the jobs come out right.
    lacking: bool,
}

enum Version {
    /// Of the crate of this name in Cargo.lock.
    Locked(&'static str),
    /// What the file `PROGRAM.version` says, or else the first word with a number that this command prints.
    Printed(&'static str),
}

const fn kind(name: &'static str, program: &'static str, version: &'static str, command: &'static str) -> Kind {
    Kind { name, program, version: Version::Printed(version), command, prepare: "", slow: false, lacking: false }
}

const fn in_host(name: &'static str, package: &'static str, command: &'static str) -> Kind {
    Kind { version: Version::Locked(package), ..kind(name, HOST, "", command) }
}

/// Stands for the program that has `wasi-host`: xtask itself.
const HOST: &str = "xtask";
/// A runtime that no package registry has: why it is absent mostly.
const NOT_PACKAGED: &str = "toywasm";
const CARGO_LOCK: &str = include_str!("../../Cargo.lock");

const KINDS: &[Kind] = &[
    in_host("wasmtime, Cranelift", "wasmtime", "{program} wasi-host --engine cranelift {node} {dir}"),
    in_host("wasmtime, Winch", "wasmtime", "{program} wasi-host --engine winch {node} {dir}"),
    in_host("wasmi", "wasmi", "{program} wasi-host --engine wasmi {node} {dir}"),
    kind(
        "wasmtime in Python",
        "python",
        "{program} {tests}/runtimes/wasi_host.py --version",
        "{program} {tests}/runtimes/wasi_host.py {node} {dir}",
    ),
    kind("Node.js", "node", "{program} --version", "{program} --no-warnings {tests}/js/run-node.mjs {node} {dir}"),
    kind("Bun", "bun", "{program} --version", "{program} {tests}/js/run-node.mjs {node} {dir}"),
    kind("Deno", "deno", "{program} --version", "{program} run --allow-all {tests}/js/run-node.mjs {node} {dir}"),
    kind(
        "browser shim in Node.js",
        "node",
        "{program} --print require('{runtimes}/node_modules/@bjorn3/browser_wasi_shim/package.json').version",
        "{program} --no-warnings {tests}/js/run-shim.mjs here {runtimes} {node} {dir}",
    ),
    kind(
        "browser shim in Chromium",
        "node",
        "{runtimes}/chromium --version",
        "{program} --no-warnings {tests}/js/run-shim.mjs page {runtimes} {node} {dir}",
    ),
    kind("wazero", "wazero", "{program} version", "{program} run -cachedir={kept}/wazero -mount={dir}:. {node}"),
    kind("wazero, interpreter", "wazero", "{program} version", "{program} run -interpreter -mount={dir}:. {node}"),
    Kind {
        prepare: "{program} compile {node} {kept}/wasmedge.so",
        // Without the mode an AOT file is interpreted.
        ..kind(
            "WasmEdge, AOT",
            "wasmedge",
            "{program} --version",
            "{program} --run-mode aot --dir .:{dir} {kept}/wasmedge.so",
        )
    },
    Kind {
        slow: true,
        ..kind("WasmEdge, interpreter", "wasmedge", "{program} --version", "{program} --dir .:{dir} {node}")
    },
    Kind {
        // The version of 2020 states wrong lengths of open files.
        lacking: true,
        // Its stack is too small for most programs, unless told otherwise.
        ..kind("WAMR (iwasm)", "iwasm", "{program} --version", "{program} --stack-size=1048576 --dir=. {node}")
    },
    Kind {
        slow: true,
        ..kind("toywasm", "toywasm", "{program} --version", "{program} --wasi --wasi-dir={dir}::. -- {node}")
    },
];

/// Where things are.
#[derive(Debug)]
pub struct Places {
    /// The directory that `tests/runtimes/get.sh` filled.
    pub runtimes: Option<PathBuf>,
    /// The program that has `wasi-host`.
    pub host: PathBuf,
    /// The node's file, in a directory where compiled forms of it may be kept.
    pub node: PathBuf,
}

/// A runtime that is here.
#[derive(Debug)]
pub struct Runtime {
    /// What people call it.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// Whether it takes a hundred times as long as others.
    pub slow: bool,
    lacking: bool,
    /// The command line, with `{dir}` in it.
    command: Vec<String>,
    prepare: Vec<String>,
}

/// What is here, in a fixed order, and what is not, with the reason.
pub fn found(places: &Places) -> (Vec<Runtime>, BTreeMap<&'static str, String>) {
    let (mut here, mut absent) = (Vec::new(), BTreeMap::new());
    for kind in KINDS {
        match kind.find(places) {
            Ok(runtime) => here.push(runtime),
            Err(reason) => drop(absent.insert(kind.name, format!("{reason:#}"))),
        }
    }
    (here, absent)
}

impl Kind {
    fn find(&self, places: &Places) -> Result<Runtime> {
        let program = self.program(places)?;
        let words = |line: &str| -> Result<Vec<String>> {
            line.split_whitespace().map(|word| fill(word, &program, places)).collect()
        };
        let version = match self.version {
            Version::Locked(package) => locked(package)?,
            Version::Printed(command) => printed(&program, &words(command)?)?,
        };
        let (command, prepare) = (words(self.command)?, words(self.prepare)?);
        Ok(Runtime { name: self.name, version, slow: self.slow, lacking: self.lacking, command, prepare })
    }

    fn program(&self, places: &Places) -> Result<PathBuf> {
        if self.program == HOST {
            return Ok(places.host.clone());
        }
        if self.program == "node" {
            node_js::version()?.with_context(|| format!("{}=1", node_js::LEAVE_OUT))?;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = places.runtimes.iter().cloned().chain(std::env::split_paths(&path));
        let reason = if self.program == NOT_PACKAGED { ", and cannot be installed from packages" } else { "" };
        let mut files = folders.map(|folder| folder.join(self.program));
        files.find(|file| file.is_file()).with_context(|| format!("{} is not found{reason}", self.program))
    }
}

/// A word of a command line; `{dir}` stays.
fn fill(word: &str, program: &Path, places: &Places) -> Result<String> {
    let mut word = word.to_owned();
    let kept = places.node.parent().context("the node's file is in no directory")?;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, path) in [("{program}", program), ("{node}", &places.node), ("{kept}", kept), ("{tests}", tests)] {
        word = word.replace(name, &path.display().to_string());
    }
    if word.contains("{runtimes}") {
        let runtimes = places.runtimes.as_ref().context("needs the directory of tests/runtimes/get.sh")?;
        word = word.replace("{runtimes}", &runtimes.display().to_string());
    }
    Ok(word)
}

/// The version of a crate in Cargo.lock.
fn locked(package: &str) -> Result<String> {
    let (_, rest) =
        CARGO_LOCK.split_once(&format!("name = \"{package}\"\nversion = \"")).context("not in Cargo.lock")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

fn printed(program: &Path, command: &[String]) -> Result<String> {
    if let Ok(text) = fs::read_to_string(program.with_extension("version")) {
        return Ok(text.trim().to_owned());
    }
    let output = start(command)?.output().with_context(|| format!("{command:?} does not start"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    ensure!(output.status.success(), "{command:?}: {last}");
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().find_map(|word| {
        let word = word.trim_start_matches('v').split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        (!word.is_empty()).then(|| word.to_owned())
    });
    version.with_context(|| format!("{command:?} prints no version: {text}"))
}

fn start(words: &[String]) -> Result<Command> {
    let (program, rest) = words.split_first().context("an empty command line")?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).env("DENO_NO_UPDATE_CHECK", "1");
    Ok(command)
}

impl Runtime {
    /// The process that runs the node with `argv` in `dir`.
    fn process(&self, dir: &Path, argv: &[String]) -> Result<Command> {
        let dir = dir.display().to_string();
        let words: Vec<String> = self.command.iter().map(|word| word.replace("{dir}", &dir)).collect();
        let mut command = start(&words)?;
        command.args(argv).current_dir(dir);
        Ok(command)
    }

    /// Makes what it needs once: compiled code, kept beside the node.
    ///
    /// # Errors
    /// If its compiler fails.
    pub fn prepare(&self) -> Result<()> {
        if self.prepare.last().is_none_or(|file| Path::new(file).exists()) {
            return Ok(());
        }
        let output = start(&self.prepare)?.output()?;
        ensure!(output.status.success(), "{:?}: {}", self.prepare, String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Runs the node with `argv` in `dir`; its files are in `dir/out`.
    ///
    /// # Errors
    /// If the runtime does not start, is ended by a signal, or leaves no files.
    pub fn run(&self, dir: &Path, argv: &[String], out: &str) -> Result<Ended> {
        let output = self.process(dir, argv)?.output().context("it does not start")?;
        let stderr = || String::from_utf8_lossy(&output.stderr).into_owned();
        let exit_code = output.status.code().with_context(|| format!("ended by {}: {}", output.status, stderr()))?;
        let files = node_js::read_files(&dir.join(out)).with_context(stderr)?;
        Ok(Ended { files, stdout: output.stdout, stderr: output.stderr, exit_code })
    }

    /// What the node prints for one argument, and its exit code.
    ///
    /// # Errors
    /// If the runtime does not start or is ended by a signal.
    pub fn ask(&self, argument: &str) -> Result<(String, i32)> {
        let dir = tempfile::tempdir()?;
        let output = self.process(dir.path(), &[argument.to_owned()])?.output().context("it does not start")?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let code = output.status.code().with_context(|| format!("ended by {}: {text}", output.status))?;
        Ok((text, code))
    }

    /// Whether the process ends with the node's exit code: not all do.
    ///
    /// # Errors
    /// If it ends with one that is neither the node's nor 0.
    pub fn hands_on_exit_codes(&self) -> Result<bool> {
        let (text, code) = self.ask("--no-such-flag")?;
        ensure!(text.contains("--no-such-flag"), "a wrong flag: {text}");
        ensure!([0, 2].contains(&code), "exit code {code} for a wrong flag, not 2: {text}");
        Ok(code == 2)
    }

    /// Whether the node's `--selftest` finds the runtime good enough. Only one that is known for it may not be.
    ///
    /// # Errors
    /// If it is not good enough, the exit code says something else, or this node has no such flag.
    pub fn selftest(&self, exit_codes: bool) -> Result<bool> {
        let (text, code) = self.ask("--selftest")?;
        let verdict = text.lines().rfind(|line| line.starts_with("selftest:"));
        let verdict = verdict.with_context(|| format!("--selftest: exit code {code}: {text}"))?;
        let good = verdict.starts_with("selftest: good enough");
        ensure!(good || self.lacking, "--selftest: {text}");
        ensure!(good == (code == 0) || !exit_codes, "--selftest: exit code {code}, but it says {verdict}");
        Ok(good)
    }

    /// Time of the whole process for the node's `--version`: the least of `rounds`.
    ///
    /// # Errors
    /// If the node does not print it.
    pub fn start_up(&self, rounds: u32) -> Result<Duration> {
        let mut least = Duration::MAX;
        for _ in 0..rounds {
            let before = Instant::now();
            let (text, code) = self.ask("--version")?;
            least = least.min(before.elapsed());
            ensure!(code == 0 && text.contains("guest-interp"), "--version: exit code {code}: {text}");
        }
        Ok(least)
    }

    /// Greatest resident size in bytes of a run in `dir`: of the process and all that it started, each at its greatest.
    /// None where the system does not tell.
    ///
    /// # Errors
    /// If the runtime does not start.
    pub fn peak(&self, dir: &Path, argv: &[String]) -> Result<Option<u64>> {
        let child = self.process(dir, argv)?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        peak(child)
    }
}

/// Time between two looks at a process.
const LOOK: Duration = Duration::from_millis(1);

/// Greatest resident size of a process and of all below it; waits for its end.
pub(crate) fn peak(mut child: Child) -> Result<Option<u64>> {
    let mut greatest = BTreeMap::new();
    while child.try_wait()?.is_none() {
        look(child.id(), &mut greatest);
        std::thread::sleep(LOOK);
    }
    let sum: u64 = greatest.values().sum();
    Ok((sum > 0).then_some(sum))
}

/// Writes down the greatest resident size of a process and of all below it.
fn look(id: u32, greatest: &mut BTreeMap<u32, u64>) {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    // The last word counts: at first a process has the memory of the one that started it.
    if let Some(kib) = kib {
        greatest.insert(id, kib << 10);
    }
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    for text in children {
        text.split_whitespace().filter_map(|id| id.parse().ok()).for_each(|child| look(child, greatest));
    }
}
