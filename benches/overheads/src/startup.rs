//! From a program's bytes to its first instruction. A job reads and validates the whole module; functions are translated
//! when they are first called, so translating all of them is measured apart, through benches/startup.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use startup::Program;
use wasmtime::{Engine, Instance, Linker, Module, Store, WasmParams};

use crate::Bench;
use crate::figures::{Figure, Target, median, middle, millis, rate, timed};
use crate::node::{Files, Place, load};

/// The biggest sample programs.
const PROGRAMS: [&str; 3] = ["go_hello.wasm", "iostream_cpp.wasm", "rust_std.wasm"];

pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let wasm = Translating::compile(&crate::read(&bench.startup)?)?;
    let mut figures = Vec::new();
    for file in PROGRAMS {
        let bytes = bench.program(file)?;
        let code = code_size(&bytes)?;
        let sizes = format!("{file}: {} bytes, {code} of them code", bytes.len());
        for (place, target) in [(Target::None, None), (Target::AtLeast(40.0), Some(&wasm))] {
            figures.extend(translation(bench, &bytes, code, place, target, &sizes)?);
        }
        for place in &bench.places {
            let time = median(bench.rounds, || ready(place, &bytes))?;
            let target = if place.name() == "wasm" { Target::AtMost(100.0) } else { Target::None };
            figures.push(Figure::new(
                format!("ready to run, {}", place.name()),
                millis(time),
                "ms",
                target,
                sizes.clone(),
            ));
        }
    }
    Ok(figures)
}

/// Reading and validating, and translating every function: megabytes of code a second.
fn translation(
    bench: &Bench,
    bytes: &[u8],
    code: usize,
    target: Target,
    wasm: Option<&Translating>,
    sizes: &str,
) -> Result<[Figure; 2]> {
    let (mut parsing, mut both) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let [parse, translate] = match wasm {
            Some(wasm) => wasm.times(bytes)?,
            None => native_times(bytes)?,
        };
        parsing.push(parse);
        both.push(parse + translate);
    }
    let place = if wasm.is_some() { "wasm" } else { "native" };
    let figure = |what: &str, times: Vec<Duration>, target| {
        let name = format!("{what}, {place}");
        Figure::new(name, rate(code, middle(times)), "MB/s", target, sizes.to_owned())
    };
    Ok([figure("validate", parsing, Target::None), figure("validate and translate all", both, target)])
}

fn native_times(bytes: &[u8]) -> Result<[Duration; 2]> {
    let bytes = bytes.to_vec();
    let (mut program, parse) = timed(|| Program::parse(bytes).map_err(|error| anyhow::anyhow!("{error}")))?;
    let (_, translate) = timed(|| Ok(program.translate()))?;
    Ok([parse, translate])
}

/// benches/startup as wasm.
struct Translating(Module);

impl Translating {
    fn compile(bytes: &[u8]) -> Result<Self> {
        Ok(Self(Module::new(&Engine::default(), bytes)?))
    }

    fn times(&self, bytes: &[u8]) -> Result<[Duration; 2]> {
        let mut store = Store::new(self.0.engine(), ());
        let mut linker = Linker::new(self.0.engine());
        linker.define_unknown_imports_as_traps(&self.0)?;
        let instance = linker.instantiate(&mut store, &self.0)?;
        let length = bytes.len() as u32;
        let address = call(&mut store, instance, "buffer", length)?;
        let memory = instance.get_memory(&mut store, "memory").context("no memory")?;
        memory.write(&mut store, address as usize, bytes)?;
        let (ok, parse) = timed(|| call(&mut store, instance, "parse", ()))?;
        ensure!(ok == 1, "the program does not load in wasm");
        let (functions, translate) = timed(|| call(&mut store, instance, "translate", ()))?;
        ensure!(functions > 0, "no functions");
        Ok([parse, translate])
    }
}

fn call(store: &mut Store<()>, instance: Instance, export: &str, params: impl WasmParams) -> Result<u32> {
    let function = instance.get_typed_func(&mut *store, export)?;
    Ok(function.call(store, params)?)
}

/// From a node without a job to one that wants no more files.
fn ready(place: &Place, bytes: &[u8]) -> Result<Duration> {
    let files = Files::from([("program.wasm".to_owned(), bytes.to_vec())]);
    let mut node = place.node()?;
    let start = Instant::now();
    load(node.as_mut(), &["program.wasm"], &files)?;
    Ok(start.elapsed())
}

/// Bytes of the code section.
pub fn code_size(bytes: &[u8]) -> Result<usize> {
    startup::code_size(bytes.to_vec()).map_err(|error| anyhow::anyhow!("{error}"))
}
