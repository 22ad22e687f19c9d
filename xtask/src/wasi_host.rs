//! `xtask wasi-host`: the engines that are libraries as a process with a command line, so that `portability` drives them
//! like every other runtime. Plain: the WASI that comes with the engine, one directory as `.`, nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use stepmark_runner::node::cache;
use wasmi_wasi::WasiCtx;
use wasmi_wasi::sync::{Dir, WasiCtxBuilder as WasmiContext, ambient_authority};
use wasmtime::Strategy;
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// What the node gets as its own name.
const ARGV0: &str = "guest-interp";

#[derive(Clone, Copy, clap::ValueEnum)]
enum Engine {
    Cranelift,
    Winch,
    Wasmi,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    engine: Engine,
    /// A WASI command
    program: PathBuf,
    /// What it sees as `.`
    directory: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Ends with the program's exit code.
pub(crate) fn run(args: &Args) -> ExitCode {
    let wasm = std::fs::read(&args.program).map_err(|error| anyhow!("{}: {error}", args.program.display()));
    let code = wasm.and_then(|wasm| match args.engine {
        Engine::Cranelift => in_wasmtime(Strategy::Cranelift, &wasm, &args.directory, &args.arguments),
        Engine::Winch => in_wasmtime(Strategy::Winch, &wasm, &args.directory, &args.arguments),
        Engine::Wasmi => in_wasmi(&wasm, &args.directory, &args.arguments),
    });
    match code {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(u8::MAX)
        }
    }
}

fn in_wasmtime(strategy: Strategy, wasm: &[u8], directory: &Path, arguments: &[String]) -> Result<i32> {
    let mut config = wasmtime::Config::new();
    config.strategy(strategy);
    config.cache(cache::compilation_cache());
    let engine = wasmtime::Engine::new(&config)?;
    let module = wasmtime::Module::new(&engine, wasm)?;
    let mut linker = wasmtime::Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |context: &mut WasiP1Ctx| context)?;
    let mut context = WasiCtxBuilder::new();
    context.arg(ARGV0).args(arguments).inherit_stdout().inherit_stderr();
    context.preopened_dir(directory, ".", FsPerms::ReadWrite)?;
    let mut store = wasmtime::Store::new(&engine, context.build_p1());
    let start = linker.instantiate(&mut store, &module)?.get_typed_func::<(), ()>(&mut store, "_start")?;
    match start.call(&mut store, ()) {
        Ok(()) => Ok(0),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0),
            None => bail!("{error:#}"),
        },
    }
}

fn in_wasmi(wasm: &[u8], directory: &Path, arguments: &[String]) -> Result<i32> {
    let engine = wasmi::Engine::default();
    let module = wasmi::Module::new(&engine, wasm)?;
    let mut linker = wasmi::Linker::new(&engine);
    wasmi_wasi::add_to_linker(&mut linker, |context: &mut WasiCtx| context)?;
    let mut context = WasmiContext::new();
    context.arg(ARGV0)?.args(arguments)?.inherit_stdout().inherit_stderr();
    context.preopened_dir(Dir::open_ambient_dir(directory, ambient_authority())?, ".")?;
    let mut store = wasmi::Store::new(&engine, context.build());
    let start = linker.instantiate_and_start(&mut store, &module)?.get_typed_func::<(), ()>(&store, "_start")?;
    match start.call(&mut store, ()) {
        Ok(()) => Ok(0),
        Err(error) => error.i32_exit_status().ok_or_else(|| anyhow!("{error}")),
    }
}
