//! The sample programs that need no WASI do what `expected.toml` says, on both engines, for the same gas; the fast engine
//! runs nearly all of it.

use node_tests::benchmarks;
use node_tests::programs::{self, Case, Program, expected, run_case};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::TierKind;

fn cases(mut each: impl FnMut(&Program, &Case)) {
    for program in expected().unwrap().program.iter().filter(|p| p.kind != "command") {
        program.case.iter().for_each(|case| each(program, case));
    }
}

#[test]
fn every_case_without_wasi_comes_out_as_expected_for_the_same_gas_on_both_engines() {
    let mut count = 0;
    cases(|program, case| {
        let name = format!("{} {}", program.file, case.name);
        for schedule in [Schedule::default(), Schedule::seed_ordinal()] {
            let [fast, stepper] = [TierKind::Register, TierKind::Stepper]
                .map(|tier| run_case(program, case, &schedule, tier).unwrap_or_else(|e| panic!("{name}: {e:#}")));
            assert_eq!(fast.gas_total(), stepper.gas_total(), "{name} under {}", schedule.name());
        }
        count += 1;
    });
    assert_eq!(count, 38);
}

#[test]
fn every_benchmark_program_returns_what_it_must_for_the_same_gas_on_both_engines() {
    let (benchmarks, extensions) = (benchmarks::all().unwrap(), benchmarks::extensions().unwrap());
    assert_eq!((benchmarks.len(), extensions.len()), (20, 6));
    for program in benchmarks.iter().chain(&extensions).map(benchmarks::Benchmark::program) {
        let [fast, stepper] = [TierKind::Register, TierKind::Stepper].map(|tier| {
            run_case(&program, &program.case[0], &Schedule::default(), tier)
                .unwrap_or_else(|e| panic!("{}: {e:#}", program.file))
        });
        assert_eq!(fast.gas_total(), stepper.gas_total(), "{}", program.file);
        println!("{}: {} of {} gas by the stepper", program.file, fast.gas_stepped(), fast.gas_total());
    }
}

#[test]
fn benchmark_programs_in_the_text_format_are_what_their_text_says() {
    for program in benchmarks::extensions().unwrap() {
        let text = programs::directory().join(program.path()).with_extension("wat");
        if text.is_file() {
            assert_eq!(wat::parse_file(&text).unwrap(), programs::bytes(&program.path()).unwrap(), "{}", program.file);
        }
    }
}

#[test]
fn the_fast_engine_charges_at_least_95_percent_of_the_gas_of_long_runs() {
    let long =
        [("fib32.wasm", "fib 27"), ("matrix_multiplication_cpp_100.wasm", "once"), ("grow_table_trap.wasm", "work")];
    let mut found = 0;
    cases(|program, case| {
        if !long.contains(&(program.file.as_str(), case.name.as_str())) {
            return;
        }
        let machine = run_case(program, case, &Schedule::default(), TierKind::Register).unwrap();
        let (stepped, total) = (machine.gas_stepped(), machine.gas_total());
        println!("{}: {stepped} of {total} gas by the stepper", program.file);
        assert!(stepped * 20 <= total, "{}: {stepped} of {total} gas by the stepper", program.file);
        found += 1;
    });
    assert_eq!(found, long.len());
}
