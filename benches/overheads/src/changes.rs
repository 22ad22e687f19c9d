//! Snapshots of a memory of 1 GiB of which few pages change: what they cost follows the changes, not the memory. And the
//! witness of a segment that touches 1 MiB of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stepmark_runner::node::engine::{Budget, Event};

use crate::Bench;
use crate::figures::{Figure, Target, middle, timed};
use crate::node::{Files, Place, load, take};

/// Writes to so many pages, a stride apart, round after round.
const PROGRAM: &str = r#"(module (memory 16384)
    (func (export "touch") (param $pages i32) (param $stride i32) (param $rounds i32) (local $left i32) (local $at i32)
        (loop $round
            (local.set $left (local.get $pages))
            (local.set $at (i32.const 0))
            (loop $page
                (i32.store (local.get $at) (local.get $rounds))
                (local.set $at (i32.add (local.get $at) (local.get $stride)))
                (br_if $page (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (br_if $round (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))))"#;
const MEMORY: u64 = 1 << 30;
const PAGE: u64 = 4096;
/// Gas left out before the limit, so that the time of a snapshot contains next to no running.
const LAST: u64 = 5;
/// Snapshots of a run; the first one, which allocates, does not count.
const SNAPSHOTS: usize = 6;

/// Gas of a round.
fn round(pages: u64) -> u64 {
    12 * pages + 9
}

/// Where the pages are that change.
#[derive(Clone, Copy)]
enum Layout {
    /// Over all of the memory: every page has a path of its own for half of the tree.
    Apart,
    /// Beside each other.
    Together,
}

/// Bytes between pages.
fn stride(pages: u64, layout: Layout) -> u64 {
    match layout {
        Layout::Apart => MEMORY / pages / PAGE * PAGE % MEMORY,
        Layout::Together => PAGE,
    }
}

pub fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let program = wat::parse_str(PROGRAM)?;
    let mut figures = Vec::new();
    for place in &bench.places {
        for pages in [1, 100, 500, 10_000] {
            figures.extend(snapshots(place, &program, pages, Layout::Apart)?);
        }
        figures.extend(snapshots(place, &program, 500, Layout::Together)?);
    }
    figures.extend(witness(bench, &program)?);
    Ok(figures)
}

fn snapshots(place: &Place, program: &[u8], pages: u64, layout: Layout) -> Result<Vec<Figure>> {
    let (limit, rounds) = (round(pages).to_string(), (SNAPSHOTS + 1).to_string());
    let (count, apart) = (pages.to_string(), stride(pages, layout).to_string());
    let argv = ["--gas-limit", &limit, "--enable-gas-refill", "touch.wasm", "touch", &count, &apart, &rounds];
    let files = Files::from([("touch.wasm".to_owned(), program.to_vec())]);
    let mut node = place.node()?;
    load(node.as_mut(), &argv, &files)?;
    let (mut times, mut bytes) = (Vec::new(), 0);
    for id in 1..=SNAPSHOTS {
        let event = node.run(Budget { gas: round(pages) - LAST, steps: u64::MAX })?;
        ensure!(event == Event::Paused, "{event:?} instead of a pause");
        let (taken, time) = timed(|| {
            let event = node.run(Budget::UNLIMITED)?;
            ensure!(matches!(event, Event::Snapshot(_)), "{event:?} instead of a snapshot");
            take(node.as_mut())
        })?;
        bytes = taken.get(&format!("{id}.bin")).context("no .bin")?.len() as u64;
        if id > 1 {
            times.push(time);
        }
    }
    let time = middle(times);
    let is_native = place.name() == "native";
    let lie = match layout {
        Layout::Apart => "far apart",
        Layout::Together => "side by side",
    };
    let what = format!("{:.2} us a page, {lie}", micros(time) / pages as f64);
    // 10 snapshots a second of 500 pages may take 5 % of the time; beyond that 10 us a page.
    let target = match pages {
        _ if !is_native => Target::None,
        500 => Target::AtMost(5_000.0),
        10_000 => Target::AtMost(100_000.0),
        _ => Target::None,
    };
    let name = format!("snapshot, {pages} of 262,144 pages, {}", place.name());
    let per_page = (bytes as f64 - 4096.0) / pages as f64;
    let size = format!("{bytes} bytes, of which 4 KiB are not counted");
    let bin =
        Figure::new(format!("its .bin, a page, {}", place.name()), per_page, "bytes", Target::AtMost(4160.0), size);
    Ok(vec![Figure::new(name, micros(time), "us", target, what), bin])
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The witness of a segment that touches 256 pages, made and checked by the host runner.
fn witness(bench: &Bench, program: &[u8]) -> Result<Vec<Figure>> {
    let pages = 256;
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("touch.wasm"), program)?;
    let (limit, count, apart) = (round(pages).to_string(), pages.to_string(), stride(pages, Layout::Apart).to_string());
    let runner = |line: &[&str]| -> Result<String> {
        let ran = Command::new(&bench.runner).args(line).current_dir(dir.path()).stderr(Stdio::inherit()).output();
        let ran = ran.with_context(|| bench.runner.display().to_string())?;
        ensure!(ran.status.success(), "stepmark {line:?}: {}", ran.status);
        Ok(String::from_utf8(ran.stdout)?)
    };
    let line = ["-q", "--engine", "native", "--gas-limit", &limit, "--enable-gas-refill", "--snapshot-output", "out"];
    runner(&[&line[..], &["touch.wasm", "touch", &count, &apart, "4"]].concat())?;
    let made: serde_json::Value =
        serde_json::from_str(&runner(&["witness", "out@1", "touch.wasm", "-o", "w", "--json"])?)?;
    let bytes = made["bytes"].as_f64().context("no size")?;
    let rate = made["gas"].as_f64().context("no gas")? / made["time_ns"].as_f64().context("no time")? * 1e3;
    let baseline = peak(&bench.runner, dir.path(), &["--version"])?;
    let check = ["check-witness", "w", "touch.wasm", "--expect", "out/2.snap"];
    let checked = peak(&bench.runner, dir.path(), &check)?;
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let what = "256 pages of 4 KiB of a memory of 1 GiB, far apart".to_owned();
    Ok(vec![
        Figure::new("a witness of 1 MiB touched", mib(bytes), "MiB", Target::AtMost(1.25), what.clone()),
        Figure::new(
            "memory to check it",
            mib(checked - baseline),
            "MiB",
            Target::AtMost(16.0),
            format!("beyond --version, code that runs included; {what}"),
        ),
        Figure::new("making it, with two restores", rate, "M/s", Target::None, "gas of the segment".to_owned()),
    ])
}

/// The greatest resident size of a run of the host runner, in bytes.
fn peak(runner: &Path, dir: &Path, line: &[&str]) -> Result<f64> {
    let mut child = Command::new(runner).args(line).current_dir(dir).stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0.0f64;
    while child.try_wait()?.is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        most = most.max(kib.unwrap_or(0.0) * 1024.0);
        std::thread::sleep(Duration::from_micros(100));
    }
    ensure!(child.wait()?.success(), "stepmark {line:?} failed");
    Ok(most)
}
