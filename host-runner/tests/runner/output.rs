//! What goes where: the program's bytes to standard output, ours to standard error, and one JSON object with `--json`.

use std::fs;

use crate::util::{Dir, FIB};

/// Writes four bytes that are no text to standard output, and `err` to standard error.
const WRITER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\04\00\00\00\ff\00\0a\80")
    (data (i32.const 16) "\18\00\00\00\03\00\00\00err")
    (func (export "_start")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
        (drop (call $write (i32.const 2) (i32.const 16) (i32.const 1) (i32.const 32)))))"#;

#[test]
fn the_programs_output_is_passed_on_byte_for_byte() {
    let dir = Dir::with("writer.wasm", WRITER);
    for engine in ["wasm", "native"] {
        let ran = dir.run(&format!("-q --engine {engine} writer.wasm")).code(0);
        assert_eq!(ran.stdout(), b"\xff\x00\n\x80");
        assert_eq!(ran.stderr(), "err");
    }
}

#[test]
fn what_the_command_says_begins_on_a_line_of_its_own() {
    let dir = Dir::with("writer.wasm", WRITER);
    let said = dir.run("writer.wasm").code(0).stderr();
    assert!(said.starts_with("err\nstatus 0"), "{said}");
}

#[test]
fn json_leaves_nothing_else_on_standard_output() {
    let dir = Dir::with("writer.wasm", WRITER);
    let ran = dir.run("-q --json writer.wasm").code(0);
    let object: serde_json::Value = serde_json::from_slice(ran.stdout()).expect("one object");
    assert_eq!((&object["status"], &object["exit_code"]), (&"ok".into(), &0.into()));
    assert_eq!(object["result"]["stdout"]["bytes"], 4);
}

#[test]
fn json_tells_snapshots_gas_and_results() {
    let dir = Dir::with("fib.wasm", FIB);
    let ran = dir.run("-q --json --gas-limit 50000 --enable-gas-refill fib.wasm fib 20").code(0);
    let object: serde_json::Value = serde_json::from_slice(ran.stdout()).expect("one object");
    assert_eq!(object["result"]["values"][0]["value"], "6765");
    assert_eq!(object["gas_used"], object["result"]["gas_used"]);
    let snapshots = object["snapshots"].as_array().expect("a list");
    assert_eq!(object["last_snapshot"], snapshots.len());
    let place = object["output_dir"].as_str().expect("text");
    let first = dir.read(&format!("{place}/1.snap")).len();
    assert_eq!(snapshots[0]["snap_bytes"], first);
    assert!(object["gas_per_second"].as_u64().is_some_and(|rate| rate > 0));
}

#[test]
fn the_receipt_names_the_engine_and_the_node() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--snapshot-output snapshot fib.wasm fib 5").code(0);
    let receipt: serde_json::Value = serde_json::from_slice(&dir.read("snapshot/receipt.json")).expect("JSON");
    assert_eq!(receipt["runner"]["engine"], "wasm");
    assert_eq!(receipt["runner"]["node_blake3"], stepmark_runner::node::embedded_module::node_hash());
}

#[test]
fn the_exported_node_has_the_hash_that_version_shows() {
    let dir = Dir::new();
    dir.run("export-node node.wasm").code(0);
    let hash = blake3::hash(&dir.read("node.wasm")).to_hex();
    let ran = dir.run("--version").code(0);
    assert!(String::from_utf8_lossy(ran.stdout()).contains(hash.as_str()));
}

#[test]
fn one_of_two_resume_flags_alone_is_an_error_and_one_word_may_say_both() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 20").code(75);
    dir.run("--snapshot-id 3 fib.wasm fib 20").code(2).says("--snapshot-id 3: needs --snapshot-input DIR too");
    let ran = dir.run("--snapshot-input out fib.wasm fib 20").code(2).says("out: needs --snapshot-id N too");
    assert!(ran.stderr().contains("help: after the last one goes: stepmark resume out"), "{}", ran.stderr());
    let started = "going on from snapshot 1 (out/1.snap, 50000 gas in total)";
    dir.run("--snapshot-input out@1 --snapshot-output more fib.wasm fib 20").code(75).says(started);
}

#[test]
fn values_are_printed_on_standard_output_with_their_sign_and_one_a_line() {
    let many = "(module (func (export \"many\") (result i32 i64 f64 i32)
      (i32.const -1) (i64.const -2) (f64.const 0.5) (i32.const 7)))";
    let dir = Dir::with("many.wasm", many);
    for engine in ["wasm", "native"] {
        for (flags, values) in [
            ("", "-1\n-2\n0.5\n7\n"),
            ("-q", "-1\n-2\n0.5\n7\n"),
            ("--unsigned", "4294967295\n18446744073709551614\n0.5\n7\n"),
        ] {
            let line = format!("{flags} --engine {engine} --snapshot-output snapshot many.wasm many");
            let ran = dir.run(&line).code(0);
            assert_eq!(String::from_utf8_lossy(ran.stdout()), values, "{flags}");
        }
        assert_eq!(dir.run(&format!("-q --engine {engine} many.wasm many")).code(0).stderr(), "");
    }
    // What a file says has the form that it always had.
    assert_eq!(dir.text("snapshot/result.txt"), "0\n0\n4294967295 18446744073709551614 0.5 7\n");
    // A resumed run prints what it comes to as well.
    dir.add("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 20").code(75);
    assert_eq!(dir.run("resume out --enable-gas-refill -q").code(0).stdout(), b"6765\n");
}

#[test]
fn a_run_that_goes_on_in_another_directory_says_what_is_to_be_copied_there() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output one fib.wasm fib 20").code(75);
    let copy = "copy 1.bin and 1.snap from the directory that the run went on from";
    dir.run("resume one -o two").code(75).says(&format!("first: {copy}"));
    dir.run("resume two").code(65).says("two: 1.bin is not there, on which 2.snap builds").says(copy);
    ["1.bin", "1.snap"].into_iter().for_each(|name| {
        fs::copy(dir.path("one").join(name), dir.path("two").join(name)).expect("a copy");
    });
    dir.run("resume two").code(75);
    // One that is lost in the middle is not somewhere else.
    fs::remove_file(dir.path("two/2.bin")).expect("it is there");
    dir.run("resume two").code(65).says("go on from before it: stepmark resume two@1 --overwrite");
    dir.run("resume two@1 --overwrite").code(75);
}

#[test]
fn a_program_in_another_folder_is_found_where_the_run_had_it() {
    let dir = Dir::new();
    ["bin", "jobs"].into_iter().for_each(|name| fs::create_dir(dir.path(name)).expect("a folder"));
    dir.add("bin/fib.wasm", FIB);
    dir.run("--gas-limit 50000 --enable-gas-refill --snapshot-output jobs/out bin/fib.wasm fib 20").code(0);
    let receipt: serde_json::Value = serde_json::from_slice(&dir.read("jobs/out/receipt.json")).expect("a receipt");
    assert_eq!(receipt["runner"]["folders"], serde_json::json!(["../../bin"]));
    for command in ["verify jobs/out", "inspect jobs/out@1", "resume jobs/out@1 -o again"] {
        dir.run(command).code(0);
    }
    fs::rename(dir.path("bin"), dir.path("programs")).expect("another name");
    dir.run("verify jobs/out").code(65).says("help: give it with --program FILE");
}
