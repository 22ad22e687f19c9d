//! The fast engine equals the stepper: on random programs, under every schedule, at every budget. A failure prints the
//! seed; `cargo xtask differential` runs more seeds.

use engine_tests::engine_oracle::{Bounds, Figures, engines_agree, linked_engines_agree};
use engine_tests::generate::linked::random_linked;
use engine_tests::generate::program::random_program;
use engine_tests::generate::{random_schedule, relaxed_smith_module, smith_module};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::TierKind;

const BOUNDS: Bounds = Bounds { tier: TierKind::Register, gas: 20_000, steps: 3_000, stops: 150, calls: 1 };

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

#[test]
fn on_modules_of_wasm_smith_with_relaxed_vectors() {
    let figures = sum("wasm-smith, relaxed", 5000..5200, |seed| match relaxed_smith_module(seed) {
        Some(bytes) => engines_agree(&bytes, &Schedule::default(), seed, Bounds { stops: 60, ..BOUNDS }),
        None => Ok(Figures::default()),
    });
    assert_worth(&figures, 150, 2_500, 60);
}

/// The search for a handler is charged with the throw, and what the two cost together is not always there.
#[test]
fn where_a_throw_that_keeps_an_exception_is_not_paid_for() {
    let text = "(module (tag $e (param i64)) (func $throw (param i64) (throw $e (local.get 0)))
        (func (export \"run\") (param $n i32) (result i32) (local $kept exnref)
          (loop $again
            (block $caught (result i64 exnref)
              (try_table (catch_ref $e $caught) (call $throw (i64.const 7)))
              (i64.const 0) (ref.null exn))
            (local.set $kept) drop
            (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 60))))
          (ref.is_null (local.get $kept))))";
    let bytes = wat::parse_str(text).unwrap();
    for schedule in [Schedule::default(), Schedule::parse("dear", "*,1\nthrow.search,0,50,1\n").unwrap()] {
        for seed in 0..40 {
            let bounds = Bounds { stops: 4_000, ..BOUNDS };
            let figures = engines_agree(&bytes, &schedule, seed, bounds).unwrap_or_else(|e| panic!("{seed}: {e:#}"));
            assert_eq!(figures.returned, 1, "{figures:?}");
        }
    }
}

/// Each of the instructions traps, alike on both engines, in a function with a large `$x`, after `begin` and with an
/// operand waiting below it.
fn assert_trap_alike(memory: &str, begin: &str, traps: &[&str]) {
    for (seed, trap) in (0..).zip(traps) {
        let text = format!(
            "(module {memory} (func (export \"run\") (param $x i64) (param $i i32)
               (local.set $x (i64.or (local.get $x) (i64.const 0x7654321087654321)))
               {begin}
               (i32.add (i32.const 5) (i32.mul (local.get $i) (local.get $i)))
               {trap} drop))"
        );
        let bytes = wat::parse_str(&text).unwrap_or_else(|e| panic!("{trap}: {e}"));
        let figures = engines_agree(&bytes, &Schedule::default(), seed, BOUNDS);
        let figures = figures.unwrap_or_else(|error| panic!("{trap}: {error:#}"));
        assert!(figures.trapped > 0, "{trap} does not trap: {figures:?}");
    }
}

/// What the fast engine leaves out or joins must not show in the operands where a later instruction traps.
#[test]
fn where_an_instruction_traps_whose_operands_were_fused_into_it() {
    let traps = [
        "(i32.store (i32.wrap_i64 (local.get $x)) (i32.const 100000))",
        "(i32.store offset=9 (i32.wrap_i64 (local.get $x)) (i32.const 1))",
        "(i64.store (i32.wrap_i64 (local.get $x)) (i64.const 100000000000))",
        "(drop (i32.load (i32.wrap_i64 (local.get $x))))",
        "(drop (i32.div_u (i32.wrap_i64 (local.get $x)) (i32.wrap_i64 (i64.shl (local.get $x) (i64.const 32)))))",
        "(drop (i32.rem_s (i32.const 100000) (i32.wrap_i64 (i64.shl (local.get $x) (i64.const 32)))))",
        "(drop (i32.load (i32.add (i32.shl (local.get $i) (i32.const 2)) (local.get $i))))",
        "(drop (i32.mul (i32.load offset=4 (i32.add (local.get $i) (i32.const -3))) (local.get $i)))",
        "(i64.store (i32.add (local.get $i) (local.get $i)) (local.get $x))",
        "(f64.store (local.get $i) (f64.add (f64.const 1) (f64.mul (f64.const 2) (f64.const 3))))",
        "(memory.copy (i32.wrap_i64 (local.get $x)) (i32.const 0) (i32.const 100000))",
        "(memory.fill (local.get $i) (i32.const 7) (i32.add (local.get $i) (i32.const 5)))",
    ];
    let begin = "(local.set $i (i32.or (local.get $i) (i32.const 0x7f000000)))";
    assert_trap_alike("(memory 1)", begin, &traps);
}

/// Addresses of 64 bits reach the forms for those of 32 only if they fit.
#[test]
fn where_an_access_by_a_long_address_traps() {
    let traps = [
        "(drop (i32.load (local.get $x)))",
        "(drop (i32.load8_s offset=70000 (local.get $x)))",
        "(drop (i64.load (i64.const 0x100000000)))",
        "(drop (i64.load (i64.const 65529)))",
        "(drop (i64.load offset=0x100000000 (i64.const 0)))",
        "(drop (f64.load (i64.add (i64.const 8) (i64.and (local.get $x) (i64.const 0xffffffff00000000)))))",
        "(drop (i32.load (i64.extend_i32_u (i32.add (local.get $i) (i32.const 65536)))))",
        "(drop (i32.load16_u (i64.extend_i32_u (i32.add (i32.shl (local.get $i) (i32.const 2)) (local.get $i)))))",
        "(drop (i64.load (i64.shl (i64.extend_i32_u (i32.wrap_i64 (local.get $x))) (i64.const 1))))",
        "(i32.store (local.get $x) (i32.const 100000))",
        "(i32.store offset=9 (local.get $x) (i32.const 1))",
        "(i64.store (local.get $x) (i64.add (local.get $x) (i64.const 3)))",
        "(i64.store (i64.const 0x100000000) (i64.const 100000000000))",
        "(f64.store (local.get $x) (f64.add (f64.const 1) (f64.mul (f64.const 2) (f64.const 3))))",
        "(i64.store8 (i64.extend_i32_u (i32.add (local.get $i) (local.get $i))) (local.get $x))",
        "(v128.store (local.get $x) (i64x2.splat (local.get $x)))",
        "(v128.store (i64.const 65521) (v128.const i64x2 1 2))",
        "(v128.store offset=0x100000000 (i64.const 0) (v128.const i64x2 1 2))",
        "(drop (v128.load (local.get $x)))",
        "(drop (v128.load offset=65521 (i64.const 0)))",
        "(drop (v128.load offset=65536 (i64.const 0)))",
    ];
    let begin = "(local.set $i (i32.or (local.get $i) (i32.const 0x3f000000)))
      (i64.store (i64.const 65528) (local.get $x))
      (v128.store (i64.const 65520) (v128.load offset=1 (i64.const 65519)))";
    assert_trap_alike("(memory i64 1)", begin, &traps);
}

#[test]
fn engines_agree_at_every_budget_on_linked_modules() {
    let figures = sum("linked", 0..60, |seed| {
        linked_engines_agree(&random_linked(seed), &Schedule::default(), seed, Bounds { stops: 40, ..BOUNDS })
    });
    assert!(figures.returned >= 25 && figures.budgets >= 3_000, "{figures:?}");
}
