//! The table of exit codes, a row each.

use std::fs;

use crate::util::Dir;

const TRAP: &str = r#"(module (func (export "run") unreachable))"#;
const EXIT: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 200))))"#;
const LOOP: &str = r#"(module (func (export "run") (loop (br 0))))"#;

#[test]
fn a_trap_is_134_and_named() {
    let dir = Dir::with("trap.wasm", TRAP);
    dir.run("--snapshot-output snapshot trap.wasm run").code(134).says("unreachable");
    assert_eq!(dir.text("snapshot/result.txt"), "134\n0\n");
}

#[test]
fn a_programs_own_code_is_passed_through() {
    let dir = Dir::with("exit.wasm", EXIT);
    dir.run("--snapshot-output snapshot exit.wasm").code(200);
    assert_eq!(dir.text("snapshot/result.txt"), "200\n0\n");
}

#[test]
fn the_gas_limit_is_75() {
    let dir = Dir::with("loop.wasm", LOOP);
    dir.run("--gas-limit 1000 --snapshot-output snapshot loop.wasm run").code(75);
    assert_eq!(dir.text("snapshot/result.txt"), "134\n1\n");
}

#[test]
fn wrong_flags_are_2_in_the_runner_and_in_the_node() {
    let dir = Dir::with("loop.wasm", LOOP);
    dir.run("--no-such-flag loop.wasm").code(2);
    dir.run("--gas-limit many loop.wasm run").code(2).says("error: ");
    dir.run("loop.wasm walk").code(2).says("run");
}

#[test]
fn a_bad_program_is_65() {
    let dir = Dir::new();
    fs::write(dir.path("bad.wasm"), "not wasm").expect("a file");
    dir.run("bad.wasm").code(65).says("error: ");
}

#[test]
fn an_output_directory_that_is_a_file_is_74() {
    let dir = Dir::with("loop.wasm", LOOP);
    fs::write(dir.path("out"), "").expect("a file");
    dir.run("--snapshot-output out --gas-limit 10 loop.wasm run").code(74).says("out");
}
