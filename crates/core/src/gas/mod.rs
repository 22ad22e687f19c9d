//! What execution costs. A [`Schedule`] gives every instruction a price, by name; operators whose work depends on their
//! operands have a price per unit as well. Costs are charged before the instruction runs; sums are u64 and checked.

mod builder;

use std::collections::BTreeMap;

use crate::host::Work;
use crate::op::{Instr, Op};
use stepmark_state::error::JobError;
use stepmark_state::schedule_names::check_schedule_name;

pub use builder::ScheduleBuilder;

/// The reference node's table; see [`Schedule::seed_ordinal`].
const SEED_ORDINAL: &str = include_str!("seed-ordinal.csv");

/// The tables of the schedule `default`, newest first.
const DEFAULTS: [&str; 2] = [include_str!("default-2.csv"), include_str!("default-1.csv")];

/// The tables that a built-in name stands for and has stood for, newest first; none if the name is not built in. Their hashes are
/// known by [`built_in`](stepmark_state::schedule_names::built_in); a test compares them.
fn tables(name: &str) -> &'static [&'static str] {
    match name {
        "default" => &DEFAULTS,
        "default-1" => &DEFAULTS[1..],
        "seed-ordinal" => &[SEED_ORDINAL],
        _ => &[],
    }
}

/// Work that is charged by its amount, beside the instruction that causes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pages of 64 KiB by `memory.grow`.
    MemoryGrow,
    /// Bytes by `memory.fill`.
    MemoryFill,
    /// Bytes by `memory.copy`.
    MemoryCopy,
    /// Bytes by `memory.init`.
    MemoryInit,
    /// Elements by `table.grow`.
    TableGrow,
    /// Elements by `table.fill`.
    TableFill,
    /// Elements by `table.copy`.
    TableCopy,
    /// Elements by `table.init`.
    TableInit,
    /// Local slots that a call sets to zero.
    ZeroedLocals,
    /// Clauses and frames that a throw looks at.
    ThrowSearch,
    /// A frame or clause that is looked through by a throw that nothing catches.
    ThrowUncaught,
    /// Slots of the payload that a caught exception carries.
    ThrowPayload,
    /// Slots, frames and bytes of code that a throw looks through where it must make room for an exception.
    ThrowCollect,
    /// Slots beyond the first [`FREE_CARRIED`](crate::op::FREE_CARRIED) that a branch or a call carries.
    Carried,
    /// Calls into another instance, or through a table with 64-bit addresses: those that the fast engine hands over.
    FarCall,
    /// Bytes that a host call moves; its flat part is charged for the call itself.
    HostBytes,
    /// Names, parents and entries that a host call walks.
    HostSteps,
    /// Pages of 4 KiB by which a host call makes a file longer: each is hashed when the program ends.
    HostPages,
    /// Bytes of the module of which a call of a contract makes an instance.
    ContractCode,
    /// Local slots of the functions that a call of a contract begins with.
    ContractLocals,
    /// Gas that was left to a contract which runs out of it: what it could not pay for may have been begun.
    ContractRest,
}

impl Unit {
    const ALL: [(Unit, &str); 21] = [
        (Unit::MemoryGrow, "memory.grow"),
        (Unit::MemoryFill, "memory.fill"),
        (Unit::MemoryCopy, "memory.copy"),
        (Unit::MemoryInit, "memory.init"),
        (Unit::TableGrow, "table.grow"),
        (Unit::TableFill, "table.fill"),
        (Unit::TableCopy, "table.copy"),
        (Unit::TableInit, "table.init"),
        (Unit::ZeroedLocals, "call.locals"),
        (Unit::ThrowSearch, "throw.search"),
        (Unit::ThrowUncaught, "throw.uncaught"),
        (Unit::ThrowPayload, "throw.payload"),
        (Unit::ThrowCollect, "throw.collect"),
        (Unit::Carried, "carry.slots"),
        (Unit::FarCall, "call.far"),
        (Unit::HostBytes, "host.call"),
        (Unit::HostSteps, "host.steps"),
        (Unit::HostPages, "host.pages"),
        (Unit::ContractCode, "contract.code"),
        (Unit::ContractLocals, "contract.locals"),
        (Unit::ContractRest, "contract.rest"),
    ];

    /// The name that rows of a schedule have for it.
    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(unit, _)| *unit == self).map_or("", |(_, name)| name)
    }
}

/// Price of `size` units begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UnitPrice {
    cost: u32,
    size: u32,
}

impl UnitPrice {
    const FREE: Self = Self { cost: 0, size: 1 };
}

/// A table of gas costs, with a name and a canonical text that is part of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    name: String,
    text: String,
    costs: Vec<u32>,
    /// In the order of [`Unit::ALL`]; what a schedule does not price is free.
    units: Vec<UnitPrice>,
    host_call: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::read("default", DEFAULTS[0]).expect("BUG: the default schedule is well formed")
    }
}

