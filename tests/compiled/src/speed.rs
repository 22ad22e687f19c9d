//! How long a benchmark program takes in compiled code beside plain WebAssembly in the same engine. Of a program that is left and
//! entered again only the time in compiled code counts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use stepmark_compile::Ingredient;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Machine, Stop};
use stepmark_state::limits::Limits;
use wasmtime::{Engine, Instance, Module, Store};

use crate::drive::Drive;
use crate::host::Host;
use crate::subjects::{AREA, Benchmark, linked};

/// What was measured of a program.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The shortest run of the program itself.
    pub plain: Duration,
    /// The shortest run of its compiled code, by what was left out of it.
    pub compiled: Vec<Duration>,
    /// Gas of a run, and what of it compiled code charged.
    pub gas: u64,
    /// See [`Self::gas`].
    pub gas_compiled: u64,
    /// Bytes of the companion's code, with nothing left out, over those of the program's.
    pub size: f64,
}

/// A program whose compiled code runs.
struct Compiled {
    host: Host,
    machine: Machine,
    /// Store address of the function that runs.
    func: u32,
}

impl Compiled {
    fn new(engine: &Engine, program: &Benchmark, without: &[Ingredient]) -> Result<Compiled> {
        let linked = linked(&program.bytes, &Schedule::default(), Limits::default())?;
        let (machine, instance) = linked.context("it does not link")?;
        let host = Host::without(without, engine, &machine, instance, AREA)?.context("it is not compiled")?;
        let instance = &machine.store.instances[instance as usize];
        let func = instance.funcs[instance.module.export("run").context("it exports no run")?.index as usize];
        Ok(Compiled { host, machine, func })
    }

    /// Runs it to the end: how long compiled code took, the gas of the run and what compiled code charged.
    fn run(&mut self, (n, result): (i32, u64)) -> Result<(Duration, u64, u64)> {
        let mut called = self.machine.clone();
        ensure!(called.invoke(self.func, &[n.cast_unsigned().into()]).is_ok(), "it cannot be called");
        let mut drive = Drive::new(&mut self.host, &self.machine, self.func, called);
        let stop = drive.run(1 << 60)?;
        ensure!(stop == Stop::Done(vec![result]), "{stop:?}");
        Ok((drive.time, drive.machine.gas_total(), drive.gas_compiled))
    }
}

/// Measures a program in so many rounds, in each of which it runs by itself and once for each list of what is left out: the
/// first must be empty.
///
/// # Errors
/// If it does not run, or its result is another.
pub fn measure(engine: &Engine, program: &Benchmark, without: &[Vec<Ingredient>], rounds: u32) -> Result<Measured> {
    let module = Module::new(engine, &program.bytes)?;
    let compiled = without.iter().map(|without| Compiled::new(engine, program, without));
    let mut compiled = compiled.collect::<Result<Vec<_>>>()?;
    let whole = compiled.first().context("nothing is measured")?;
    let code = whole.machine.store.instances[whole.host.placement.layout.instance as usize].module.code_size();
    let size = whole.host.companion.normal_bytes as f64 / code as f64;
    let shortest = vec![Duration::MAX; without.len()];
    let mut measured = Measured { plain: Duration::MAX, compiled: shortest, gas: 1, gas_compiled: 0, size };
    for _ in 0..rounds {
        measured.plain = measured.plain.min(plain(engine, &module, program.full)?);
        for (number, compiled) in compiled.iter_mut().enumerate() {
            let (time, gas, gas_compiled) = compiled.run(program.full)?;
            measured.compiled[number] = measured.compiled[number].min(time);
            if number == 0 {
                (measured.gas, measured.gas_compiled) = (gas, gas_compiled);
            }
        }
    }
    Ok(measured)
}

fn plain(engine: &Engine, module: &Module, (n, result): (i32, u64)) -> Result<Duration> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[])?;
    let run = instance.get_typed_func::<i32, i64>(&mut store, "run")?;
    let start = Instant::now();
    let found = run.call(&mut store, n)?;
    let time = start.elapsed();
    ensure!(found.cast_unsigned() == result, "plain: {found}");
    Ok(time)
}
