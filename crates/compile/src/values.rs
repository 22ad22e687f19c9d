//! Values of 32 bits by number, so that it is known which addresses are at a distance from each other, and how large one may be.

use std::collections::BTreeMap;

use stepmark_core::code::Op;
use stepmark_core::machine::{DIRTY_SHIFT, MARK_REACH};

/// A value of 32 bits: what `base` stands for, and `distance` more, modulo 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Based {
    pub(crate) base: u32,
    pub(crate) distance: u32,
}

/// The base of constants.
pub(crate) const ZERO: u32 = 0;

/// By base that is the sum of two, these two.
pub(crate) type Sums = BTreeMap<u32, (u32, u32)>;

impl Based {
    pub(crate) const fn constant(distance: u32) -> Based {
        Based { base: ZERO, distance }
    }

    pub(crate) fn moved(self, by: u32) -> Based {
        Based { distance: self.distance.wrapping_add(by), ..self }
    }
}

/// All values of a function.
pub(crate) struct Values {
    /// By base, the greatest number that it may stand for.
    most: Vec<u32>,
    /// Bases of what operators make: the same operands give the same.
    made: BTreeMap<(Op, Based, Option<Based>), Based>,
    pub(crate) sums: Sums,
}

impl Values {
    /// Nothing but constants.
    pub(crate) fn new() -> Values {
        Values { most: vec![0], made: BTreeMap::new(), sums: Sums::new() }
    }

    pub(crate) fn fresh(&mut self, most: u32) -> Based {
        self.most.push(most);
        Based { base: self.most.len() as u32 - 1, distance: 0 }
    }

    /// The greatest number that a value may be.
    pub(crate) fn most(&self, value: Based) -> u32 {
        self.most[value.base as usize].saturating_add(value.distance)
    }

    /// What an operator makes of one operand, or of two.
    pub(crate) fn numeric(&mut self, op: Op, first: Based, second: Option<Based>) -> Based {
        match (op, first, second) {
            (Op::I32Add, value, Some(Based { base: ZERO, distance }))
            | (Op::I32Add, Based { base: ZERO, distance }, Some(value)) => value.moved(distance),
            (Op::I32Sub, value, Some(Based { base: ZERO, distance })) => value.moved(distance.wrapping_neg()),
            (Op::I32Add, first, Some(second)) => self.sum(first, second),
            key => {
                if let Some(value) = self.made.get(&key) {
                    return *value;
                }
                let most = second.and_then(|second| self.most_made(op, first, second));
                let value = self.fresh(most.unwrap_or(u32::MAX));
                self.made.insert(key, value);
                value
            }
        }
    }

    /// The sum of two bases, in whichever order, and both distances more.
    pub(crate) fn sum(&mut self, first: Based, second: Based) -> Based {
        let bases = (first.base.min(second.base), first.base.max(second.base));
        let [low, high] = [bases.0, bases.1].map(|base| Based { base, distance: 0 });
        let key = (Op::I32Add, low, Some(high));
        let made = self.made.get(&key).copied();
        let sum = made.unwrap_or_else(|| {
            let most = self.most_made(Op::I32Add, low, high);
            self.fresh(most.unwrap_or(u32::MAX))
        });
        self.made.insert(key, sum);
        self.sums.insert(sum.base, bases);
        sum.moved(first.distance.wrapping_add(second.distance))
    }

    /// The greatest number that an operator may make, if anything is known of it.
    fn most_made(&self, op: Op, first: Based, second: Based) -> Option<u32> {
        let constant = (second.base == ZERO).then_some(second.distance);
        let (first, second) = (self.most(first), self.most(second));
        match op {
            Op::I32And => Some(first.min(second)),
            Op::I32Or | Op::I32Xor => Some((first | second).checked_add(1)?.checked_next_power_of_two()? - 1),
            Op::I32Add => first.checked_add(second),
            Op::I32Mul => first.checked_mul(second),
            Op::I32Shl => first.checked_mul(1 << (constant? & 31)),
            Op::I32ShrU => Some(first >> (constant? & 31)),
            Op::I32DivU => first.checked_div(constant?),
            Op::I32RemU => constant?.checked_sub(1),
            _ => None,
        }
    }
}

/// An access that is still to be looked at, with others.
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) index: u32,
    pub(crate) address: Based,
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
    pub(crate) stores: bool,
}

impl Pending {
    /// Bytes from the address to the end of what is accessed.
    pub(crate) fn reach(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.bytes)
    }

    /// The first byte that is accessed.
    pub(crate) fn begin(&self) -> Based {
        self.address.moved(self.offset)
    }

    /// Bytes from the first that is accessed on whose pages are marked by a mark of its page: that may be the one before, if the
    /// offset is no multiple of a page's bytes.
    pub(crate) fn span(&self) -> u64 {
        let page = 1 << DIRTY_SHIFT;
        let reach = u64::from(MARK_REACH) * page + 1;
        if u64::from(self.offset) % page == 0 { reach } else { reach - page }
    }
}
