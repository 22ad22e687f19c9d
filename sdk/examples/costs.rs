//! What it costs to have an instance: of modules that nobody has seen, with a cache, as a copy of another one, and by a
//! reset; and what the first call costs where nothing has been translated, and where it has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use node_sdk::{ModuleCache, Vm};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{:<16} {:>12} {:>12} {:>12} {:>12} {:>12} {:>12}",
        "", "unknown", "cached", "fork", "reset", "first", "later"
    );
    for name in ["rust_std", "sha256", "iostream_cpp", "go_hello"] {
        let path = format!("{}/../wasmfiles/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        let bytes: Arc<[u8]> = std::fs::read(path)?.into();
        let description =
            |cache: &Arc<ModuleCache>| Vm::builder().module(bytes.clone()).args(["10"]).cache(cache.clone());
        let unknown = least(|| description(&Arc::new(ModuleCache::new(1))).build().map(drop))?;
        let cache = Arc::new(ModuleCache::new(1));
        let mut vm = description(&cache).build()?;
        let cached = least(|| description(&cache).build().map(drop))?;
        let first = timed(|| call(&mut vm))?;
        let mut model = vm.fork();
        let fork = least(|| {
            drop(vm.fork());
            Ok(())
        })?;
        let later = timed(|| call(&mut model))?;
        let reset = timed(|| {
            model.reset();
            Ok(())
        })?;
        println!(
            "{name:<16} {unknown:>12.1?} {cached:>12.1?} {fork:>12.1?} {reset:>12.1?} {first:>12.1?} {later:>12.1?}"
        );
    }
    Ok(())
}

fn call(vm: &mut Vm) -> Result<(), node_sdk::Error> {
    match vm.run_func(None, "_start", &[]) {
        Ok(_) | Err(node_sdk::Error::Exit(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn timed(work: impl FnOnce() -> Result<(), node_sdk::Error>) -> Result<Duration, node_sdk::Error> {
    let began = Instant::now();
    work().map(|()| began.elapsed())
}

/// The least of a few times: others use the machine too.
fn least(mut work: impl FnMut() -> Result<(), node_sdk::Error>) -> Result<Duration, node_sdk::Error> {
    let mut least = Duration::MAX;
    for _ in 0..10 {
        least = least.min(timed(&mut work)?);
    }
    Ok(least)
}
