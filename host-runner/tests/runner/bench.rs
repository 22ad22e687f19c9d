//! How fast a program runs here.

use crate::util::{Dir, FIB};

#[test]
fn the_table_has_a_row_for_each_engine_and_the_result_that_all_came_to() {
    let dir = Dir::with("fib.wasm", FIB);
    let ran = dir.run("bench --rounds 1 fib.wasm fib 15").code(0);
    let text = String::from_utf8_lossy(ran.stdout()).into_owned();
    for wanted in [
        "exit code 0, values (610)",
        "Stepmark (wasm)",
        "Stepmark (native)",
        "Stepmark (compiled)",
        "wasmtime, same NaNs",
        "wasmtime x",
        "instructions/s",
        "gas/s",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
    assert!(!["snapshot", "stepmark"].iter().any(|name| dir.path(name).exists()), "a measurement writes no files");
}

#[test]
fn instructions_are_counted_whatever_the_schedule_charges() {
    let dir = Dir::with("fib.wasm", FIB);
    let object = |schedule: &str| -> serde_json::Value {
        let ran = dir.run(&format!("bench --json --rounds 2 {schedule} fib.wasm fib 15")).code(0);
        serde_json::from_slice(ran.stdout()).expect("one object")
    };
    let (default, seed) = (object(""), object("--gas-schedule seed-ordinal"));
    assert_eq!(default["instructions"], seed["instructions"]);
    assert_ne!(default["gas"], seed["gas"]);
    assert_eq!(default["rounds"], 2);
    let engines = default["engines"].as_array().expect("a list");
    assert_eq!(engines.len(), 5);
    assert!(engines.iter().all(|engine| engine["instructions_per_second"].as_u64().is_some_and(|rate| rate > 0)));
}

#[test]
fn a_program_that_traps_is_measured_up_to_there() {
    let dir = Dir::with("trap.wasm", r#"(module (func (export "f") unreachable))"#);
    let ran = dir.run("bench --rounds 1 trap.wasm f").code(0);
    assert!(String::from_utf8_lossy(ran.stdout()).contains("exit code 134"));
}

#[test]
fn a_wrong_program_is_the_same_error_as_in_a_run() {
    let dir = Dir::new();
    dir.run("bench absent.wasm").code(2);
    dir.run("bench --rounds 0 absent.wasm").code(2);
}
