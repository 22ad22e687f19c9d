//! Witnesses: a segment executes from the pages that it touches, and from nothing else.

use std::fs;

use stepmark_snapshot::witness::{Witness, contents, kept};
use stepmark_state::merkle::{PageTree, page_hash, siblings, subtree};
use stepmark_state::pages::SpaceId;

use crate::util::{Dir, FIB, Ran};

/// Stores, loads, bulk operators, vectors, growing, a table and host calls, over pages far apart of a memory of 64 MiB.
const WIDE: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory 1024) (data $d "passive") (table 3 funcref) (elem (i32.const 0) func $f) (func $f)
  (func (export "run") (result i64) (local $i i32)
    (i32.store (i32.const 16) (i32.const 9000000)) (i32.store (i32.const 20) (i32.const 3))
    (loop $l
      (i64.store (i32.mul (local.get $i) (i32.const 65000)) (i64.extend_i32_u (local.get $i)))
      (memory.copy (i32.add (i32.const 30000000) (local.get $i)) (i32.mul (local.get $i) (i32.const 500)) (i32.const 5000))
      (memory.fill (i32.const 40000000) (local.get $i) (i32.const 9))
      (memory.init $d (i32.const 45000000) (i32.const 1) (i32.const 5))
      (v128.store (i32.const 50000001) (v128.load (i32.const 12345)))
      (table.set (i32.const 2) (table.get (i32.const 0)))
      (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 60000000)))
      (if (i32.eq (local.get $i) (i32.const 90))
        (then (i32.store8 (i32.mul (memory.grow (i32.const 2)) (i32.const 65536)) (i32.const 1))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200))))
    (i64.load (i32.const 65000))))"#;

fn chain() -> Dir {
    let dir = Dir::with("wide.wasm", WIDE);
    dir.run("-q --engine native --gas-limit 8500 --enable-gas-refill --snapshot-output out wide.wasm run").code(0);
    dir
}

#[test]
fn every_segment_follows_from_its_witness_to_the_byte() {
    let dir = chain();
    let last = dir.names("out").iter().filter(|name| name.ends_with(".snap")).count();
    assert!(last > 6, "{last} snapshots");
    for id in 1..=last {
        dir.run(&format!("witness out@{id} wide.wasm -o w")).code(0);
        if id < last {
            let next = id + 1;
            dir.run(&format!("check-witness w wide.wasm --expect out/{next}.snap")).code(0);
            dir.run(&format!("check-witness w wide.wasm --expect out/{id}.snap")).code(1);
        } else {
            let ran: Ran = dir.run("check-witness w wide.wasm").code(0);
            let said = String::from_utf8_lossy(ran.stdout()).into_owned();
            assert!(said.ends_with(&format!("leads to the end: 0 {last} 1\n")), "{said}");
        }
    }
}

#[test]
fn a_witness_is_as_long_as_the_pages_that_are_touched() {
    let dir = chain();
    let ran = dir.run("witness out@2 wide.wasm -o w --json").code(0);
    let object: serde_json::Value = serde_json::from_slice(ran.stdout()).expect("JSON");
    let touched = object["touched_pages"].as_u64().expect("a number");
    assert_eq!(object["memory_pages"], 16384);
    assert!(touched < 200, "{touched} pages");
    let size = fs::metadata(dir.path("w")).expect("there").len();
    // At most the pages, their paths and the state.
    assert!(size < touched * (4096 + 16 + 14 * 32) + 8192, "{size} bytes for {touched} pages");
}

/// Asserts that the witness of segment `id`, changed so and sealed again, is refused in these words.
#[track_caller]
fn refused(dir: &Dir, program: &str, good: &Witness, change: impl Fn(&mut Witness), expected: &str) {
    let mut witness = good.clone();
    change(&mut witness);
    fs::write(dir.path("bad"), witness.encode()).expect("written");
    let ran = dir.run(&format!("check-witness bad {program}")).code(65);
    assert!(ran.stderr().contains(expected), "expected {expected:?} in {}", ran.stderr());
}

