//! Programs with much memory: what they may have is the job's limit, the same in every place, and a node that cannot hold
//! it says so.

use std::fs;

use node_tests::footprint;
use node_tests::runner::{self, Ended};

/// Runs a program of this text, whose `run` takes nothing.
fn run(text: &str, flags: &[&str]) -> Vec<(&'static str, anyhow::Result<Ended>)> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let argv: Vec<String> = flags.iter().chain(&["a.wasm", "run"]).map(|word| (*word).to_owned()).collect();
    let nodes = runner::nodes().unwrap().into_iter();
    nodes.map(|(name, mut node)| (name, runner::run(node.as_mut(), &argv, dir.path()))).collect()
}

#[test]
fn a_memory_grows_to_2_gib_less_a_page_and_then_no_more_in_every_place() {
    let text = r#"(module (memory 1)
        (func (export "run") (result i32 i32 i32)
            (memory.grow (i32.const 32766))
            (i32.store (i32.const 0x7ffefffc) (i32.const 5))
            (memory.grow (i32.const 1))
            (i32.load (i32.const 0x7ffefffc))))"#;
    for (name, ended) in run(text, &[]) {
        let result = String::from_utf8(ended.unwrap().files["result.txt"].clone()).unwrap();
        assert_eq!(result, "0\n0\n1 4294967295 5\n", "{name}");
    }
}

#[test]
fn a_memory_that_the_wasm_cannot_hold_is_an_error_that_says_so_and_no_result() {
    let text = r#"(module (memory 32768) (func (export "run") (result i32) (memory.size)))"#;
    let [(_, native), (_, wasm)] = run(text, &["--max-memory", "4294967296"]).try_into().unwrap();
    assert_eq!(native.unwrap().files["result.txt"], b"0\n0\n32768\n");
    let error = wasm.unwrap_err().to_string();
    assert!(error.contains("Stepmark cannot hold a memory of 32768 pages of 64 KiB"), "{error}");
}

#[test]
fn a_memory_that_grows_beyond_what_the_wasm_can_hold_ends_the_run_wherever_it_lies() {
    // In place at the end of the node's memory, by a step and by many pages.
    for (first, more) in [(16_000, 16_768), (16_000, 30_000), (32_766, 2)] {
        let text =
            format!("(module (memory {first}) (func (export \"run\") (result i32) (memory.grow (i32.const {more}))))");
        let [(_, native), (_, wasm)] = run(&text, &["--max-memory", "4294967296"]).try_into().unwrap();
        assert_eq!(native.unwrap().files["result.txt"], format!("0\n0\n{first}\n").into_bytes());
        let error = wasm.unwrap_err().to_string();
        let expected = format!("Stepmark cannot hold a memory of {} pages of 64 KiB", first + more);
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn near_the_end_of_the_nodes_memory_a_program_runs_or_is_refused_by_name() {
    let (mut ran, mut refused) = (0, 0);
    for short in (0..60).chain([480, 520, 560, 600, 700]) {
        let second = 57_344 - 30_000 - short;
        let text =
            format!("(module (memory 30000) (memory {second}) (func (export \"run\") (result i32) (memory.size 1)))");
        let [_, (_, wasm)] = run(&text, &["--max-memory", "4294967296"]).try_into().unwrap();
        match wasm {
            Ok(ended) => {
                assert_eq!(ended.files["result.txt"], format!("0\n0\n{second}\n").into_bytes());
                ran += 1;
            }
            Err(error) => {
                let expected = format!("Stepmark cannot hold a memory of {second} pages of 64 KiB");
                assert!(error.to_string().contains(&expected), "{short}: {error}");
                refused += 1;
            }
        }
    }
    assert!(ran > 0 && refused >= 60, "{ran} ran, {refused} refused");
}

#[test]
fn several_memories_of_more_than_3_gib_together_are_held_as_wasm_too() {
    let text = r#"(module (memory 32767) (memory 20000)
        (func (export "run") (result i32)
            (i32.store 1 (i32.const 1310719996) (i32.const 9))
            (i32.load 1 (i32.const 1310719996))))"#;
    for (name, ended) in run(text, &["--max-memory", "4294967296"]) {
        assert_eq!(ended.unwrap().files["result.txt"], b"0\n0\n9\n", "{name}");
    }
}

#[test]
fn memory_that_nobody_writes_to_reads_as_zero_wherever_it_came_from() {
    let dir = footprint::directory().unwrap();
    // Grown in steps between allocations of the node's own, and moved: 200 snapshots on the way.
    let text = r#"(module (memory 1)
        (func (export "run") (result i64) (local $at i64) (local $sum i64)
            (loop $grow
                (i64.store (i32.wrap_i64 (local.get $at)) (i64.const -1))
                (drop (memory.grow (i32.const 7)))
                (local.set $at (i64.add (local.get $at) (i64.const 458752)))
                (br_if $grow (i32.lt_u (memory.size) (i32.const 700))))
            (loop $read
                (local.set $at (i64.sub (local.get $at) (i64.const 8)))
                (local.set $sum (i64.add (local.get $sum) (i64.load (i32.wrap_i64 (local.get $at)))))
                (br_if $read (i64.gt_u (local.get $at) (i64.const 0))))
            (local.get $sum)))"#;
    fs::write(dir.path().join("a.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let flags = ["--snapshot-output", "out", "--enable-gas-refill", "--gas-limit", "1000000", "a.wasm", "run"];
    let mut all = Vec::new();
    for (name, mut node) in runner::nodes().unwrap() {
        let ended = runner::run(node.as_mut(), &flags.map(str::to_owned), dir.path()).unwrap();
        let result = String::from_utf8(ended.files["result.txt"].clone()).unwrap();
        assert!(result.ends_with("\n18446744073709551516\n"), "{name}: {result}");
        all.push(ended);
    }
    assert_eq!(all[0].differences(&all[1]).unwrap(), Vec::<String>::new());
}
