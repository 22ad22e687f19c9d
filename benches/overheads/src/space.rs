//! What the node keeps beside the program's own memory: its linear memory less the program's, after loading and after
//! running.

use anyhow::{Context, Result, ensure};
use stepmark_runner::node::engine::{Event, ModuleSession};
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::sandbox::{NodeModule, WasmNode};
use stepmark_snapshot::snap;

use crate::Bench;
use crate::figures::{Figure, Target};
use crate::node::{Files, Place, load, run_on, take};
use crate::startup::code_size;

/// File and arguments of programs of different kinds.
const PROGRAMS: [&[&str]; 5] = [
    &["go_hello.wasm"],
    &["iostream_cpp.wasm"],
    &["rust_std.wasm"],
    &["bench/string_building.wasm", "run", "100"],
    &["fib32.wasm", "fib", "20"],
];
/// Gas between two looks at the program's memory.
const SLICE: u64 = 1_000_000;
/// What the node may take beside three times the program's code.
const FREE: usize = 2 << 20;

pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let [_, Place::Wasm(module)] = &bench.places else { unreachable!("the second place is the wasm") };
    let mut figures = Vec::new();
    for argv in PROGRAMS {
        let bytes = bench.program(argv[0])?;
        let code = code_size(&bytes)?;
        let files = Files::from([(argv[0].to_owned(), bytes)]);
        let programs = program_memory(argv, &files).context(argv[0])?;
        let nodes = node_memory(module, argv, &files).context(argv[0])?;
        let most = (3 * code + FREE) as f64 / f64::from(1 << 20);
        for (when, node, program) in [("loading", nodes[0], programs[0]), ("running", nodes[1], programs[1])] {
            let overhead = node.saturating_sub(program) as f64 / f64::from(1 << 20);
            let what =
                format!("{}: {code} bytes of code; memory {node} of the node, {program} of the program", argv[0]);
            figures.push(Figure::new(format!("overhead after {when}"), overhead, "MiB", Target::AtMost(most), what));
        }
    }
    Ok(figures)
}

/// Bytes of the node's memory after loading and after running.
fn node_memory(module: &NodeModule, argv: &[&str], files: &Files) -> Result<[usize; 2]> {
    let mut node = WasmNode::new(module)?;
    load(&mut node, argv, files)?;
    let loaded = node.memory_image().len();
    run_on(&mut node, SLICE, |_| Ok(()))?;
    Ok([loaded, node.memory_image().len()])
}

/// Bytes of the program's memories at the start and at the last pause, by a run of the same job with the same pauses.
fn program_memory(argv: &[&str], files: &Files) -> Result<[usize; 2]> {
    let mut node = NativeNode::new();
    load(&mut node, argv, files)?;
    let first = paused_memory(&mut node)?;
    let mut last = first;
    let event = run_on(&mut node, SLICE, |node| {
        last = paused_memory(node)?;
        Ok(())
    })?;
    ensure!(event == Event::Finished, "{event:?}");
    Ok([first, last])
}

fn paused_memory(node: &mut dyn ModuleSession) -> Result<usize> {
    node.encode_pause()?;
    let files = take(node)?;
    let snapshot = files.get("paused.snap").context("no paused.snap")?;
    let snapshot = snap::decode(snapshot).map_err(|error| anyhow::anyhow!("{error}"))?;
    let pages: u64 = snapshot.state.instances.iter().flat_map(|instance| &instance.memories).sum();
    Ok(pages as usize * (64 << 10))
}
