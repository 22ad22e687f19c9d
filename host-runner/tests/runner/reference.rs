//! The same program directly on wasmtime.

use crate::util::{Dir, FIB};

/// Prints 16 random bytes and two clock readings, as they are.
const OUTSIDE: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\20\00\00\00")
    (func (export "_start")
        (drop (call $random (i32.const 64) (i32.const 16)))
        (drop (call $time (i32.const 0) (i64.const 1) (i32.const 80)))
        (drop (call $time (i32.const 1) (i64.const 1) (i32.const 88)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

/// Divides by its argument.
const DIVIDE: &str = r#"(module (func (export "div") (param i32 f64) (result i32 f64)
    (i32.div_s (i32.const -7) (local.get 0)) (f64.div (local.get 1) (f64.const 3))))"#;

#[test]
fn the_reference_gives_the_values_on_standard_output() {
    let dir = Dir::with("fib.wasm", FIB);
    assert_eq!(dir.run("reference fib.wasm fib 20").code(0).stdout(), b"6765\n");
}

#[test]
fn a_run_with_clocks_and_randomness_agrees_with_the_reference() {
    let dir = Dir::with("outside.wasm", OUTSIDE);
    for engine in ["wasm", "native"] {
        let ran = dir.run(&format!("--engine {engine} --check-reference outside.wasm")).code(0);
        assert_eq!(ran.says("reference: same").stdout().len(), 32);
    }
}

#[test]
fn values_and_traps_agree_with_the_reference() {
    let dir = Dir::with("divide.wasm", DIVIDE);
    dir.run("--check-reference --snapshot-output snapshot divide.wasm div 2 0.7").code(0).says("reference: same");
    assert_eq!(dir.text("snapshot/result.txt"), "0\n0\n4294967293 0.2333333333333333\n");
    dir.run("--check-reference divide.wasm div 0 1").code(134).says("reference: same");
}

#[test]
fn a_resumed_run_cannot_be_checked_against_the_reference() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--check-reference --snapshot-input x --snapshot-id 1 fib.wasm fib 5").code(2);
}

/// Writes the inode number of the root: a number of the node's own here, of the machine's there.
const INODE: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\48\00\00\00\08\00\00\00")
    (func (export "_start")
        (drop (call $stat (i32.const 3) (i32.const 64)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

#[test]
fn a_difference_names_the_calls_that_may_differ_by_nature() {
    let dir = Dir::with("inode.wasm", INODE);
    dir.run("--check-reference --preopen / inode.wasm")
        .code(1)
        .says("stdout: at byte ")
        .says("may differ between the two by nature: fd_filestat_get: times, device and inode numbers");
    // Nothing is excused where nothing differs.
    let same = INODE
        .replace("(drop (call $write", "(drop (call $stat (i32.const 3) (i32.const 64))) (return) (drop (call $write");
    let same = Dir::with("same.wasm", &same).run("--check-reference --preopen / same.wasm").code(0);
    assert!(!same.stderr().contains("by nature"), "{}", same.stderr());
}
