//! Chains of snapshots: resumed anywhere, in either engine, the bytes are those of one long run.

use std::fs;

use crate::util::{Dir, FIB};

#[test]
fn both_engines_write_the_same_files() {
    let dir = Dir::with("fib.wasm", FIB);
    for engine in ["wasm", "native"] {
        let line = "--gas-limit 50000 --enable-gas-refill fib.wasm fib 20";
        dir.run(&format!("--engine {engine} --snapshot-output {engine} {line}")).code(0);
    }
    dir.assert_same("wasm", "native");
    assert!(dir.text("wasm/result.txt").ends_with("\n6765\n"));
}

#[test]
fn both_engines_name_the_snapshots_alike() {
    let dir = Dir::with("fib.wasm", FIB);
    for engine in ["wasm", "native"] {
        let line = format!("--json --engine {engine} --snapshot-output {engine}");
        let ran = dir.run(&format!("{line} --gas-limit 50000 --enable-gas-refill fib.wasm fib 20")).code(0);
        let object: serde_json::Value = serde_json::from_slice(ran.stdout()).expect("JSON");
        let ids: Vec<_> =
            object["snapshots"].as_array().expect("a list").iter().map(|one| one["id"].as_u64()).collect();
        assert_eq!(ids, [Some(1), Some(2), Some(3)], "{engine}");
    }
}

#[test]
fn resume_needs_no_retyping_and_goes_on_in_the_same_directory() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output whole --enable-gas-refill fib.wasm fib 20").code(0);
    dir.run("--gas-limit 50000 --snapshot-output parts fib.wasm fib 20").code(75);
    dir.run("resume parts").code(75);
    dir.run("resume parts --engine native").code(75);
    dir.run("resume parts@1 --enable-gas-refill --overwrite").code(0);
    dir.assert_same("whole", "parts");
}

#[test]
fn a_program_that_is_not_found_is_named_with_its_hash() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 20").code(75);
    fs::rename(dir.path("fib.wasm"), dir.path("moved.wasm")).expect("renamed");
    let ran = dir.run("resume out").code(65).says("the snapshot needs fib.wasm");
    assert!(ran.stderr().contains("help: give it with --program FILE"));
    dir.run("resume out --program moved.wasm").code(75);
}

#[test]
fn another_jobs_chain_is_set_aside_by_a_run_from_the_start_and_refused_by_one_that_goes_on() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 20").code(75);
    let before = dir.read("out/1.snap");
    let (another, said) = ("--gas-limit 50000 --snapshot-output other fib.wasm fib 21", "belongs to another job");
    dir.run(another).code(75);
    let goes_on = "--gas-limit 50000 --snapshot-input other --snapshot-id 1 --snapshot-output out fib.wasm fib 21";
    dir.run(goes_on).code(65).says(said);
    assert_eq!(dir.read("out/1.snap"), before);
    let ran = dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 21").code(75);
    assert!(
        ran.stderr().contains("the chain of another job that was in out is in out/earlier-1 now"),
        "{}",
        ran.stderr()
    );
    assert_eq!(dir.read("out/earlier-1/1.snap"), before);
    assert_eq!(dir.read("out/1.snap"), dir.read("other/1.snap"));
    dir.run("verify fib.wasm out --to 1").code(0);
    dir.run("verify fib.wasm out/earlier-1 --to 1").code(0);
}

/// The walk-through of the first such engine: three programs in turn into one directory.
#[test]
fn three_programs_in_turn_into_one_directory_leave_three_chains() {
    let dir = Dir::with("fib.wasm", FIB);
    let refill = "--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output ./output";
    for argument in [20, 21, 22] {
        dir.run(&format!("{refill} ./fib.wasm fib {argument}")).code(0);
    }
    for (place, returned) in [("output/earlier-1", "6765"), ("output/earlier-2", "10946"), ("output", "17711")] {
        assert_eq!(dir.text(&format!("{place}/result.txt")).lines().nth(2), Some(returned), "{place}");
        dir.run(&format!("verify fib.wasm {place} --engine native")).code(0);
    }
}

#[test]
fn a_run_that_is_refused_leaves_the_chain_that_was_there() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    let before = dir.names("out");
    assert_eq!(before.len(), 8);
    dir.run("--gas-limit 0 --snapshot-output out fib.wasm fib 20").code(2);
    dir.run("resume out@2 --program fib.wasm --gas-limit 0").code(2);
    assert_eq!(dir.names("out"), before);
    dir.run("verify fib.wasm out").code(0);
}

#[test]
fn higher_ids_of_an_older_run_do_not_survive() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 20000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    assert!(dir.names("out").contains(&"9.snap".to_owned()));
    dir.run("--gas-limit 50000 --overwrite --snapshot-output out fib.wasm fib 20").code(75);
    assert_eq!(dir.names("out"), ["1.bin", "1.snap", "receipt.json", "result.txt"]);
}

#[test]
fn a_command_that_is_misspelt_is_suggested() {
    let dir = Dir::with("fib.wasm", FIB);
    for (typed, meant) in [("verfy", "verify"), ("resum", "resume"), ("exprot", "export"), ("inspct", "inspect")] {
        dir.run(&format!("{typed} fib.wasm out")).code(2).says(&format!("help: did you mean: stepmark {meant}?"));
    }
    // A program of such a name is a program.
    std::fs::rename(dir.path("fib.wasm"), dir.path("verfy")).expect("renamed");
    dir.run("verfy fib 5").code(0);
    dir.run("nothing-like-it.wasm").code(2).says("nothing-like-it.wasm");
}
