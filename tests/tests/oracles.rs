//! What wasmtime says from outside: its fuel is our gas, and what its debugger sees is our state. `cargo xtask oracles` runs more.

use node_tests::generate::program::random_program;
use node_tests::generate::smith_module;
use node_tests::oracles::gas::{Figures, GasOracle};
use node_tests::oracles::prices::distinct;
use node_tests::oracles::samples::compare_samples;
use node_tests::oracles::state::{self, StateOracle};
use node_tests::oracles::suite::compare_suite;
use node_tests::spec::Suite;
use stepmark_core::code::Op;
use stepmark_core::gas::Schedule;

fn oracles() -> [GasOracle; 2] {
    [Schedule::default(), distinct().unwrap()].map(|schedule| GasOracle::new(&schedule).unwrap())
}

#[test]
fn random_modules_cost_the_fuel_of_wasmtime() {
    for oracle in oracles() {
        let mut figures = Figures::default();
        for seed in 0..100 {
            let own = Some(wat::parse_str(random_program(seed)).unwrap());
            for bytes in [own, smith_module(seed, true)].into_iter().flatten() {
                match oracle.compare(&bytes, seed, 2) {
                    Ok(one) => figures.add(&one),
                    Err(error) => panic!("seed {seed}: {error:#}"),
                }
            }
        }
        println!("{figures:?}");
        assert!(figures.returned >= 100 && figures.trapped_exact >= 10 && figures.counted > 0, "{figures:?}");
    }
}

#[test]
fn a_length_that_no_fuel_pays_is_left_out_and_not_called_a_difference() {
    let text = "(module (memory i64 1) (func (export \"f\")
        (memory.fill (i64.const 0) (i32.const 1) (i64.const 0x4000000000000000))))";
    for oracle in oracles() {
        let figures = oracle.compare(&wat::parse_str(text).unwrap(), 0, 1).unwrap();
        assert_eq!((figures.left_out, figures.trapped + figures.trapped_exact), (1, 0));
    }
}

#[test]
fn the_suite_of_webassembly_3_costs_the_fuel_of_wasmtime() {
    for oracle in oracles() {
        let figures = compare_suite(&oracle, Suite::V3).unwrap();
        println!("{figures:?}");
        assert_eq!(figures.differences, Vec::<String>::new());
        assert!(figures.gas.returned > 15_000 && figures.unknown * 50 < figures.gas.returned, "{figures:?}");
    }
}

#[test]
fn sample_programs_cost_the_fuel_of_wasmtime() {
    for oracle in oracles() {
        let figures = compare_samples(&oracle).unwrap();
        println!("{figures:?}");
        assert!(figures.returned >= 30, "{figures:?}");
    }
}

#[test]
fn each_instruction_that_runs_at_another_price_is_a_difference() {
    let ours = Schedule::default();
    let module = wat::parse_str(
        "(module (memory 1) (func (export \"f\") (param i32) (result i32)
            (memory.fill (i32.const 0) (local.get 0) (i32.const 40))
            (i32.add (i32.load (i32.const 8)) (i32.const 1))))",
    )
    .unwrap();
    GasOracle::new(&ours).unwrap().compare(&module, 1, 2).unwrap();
    for (mnemonic, runs) in [("i32.add", true), ("i32.load", true), ("memory.fill", true), ("i32.sub", false)] {
        let theirs = dearer(&ours, mnemonic);
        let compared = GasOracle::priced(&ours, &theirs).unwrap().compare(&module, 1, 2);
        assert_eq!(compared.is_err(), runs, "{mnemonic}: {compared:?}");
    }
}

/// A schedule in which this instruction costs one more.
fn dearer(schedule: &Schedule, mnemonic: &str) -> Schedule {
    let cost = schedule.cost(Op::from_mnemonic(mnemonic).unwrap());
    let text = schedule.text();
    let row = text.lines().find(|line| line.starts_with(&format!("{mnemonic},")));
    let text = match row {
        Some(row) => text.replace(row, &row.replacen(&format!(",{cost}"), &format!(",{}", cost + 1), 1)),
        None => format!("{text}{mnemonic},{}\n", cost + 1),
    };
    Schedule::parse("other", &text).unwrap()
}

#[test]
fn at_random_instructions_the_debugger_of_wasmtime_sees_our_state() {
    let oracle = StateOracle::new().unwrap();
    let mut figures = state::Figures::default();
    for seed in 0..40 {
        let own = Some(wat::parse_str(random_program(seed)).unwrap());
        for bytes in [own, smith_module(seed, true)].into_iter().flatten() {
            match oracle.compare(&bytes, seed, 40) {
                Ok(one) => figures.add(&one),
                Err(error) => panic!("seed {seed}: {error:#}"),
            }
        }
    }
    println!("{figures:?}");
    assert!(
        figures.stops >= 1_000 && figures.frames > figures.stops && figures.values > 10 * figures.stops,
        "{figures:?}"
    );
}

/// Calls with operands below the arguments, so that the outer frame waits with two values.
const WAITING: &str = "(module (memory 1) (global (mut i32) (i32.const 3))
    (func $inner (param i64 f32) (result i32) (local i32)
        (local.set 2 (i32.const 7)) (i32.store (i32.const 8) (local.get 2)) (local.get 2))
    (func (export \"f\") (param i32) (result i32)
        i32.const 40 local.get 0 (call $inner (i64.const -1) (f32.const 1.5)) i32.add i32.sub))";

#[test]
fn each_part_of_a_frame_that_is_changed_is_a_difference() {
    let module = wat::parse_str(WAITING).unwrap();
    let whole = StateOracle::new().unwrap().compare(&module, 1, 1_000).unwrap();
    assert!(whole.stops >= 8 && whole.frames > whole.stops, "{whole:?}");
    let tampers: [(&str, state::Tamper); 7] = [
        ("a local", |frames| frames[0].locals[0] ^= 1),
        ("the highest bit of a local", |frames| frames.last_mut().unwrap().locals[0] ^= 1 << 63),
        ("an operand of a frame that waits", |frames| {
            if frames.len() > 1 {
                frames[0].operands[1] ^= 1;
            }
        }),
        ("an operand left out", |frames| frames[0].operands.truncate(0)),
        ("the offset", |frames| frames.last_mut().unwrap().offset += 1),
        ("the function", |frames| frames[0].func ^= 1),
        ("a frame left out", |frames| drop(frames.pop())),
    ];
    for (what, tamper) in tampers {
        let compared = StateOracle::tampered(tamper).unwrap().compare(&module, 1, 1_000);
        assert!(compared.is_err(), "{what}: {compared:?}");
    }
}
