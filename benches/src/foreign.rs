//! Folders of programs that others wrote: WASI commands, and modules with `setup` and `run` in the form of wasmi's
//! benchmark programs. No results are listed for them; the engines have to agree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use peers_shim::{Number, wasi};
use serde::Deserialize;
use wasmparser::ValType;

use crate::engines::PROGRAM;
use crate::interface::Interface;
use crate::program::{Program, Task};
use crate::wrapper::wrapper;

/// What a folder may say about its programs, by name.
const SETTINGS: &str = "peers.toml";

/// Arguments of `setup` for the programs of github.com/wasmi-labs/rust-benchmarks, and for all others.
const DEFAULT_N: [(&str, i64); 7] = [
    ("argon2", 10_000),
    ("mandelbrot", 150),
    ("matrix_mul", 200),
    ("nbody", 400),
    ("prime_sieve", 1_000_000),
    ("sort", 100_000),
    ("spectralnorm", 300),
];
const OTHER_N: i64 = 1_000;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    program: BTreeMap<String, Setting>,
}

/// What is said about one program.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Setting {
    /// Argument of `setup`.
    n: Option<i64>,
    /// Arguments of a command, without its name.
    args: Vec<String>,
    /// The output of a command has times or random numbers in it: only the exit code counts.
    output_varies: bool,
}

/// The programs in and below `folder`; those that no engine here can drive are named and left out.
///
/// # Errors
/// If a file cannot be read, or there is no program.
pub fn found(folder: &Path) -> Result<Vec<Program>> {
    let settings = settings(&folder.join(SETTINGS))?;
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    ensure!(!paths.is_empty(), "no .wasm file in {}", folder.display());
    let mut programs = Vec::new();
    for path in paths {
        let name = name(folder, &path);
        let wasm = fs::read(&path).with_context(|| path.display().to_string())?;
        match task(&name, &wasm, settings.get(&name).cloned().unwrap_or_default()) {
            Ok(task) => programs.push(Program { name, wasm, task, answer: None }),
            Err(error) => println!("left out: {name}: {error:#}"),
        }
    }
    Ok(programs)
}

fn settings(path: &Path) -> Result<BTreeMap<String, Setting>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let settings: Settings = toml::from_str(&fs::read_to_string(path)?).with_context(|| path.display().to_string())?;
    Ok(settings.program)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "wasm") {
            paths.push(path);
        }
    }
    Ok(())
}

/// The path below the folder without its ending; `NAME/out.wasm` is NAME.
fn name(folder: &Path, path: &Path) -> String {
    let path = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let path = if path.ends_with("out") { path.parent().unwrap_or(&path) } else { &path };
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn task(name: &str, wasm: &[u8], setting: Setting) -> Result<Task> {
    let interface = Interface::of(wasm)?;
    if let Some(import) = interface.imports.iter().find(|import| import.module != wasi::MODULE) {
        bail!("it imports {}.{}", import.module, import.name);
    }
    if interface.export("_start").is_some() {
        let args = std::iter::once(PROGRAM.to_owned()).chain(setting.args).collect();
        return Ok(Task::Command { args, checked: !setting.output_varies });
    }
    let (Some((setup, [ValType::I32])), Some(([ValType::I32], run))) =
        (interface.export("setup"), interface.export("run"))
    else {
        bail!("it exports neither _start nor setup and run");
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let listed = DEFAULT_N.iter().find(|(listed, _)| *listed == last);
    let n = setting.n.unwrap_or(listed.map_or(OTHER_N, |(_, n)| *n));
    let argument = match setup {
        [] => None,
        [ValType::I32] => Some(Number::I32(i32::try_from(n)?)),
        [ValType::I64] => Some(Number::I64(n)),
        _ => bail!("its setup takes more than one number"),
    };
    let output = match interface.export("output") {
        Some(([ValType::I32], [ty])) => Some(*ty),
        _ => None,
    };
    Ok(Task::SetupRun(wrapper(argument, run, output)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short() {
        let name = |path: &str| name(Path::new("d"), Path::new(path));
        assert_eq!(name("d/fib.wasm"), "fib");
        assert_eq!(name("d/cases/sort/out.wasm"), "cases/sort");
    }

    #[test]
    fn both_forms_are_recognised() {
        let task = |text: &str| task("sort", &wat::parse_str(text).expect(text), Setting::default());
        let command = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
            (memory (export "memory") 1) (func (export "_start")))"#;
        assert!(matches!(task(command), Ok(Task::Command { checked: true, .. })));
        let pair = r#"(module (memory (export "memory") 1) (func (export "setup") (param i64) (result i32) i32.const 8)
            (func (export "run") (param i32)))"#;
        let Ok(Task::SetupRun(pair)) = task(pair) else { panic!("it has setup and run") };
        assert_eq!(pair.argument, Some(Number::I64(100_000)));
        assert!(!pair.output);
        assert!(task("(module)").is_err());
        assert!(task(r#"(module (import "env" "clock_ms" (func)) (func (export "_start")))"#).is_err());
    }
}
