//! From the runner's command line to the node's. The node parses and judges its own flags, in every runtime the same; the
//! runner passes them on as they were typed, and adds only what needs a file system to be walked (`--dir`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::hex_float;
use crate::program;
use crate::units;
use guest_interp::args;
use stepmark_session::spec::JobSpec;

use stepmark_runner::bounds::Bounds;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::job::rerun::GivenFiles;
use stepmark_runner::node::engine::{Engine, TierChoice};
use stepmark_runner::terminal::quoted;

/// What decides a job, as the user typed it: the module's own flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct JobFlags {
    /// Directory to resume from: {id}.snap and 1.bin to {id}.bin; DIR@N says the snapshot too
    #[arg(long, value_name = "DIR")]
    pub snapshot_input: Option<String>,
    /// Snapshot to resume from: a number, or "paused"
    #[arg(long, value_name = "N")]
    pub snapshot_id: Option<String>,
    /// Directory for snapshots and results, created if absent [default: stepmark/PROGRAM-HASH, of the job; none where no flag
    /// asks for files]
    #[arg(short = 'o', long, value_name = "DIR")]
    pub snapshot_output: Option<String>,
    /// Gas of a segment, such as 5000000, 5_000_000, 5M or 5e6; when it is used up, a snapshot is written
    #[arg(long, value_name = "N")]
    pub gas_limit: Option<String>,
    /// Refill the gas after each snapshot, and go on until the program ends
    #[arg(long)]
    pub enable_gas_refill: bool,
    /// Write the state at the end, a trap's too, as final.snap and final.bin, to be inspected
    #[arg(long)]
    pub keep_final: bool,
    /// The export to call, as if it stood after the program; for a module without _start
    #[arg(long, value_name = "NAME")]
    pub invoke: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub config: ConfigFlags,
}

/// What a job does not change from run to run: prices, features, limits, clock, seed, and what the program sees.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigFlags {
    /// Costs of the instructions: default, default-1 (its first version), seed-ordinal, or a file
    #[arg(long, value_name = "NAME|FILE")]
    pub gas_schedule: Option<String>,
    /// Turn a language feature on or off (repeatable); all are on at first
    #[arg(long, value_name = "NAME=on|off")]
    pub feature: Vec<String>,
    /// Most bytes of linear memory that the program may have, such as 64MiB
    #[arg(long, value_name = "BYTES")]
    pub max_memory: Option<String>,
    /// Most frames on the program's call stack
    #[arg(long, value_name = "N")]
    pub max_call_depth: Option<String>,
    /// Most bytes of files that the program may write to
    #[arg(long, value_name = "BYTES")]
    pub max_files: Option<String>,
    /// Most slots of exceptions that the program may hold by reference, one and the payload each
    #[arg(long, value_name = "SLOTS")]
    pub max_exceptions: Option<String>,
    /// Nanoseconds by which the program's clocks advance for each unit of gas
    #[arg(long, value_name = "N")]
    pub clock_rate: Option<String>,
    /// Seed of the program's random source
    #[arg(long, value_name = "N")]
    pub seed: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub inputs: InputFlags,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub contract: ContractFlags,
}

/// What a contract is called with, and what it can use.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ContractFlags {
    /// The key-value store that the program reads, and writes when it has ended normally
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// Leave the store as it is; what would be written is in rwset.bin
    #[arg(long, requires = "store")]
    pub no_commit: bool,
    /// Wait so long for a store that another process has open [default: 10; 0 fails at once]
    #[arg(long, value_name = "SECONDS", value_parser = units::seconds, requires = "store")]
    pub wait: Option<u64>,
    /// A contract that can be called by name (repeatable)
    #[arg(long, value_name = "NAME=FILE")]
    pub contract: Vec<String>,
    /// What the program, a contract, is called with
    #[arg(long, value_name = "TEXT|0xHEX")]
    pub call_data: Option<String>,
    /// Who calls it
    #[arg(long, value_name = "NAME")]
    pub caller: Option<String>,
}

