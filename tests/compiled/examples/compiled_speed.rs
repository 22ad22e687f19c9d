//! How long the benchmark programs take in compiled code, over plain WebAssembly in the same engine: `cargo run --release -p
//! compiled-tests --example compiled_speed [ROUNDS]`. Of a program that is left and entered again only the time in compiled code
//! counts, beside the share of gas that was charged there. Sizes are those of the modules' code.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use compiled_tests::drive::Drive;
use compiled_tests::host::{Host, engine};
use compiled_tests::subjects::{Benchmark, benchmarks, linked};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::Stop;
use stepmark_state::limits::Limits;
use wasmtime::{Engine, Instance, Module, Store};

/// What was measured of a program.
struct Measured {
    plain: Duration,
    compiled: Duration,
    gas: u64,
    gas_compiled: u64,
    turns: u64,
    size: f64,
}

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(3), |rounds| rounds.parse::<u32>())?;
    let engine = engine(true)?;
    let (mut product, mut count) = (1.0, 0);
    for program in benchmarks()? {
        let measured = measure(&engine, &program, rounds).with_context(|| program.name.clone())?;
        let ratio = measured.compiled.as_secs_f64() / measured.plain.as_secs_f64();
        let share = 100.0 * measured.gas_compiled as f64 / measured.gas as f64;
        println!(
            "{:<22} plain {:>8.1?} compiled {:>8.1?} ratio {ratio:.2}, {share:.2} % of {} gas in {} turns, code {:.1} x",
            program.name, measured.plain, measured.compiled, measured.gas, measured.turns, measured.size
        );
        (product, count) = (product * ratio, count + 1);
    }
    println!("geometric mean of {count}: {:.3}", product.powf(1.0 / f64::from(count)));
    Ok(())
}

fn measure(engine: &Engine, program: &Benchmark, rounds: u32) -> Result<Measured> {
    let (n, result) = program.full;
    let module = Module::new(engine, &program.bytes)?;
    let (machine, instance) = linked(&program.bytes, &Schedule::default(), Limits::default())?.context("it links")?;
    let mut host = Host::new(engine, &machine, instance, 1 << 17)?.context("it is compiled")?;
    let func = machine.store.instances[instance as usize].module.export("run").context("it exports run")?.index;
    let size =
        host.companion.normal_bytes as f64 / machine.store.instances[instance as usize].module.code_size() as f64;
    let best = Duration::MAX;
    let mut measured = Measured { plain: best, compiled: best, gas: 1, gas_compiled: 0, turns: 0, size };
    for _ in 0..rounds {
        let mut store = Store::new(engine, ());
        let plain = Instance::new(&mut store, &module, &[])?;
        let run = plain.get_typed_func::<i32, i64>(&mut store, "run")?;
        let start = Instant::now();
        let found = run.call(&mut store, n)?;
        measured.plain = measured.plain.min(start.elapsed());
        ensure!(found.cast_unsigned() == result, "plain: {found}");
        let address = machine.store.instances[instance as usize].funcs[func as usize];
        let mut called = machine.clone();
        ensure!(called.invoke(address, &[n.cast_unsigned().into()]).is_ok(), "it can be called");
        let mut drive = Drive::new(&mut host, &machine, address, called);
        let stop = drive.run(1 << 60)?;
        ensure!(stop == Stop::Done(vec![result]), "{stop:?}");
        (measured.gas, measured.gas_compiled) = (drive.machine.gas_total(), drive.gas_compiled);
        (measured.turns, measured.compiled) = (drive.turns, measured.compiled.min(drive.time));
    }
    Ok(measured)
}
