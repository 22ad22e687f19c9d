//! The reference: the same program directly on wasmtime, with the same features and limits, NaNs made canonical, and
//! WASI by wasmtime-wasi. Clock and random answers are fed from the node's record when there is one, because no two
//! hosts would give the same; everything else has to come out the same by itself.

mod compare;
mod inputs;
mod nature;
mod outcome;
mod replay;
mod stand_in;

use std::path::{Path, PathBuf};
use std::time::Instant;

use stepmark_core::module::UNKNOWN_IMPORTS;
use stepmark_hosts::wasi;
use stepmark_session::report::ReturnedValue;
use stepmark_session::spec::JobSpec;
use stepmark_session::values::{ValKind, parse_values};
use stepmark_state::limits::Limits;
use wasmtime::{
    Config, Engine, Extern, Func, FuncType, Instance, Linker, Module, ResourceLimiter, Store, Val, ValType,
};
use wasmtime_wasi::p0;
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use crate::failure::{DATA, Failure, IO, Result};
use crate::foreign::{self, ForeignKind};
use crate::node::cache;
use crate::reference::inputs::InputTree;
use crate::reference::replay::RecordedInputs;

pub use compare::{Comparison, compare};
pub use outcome::{ReferenceEnd, ReferenceOutcome};

/// The modules that programs import WASI from.
const WASI_MODULES: [&str; 2] = [wasi::MODULE, wasi::MODULE_0];
/// Bytes of native stack for the program: the node's 65,536 frames with up to 4 KiB each.
const WASM_STACK: usize = 256 << 20;
/// Bytes of stack for the thread, which needs some beside the program's.
const THREAD_STACK: usize = WASM_STACK + (8 << 20);

/// What to run.
#[derive(Clone, Debug)]
pub struct ReferenceJob {
    /// The program's file.
    pub program: PathBuf,
    /// The export and its arguments, or the arguments of a command.
    pub words: Vec<String>,
    /// Environment, each name once.
    pub env: Vec<(String, String)>,
    /// File with the standard input; empty without.
    pub stdin: Option<PathBuf>,
    /// Input files: path as the program sees it, and file.
    pub files: Vec<(String, PathBuf)>,
    /// Directories that are open to the program.
    pub preopens: Vec<String>,
    /// Modules that the program imports from.
    pub preload: Vec<(String, PathBuf)>,
    /// Whether imported functions that nothing provides return zeros, or trap; none where they are an error.
    pub unknown_imports: Option<bool>,
    /// Limits of memory and tables.
    pub limits: Limits,
    /// Whether a NaN that an operator makes is the canonical one, as in the node; wasmtime by itself takes the processor's.
    pub canonical_nans: bool,
    /// Standard input that is no file.
    pub piped: Option<Vec<u8>>,
    /// The node's recorded clock and random answers.
    pub answers: Option<Vec<u8>>,
}

impl ReferenceJob {
    /// The part of a job that a run on wasmtime depends on.
    pub fn new(job: &JobSpec) -> Self {
        let paths = |files: &[(String, String)]| files.iter().map(|(name, path)| (name.clone(), path.into())).collect();
        let is_usual = job.preopens.is_empty() && !job.files.is_empty();
        let mut limits = Limits::default();
        limits.memory_bytes = job.max_memory.unwrap_or(limits.memory_bytes);
        Self {
            preopens: if is_usual { vec!["/".to_owned()] } else { job.preopens.clone() },
            program: PathBuf::from(&job.program),
            words: job.positionals.clone(),
            env: stepmark_snapshot::job::last_wins(job.env.clone()),
            stdin: job.stdin.as_ref().map(PathBuf::from),
            files: paths(&job.files),
            preload: paths(&job.preload),
            unknown_imports: job.features.iter().find(|(name, _)| name == UNKNOWN_IMPORTS).map(|(_, zeros)| *zeros),
            limits,
            canonical_nans: true,
            piped: None,
            answers: None,
        }
    }
}

/// Runs `job` to its end.
///
/// # Errors
/// What the program's caller did wrong (a bad module, a missing import, wrong arguments) and what the system refuses;
/// never what the program does, which is an [`ReferenceOutcome`].
pub fn run(job: ReferenceJob) -> Result<ReferenceOutcome> {
    // The main thread's stack is too small for the deepest call stack that the node allows.
    let thread = std::thread::Builder::new().stack_size(THREAD_STACK).spawn(move || run_here(&job));
    let thread = thread.map_err(|error| Failure::new(IO, "the reference's thread cannot start").caused_by(error))?;
    thread.join().unwrap_or_else(|_| Err(Failure::new(IO, "wasmtime panicked while it ran the reference")))
}

/// What the store carries for the program.
struct Host {
    wasi: WasiP1Ctx,
    replay: Option<RecordedInputs>,
    limiter: Limiter,
}

