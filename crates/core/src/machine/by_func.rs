//! What is known of functions, by their store addresses, or of instances by their numbers: found with one access, however
//! many take turns.

/// Things by store address, of which some are there.
#[derive(Clone, Debug)]
pub(crate) struct ByFunc<T>(Vec<Option<T>>);

impl<T> Default for ByFunc<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ByFunc<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn get(&self, func: u32) -> Option<&T> {
        self.0.get(func as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, func: u32) -> Option<&mut T> {
        self.0.get_mut(func as usize)?.as_mut()
    }

    /// All that are there, with their addresses.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.0.iter_mut().enumerate().filter_map(|(func, thing)| Some((func, thing.as_mut()?)))
    }

    pub(crate) fn insert(&mut self, func: u32, thing: T) {
        let place = func as usize;
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place] = Some(thing);
    }

    pub(crate) fn remove(&mut self, func: u32) {
        if let Some(place) = self.0.get_mut(func as usize) {
            *place = None;
        }
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
