//! `freeze` and `thaw` as their users see them: what goes on where, what is refused, and what garbage does.

use stepmark_runner::node::embedded_module;
use stepmark_runner::node::frozen::{self, Frozen, PAGE};

use crate::util::{Dir, FIB, TRAP, json};

const JOB: &str = "--gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20";

/// A directory with the files of a whole run in `whole`, and `a.frozen` after so much gas.
fn frozen_after(gas: u64) -> Dir {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run(&JOB.replace("output out", "output whole")).code(0);
    dir.run(&format!("freeze a.frozen --after {gas} {JOB}")).code(0).says("frozen: a.frozen, ");
    dir
}

#[test]
fn a_thawed_node_completes_the_output_directory() {
    let dir = frozen_after(120_000);
    assert_eq!(dir.names("out"), ["1.bin", "1.snap", "2.bin", "2.snap"]);
    let ran = dir.run("thaw a.frozen").code(0).says("status 0, 1 snapshot,");
    assert_eq!(ran.stdout(), b"6765\n");
    dir.assert_same("whole", "out");
    // Once more, over what is there.
    dir.run("thaw a.frozen").code(2).says("out: holds snapshot 3 of this job, which this run would remove");
    dir.run("thaw a.frozen --overwrite").code(0);
    dir.assert_same("whole", "out");
}

#[test]
fn it_is_frozen_as_soon_as_the_gas_is_used() {
    let dir = Dir::with("fib.wasm", FIB);
    for gas in [0, 1, 49_999, 50_000, 50_001, 150_000] {
        let ran = dir.run(&format!("freeze a.frozen --overwrite --after {gas} --json {JOB}")).code(0);
        assert_eq!(json(ran.stdout())["gas_total"], gas);
    }
}

#[test]
fn equal_nodes_have_equal_files() {
    let dir = frozen_after(70_000);
    dir.run(&format!("freeze b.frozen --overwrite --after 70000 {JOB}")).code(0);
    assert_eq!(dir.read("a.frozen"), dir.read("b.frozen"));
}

#[test]
fn a_thawed_node_can_be_frozen_again_and_write_elsewhere() {
    let dir = frozen_after(60_000);
    let ran = dir.run("thaw a.frozen --after 110000 --to b.frozen --json").code(0);
    let object = json(ran.stdout());
    assert_eq!(object["frozen"]["file"], "b.frozen");
    assert_eq!(object["frozen"]["bytes"], dir.read("b.frozen").len());
    assert_eq!((&object["gas_total"], &object["gas_used"]), (&110_000.into(), &50_000.into()));
    assert_eq!(object["interrupted"], false);
    let ran = dir.run("thaw b.frozen --snapshot-output rest --json").code(0);
    assert_eq!(json(ran.stdout())["frozen"], serde_json::Value::Null);
    assert_eq!(dir.names("rest"), ["3.bin", "3.snap", "receipt.json", "result.txt"]);
    assert_eq!(dir.read("rest/3.snap"), dir.read("whole/3.snap"));
}

#[test]
fn a_program_that_ends_first_leaves_no_frozen_node() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run(&format!("freeze a.frozen --after 1000000 {JOB}")).code(0).says("the run ended first: a.frozen was not");
    assert!(!dir.path("a.frozen").exists());
    assert!(dir.path("out/result.txt").exists());
    dir.add("trap.wasm", TRAP);
    dir.run("freeze a.frozen --after 1000000 trap.wasm run").code(134).says("integer divide by zero");
    dir.run(&format!("freeze a.frozen --overwrite --after 1000000 {}", JOB.replace("--enable-gas-refill ", "")))
        .code(75);
    assert!(!dir.path("a.frozen").exists());
}

#[test]
fn a_thawed_program_traps_with_the_code_of_run() {
    let dir = Dir::with("trap.wasm", TRAP);
    dir.run("freeze a.frozen --after 20 trap.wasm run").code(0);
    dir.run("thaw a.frozen").code(134).says("integer divide by zero");
}

#[test]
fn what_cannot_go_on_elsewhere_is_refused() {
    let dir = Dir::with("fib.wasm", FIB);
    for (flags, because) in [
        ("--engine native", "--engine native does not go with freeze"),
        ("--check-reference", "--check-reference does not go with freeze"),
        ("--store kv", "--store does not go with freeze"),
        ("--contract a=b.wasm", "--contract does not go with freeze"),
    ] {
        dir.run(&format!("freeze a.frozen {flags} {JOB}")).code(2).says(because);
    }
    assert!(!dir.path("kv").exists() && !dir.path("out").exists());
}

