//! `cargo xtask peers`: the node, as it ships under wasmtime and natively, beside wasmi, with and without fuel, on the same programs in one process. The
//! engines take turns, so that whatever else the machine does falls on all of them; minima and medians are printed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use guest_interp::gas::Schedule;
use guest_interp::runtime::Machine;
use host_runner::engine::{Budget, Engine, Event, Node};
use node_tests::programs;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs of each engine on each program
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// A program, its call, and the result that proves that it ran.
struct Work {
    file: &'static str,
    export: &'static str,
    args: &'static [i32],
    result: u64,
}

const WORKS: [Work; 2] = [
    Work { file: "matrix_multiplication_cpp_100.wasm", export: "run", args: &[], result: 32_835_000 },
    Work { file: "fib32.wasm", export: "fib", args: &[30], result: 832_040 },
];

trait Runner {
    fn name(&self) -> &'static str;
    /// What comes before a run and is not timed.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }
    fn run(&mut self) -> Result<u64>;
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    println!("profile {profile}, {} rounds", args.rounds);
    let mut figures = Vec::new();
    for work in &WORKS {
        let mut runners: Vec<Box<dyn Runner>> = vec![
            Box::new(InWasm { node: None, work }),
            Box::new(Ours::new(work)?),
            Box::new(Wasmi::new(work, false)?),
            Box::new(Wasmi::new(work, true)?),
        ];
        let mut times = vec![Vec::new(); runners.len()];
        for round in 0..=args.rounds {
            for (runner, times) in runners.iter_mut().zip(&mut times) {
                runner.prepare()?;
                let start = Instant::now();
                let result = runner.run()?;
                let time = start.elapsed();
                ensure!(result == work.result, "{}: {} gives {result}", runner.name(), work.file);
                // The first round translates.
                if round > 0 {
                    times.push(time);
                }
            }
        }
        println!("{} {}{:?}", work.file, work.export, work.args);
        let sums: Vec<(Duration, Duration)> = times.iter_mut().map(|times| least_and_median(times)).collect();
        let fuel = sums.last().context("an engine")?.0.as_secs_f64();
        for (runner, (least, median)) in runners.iter().zip(&sums) {
            let ratio = least.as_secs_f64() / fuel;
            println!(
                "  {:<20} least {least:>10.3?}  median {median:>10.3?}  {ratio:.2} of wasmi with fuel",
                runner.name()
            );
        }
        let ratio = |engine: usize| sums.get(engine).map_or(0.0, |sum| sum.0.as_secs_f64() / fuel);
        figures.push(format!("{} in wasm {:.2}, native {:.2}", work.file, ratio(0), ratio(1)));
    }
    println!("peers: the node's time over that of native wasmi with fuel: {}", figures.join("; "));
    Ok(true)
}

fn least_and_median(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[0], times[times.len() / 2])
}

struct Ours {
    machine: Machine,
    instance: u32,
    work: &'static Work,
}

impl Ours {
    fn new(work: &'static Work) -> Result<Self> {
        let expected = programs::expected()?;
        let program = expected.program.iter().find(|p| p.file == work.file).context(work.file)?;
        let (machine, instance) = programs::machine(program, &Schedule::default(), false)?;
        Ok(Self { machine, instance, work })
    }
}

impl Runner for Ours {
    fn name(&self) -> &'static str {
        "node, native"
    }

    fn run(&mut self) -> Result<u64> {
        let args: Vec<u64> = self.work.args.iter().map(|a| u64::from(*a as u32)).collect();
        let results = programs::call(&mut self.machine, self.instance, self.work.export, &args)?;
        results.ok().and_then(|r| r.first().copied()).context("no result")
    }
}

/// The node as it ships, under wasmtime.
struct InWasm {
    node: Option<Box<dyn Node>>,
    work: &'static Work,
}

impl Runner for InWasm {
    fn name(&self) -> &'static str {
        "node, wasm in wasmtime"
    }

    fn prepare(&mut self) -> Result<()> {
        let program = crate::workspace().join("wasmfiles").join(self.work.file);
        let mut argv = vec![program.display().to_string(), self.work.export.to_owned()];
        argv.extend(self.work.args.iter().map(ToString::to_string));
        let mut node = Engine::Wasm.start()?;
        node.load(&argv)?;
        while let Some(path) = node.want()? {
            for chunk in std::fs::read(path)?.chunks(64 << 10) {
                node.give(chunk)?;
            }
            node.give_end(true)?;
        }
        self.node = Some(node);
        Ok(())
    }

    fn run(&mut self) -> Result<u64> {
        let node = self.node.as_mut().context("not prepared")?;
        while node.run(Budget::UNLIMITED)? != Event::Finished {}
        ensure!(node.take_name()?.as_deref() == Some("result.txt"), "no result");
        let (mut text, mut chunk) = (Vec::new(), Vec::new());
        while node.take_chunk(&mut chunk)? {
            text.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8(text)?.lines().nth(2).context("no value")?.parse()?)
    }
}

struct Wasmi {
    store: wasmi::Store<()>,
    func: wasmi::Func,
    work: &'static Work,
    fuel: bool,
}

impl Wasmi {
    fn new(work: &'static Work, fuel: bool) -> Result<Self> {
        let mut config = wasmi::Config::default();
        config.consume_fuel(fuel);
        let engine = wasmi::Engine::new(&config);
        let module = wasmi::Module::new(&engine, programs::bytes(work.file)?)?;
        let mut store = wasmi::Store::new(&engine, ());
        if fuel {
            store.set_fuel(u64::MAX)?;
        }
        let mut linker = wasmi::Linker::new(&engine);
        for import in module.imports() {
            let Some(ty) = import.ty().func() else { continue };
            // Present, never called.
            linker.func_new(import.module(), import.name(), ty.clone(), |_, _, _| Ok(()))?;
        }
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        if let Some(initialize) = instance.get_func(&store, "_initialize") {
            initialize.call(&mut store, &[], &mut [])?;
        }
        let func = instance.get_func(&store, work.export).context(work.export)?;
        Ok(Self { store, func, work, fuel })
    }
}

impl Runner for Wasmi {
    fn name(&self) -> &'static str {
        if self.fuel { "wasmi, fuel" } else { "wasmi" }
    }

    fn run(&mut self) -> Result<u64> {
        let args: Vec<wasmi::Val> = self.work.args.iter().map(|a| wasmi::Val::I32(*a)).collect();
        let mut results = [wasmi::Val::I32(0)];
        self.func.call(&mut self.store, &args, &mut results)?;
        results[0].i32().map(|v| u64::from(v as u32)).context("not an i32")
    }
}
