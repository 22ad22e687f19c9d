//! Modules that have been parsed and validated before, by the hash of their bytes and the features that they were
//! validated under. Shared by any number of descriptions and threads; the one that was used longest ago goes first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepmark_core::module::{Features, Module, Modules};
use stepmark_state::error::JobError;

/// BLAKE3 of the bytes, and the features that are on or off.
type CacheKey = ([u8; 32], Vec<(String, bool)>);

/// Parsed modules: see [`VmBuilder::cache`](crate::VmBuilder::cache). What translation makes of a module depends on
/// what it is linked with, so that is not kept here but by each [`Vm`](crate::Vm), whose resets and forks keep it.
///
/// ```
/// use std::sync::Arc;
/// use node_sdk::{ModuleCache, Vm};
///
/// let wasm = wat::parse_str("(module)").unwrap();
/// let cache = Arc::new(ModuleCache::new(8));
/// for _ in 0..3 {
///     Vm::builder().module(wasm.clone()).cache(cache.clone()).build()?;
/// }
/// assert_eq!((cache.len(), cache.hits(), cache.misses()), (1, 2, 1));
/// # Ok::<(), node_sdk::Error>(())
/// ```
#[derive(Debug)]
pub struct ModuleCache {
    most: usize,
    modules: Mutex<CachedModule>,
}

#[derive(Debug, Default)]
struct CachedModule {
    modules: BTreeMap<CacheKey, (u64, Arc<Module>)>,
    /// Counts uses: the least recently used module has the least number.
    clock: u64,
    hits: u64,
    misses: u64,
}

impl ModuleCache {
    /// A cache that keeps at most so many modules.
    pub fn new(most: usize) -> Self {
        Self { most, modules: Mutex::default() }
    }

    /// Modules that are kept.
    pub fn len(&self) -> usize {
        self.known().modules.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a module was there.
    pub fn hits(&self) -> u64 {
        self.known().hits
    }

    /// How often a module had to be parsed.
    pub fn misses(&self) -> u64 {
        self.known().misses
    }

    /// Forgets all modules.
    pub fn clear(&self) {
        self.known().modules.clear();
    }

    fn known(&self) -> MutexGuard<'_, CachedModule> {
        // A panic elsewhere leaves nothing half done here.
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedModule {
    fn find(&mut self, key: &CacheKey) -> Option<Arc<Module>> {
        self.clock = self.clock.saturating_add(1);
        let clock = self.clock;
        let (used, module) = self.modules.get_mut(key)?;
        *used = clock;
        self.hits = self.hits.saturating_add(1);
        Some(module.clone())
    }

    fn add(&mut self, key: CacheKey, module: &Arc<Module>, most: usize) {
        self.misses = self.misses.saturating_add(1);
        if most == 0 {
            return;
        }
        while self.modules.len() >= most && !self.modules.contains_key(&key) {
            let oldest = self.modules.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.modules.remove(&oldest);
        }
        self.modules.insert(key, (self.clock, module.clone()));
    }
}

impl Modules for ModuleCache {
    fn module(&self, bytes: Vec<u8>, features: Features) -> Result<Arc<Module>, JobError> {
        let key = (*blake3::hash(&bytes).as_bytes(), features.list());
        if let Some(module) = self.known().find(&key) {
            return Ok(module);
        }
        // Not under the lock: two threads may parse the same module once each.
        let module = Arc::new(Module::parse(bytes, features)?);
        self.known().add(key, &module, self.most);
        Ok(module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wasm(number: u32) -> Vec<u8> {
        wat::parse_str(format!(r#"(module (func (export "f{number}")))"#)).unwrap()
    }

    #[test]
    fn the_module_that_was_used_longest_ago_goes_first() {
        let cache = ModuleCache::new(2);
        let use_it = |number| cache.module(wasm(number), Features::default()).map(drop).unwrap();
        [1, 2, 1, 3].into_iter().for_each(use_it);
        assert_eq!((cache.len(), cache.hits(), cache.misses()), (2, 1, 3));
        use_it(1);
        assert_eq!(cache.hits(), 2, "module 1 was used after module 2");
        use_it(2);
        assert_eq!(cache.misses(), 4, "module 2 was dropped for module 3");
    }

    #[test]
    fn other_features_make_another_module() {
        let cache = ModuleCache::new(8);
        let mut features = Features::default();
        features.set("simd", false).unwrap();
        assert!(cache.module(wasm(1), Features::default()).is_ok());
        assert!(cache.module(wasm(1), features).is_ok());
        assert_eq!((cache.len(), cache.misses()), (2, 2));
    }

    #[test]
    fn a_cache_of_no_room_and_bad_modules_keep_nothing() {
        let cache = ModuleCache::new(0);
        assert!(cache.module(wasm(1), Features::default()).is_ok());
        assert!(cache.module(b"nothing".to_vec(), Features::default()).is_err());
        assert!(cache.is_empty());
    }
}
