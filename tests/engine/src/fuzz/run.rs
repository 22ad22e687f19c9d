//! Bytes as the choices of wasm-smith, which make a valid module: under every budget both engines come to the same state.

use stepmark_core::gas::Schedule;

use crate::engine_oracle::{Bounds, engines_agree};
use crate::generate::{Rng, chosen_module, random_schedule};
use stepmark_core::machine::TierKind;

const BOUNDS: Bounds = Bounds { tier: TierKind::Register, gas: 2_000, steps: 2_000, stops: 40, calls: 1 };
/// Choices of a module as large as a run can afford.
const MOST: usize = 4 << 10;

pub(super) fn run(data: &[u8]) {
    let Some((kind, choices)) = data.split_first() else { return };
    let choices = choices.get(..MOST).unwrap_or(choices);
    let seed = u64::from(*kind);
    let schedule = match kind % 3 {
        0 => Schedule::default(),
        1 => Schedule::seed_ordinal(),
        _ => random_schedule(seed),
    };
    let Some(module) = chosen_module(choices, seed) else { return };
    engines_agree(&module, &schedule, seed, BOUNDS).unwrap_or_else(|error| panic!("{error:#}"));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    (0..12_u64)
        .map(|seed| {
            let mut rng = Rng::new(seed);
            let choices = (0..100).flat_map(|_| rng.bits().to_le_bytes());
            std::iter::once(seed as u8).chain(choices).collect()
        })
        .collect()
}
