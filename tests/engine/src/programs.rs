//! The sample programs of `wasmfiles/` and what `expected.toml` says they do; those that need no WASI run here on a
//! [`Machine`] directly.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, HostImports, InstanceLinker, Machine, NoHost, Stop, TierKind};
use stepmark_core::module::{ExternType, Features, FuncType, Module};
use stepmark_state::limits::Limits;

/// `expected.toml`.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// Version of its format.
    pub schema: u32,
    /// The programs.
    pub program: Vec<Program>,
}

/// A program and its cases.
#[derive(Debug, Deserialize)]
pub struct Program {
    /// File name.
    pub file: String,
    /// `command`, `reactor` or `module`.
    pub kind: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Every `module.name` that it imports, sorted, each once.
    pub imports: Vec<String>,
    /// Files to link first, by import module name.
    #[serde(default)]
    pub link: BTreeMap<String, String>,
    /// The cases.
    #[serde(default)]
    pub case: Vec<Case>,
}

/// A run of a command, or calls on a fresh instance.
#[derive(Debug, Default, Deserialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Arguments of a command.
    #[serde(default)]
    pub args: Vec<String>,
    /// All environment variables of a command.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Standard input of a command.
    #[serde(default)]
    pub stdin: String,
    /// Standard output of a command.
    pub stdout: Option<String>,
    /// Standard error of a command.
    pub stderr: Option<String>,
    /// Exit code of a command, unless it traps.
    pub exit_code: Option<i32>,
    /// Text of a command's trap.
    pub trap: Option<String>,
    /// The calls; none for a command.
    #[serde(default)]
    pub calls: Vec<Call>,
}

/// A call and what it comes to.
#[derive(Debug, Deserialize)]
pub struct Call {
    /// Name of the export.
    pub export: String,
    /// Arguments, unsigned decimal numbers.
    pub args: Vec<String>,
    /// Results, unless it traps.
    pub results: Option<Vec<String>>,
    /// Text of the trap.
    pub trap: Option<String>,
}

/// The directory of the sample programs.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../wasmfiles")
}

/// What the programs are expected to do.
///
/// # Errors
/// If the file cannot be read.
pub fn expected() -> Result<Expected> {
    Ok(toml::from_str(&std::fs::read_to_string(directory().join("expected.toml"))?)?)
}

/// The bytes of a sample program.
///
/// # Errors
/// If the file cannot be read.
pub fn bytes(file: &str) -> Result<Vec<u8>> {
    std::fs::read(directory().join(file)).with_context(|| file.to_owned())
}

/// Offers every function that a module imports, and answers none of them.
struct Silent(BTreeMap<(String, String), FuncType>);

impl HostImports for Silent {
    fn resolve(&self, module: &str, name: &str) -> Option<(u32, FuncType)> {
        self.0.get(&(module.to_owned(), name.to_owned())).map(|ty| (0, ty.clone()))
    }
}

/// A machine with a program, everything linked and initialised, functions of WASI present but never to be called.
///
/// # Errors
/// If a file is missing or does not link, or `_initialize` does not return.
pub fn machine(program: &Program, schedule: &Schedule, tier: TierKind) -> Result<(Machine, u32)> {
    let mut machine = Machine::new(schedule.clone(), Limits::default());
    machine.set_tier(tier);
    let mut linker = InstanceLinker::default();
    for (name, file) in &program.link {
        let library = Arc::new(Module::parse(bytes(file)?, Features::default())?);
        let library = machine.link(name, library, &linker, &NoHost)?;
        machine.store.write_segments(library)?;
        linker.register(name, library);
    }
    let module = Arc::new(Module::parse(bytes(&program.file)?, Features::default())?);
    let wasi = module.imports().iter().filter(|import| import.module == "wasi_snapshot_preview1");
    let wasi = wasi.filter_map(|import| match &import.ty {
        ExternType::Func(ty) => Some(((import.module.clone(), import.name.clone()), ty.clone())),
        _ => None,
    });
    let silent = Silent(wasi.collect());
    let instance = machine.link("", module.clone(), &linker, &silent)?;
    machine.store.write_segments(instance)?;
    ensure!(module.start().is_none(), "{} has a start function", program.file);
    if program.kind == "reactor" {
        let ended = call(&mut machine, instance, "_initialize", &[])?;
        ensure!(ended.is_ok(), "{}: _initialize: {ended:?}", program.file);
    }
    Ok((machine, instance))
}

/// Calls an export without bounds; its results, or the text of its trap.
///
/// # Errors
/// If there is no such export, or the call ends in another way.
pub fn call(machine: &mut Machine, instance: u32, export: &str, args: &[u64]) -> Result<Result<Vec<u64>, String>> {
    let Some(Extern::Func(func)) = machine.store.export(instance, export) else { bail!("no function {export:?}") };
    if let Err(trap) = machine.invoke(func, args) {
        return Ok(Err(trap.message().to_owned()));
    }
    match machine.run(Budget::UNLIMITED) {
        Stop::Done(values) => Ok(Ok(values)),
        Stop::Trap(trap) => Ok(Err(trap.message().to_owned())),
        other => bail!("{export} stopped with {other:?}"),
    }
}

/// Runs a case of a program that is no command, and compares.
///
/// # Errors
/// The first call that comes to something else.
pub fn run_case(program: &Program, case: &Case, schedule: &Schedule, tier: TierKind) -> Result<Machine> {
    let (mut machine, instance) = machine(program, schedule, tier)?;
    for expected in &case.calls {
        let args: Vec<u64> = expected.args.iter().map(|a| a.parse()).collect::<Result<_, _>>()?;
        let wanted = match (&expected.results, &expected.trap) {
            (Some(results), None) => Ok(results.iter().map(|r| r.parse()).collect::<Result<Vec<u64>, _>>()?),
            (None, Some(trap)) => Err(trap.clone()),
            _ => bail!("a call has results or a trap"),
        };
        let ended = call(&mut machine, instance, &expected.export, &args)?;
        ensure!(ended == wanted, "{}{args:?}: {ended:?}, expected {wanted:?}", expected.export);
    }
    Ok(machine)
}
