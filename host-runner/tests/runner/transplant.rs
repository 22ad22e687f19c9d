//! The node's state is its linear memory: copied after every slice into a fresh instance, with all imports trapping, the
//! run ends with the same bytes.

use std::collections::BTreeMap;

use stepmark_runner::node::embedded_module::NODE_WASM;
use stepmark_runner::node::engine::{Budget, Event, ModuleSession};
use stepmark_runner::node::frozen;
use stepmark_runner::node::sandbox::{NodeModule, WasmNode};

use crate::util::FIB;

type Files = BTreeMap<String, Vec<u8>>;

#[test]
fn a_memory_put_into_a_fresh_instance_goes_on() {
    let module = NodeModule::compile(NODE_WASM).expect("the node compiles");
    let (whole, _) = run(&module, false);
    let (moved, moves) = run(&module, true);
    assert!(moves > 20, "{moves} moves");
    assert_eq!(whole, moved);
    assert!(whole.contains_key("3.snap") && whole.contains_key("result.txt"));
}

/// Runs `fib 20` in slices; with `transplant`, each slice in an instance of its own.
fn run(module: &NodeModule, transplant: bool) -> (Files, usize) {
    let argv = ["--gas-limit", "50000", "--enable-gas-refill", "fib.wasm", "fib", "20"].map(str::to_owned);
    let mut node = WasmNode::new(module).expect("instantiates");
    node.load_arguments(&argv).expect("good arguments");
    while let Some(path) = node.want().expect("goes on") {
        assert_eq!(path, "fib.wasm");
        node.give(&wat::parse_str(FIB).expect("valid text")).expect("taken");
        node.give_end(true).expect("a good program");
    }
    let mut files = Files::new();
    let mut moves = 0;
    loop {
        if transplant {
            let mut fresh = WasmNode::new(module).expect("instantiates");
            let memory = node.memory_image();
            let size = u32::try_from(memory.len() / frozen::PAGE).expect("few pages");
            fresh.restore_memory(size, frozen::pages(memory)).expect("restored");
            node = fresh;
            moves += 1;
        }
        let event = node.run(Budget { gas: 7_000, steps: u64::MAX }).expect("runs");
        while let Some(file) = node.next_file().expect("goes on") {
            files.insert(file.to_string(), node.take_all().expect("goes on"));
        }
        if event == Event::Finished {
            return (files, moves);
        }
    }
}
