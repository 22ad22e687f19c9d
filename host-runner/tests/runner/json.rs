//! `--json`: one object, whatever happens, and of every command one that docs/stepmark.schema.json describes.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::schema::Schema;
use crate::tools::with_false_chain;
use crate::util::{Dir, FIB, Ran, TRAP, text};

/// Runs a command line, and returns the one object that it prints.
#[track_caller]
fn object(dir: &Dir, line: &str) -> Value {
    checked(line, &dir.run(line))
}

/// The object that was printed, which the schema describes and which has the exit code of the process.
#[track_caller]
fn checked(line: &str, ran: &Ran) -> Value {
    let said = text(ran.stdout());
    let object: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{line}: {error}: {said}"));
    assert_eq!(said.lines().count(), 1, "{line}: {said}");
    Schema::of_the_docs().check(&object).unwrap_or_else(|wrong| panic!("{line}: {wrong}"));
    assert_eq!(object["exit_code"], ran.exit_code(), "{line}");
    assert_eq!(object.get("error").is_some(), object["status"] == "error", "{line}");
    object
}

/// A chain of three snapshots and an end.
fn chain() -> Dir {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill -o out fib.wasm fib 20").code(0);
    extend(&dir);
    dir
}

/// Adds to a chain what the commands need that look at it.
fn extend(dir: &Dir) {
    dir.add("trap.wasm", TRAP);
    dir.sample("contracts/token.wasm");
    dir.sample("sha256.wasm");
    dir.run("--engine native --gas-limit 1M -o sha sha256.wasm 65536").code(75);
    dir.run("--engine native --gas-limit 100000 -o stopped fib.wasm fib 20").code(75);
}

/// A command line of every command, with its exit code; one after the other in one directory.
const LINES: [(&str, i32); 37] = [
    ("run --json --engine native -o new fib.wasm fib 20", 0),
    ("--json --engine native -o new2 trap.wasm run", 134),
    ("run --json --engine native --check-reference -o new3 fib.wasm fib 7", 0),
    ("run --json --engine native --gas-limit 1000 -o new4 fib.wasm fib 20", 75),
    ("resume stopped --json --engine native --enable-gas-refill", 0),
    ("freeze a.frozen --json --after 60000 -o frozen fib.wasm fib 20", 0),
    ("thaw a.frozen --json", 0),
    ("verify out --json --engine native", 0),
    ("verify out fib.wasm --json --engine native --to 2", 0),
    ("verify new4 --json --engine native", 75),
    ("inspect sha@1 --json --memory 0+4", 0),
    ("diff out@1 out@2 --json", 1),
    ("diff out@1 out@1 --json", 0),
    ("bisect out out --json --engine native", 0),
    ("bisect out false --json --engine native -o dispute.tar", 1),
    ("check-bundle dispute.tar --json --engine native", 0),
    ("witness out@1 --json -o w", 0),
    ("check-witness w --json", 0),
    ("check-witness w --json --expect out/1.snap", 1),
    ("export out --json -o chain.tar", 0),
    ("import chain.tar imported --json", 0),
    ("merge imported --json", 0),
    ("merge imported --json --to 2 --dry-run", 0),
    ("merge imported --json --to 2", 0),
    ("prune imported --json --keep-last 1", 0),
    ("store --json put s.redb balance/alice 0x6400000000000000", 0),
    ("store put s.redb note hello --json", 0),
    ("store get s.redb note --json", 0),
    ("store get s.redb nothing --json", 1),
    ("store list s.redb --json", 0),
    ("store export s.redb exported --json", 0),
    ("store delete s.redb note --json", 0),
    ("reference --json fib.wasm fib 7", 0),
    ("bench --json --rounds 1 fib.wasm fib 7", 0),
    ("estimate --json fib.wasm fib 7", 0),
    ("estimate --static --json fib.wasm", 0),
    ("profile --json fib.wasm fib 7", 0),
];

#[test]
fn every_command_prints_one_object_that_the_schema_describes() {
    let dir = with_false_chain();
    extend(&dir);
    let mut seen = BTreeSet::new();
    let mut see = |line: &str, code: i32| {
        let object = object(&dir, line);
        assert_eq!((object["exit_code"].as_i64(), &object["status"]), (Some(code.into()), &json!("ok")), "{line}");
        seen.insert(object["command"].as_str().expect("text").to_owned());
        object
    };
    LINES.into_iter().for_each(|(line, code)| drop(see(line, code)));
    let transfer = "--json --engine native --store s.redb --no-commit -o called token.wasm invoke";
    let call = dir.command("run --call-data total").args(transfer.split(' ')).output().expect("it starts");
    let called = checked(transfer, &Ran::new(call));
    assert!(called["contract_result"]["hex"].is_string(), "{called}");
    see("store commit s.redb called/rwset.bin --json", 0);
    see("export-module m.wasm --json", 0);
    assert_eq!(see("doctor --json", 0)["self_test"]["wasm"]["passed"], true);
    assert_eq!(seen, Schema::of_the_docs().commands(), "left: what was tried, right: what the schema has");
}