fn witness_of(dir: &Dir, place: &str, program: &str) -> Witness {
    dir.run(&format!("witness {place} {program} -o w")).code(0);
    Witness::decode(&dir.read("w")).expect("a witness")
}

/// Hides a space: no page of it is there, and its root is the only hash.
fn without_pages(witness: &mut Witness, number: SpaceId) {
    let root = witness.snapshot.state.spaces.iter().find(|space| space.id() == number).expect("there").root;
    witness.pages.remove(&number);
    witness.hashes.insert(number, vec![root]);
}

/// Leaves out the last page of a memory, and gives the hashes that are then beside the others.
fn without_last(witness: &mut Witness, number: SpaceId) {
    let pages = witness.pages.get_mut(&number).expect("pages");
    let all: Vec<u64> = pages.keys().copied().collect();
    let mut tree = PageTree::new();
    for ((level, index), hash) in siblings(&all).into_iter().zip(&witness.hashes[&number]) {
        tree.set_node(level, index, *hash);
    }
    for (index, page) in &*pages {
        tree.place_leaf(*index, page_hash(contents(page)));
    }
    tree.root();
    pages.pop_last();
    let left: Vec<u64> = pages.keys().copied().collect();
    let hashes = siblings(&left).into_iter().map(|(level, index)| tree.node(level, index)).collect();
    witness.hashes.insert(number, hashes);
}

const MEMORY: SpaceId = SpaceId::new(1, 0);
const TABLE: SpaceId = SpaceId::new(2, 0);

#[test]
fn a_witness_without_a_page_or_with_another_one_is_refused() {
    let dir = chain();
    let good = witness_of(&dir, "out@3", "wide.wasm");
    let refused = |change: &dyn Fn(&mut Witness), expected: &str| refused(&dir, "wide.wasm", &good, change, expected);
    let root = "the contents of memory 0 do not have the root";
    let first = |w: &mut Witness| w.pages.get_mut(&MEMORY).unwrap().values_mut().flatten().next().unwrap()[100] ^= 1;
    refused(&first, root);
    refused(&|w| w.hashes.get_mut(&MEMORY).unwrap()[3][0] ^= 1, root);
    refused(&|w| without_last(w, MEMORY), "which is not there");
    refused(&|w| without_pages(w, MEMORY), "which is not there");
    refused(&|w| without_pages(w, TABLE), "page 0 of table 0 is not there, expected all 1 of it");
    refused(&|w| drop(w.pages.insert(SpaceId::new(2, 1), [(0, None)].into())), "table 1 is not in the state");
    refused(&|w| drop(w.pages.insert(SpaceId::new(3, 7), [(0, None)].into())), "file 7 is not in the state");
    let bytes = dir.read("w");
    for at in [0, 9, 30, bytes.len() / 2, bytes.len() - 1] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        fs::write(dir.path("bad"), bad).expect("written");
        dir.run("check-witness bad wide.wasm").code(65);
    }
    for length in [0, 7, 60, bytes.len() - 1] {
        fs::write(dir.path("bad"), &bytes[..length]).expect("written");
        dir.run("check-witness bad wide.wasm").code(65);
    }
}

/// A call through a table that an earlier segment changed; state 0 would give another function.
const CHANGED_TABLE: &str = "(module (memory 1) (table 1 funcref) (type $t (func (result i32)))
  (func $a (result i32) (i32.const 1)) (func $b (result i32) (i32.const 2))
  (elem (i32.const 0) $a) (elem declare func $b)
  (func (export \"run\") (param $n i32) (result i32)
    (table.set 0 (i32.const 0) (ref.func $b)) (i32.store (i32.const 0) (i32.const 5))
    (loop $l (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $l (local.get $n)))
    (i32.store (i32.const 0) (i32.const 6))
    (call_indirect (type $t) (i32.const 0))))";

