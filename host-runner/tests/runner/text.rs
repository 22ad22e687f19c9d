//! Programs as text: assembled as they are read, and from there on the modules that they are.

use crate::util::{Dir, FIB, json};

/// A directory with `fib.wat`, `fib.wasm`, and `short.txt`, which is text by its beginning.
fn dir() -> Dir {
    let dir = Dir::with("fib.wasm", FIB);
    std::fs::write(dir.path("fib.wat"), FIB).expect("written");
    std::fs::write(dir.path("short.txt"), format!(";; fib\n(; more ;) {FIB}")).expect("written");
    dir
}

#[test]
fn text_runs_under_every_command_that_runs_a_program() {
    let dir = dir();
    for program in ["fib.wat", "short.txt"] {
        for engine in ["wasm", "native"] {
            let ran = dir.run(&format!("--engine {engine} --check-reference {program} fib 10")).code(0);
            assert_eq!(ran.says("reference: same").stdout(), b"55\n");
        }
        assert_eq!(dir.run(&format!("reference {program} fib 10")).code(0).stdout(), b"55\n");
        for command in ["estimate", "profile", "bench --rounds 1"] {
            dir.run(&format!("{command} {program} fib 10")).code(0);
        }
        dir.run(&format!("estimate --static {program}")).code(0);
    }
    let frozen = dir.run("freeze a.frozen --after 50 fib.wat fib 10");
    assert!(dir.path("a.frozen").exists(), "{}", frozen.stderr());
    dir.run("thaw a.frozen").code(0);
}

#[test]
fn its_hash_is_that_of_the_module_which_is_kept_beside_the_chain() {
    let dir = dir();
    dir.run("--gas-limit 1000 --snapshot-output out fib.wat fib 15").code(75);
    let binary = dir.read("fib.wasm");
    let hash = blake3::hash(&binary).to_hex().to_string();
    assert_eq!(dir.names("out/files"), [format!("{hash}.wasm")]);
    assert_eq!(dir.read(&format!("out/files/{hash}.wasm")), binary);
    // With the text, with the module, and with neither.
    dir.run("witness out@1 fib.wat -o a.wit").code(0);
    dir.run("check-witness a.wit fib.wat").code(0);
    let inspected = dir.run("inspect out@1 --program fib.wat").code(0);
    assert!(String::from_utf8_lossy(inspected.stdout()).contains("snapshot 1 of fib.wat fib"));
    dir.run("export out -o chain.tar --program fib.wat").code(0);
    dir.run("resume out --program fib.wat --gas-limit 1000").code(75);
    dir.run("resume out --program fib.wasm --gas-limit 1000").code(75);
    for name in ["fib.wat", "fib.wasm", "short.txt"] {
        std::fs::rename(dir.path(name), dir.path(&format!("{name}.away"))).expect("renamed");
    }
    dir.run("resume out --enable-gas-refill").code(0);
    let verified = dir.run("verify out --json").code(0);
    assert_eq!(json(verified.stdout())["claim"]["program"]["hash"], hash.as_str());
    dir.run("import chain.tar copy").code(0);
    dir.run("verify copy").code(75);
}

#[test]
fn a_linked_module_and_a_program_of_a_chain_may_be_text_and_inputs_never_are() {
    let dir = Dir::new();
    std::fs::write(dir.path("lib.wat"), "(module (func (export \"f\") (result i32) i32.const 7))").expect("written");
    let text = r#"(module (import "lib" "f" (func $f (result i32))) (func (export "run") (result i32) call $f))"#;
    std::fs::write(dir.path("a.wat"), text).expect("written");
    dir.run("--preload lib=lib.wat --file in.wat=lib.wat --gas-limit 17 --snapshot-output out a.wat run").code(75);
    dir.run("resume out --enable-gas-refill --file in.wat=lib.wat").code(0);
    dir.run("verify out --file in.wat=lib.wat").code(0);
    dir.run("verify a.wat out --preload lib=lib.wat --file in.wat=lib.wat").code(0);
}

#[test]
fn what_is_wrong_with_a_text_is_said_with_its_line_and_column() {
    let dir = Dir::new();
    std::fs::write(dir.path("a.wat"), "(module\n  (func i32.bad))").expect("written");
    std::fs::write(dir.path("b.wat"), "\u{7f}ELF").expect("written");
    for command in ["", "estimate ", "profile ", "bench ", "reference "] {
        let ran = dir.run(&format!("{command}a.wat")).code(65);
        ran.says("error: a.wat:2:9: unknown operator or unexpected token\n  caused by: it is read as WebAssembly text");
    }
    dir.run("b.wat").code(65).says("error: b.wat:1:1: ");
    dir.run("verify a.wat .").code(65);
}
