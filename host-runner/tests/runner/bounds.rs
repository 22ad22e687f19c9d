//! What checking a stranger's job may cost: gas, time and memory.

use std::fs;

use crate::util::{Dir, FIB, json, text};
use crate::verify::{chain, forge};

#[test]
fn a_verification_is_bounded_by_gas_and_time() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--engine native --gas-limit 50_000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    let refused = dir.run("verify out --engine native --max-gas 100k").code(77);
    assert!(refused.says("the chain claims 197015 gas, at most 100000 may be executed").stdout().is_empty());
    dir.run("verify out --engine native --max-gas 1M --max-time 60").code(0);
    dir.run("--engine native --gas-limit 50_000 --snapshot-output short fib.wasm fib 20").code(75);
    dir.run("verify short --engine native --max-gas 50_000").code(75);
    // A claim that is too small does not let more be executed.
    let receipt = dir.text("out/receipt.json").replace("\"gas_used\": 197015", "\"gas_used\": 5");
    fs::write(dir.path("out/receipt.json"), receipt).expect("written");
    dir.run("verify out --engine native --max-gas 120_000").code(77).says("the chain claims 150000 gas");
    dir.run("verify out --engine native --max-time 0").code(77).says("the time that it may take is over");
}

#[test]
fn what_a_bound_leaves_open_is_undecided_and_not_invalid() {
    let dir = chain("native");
    // 47,015 gas follow the last snapshot: the claim that the run ended there is within the bound.
    let receipt = dir.text("out/receipt.json").replace("\"gas_used\": 197015", "\"gas_used\": 150000");
    fs::write(dir.path("out/receipt.json"), receipt).expect("written");
    let said = dir.run("verify out --engine native -j 1 --max-gas 160_000").code(77);
    let said = text(said.stdout());
    assert!(said.contains("segment 3 -> the end: given up: more than 160000 gas is needed"), "{said}");
    assert!(said.contains("Proved: nothing: executing all of it would take more than was allowed"), "{said}");
    assert!(said.contains("UNDECIDED: 3 of 4 segments are the same, no fault of files"), "{said}");
}

#[test]
fn the_bound_of_gas_is_of_all_segments_together() {
    let dir = chain("native");
    // Limits that let each segment take more than all of them are said to.
    for id in 1..=3 {
        forge(&dir, id, |raw| raw.segment.limit = 1 << 60);
    }
    let said = dir.run("verify out --engine native -j 1 --max-gas 200_000 --json").code(1);
    let segments = json(said.stdout())["segments"].as_array().expect("a list").clone();
    let gas: u64 = segments.iter().filter_map(|segment| segment["gas"].as_u64()).sum();
    // The first one runs to the end, the second one is given up at its next look, and the others do not begin.
    assert_eq!(gas, 197_015 + 147_015);
}

/// A chain `copy`, a witness `w` of one of its segments, a false chain `out`, and the bundle of their dispute.
fn disputed() -> Dir {
    let dir = chain("native");
    dir.run("witness out@1 -o w").code(0);
    fs::create_dir(dir.path("copy")).expect("a directory");
    for name in dir.names("out") {
        fs::copy(dir.path("out").join(&name), dir.path("copy").join(&name)).expect("copied");
    }
    forge(&dir, 2, |raw| raw.state.frames[0].locals[0] ^= 1);
    dir.run("bisect copy out --engine native -o dispute.tar").code(1);
    dir
}

#[test]
fn a_job_that_may_have_more_memory_than_is_allowed_is_refused_before_anything_is_executed() {
    let dir = disputed();
    // Memories, files, the log of a store, tables, stack and exceptions by default.
    let refusal = "the job may take 3510875212 bytes of memory in all, at most 1048576 may be";
    for command in ["verify copy", "inspect copy@1", "check-witness w", "check-bundle dispute.tar"] {
        dir.run(&format!("{command} --max-memory-total 1MiB")).code(77).says(refusal).says("--max-memory-total");
        dir.run(&format!("{command} --max-memory-total 4GiB")).code(0);
    }
    let said = json(dir.run("verify copy --max-memory-total 4GiB --jobs 8 --json").code(0).stdout());
    assert_eq!(said["workers"], 1, "no more workers than have room");
}

#[test]
fn a_segment_is_bounded_by_gas_and_time_wherever_it_is_checked() {
    let dir = disputed();
    dir.run("check-witness w --max-gas 49_000").code(77).says("more than 49000 gas is needed");
    dir.run("check-bundle dispute.tar --max-gas 49_000")
        .code(77)
        .says("segment 1 -> 2 has a limit of 50000 gas, at most 49000 may be executed");
    for command in ["check-witness w", "check-bundle dispute.tar --engine native"] {
        dir.run(&format!("{command} --max-time 0")).code(77).says("the time that it may take is over");
        dir.run(&format!("{command} --max-gas 50_000 --max-time 60")).code(0);
    }
}

#[test]
fn the_gas_of_a_part_of_a_chain_is_that_part_of_what_it_claims() {
    let dir = chain("native");
    dir.run("verify out --engine native --to 1 --max-gas 50_000").code(0);
    dir.run("verify out --engine native --to 2 --max-gas 99_999").code(77).says("the chain claims 100000 gas");
    dir.run("verify out --engine native --from 3 --max-gas 47_015").code(0);
    dir.run("verify out --engine native --from 3 --max-gas 47_014").code(77).says("the chain claims 47015 gas");
}
