//! Chiwawa, the other interpreter that is wasm and writes snapshots, in the same wasmtime as the node. It is a WASI
//! command that takes a program, an export and parameters.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use peers_shim::wasi::Output;
use tempfile::TempDir;
use wasmtime::{Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

use super::wasmtime::inner_engine;
use super::whole::{Net, Whole};
use super::{Load, Run};
use crate::program::{Answer, Task};

/// Bytes of output that are kept.
const OUTPUT: usize = 64 << 20;

#[derive(Clone)]
struct Chiwawa {
    module: Module,
    linker: Linker<WasiP1Ctx>,
}

/// The Chiwawa in the file `path`.
pub fn load(path: &Path) -> Result<Load> {
    let wasm = std::fs::read(path).with_context(|| path.display().to_string())?;
    let engine = inner_engine()?;
    let mut linker = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |context| context)?;
    let chiwawa = Chiwawa { module: Module::new(&engine, wasm)?, linker };
    Ok(Box::new(move |program| Ok(Box::new(Net::new(chiwawa.clone(), program)?))))
}

impl Whole for Chiwawa {
    fn run(&self, folder: &TempDir, program: &str, task: &Task) -> Result<Run> {
        let mut argv = vec!["chiwawa".to_owned(), program.to_owned()];
        match task {
            Task::Call { n } => argv.extend(["--invoke", "run", "--params", &format!("I32({n})")].map(str::to_owned)),
            Task::Command { args, .. } if args.len() > 1 => {
                argv.extend(["--app-args".to_owned(), args[1..].join(" ")]);
            }
            Task::Command { .. } => {}
            Task::SetupRun(_) => bail!("the command calls one export only"),
        }
        let start = Instant::now();
        let (exit_code, stdout) = self.start(folder, &argv)?;
        let time = start.elapsed();
        let answer = match task {
            Task::Call { .. } => value(&stdout)?,
            _ => task.answer(Output::new(exit_code, &stdout)),
        };
        Ok(Run { time, answer })
    }
}

impl Chiwawa {
    fn start(&self, folder: &TempDir, argv: &[String]) -> Result<(i32, Vec<u8>)> {
        let stdout = MemoryOutputPipe::new(OUTPUT);
        let mut context = WasiCtxBuilder::new();
        context.args(argv).stdout(stdout.clone()).preopened_dir(folder.path(), ".", FsPerms::ReadOnly)?;
        let mut store = Store::new(self.module.engine(), context.build_p1());
        let instance = self.linker.instantiate(&mut store, &self.module)?;
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        let exit_code = match start.call(&mut store, ()) {
            Ok(()) => 0,
            Err(error) => error.downcast_ref::<I32Exit>().map(|exit| exit.0).ok_or_else(|| anyhow!("{error:#}"))?,
        };
        Ok((exit_code, stdout.contents().to_vec()))
    }
}

/// The result that it prints, as Rust prints a value of its own: `... I64(123) ...`.
fn value(stdout: &[u8]) -> Result<Answer> {
    let text = String::from_utf8_lossy(stdout);
    let number = text.rsplit_once("I64(").and_then(|(_, rest)| rest.split_once(')'));
    let (number, _) = number.with_context(|| format!("it printed {text:?}"))?;
    Ok(Answer::Value(number.trim().parse::<i64>().with_context(|| number.to_owned())?.cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_is_the_result() {
        assert_eq!(value(b"Result: Num(I64(-1))\n").expect("a value"), Answer::Value(u64::MAX));
        assert!(value(b"Error: Trap\n").is_err());
    }
}
