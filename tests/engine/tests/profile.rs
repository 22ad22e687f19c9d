//! Profiles: every unit of gas and every instruction is somewhere, exactly once, whatever is done to the run.

use std::sync::Arc;

use engine_tests::engine_oracle::LIMITS;
use engine_tests::generate::program::random_program;
use engine_tests::generate::{Rng, random_args, random_schedule, smith_module};
use engine_tests::session::{self, Drive, Files, program, words};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop, TierKind};
use stepmark_core::module::{Features, Module, ValType};
use stepmark_tools::profile::{InstructionCounts, Profile, ProfileLimits, Profiler};

/// The profile adds up, each way.
#[track_caller]
fn assert_whole(profile: &Profile) {
    let functions: u64 = profile.functions.iter().map(|function| function.gas).sum();
    let sites: u64 = profile.sites.iter().map(|site| site.gas).sum();
    let stacks: u64 = profile.stacks.iter().map(|stack| stack.gas).sum();
    let executed: u64 = profile.functions.iter().map(|function| function.instructions).sum();
    assert_eq!(functions + profile.outside, profile.gas, "functions");
    assert_eq!(sites + profile.outside, profile.gas, "instructions");
    assert_eq!(stacks + profile.outside, profile.gas, "stacks");
    assert_eq!(folded_sum(&profile.folded()), profile.gas, "folded");
    assert_eq!(executed, profile.instructions.total());
    for function in &profile.functions {
        assert!(function.gas <= function.total_gas && function.total_gas <= profile.gas, "{function:?}");
    }
    for (number, stack) in profile.stacks.iter().enumerate() {
        assert!(stack.parent.is_none_or(|parent| parent < number));
    }
}

fn folded_sum(folded: &str) -> u64 {
    folded.lines().map(|line| line.rsplit_once(' ').expect("a count").1.parse::<u64>().expect("a number")).sum()
}

/// A session under a profiler, driven to its end.
fn profiled(inputs: &Files, line: &str, limits: ProfileLimits, drive: Drive) -> (Profile, session::Run) {
    let mut session = session::load(inputs, &words(line)).expect("loads");
    let profiler = Profiler::new(session.machine().expect("loaded"), limits);
    session.watch(profiler.clone());
    let ran = session::run(&mut session, Drive { tier: TierKind::Stepper, ..drive });
    let machine = session.machine().expect("loaded");
    (profiler.finish(machine, session.outcome().is_some() && session.exit_code() != 75), ran)
}

fn whole(inputs: &Files, line: &str) -> Profile {
    profiled(inputs, line, ProfileLimits::default(), Drive::WHOLE).0
}

fn stacks(profile: &Profile) -> Vec<String> {
    profile.folded().lines().map(str::to_owned).collect()
}

#[test]
fn gas_is_with_the_function_and_the_stack_that_it_was_charged_under() {
    let text = "(module
        (func $main (export \"run\") (call $twice) (call $once))
        (func $twice (call $leaf) (call $leaf))
        (func $once (drop (i32.const 1)) (call $leaf))
        (func $leaf (drop (i32.const 1))))";
    let profile = whole(&program(text), "program.wasm run");
    assert_whole(&profile);
    assert_eq!(stacks(&profile), ["main 2", "main;once 3", "main;once;leaf 2", "main;twice 2", "main;twice;leaf 4"]);
    let rows: Vec<(&str, u64, u64, u64)> =
        profile.functions.iter().map(|f| (f.name.as_str(), f.calls, f.gas, f.total_gas)).collect();
    assert_eq!(rows, [("leaf", 3, 6, 6), ("once", 1, 3, 5), ("main", 1, 2, 13), ("twice", 1, 2, 6)]);
}

#[test]
fn recursion_tail_calls_and_exceptions_leave_the_stack_as_it_is() {
    let text = "(module (tag $e)
        (func $main (export \"run\") (param i32)
            (call $down (local.get 0))
            (block $caught (try_table (catch $e $caught) (call $throw (local.get 0))))
            (call $after))
        (func $down (param i32) (if (local.get 0) (then (return_call $down (i32.sub (local.get 0) (i32.const 1)))))
            (return_call $after))
        (func $throw (param i32)
            (if (local.get 0) (then (call $throw (i32.sub (local.get 0) (i32.const 1)))) (else (throw $e))))
        (func $after (drop (i32.const 1))))";
    let profile = whole(&program(text), "program.wasm run 3");
    assert_whole(&profile);
    let folded = stacks(&profile);
    let names: Vec<&str> = folded.iter().map(|line| line.rsplit_once(' ').expect("a count").0).collect();
    let nested = ["main;throw", "main;throw;throw", "main;throw;throw;throw", "main;throw;throw;throw;throw"];
    assert_eq!(names, ["main", "main;after", "main;down", nested[0], nested[1], nested[2], nested[3]]);
    let calls = |name: &str| profile.functions.iter().find(|f| f.name == name).map(|f| f.calls);
    assert_eq!((calls("down"), calls("after"), calls("throw"), calls("main")), (Some(4), Some(2), Some(4), Some(1)));
    // Of four frames of one function only the outermost counts.
    let throw = profile.functions.iter().find(|f| f.name == "throw").expect("profiled");
    assert_eq!(throw.gas, throw.total_gas);
}

/// Writes eight bytes, directly and through a table, and exits.
const HOST: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (type $write (func (param i32 i32 i32 i32) (result i32)))
    (table funcref (elem $write))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\04\00\00\00abcd")
    (func $main (export "_start")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
        (drop (call_indirect (type $write) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32) (i32.const 0)))
        (call $exit (i32.const 3))))"#;

