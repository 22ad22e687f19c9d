//! The node's command face on a real directory, under a WASI that can be told to fail: every call that concerns files is
//! recorded, one of them answers with an error of our choice, and the node stops where its fuel ends.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use stepmark_runner::node::embedded_module::NODE_WASM;
use wasmtime::{
    AsContext, AsContextMut, Caller, Config, Engine, Extern, Func, FuncType, Instance, InstancePre, Linker, Memory,
    Module, Store, Trap, Val, ValType,
};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

const MODULE: &str = "wasi_snapshot_preview1";
/// The functions that can fail, and where their path is: after the file's descriptor comes a path at this parameter.
const FUNCTIONS: [(&str, Option<usize>); 10] = [
    ("path_open", Some(2)),
    ("path_filestat_get", Some(2)),
    ("path_create_directory", Some(1)),
    ("path_unlink_file", Some(1)),
    ("path_rename", Some(4)),
    ("fd_filestat_get", None),
    ("fd_read", None),
    ("fd_readdir", None),
    ("fd_sync", None),
    ("fd_write", None),
];
/// Parameter of `path_open` that says where the new descriptor goes.
const OPENED: usize = 8;
/// The first descriptor of a file: before it come the standard streams and the directory.
const FIRST_FILE: i32 = 4;
/// Fuel for a run that nothing stops.
pub const PLENTY: u64 = 10_000_000_000;

/// A call that concerns a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function's name.
    pub function: &'static str,
    /// The file.
    pub path: String,
    /// The parameters that are 32 bits wide.
    pub params: Vec<i32>,
    /// Fuel used up to it.
    pub fuel: u64,
}

/// What happens instead of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This error.
    Errno(i32),
    /// Half of the bytes are written: no error.
    Half,
    /// No byte is written, and no error.
    Nothing,
    /// The node stops.
    Stop,
}

/// How a run of the node ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; none when it was stopped.
    pub code: Option<i32>,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Its calls.
    pub calls: Vec<Call>,
    /// Fuel that it used.
    pub fuel: u64,
}

/// State of an instance's host functions.
struct Host {
    wasi: WasiP1Ctx,
    calls: Vec<Call>,
    open: BTreeMap<i32, String>,
    fault: Option<(usize, Answer)>,
    originals: BTreeMap<&'static str, Func>,
    fuel: u64,
}

/// The node, compiled once.
pub struct CommandFace {
    /// The functions as they are.
    plain: Linker<Host>,
    instance: InstancePre<Host>,
    trampoline: Module,
}

impl CommandFace {
    /// Compiles the embedded node.
    ///
    /// # Errors
    /// If wasmtime refuses it.
    pub fn new() -> Result<Self> {
        let engine = Engine::new(Config::new().consume_fuel(true))?;
        let module = Module::new(&engine, NODE_WASM)?;
        let mut plain = Linker::new(&engine);
        p1::add_to_linker_sync(&mut plain, |host: &mut Host| &mut host.wasi)?;
        let mut shadowed = plain.clone();
        shadowed.allow_shadowing(true);
        let mut types = Vec::new();
        for (name, path_at) in FUNCTIONS {
            let import = module.imports().find(|import| import.module() == MODULE && import.name() == name);
            let ty = import.and_then(|import| import.ty().func().cloned());
            let ty = ty.with_context(|| format!("the node does not import {name}"))?;
            types.push((name, ty.clone()));
            shadowed.func_new(MODULE, name, ty, move |caller, params, results| {
                shadow(caller, name, path_at, params, results)
            })?;
        }
        let trampoline = Module::new(&engine, wat::parse_str(trampoline(&types))?)?;
        Ok(Self { plain, instance: shadowed.instantiate_pre(&module)?, trampoline })
    }

    /// Runs the node in `dir` for at most `fuel`; the call of the number in `fault`, from 0, gets that answer.
    ///
    /// # Errors
    /// If the node fails in another way than by an exit code or where it was stopped.
    pub fn run(&self, dir: &Path, argv: &[String], fuel: u64, fault: Option<(usize, Answer)>) -> Result<Ran> {
        let stderr = MemoryOutputPipe::new(1 << 20);
        let mut context = WasiCtxBuilder::new();
        context.arg("guest-interp").args(argv).stderr(stderr.clone());
        context.preopened_dir(dir, ".", FsPerms::ReadWrite)?;
        let wasi = context.build_p1();
        let host = Host { wasi, calls: vec![], open: BTreeMap::new(), fault, originals: BTreeMap::new(), fuel };
        let mut store = Store::new(self.plain.engine(), host);
        store.set_fuel(fuel)?;
        let instance = self.instance.instantiate(&mut store)?;
        self.connect(&mut store, instance)?;
        let ended = instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ());
        let code = exit_code(ended)?;
        let fuel = fuel - store.get_fuel()?;
        let stderr = String::from_utf8_lossy(&stderr.contents()).into_owned();
        Ok(Ran { code, stderr, calls: store.into_data().calls, fuel })
    }

    /// Gives the shadows of an instance what they stand before.
    fn connect(&self, store: &mut Store<Host>, node: Instance) -> Result<()> {
        let memory = node.get_memory(&mut *store, "memory").context("the module exports no memory")?;
        let mut linker = self.plain.clone();
        linker.define(&mut *store, "node", "memory", memory)?;
        let trampoline = linker.instantiate(&mut *store, &self.trampoline)?;
        for (name, _) in FUNCTIONS {
            let original = trampoline.get_func(&mut *store, name).context("no function")?;
            store.data_mut().originals.insert(name, original);
        }
        Ok(())
    }
}

