//! What execution costs, instruction by instruction, and where it stops.

use std::sync::Arc;

use engine_tests::opcodes::{Sample, sample_of};
use stepmark_core::code::Op;
use stepmark_core::gas::{Schedule, Unit};
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop, TierKind};
use stepmark_core::module::{Features, Module};
use stepmark_state::limits::Limits;
use stepmark_state::trap::Trap;

fn machine(text: &str, schedule: &Schedule, tier: TierKind) -> Machine {
    let bytes = wat::parse_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let module = Module::parse(bytes, Features::default()).unwrap();
    let mut machine = Machine::new(schedule.clone(), Limits::default());
    machine.set_tier(tier);
    let instance = machine.link("", Arc::new(module), &InstanceLinker::default(), &NoHost).unwrap();
    machine.store.write_segments(instance).unwrap();
    machine
}

fn begin(text: &str, args: &[u64], schedule: &Schedule, tier: TierKind) -> Machine {
    let mut machine = machine(text, schedule, tier);
    let Some(Extern::Func(func)) = machine.store.export(0, "f") else { panic!("the module exports f") };
    machine.invoke(func, args).unwrap();
    machine
}

fn gas(gas: u64) -> Budget {
    Budget { gas, steps: u64::MAX }
}

fn unit_of(op: Op) -> Option<Unit> {
    Some(match op {
        Op::MemoryGrow => Unit::MemoryGrow,
        Op::MemoryFill => Unit::MemoryFill,
        Op::MemoryCopy => Unit::MemoryCopy,
        Op::MemoryInit => Unit::MemoryInit,
        Op::TableGrow => Unit::TableGrow,
        Op::TableFill => Unit::TableFill,
        Op::TableCopy => Unit::TableCopy,
        Op::TableInit => Unit::TableInit,
        Op::Throw | Op::ThrowRef => Unit::ThrowSearch,
        _ => return None,
    })
}

/// What a sample must be charged: every instruction that it runs, and its units.
fn expected(op: Op, sample: &Sample, schedule: &Schedule) -> u64 {
    let base: u64 = sample.runs.iter().map(|op| schedule.cost(*op)).sum();
    base + unit_of(op).map_or(0, |unit| schedule.units(unit, sample.units))
}

/// A schedule in which no two instructions that a sample runs cost the same, so that no mistake cancels another.
fn telling_schedule() -> Schedule {
    // A sample may throw twice: only units of one add up.
    let mut text = String::from("*,1\nthrow.search,0,13,1\n");
    for (i, op) in Op::ALL.iter().enumerate() {
        let cost = 1000 + 7 * i * i;
        match unit_of(*op).filter(|unit| *unit != Unit::ThrowSearch) {
            Some(_) => text.push_str(&format!("{},{cost},{},{}\n", op.mnemonic(), 3 + i, 2 + i % 5)),
            None => text.push_str(&format!("{},{cost}\n", op.mnemonic())),
        }
    }
    Schedule::parse("telling", &text).unwrap()
}

#[test]
fn every_instruction_is_charged_its_cost_under_every_schedule_by_both_engines() {
    for schedule in [Schedule::default(), Schedule::seed_ordinal(), telling_schedule()] {
        for op in Op::ALL {
            let sample = sample_of(*op);
            assert!(sample.runs.contains(op), "{} has no sample", op.mnemonic());
            for tier in TierKind::ALL {
                let mut machine = begin(&sample.text, &[], &schedule, tier);
                let stop = machine.run(Budget::UNLIMITED);
                let ended = match op {
                    Op::Unreachable => Stop::Trap(Trap::Unreachable),
                    _ => Stop::Done(vec![]),
                };
                let name = op.mnemonic();
                assert_eq!(stop, ended, "{name} under {}, {tier:?}", schedule.name());
                let cost = expected(*op, &sample, &schedule);
                assert_eq!(machine.gas_total(), cost, "{name} under {}, {tier:?}", schedule.name());
            }
        }
    }
}