/// Files and settings that the program sees.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct InputFlags {
    /// Link a module that the program imports from
    #[arg(long, value_name = "NAME=FILE")]
    pub preload: Vec<String>,
    /// Function that the program imports and whoever embeds Stepmark answers; here nobody does, and its call is an error
    #[arg(long, value_name = "M.N(i32)->()")]
    pub function: Vec<String>,
    /// What imported functions do that nothing provides [default: a program that has any is refused]
    #[arg(long, value_name = "trap|zero")]
    pub stub_imports: Option<String>,
    /// Environment variable of the program
    #[arg(long, value_name = "K=V")]
    pub env: Vec<String>,
    /// File that the program reads as its standard input; - is the command's own, as is a pipe or redirection without this flag
    #[arg(long, value_name = "FILE")]
    pub stdin: Option<String>,
    /// File that the program finds at GUESTPATH; what it writes there stays in its state
    #[arg(long, value_name = "GUESTPATH=HOSTFILE")]
    pub file: Vec<String>,
    /// Directory that is open to the program as GUEST, or by its own name, with its regular files; links are not followed
    #[arg(long, value_name = "HOST[::GUEST]")]
    pub dir: Vec<String>,
    /// Directory that is open to the program, made if there is no file in it [default: those of --dir, and / with --file]
    #[arg(long, value_name = "GUEST")]
    pub preopen: Vec<String>,
}

/// Where the files of a job are, if they are not found by their names and hashes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FileFlags {
    /// A linked module's file, where it is not found by its hash
    #[arg(long, value_name = "NAME=FILE")]
    pub preload: Vec<String>,
    /// The standard input's file
    #[arg(long, value_name = "FILE")]
    pub stdin: Option<String>,
    /// An input file, where it is not found by its name and hash
    #[arg(long, value_name = "GUESTPATH=HOSTFILE")]
    pub file: Vec<String>,
    /// A contract's file, where it is not found by its hash
    #[arg(long, value_name = "NAME=FILE")]
    pub contract: Vec<String>,
    /// A directory of input files
    #[arg(long, value_name = "HOST[::GUEST]")]
    pub dir: Vec<String>,
}

/// How to find the files of a chain that is looked at, and how large its job may be.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LookFlags {
    /// The program's file [default: looked for by name and hash in DIR, beside DIR, in the working directory and where the run had it]
    #[arg(long, value_name = "FILE")]
    pub program: Option<String>,
    /// Look at no snapshot whose job may have more memory than this, of everything together, such as 4GiB
    #[arg(long, value_name = "BYTES", value_parser = units::number)]
    max_memory_total: Option<u64>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub files: FileFlags,
}

impl LookFlags {
    /// The bounds that they set.
    pub fn bounds(&self) -> Bounds {
        Bounds { memory: self.max_memory_total, ..Bounds::default() }
    }
}

/// What checking a stranger's job may cost.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct BoundFlags {
    /// Execute nothing that is claimed to take more gas than this, and no more of it than this
    #[arg(long, value_name = "N", value_parser = units::number)]
    pub max_gas: Option<u64>,
    /// Execute no longer than this: what is not decided then stays undecided
    #[arg(long, value_name = "SECONDS", value_parser = units::seconds)]
    pub max_time: Option<u64>,
    /// Execute no job that may have more memory than this, of everything together, such as 4GiB; and no more at a time than fit
    #[arg(long, value_name = "BYTES", value_parser = units::number)]
    pub max_memory_total: Option<u64>,
}

impl BoundFlags {
    /// The bounds that they set.
    pub fn bounds(self) -> Bounds {
        Bounds { gas: self.max_gas, time: self.max_time.map(Duration::from_secs), memory: self.max_memory_total }
    }
}

impl FileFlags {
    /// The files that are given.
    ///
    /// # Errors
    /// Exit code 2 for a value without its sign between the halves, 74 for a directory that cannot be read.
    pub fn given(&self) -> Result<GivenFiles> {
        let inputs = InputFlags { file: self.file.clone(), dir: self.dir.clone(), ..InputFlags::default() };
        Ok(GivenFiles {
            modules: named("preload", &self.preload)?,
            stdin: self.stdin.clone(),
            inputs: inputs.files()?,
            contracts: named("contract", &self.contract)?,
        })
    }
}

/// What runs the program.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct EngineFlags {
    /// How the module runs: as wasm in wasmtime, or the same code natively
    #[arg(long, value_enum, default_value = "wasm")]
    engine: EngineName,
    /// What runs the program: the interpreter, or code that wasmtime compiles [default: auto where the program is run, register where a run
    /// is checked and with --engine native]
    #[arg(long, value_enum)]
    tier: Option<TierName>,
}

/// The engines, as `--engine` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineName {
    /// The embedded wasm, in wasmtime, with no imports: what everybody else can run too
    Wasm,
    /// The same library linked natively: faster, for trying things out
    Native,
}

/// The tiers, as `--tier` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TierName {
    /// The interpreter, and compiled code once the program has run for a while
    Auto,
    /// The interpreter alone
    Register,
    /// Compiled code from the beginning, in the module's memory whatever the engine; the interpreter where there is none
    Compiled,
}

