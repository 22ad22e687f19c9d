//! The fast engine equals the stepper: on random programs, under every schedule, at every budget. A failure prints the
//! seed; `cargo xtask differential` runs more seeds.

use guest_interp::gas::Schedule;
use node_tests::agree::{Bounds, Figures, engines_agree};
use node_tests::generate::program::random_program;
use node_tests::generate::{random_schedule, smith_module};

const BOUNDS: Bounds = Bounds { gas: 20_000, steps: 3_000, stops: 150, calls: 1 };

fn sum(kind: &str, seeds: std::ops::Range<u64>, one: impl Fn(u64) -> anyhow::Result<Figures>) -> Figures {
    let mut figures = Figures::default();
    for seed in seeds {
        match one(seed) {
            Ok(one) => figures.add(&one),
            Err(error) => panic!("{kind} seed {seed}: {error:#}"),
        }
    }
    println!("{kind}: {figures:?}");
    figures
}

fn programs(kind: &str, seeds: std::ops::Range<u64>, schedule: impl Fn(u64) -> Schedule) -> Figures {
    sum(kind, seeds, |seed| {
        let text = random_program(seed);
        let bytes = wat::parse_str(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        engines_agree(&bytes, &schedule(seed), seed, BOUNDS)
    })
}

/// Of the gas charged, the fast engine must have charged its share, or nothing was compared.
fn assert_worth(figures: &Figures, calls: u64, budgets: u64, stepped_percent: u64) {
    assert!(figures.returned + figures.trapped >= calls, "{figures:?}");
    assert!(figures.budgets >= budgets, "{figures:?}");
    assert!(figures.gas_stepped * 100 <= figures.gas * stepped_percent, "{figures:?}");
}

#[test]
fn on_random_programs_under_the_default_schedule() {
    let figures = programs("programs, default", 0..200, |_| Schedule::default());
    assert_worth(&figures, 300, 10_000, 30);
}

#[test]
fn on_random_programs_under_the_reference_schedule() {
    let figures = programs("programs, seed-ordinal", 1000..1200, |_| Schedule::seed_ordinal());
    assert_worth(&figures, 300, 10_000, 50);
}

#[test]
fn on_random_programs_under_random_schedules() {
    let figures = programs("programs, random", 2000..2200, random_schedule);
    assert_worth(&figures, 300, 10_000, 80);
}

#[test]
fn on_modules_of_wasm_smith() {
    let figures = sum("wasm-smith", 0..200, |seed| match smith_module(seed, true) {
        Some(bytes) => {
            let schedule = [Schedule::default(), Schedule::seed_ordinal(), random_schedule(seed)];
            engines_agree(&bytes, &schedule[(seed % 3) as usize], seed, Bounds { stops: 60, ..BOUNDS })
        }
        None => Ok(Figures::default()),
    });
    assert_worth(&figures, 300, 5_000, 60);
}