#[test]
fn a_call_is_charged_for_the_locals_that_it_sets_to_zero() {
    let text = "(module (func (export \"f\") call $g) (func $g (param) (local i32 i64 f32 f64 i32 i32 i32 i32 i32)))";
    // A call and nine locals in two units of eight; the markers are free.
    for tier in TierKind::ALL {
        let mut machine = begin(text, &[], &Schedule::default(), tier);
        assert_eq!(machine.run(Budget::UNLIMITED), Stop::Done(vec![]));
        assert_eq!(machine.gas_total(), 1 + 2);
    }
}

#[test]
fn a_local_vector_is_zeroed_as_two_slots() {
    let text = "(module (func (export \"f\") call $g) (func $g (local v128 v128 v128 v128 i32)))";
    for tier in TierKind::ALL {
        let mut machine = begin(text, &[], &Schedule::default(), tier);
        assert_eq!(machine.run(Budget::UNLIMITED), Stop::Done(vec![]));
        assert_eq!(machine.gas_total(), 1 + 2);
    }
}

/// What `throw` costs in itself, and for each clause and frame that it looks at.
const THROW: u64 = 16;
const LOOK: u64 = 8;

/// A throw over three functions: of the clauses, those that cover the place count, the innermost first.
const SEARCH: &str = r#"(module (tag $a (param i32)) (tag $b) (tag $c)
    (func (export "f") (param i32) (result i32)
        (block $all
            (block $a (result i32)
                (try_table (catch $b $all) (catch $a $a) (catch_all $all) (call $g (local.get 0)))
                (try_table (catch $c $all) (br $all))
                (unreachable))
            (return))
        (i32.const 100))
    (func $g (param i32) (call $h (local.get 0)) (nop))
    (func $h (param i32)
        (block $out
            (try_table (catch $c $out)
                (try_table (catch $b $out) (catch $c $out)
                    (if (i32.eqz (local.get 0)) (then (throw $a (i32.const 7))))
                    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $c)))
                    (throw $b))
                (try_table (catch_all $out))))))"#;

#[test]
fn a_throw_is_charged_for_every_clause_and_frame_that_it_looks_at() {
    // In `h` three clauses and the frame, in `g` the frame, in `f` two clauses.
    let far = LOOK * (3 + 1 + 1 + 2);
    // `f`: a try, local.get, call, return; `g`: local.get, call; `h`: two tries.
    let before = |tests: u64| 3 + 2 + 2 + tests;
    let cases = [
        // local.get, eqz, if, constant, throw with a payload of one slot, then `return`
        (0, 7, before(4) + THROW + far + 1 + 1),
        // 3, then local.get, constant, eq, if, throw: the second clause. `g` goes on over a free nop, `f` into the second
        // try and its branch, and a constant.
        (1, 100, before(3 + 4) + THROW + 2 * LOOK + 3),
        // The same, but the first clause, and neither of the throws before.
        (2, 100, before(3 + 4) + THROW + LOOK + 3),
    ];
    for (arg, value, cost) in cases {
        for tier in TierKind::ALL {
            let mut machine = begin(SEARCH, &[arg], &Schedule::default(), tier);
            assert_eq!(machine.run(Budget::UNLIMITED), Stop::Done(vec![value]), "{arg}");
            assert_eq!(machine.gas_total(), cost, "{arg}, {tier:?}");
        }
    }
}

#[test]
fn a_throw_waits_for_the_gas_of_its_whole_search_and_pays_for_it_too_if_nothing_catches() {
    for tier in TierKind::ALL {
        let mut machine = begin(SEARCH, &[0], &Schedule::default(), tier);
        // Two tries, local.get, call; local.get, call; two tries; local.get, eqz, if, constant.
        let before = 3 + 2 + 2 + 4;
        let need = THROW + 7 * LOOK + 1;
        assert_eq!(machine.run(gas(before + need - 1)), Stop::OutOfGas { need });
        assert_eq!((machine.gas_total(), machine.frames().len()), (before, 3));
        assert_eq!(machine.run(gas(need)), Stop::OutOfGas { need: 1 });
        assert_eq!(machine.frames().len(), 1);
        let text = "(module (tag $x) (func (export \"f\") (try_table (call $g))) (func $g (throw $x)))";
        let first = Schedule::builtin("default-1").unwrap();
        for (schedule, cost) in [(Schedule::default(), 2 + THROW + 2 * LOOK), (first, 2 + 1)] {
            let mut machine = begin(text, &[], &schedule, tier);
            assert_eq!(machine.run(Budget::UNLIMITED), Stop::Trap(Trap::UncaughtException));
            assert_eq!((machine.gas_total(), machine.frames().len()), (cost, 2));
        }
    }
}

