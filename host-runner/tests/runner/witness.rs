//! Witnesses: a segment executes from the pages that it touches, and from nothing else.

use std::fs;

use guest_interp::witness::Witness;

use crate::util::{Dir, Ran};

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

#[test]
fn a_witness_without_a_page_or_with_another_one_is_refused() {
    let dir = chain();
    dir.run("witness out@3 wide.wasm -o w").code(0);
    let good = Witness::decode(&dir.read("w")).expect("a witness");
    let refused = |change: &dyn Fn(&mut Witness), expected: &str| {
        let mut witness = good.clone();
        change(&mut witness);
        fs::write(dir.path("bad"), witness.encode()).expect("written");
        let ran = dir.run("check-witness bad wide.wasm").code(65);
        assert!(ran.stderr().contains(expected), "expected {expected:?} in {}", ran.stderr());
    };
    refused(&|w| w.pages.get_mut(&(1, 0)).unwrap().values_mut().next().unwrap()[100] ^= 1, "do not have the root");
    refused(&|w| w.hashes.get_mut(&(1, 0)).unwrap()[3][0] ^= 1, "do not have the root");
    // A page replaced by its hash: the root is right, and the page is missed.
    let without_last = |w: &mut Witness| {
        let pages = w.pages.get_mut(&(1, 0)).unwrap();
        let (page, contents) = pages.pop_last().unwrap();
        let before = guest_interp::snapshot::merkle::siblings(&pages.keys().copied().collect::<Vec<_>>());
        let mut tree = guest_interp::snapshot::merkle::PageTree::new();
        let all: Vec<u64> = pages.keys().copied().chain([page]).collect();
        for ((level, index), hash) in guest_interp::snapshot::merkle::siblings(&all).into_iter().zip(&w.hashes[&(1, 0)])
        {
            tree.set_node(level, index, *hash);
        }
        for (index, contents) in pages.iter().chain([(&page, &contents)]) {
            tree.place_leaf(*index, guest_interp::snapshot::merkle::page_hash(contents));
        }
        tree.root();
        let hashes = before.into_iter().map(|(level, index)| tree.node(level, index)).collect();
        w.hashes.insert((1, 0), hashes);
    };
    refused(&without_last, "which is not there");
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
    dir.run("witness out@paused wide.wasm -o w").code(2).says("a witness starts from a snapshot of the chain");
}