impl Schedule {
    /// The effective table of the reference node: by mnemonic, 0 for what it does not list, no parts by the unit. Some
    /// loops are free under it: not for hostile programs.
    pub fn seed_ordinal() -> Self {
        Self::read("seed-ordinal", SEED_ORDINAL).expect("BUG: the reference schedule is well formed")
    }

    /// The built-in schedule of this name, in its newest version.
    pub fn builtin(name: &str) -> Option<Self> {
        Self::versions(name).into_iter().next()
    }

    /// The tables that a built-in name stands for and has stood for, newest first; none if the name is not built in. A
    /// chain that carries one of them under that name is right.
    ///
    /// ```
    /// use stepmark_core::gas::Schedule;
    ///
    /// assert_eq!(Schedule::versions("default").len(), 2);
    /// assert_eq!(Schedule::versions("default")[1].hash(), Schedule::versions("default-1")[0].hash());
    /// assert!(Schedule::versions("mine").is_empty());
    /// ```
    pub fn versions(name: &str) -> Vec<Self> {
        let read = |text: &&str| Self::read(name, text).expect("BUG: built-in schedules are well formed");
        tables(name).iter().map(read).collect()
    }

    /// A schedule of this name, priced in code.
    ///
    /// ```
    /// use stepmark_core::gas::Schedule;
    ///
    /// let schedule = Schedule::builder("mine").otherwise(1).cost("i32.add", 2)?.memory_page(4096).build()?;
    /// let file = Schedule::parse("mine", "*,1\ni32.add,2\nmemory.grow,1,4096,1\n")?;
    /// assert_eq!(schedule.hash(), file.hash());
    /// # Ok::<(), stepmark_state::error::JobError>(())
    /// ```
    pub fn builder(name: &str) -> ScheduleBuilder {
        ScheduleBuilder::new(name)
    }

    /// Reads a schedule: lines `mnemonic,cost` or `mnemonic,cost,unit cost,unit size`; `*` prices what is not listed and
    /// must be there; `call.locals` and `host.call` price zeroed locals and host calls; `#` begins a comment.
    ///
    /// # Errors
    /// A usage error that names the line, or says that the name is that of another, built-in schedule.
    pub fn parse(name: &str, text: &str) -> Result<Self, JobError> {
        let schedule = Self::read(name, text)?;
        check_schedule_name(name, &schedule.hash())?;
        Ok(schedule)
    }

    /// Reads a schedule, whatever its name.
    fn read(name: &str, text: &str) -> Result<Self, JobError> {
        let mut rows: BTreeMap<String, (u32, Option<UnitPrice>)> = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() || line == "mnemonic,cost" {
                continue;
            }
            let at = |message: String| JobError::usage(format!("gas schedule {name:?}: line {}: {message}", i + 1));
            let (mnemonic, price) = parse_row(line).map_err(at)?;
            if rows.insert(mnemonic.to_owned(), price).is_some() {
                return Err(at(format!("{mnemonic} is priced twice")));
            }
        }
        Self::from_rows(name, &rows)
    }

    fn from_rows(name: &str, rows: &BTreeMap<String, (u32, Option<UnitPrice>)>) -> Result<Self, JobError> {
        let Some((rest, None)) = rows.get("*") else {
            let message = format!("gas schedule {name:?}: no line `*,COST` says what unlisted instructions cost");
            return Err(JobError::usage(message));
        };
        let cost_of = |mnemonic: &str| rows.get(mnemonic).map(|row| row.0);
        let costs = Op::ALL.iter().map(|op| cost_of(op.mnemonic()).unwrap_or(*rest)).collect();
        let price_of = |name: &str| rows.get(name).and_then(|row| row.1).unwrap_or(UnitPrice::FREE);
        let units = Unit::ALL.iter().map(|(_, name)| price_of(name)).collect();
        let host_call = cost_of("host.call").unwrap_or(0);
        Ok(Self { name: name.to_owned(), text: canonical_text(rows), costs, units, host_call })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The canonical text: rows in the order of mnemonics; equal schedules have equal texts.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// BLAKE3 of the canonical text.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(self.text.as_bytes()).as_bytes()
    }

    /// Cost of an instruction, without its part by the unit.
    #[inline(always)]
    pub fn cost(&self, op: Op) -> u64 {
        u64::from(self.costs[op as usize])
    }

    /// Cost of `amount` units of work, each unit begun counting whole.
    pub fn units(&self, unit: Unit, amount: u64) -> u64 {
        if amount == 0 {
            return 0;
        }
        let price = self.units[unit as usize];
        let (begun, cost) = (amount.div_ceil(u64::from(price.size)), u64::from(price.cost));
        // Most are so small that nothing can overflow; what tests for that is a call in wasm.
        if begun <= u64::from(u32::MAX) { begun * cost } else { begun.saturating_mul(cost) }
    }

    /// The largest amount of work that so much gas pays for.
    pub fn most_units(&self, unit: Unit, gas: u64) -> u64 {
        let price = self.units[unit as usize];
        let begun = gas.checked_div(price.cost.into());
        begun.map_or(u64::MAX, |begun| begun.saturating_mul(price.size.into()))
    }

    /// Cost of an instruction of a body, with the part by the unit that the code alone tells: the slots that it carries.
    #[inline]
    pub fn cost_of(&self, instr: &Instr) -> u64 {
        let carried = if instr.carried == 0 { 0 } else { self.units(Unit::Carried, instr.carried.into()) };
        self.cost(instr.op).saturating_add(carried)
    }

    /// Cost of the work of a host call, beside its instruction.
    pub fn host_call(&self, work: Work) -> u64 {
        let parts = [
            self.units(Unit::HostBytes, work.bytes),
            self.units(Unit::HostSteps, work.steps),
            self.units(Unit::HostPages, work.pages),
        ];
        parts.into_iter().fold(self.host_call.into(), u64::saturating_add)
    }

    /// Whether this is a transfer of control that costs nothing, and therefore counts as an uncharged step.
    #[inline]
    pub fn is_uncharged_transfer(&self, op: Op) -> bool {
        let transfers = || {
            matches!(op, Op::Br | Op::BrIf | Op::BrTable | Op::BrOnNull | Op::BrOnNonNull | Op::Throw | Op::ThrowRef)
                || op.is_call()
        };
        self.cost(op) == 0 && transfers()
    }
}