#[test]
fn a_host_function_stands_on_the_stack_with_its_price() {
    let (profile, ran) = profiled(&program(HOST), "program.wasm", ProfileLimits::default(), Drive::WHOLE);
    assert_whole(&profile);
    assert_eq!(ran.exit_code, 3);
    assert_eq!(ran.receipt()["gas_used"], profile.gas);
    let host = |name: &str| profile.functions.iter().find(|f| f.name.ends_with(name)).expect("called");
    assert!(host("proc_exit").is_host && host("fd_write").is_host);
    assert_eq!((host("fd_write").calls, host("proc_exit").calls, host("proc_exit").gas), (2, 1, 10 + 16));
    assert_eq!((profile.instructions.host_call, profile.instructions.call), (3, 0));
    let main = profile.functions.iter().find(|f| f.name == "main").expect("called");
    // Ten constants, three calls and two drops.
    assert_eq!((main.gas, main.total_gas), (4 + 2 + 5 + 2 + 2, profile.gas));
    assert!(profile.folded().contains("main;wasi_snapshot_preview1.fd_write "), "{}", profile.folded());
}

#[test]
fn a_profile_is_the_same_however_often_and_wherever_the_run_pauses() {
    let text = "(module (func $f (export \"run\") (param i32) (result i32)
        (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
          (else (i32.add (call $f (i32.sub (local.get 0) (i32.const 1)))
                         (call $f (i32.sub (local.get 0) (i32.const 2))))))))";
    for inputs in [program(text), program(HOST)] {
        let line = if inputs == program(text) { "program.wasm run 10" } else { "program.wasm" };
        let expected = whole(&inputs, line);
        assert_eq!(whole(&inputs, line), expected);
        for slice in [1, 7, 100] {
            let (profile, _) = profiled(&inputs, line, ProfileLimits::default(), Drive::sliced(slice));
            assert_eq!(profile, expected, "in slices of {slice}");
        }
        let refilled = format!("--gas-limit 41 --enable-gas-refill {line}");
        let (profile, _) = profiled(&inputs, &refilled, ProfileLimits::default(), Drive::WHOLE);
        assert_eq!(profile, expected, "with refill");
    }
}

#[test]
fn a_run_that_stops_at_its_limit_is_profiled_up_to_there() {
    let line = "--gas-limit 7 program.wasm run";
    let text = "(module (memory 1) (func $f (export \"run\") (drop (i32.const 1))
        (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))))";
    let (profile, _) = profiled(&program(text), line, ProfileLimits::default(), Drive::WHOLE);
    assert_whole(&profile);
    // Two and three constants; the fill is not paid for.
    assert_eq!((profile.gas, profile.instructions.total(), profile.instructions.memory), (5, 5, 0));
}

#[test]
fn an_instruction_that_traps_has_been_executed() {
    for schedule in ["*,1\n", "*,0\n"] {
        let mut inputs = program("(module (func (export \"run\") (drop (i32.div_u (i32.const 1) (i32.const 0)))))");
        inputs.insert("prices".to_owned(), schedule.as_bytes().to_vec());
        let line = "--gas-schedule prices program.wasm run";
        let (profile, _) = profiled(&inputs, line, ProfileLimits::default(), Drive::WHOLE);
        assert_eq!(profile.instructions, InstructionCounts { numeric: 3, ..InstructionCounts::default() });
    }
}

#[test]
fn calls_beyond_the_limits_of_the_tree_count_to_their_callers() {
    let text = "(module (func $f (export \"run\") (param i32) (if (local.get 0)
        (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (call $leaf))))
        (func $leaf (drop (i32.const 1))))";
    let exact = whole(&program(text), "program.wasm run 30");
    assert_eq!((exact.folded_gas, exact.stacks.len()), (0, 32));
    for limits in [ProfileLimits { depth: 4, nodes: 1000 }, ProfileLimits { depth: 1000, nodes: 4 }] {
        let (profile, _) = profiled(&program(text), "program.wasm run 30", limits, Drive::WHOLE);
        assert_whole(&profile);
        assert_eq!(profile.stacks.len(), 4);
        assert!(profile.folded_gas > 0);
        let own =
            |profile: &Profile| profile.functions.iter().map(|f| (f.name.clone(), f.calls, f.gas)).collect::<Vec<_>>();
        assert_eq!(own(&profile), own(&exact), "functions are exact all the same");
        assert_eq!(profile.instructions, exact.instructions);
    }
}

