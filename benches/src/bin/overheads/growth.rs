//! A program that grows its memory page by page: its time, and the node's memory while it grows.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use guest_interp::session::{Budget, Event};

use crate::Bench;
use crate::figures::{Figure, Target, millis};
use crate::node::{Files, Place};

/// Grows to the given number of pages, and writes to each new one.
const PROGRAM: &str = r#"(module (memory 1)
    (func (export "grow") (param $pages i32) (local $old i32)
        (loop $more
            (local.set $old (memory.grow (i32.const 1)))
            (if (i32.eq (local.get $old) (i32.const -1)) (then unreachable))
            (i32.store (i32.shl (local.get $old) (i32.const 16)) (i32.const 1))
            (br_if $more (i32.lt_u (memory.size) (local.get $pages))))))"#;
const PAGES: usize = 1024;

pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let files = Files::from([("grow.wasm".to_owned(), wat::parse_str(PROGRAM)?)]);
    let mut figures = Vec::new();
    let what = format!("page by page to {PAGES} pages");
    for place in &bench.places {
        let mut runs = (0..bench.rounds).map(|_| grow(place, &files)).collect::<Result<Vec<_>>>()?;
        runs.sort();
        let (time, memory) = runs[runs.len() / 2];
        figures.push(Figure::new(format!("growing, {}", place.name()), millis(time), "ms", Target::None, what.clone()));
        if let Some(memory) = memory {
            let times = memory as f64 / (PAGES << 16) as f64;
            let name = "node's memory over the program's, grown";
            figures.push(Figure::new(name, times, "times", Target::None, format!("{what}: {memory} bytes")));
        }
    }
    Ok(figures)
}

fn grow(place: &Place, files: &Files) -> Result<(Duration, Option<usize>)> {
    let mut node = place.node(&["grow.wasm", "grow", &PAGES.to_string()])?;
    node.load(files, |_| false)?;
    let start = Instant::now();
    // Stops before the report, which hashes what was written.
    let mut paused = 0;
    while node.run(Budget { gas: 100, steps: u64::MAX })? == Event::Paused {
        paused += 1;
    }
    ensure!(paused > 10, "the program did not run");
    Ok((start.elapsed(), node.memory()))
}
