//! What is known of functions, by their store addresses: found with one access, however many functions take turns.

/// Things by store address, of which some are there.
#[derive(Clone, Debug)]
pub(crate) struct ByFunc<T>(Vec<Option<T>>);

impl<T> ByFunc<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn get(&self, func: u32) -> Option<&T> {
        self.0.get(func as usize)?.as_ref()
    }

    pub(crate) fn insert(&mut self, func: u32, thing: T) {
        let place = func as usize;
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place] = Some(thing);
    }

    /// Forgets all but the first so many functions.
    pub(crate) fn truncate(&mut self, funcs: usize) {
        self.0.truncate(funcs);
    }

    /// All that are there, by ascending address.
    #[cfg(test)]
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}