/// A module that calls the functions as they are, with the node's memory as its own: they look for it in their caller.
fn trampoline(types: &[(&str, FuncType)]) -> String {
    let words = |types: &mut dyn Iterator<Item = ValType>| types.map(|ty| format!(" {ty}")).collect::<String>();
    let (mut imports, mut functions) = (String::new(), String::new());
    for (name, ty) in types {
        let signature = format!("(param{}) (result{})", words(&mut ty.params()), words(&mut ty.results()));
        imports += &format!("(import \"{MODULE}\" \"{name}\" (func ${name} {signature}))");
        let arguments: String = (0..ty.params().len()).map(|index| format!("(local.get {index})")).collect();
        functions += &format!("(func (export \"{name}\") {signature} (call ${name} {arguments}))");
    }
    format!("(module {imports} (import \"node\" \"memory\" (memory 0)) (export \"memory\" (memory 0)) {functions})")
}

/// The exit code; none when the node was stopped.
fn exit_code(ended: wasmtime::Result<()>) -> Result<Option<i32>> {
    let Err(error) = ended else { bail!("the module returned without an exit code") };
    match (error.downcast_ref::<I32Exit>(), error.downcast_ref::<Trap>(), error.downcast_ref::<Stopped>()) {
        (Some(exit), ..) => Ok(Some(exit.0)),
        (_, Some(Trap::OutOfFuel), _) | (.., Some(Stopped)) => Ok(None),
        _ => Err(anyhow!("the node failed: {error:#}")),
    }
}

/// The end of a run at [`Answer::Stop`].
#[derive(Debug)]
struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

/// Records a call, and passes it on unless it is the one to fail.
fn shadow(
    mut caller: Caller<'_, Host>,
    name: &'static str,
    path_at: Option<usize>,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(wasmtime::Error::msg("the module exports no memory"));
    };
    let words: Vec<i32> = params.iter().filter_map(Val::i32).collect();
    let word = |at: usize| params.get(at).and_then(Val::i32).unwrap_or_default();
    let path = match path_at {
        Some(at) => text(memory, &caller, word(at), word(at + 1)),
        None if word(0) < FIRST_FILE => return pass_on(caller, name, params, results),
        None => caller.data().open.get(&word(0)).cloned().unwrap_or_default(),
    };
    let number = caller.data().calls.len();
    let fuel = caller.data().fuel.saturating_sub(caller.get_fuel()?);
    caller.data_mut().calls.push(Call { function: name, path: path.clone(), params: words, fuel });
    match caller.data().fault.filter(|(at, _)| *at == number).map(|(_, answer)| answer) {
        Some(Answer::Errno(errno)) => return set(results, errno),
        Some(Answer::Stop) => return Err(wasmtime::Error::new(Stopped)),
        Some(Answer::Nothing) => {
            memory.write(&mut caller, word(3) as usize, &0u32.to_le_bytes())?;
            return set(results, 0);
        }
        Some(Answer::Half) => halve(memory, &mut caller, word(1) as usize + 4)?,
        None => {}
    }
    pass_on(caller.as_context_mut(), name, params, results)?;
    if name == "path_open" && results.first().and_then(Val::i32) == Some(0) {
        let fd = read_word(memory, &caller, word(OPENED) as usize);
        caller.data_mut().open.insert(fd, path);
    }
    Ok(())
}

fn pass_on(
    mut store: impl AsContextMut<Data = Host>,
    name: &str,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let original = store.as_context().data().originals.get(name).copied();
    original.ok_or_else(|| wasmtime::Error::msg("no such function"))?.call(&mut store, params, results)
}

fn set(results: &mut [Val], errno: i32) -> wasmtime::Result<()> {
    results.iter_mut().for_each(|result| *result = Val::I32(errno));
    Ok(())
}

fn text(memory: Memory, store: impl AsContext, address: i32, len: i32) -> String {
    let mut bytes = vec![0; len as usize];
    drop(memory.read(store, address as usize, &mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read_word(memory: Memory, store: impl AsContext, address: usize) -> i32 {
    let mut bytes = [0; 4];
    drop(memory.read(store, address, &mut bytes));
    i32::from_le_bytes(bytes)
}

/// Halves the length at `address`, that of the first buffer of a write.
fn halve(memory: Memory, caller: &mut Caller<'_, Host>, address: usize) -> wasmtime::Result<()> {
    let half = read_word(memory, &*caller, address) / 2;
    Ok(memory.write(caller, address, &half.to_le_bytes())?)
}
