//! Changes of modules by wasm-mutate, which knows the format. The fuzz targets are built without it, and change nothing here.

use crate::generate::Rng;
#[cfg(feature = "wasm-mutate")]
use crate::panic_guard::caught;

#[cfg(not(feature = "wasm-mutate"))]
pub(super) fn wasm_mutate(_: &[u8], _: &mut Rng) -> Option<Vec<u8>> {
    None
}

/// A change that knows the format; none if wasm-mutate finds no place for it, or gives up.
#[cfg(feature = "wasm-mutate")]
pub(super) fn wasm_mutate(bytes: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut mutate = || {
        let mut mutate = wasm_mutate::WasmMutate::default();
        mutate.seed(rng.bits()).fuel(200);
        let mut changed = mutate.run(bytes).ok()?;
        changed.next()?.ok()
    };
    // It is not the one that is tested: it gives up by a panic on some modules.
    caught(|| Ok(mutate())).ok().flatten()
}