#[test]
fn a_place_that_is_taken_or_cannot_be_written_is_refused_before_the_run() {
    let dir = Dir::with("fib.wasm", FIB);
    let job = JOB.replace("fib.wasm", "./fib.wasm");
    dir.run(&format!("freeze fib.wasm --after 100 {job}"))
        .code(2)
        .says("fib.wasm is there already and is no frozen module");
    dir.run(&format!("freeze no/folder/a.frozen --after 100 {job}")).code(74).says("no/folder/a.frozen");
    dir.run(&format!("freeze . --after 100 {job}")).code(74);
    assert!(!dir.path("out").exists());
    assert_eq!(dir.read("fib.wasm"), wat::parse_str(FIB).expect("a program"));
}

#[test]
fn thawing_into_another_directory_says_where_the_older_snapshots_are() {
    let dir = frozen_after(120_000);
    let says = "snapshots up to 2 are where the module was frozen, in 'out': copy them to ";
    dir.run("thaw a.frozen --snapshot-output rest").code(0).says(says);
    for name in ["1.bin", "1.snap", "2.bin", "2.snap"] {
        std::fs::copy(dir.path(&format!("out/{name}")), dir.path(&format!("rest/{name}"))).expect("a copy");
    }
    dir.run("verify fib.wasm rest").code(0);
}

#[test]
fn a_bad_file_is_refused_before_anything_is_touched() {
    let dir = frozen_after(120_000);
    let file = dir.read("a.frozen");
    let bad = |name: &str, contents: &[u8], because: &str| {
        std::fs::write(dir.path(name), contents).expect("a file");
        let before = dir.names("out");
        dir.run(&format!("thaw {name}")).code(65).says(&format!("{name} cannot be thawed")).says(because);
        assert_eq!(dir.names("out"), before);
    };
    bad("empty", b"", "0 bytes, too few");
    bad("program", &dir.read("fib.wasm"), "does not begin with NODEFRZ1");
    bad("short", &file[..file.len() - 1], "expected ");
    let mut flipped = file.clone();
    flipped[100_000] ^= 1;
    bad("flipped", &flipped, "damaged");
    let mut other = Vec::new();
    frozen::encode(&[7; 32], &memory(&file), &mut other).expect("a memory");
    bad("other", &other, &"07".repeat(32));
    bad("other", &other, embedded_module::node_hash());
    let mut small = Vec::new();
    frozen::encode(embedded_module::node_hash_bytes(), &[1; PAGE], &mut small).expect("a memory");
    bad("small", &small, "a memory of 1 pages, the module begins with ");
    dir.run("thaw absent").code(2).says("absent: no such file");
}

/// The whole memory of a frozen node.
fn memory(file: &[u8]) -> Vec<u8> {
    let frozen = Frozen::decode(file).expect("well-formed");
    let mut memory = vec![0; usize::try_from(frozen.size).expect("small") * PAGE];
    for (index, page) in frozen.pages {
        let start = usize::try_from(index).expect("small") * PAGE;
        memory[start..start + PAGE].copy_from_slice(page);
    }
    memory
}

#[test]
fn garbage_in_a_well_formed_file_ends_in_an_error_and_nothing_else() {
    let dir = frozen_after(120_000);
    let length = memory(&dir.read("a.frozen")).len();
    let noise = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    let memories =
        [("zero", vec![0; length]), ("ones", vec![0xff; length]), ("noise", (0..length).map(noise).collect())];
    for (name, garbage) in memories {
        let mut file = Vec::new();
        frozen::encode(embedded_module::node_hash_bytes(), &garbage, &mut file).expect("a memory");
        std::fs::write(dir.path("bad.frozen"), file).expect("a file");
        let ran = dir.run("thaw bad.frozen");
        assert!([65, 74].contains(&ran.exit_code()), "{name}: {}", ran.stderr());
        assert!(ran.stderr().contains("error: ") && !ran.stderr().contains("panicked"), "{name}: {}", ran.stderr());
    }
    dir.run("thaw a.frozen").code(0);
    dir.assert_same("whole", "out");
}
