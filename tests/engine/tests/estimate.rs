//! The least gas of a call, as it is known without running anything: no call that returns takes less, and where nothing
//! depends on the arguments it takes exactly that.

use std::sync::Arc;

use engine_tests::engine_oracle::LIMITS;
use engine_tests::generate::program::random_program;
use engine_tests::generate::{Rng, random_args, random_schedule, relaxed_smith_module, smith_module};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop};
use stepmark_core::module::{Features, Module, ValType};
use stepmark_state::limits::Limits;
use stepmark_tools::estimate::least_costs;

fn machine(bytes: &[u8], schedule: &Schedule, limits: Limits) -> Option<Machine> {
    let module = Arc::new(Module::parse(bytes.to_vec(), Features::default()).expect("a module"));
    let mut machine = Machine::new(schedule.clone(), limits);
    let instance = machine.link("", module, &InstanceLinker::default(), &NoHost).ok()?;
    machine.store.write_segments(instance).ok()?;
    Some(machine)
}

fn func(machine: &Machine, name: &str) -> u32 {
    let Some(Extern::Func(func)) = machine.store.export(0, name) else { panic!("no function {name}") };
    func
}

/// The bound of `f`, and what a call of it takes if it returns.
#[track_caller]
fn bound_and_gas(text: &str, args: &[u64], schedule: &Schedule) -> (Option<u64>, Option<u64>) {
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut machine = machine(&bytes, schedule, Limits::default()).expect("linked");
    let f = func(&machine, "f");
    let bound = least_costs(&machine.store, schedule, &[f])[0];
    machine.invoke(f, args).expect("room for a frame");
    let stop = machine.run(Budget { gas: 100_000, steps: 100_000 });
    (bound, matches!(stop, Stop::Done(_)).then(|| machine.gas_total()))
}

#[test]
fn where_the_cheapest_way_is_taken_the_bound_is_the_gas() {
    let cases = [
        // Straight on; the zeroed locals of a function that is called from outside are not charged.
        ("(func (export \"f\") (local i64 i64) nop (drop (i32.add (i32.const 1) (i32.const 2))))", 0, 4),
        // The arm that costs less, by each of the two ways of having none.
        ("(func (export \"f\") (param i32) (if (local.get 0) (then (drop (i32.const 1)))))", 0, 2),
        ("(func (export \"f\") (param i32) (if (local.get 0) (then) (else (drop (i32.const 1)))))", 1, 2),
        // A loop that is left at once; a branch that skips what follows.
        ("(func (export \"f\") (param i32) (loop $l (br_if $l (local.get 0))))", 0, 2),
        ("(func (export \"f\") (param i32) (block (br_if 0 (local.get 0)) (drop (i32.const 1))))", 1, 2),
        // The default of a table of branches.
        (
            "(func (export \"f\") (param i32)
               (block $a (block $b (br_table $b $a (local.get 0))) (drop (i32.const 1))))",
            5,
            2,
        ),
        // Calls, with the locals that they set to zero: nine slots in units of eight.
        (
            "(func (export \"f\") (call $g) (call $g))
             (func $g (local i64 i64 i64 i64 i64 i64 i64 i64 i64) (drop (i32.const 1)))",
            0,
            10,
        ),
        // The cheaper of two callees, one of them by a tail call.
        (
            "(func (export \"f\") (param i32) (if (local.get 0) (then (return_call $cheap))) (call $dear))
             (func $cheap) (func $dear (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)))",
            1,
            3,
        ),
        // Recursion that need not be entered.
        (
            "(func $f (export \"f\") (param i32)
               (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))))",
            0,
            2,
        ),
        // What follows a callee that never returns is never reached: the other way is the only one.
        (
            "(func (export \"f\") (param i32) (if (local.get 0) (then (call $stuck) (return)))
               (drop (i32.const 1)) (drop (i32.const 1))) (func $stuck (loop $l (br $l)))",
            0,
            6,
        ),
        // An exception is the only way out of the callee, and its first clause is the one that catches.
        (
            "(tag $e) (func (export \"f\") (block $caught (try_table (catch $e $caught) (call $throw) (unreachable))))
             (func $throw (throw $e))",
            0,
            // try_table, call, throw, and one of the two that are looked at: the callee's frame and the clause.
            1 + 1 + 16 + 8,
        ),
        // Whatever an indirect call finds costs at least nothing.
        ("(table funcref (elem $g)) (func $g) (func (export \"f\") (call_indirect (i32.const 0)))", 0, 2),
    ];
    for (text, argument, expected) in cases {
        let args: &[u64] = if text.contains("(export \"f\") (param") { &[argument] } else { &[] };
        let (bound, gas) = bound_and_gas(&format!("(module {text})"), args, &Schedule::default());
        assert_eq!(bound, Some(expected), "{text}");
        // The search of a throw depends on where it is caught.
        let more = 8 * u64::from(text.contains("$throw"));
        assert_eq!(gas, Some(expected + more), "{text}");
    }
}

