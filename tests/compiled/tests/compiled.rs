//! Compiled code equals the interpreter, wherever it is left. A failure prints the seed.

use compiled_tests::accesses::random_accesses;
use compiled_tests::host::engine;
use compiled_tests::oracle::{Bounds, Figures};
use compiled_tests::subjects::{BOUNDS, benchmarks, compare_changed, compare_exports, compare_run, linked};
use engine_tests::engine_oracle::LIMITS;
use engine_tests::generate::program::random_program;
use engine_tests::generate::{Rng, random_schedule, smith_module};
use stepmark_compile::{Companion, Num, OperandPlace};
use stepmark_core::gas::Schedule;
use stepmark_core::module::{Features, Module};

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
    let figures = sum("programs, default", 0..100, |seed| Some((program(seed), Schedule::default())));
    assert!(figures.stops > 5_000 && figures.frames > figures.left, "{figures:?}");
}

#[test]
fn on_random_programs_under_random_schedules() {
    let figures = sum("programs, random", 1000..1100, |seed| Some((program(seed), random_schedule(seed))));
    assert!(figures.stops > 1_000, "{figures:?}");
}

#[test]
fn on_modules_of_wasm_smith() {
    let figures = sum("wasm-smith", 0..200, |seed| Some((smith_module(seed, true)?, Schedule::default())));
    assert!(figures.stops > 1_000, "{figures:?}");
}

#[test]
fn on_programs_that_access_memory_near_where_they_have_before() {
    let accesses = |seed| wat::parse_str(random_accesses(seed)).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let figures = sum("accesses", 0..300, |seed| Some((accesses(seed), Schedule::default())));
    assert!(figures.stops > 20_000 && figures.trapped > 200 && figures.returned > 300, "{figures:?}");
}

/// Every way in which the bits of a NaN can be seen. A processor's own NaN has a sign, or the payload of an operand.
const NANS: &str = "(module (memory 1) (global $g (mut f64) (f64.const 0))
    (func $f (param f64) (result f64) (f64.store offset=100 (i32.const 0) (local.get 0)) (f64.div (local.get 0) (f64.const 0)))
    (func (export \"run\") (param f64 f32) (result f64 f32 i64) (local f64 f32 f64 i32)
        (local.set 5 (i32.const 4))
        (loop
            (local.set 2 (f64.sqrt (f64.sub (f64.const -1) (f64.abs (local.get 0)))))
            (local.set 4 (f64.add (local.get 2) (local.get 0)))
            (f64.store offset=0 (i32.const 0) (f64.mul (local.get 2) (local.get 4)))
            (f64.store offset=8 (i32.const 0) (local.get 2))
            (global.set $g (f64.neg (local.get 2)))
            (i64.store offset=16 (i32.const 0) (i64.reinterpret_f64 (f64.abs (local.get 4))))
            (local.set 3 (f32.demote_f64 (local.get 2)))
            (f32.store offset=24 (i32.const 0) (f32.copysign (local.get 3) (f32.const -1)))
            (f64.store offset=32 (i32.const 0)
                (block (result f64) (drop (br_if 0 (local.get 2) (local.get 5))) (f64.min (local.get 4) (local.get 2))))
            (f64.store offset=40 (i32.const 0) (select (local.get 2) (f64.sub (local.get 4) (local.get 2)) (local.get 5)))
            (f64.store offset=48 (i32.const 0) (f64.div (local.get 2) (call $f (f64.sub (local.get 2) (local.get 0)))))
            (f32.store offset=56 (i32.const 0)
                (if (result f32) (local.get 5) (then (f32.sub (local.get 3) (local.get 1))) (else (local.get 3))))
            (drop (i32.div_u (i32.const 7) (local.get 5)))
            (br_if 0 (local.tee 5 (i32.sub (local.get 5) (i32.const 1)))))
        (f64.add (local.get 4) (local.get 2)) (local.get 3) (i64.reinterpret_f64 (local.get 2))))";

#[test]
fn on_a_program_that_sees_the_bits_of_nans() {
    let (engine, bytes) = (engine(false).unwrap(), wat::parse_str(NANS).unwrap());
    let subject = linked(&bytes, &Schedule::default(), LIMITS).unwrap().unwrap();
    let bounds = Bounds { every: 400, segments: 60, longest: 30, ..BOUNDS };
    for seed in 0..12 {
        compare_exports(&engine, &subject, seed, bounds).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    }
}

/// In how many of some programs a change of what is known of the companion is found.
fn found(change: &dyn Fn(&mut Companion)) -> usize {
    let engine = engine(false).unwrap();
    let is_found = |seed: &u64| {
        let subject = linked(&program(*seed), &Schedule::default(), LIMITS).unwrap();
        subject.is_some_and(|subject| compare_changed(&engine, &subject, *seed, BOUNDS, change).is_err())
    };
    (0..12).filter(is_found).count()
}

#[test]
fn a_mistake_in_what_is_left_or_entered_is_found() {
    assert_eq!(found(&|_| {}), 0);
    let gas = found(&|companion| companion.sites.iter_mut().for_each(|site| site.rest += 1));
    let operands = found(&|companion| {
        for place in companion.sites.iter_mut().flat_map(|site| &mut site.operands) {
            if *place == OperandPlace::Slot(Num::I32) {
                *place = OperandPlace::Constant(0x5a5a);
            }
        }
    });
    let entries = found(&|companion| {
        for entry in companion.entries.values_mut().flat_map(|entries| entries.values_mut()) {
            entry.number = entry.number.min(1);
        }
    });
    println!("found of 12: {gas} with wrong gas, {operands} with wrong operands, {entries} entered elsewhere");
    assert!(gas == 12 && operands > 3 && entries > 1);
}

#[test]
fn on_the_benchmark_programs() {
    let engine = engine(true).unwrap();
    let mut figures = Figures::default();
    for (seed, program) in (0..).zip(benchmarks().unwrap()) {
        let bounds = Bounds { gas: 3_000_000, every: 4, random: 6, segments: 4, longest: 400_000 };
        let one = compare_run(&engine, &program.bytes, program.quick.0, seed, bounds);
        let one = one.unwrap_or_else(|error| panic!("{}: {error:#}", program.name));
        println!("{}: {one:?}", program.name);
        figures.add(&one);
    }
    assert!(figures.modules == 20 && figures.gas_compiled * 2 > figures.gas, "{figures:?}");
}

/// One byte of the code is another: what traps, loops or recurs without end.
#[test]
fn on_benchmark_programs_with_one_byte_changed() {
    let engine = engine(false).unwrap();
    let mut figures = Figures::default();
    for (seed, program) in (0..).zip(benchmarks().unwrap()) {
        let mut rng = Rng::new(seed);
        for _ in 0..20 {
            let mut bytes = program.bytes.clone();
            let place = rng.below(bytes.len());
            bytes[place] = rng.bits() as u8;
            if Module::parse(bytes.clone(), Features::default()).is_err() {
                continue;
            }
            let bounds = Bounds { gas: 200_000, every: 0, random: 3, segments: 3, longest: 20_000 };
            match compare_run(&engine, &bytes, 3, seed, bounds) {
                Ok(one) => figures.add(&one),
                Err(error) => panic!("{} with byte {place} {:#x}: {error:#}", program.name, bytes[place]),
            }
        }
    }
    println!("mutants: {figures:?}");
    assert!(figures.modules > 50 && figures.trapped > 1, "{figures:?}");
}
