//! Compiled code equals the interpreter, wherever it is left. A failure prints the seed.

use compiled_tests::host::engine;
use compiled_tests::oracle::{Bounds, Figures};
use compiled_tests::subjects::{compare_exports, linked};
use engine_tests::engine_oracle::LIMITS;
use engine_tests::generate::program::random_program;
use engine_tests::generate::{random_schedule, smith_module};
use stepmark_core::gas::Schedule;

const BOUNDS: Bounds = Bounds { gas: 20_000, every: 40, random: 20 };

fn sum(kind: &str, seeds: std::ops::Range<u64>, module: impl Fn(u64) -> Option<(Vec<u8>, Schedule)>) -> Figures {
    let engine = engine(false).unwrap();
    let mut figures = Figures::default();
    for seed in seeds {
        let Some((bytes, schedule)) = module(seed) else { continue };
        let Some(subject) = linked(&bytes, &schedule, LIMITS).unwrap() else { continue };
        match compare_exports(&engine, &subject, seed, BOUNDS) {
            Ok(one) => figures.add(&one),
            Err(error) => panic!("{kind} seed {seed}: {error:#}"),
        }
    }
    println!("{kind}: {figures:?}");
    figures
}

fn program(seed: u64) -> Vec<u8> {
    wat::parse_str(random_program(seed)).unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

#[test]
fn on_random_programs_under_the_default_schedule() {
    let figures = sum("programs, default", 0..200, |seed| Some((program(seed), Schedule::default())));
    assert!(figures.stops > 5_000 && figures.frames > figures.left, "{figures:?}");
}

#[test]
fn on_random_programs_under_random_schedules() {
    let figures = sum("programs, random", 1000..1200, |seed| Some((program(seed), random_schedule(seed))));
    assert!(figures.stops > 1_000, "{figures:?}");
}

#[test]
fn on_modules_of_wasm_smith() {
    let figures = sum("wasm-smith", 0..200, |seed| Some((smith_module(seed, true)?, Schedule::default())));
    assert!(figures.stops > 1_000, "{figures:?}");
}