fn run_here(job: &ReferenceJob) -> Result<ReferenceOutcome> {
    let bad = |error: wasmtime::Error| {
        Failure::wasmtime(DATA, format!("{}: wasmtime refuses it", job.program.display()), &error)
    };
    let engine = Engine::new(&config(job.canonical_nans)).map_err(bad)?;
    let (stdout, stderr) = (MemoryOutputPipe::new(usize::MAX), MemoryOutputPipe::new(usize::MAX));
    let tree = InputTree::create(&job.files, &job.preopens)?;
    let host = Host {
        wasi: wasi(job, &tree, stdout.clone(), stderr.clone())?,
        replay: job.answers.clone().map(RecordedInputs::new),
        limiter: Limiter::new(&job.limits),
    };
    let mut store = Store::new(&engine, host);
    store.limiter(|host| &mut host.limiter);
    let mut linker = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |host: &mut Host| &mut host.wasi).map_err(bad)?;
    p0::add_to_linker_sync(&mut linker, |host: &mut Host| &mut host.wasi).map_err(bad)?;
    any_exit_code(&mut linker).map_err(bad)?;
    if job.answers.is_some() {
        replay::shadow(&mut linker).map_err(bad)?;
    }
    let module = load(&engine, &job.program)?;
    let linked = job.preload.iter().map(|(name, path)| Ok((name, load(&engine, path)?))).collect::<Result<Vec<_>>>()?;
    check_imports(job, &module, &linker, &mut store)?;
    let began = Instant::now();
    let ended = execute(job, &mut store, &mut linker, &module, &linked);
    let time = began.elapsed();
    let (end, values) = outcome::classify(ended)?;
    let replay = store.data().replay.as_ref();
    let unused = replay.map_or(0, RecordedInputs::remaining);
    Ok(ReferenceOutcome {
        end,
        values,
        stdout: stdout.contents().to_vec(),
        stderr: stderr.contents().to_vec(),
        unused_answers: unused,
        by_nature: nature::by_nature(std::iter::once(&module).chain(linked.iter().map(|(_, module)| module))),
        time,
    })
}

/// How a run failed: by its caller, or by what the program did.
enum Stopped {
    Caller(Failure),
    Program(wasmtime::Error),
}

impl From<wasmtime::Error> for Stopped {
    fn from(error: wasmtime::Error) -> Self {
        Self::Program(error)
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Caller(failure)
    }
}

/// Links, starts and calls: `_start` where there is one, else `_initialize` and then the export that is named.
fn execute(
    job: &ReferenceJob,
    store: &mut Store<Host>,
    linker: &mut Linker<Host>,
    module: &Module,
    linked: &[(&String, Module)],
) -> std::result::Result<Vec<ReturnedValue>, Stopped> {
    linker.allow_shadowing(true);
    for (name, module) in linked {
        stand_in::define(store, linker, module, job.unknown_imports)?;
        let instance = linker.instantiate(&mut *store, module)?;
        linker.instance(&mut *store, name, instance)?;
    }
    stand_in::define(store, linker, module, job.unknown_imports)?;
    let instance = linker.instantiate(&mut *store, module)?;
    if let Some(start) = niladic(store, instance, "_start") {
        start.call(&mut *store, &[], &mut [])?;
        return Ok(Vec::new());
    }
    let Some((entry, arguments)) = job.words.split_first() else {
        return Err(Failure::usage(format!("no entry is given: {}", exports(module))).into());
    };
    let Some(Extern::Func(function)) = instance.get_export(&mut *store, entry) else {
        return Err(Failure::usage(format!("no function '{entry}' is exported: {}", exports(module))).into());
    };
    let ty = function.ty(&*store);
    let kinds: Vec<ValKind> = ty.params().map(|ty| kind(&ty)).collect();
    let bits = parse_values(&kinds, arguments, &signature(entry, &ty)).map_err(Failure::from)?;
    let mut slots = bits.into_iter();
    let params: Vec<Val> = kinds.iter().map(|kind| value(*kind, &mut slots)).collect();
    if let Some(initialize) = niladic(store, instance, "_initialize").filter(|_| entry != "_initialize") {
        initialize.call(&mut *store, &[], &mut [])?;
    }
    let mut results = vec![Val::I32(0); ty.results().len()];
    function.call(&mut *store, &params, &mut results)?;
    Ok(results.iter().map(outcome::returned_value).collect())
}

/// The exported function `name` if it takes and returns nothing.
fn niladic(store: &mut Store<Host>, instance: Instance, name: &str) -> Option<Func> {
    let function = instance.get_func(&mut *store, name)?;
    let ty = function.ty(&*store);
    (ty.params().len() == 0 && ty.results().len() == 0).then_some(function)
}