#[test]
fn instructions_are_counted_by_class() {
    let text = "(module (memory 1) (table 2 funcref) (global $g (mut i32) (i32.const 0))
        (func (export \"run\") (param i32)
            (global.set $g (i32.add (local.get 0) (i32.const 1)))
            (i32.store (i32.const 0) (global.get $g))
            (v128.store (i32.const 0) (v128.const i64x2 1 2))
            (drop (i32x4.extract_lane 0 (i32x4.neg (v128.const i64x2 1 2))))
            (table.set (i32.const 0) (ref.null func))
            (drop (memory.size))
            (call $g))
        (func $g nop))";
    let profile = whole(&program(text), "program.wasm run 3");
    let expected = InstructionCounts {
        numeric: 5,
        vector: 4,
        memory: 3,
        variable: 3,
        parametric: 2,
        // `nop` and two `end`.
        control: 3,
        call: 1,
        host_call: 0,
        reference: 2,
    };
    assert_eq!(profile.instructions, expected);
    let text = "numeric 5, vector 4, memory 3, variable 3, parametric 2, control 3, call 1, reference 2";
    assert_eq!(profile.instructions.to_string(), text);
    assert_eq!(InstructionCounts::default().to_string(), "none");
}

/// Gas between pauses that most calls never come to.
const WHOLE: u64 = 30_000;

/// Calls every export of a module under a profiler of its own; what each call came to.
fn calls(bytes: &[u8], schedule: &Schedule, seed: u64, slice: u64) -> Vec<(Option<Vec<u64>>, Profile)> {
    let module = Arc::new(Module::parse(bytes.to_vec(), Features::default()).expect("a module"));
    let mut machine = Machine::new(schedule.clone(), LIMITS);
    let linked = machine.link("", module.clone(), &InstanceLinker::default(), &NoHost);
    if linked.is_err() || machine.store.write_segments(0).is_err() {
        return Vec::new();
    }
    let mut rng = Rng::new(seed);
    let mut all = Vec::new();
    for export in module.exports() {
        let Some(Extern::Func(func)) = machine.store.export(0, &export.name) else { continue };
        let ty = machine.store.func_type(func).clone();
        if ty.params.iter().any(|ty| matches!(ty, ValType::Ref(ty) if !ty.nullable)) {
            continue;
        }
        if machine.invoke(func, &random_args(&mut rng, &ty)).is_err() {
            continue;
        }
        let profiler = Profiler::new(&machine, ProfileLimits::default());
        machine.set_watch(profiler.clone());
        let before = machine.gas_total();
        let mut gas = slice;
        let stop = loop {
            match machine.run(Budget { gas, steps: 3_000 }) {
                Stop::OutOfGas { need } if machine.gas_total() - before < WHOLE && need < 1 << 20 => {
                    gas = need.max(slice)
                }
                stop => break stop,
            }
        };
        let values = match &stop {
            Stop::Done(values) => Some(values.clone()),
            _ => None,
        };
        let has_ended = matches!(stop, Stop::Done(_) | Stop::Trap(_));
        let profile = profiler.finish(&machine, has_ended);
        assert_eq!(profile.gas, machine.gas_total() - before, "seed {seed}: {}", export.name);
        assert_whole(&profile);
        if !has_ended {
            break;
        }
        all.push((values, profile));
    }
    all
}

#[test]
fn every_unit_of_gas_and_every_instruction_of_random_programs_is_somewhere() {
    let one_each = Schedule::parse("one each", "*,1\n").expect("a schedule");
    let free = Schedule::parse("free", "*,0\n").expect("a schedule");
    let mut compared = 0;
    for seed in 0..400 {
        let program = wat::parse_str(random_program(seed)).expect("valid text");
        for bytes in [Some(program), smith_module(seed, true)].into_iter().flatten() {
            let counted = calls(&bytes, &one_each, seed, WHOLE);
            for (_, profile) in &counted {
                assert_eq!(profile.gas, profile.instructions.total(), "seed {seed}: each costs one");
            }
            let paused = calls(&bytes, &one_each, seed, 3);
            for ((values, whole), (again, paused)) in counted.iter().zip(&paused) {
                assert_eq!((values, whole), (again, paused), "seed {seed}: paused");
            }
            for schedule in [&free, &Schedule::default(), &random_schedule(seed)] {
                for ((values, counted), (again, other)) in counted.iter().zip(&calls(&bytes, schedule, seed, WHOLE)) {
                    let name = schedule.name();
                    assert_eq!(values.is_some(), again.is_some(), "seed {seed}");
                    assert_eq!(counted.instructions, other.instructions, "seed {seed}: under {name}");
                    compared += u64::from(values.is_some());
                }
            }
        }
    }
    println!("{compared} calls that returned");
    assert!(compared > 1000, "{compared}");
}
