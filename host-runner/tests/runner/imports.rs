//! A program whose imports nobody gives: all of them at once, what made it, and what to do.

use crate::util::Dir;

#[test]
fn all_missing_imports_are_named_at_once_with_what_the_toolchain_may_be() {
    let script = "(module (import \"env\" \"abort\" (func (param i32 i32 i32 i32))) (import \"env\" \"seed\" (func (result f64)))
        (import \"env\" \"trace\" (func)) (import \"wasi_unstable\" \"fd_close\" (func (param i32) (result i32)))
        (func (export \"_start\")))";
    let sockets = "(module (import \"wasi_snapshot_preview1\" \"sock_open\" (func)) (func (export \"_start\")))";
    let bindgen = "(module (import \"wbg\" \"__wbindgen_throw\" (func (param i32 i32))) (func (export \"_start\")))";
    let lib = "(module (import \"lib\" \"f\" (func)) (import \"lib\" \"m\" (memory 1)) (func (export \"_start\")))";
    let dir = Dir::new();
    for (text, all, help) in [
        (script, "2 imports are missing: env.seed, env.trace", "this looks like AssemblyScript: "),
        (script, "", "or run it as far as it gets without them: --stub-imports trap"),
        (sockets, "", "there are no sockets"),
        (bindgen, "", "--stub-imports trap"),
        (bindgen, "", "this looks like wasm-bindgen: compile for wasm32-wasip1 without wasm-bindgen"),
        (lib, "2 imports are missing: lib.f, lib.m", "--preload NAME=FILE"),
    ] {
        dir.add("a.wasm", text);
        for engine in ["wasm", "native"] {
            let ran = dir.run(&format!("--engine {engine} a.wasm")).code(65);
            assert!(ran.stderr().contains(all) && ran.stderr().contains(help), "{}", ran.stderr());
        }
    }
}

/// Calls a function that nothing provides once it has written a line.
const STUB: &str = r#"(module (import "env" "f" (func $f (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (func (export "_start") (call $exit (i32.add (i32.const 7) (call $f)))))"#;

#[test]
fn stubs_trap_or_return_zeros_and_are_part_of_the_job() {
    let dir = Dir::with("a.wasm", STUB);
    dir.run("a.wasm").code(65);
    dir.run("--stub-imports no a.wasm").code(2).says("'no' is neither trap nor zero");
    for engine in ["wasm", "native"] {
        let line = format!("--engine {engine} --check-reference --snapshot-output {engine}");
        dir.run(&format!("{line} --stub-imports zero a.wasm")).code(7).says("reference: same");
        dir.run(&format!("{line} --stub-imports trap a.wasm"))
            .code(134)
            .says("status 134 (host function error: unknown import \"env\".\"f\")");
    }
    dir.run("--stub-imports zero --gas-limit 8 --snapshot-output out a.wasm").code(75);
    dir.run("resume out --gas-limit 100").code(7);
    let verified = dir.run("verify out").code(0);
    let claim = String::from_utf8_lossy(verified.stdout()).into_owned();
    assert!(claim.contains("  stubs     zero\n") && !claim.contains("unknown-imports"), "{claim}");
    dir.run("profile --stub-imports zero a.wasm").code(0);
    dir.run("estimate --stub-imports zero a.wasm").code(0);
    dir.run("estimate --static --stub-imports trap a.wasm").code(0);
    dir.run("reference --stub-imports zero a.wasm").code(7);
}

#[test]
fn abort_of_assemblyscript_says_its_message_and_its_place() {
    let text = r#"(module (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
        (memory 1) (data (i32.const 12) "\04\00\00\00n\00o\00") (data (i32.const 28) "\08\00\00\00a\00.\00t\00s\00")
        (func (export "run") (call $abort (i32.const 16) (i32.const 32) (i32.const 3) (i32.const 7))))"#;
    let dir = Dir::with("a.wasm", text);
    dir.run("--check-reference a.wasm run")
        .code(134)
        .says("reference: same")
        .says("status 134 (host function error: abort: no at a.ts:3:7)");
    dir.run("estimate --static a.wasm").code(0);
}

#[test]
fn preview_0_runs_as_the_reference_does() {
    let text = r#"(module
        (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_unstable" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
        (import "wasi_unstable" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_unstable" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
        (import "wasi_unstable" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_unstable" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_unstable" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
        (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\40\00\00\00\40\00\00\00") (data (i32.const 16) "in.txt")
        (func (export "_start")
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 6) (i32.const 0) (i64.const 0x1fffffff)
                (i64.const 0) (i32.const 0) (i32.const 32)))
            (drop (call $seek (i32.load (i32.const 32)) (i64.const -3) (i32.const 1) (i32.const 64)))
            (drop (call $stat (i32.load (i32.const 32)) (i32.const 256)))
            (i64.store (i32.const 72) (i64.load (i32.const 272)))
            (i64.store (i32.const 80) (i64.load (i32.const 280)))
            (drop (call $random (i32.const 88) (i32.const 8)))
            (i32.store (i32.const 536) (i32.const 1))
            (i64.store (i32.const 544) (i64.const 1000))
            (drop (call $poll (i32.const 512) (i32.const 96) (i32.const 1) (i32.const 36)))
            (drop (call $time (i32.const 1) (i64.const 1) (i32.const 120)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 36)))
            (call $exit (i32.const 5))))"#;
    let dir = Dir::with("a.wasm", text);
    std::fs::write(dir.path("in.txt"), "0123456789").expect("written");
    for engine in ["wasm", "native"] {
        let ran = dir.run(&format!("--engine {engine} --check-reference --file in.txt=in.txt a.wasm")).code(5);
        let ran = ran.says("reference: same");
        let written = ran.stdout();
        assert_eq!(written.len(), 64);
        assert_eq!(written[..8], 7u64.to_le_bytes(), "three bytes before the end");
        assert_eq!(written[8..24], [4, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0], "type, links, size");
    }
}

#[test]
fn imports_of_linked_modules_count_and_those_of_a_store_that_is_there_do_not() {
    let dir = Dir::new();
    let get = "(import \"store\" \"get\" (func (param i32 i32 i32 i32) (result i64)))";
    dir.add("lib.wasm", "(module (import \"env\" \"emscripten_x\" (func)) (func (export \"f\")))");
    dir.add(
        "links.wasm",
        "(module (import \"lib\" \"f\" (func)) (import \"a\" \"b\" (func)) (func (export \"_start\")))",
    );
    dir.add("keeps.wasm", &format!("(module {get} (import \"a\" \"b\" (func)) (func (export \"_start\")))"));
    dir.add("off.wasm", "(module (import \"a\" \"b\" (func)) (memory i64 1) (func (export \"_start\")))");
    for engine in ["wasm", "native"] {
        let run = |line: &str| dir.run(&format!("--engine {engine} {line}")).code(65);
        run("--preload lib=lib.wasm links.wasm")
            .says("2 imports are missing: env.emscripten_x, a.b")
            .says("this looks like emscripten");
        let with_store = run("--store s.redb keeps.wasm").says("--preload NAME=FILE");
        assert!(!with_store.stderr().contains("store.get"), "{}", with_store.stderr());
        run("keeps.wasm").says("2 imports are missing: store.get, a.b").says("a contract needs --store FILE");
        // What is wrong with a module of its own is said, and nothing else.
        let off = run("--feature memory64=off off.wasm");
        assert!(!off.stderr().contains("--preload"), "{}", off.stderr());
    }
}

#[test]
fn a_file_that_is_no_module_is_named_for_what_it_is() {
    let dir = Dir::new();
    std::fs::write(dir.path("a.sh"), "#!/bin/sh\n").expect("written");
    for command in ["", "estimate ", "profile ", "bench ", "reference "] {
        dir.run(&format!("{command}a.sh")).code(65).says("error: a.sh: is a script, expected a WebAssembly module");
    }
}
