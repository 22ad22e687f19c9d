//! Files of a program: those that it finds, and those that it leaves behind.

use node_sdk::{End, Vm};

/// Copies the file `in` to a new file `out`.
const COPY: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "inout") (data (i32.const 16) "\c8\00\00\00\40\00\00\00")
    (func $check (param i32) (if (local.get 0) (then unreachable)))
    (func (export "_start")
      (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 100)))
      (call $check (call $read (i32.load (i32.const 100)) (i32.const 16) (i32.const 1) (i32.const 20)))
      (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 2) (i32.const 3) (i32.const 1)
        (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 100)))
      (call $check (call $write (i32.load (i32.const 100)) (i32.const 16) (i32.const 1) (i32.const 104)))))"#;

#[test]
fn a_program_finds_the_files_that_it_is_given_and_leaves_its_own_behind() {
    let program = Vm::builder().module(wat::parse_str(COPY).unwrap()).input_file("in", *b"seven");
    let mut run = program.start(None, &[], 1_000_000).unwrap();
    let node_sdk::Next::Finished(outcome) = run.next().unwrap() else { panic!("the limit is high") };
    assert_eq!(outcome.end, End::Returned);
    assert_eq!(run.left_files(), [("out".to_owned(), b"seven".to_vec())]);
}