impl EngineName {
    /// The engine, with the interpreter.
    pub fn engine(self) -> Engine {
        match self {
            Self::Wasm => Engine::Wasm(TierChoice::Register),
            Self::Native => Engine::Native,
        }
    }
}

impl EngineFlags {
    /// The engine, with the interpreter unless something else is asked for: what checks is not what made.
    pub fn engine(self) -> Engine {
        match self.tier {
            None | Some(TierName::Register) => self.engine.engine(),
            Some(TierName::Compiled) => Engine::Wasm(TierChoice::Compiled),
            Some(TierName::Auto) => Engine::Wasm(TierChoice::Auto),
        }
    }

    /// The engine that runs a program, on the tier that is fastest unless another is asked for.
    pub fn running_engine(self) -> Engine {
        match (self.engine, self.tier) {
            (EngineName::Wasm, None) => Engine::Wasm(TierChoice::Auto),
            _ => self.engine(),
        }
    }
}

/// A job in which hexadecimal floats among the arguments of an export are decimal; words of a command are the program's.
fn with_decimal_floats(mut job: JobSpec) -> Result<JobSpec> {
    let is_there = job.positionals.iter().skip(1).any(|word| hex_float::is_one(word));
    if is_there && !program::is_command(Path::new(&job.program)) {
        for word in job.positionals.iter_mut().skip(1).filter(|word| hex_float::is_one(word)) {
            *word = hex_float::in_decimal(word)?;
        }
    }
    Ok(job)
}

impl JobFlags {
    /// The job that these flags and `words` (the program, its entry and its arguments) ask for.
    ///
    /// # Errors
    /// Exit code 2 for what the module's own command would refuse, or a `--dir` that cannot be passed on; 74 for one that cannot
    /// be read; 65 for a program that is no module by its first bytes.
    pub fn job(&self, words: &[String]) -> Result<JobSpec> {
        let job = args::job(&self.arguments(words)?)?;
        program::check(Path::new(&job.program))?;
        if self.invoke.is_some() {
            program::check_invoke(Path::new(&job.program))?;
        }
        with_decimal_floats(job)
    }

    /// The store's file, if one is named.
    pub fn store(&self) -> Option<&Path> {
        self.config.contract.store.as_deref()
    }

    /// Directory and snapshot to go on from: both, or neither. `DIR@N` is both in one.
    fn start(&self) -> Result<(Option<String>, Option<String>)> {
        match (&self.snapshot_input, &self.snapshot_id) {
            (Some(dir), None) => match dir.rsplit_once('@').filter(|(parent, _)| Path::new(parent).is_dir()) {
                Some((parent, id)) if !Path::new(dir).exists() => Ok((Some(parent.to_owned()), Some(id.to_owned()))),
                _ => {
                    let what = format!("--snapshot-input {dir}: needs --snapshot-id N too, the snapshot to go on from");
                    Err(Failure::usage(what).help(format!("after the last one goes: stepmark resume {}", quoted(dir))))
                }
            },
            (None, Some(id)) => {
                let what = format!("--snapshot-id {id}: needs --snapshot-input DIR too, where the snapshot is");
                Err(Failure::usage(what).help("without both, a run begins at the start"))
            }
            both => Ok((both.0.clone(), both.1.clone())),
        }
    }

