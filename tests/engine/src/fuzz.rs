//! Oracles of the fuzz targets in `fuzz/`: each takes any bytes and panics where what it promises does not hold. Inputs that
//! are kept are lines of hexadecimal digits in `fuzz/corpus`; a test replays them on a stable compiler, and changes them.

mod bin;
mod calls;
mod frames;
mod module;
mod run;
mod rwset;
mod schedule;
mod snap;
mod wasi;
mod witness;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};

use crate::generate::Rng;

/// Something to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of the binary too.
    pub name: &'static str,
    /// Panics where an input shows that something is wrong.
    pub oracle: fn(&[u8]),
    /// Inputs to begin with, made from programs.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// The targets that need nothing but the node's library.
pub const TARGETS: [Target; 10] = [
    Target { name: "module", oracle: module::module, seeds: module::seeds },
    Target { name: "run", oracle: run::run, seeds: run::seeds },
    Target { name: "snap", oracle: snap::snap, seeds: snap::seeds },
    Target { name: "frames", oracle: frames::frames, seeds: frames::seeds },
    Target { name: "bin", oracle: bin::bin, seeds: bin::seeds },
    Target { name: "witness", oracle: witness::witness, seeds: witness::seeds },
    Target { name: "calls", oracle: calls::calls, seeds: calls::seeds },
    Target { name: "rwset", oracle: rwset::rwset, seeds: rwset::seeds },
    Target { name: "schedule", oracle: schedule::schedule, seeds: schedule::seeds },
    Target { name: "wasi", oracle: wasi::wasi, seeds: wasi::seeds },
];

/// Runs the oracle of one of these targets.
///
/// # Panics
/// If there is none of this name, or the oracle finds something.
pub fn check(targets: &[Target], name: &str, data: &[u8]) {
    let target = targets.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target {name}"));
    (target.oracle)(data);
}

/// Where the inputs of a target are kept.
pub fn corpus_path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "fuzz", "corpus", &format!("{name}.hex")].iter().collect()
}

/// The inputs of a target that are kept: none if there is no file of them.
///
/// # Errors
/// A line that is not made of hexadecimal digits.
pub fn corpus(name: &str) -> Result<Vec<Vec<u8>>> {
    let path = corpus_path(name);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(|| path.display().to_string())?,
    };
    let lines = text.lines().enumerate();
    lines.map(|(at, line)| parse_hex(line).with_context(|| format!("{}: line {}", path.display(), at + 1))).collect()
}

/// The bytes that a line of `fuzz/corpus` stands for.
///
/// # Errors
/// Where it is no hexadecimal digit.
pub fn parse_hex(line: &str) -> Result<Vec<u8>> {
    let byte = |at: usize| {
        let pair = line.get(at..at + 2).ok_or_else(|| anyhow!("byte {at} stands alone"))?;
        u8::from_str_radix(pair, 16).with_context(|| format!("{pair:?} at {at}"))
    };
    (0..line.len()).step_by(2).map(byte).collect()
}

/// The line of `fuzz/corpus` that stands for these bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One to four changes of an input that know nothing of what it means: what a fuzzer does without coverage.
pub fn changed(mut input: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    for _ in 0..=rng.below(4) {
        let at = rng.below(input.len() + 1);
        match (rng.below(6), input.get_mut(at)) {
            (0, _) => input.insert(at, rng.bits() as u8),
            (1, Some(_)) => drop(input.remove(at)),
            (2, Some(_)) => drop(input.drain(at..(at + 1 + rng.below(9)).min(input.len()))),
            (3, Some(byte)) => *byte = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
            (_, Some(byte)) => *byte ^= 1 << rng.below(8),
            (_, None) => input.push(rng.bits() as u8),
        }
    }
    input
}