/// The features that the node has, and no other.
fn config(canonical_nans: bool) -> Config {
    let mut config = Config::new();
    config
        .cranelift_nan_canonicalization(canonical_nans)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(THREAD_STACK)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        .wasm_multi_memory(true)
        .wasm_memory64(true)
        .wasm_exceptions(true)
        .wasm_function_references(true)
        .wasm_gc(false)
        .cache(cache::compilation_cache());
    config
}

fn wasi(job: &ReferenceJob, tree: &InputTree, stdout: MemoryOutputPipe, stderr: MemoryOutputPipe) -> Result<WasiP1Ctx> {
    let mut builder = WasiCtxBuilder::new();
    let name = job.program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    builder.arg(name).args(&job.words).envs(&job.env);
    let input = match (&job.piped, &job.stdin) {
        (Some(bytes), _) => bytes.clone(),
        (None, Some(path)) => foreign::read(path, ForeignKind::Input)?,
        (None, None) => Vec::new(),
    };
    builder.stdin(MemoryInputPipe::new(input)).stdout(stdout).stderr(stderr);
    for name in &job.preopens {
        let opened = builder.preopened_dir(tree.place(name), name, FsPerms::ReadWrite).map(|_| ());
        opened.map_err(|error| Failure::wasmtime(IO, "the reference's input files", &error))?;
    }
    Ok(builder.build_p1())
}

/// Lets the program exit with any code, as the node does; wasmtime-wasi refuses codes from 126 up.
fn any_exit_code(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    for module in WASI_MODULES {
        linker.func_wrap(module, "proc_exit", |code: i32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::new(I32Exit(code)))
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

fn load(engine: &Engine, path: &Path) -> Result<Module> {
    let refused = |error| Failure::wasmtime(DATA, format!("{}: wasmtime refuses it", path.display()), &error);
    Module::new(engine, foreign::read(path, ForeignKind::Module)?).map_err(refused)
}

/// Names the first import that nobody provides, before anything runs.
fn check_imports(job: &ReferenceJob, module: &Module, linker: &Linker<Host>, store: &mut Store<Host>) -> Result<()> {
    let missing = module.imports().find(|import| {
        let linked = job.preload.iter().any(|(name, _)| name == import.module());
        let has = linker.get(&mut *store, import.module(), import.name()).is_ok();
        !linked && !has && stand_in::of(import, job.unknown_imports).is_none()
    });
    match missing {
        Some(import) => {
            let (from, name) = (import.module(), import.name());
            Err(Failure::data(format!("{}: imports {from}.{name}, which nothing provides", job.program.display())))
        }
        None => Ok(()),
    }
}

fn exports(module: &Module) -> String {
    let functions =
        module.exports().filter_map(|export| export.ty().func().map(|ty| format!("{}: {ty}", export.name())));
    let functions: Vec<String> = functions.collect();
    if functions.is_empty() {
        "it exports no function".to_owned()
    } else {
        format!("exports are {}", functions.join(", "))
    }
}

/// A function as people write it: `fib(i32) -> (i32)`.
fn signature(name: &str, ty: &FuncType) -> String {
    let list = |types: Vec<String>| types.join(", ");
    let params = list(ty.params().map(|ty| ty.to_string()).collect());
    let results = list(ty.results().map(|ty| ty.to_string()).collect());
    format!("{name}({params}) -> ({results})")
}

fn kind(ty: &ValType) -> ValKind {
    match ty {
        ValType::I32 => ValKind::I32,
        ValType::I64 => ValKind::I64,
        ValType::F32 => ValKind::F32,
        ValType::F64 => ValKind::F64,
        ValType::V128 => ValKind::V128,
        _ => ValKind::Ref,
    }
}

/// The next value of those in these slots; 32-bit ones are the low half.
fn value(kind: ValKind, slots: &mut impl Iterator<Item = u64>) -> Val {
    let bits = slots.next().unwrap_or_default();
    let low = bits as u32;
    match kind {
        ValKind::I32 => Val::I32(low.cast_signed()),
        ValKind::I64 => Val::I64(bits.cast_signed()),
        ValKind::F32 => Val::F32(low),
        ValKind::F64 => Val::F64(bits),
        ValKind::V128 => {
            let high = slots.next().unwrap_or_default();
            Val::V128((u128::from(bits) | u128::from(high) << 64).into())
        }
        ValKind::Ref => Val::null_func_ref(),
    }
}

/// The job's limits, as the node counts them: all memories together, all tables together.
struct Limiter {
    memory: u64,
    tables: u64,
}

impl Limiter {
    fn new(limits: &Limits) -> Self {
        Self { memory: limits.memory_bytes, tables: limits.table_elements }
    }

    /// Takes the growth from what is left, if it fits in there and in the declared maximum.
    fn take(left: &mut u64, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        let growth = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        let fits = growth <= *left && maximum.is_none_or(|maximum| desired <= maximum);
        if fits {
            *left -= growth;
        }
        fits
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(Self::take(&mut self.memory, current, desired, maximum))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(Self::take(&mut self.tables, current, desired, maximum))
    }
}