fn parse_row(line: &str) -> Result<(&str, (u32, Option<UnitPrice>)), String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let number =
        |text: &str| text.parse::<u32>().map_err(|_| format!("{text:?} is not a number from 0 to {}", u32::MAX));
    let (mnemonic, cost, unit) = match *fields.as_slice() {
        [mnemonic, cost] => (mnemonic, number(cost)?, None),
        [mnemonic, cost, unit_cost, unit_size] => {
            let price = UnitPrice { cost: number(unit_cost)?, size: number(unit_size)? };
            if price.size == 0 {
                return Err("the unit size is 0".to_owned());
            }
            (mnemonic, number(cost)?, Some(price))
        }
        _ => return Err(format!("{line:?} is not `mnemonic,cost` or `mnemonic,cost,unit cost,unit size`")),
    };
    let has_units = Unit::ALL.iter().any(|(_, name)| *name == mnemonic);
    let known = has_units || mnemonic == "*" || Op::from_mnemonic(mnemonic).is_some();
    if !known {
        return Err(format!("{mnemonic:?} is not an instruction"));
    }
    if unit.is_some() && !has_units {
        return Err(format!("{mnemonic} has no part by the unit"));
    }
    Ok((mnemonic, (cost, unit)))
}

fn canonical_text(rows: &BTreeMap<String, (u32, Option<UnitPrice>)>) -> String {
    let mut text = String::new();
    for (mnemonic, (cost, unit)) in rows {
        text.push_str(&format!("{mnemonic},{cost}"));
        if let Some(price) = unit {
            text.push_str(&format!(",{},{}", price.cost, price.size));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use stepmark_state::schedule_names::built_in;

    use super::*;

    #[test]
    fn work_by_the_unit_stands_in_its_order_and_is_charged_by_units_begun() {
        for (place, (unit, name)) in Unit::ALL.iter().enumerate() {
            assert_eq!(*unit as usize, place, "{name}");
        }
        let schedule = Schedule::parse("mine", "*,1\nmemory.fill,1,3,64\nmemory.copy,1,4294967295,1\n").unwrap();
        let cases = [
            (Unit::MemoryFill, 0, 0),
            (Unit::MemoryFill, 1, 3),
            (Unit::MemoryFill, 64, 3),
            (Unit::MemoryFill, 65, 6),
            (Unit::MemoryFill, u64::MAX, 3 << 58),
            (Unit::MemoryCopy, u64::from(u32::MAX), u64::from(u32::MAX) * u64::from(u32::MAX)),
            (Unit::MemoryCopy, 1 << 33, u64::MAX),
            (Unit::MemoryGrow, u64::MAX, 0),
        ];
        for (unit, amount, cost) in cases {
            assert_eq!(schedule.units(unit, amount), cost, "{unit:?} {amount}");
        }
        assert_eq!(schedule.most_units(Unit::MemoryFill, 7), 128);
        assert_eq!(schedule.most_units(Unit::MemoryGrow, 7), u64::MAX);
    }

    #[test]
    fn markers_are_free_and_all_else_costs_one_by_default_but_for_what_the_stepper_is_handed() {
        let schedule = Schedule::default();
        for op in Op::ALL {
            let cost = match op {
                Op::Block | Op::Loop | Op::Else | Op::End | Op::Nop => 0,
                Op::MemorySize | Op::MemoryFill | Op::MemoryCopy => 8,
                Op::TableGet | Op::TableSet | Op::TableSize => 8,
                Op::MemoryGrow | Op::MemoryInit | Op::DataDrop | Op::Throw | Op::ThrowRef => 16,
                Op::TableGrow | Op::TableFill | Op::TableCopy | Op::TableInit | Op::ElemDrop => 16,
                _ => 1,
            };
            assert_eq!(schedule.cost(*op), cost, "{}", op.mnemonic());
        }
    }

    #[test]
    fn the_first_table_of_the_default_schedule_is_what_old_chains_carry() {
        let hash = |schedule: &Schedule| blake3::Hash::from(schedule.hash()).to_hex().to_string();
        let [new, old] = &Schedule::versions("default")[..] else { panic!("two tables") };
        assert_eq!(hash(old), "6a6ec473e0d75c2780c2bc5da8c31197113a2b56cc2719324ab59d3b7a023869");
        assert_eq!((old.name(), new.name()), ("default", "default"));
        for name in ["default", "default-1", "seed-ordinal"] {
            let hashes: Vec<String> = Schedule::versions(name).iter().map(hash).collect();
            assert_eq!(hashes, built_in(name), "{name}");
        }
        assert_eq!(*new, Schedule::default());
        assert_eq!(Schedule::builtin("default-1").unwrap().text(), old.text());
    }

    #[test]
    fn the_reference_table_is_charged_by_mnemonic_and_what_it_does_not_list_is_free() {
        let rows: BTreeMap<&str, u64> = SEED_ORDINAL
            .lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with("mnemonic"))
            .map(|line| line.split_once(',').map(|(name, cost)| (name, cost.parse().unwrap())).unwrap())
            .collect();
        let schedule = Schedule::seed_ordinal();
        for op in Op::ALL {
            assert_eq!(schedule.cost(*op), rows.get(op.mnemonic()).copied().unwrap_or(0), "{}", op.mnemonic());
        }
        assert_eq!((schedule.cost(Op::I32Const), schedule.cost(Op::I64Mul), schedule.cost(Op::Call)), (3, 64, 4));
        assert_eq!(schedule.units(Unit::MemoryGrow, 100) + schedule.host_call(Work::moving(1 << 20)), 0);
    }

    #[test]
    fn every_unit_begun_is_charged() {
        let schedule = Schedule::default();
        assert_eq!([0, 1, 16, 17].map(|n| schedule.units(Unit::MemoryFill, n)), [0, 1, 1, 2]);
        assert_eq!(schedule.units(Unit::MemoryGrow, u64::MAX), u64::MAX);
    }

    #[test]
    fn the_canonical_text_reads_back_as_the_same_schedule() {
        for schedule in [Schedule::versions("default"), Schedule::versions("seed-ordinal")].concat() {
            assert_eq!(Schedule::parse(schedule.name(), schedule.text()), Ok(schedule));
        }
    }

    #[test]
    fn a_built_in_name_is_refused_for_another_table_and_taken_for_its_own() {
        let cheap = "*,0\n";
        for name in ["default", "seed-ordinal"] {
            let error = Schedule::parse(name, cheap).unwrap_err();
            let expected = format!("gas schedule {name:?}: the built-in schedule of this name has the hash ");
            assert!(error.message().starts_with(&expected), "{error}");
            assert_eq!(check_schedule_name(name, &Schedule::builtin(name).unwrap().hash()), Ok(()));
        }
        assert_eq!(Schedule::parse("default ", cheap).unwrap().name(), "default ");
    }

    #[test]
    fn bad_lines_are_refused_by_number() {
        let cases = [
            ("i32.add,1\n", "no line `*,COST`"),
            ("*,1\ni32.ad,1\n", "line 2: \"i32.ad\" is not an instruction"),
            ("*,1\n*,2\n", "line 2: * is priced twice"),
            ("*,4294967296\n", "line 1: \"4294967296\" is not a number"),
            ("*,1\ni32.add,1,2,3\n", "line 2: i32.add has no part by the unit"),
            ("*,1\nmemory.fill,1,2,0\n", "line 2: the unit size is 0"),
        ];
        for (text, expected) in cases {
            let error = Schedule::parse("mine", text).unwrap_err();
            assert!(error.message().contains(expected), "{error} does not say {expected}");
        }
    }
}