    /// The flags as they were typed, with `words` last: one place judges them, the module's own.
    fn arguments(&self, words: &[String]) -> Result<Vec<String>> {
        let config = &self.config;
        let inputs = &config.inputs;
        let numbers = [
            ("--gas-limit", &self.gas_limit),
            ("--max-memory", &config.max_memory),
            ("--max-call-depth", &config.max_call_depth),
            ("--max-files", &config.max_files),
            ("--max-exceptions", &config.max_exceptions),
            ("--clock-rate", &config.clock_rate),
            ("--seed", &config.seed),
        ];
        let (snapshot_input, snapshot_id) = self.start()?;
        let single = [
            ("--snapshot-input", &snapshot_input),
            ("--snapshot-id", &snapshot_id),
            ("--snapshot-output", &self.snapshot_output),
            ("--gas-schedule", &config.gas_schedule),
            ("--stdin", &inputs.stdin),
            ("--stub-imports", &inputs.stub_imports),
            ("--call-data", &config.contract.call_data),
            ("--caller", &config.contract.caller),
        ];
        let mut argv = Vec::new();
        for (flag, value) in single {
            argv.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        for (flag, value) in numbers {
            argv.extend(value.iter().flat_map(|value| [flag.to_owned(), units::plain(value)]));
        }
        let switches = [("--enable-gas-refill", self.enable_gas_refill), ("--keep-final", self.keep_final)];
        argv.extend(switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag.to_owned()));
        let repeated = [
            ("--feature", &config.feature),
            ("--preload", &inputs.preload),
            ("--function", &inputs.function),
            ("--env", &inputs.env),
            ("--preopen", &inputs.open_directories()?),
            ("--contract", &config.contract.contract),
        ];
        for (flag, values) in repeated {
            argv.extend(values.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        let files = inputs.files()?;
        argv.extend(files.into_iter().flat_map(|(guest, host)| ["--file".to_owned(), format!("{guest}={host}")]));
        let (program, rest) = words.split_at(words.len().min(1));
        argv.extend(program.iter().chain(&self.invoke).chain(rest).cloned());
        Ok(argv)
    }
}

impl InputFlags {
    /// Every input file, guest path to host path: those given one by one, then those of directories, each directory in
    /// order of the guest paths.
    ///
    /// # Errors
    /// As [`JobFlags::job`].
    pub fn files(&self) -> Result<Vec<(String, String)>> {
        let mut files = Vec::new();
        for flag in &self.file {
            let split = flag.split_once('=').filter(|(guest, host)| !guest.is_empty() && !host.is_empty());
            let (guest, host) =
                split.ok_or_else(|| Failure::usage(format!("--file {flag}: expected GUESTPATH=HOSTFILE")))?;
            files.push((guest.to_owned(), host.to_owned()));
        }
        for flag in &self.dir {
            let (host, guest) = directory(flag)?;
            let mut found = BTreeMap::new();
            let below = if matches!(guest.as_str(), "." | "/") { "" } else { &guest };
            walk(Path::new(host), below, &mut found)?;
            files.extend(found);
        }
        Ok(files)
    }

    /// The directories that are open to the program, where any is named.
    ///
    /// # Errors
    /// Exit code 2 for a `--dir` that names none.
    fn open_directories(&self) -> Result<Vec<String>> {
        if !self.preopen.is_empty() {
            return Ok(self.preopen.clone());
        }
        let guests = self.dir.iter().map(|flag| directory(flag).map(|(_, guest)| guest));
        let root = (!self.file.is_empty() && !self.dir.is_empty()).then(|| Ok("/".to_owned()));
        let mut open: Vec<String> = Vec::new();
        for guest in root.into_iter().chain(guests) {
            let guest = guest?;
            if !open.contains(&guest) {
                open.push(guest);
            }
        }
        Ok(open)
    }
}

/// The two names of a `--dir`: the one here, and the program's, which is the same where none is given.
///
/// # Errors
/// Exit code 2 for a name that no program could use.
fn directory(flag: &str) -> Result<(&str, String)> {
    let (host, guest) = flag.split_once("::").unwrap_or((flag, flag));
    if host.is_empty() || guest.is_empty() {
        return Err(Failure::usage(format!("--dir {flag}: expected HOST or HOST::GUEST")));
    }
    let parts: Vec<&str> = guest.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        let failure = Failure::usage(format!("--dir {flag}: the program cannot have a directory called {guest}"));
        return Err(failure.help(format!("give it another name: --dir {}::NAME", quoted(host))));
    }
    let root = if guest.starts_with('/') { "/" } else { "" };
    let name = format!("{root}{}", parts.join("/"));
    Ok((host, if name.is_empty() { ".".to_owned() } else { name }))
}

/// Names and files of a repeated flag.
///
/// # Errors
/// Exit code 2 for a value without `=`.
pub fn named(flag: &str, values: &[String]) -> Result<Vec<(String, PathBuf)>> {
    let parse = |value: &String| match value.split_once('=') {
        Some((name, file)) if !file.is_empty() => Ok((name.to_owned(), PathBuf::from(file))),
        _ => Err(Failure::usage(format!("--{flag} {value}: expected NAME=FILE"))),
    };
    values.iter().map(parse).collect()
}

/// Adds every regular file below `host` under its guest path. Links are skipped: what they lead to is not below `host`.
fn walk(host: &Path, guest: &str, found: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(host).map_err(|error| Failure::named(host, "directory", &error))? {
        let entry = entry.map_err(|error| Failure::io(host, &error))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| Failure::io(&path, &error))?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| unusable(&path, "its name is not UTF-8"))?;
        if kind.is_dir() {
            walk(&path, &format!("{guest}/{name}"), found)?;
        } else if kind.is_file() {
            let guest = format!("{guest}/{name}");
            if guest.contains('=') {
                return Err(unusable(&path, "its name holds a `=`"));
            }
            let host = path.to_str().ok_or_else(|| unusable(&path, "its path is not UTF-8"))?;
            found.insert(guest, host.to_owned());
        }
    }
    Ok(())
}

