//! Pausing and going on in the same instance, shallow and deep in recursion; and what encoding the state takes there.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stepmark_runner::node::engine::{Budget, Event, ModuleSession};

use crate::Bench;
use crate::figures::{Figure, Target, millis};
use crate::node::{Files, Place, load, take};

/// Recurses to the given depth, then does work there, calls and all, for as long as it may.
const PROGRAM: &str = r#"(module
    (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func $down (export "down") (param $depth i32) (result i32) (local $sum i32)
        (if (result i32) (local.get $depth)
            (then (i32.add (i32.const 1) (call $down (i32.sub (local.get $depth) (i32.const 1)))))
            (else
                (loop $work
                    (local.set $sum (call $leaf (local.get $sum)))
                    (br $work))
                (local.get $sum)))))"#;
/// Near the limit of call depth, 65,536.
const DEEP: u64 = 60_000;
/// Instructions of a call of `down` that cost gas before the next one.
const DOWN: u64 = 8;
const PAUSES: usize = 1000;
/// Gas between two pauses.
const SLICE: u64 = 50;

pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let files = Files::from([("down.wasm".to_owned(), wat::parse_str(PROGRAM)?)]);
    let mut figures = Vec::new();
    for place in &bench.places {
        for depth in [1, DEEP] {
            let mut node = place.node()?;
            load(node.as_mut(), &["down.wasm", "down", &depth.to_string()], &files)?;
            pause_after(node.as_mut(), depth * DOWN)?;
            let (worst, all) = pauses(node.as_mut())?;
            let name = format!("pause and go on, {}", place.name());
            let mean = millis(all) * 1e3 / PAUSES as f64;
            let what = format!("worst of {PAUSES} under {depth} frames, {SLICE} gas apart; mean {mean:.1} us");
            figures.push(Figure::new(name, millis(worst), "ms", Target::AtMost(1.0), what));
            figures.push(encode(place, node.as_mut(), depth)?);
        }
    }
    Ok(figures)
}

fn pause_after(node: &mut dyn ModuleSession, gas: u64) -> Result<()> {
    let event = node.run(Budget { gas, steps: u64::MAX })?;
    ensure!(event == Event::Paused, "{event:?} instead of a pause");
    Ok(())
}

/// The longest of many short runs to a pause, and all of them together.
fn pauses(node: &mut dyn ModuleSession) -> Result<(Duration, Duration)> {
    let (mut worst, mut all) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..PAUSES {
        let start = Instant::now();
        pause_after(node, SLICE)?;
        let time = start.elapsed();
        worst = worst.max(time);
        all += time;
    }
    Ok((worst, all))
}

fn encode(place: &Place, node: &mut dyn ModuleSession, depth: u64) -> Result<Figure> {
    let start = Instant::now();
    node.encode_pause()?;
    let files = take(node)?;
    let time = millis(start.elapsed());
    let bytes: usize = files.values().map(Vec::len).sum();
    let what = format!("paused.snap and .bin under {depth} frames, {bytes} bytes");
    Ok(Figure::new(format!("encode a pause, {}", place.name()), time, "ms", Target::None, what))
}
