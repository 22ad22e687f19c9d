//! What a run would take, and what no call can go below.

use std::fs;

use crate::util::{Dir, FIB, TRAP, json, text};

#[test]
fn an_estimate_is_the_gas_of_the_run_and_its_outcome() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.add("trap.wasm", TRAP);
    for name in ["rust_std.wasm", "exit_code.wasm", "sha256.wasm"] {
        dir.sample(name);
    }
    let jobs = [
        "fib.wasm fib 20",
        "--gas-schedule seed-ordinal fib.wasm fib 20",
        "trap.wasm run",
        "--gas-limit 50000 fib.wasm fib 20",
        "rust_std.wasm one two",
        "exit_code.wasm",
        "sha256.wasm 100",
    ];
    for job in jobs {
        let estimate = json(dir.run(&format!("estimate --json {job}")).code(0).stdout());
        assert!(!["snapshot", "stepmark"].iter().any(|name| dir.path(name).exists()), "an estimate writes nothing");
        let ran = dir.run(&format!("-q --engine native --snapshot-output snapshot {job}"));
        let receipt = json(&dir.read("snapshot/receipt.json"));
        assert_eq!(estimate["gas"], receipt["result"]["gas_used"], "{job}");
        assert_eq!(estimate["result"], receipt["result"], "{job}");
        assert_eq!(estimate["result"]["exit_code"], ran.exit_code(), "{job}");
        fs::remove_dir_all(dir.path("snapshot")).expect("removed");
    }
}

#[test]
fn an_estimate_says_what_came_of_it_in_words_and_both_engines_say_the_same() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.add("trap.wasm", TRAP);
    for engine in ["native", "wasm"] {
        let said = text(dir.run(&format!("estimate --engine {engine} fib.wasm fib 10")).code(0).stdout());
        assert_eq!(said, "gas: 1589\noutcome: finished, returned 55\n");
    }
    let said = text(dir.run("estimate trap.wasm run").code(0).stdout());
    assert!(said.ends_with("outcome: trapped: integer divide by zero\n"), "{said}");
    let said = text(dir.run("estimate --gas-limit 500 --enable-gas-refill fib.wasm fib 10").code(0).stdout());
    assert_eq!(said, "gas: 1589\noutcome: finished, returned 55\nsnapshots: 3\n");
    let said = text(dir.run("estimate --gas-limit 500 fib.wasm fib 10").code(0).stdout());
    assert_eq!(said, "gas: 500\noutcome: stopped at the gas limit\nsnapshots: 1\n");
    dir.run("estimate fib.wasm nothing").code(2);
    dir.run("estimate absent.wasm").code(2);
}

#[test]
fn what_the_program_writes_is_shown_only_to_those_who_ask() {
    let dir = Dir::new();
    dir.sample("sha256.wasm");
    let written = dir.run("-q sha256.wasm 100").code(0).stdout().to_vec();
    assert!(!written.is_empty());
    let quiet = dir.run("estimate sha256.wasm 100").code(0);
    assert!(text(quiet.stdout()).starts_with("gas: "));
    let verbose = dir.run("estimate -v sha256.wasm 100").code(0);
    assert_eq!(verbose.stdout(), [&written, quiet.stdout()].concat());
}

#[test]
fn the_least_gas_of_every_export_is_known_without_a_run() {
    let dir = Dir::with("fib.wasm", FIB);
    let said = text(dir.run("estimate --static fib.wasm").code(0).stdout());
    assert_eq!(said, "least gas of a call that returns, schedule default:\n              5  fib (i32) -> (i32)\n");
    let run = json(dir.run("estimate --json fib.wasm fib 0").code(0).stdout());
    assert_eq!(run["gas"], 5);
    dir.run("estimate --static fib.wasm fib").code(2).says("takes no entry");
    let many = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func (export "stuck") (loop $l (br $l)))
        (func (export "yields") (drop (call $yield)))
        (func (export "nothing")))"#;
    dir.add("many.wasm", many);
    let object = json(dir.run("estimate --static --json many.wasm").code(0).stdout());
    // A call, a drop and ten for a host call; what a host call walks is known only when it is made.
    let expected = serde_json::json!({ "stuck": null, "yields": 12, "nothing": 0 });
    assert_eq!((&object["least_gas"], &object["schedule"]), (&expected, &"default".into()));
    assert_eq!(json(dir.run("estimate --json many.wasm yields").code(0).stdout())["gas"], 28);
    fs::write(dir.path("prices.csv"), "*,7\nhost.call,100\n").expect("written");
    let object = json(dir.run("estimate --static --json --gas-schedule prices.csv many.wasm").code(0).stdout());
    assert_eq!((&object["least_gas"]["yields"], &object["schedule"]), (&121.into(), &"prices.csv".into()));
}

#[test]
fn calls_of_linked_modules_are_counted_too() {
    let dir = Dir::with("library.wasm", r#"(module (func (export "f") (drop (i32.const 1))))"#);
    dir.add("main.wasm", r#"(module (import "library" "f" (func $f)) (func (export "run") (call $f) (call $f)))"#);
    let link = "--preload library=library.wasm main.wasm";
    let least = json(dir.run(&format!("estimate --static --json {link}")).code(0).stdout());
    let run = json(dir.run(&format!("estimate --json {link} run")).code(0).stdout());
    // Twice a call, sixteen for one into another instance, and two instructions.
    assert_eq!((&least["least_gas"]["run"], &run["gas"]), (&38.into(), &38.into()));
    dir.run("estimate --static main.wasm").code(65).says("library");
}
