//! Things of a job by their names: a program may name one with each of its calls.

use std::cmp::Ordering;

use stepmark_snapshot::job::{JobFunction, ModuleRef};

/// Numbers of things, in the order of their names; those of one name in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct ByName(Vec<u32>);

impl ByName {
    /// The order of contracts.
    pub(super) fn contracts(contracts: &[ModuleRef]) -> Self {
        Self::new(contracts, |contract| &contract.name)
    }

    /// The order of the embedder's functions.
    pub(super) fn functions(functions: &[JobFunction]) -> Self {
        Self::new(functions, |function| (&function.module, &function.name))
    }

    fn new<'a, T, K: Ord>(things: &'a [T], name: impl Fn(&'a T) -> K) -> Self {
        let mut numbers: Vec<u32> = (0..).zip(things).map(|(number, _)| number).collect();
        numbers.sort_by_key(|number| name(&things[*number as usize]));
        Self(numbers)
    }

    /// The first thing that `compared` says is the one; it is given numbers.
    pub(super) fn find(&self, compared: impl Fn(usize) -> Ordering) -> Option<u32> {
        let place = self.0.partition_point(|number| compared(*number as usize) == Ordering::Less);
        let number = self.0.get(place).copied();
        number.filter(|number| compared(*number as usize) == Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_is_found() {
        let contract = |name: &str| ModuleRef { name: name.to_owned(), ..ModuleRef::default() };
        let contracts = ["b", "a", "c", "a"].map(contract);
        let by_name = ByName::contracts(&contracts);
        let find = |name: &str| by_name.find(|number| contracts[number].name.as_str().cmp(name));
        assert_eq!(["a", "b", "c", "", "bb", "d"].map(find), [Some(1), Some(0), Some(2), None, None, None]);
    }
}
