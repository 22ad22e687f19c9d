//! Modules of wasm-smith. Each feature of the language is on or off by the seed, so that there are modules with everything
//! and many that are small and simple.

use stepmark_core::module::{Features, Module};
use wasm_smith::{Config, MemoryOffsetChoices};

use super::Rng;

/// A module of wasm-smith: several functions, all of them exported, no imports. It may use all that the node knows except
/// relaxed SIMD, about which engines may differ.
pub fn smith_module(seed: u64, floats: bool) -> Option<Vec<u8>> {
    module(seed, floats, false)
}

/// As [`smith_module`], with floats and relaxed SIMD.
pub fn relaxed_smith_module(seed: u64) -> Option<Vec<u8>> {
    module(seed, true, true)
}

/// Attempts at a module with typed function references: wasm-smith has them only together with garbage collection, which
/// the node refuses.
const ATTEMPTS: u64 = 6;

fn module(seed: u64, floats: bool, relaxed: bool) -> Option<Vec<u8>> {
    let mut rng = Rng::new(seed);
    if !relaxed && rng.once_in(4) {
        return generate(&mut rng, simple(floats));
    }
    if rng.once_in(4) {
        for _ in 0..ATTEMPTS {
            let config = Config { gc_enabled: true, max_types: 3, ..rich(&mut rng, floats, relaxed) };
            let module = generate(&mut rng, config);
            let known = |bytes: &Vec<u8>| Module::parse(bytes.clone(), Features::default()).is_ok();
            if let Some(module) = module.filter(known) {
                return Some(module);
            }
        }
    }
    let config = rich(&mut rng, floats, relaxed);
    generate(&mut rng, config)
}

/// A module that these bytes choose, of the kind that the seed says: a fuzzer's choices instead of random ones.
pub fn chosen_module(choices: &[u8], seed: u64) -> Option<Vec<u8>> {
    let mut rng = Rng::new(seed);
    let config = if rng.once_in(4) { simple(true) } else { rich(&mut rng, true, false) };
    chosen(choices, config)
}

fn generate(rng: &mut Rng, config: Config) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = (0..1024).flat_map(|_| rng.bits().to_le_bytes()).collect();
    chosen(&bytes, config)
}

fn chosen(choices: &[u8], config: Config) -> Option<Vec<u8>> {
    let mut source = arbitrary::Unstructured::new(choices);
    let mut module = wasm_smith::Module::new(config, &mut source).ok()?;
    module.ensure_termination(2_000).ok()?;
    Some(module.to_bytes())
}

/// WebAssembly 2.0 without vectors, and tail calls.
fn simple(floats: bool) -> Config {
    Config {
        allow_floats: floats,
        allow_start_export: false,
        custom_descriptors_enabled: false,
        custom_page_sizes_enabled: false,
        exceptions_enabled: false,
        export_everything: true,
        extended_const_enabled: true,
        gc_enabled: false,
        generate_custom_sections: false,
        max_data_segments: 4,
        max_element_segments: 4,
        max_elements: 20,
        max_funcs: 8,
        max_globals: 8,
        max_imports: 0,
        max_instructions: 80,
        max_memories: 1,
        max_memory32_bytes: 4 << 16,
        max_memory64_bytes: 4 << 16,
        max_table_elements: 200,
        max_tables: 2,
        max_tags: 3,
        memory64_enabled: false,
        memory_max_size_required: true,
        memory_offset_choices: MemoryOffsetChoices(95, 4, 1),
        min_funcs: 3,
        min_globals: 1,
        min_memories: 1,
        min_tables: 1,
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        simd_enabled: false,
        table_max_size_required: true,
        tail_call_enabled: true,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

/// WebAssembly 3.0 without garbage collection, each feature by chance.
fn rich(rng: &mut Rng, floats: bool, relaxed: bool) -> Config {
    let exceptions = !rng.once_in(3);
    let memories = 1 + rng.below(3);
    Config {
        exceptions_enabled: exceptions,
        extended_const_enabled: !rng.once_in(3),
        max_funcs: 3 + rng.below(7),
        max_instructions: [30, 80, 150][rng.below(3)],
        max_memories: memories,
        max_tables: 1 + rng.below(3),
        memory64_enabled: rng.once_in(2),
        min_memories: 1 + u32::from(memories > 1 && rng.once_in(3)),
        min_tags: usize::from(exceptions),
        multi_value_enabled: !rng.once_in(8),
        relaxed_simd_enabled: relaxed,
        simd_enabled: relaxed || !rng.once_in(3),
        ..simple(floats)
    }
}
