//! A list in order that is quick to change anywhere, in little code: chunks of bounded length. It stands where a map from the
//! standard library would, each of which adds many kilobytes to the node.

/// Items in a chunk at most.
const CHUNK: usize = 512;

/// Items in an order that its user keeps: a place is named by what comes before it.
#[derive(Clone, Debug)]
pub(super) struct Sorted<T> {
    /// None of them is empty.
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Sorted<T> {
    /// The place of the first item that is not `before`: its chunk, and its index there.
    fn place(&self, before: &dyn Fn(&T) -> bool) -> (usize, usize) {
        let chunk = first_not(&self.chunks, |chunk| chunk.last().is_some_and(before));
        (chunk, self.chunks.get(chunk).map_or(0, |chunk| first_not(chunk, before)))
    }

    /// The first item that is not `before`.
    pub(super) fn get(&self, before: &dyn Fn(&T) -> bool) -> Option<&T> {
        let (chunk, index) = self.place(before);
        self.chunks.get(chunk)?.get(index)
    }

    /// The first item that is not before, to be changed but for its order.
    pub(super) fn get_mut(&mut self, before: &dyn Fn(&T) -> bool) -> Option<&mut T> {
        let (chunk, index) = self.place(before);
        self.chunks.get_mut(chunk)?.get_mut(index)
    }

    /// Puts an item after all that are `before`.
    pub(super) fn insert(&mut self, before: &dyn Fn(&T) -> bool, item: T) {
        let (mut chunk, mut index) = self.place(before);
        if chunk == self.chunks.len() {
            match self.chunks.last() {
                // What comes after everything else fills the last chunk.
                Some(last) if last.len() < CHUNK => (chunk, index) = (chunk.saturating_sub(1), last.len()),
                _ => self.chunks.push(Vec::new()),
            }
        }
        let Some(items) = self.chunks.get_mut(chunk) else { return };
        items.insert(index, item);
        if items.len() > CHUNK {
            let rest = items.split_off(CHUNK / 2);
            self.chunks.insert(chunk.saturating_add(1), rest);
        }
    }

    /// Takes the first item away that is not `before`.
    pub(super) fn remove(&mut self, before: &dyn Fn(&T) -> bool) -> Option<T> {
        let (chunk, index) = self.place(before);
        let items = self.chunks.get_mut(chunk).filter(|items| index < items.len())?;
        let item = items.remove(index);
        if items.is_empty() {
            self.chunks.remove(chunk);
        }
        Some(item)
    }

    /// All items from the first one on that is not `before`.
    pub(super) fn from(&self, before: &dyn Fn(&T) -> bool) -> impl Iterator<Item = &T> + use<'_, T> {
        let (chunk, index) = self.place(before);
        self.chunks.iter().skip(chunk).flatten().skip(index)
    }

    /// All items.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

/// What `partition_point` finds, in a loop that stays one where code is made small: every name that a program gives is looked up.
#[inline(always)]
fn first_not<T>(items: &[T], before: impl Fn(&T) -> bool) -> usize {
    let (mut low, mut high) = (0, items.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if items.get(middle).is_some_and(&before) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_holds_what_a_set_holds(steps in prop::collection::vec((0u32..3000, 0u8..4), 0..4000)) {
            let (mut sorted, mut set) = (Sorted::default(), BTreeSet::new());
            for (value, step) in steps {
                let before = move |item: &u32| *item < value;
                let found = sorted.get(&before).copied();
                prop_assert_eq!(found, set.range(value..).next().copied());
                if step > 0 && found != Some(value) {
                    sorted.insert(&before, value);
                    set.insert(value);
                } else if step == 0 {
                    prop_assert_eq!(sorted.remove(&before), found);
                    found.map(|found| set.remove(&found));
                }
                prop_assert!(sorted.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
            }
            prop_assert!(sorted.iter().eq(&set));
            prop_assert!(sorted.from(&|item| *item < 1500).eq(set.range(1500..)));
            prop_assert_eq!(sorted.is_empty(), set.is_empty());
        }
    }
}
