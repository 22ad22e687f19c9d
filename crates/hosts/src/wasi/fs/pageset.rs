//! A set of page numbers in which the next member from anywhere on is found in a few steps, however far it is: a bit for each
//! page, and above each level a bit for each word of it that is not zero.

/// Bits in a word, and log2 of that.
const BITS: usize = u64::BITS as usize;
const SHIFT: u32 = u64::BITS.trailing_zeros();

/// Numbers of pages.
#[derive(Clone, Debug, Default)]
pub(super) struct PageSet {
    /// The pages first.
    levels: Vec<Vec<u64>>,
}

impl PageSet {
    /// All numbers below `count`.
    pub(super) fn below(count: usize) -> Self {
        let mut set = Self::default();
        (0..count).for_each(|page| set.insert(page));
        set
    }

    /// Adds a number.
    pub(super) fn insert(&mut self, page: usize) {
        let (mut index, mut level) = (page, 0usize);
        loop {
            let (word, bit) = (index >> SHIFT, index % BITS);
            if self.levels.len() <= level {
                // What the level below has is known in its first word.
                let any = level.checked_sub(1).and_then(|below| self.levels.get(below)).and_then(|below| below.first());
                self.levels.push(vec![u64::from(any.is_some_and(|first| *first != 0))]);
            }
            let Some(words) = self.levels.get_mut(level) else { return };
            if words.len() <= word {
                words.resize(word.saturating_add(1), 0);
            }
            let has_one_word = words.len() == 1;
            if let Some(place) = words.get_mut(word) {
                *place |= 1u64.wrapping_shl(u32::try_from(bit).unwrap_or_default());
            }
            if has_one_word {
                return;
            }
            (index, level) = (word, level.saturating_add(1));
        }
    }

    /// Takes a number away.
    pub(super) fn remove(&mut self, page: usize) {
        let mut index = page;
        for words in &mut self.levels {
            let Some(place) = words.get_mut(index >> SHIFT) else { return };
            *place &= !1u64.wrapping_shl(u32::try_from(index % BITS).unwrap_or_default());
            if *place != 0 {
                return;
            }
            index >>= SHIFT;
        }
    }

    /// The least number from `page` on.
    pub(super) fn next(&self, page: usize) -> Option<usize> {
        // Up, to where there is something at or after the place; then down to its first.
        let mut from = page;
        for (level, words) in self.levels.iter().enumerate() {
            let word = from >> SHIFT;
            let mask = u64::MAX.wrapping_shl(u32::try_from(from % BITS).unwrap_or_default());
            let here = words.get(word).copied().unwrap_or_default() & mask;
            if here != 0 {
                return Some(self.first_below(level, Self::member(word, here)));
            }
            from = word.saturating_add(1);
        }
        None
    }

    /// The first page of the word of the level below that this is the number of, and so on.
    fn first_below(&self, level: usize, mut index: usize) -> usize {
        for words in self.levels.iter().take(level).rev() {
            index = Self::member(index, words.get(index).copied().unwrap_or_default());
        }
        index
    }

    /// The number of a word's first bit.
    fn member(word: usize, bits: u64) -> usize {
        word.saturating_mul(BITS).saturating_add(usize::try_from(bits.trailing_zeros()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_holds_what_a_set_holds(steps in prop::collection::vec((0usize..300_000, any::<bool>()), 0..300)) {
            let (mut pages, mut set) = (PageSet::default(), BTreeSet::new());
            for (page, add) in steps {
                if add {
                    pages.insert(page);
                    set.insert(page);
                } else if let Some(next) = set.range(page..).next().copied() {
                    pages.remove(next);
                    set.remove(&next);
                }
                for from in [0, page / 2, page, page + 1] {
                    prop_assert_eq!(pages.next(from), set.range(from..).next().copied());
                }
            }
        }
    }

    #[test]
    fn the_first_numbers_are_all_there() {
        let pages = PageSet::below(5000);
        assert!((0..5000).all(|page| pages.next(page) == Some(page)));
        assert_eq!(pages.next(5000), None);
    }
}
