//! Bytes as the choices of wasm-smith, after a number that says with which gas the module's functions are called and gone on with: compiled code
//! and the interpreter come to the same state, wherever compiled code is left and entered.

use compiled_tests::host::engine;
use compiled_tests::oracle::Bounds;
use compiled_tests::subjects::{compare_exports, linked};
use stepmark_core::gas::Schedule;

use crate::engine_oracle::LIMITS;
use crate::generate::{Rng, chosen_module};

const BOUNDS: Bounds = Bounds { gas: 2_000, every: 8, random: 8, segments: 10, longest: 300 };
/// Choices of a module as large as a run can afford.
const MOST: usize = 4 << 10;

pub(super) fn compiled(data: &[u8]) {
    let Some((seed, choices)) = data.split_first_chunk() else { return };
    let (seed, choices) = (u64::from_le_bytes(*seed), choices.get(..MOST).unwrap_or(choices));
    let Some(module) = chosen_module(choices, seed) else { return };
    let compared = engine(false).and_then(|engine| {
        let subject = linked(&module, &Schedule::default(), LIMITS)?;
        subject.map_or(Ok(()), |subject| compare_exports(&engine, &subject, seed, BOUNDS).map(drop))
    });
    compared.unwrap_or_else(|error| panic!("{error:#}"));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let seed = |seed: u64| {
        let mut rng = Rng::new(seed);
        let choices = (0..100).flat_map(|_| rng.bits().to_le_bytes());
        seed.to_le_bytes().into_iter().chain(choices).collect()
    };
    (0..8).map(seed).collect()
}
