//! A program that grows its memory page by page: its time, and the node's memory while it grows.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stepmark_runner::node::engine::{Budget, Event, ModuleSession};
use stepmark_runner::node::sandbox::WasmNode;

use crate::Bench;
use crate::figures::{Figure, Target, median, millis};
use crate::node::{Files, Place, load};

/// Grows to the given number of pages, and writes to each new one.
const PROGRAM: &str = r#"(module (memory 1)
    (func (export "grow") (param $pages i32) (local $old i32)
        (loop $more
            (local.set $old (memory.grow (i32.const 1)))
            (if (i32.eq (local.get $old) (i32.const -1)) (then unreachable))
            (i32.store (i32.shl (local.get $old) (i32.const 16)) (i32.const 1))
            (br_if $more (i32.lt_u (memory.size) (local.get $pages))))))"#;
const PAGES: usize = 1024;
/// Gas between two pauses.
const SLICE: u64 = 20_000;

pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let files = Files::from([("grow.wasm".to_owned(), wat::parse_str(PROGRAM)?)]);
    let mut figures = Vec::new();
    let what = format!("page by page to {PAGES} pages");
    for place in &bench.places {
        let time = millis(median(bench.rounds, || grow(place.node()?.as_mut(), &files))?);
        figures.push(Figure::new(format!("growing, {}", place.name()), time, "ms", Target::None, what.clone()));
        if let Place::Wasm(module) = place {
            let mut node = WasmNode::new(module)?;
            grow(&mut node, &files)?;
            let memory = node.memory_image().len();
            let times = memory as f64 / (PAGES << 16) as f64;
            let what = format!("{what}: {memory} bytes");
            figures.push(Figure::new("node's memory over the program's", times, "times", Target::AtMost(2.2), what));
        }
    }
    Ok(figures)
}

fn grow(node: &mut dyn ModuleSession, files: &Files) -> Result<Duration> {
    load(node, &["grow.wasm", "grow", &PAGES.to_string()], files)?;
    let start = Instant::now();
    // Pauses often and ends at the last one: the report, which hashes what was written, is not measured.
    let mut paused = 0;
    while node.run(Budget { gas: SLICE, steps: u64::MAX })? == Event::Paused {
        paused += 1;
    }
    ensure!(paused > 10, "the program did not run");
    Ok(start.elapsed())
}
