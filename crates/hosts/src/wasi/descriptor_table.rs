//! The open descriptors by number, and beside them which numbers are taken and how many descriptors lead to each file: so
//! opening and closing cost the same however many are open.

use super::state::{Descriptor, DescriptorTarget, MAX_FDS};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Words of [`Descriptors::taken`].
const WORDS: usize = (MAX_FDS / u64::BITS) as usize;

/// All open descriptors. Saved as a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<u32, Descriptor>", into = "BTreeMap<u32, Descriptor>")]
pub(super) struct Descriptors {
    by_number: BTreeMap<u32, Descriptor>,
    /// A bit for each number that is taken.
    taken: [u64; WORDS],
    /// How many lead to each file or directory.
    opens: BTreeMap<u32, u32>,
}

impl Default for Descriptors {
    fn default() -> Self {
        Self { by_number: BTreeMap::new(), taken: [0; WORDS], opens: BTreeMap::new() }
    }
}

impl From<BTreeMap<u32, Descriptor>> for Descriptors {
    fn from(by_number: BTreeMap<u32, Descriptor>) -> Self {
        let mut descriptors = Self::default();
        by_number.into_iter().for_each(|(fd, descriptor)| descriptors.insert(fd, descriptor));
        descriptors
    }
}

impl From<Descriptors> for BTreeMap<u32, Descriptor> {
    fn from(descriptors: Descriptors) -> Self {
        descriptors.by_number
    }
}

impl Descriptors {
    /// The descriptor of this number.
    pub(super) fn get(&self, fd: u32) -> Option<&Descriptor> {
        self.by_number.get(&fd)
    }

    /// The descriptor of this number, to be changed but for what it leads to.
    pub(super) fn get_mut(&mut self, fd: u32) -> Option<&mut Descriptor> {
        self.by_number.get_mut(&fd)
    }

    /// All of them, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&u32, &Descriptor)> {
        self.by_number.iter()
    }

    /// Puts a descriptor in the place of what had its number.
    pub(super) fn insert(&mut self, fd: u32, descriptor: Descriptor) {
        self.remove(fd);
        self.by_number.insert(fd, descriptor);
        self.take_number(fd, true);
        if let DescriptorTarget::Node(node) = descriptor.target {
            let opens = self.opens.entry(node).or_default();
            *opens = opens.saturating_add(1);
        }
    }

    /// Takes a descriptor away.
    pub(super) fn remove(&mut self, fd: u32) -> Option<Descriptor> {
        let removed = self.by_number.remove(&fd)?;
        self.take_number(fd, false);
        if let DescriptorTarget::Node(node) = removed.target
            && let Some(opens) = self.opens.get_mut(&node)
        {
            *opens = opens.saturating_sub(1);
            if *opens == 0 {
                self.opens.remove(&node);
            }
        }
        Some(removed)
    }

    /// Whether a descriptor leads to a file or directory.
    pub(super) fn lead_to(&self, node: u32) -> bool {
        self.opens.contains_key(&node)
    }

    /// The files and directories that descriptors lead to.
    pub(super) fn nodes(&self) -> impl Iterator<Item = u32> {
        self.opens.keys().copied()
    }

    /// The lowest number that no descriptor has, below [`MAX_FDS`].
    pub(super) fn lowest_free(&self) -> Option<u32> {
        let (word, taken) = (0u32..).zip(&self.taken).find(|(_, taken)| **taken != u64::MAX)?;
        Some(word.saturating_mul(u64::BITS).saturating_add(taken.trailing_ones()))
    }

    fn take_number(&mut self, fd: u32, taken: bool) {
        let word = usize::try_from(fd / u64::BITS).ok().and_then(|word| self.taken.get_mut(word));
        let Some(word) = word else { return };
        let bit = 1u64.wrapping_shl(fd % u64::BITS);
        *word = if taken { *word | bit } else { *word & !bit };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasi::fs::FileSystem;

    #[test]
    fn the_lowest_free_number_and_what_is_open_are_known_however_many_are_open() {
        let (fs, _) = FileSystem::new([], &[], 1 << 20).unwrap();
        let to = |node| Descriptor::new(DescriptorTarget::Node(node), &fs, 0);
        let mut all = Descriptors::default();
        assert_eq!((all.lowest_free(), all.lead_to(7)), (Some(0), false));
        (0..MAX_FDS).for_each(|fd| all.insert(fd, to(fd % 2)));
        assert_eq!((all.lowest_free(), all.lead_to(1), all.lead_to(2)), (None, true, false));
        for fd in [4095, 64, 63] {
            all.remove(fd);
            assert_eq!(all.lowest_free(), Some(fd), "the lowest of those that are free");
        }
        assert_eq!(all.nodes().collect::<Vec<_>>(), [0, 1]);
        for fd in (1..MAX_FDS).step_by(2) {
            all.remove(fd);
        }
        assert_eq!((all.lead_to(0), all.lead_to(1), all.lowest_free()), (true, false, Some(1)));
        let map: BTreeMap<u32, Descriptor> = all.clone().into();
        assert_eq!(Descriptors::from(map), all);
    }
}