#[test]
fn a_failure_is_an_object_too_with_what_it_says_in_words() {
    let dir = chain();
    for (line, command, message) in [
        ("run --json nothing.wasm", "run", "nothing.wasm"),
        ("--json --gas-limit many fib.wasm fib 20", "run", "--gas-limit"),
        ("resume --json nowhere", "resume", "nowhere"),
        ("verify nowhere --json", "verify", "nowhere"),
        ("verify out --json --program trap.wasm", "verify", "trap.wasm: is not the program fib.wasm"),
        ("inspect out@9 --json", "inspect", "out: has no snapshot 9"),
        ("diff out@1 nowhere --json", "diff", "nowhere"),
        ("bisect out nowhere --json", "bisect", "nowhere"),
        ("check-bundle fib.wasm --json", "check-bundle", "fib.wasm"),
        ("check-witness fib.wasm --json", "check-witness", "fib.wasm"),
        ("merge out --to 99 --json", "merge", "--to 99"),
        ("import fib.wasm there --json", "import", "fib.wasm"),
        ("store get nowhere.db key --json", "store get", "nowhere.db"),
        ("estimate --json trap.wasm walk", "estimate", "walk"),
        // What clap refuses.
        ("verify --json", "verify", "required arguments were not provided"),
        ("profile --json --no-such-flag a.wasm", "profile", "unexpected argument '--no-such-flag' found"),
        ("store frobnicate --json", "store", "frobnicate"),
    ] {
        let ran = dir.run(line);
        let said = checked(line, &ran);
        let error = &said["error"];
        assert_eq!((&said["command"], &said["status"]), (&command.into(), &"error".into()), "{line}");
        let what = error["message"].as_str().expect("text");
        assert!(what.contains(message), "{line}: {what}");
        // The same words for people.
        let first = what.lines().next().expect("a line");
        assert!(ran.stderr().contains(first), "{line}: {first:?} in {}", ran.stderr());
    }
    let failed = object(&dir, "verify out --json --program trap.wasm");
    assert!(failed["error"]["causes"][0].as_str().is_some_and(|cause| cause.contains("BLAKE3")), "{failed}");
}

#[test]
fn words_of_the_program_ask_for_no_object() {
    let dir = Dir::with("fib.wasm", FIB);
    let ran = dir.run("--engine jit fib.wasm fib --json").code(2);
    assert_eq!(text(ran.stdout()), "");
    assert_eq!(text(dir.run("fib.wasm fib --json").code(2).stdout()), "");
}

#[test]
fn a_claim_that_is_not_the_expected_one_is_printed_with_what_differs() {
    let dir = chain();
    fs::write(dir.path("claim.json"), r#"{"seed": 1, "program": {"size": 3}, "ended": "finished"}"#).expect("written");
    let said = object(&dir, "verify out --json --expect-result 5 --claim claim.json");
    assert_eq!((&said["exit_code"], &said["claim"]["result"]), (&65.into(), &"6765".into()));
    let differences = json!([
        { "what": "the result", "claimed": "6765", "expected": "5" },
        { "what": "program.size", "claimed": 76, "expected": 3 },
        { "what": "seed", "claimed": 0, "expected": 1 },
    ]);
    assert_eq!(said["differences"], differences);
}

#[test]
fn a_part_of_an_object_is_a_promise() {
    let dir = chain();
    let claim = object(&dir, "verify out --json --engine native")["claim"].clone();
    let promised =
        json!({ "program": { "hash": claim["program"]["hash"] }, "limits": { "files": claim["limits"]["files"] } });
    fs::write(dir.path("claim.json"), promised.to_string()).expect("written");
    dir.run("verify out --engine native --claim claim.json").code(0);
    for wrong in [r#"{"program": {"hash": "00"}}"#, r#"{"program": {"nothing": 1}}"#, r#"{"program": {}}"#] {
        fs::write(dir.path("claim.json"), wrong).expect("written");
        dir.run("verify out --engine native --claim claim.json").code(65).says("claims something else");
    }
    fs::write(dir.path("claim.json"), r#"{"program": {"size": 1, "name": "fib.wasm"}}"#).expect("written");
    let said = dir.run("verify out --engine native --claim claim.json").code(65).stderr();
    assert!(said.contains("caused by: program.size is 76, expected 1\n") && !said.contains("program.name"), "{said}");
}

#[test]
fn the_result_of_a_trap_is_expected_by_its_message() {
    let dir = chain();
    dir.run("--engine native --gas-limit 50 --enable-gas-refill -o trapped trap.wasm run").code(134);
    let expect = |result: &str| {
        let mut command = dir.command("verify trapped --engine native --expect-result");
        Ran::new(command.arg(result).output().expect("it starts"))
    };
    expect("integer divide by zero").code(0);
    expect("exit code 134").code(65).says("the result is integer divide by zero, expected exit code 134");
}
