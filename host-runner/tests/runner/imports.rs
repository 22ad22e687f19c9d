//! A program whose imports nobody gives: all of them at once, what made it, and what to do.

use crate::util::Dir;

#[test]
fn all_missing_imports_are_named_at_once_with_what_the_toolchain_may_be() {
    let script = "(module (import \"env\" \"abort\" (func (param i32 i32 i32 i32))) (import \"env\" \"seed\" (func (result f64)))
        (import \"wasi_snapshot_preview1\" \"fd_close\" (func (param i32) (result i32))) (func (export \"_start\")))";
    let sockets = "(module (import \"wasi_snapshot_preview1\" \"sock_open\" (func)) (func (export \"_start\")))";
    let bindgen = "(module (import \"wbg\" \"__wbindgen_throw\" (func (param i32 i32))) (func (export \"_start\")))";
    let lib = "(module (import \"lib\" \"f\" (func)) (import \"lib\" \"m\" (memory 1)) (func (export \"_start\")))";
    let dir = Dir::new();
    for (text, all, help) in [
        (script, "2 imports are missing: env.abort, env.seed", "this looks like AssemblyScript: "),
        (sockets, "", "there are no sockets"),
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

#[test]
fn a_file_that_is_no_module_is_named_for_what_it_is() {
    let dir = Dir::new();
    std::fs::write(dir.path("a.wat"), "(module)").expect("written");
    std::fs::write(dir.path("a.sh"), "#!/bin/sh\n").expect("written");
    for command in ["", "estimate ", "profile ", "bench ", "reference "] {
        dir.run(&format!("{command}a.wat"))
            .code(65)
            .says("error: a.wat: is WebAssembly text, expected a WebAssembly module");
        dir.run(&format!("{command}a.sh")).code(65).says("error: a.sh: is a script, expected a WebAssembly module");
    }
}
