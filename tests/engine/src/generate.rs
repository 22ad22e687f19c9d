//! Random modules that run: from wasm-smith, for breadth, and from a generator of our own ([`program`]), whose programs
//! loop, call, branch with values and touch memory for long before they trap; several such that are linked ([`linked`]). A
//! seed gives the same module everywhere.

pub mod linked;
pub mod program;
mod schedule;
mod smith;

pub use schedule::random_schedule;
pub use smith::{chosen_module, relaxed_smith_module, smith_module};

use stepmark_core::module::{FuncType, ValType};

/// A small generator of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635_dcd1_a5a5)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// True once in `of` times.
    pub fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// One of them.
    pub fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// Random arguments, many of them at the edges; references are null.
pub fn random_args(rng: &mut Rng, ty: &FuncType) -> Vec<u64> {
    ty.params.iter().flat_map(|ty| (0..ty.slots()).map(|_| random_value(rng, *ty)).collect::<Vec<_>>()).collect()
}

fn random_value(rng: &mut Rng, ty: ValType) -> u64 {
    const EDGES: [u64; 8] = [0, 1, 2, 5, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX];
    const FLOATS: [f64; 8] = [0.0, -0.0, 1.0, -2.5, 1e9, f64::INFINITY, f64::NAN, 4e-320];
    let bits = if rng.once_in(3) { rng.bits() } else { EDGES[rng.below(EDGES.len())] };
    match ty {
        ValType::I32 => bits & 0xffff_ffff,
        ValType::I64 | ValType::V128 => bits,
        ValType::F32 => u64::from((FLOATS[rng.below(8)] as f32).to_bits()),
        ValType::F64 => FLOATS[rng.below(8)].to_bits(),
        ValType::Ref(_) => 0,
    }
}