#[test]
fn a_search_that_cannot_be_paid_for_ends_where_that_is_known() {
    let text = format!(
        "(module (tag $x) (tag $y) (func (export \"f\") {}(throw $x){}))",
        format!("(try_table {}", "(catch $y 0)".repeat(100)).repeat(100),
        ")".repeat(100)
    );
    let mut machine = begin(&text, &[], &Schedule::default(), TierKind::Stepper);
    // All but one of the try_tables' clauses are looked at in vain.
    let whole = THROW + LOOK * (100 * 100 + 1);
    assert_eq!(machine.run(gas(100 + whole - 1)), Stop::OutOfGas { need: whole });
    assert_eq!(machine.run(gas(THROW + LOOK * 250)), Stop::OutOfGas { need: THROW + LOOK * 256 });
    assert_eq!(machine.run(gas(whole)), Stop::Trap(Trap::UncaughtException));
}

/// A program whose limit lets no exception be kept before everything has been looked through.
fn collecting(parts: &str, depth: u32) -> Machine {
    let text = format!(
        "(module (tag $x) {parts}
           (func $down (param $d i32)
             (if (local.get $d) (then (return (call $down (i32.sub (local.get $d) (i32.const 1))))))
             (drop (block $h (result exnref) (try_table (catch_all_ref $h) (throw $x)) (unreachable))))
           (func (export \"f\") (call $down (i32.const {depth}))))"
    );
    let module = Module::parse(wat::parse_str(&text).unwrap(), Features::default()).unwrap();
    let mut machine = Machine::new(Schedule::default(), Limits { exception_slots: 0, ..Limits::default() });
    let instance = machine.link("", Arc::new(module), &InstanceLinker::default(), &NoHost).unwrap();
    let Some(Extern::Func(func)) = machine.store.export(instance, "f") else { panic!("the module exports f") };
    machine.invoke(func, &[]).unwrap();
    machine
}

#[test]
fn a_throw_that_makes_room_pays_for_everything_that_it_looks_through() {
    let cost = |parts: &str, depth: u32| {
        let mut machine = collecting(parts, depth);
        assert_eq!(machine.run(Budget::UNLIMITED), Stop::Done(vec![]), "{parts}");
        machine.gas_total()
    };
    // 2 a unit.
    let plain = cost("", 0);
    for (parts, units) in [
        ("(table 5000 exnref)", 1 + 5000),
        // No reference to an exception is in these.
        ("(table 5000 funcref)", 1),
        ("(global i32 (i32.const 1)) (global (mut v128) (v128.const i64x2 1 2))", 3),
        // No frame is of it.
        ("(func $other (drop (i32.const 1)))", 0),
    ] {
        assert_eq!(cost(parts, 0) - plain, 2 * units, "{parts}");
    }
    // A call more: seven instructions; a frame as 8 slots, and the local that it has below the next one.
    assert_eq!(cost("", 1) - plain, cost("", 2) - cost("", 1));
    assert_eq!(cost("", 2) - cost("", 1), 7 + 2 * (8 + 1));
}

#[test]
fn a_throw_that_finds_no_room_pays_as_much_and_looks_through_nothing_that_it_cannot_pay_for() {
    let kept = "(global $g (mut exnref) (ref.null exn)) (table 5000 exnref)
        (func (export \"keep\") (global.set $g (block $h (result exnref) (try_table (catch_all_ref $h) (throw $x)) (unreachable))))";
    // So much is charged by a call of an export, and how it ends.
    let call = |machine: &mut Machine, export: &str, budget: Budget| {
        let Some(Extern::Func(func)) = machine.store.export(0, export) else { panic!("{export} is exported") };
        let before = machine.gas_total();
        machine.invoke(func, &[]).unwrap();
        let stop = machine.run(budget);
        (stop, machine.gas_total() - before)
    };
    let mut machine = collecting(kept, 0);
    let (stop, room) = call(&mut machine, "f", Budget::UNLIMITED);
    assert_eq!(stop, Stop::Done(vec![]));
    assert_eq!(call(&mut machine, "keep", Budget::UNLIMITED).0, Stop::Done(vec![]));
    // The search is not paid for, nor what comes after the throw.
    let (stop, no_room) = call(&mut machine, "f", Budget::UNLIMITED);
    assert_eq!((stop, no_room), (Stop::Trap(Trap::ExceptionsExhausted), room - LOOK - 1 + 2));
    let (stop, before) = call(&mut machine, "f", gas(no_room - 1));
    assert_eq!(stop, Stop::OutOfGas { need: no_room - before });
}

#[test]
fn units_of_a_search_are_rounded_up_for_each_throw() {
    let schedule = Schedule::parse("rounded", "*,0\nthrow.search,0,10,4\n").unwrap();
    for tier in TierKind::ALL {
        for (arg, cost) in [(0, 20), (1, 10), (2, 10)] {
            let mut machine = begin(SEARCH, &[arg], &schedule, tier);
            machine.run(Budget::UNLIMITED);
            assert_eq!(machine.gas_total(), cost, "{arg}");
        }
    }
}

/// What `f` costs under the schedule `default`, the same on both engines.
fn cost(text: &str, args: &[u64]) -> u64 {
    let run = |tier| {
        let mut machine = begin(text, args, &Schedule::default(), tier);
        assert!(matches!(machine.run(Budget::UNLIMITED), Stop::Done(_)), "{text}");
        machine.gas_total()
    };
    assert_eq!(run(TierKind::Register), run(TierKind::Stepper), "{text}");
    run(TierKind::Register)
}

#[test]
fn branches_and_calls_pay_for_the_slots_that_they_carry_beyond_sixteen() {
    let branch = |count: usize, branch: &str| {
        let (types, values, drops) = ("i32 ".repeat(count), "(i32.const 1) ".repeat(count), "drop ".repeat(count));
        format!(
            "(module (type $t (func (result {types}))) (func (export \"f\") (block $b (type $t) {values} {branch}) {drops}))"
        )
    };
    for (count, carried) in [(0, 0), (16, 0), (17, 1), (32, 2), (33, 3), (1000, 123)] {
        let both = 2 * count as u64;
        assert_eq!(cost(&branch(count, "(br $b)"), &[]), both + 1 + carried, "br, {count}");
        for (taken, why) in [(0, "not taken"), (1, "taken")] {
            let conditional = branch(count, &format!("(br_if $b (i32.const {taken}))"));
            assert_eq!(cost(&conditional, &[]), both + 2 + carried, "br_if, {count}, {why}");
        }
        assert_eq!(
            cost(&branch(count, "(br_table $b $b (i32.const 0))"), &[]),
            both + 2 + carried,
            "br_table, {count}"
        );
        let call = format!(
            "(module (func $g (param {t}) (result {t}) {}) (func (export \"f\") {} (call $g) {}))",
            (0..count).map(|i| format!("(local.get {i})")).collect::<String>(),
            "(i32.const 1) ".repeat(count),
            "drop ".repeat(count),
            t = "i32 ".repeat(count)
        );
        let carried = (2 * count as u64).saturating_sub(16).div_ceil(8);
        assert_eq!(cost(&call, &[]), 3 * count as u64 + 1 + carried, "call, {count}");
    }
}

#[test]
fn a_vector_is_carried_as_two_slots() {
    let text = |count: usize| {
        let (types, values) = ("v128 ".repeat(count), "(v128.const i64x2 1 2) ".repeat(count));
        let drops = "drop ".repeat(count);
        format!(
            "(module (type $t (func (result {types}))) (func (export \"f\") (block $b (type $t) {values} (br $b)) {drops}))"
        )
    };
    assert_eq!((cost(&text(8), &[]), cost(&text(9), &[])), (16 + 1, 18 + 1 + 1));
}

#[test]
fn a_throw_pays_for_the_payload_that_is_carried() {
    let text = |count: usize| {
        let (types, values, drops) = ("i32 ".repeat(count), "(i32.const 1) ".repeat(count), "drop ".repeat(count));
        format!(
            "(module (type $t (func (result {types}))) (tag $x (param {types}))
                (func (export \"f\") (block $b (type $t) (try_table (catch $x $b) {values} (throw $x)) (unreachable)) {drops}))"
        )
    };
    for (count, payload) in [(0, 0), (1, 1), (4, 1), (5, 2), (1000, 250)] {
        assert_eq!(cost(&text(count), &[]), 1 + 2 * count as u64 + THROW + LOOK + payload, "{count}");
    }
}

#[test]
fn handlers_that_are_closed_and_those_without_clauses_cost_a_throw_nothing() {
    let text = |before: &str, around: usize| {
        let (open, close) = ("(try_table ".repeat(around), ")".repeat(around));
        format!(
            "(module (tag $x) (func (export \"f\") {before} (block $h (try_table (catch_all $h) {open} (throw $x) {close}))))"
        )
    };
    let plain = cost(&text("", 0), &[]);
    for count in [1, 10, 1000] {
        let closed = format!("{}{}", "(try_table (catch_all 0) ".repeat(count), ")".repeat(count));
        assert_eq!(cost(&text(&closed, 0), &[]), plain + count as u64, "{count} closed, each paid when it was entered");
        assert_eq!(cost(&text("", count), &[]), plain + count as u64, "{count} without clauses, likewise");
    }
}

#[test]
fn a_call_into_another_instance_costs_more() {
    let other = Module::parse(wat::parse_str("(module (func (export \"g\")))").unwrap(), Features::default()).unwrap();
    let other = Arc::new(other);
    let text = "(module (import \"m\" \"g\" (func $g)) (func (export \"f\") (call $g) (call $h)) (func $h))";
    for tier in TierKind::ALL {
        let mut machine = Machine::new(Schedule::default(), Limits::default());
        machine.set_tier(tier);
        let mut linker = InstanceLinker::default();
        let instance = machine.link("m", other.clone(), &linker, &NoHost).unwrap();
        linker.register("m", instance);
        let module = Module::parse(wat::parse_str(text).unwrap(), Features::default()).unwrap();
        let instance = machine.link("", Arc::new(module), &linker, &NoHost).unwrap();
        let Some(Extern::Func(func)) = machine.store.export(instance, "f") else { panic!("the module exports f") };
        machine.invoke(func, &[]).unwrap();
        assert_eq!((machine.run(Budget::UNLIMITED), machine.gas_total()), (Stop::Done(vec![]), 1 + 16 + 1));
    }
}

#[test]
fn under_the_first_default_table_nothing_of_that_costs_more_than_it_did() {
    let (types, values, drops) = ("i32 ".repeat(1000), "(i32.const 1) ".repeat(1000), "drop ".repeat(1000));
    let text = format!(
        "(module (type $t (func (result {types}))) (tag $x (param {types})) (table $t 1 funcref)
            (func (export \"f\")
                (block $b (type $t) {values} (br $b)) {drops}
                (block $b (type $t) (try_table (catch $x $b) {values} (throw $x)) (unreachable)) {drops}
                (drop (table.size $t)) (drop (memory.grow (i32.const 0)))) (memory 1))"
    );
    let mut machine = begin(&text, &[], &Schedule::builtin("default-1").unwrap(), TierKind::Register);
    assert_eq!(machine.run(Budget::UNLIMITED), Stop::Done(vec![]));
    assert_eq!(machine.gas_total(), 2001 + 2000 + 1 + 1 + 1 + 2 + 3);
}

/// Adds the numbers up to the argument.
const SUM: &str = r#"(module (func (export "f") (param $n i32) (result i32) (local $sum i32)
    (loop $l
        (local.set $sum (i32.add (local.get $sum) (local.get $n)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

#[test]
fn a_run_that_changes_its_tier_at_every_stop_is_one_that_does_not() {
    for (text, arg) in [(SEARCH, 3), (SUM, 1000)] {
        let [mut changing, mut stepped] =
            [TierKind::Register, TierKind::Stepper].map(|tier| begin(text, &[arg], &Schedule::default(), tier));
        for slice in 1.. {
            let (stop, expected) = (changing.run(gas(slice)), stepped.run(gas(slice)));
            assert_eq!((&stop, changing.gas_total()), (&expected, stepped.gas_total()), "slice {slice}");
            assert_eq!(changing.frame_states(), stepped.frame_states(), "slice {slice}");
            if !matches!(stop, Stop::OutOfGas { .. }) {
                break;
            }
            changing.set_tier(TierKind::ALL[slice as usize % 2]);
        }
    }
}

#[test]
fn a_run_of_n_gas_needs_exactly_n() {
    let run = |budget: u64| {
        let mut machine = begin(SUM, &[10], &Schedule::default(), TierKind::Register);
        (machine.run(gas(budget)), machine.gas_total(), machine.gas_left())
    };
    let (stop, n, left) = run(u64::MAX);
    assert_eq!((stop, n, left), (Stop::Done(vec![55]), 10 * 9 + 1, u64::MAX - 91));
    assert_eq!(run(n), (Stop::Done(vec![55]), n, 0));
    assert_eq!(run(n + 1), (Stop::Done(vec![55]), n, 1));
    assert_eq!(run(n - 1), (Stop::OutOfGas { need: 1 }, n - 1, 0));
    assert_eq!(run(1), (Stop::OutOfGas { need: 1 }, 1, 0));
    assert_eq!(run(0), (Stop::OutOfGas { need: 1 }, 0, 0));
}

#[test]
fn a_run_goes_on_from_every_pause_to_the_same_end() {
    for slice in [1, 2, 3, 7, 90, 91] {
        let mut machine = begin(SUM, &[10], &Schedule::default(), TierKind::Register);
        let stop = loop {
            match machine.run(gas(slice)) {
                Stop::OutOfGas { need: 1 } => {}
                stop => break stop,
            }
        };
        assert_eq!((stop, machine.gas_total()), (Stop::Done(vec![55]), 91), "in slices of {slice}");
    }
}

#[test]
fn an_instruction_dearer_than_the_budget_says_what_it_needs() {
    let text = "(module (memory 1 9) (func (export \"f\") (result i32) (memory.grow (i32.const 2))))";
    let mut machine = begin(text, &[], &Schedule::default(), TierKind::Register);
    let need = 16 + 2 * 4096;
    assert_eq!(machine.run(gas(100)), Stop::OutOfGas { need });
    assert_eq!((machine.gas_total(), machine.store.memories[0].pages()), (1, 1));
    assert_eq!(machine.run(gas(need)), Stop::Done(vec![1]));
    assert_eq!((machine.gas_total(), machine.store.memories[0].pages()), (1 + need, 3));
}

#[test]
fn what_fails_or_traps_is_charged_without_its_units() {
    let cases = [
        ("(drop (memory.grow (i32.const 100)))", Stop::Done(vec![]), 1 + 16 + 1),
        ("(drop (table.grow (ref.null func) (i32.const 100)))", Stop::Done(vec![]), 2 + 16 + 1),
        ("(memory.fill (i32.const 0) (i32.const 0) (i32.const 65537))", Stop::Trap(Trap::MemoryOutOfBounds), 3 + 8),
        ("(table.copy (i32.const 0) (i32.const 0) (i32.const 99))", Stop::Trap(Trap::TableOutOfBounds), 3 + 16),
    ];
    for (body, ended, cost) in cases {
        let text = format!("(module (memory 1 9) (table 1 9 funcref) (func (export \"f\") {body}))");
        let mut machine = begin(&text, &[], &Schedule::default(), TierKind::Register);
        assert_eq!((machine.run(Budget::UNLIMITED), machine.gas_total()), (ended, cost), "{body}");
    }
}

#[test]
fn a_trap_in_mid_block_is_charged_up_to_its_instruction_and_stays_there() {
    let text = r#"(module (memory 1) (func (export "f") (param $a i32) (result i32) (local $x i32)
        (local.set $x (i32.const 7))
        (i32.add (i32.const 1) (i32.mul (local.get $x) (i32.load (local.get $a))))
        (i32.add (i32.const 3))
        (local.tee $x)))"#;
    for tier in TierKind::ALL {
        let mut machine = begin(text, &[70_000], &Schedule::default(), tier);
        assert_eq!(machine.run(Budget::UNLIMITED), Stop::Trap(Trap::MemoryOutOfBounds));
        // Two for the set, then constant, two gets and the load that traps.
        assert_eq!(machine.gas_total(), 2 + 4);
        // The fast engine leaves only the instruction that traps to the stepper.
        assert_eq!(machine.gas_stepped(), if tier == TierKind::Stepper { 6 } else { 1 });
        let frames = machine.frame_states();
        assert_eq!(frames.len(), 1);
        assert_eq!((&frames[0].locals, &frames[0].operands), (&vec![70_000, 7], &vec![1, 7, 70_000]));
    }
}

#[test]
fn a_free_loop_is_still_interruptible() {
    let free = [
        // `return_call` is not in the reference table; in a user's own anything may be free.
        ("(module (func (export \"f\") return_call 0))", Schedule::seed_ordinal()),
        ("(module (func (export \"f\") (loop (br 0))))", Schedule::parse("free", "*,0").unwrap()),
        ("(module (func (export \"f\") (loop (br_if 0 (i32.const 1)))))", Schedule::parse("free", "*,0").unwrap()),
        ("(module (func (export \"f\") (loop (br_table 0 (i32.const 1)))))", Schedule::parse("free", "*,0").unwrap()),
        ("(module (func (export \"f\") (loop (call 1) (br 0))) (func))", Schedule::parse("free", "*,0").unwrap()),
        (
            "(module (tag $x) (func (export \"f\") (loop $l (try_table (catch $x $l) (throw $x)))))",
            Schedule::parse("free", "*,0").unwrap(),
        ),
        (
            "(module (func (export \"f\") (loop $l (br_on_null $l (ref.null func)) (drop))))",
            Schedule::parse("free", "*,0").unwrap(),
        ),
        (
            "(module (type $t (func)) (func $f (export \"f\") (return_call_ref $t (ref.func $f))))",
            Schedule::seed_ordinal(),
        ),
    ];
    for (text, schedule) in free {
        let mut stops = Vec::new();
        for tier in TierKind::ALL {
            let mut machine = begin(text, &[], &schedule, tier);
            assert_eq!(machine.run(Budget { gas: 10, steps: 1000 }), Stop::OutOfSteps, "{text}");
            assert_eq!(machine.run(Budget { gas: 10, steps: 1 }), Stop::OutOfSteps, "{text}");
            assert_eq!(machine.gas_total(), 0, "{text}");
            stops.push(machine.frame_states());
        }
        assert_eq!(stops[0], stops[1], "{text}");
    }
}

#[test]
fn endless_recursion_ends_at_the_call_depth_of_the_job() {
    for tier in TierKind::ALL {
        let mut machine = begin("(module (func (export \"f\") call 0))", &[], &Schedule::default(), tier);
        assert_eq!(machine.run(Budget::UNLIMITED), Stop::Trap(Trap::CallStackExhausted));
        assert_eq!((machine.frames().len(), machine.gas_total()), (65_536, 65_536));
    }
}
