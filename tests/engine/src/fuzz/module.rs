//! Bytes as a module: it is refused or accepted, all functions of an accepted one are translated, and both engines run it
//! alike for a little.

use crate::generate::program::random_program;
use crate::generate::{Rng, relaxed_smith_module, smith_module};
use crate::mutate::module::{Figures, judge};

pub(super) fn module(data: &[u8]) {
    let mut rng = Rng::new(data.len() as u64);
    judge(data, &mut rng, &mut Figures::default()).unwrap_or_else(|error| panic!("{error:#}"));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let ours = (0..3).filter_map(|seed| wat::parse_str(random_program(seed)).ok());
    let smith = (0..6).filter_map(|seed| smith_module(seed, true));
    ours.chain(smith).chain((0..3).filter_map(relaxed_smith_module)).collect()
}
