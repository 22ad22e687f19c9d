//! Programs that are compared: any module, every exported function of it called with random arguments.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use engine_tests::generate::program::random_program;
use engine_tests::generate::{Rng, random_args, random_schedule, smith_module};
use stepmark_compile::Companion;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop};
use stepmark_core::module::{Features, Module, ValType};
use stepmark_state::limits::Limits;
use wasmtime::Engine;

use crate::accesses::random_accesses;
use crate::host::Host;
use crate::oracle::{Bounds, Call, Figures};

/// Bytes of the area of frames.
pub(crate) const AREA: u32 = 1 << 17;

/// How far the calls of random modules go.
pub const BOUNDS: Bounds = Bounds { gas: 20_000, every: 40, random: 20, segments: 30, longest: 600 };

/// The module and the schedule of a seed: a third of them are of wasm-smith, which has none for some, and a third access memory more than
/// others; a quarter has prices at random.
///
/// # Errors
/// If the module is none.
pub fn random_subject(seed: u64) -> Result<Option<(Vec<u8>, Schedule)>> {
    let schedule = if seed.is_multiple_of(4) { random_schedule(seed) } else { Schedule::default() };
    let text = |text: String| wat::parse_str(text).with_context(|| format!("seed {seed}")).map(Some);
    let module = match seed % 3 {
        0 => text(random_program(seed))?,
        1 => text(random_accesses(seed))?,
        _ => smith_module(seed, true),
    };
    Ok(module.map(|module| (module, schedule)))
}

/// A machine with one instance, its segments written and its start function run; `None` if that fails.
pub fn linked(bytes: &[u8], schedule: &Schedule, limits: Limits) -> Result<Option<(Machine, u32)>> {
    let module = Module::parse(bytes.to_vec(), Features::default())?;
    let start = module.start();
    let mut machine = Machine::new(schedule.clone(), limits);
    let Ok(instance) = machine.link("", Arc::new(module), &InstanceLinker::default(), &NoHost) else { return Ok(None) };
    if machine.store.write_segments(instance).is_err() {
        return Ok(None);
    }
    if let Some(start) = start {
        let func = machine.store.instances[instance as usize].funcs[start as usize];
        let done = machine.invoke(func, &[]).is_ok()
            && matches!(machine.run(Budget { gas: 100_000, steps: 100_000 }), Stop::Done(_));
        if !done {
            return Ok(None);
        }
    }
    Ok(Some((machine, instance)))
}

/// Compares every exported function that is compiled, on calls with random arguments.
///
/// # Errors
/// The first difference.
pub fn compare_exports(engine: &Engine, subject: &(Machine, u32), seed: u64, bounds: Bounds) -> Result<Figures> {
    compare_changed(engine, subject, seed, bounds, &|_| {})
}

/// The same after `change` has been made to what is known of the companion.
///
/// # Errors
/// The first difference.
pub fn compare_changed(
    engine: &Engine,
    (machine, instance): &(Machine, u32),
    seed: u64,
    bounds: Bounds,
    change: &dyn Fn(&mut Companion),
) -> Result<Figures> {
    let mut figures = Figures::default();
    let Some(mut host) = Host::new(engine, machine, *instance, AREA)? else { return Ok(figures) };
    change(&mut host.companion);
    let module = machine.store.instances[*instance as usize].module.clone();
    figures.modules += u64::from(!host.companion.funcs.is_empty());
    figures.funcs += host.companion.funcs.len() as u64;
    figures.not_compiled += u64::from(module.func_count()) - host.companion.funcs.len() as u64;
    let mut rng = Rng::new(seed);
    for export in module.exports() {
        let Some(Extern::Func(address)) = machine.store.export(*instance, &export.name) else { continue };
        let func = export.index;
        if !host.companion.funcs.contains_key(&func) {
            continue;
        }
        let ty = machine.store.func_type(address);
        debug_assert!(ty.params.iter().all(|ty| *ty != ValType::V128), "what is compiled has numbers only");
        let args = random_args(&mut rng, ty);
        let call = Call { template: machine, instance: *instance, func, args: &args };
        let one = call.compare(&mut host, &mut rng, bounds);
        figures.add(&one.with_context(|| format!("{}{args:x?}", export.name))?);
    }
    Ok(figures)
}

/// A benchmark program of `wasmfiles/bench`, which exports `run` (n: i32) -> i64.
#[derive(Clone, Debug)]
pub struct Benchmark {
    /// Its name.
    pub name: String,
    /// The module.
    pub bytes: Vec<u8>,
    /// Argument for some millions of instructions, and what comes of it.
    pub quick: (i32, u64),
    /// Argument for a run that is long enough to be timed, and what comes of it.
    pub full: (i32, u64),
}

/// The benchmark programs, in the order of their list.
///
/// # Errors
/// If that, or one of them, cannot be read.
pub fn benchmarks() -> Result<Vec<Benchmark>> {
    let folder = engine_tests::programs::directory().join("bench");
    let list: toml::Table = toml::from_str(&std::fs::read_to_string(folder.join("bench.toml"))?)?;
    let programs = list.get("program").and_then(toml::Value::as_array).context("bench.toml lists programs")?;
    programs.iter().map(|program| benchmark(&folder, program)).collect()
}

fn benchmark(folder: &Path, program: &toml::Value) -> Result<Benchmark> {
    let file = program.get("file").and_then(toml::Value::as_str).context("a program has a file")?;
    let size = |name: &str| -> Result<(i32, u64)> {
        let size = program.get(name).with_context(|| format!("{file} has no size {name}"))?;
        let n = size.get("n").and_then(toml::Value::as_integer).context("a size has an n")?;
        let result = size.get("result").and_then(toml::Value::as_str).context("a size has a result")?;
        Ok((i32::try_from(n)?, result.parse()?))
    };
    let name = file.trim_end_matches(".wasm").to_owned();
    Ok(Benchmark { name, bytes: std::fs::read(folder.join(file))?, quick: size("quick")?, full: size("full")? })
}

/// Compares `run` of a program with the argument `n`.
///
/// # Errors
/// The first difference.
pub fn compare_run(engine: &Engine, bytes: &[u8], n: i32, seed: u64, bounds: Bounds) -> Result<Figures> {
    let mut figures = Figures::default();
    let Some((machine, instance)) = linked(bytes, &Schedule::default(), Limits::default())? else { return Ok(figures) };
    let Some(mut host) = Host::new(engine, &machine, instance, AREA)? else { return Ok(figures) };
    let module = &machine.store.instances[instance as usize].module;
    let Some(export) = module.export("run") else { return Ok(figures) };
    figures.modules += 1;
    figures.funcs += host.companion.funcs.len() as u64;
    figures.not_compiled += u64::from(module.func_count()) - host.companion.funcs.len() as u64;
    if host.companion.funcs.contains_key(&export.index) {
        let args = [u64::from(n.cast_unsigned())];
        let call = Call { template: &machine, instance, func: export.index, args: &args };
        figures.add(&call.compare(&mut host, &mut Rng::new(seed), bounds)?);
    }
    Ok(figures)
}
