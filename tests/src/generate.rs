//! Random modules that run: from wasm-smith, for breadth, and from a generator of our own ([`program`]), whose programs
//! loop, call, branch with values and touch memory for long before they trap. A seed gives the same module everywhere.

pub mod program;
mod schedule;

pub use schedule::random_schedule;

use guest_interp::module::{FuncType, ValType};

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

/// A module of wasm-smith: several functions, all of them exported, no imports, no SIMD.
pub fn smith_module(seed: u64, floats: bool) -> Option<Vec<u8>> {
    let mut rng = Rng::new(seed);
    let bytes: Vec<u8> = (0..1024).flat_map(|_| rng.bits().to_le_bytes()).collect();
    let mut source = arbitrary::Unstructured::new(&bytes);
    let config = wasm_smith::Config {
        allow_floats: floats,
        allow_start_export: false,
        exceptions_enabled: false,
        export_everything: true,
        gc_enabled: false,
        generate_custom_sections: false,
        max_data_segments: 4,
        max_element_segments: 4,
        max_elements: 20,
        max_funcs: 8,
        max_globals: 8,
        max_imports: 0,
        max_instructions: 80,
        max_memory32_bytes: 4 << 16,
        max_memories: 1,
        max_table_elements: 200,
        max_tables: 2,
        memory64_enabled: false,
        memory_max_size_required: true,
        memory_offset_choices: wasm_smith::MemoryOffsetChoices(95, 4, 1),
        min_funcs: 3,
        min_globals: 1,
        min_memories: 1,
        min_tables: 1,
        relaxed_simd_enabled: false,
        simd_enabled: false,
        table_max_size_required: true,
        tail_call_enabled: true,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    };
    let mut module = wasm_smith::Module::new(config, &mut source).ok()?;
    module.ensure_termination(2_000).ok()?;
    Some(module.to_bytes())
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
