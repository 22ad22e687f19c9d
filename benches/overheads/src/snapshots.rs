//! Writing snapshots of which every page has changed, and restoring a chain of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stepmark_runner::node::engine::{Budget, Event, ModuleSession};

use crate::Bench;
use crate::figures::{Figure, Target, middle, rate, timed};
use crate::node::{Files, Place, give, load, load_until, take};

/// Writes another value to every line of its memory, round after round.
const PROGRAM: &str = r#"(module (memory 1024)
    (func (export "fill") (param $rounds i32) (local $at i32)
        (loop $round
            (local.set $at (i32.const 0))
            (loop $line
                (i32.store (local.get $at) (i32.add (local.get $at) (local.get $rounds)))
                (br_if $line (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64))) (i32.const 0x4000000))))
            (br_if $round (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))))"#;
const MEMORY: usize = 64 << 20;
/// Instructions of a round that cost gas.
const ROUND: u64 = (MEMORY as u64 / 64) * 12 + 7;
/// Snapshots of a chain: each has all pages.
const SNAPSHOTS: usize = 3;
/// Gas left out before the limit, so that the time of a snapshot contains next to no running.
const LAST: u64 = 100;

pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let program = wat::parse_str(PROGRAM)?;
    let mut figures = Vec::new();
    for place in &bench.places {
        let is_native = place.name() == "native";
        let (mut writing, mut restoring) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for _ in 0..bench.rounds.min(3) {
            let files = write(place, &program, &mut writing)?;
            bytes = files.iter().filter(|(name, _)| name.ends_with(".bin")).map(|(_, file)| file.len()).sum();
            restoring.push(restore(place, &files)?);
        }
        let target = |least| if is_native { Target::AtLeast(least) } else { Target::None };
        let speed = rate(MEMORY, middle(writing));
        let what = format!("{MEMORY} bytes of changed pages");
        figures.push(Figure::new(format!("write a snapshot, {}", place.name()), speed, "MB/s", target(500.0), what));
        let speed = rate(bytes, middle(restoring));
        let what = format!("{SNAPSHOTS} .bin of {bytes} bytes together");
        figures.push(Figure::new(format!("restore a chain, {}", place.name()), speed, "MB/s", target(1000.0), what));
    }
    Ok(figures)
}

/// Runs until the chain is complete; adds the time of each snapshot.
fn write(place: &Place, program: &[u8], times: &mut Vec<Duration>) -> Result<Files> {
    let (limit, rounds) = (ROUND.to_string(), (SNAPSHOTS + 1).to_string());
    let argv = ["--gas-limit", &limit, "--enable-gas-refill", "fill.wasm", "fill", &rounds];
    let mut files = Files::from([("fill.wasm".to_owned(), program.to_vec())]);
    let mut node = place.node()?;
    load(node.as_mut(), &argv, &files)?;
    for id in 1..=SNAPSHOTS {
        let event = node.run(Budget { gas: ROUND - LAST, steps: u64::MAX })?;
        ensure!(event == Event::Paused, "{event:?} instead of a pause");
        let (taken, time) = timed(|| snapshot(node.as_mut()))?;
        times.push(time);
        let bin = taken.get(&format!("{id}.bin")).context("no .bin")?;
        ensure!(bin.len() > MEMORY, "{} bytes: not every page has changed", bin.len());
        files.extend(taken.into_iter().map(|(name, file)| (format!("in/{name}"), file)));
    }
    Ok(files)
}

/// From the first dirty page that is looked at to the last byte of the files.
fn snapshot(node: &mut dyn ModuleSession) -> Result<Files> {
    let event = node.run(Budget::UNLIMITED)?;
    ensure!(matches!(event, Event::Snapshot(_)), "{event:?} instead of a snapshot");
    take(node)
}

/// From the first byte of the first `.bin` to a state whose roots have been compared.
fn restore(place: &Place, files: &Files) -> Result<Duration> {
    let id = SNAPSHOTS.to_string();
    let mut node = place.node()?;
    let argv = ["--snapshot-input", "in", "--snapshot-id", &id, "fill.wasm"];
    load_until(node.as_mut(), &argv, files, |path| path.ends_with(".bin"))?;
    Ok(timed(|| give(node.as_mut(), files, |_| false))?.1)
}