#[test]
fn a_witness_without_the_pages_of_a_table_cannot_bring_back_what_it_held_at_the_start() {
    let dir = Dir::with("t.wasm", CHANGED_TABLE);
    dir.run("-q --engine native --gas-limit 400 --enable-gas-refill --snapshot-output out t.wasm run 400").code(0);
    let last = dir.names("out").iter().filter(|name| name.ends_with(".snap")).count();
    let good = witness_of(&dir, &format!("out@{last}"), "t.wasm");
    let said = String::from_utf8_lossy(dir.run("check-witness w t.wasm").code(0).stdout()).into_owned();
    assert!(said.ends_with(&format!("leads to the end: 0 {last} 2\n")), "{said}");
    let expected = "page 0 of table 0 is not there, expected all 1 of it";
    refused(&dir, "t.wasm", &good, |w| without_pages(w, TABLE), expected);
}

#[test]
fn a_zero_page_beyond_the_end_is_refused_unless_the_memory_can_grow_to_it() {
    // All of its memory is zero, and so is every subtree.
    let zeros = CHANGED_TABLE.replace("(i32.const 5)", "(i32.const 0)").replace("(i32.const 6)", "(i32.const 0)");
    let dir = Dir::with("t.wasm", &zeros.replace("(memory 1)", "(memory 1 3)"));
    let flags = "-q --engine native --gas-limit 400 --enable-gas-refill --max-memory 6553600 --snapshot-output out";
    dir.run(&format!("{flags} t.wasm run 400")).code(0);
    let good = witness_of(&dir, "out@1", "t.wasm");
    let with = |page: u64| {
        move |w: &mut Witness| {
            let pages = w.pages.entry(MEMORY).or_default();
            pages.insert(page, None);
            let indices: Vec<u64> = pages.keys().copied().collect();
            w.hashes.insert(MEMORY, siblings(&indices).into_iter().map(|(level, _)| subtree(level)).collect());
        }
    };
    let mut honest = good.clone();
    with(47)(&mut honest);
    fs::write(dir.path("more"), honest.encode()).expect("written");
    dir.run("check-witness more t.wasm --expect out/2.snap").code(0);
    refused(&dir, "t.wasm", &good, with(48), "memory 0 grows to 48 pages: there is no page 48");
    let expected = "memory 0 has 16 pages and at most 1600: there is no page";
    for page in [1600, 1 << 33, (1 << 36) - 1] {
        refused(&dir, "t.wasm", &good, with(page), expected);
    }
    let ones = |w: &mut Witness| {
        with(16)(w);
        w.pages.entry(MEMORY).or_default().insert(16, kept(&[1; 4096]));
    };
    refused(&dir, "t.wasm", &good, ones, "page 16 of memory 0 is beyond its end, at page 16, and not zero");
}

#[test]
fn files_of_a_job_may_be_called_as_those_of_a_chain() {
    let dir = Dir::with("prog.bin", FIB);
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill -o out prog.bin fib 20").code(0);
    dir.run("witness out@1 -o w --program prog.bin").code(0);
    dir.run("check-witness w prog.bin").code(0);
    // A directory that is called as the folder that the runner's own names had.
    dir.add("1.snap", FIB);
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill -o program 1.snap fib 20").code(0);
    dir.run("inspect program@1 --program 1.snap").code(0);
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill -o job_program 1.snap fib 20").code(0);
    dir.run("inspect job_program@1 --program 1.snap").code(0);
}

#[test]
fn a_job_with_answers_from_outside_has_no_witness() {
    let dir = Dir::new();
    dir.sample("contracts/token.wasm");
    dir.run("store put s.redb balance/alice 0x6400000000000000").code(0);
    let call = "--store s.redb --call-data 0x7472616e7366657220616c69636520626f62203330";
    let limit = "-q --engine native --gas-limit 5000";
    dir.run(&format!("{limit} {call} --snapshot-output out token.wasm invoke")).code(75);
    dir.run("witness out@1 token.wasm -o w").code(2).says("the job has a key-value store");
}
