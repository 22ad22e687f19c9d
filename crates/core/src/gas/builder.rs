//! A schedule put together in code. It is kept as the rows that a file would have, so that both ways give the same text
//! and the same hash, and checked once, when it is built.

use std::collections::BTreeMap;

use super::{Schedule, Unit, UnitPrice};
use crate::op::Op;
use stepmark_state::error::JobError;

/// A schedule that is being put together: see [`Schedule::builder`].
#[derive(Clone, Debug)]
pub struct ScheduleBuilder {
    name: String,
    costs: BTreeMap<String, u32>,
    units: BTreeMap<String, UnitPrice>,
}

impl ScheduleBuilder {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), costs: BTreeMap::new(), units: BTreeMap::new() }
    }

    /// The cost of what is priced nowhere else. It must be said: an instruction that nobody thought of is not free.
    #[must_use]
    pub fn otherwise(mut self, cost: u32) -> Self {
        self.costs.insert("*".to_owned(), cost);
        self
    }

    /// The cost of an instruction, without its part by the unit. The last word on an instruction counts.
    ///
    /// # Errors
    /// A usage error if no instruction has that mnemonic.
    ///
    /// ```
    /// # use stepmark_core::gas::Schedule;
    /// let error = Schedule::builder("mine").cost("i32.ad", 2).unwrap_err();
    /// assert_eq!(error.message(), "gas schedule \"mine\": \"i32.ad\" is not an instruction");
    /// ```
    pub fn cost(mut self, mnemonic: &str, cost: u32) -> Result<Self, JobError> {
        if Op::from_mnemonic(mnemonic).is_none() {
            let name = &self.name;
            return Err(JobError::usage(format!("gas schedule {name:?}: {mnemonic:?} is not an instruction")));
        }
        self.costs.insert(mnemonic.to_owned(), cost);
        Ok(self)
    }

    /// The structure markers (`block loop else end nop`) cost nothing, as in the default schedule.
    #[must_use]
    pub fn free_markers(mut self) -> Self {
        for marker in ["block", "loop", "else", "end", "nop"] {
            self.costs.insert(marker.to_owned(), 0);
        }
        self
    }

    /// The price of work by its amount: `cost` for every `size` units begun, beside the instruction.
    #[must_use]
    pub fn per_unit(mut self, unit: Unit, cost: u32, size: u32) -> Self {
        self.units.insert(unit.name().to_owned(), UnitPrice { cost, size });
        self
    }

    /// The price of each page of 64 KiB that `memory.grow` adds.
    #[must_use]
    pub fn memory_page(self, cost: u32) -> Self {
        self.per_unit(Unit::MemoryGrow, cost, 1)
    }

    /// The price of `memory.fill`, `memory.copy` and `memory.init`: `cost` for every `size` bytes begun.
    #[must_use]
    pub fn memory_bytes(self, cost: u32, size: u32) -> Self {
        let units = [Unit::MemoryFill, Unit::MemoryCopy, Unit::MemoryInit];
        units.into_iter().fold(self, |builder, unit| builder.per_unit(unit, cost, size))
    }

    /// The price of each element that a table operator adds, fills, copies or initialises.
    #[must_use]
    pub fn table_element(self, cost: u32) -> Self {
        let units = [Unit::TableGrow, Unit::TableFill, Unit::TableCopy, Unit::TableInit];
        units.into_iter().fold(self, |builder, unit| builder.per_unit(unit, cost, 1))
    }

    /// The price of a call of a host function, beside its instruction: `flat`, and 1 for every `bytes` begun that it
    /// moves.
    #[must_use]
    pub fn host_call(mut self, flat: u32, cost: u32, bytes: u32) -> Self {
        self.costs.insert(Unit::HostBytes.name().to_owned(), flat);
        self.per_unit(Unit::HostBytes, cost, bytes)
    }

    /// The price of setting locals to zero at a call: `cost` for every `size` slots begun.
    #[must_use]
    pub fn zeroed_locals(self, cost: u32, size: u32) -> Self {
        self.per_unit(Unit::ZeroedLocals, cost, size)
    }

    /// The price of each clause and frame that a throw looks at.
    #[must_use]
    pub fn throw_search(self, cost: u32) -> Self {
        self.per_unit(Unit::ThrowSearch, cost, 1)
    }

    /// The schedule. An operator that has a part by the unit and no cost of its own has the cost of all others; zeroed
    /// locals, a throw's search and host calls, which are no operators, cost nothing flat then.
    ///
    /// # Errors
    /// A usage error if nothing says what unlisted instructions cost, if a size is 0, or if the name cannot be one.
    pub fn build(self) -> Result<Schedule, JobError> {
        let Self { name, costs, units } = self;
        let wrong = |what: String| Err(JobError::usage(format!("gas schedule {name:?}: {what}")));
        if name.is_empty() || name.contains('/') {
            return wrong("a name is not empty and has no slash".to_owned());
        }
        if Schedule::builtin(&name).is_some() {
            return wrong("this is the name of a schedule that every build has".to_owned());
        }
        let otherwise = costs.get("*").copied();
        let mut rows: BTreeMap<String, _> = costs.iter().map(|(name, cost)| (name.clone(), (*cost, None))).collect();
        for (mnemonic, price) in units {
            if price.size == 0 {
                return wrong(format!("{mnemonic}: the unit size is 0"));
            }
            let flat = if Op::from_mnemonic(&mnemonic).is_some() { otherwise.unwrap_or(0) } else { 0 };
            rows.entry(mnemonic).or_insert((flat, None)).1 = Some(price);
        }
        Schedule::from_rows(&name, &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_from_code_is_the_same_as_that_from_a_file() {
        let built = Schedule::builder("mine")
            .otherwise(1)
            .free_markers()
            .cost("i32.add", 2)
            .and_then(|builder| builder.cost("memory.grow", 7))
            .unwrap()
            .memory_page(4096)
            .memory_bytes(1, 16)
            .table_element(3)
            .zeroed_locals(1, 8)
            .throw_search(1)
            .host_call(10, 1, 16)
            .build()
            .unwrap();
        let text = "*,1\nblock,0\nloop,0\nelse,0\nend,0\nnop,0\ni32.add,2\nmemory.grow,7,4096,1\nmemory.fill,1,1,16\n\
                    memory.copy,1,1,16\nmemory.init,1,1,16\ntable.grow,1,3,1\ntable.fill,1,3,1\ntable.copy,1,3,1\n\
                    table.init,1,3,1\ncall.locals,0,1,8\nthrow.search,0,1,1\nhost.call,10,1,16\n";
        let read = Schedule::parse("mine", text).unwrap();
        assert_eq!((built.text(), built.hash()), (read.text(), read.hash()));
        assert_eq!(built, read);
    }

    #[test]
    fn the_first_default_schedule_can_be_built() {
        let built = Schedule::builder("same")
            .otherwise(1)
            .free_markers()
            .memory_page(4096)
            .memory_bytes(1, 16)
            .table_element(1)
            .per_unit(Unit::TableFill, 1, 4)
            .per_unit(Unit::TableCopy, 1, 4)
            .zeroed_locals(1, 8)
            .throw_search(1)
            .host_call(10, 1, 16);
        assert_eq!(Some(built.build().unwrap().hash()), Schedule::builtin("default-1").map(|first| first.hash()));
    }

    #[test]
    fn what_cannot_be_a_schedule_is_refused_by_what_is_wrong() {
        let builder = |name: &str| Schedule::builder(name).otherwise(1);
        let cases = [
            (Schedule::builder("mine"), "no line `*,COST`"),
            (builder(""), "a name is not empty and has no slash"),
            (builder("a/b"), "a name is not empty and has no slash"),
            (builder("default"), "this is the name of a schedule that every build has"),
            (builder("mine").host_call(1, 1, 0), "host.call: the unit size is 0"),
        ];
        for (builder, expected) in cases {
            let error = builder.build().unwrap_err();
            assert!(error.message().contains(expected), "{error} does not say {expected}");
        }
    }
}