#[test]
fn what_cannot_return_is_said_to_never_return() {
    let cases = [
        "(func (export \"f\") unreachable)",
        "(func (export \"f\") (loop $l (br $l)))",
        "(func $f (export \"f\") (call $f))",
        "(func $f (export \"f\") (return_call $f))",
        "(func (export \"f\") (call $g)) (func $g (call $h)) (func $h (call $g))",
        "(tag $e) (func (export \"f\") (throw $e))",
        "(tag $e) (func (export \"f\") (return_call $g)) (func $g (throw $e))",
        "(func (export \"f\") (param i32) (if (local.get 0) (then unreachable) (else (br 0 (loop $l (br $l))))))",
    ];
    for text in cases {
        // A schedule in which nothing costs anything is where a search could take a circle for a way out.
        for schedule in [Schedule::default(), Schedule::parse("free", "*,0\n").unwrap()] {
            let args: &[u64] = if text.contains("(param i32)") { &[0] } else { &[] };
            assert_eq!(bound_and_gas(&format!("(module {text})"), args, &schedule), (None, None), "{text}");
        }
    }
}

#[derive(Default, Debug)]
struct Figures {
    returned: u64,
    exact: u64,
    never: u64,
}

/// Calls every exported function, in order on one instance, and compares what they take with their bounds.
fn compare(bytes: &[u8], schedule: &Schedule, seed: u64, figures: &mut Figures) {
    let Some(mut machine) = machine(bytes, schedule, LIMITS) else { return };
    let module = machine.store.instances[0].module.clone();
    let mut rng = Rng::new(seed);
    for export in module.exports() {
        let Some(Extern::Func(func)) = machine.store.export(0, &export.name) else { continue };
        let ty = machine.store.func_type(func).clone();
        let bound = least_costs(&machine.store, schedule, &[func])[0];
        figures.never += u64::from(bound.is_none());
        for _ in 0..4 {
            if ty.params.iter().any(|ty| matches!(ty, ValType::Ref(ty) if !ty.nullable)) {
                continue;
            }
            if machine.invoke(func, &random_args(&mut rng, &ty)).is_err() {
                continue;
            }
            let before = machine.gas_total();
            let Stop::Done(_) = machine.run(Budget { gas: 1 << 18, steps: 3_000 }) else { continue };
            let gas = machine.gas_total() - before;
            let Some(bound) = bound else { panic!("seed {seed}: {} returned and is said never to", export.name) };
            assert!(bound <= gas, "seed {seed}: {} took {gas}, the bound is {bound}", export.name);
            figures.returned += 1;
            figures.exact += u64::from(bound == gas);
        }
    }
}

#[test]
fn no_call_of_a_random_program_that_returns_takes_less() {
    let mut figures = Figures::default();
    for seed in 0..1500 {
        let bytes = wat::parse_str(random_program(seed)).expect("valid text");
        let schedule = [Schedule::default(), Schedule::seed_ordinal(), random_schedule(seed)];
        compare(&bytes, &schedule[(seed % 3) as usize], seed, &mut figures);
    }
    println!("{figures:?}");
    assert!(figures.returned > 1000 && figures.exact > 0, "{figures:?}");
}

#[test]
fn no_call_of_a_module_of_wasm_smith_that_returns_takes_less() {
    let mut figures = Figures::default();
    for seed in 0..1500 {
        let module = if seed % 5 == 0 { relaxed_smith_module(seed) } else { smith_module(seed, true) };
        let Some(bytes) = module else { continue };
        let schedule = [Schedule::default(), Schedule::seed_ordinal(), random_schedule(seed)];
        compare(&bytes, &schedule[(seed % 3) as usize], seed, &mut figures);
    }
    println!("{figures:?}");
    assert!(figures.returned > 1000 && figures.exact > 100, "{figures:?}");
}
