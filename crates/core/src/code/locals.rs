//! Where a function's locals lie in its frame: one slot each, vectors two.

use crate::module::{SlotKind, ValType};

/// Locals of one kind that follow each other.
#[derive(Clone, Copy, Debug)]
struct LocalRun {
    /// Index of the first local.
    first: u32,
    /// Its slot.
    slot: u32,
    kind: SlotKind,
}

/// The locals of a function, parameters first.
#[derive(Clone, Debug)]
pub(crate) struct Locals {
    /// By ascending index. A function can have tens of thousands of locals, but its bytes bound how often their kind changes.
    runs: Vec<LocalRun>,
    slots: u32,
}

impl Locals {
    /// Parameters of these types, then `declared` locals, so many of each kind.
    pub(crate) fn new(params: &[ValType], declared: impl Iterator<Item = (u32, SlotKind)>) -> Self {
        let mut locals = Self { runs: Vec::new(), slots: 0 };
        let mut next = 0;
        for (count, kind) in params.iter().map(|ty| (1, ty.kind())).chain(declared) {
            if count > 0 && locals.runs.last().is_none_or(|run| run.kind != kind) {
                locals.runs.push(LocalRun { first: next, slot: locals.slots, kind });
            }
            next += count;
            locals.slots += count * kind.slots();
        }
        locals
    }

    /// Slots of all locals.
    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    /// The first slot of a local, and its kind.
    pub(crate) fn find(&self, local: u32) -> (u32, SlotKind) {
        let run = match self.runs.as_slice() {
            [only] => only,
            runs => &runs[runs.partition_point(|run| run.first <= local) - 1],
        };
        (run.slot + (local - run.first) * run.kind.slots(), run.kind)
    }

    /// The kind of each slot.
    pub(crate) fn slot_kinds(&self) -> Vec<SlotKind> {
        let ends = self.runs.iter().skip(1).map(|run| run.slot).chain([self.slots]);
        self.runs.iter().zip(ends).flat_map(|(run, end)| (run.slot..end).map(|_| run.kind)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_take_two_slots() {
        let declared = [(2, SlotKind::Word), (0, SlotKind::Exception), (2, SlotKind::Vector), (1, SlotKind::Exception)];
        let locals = Locals::new(&[ValType::I32, ValType::V128], declared.into_iter());
        let found: Vec<u32> = (0..7).map(|local| locals.find(local).0).collect();
        assert_eq!((found, locals.slots()), (vec![0, 1, 3, 4, 5, 7, 9], 10));
        let kinds: String = locals.slot_kinds().iter().map(|kind| format!("{kind:?}").remove(0)).collect();
        assert_eq!(kinds, "WVVWWVVVVE");
    }
}
