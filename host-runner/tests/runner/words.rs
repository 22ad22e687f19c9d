//! The command line as people know it from other runtimes: the export to call as a flag, flags on the wrong side of the program,
//! directories under their own names.

use crate::util::{Dir, FIB};

#[test]
fn the_export_to_call_may_be_a_flag() {
    let dir = Dir::with("fib.wasm", FIB);
    assert_eq!(dir.run("--invoke fib fib.wasm 10").code(0).stdout(), b"55\n");
    dir.run("--invoke nothing fib.wasm 10").code(2).says("exports no function \"nothing\"");
    dir.add("command.wasm", "(module (func (export \"_start\")))");
    dir.run("--invoke fib command.wasm").code(2).says("--invoke: command.wasm has a _start");
}

#[test]
fn a_flag_of_ours_after_the_program_is_the_programs_and_is_pointed_out() {
    let dir = Dir::with("a.wasm", "(module (func (export \"_start\")))");
    let note = "note: --gas-limit after the program is the program's; for Stepmark it stands before the program";
    dir.run("a.wasm --gas-limit 5").code(0).says(note);
    dir.run("a.wasm --gas-limit=5").code(0).says(note);
    let ran = dir.run("a.wasm -- --gas-limit 5").code(0).says("note: -- after the program is its first argument");
    assert!(!ran.stderr().contains(note), "{}", ran.stderr());
    let ran = dir.command("run").arg("").output().expect("it starts");
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("the program's name is empty"), "{ran:?}");
    dir.run("version").code(2).says("help: if a command was meant: stepmark --help names them");
    for line in ["-q a.wasm --gas-limit 5", "a.wasm --limit 5", "a.wasm gas-limit"] {
        let ran = dir.run(line).code(0);
        assert!(!ran.stderr().contains("note: "), "{line}: {}", ran.stderr());
    }
}

#[test]
fn a_declared_function_lets_a_program_run_until_it_is_called() {
    let text = r#"(module (import "env" "f" (func $f (param i32))) (func (export "run") (param i32)
        (if (local.get 0) (then (call $f (local.get 0))))))"#;
    let dir = Dir::with("a.wasm", text);
    dir.run("--function env.f(i32)->() a.wasm run 0").code(0);
    dir.run("--function env.f(i32)->() a.wasm run 1")
        .code(2)
        .says("the function env.f, and nobody here answers for it");
}

/// Opens `in/a` below its first directory, or makes it, and says its length.
const OPENS: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $name (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "a\00\00\00") (data (i32.const 8) "\40\00\00\00\08\00\00\00")
    (func (export "_start")
        (drop (call $name (i32.const 3) (i32.const 64) (i32.const 8)))
        (i32.store8 (i32.const 71) (i32.add (i32.const 48)
            (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0)
                (i32.const 0) (i32.const 32))))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;

#[test]
fn a_directory_is_open_under_its_own_name_or_the_one_that_it_is_given() {
    let dir = Dir::with("a.wasm", OPENS);
    std::fs::create_dir_all(dir.path("in")).expect("made");
    std::fs::create_dir_all(dir.path("empty")).expect("made");
    std::fs::write(dir.path("in/a"), "content").expect("written");
    for (flags, name) in [
        ("--dir in", "in"),
        ("--dir ./in/", "in"),
        ("--dir in::/data", "/data"),
        ("--dir in::.", "."),
        ("--dir in --dir empty", "in"),
    ] {
        let ran = dir.run(&format!("--check-reference {flags} a.wasm")).code(0);
        let mut expected = [0; 8];
        expected[..name.len()].copy_from_slice(name.as_bytes());
        expected[7] = b'0';
        assert_eq!(ran.stdout(), expected, "{flags}");
    }
    // There is nothing in it, and still it is open: 44 is ENOENT, 8 would be EBADF.
    assert_eq!(dir.run("--dir empty a.wasm").code(0).stdout()[7], 48 + 44);
    assert_eq!(dir.run("a.wasm").code(0).stdout()[7], 48 + 8);
    dir.run("--dir ../x a.wasm").code(2).says("help: give it another name: --dir ../x::NAME");
}

#[test]
fn an_argument_that_is_a_float_may_be_hexadecimal() {
    let dir = Dir::with(
        "f.wasm",
        r#"(module (func (export "f") (param f64 f32) (result f64 f32) (local.get 0) (local.get 1)))"#,
    );
    assert_eq!(dir.run("f.wasm f 0x1.8p3 -0x.8").code(0).stdout(), b"12\n-0.5\n");
    dir.run("f.wasm f 0x1p1024 0").code(2).says("argument '0x1p1024': is no value that an f64 has");
    // What follows a command is the command's.
    dir.add("command.wasm", r#"(module (func (export "_start")))"#);
    dir.run("command.wasm a 0x1p1024").code(0);
}