fn unusable(path: &Path, why: &str) -> Failure {
    Failure::usage(format!("--dir: {} cannot be passed on: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_reach_the_node_as_they_were_typed_and_the_program_comes_last() {
        let flags = JobFlags {
            snapshot_input: Some("in/".into()),
            snapshot_id: Some("4".into()),
            gas_limit: Some("0x10".into()),
            enable_gas_refill: true,
            config: ConfigFlags {
                inputs: InputFlags { env: vec!["A=b".into(), "C=".into()], ..InputFlags::default() },
                ..ConfigFlags::default()
            },
            ..JobFlags::default()
        };
        let argv = flags.arguments(&words("a.wasm run -7 --env")).expect("nothing to walk");
        let expected = "--snapshot-input in/ --snapshot-id 4 --gas-limit 0x10 --enable-gas-refill --env A=b --env C= \
                        a.wasm run -7 --env";
        assert_eq!(argv, words(expected));
    }

    #[test]
    fn a_directory_becomes_its_regular_files_in_order_of_guest_paths() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let root = temporary.path();
        fs::create_dir_all(root.join("b").join("deep")).expect("directories");
        for name in ["z.txt", "b/deep/x", "b/a", "a-file"] {
            fs::write(root.join(name), name).expect("a file");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.join("z.txt"), root.join("link")).expect("a link");
        let host = root.to_str().expect("UTF-8");
        for (guest, open, below) in [
            ("/data", "/data", "/data/"),
            ("/data/", "/data", "/data/"),
            ("./a//b/", "a/b", "a/b/"),
            (".", ".", "/"),
            ("/", "/", "/"),
        ] {
            let flags = InputFlags { dir: vec![format!("{host}::{guest}")], ..InputFlags::default() };
            let guests: Vec<String> = flags.files().expect("walks").into_iter().map(|(guest, _)| guest).collect();
            assert_eq!(guests, ["a-file", "b/a", "b/deep/x", "z.txt"].map(|name| format!("{below}{name}")));
            assert_eq!(flags.open_directories().expect("a name"), [open]);
        }
    }

    #[test]
    fn a_directory_alone_is_open_under_its_own_name_as_wasmtime_has_it() {
        assert_eq!(directory("data").expect("a name"), ("data", "data".to_owned()));
        assert_eq!(directory("./data/").expect("a name"), ("./data/", "data".to_owned()));
        assert_eq!(directory(".").expect("a name"), (".", ".".to_owned()));
        assert_eq!(directory("/srv").expect("a name"), ("/srv", "/srv".to_owned()));
        let failure = directory("../data").expect_err("leaves every directory");
        assert!(failure.to_string().ends_with("help: give it another name: --dir ../data::NAME"), "{failure}");
    }

    #[test]
    fn the_root_is_open_too_where_files_are_given_one_by_one_and_what_is_asked_for_comes_before_all() {
        let dir = vec!["a".to_owned(), "b::a".to_owned(), "c".to_owned()];
        let mut flags = InputFlags { dir, ..InputFlags::default() };
        assert_eq!(flags.open_directories().expect("names"), ["a", "c"]);
        flags.file = vec!["x=y".to_owned()];
        assert_eq!(flags.open_directories().expect("names"), ["/", "a", "c"]);
        flags.preopen = vec!["/tmp".to_owned()];
        assert_eq!(flags.open_directories().expect("names"), ["/tmp"]);
    }

    #[test]
    fn malformed_pairs_are_named() {
        let flags = InputFlags { dir: vec!["host::".into()], ..InputFlags::default() };
        assert_eq!(flags.files().expect_err("no guest").what(), "--dir host::: expected HOST or HOST::GUEST");
        let flags = InputFlags { file: vec!["=x".into()], ..InputFlags::default() };
        assert_eq!(flags.files().expect_err("no guest").code(), 2);
    }

    #[test]
    fn a_directory_that_is_not_there_is_a_mistake_in_the_command_line() {
        let flags = InputFlags { dir: vec!["/nowhere/at/all::/data".into()], ..InputFlags::default() };
        assert_eq!(flags.files().expect_err("absent").code(), 2);
    }
}
