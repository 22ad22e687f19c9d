//! A schedule as wasmtime's table of fuel. Fuel is counted by the instruction, as gas is, with two differences: entering a
//! function takes one, which the calls here cost less; and work by the unit is a whole number for each byte or element, so
//! that instructions whose work is counted there too are priced so on both sides ([`Prices::counted`]).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use stepmark_core::code::{Body, Op};
use stepmark_core::gas::Schedule;
use stepmark_core::module::Module;
use wasmtime::{OperatorCost, VariableOperatorCost};

/// Operators whose bytes or elements fuel counts too.
pub const COUNTED: [&str; 6] = ["memory.fill", "memory.copy", "memory.init", "table.fill", "table.copy", "table.init"];
/// Operators whose pages or elements are known from the sizes at the end.
pub const GROWING: [&str; 2] = ["memory.grow", "table.grow"];

/// A row of a schedule that has a part by the unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitRow {
    /// What is priced.
    pub name: String,
    /// Cost of one use.
    pub flat: u32,
    /// Cost of `size` units.
    pub cost: u32,
    /// Units for each of which `cost` is charged.
    pub size: u32,
}

/// A schedule taken apart for the oracle.
#[derive(Clone, Debug)]
pub struct Prices {
    /// The schedule itself.
    pub schedule: Schedule,
    /// The same prices of instructions, with each byte and element that fuel counts at 1, and nothing else by the unit.
    pub counted: Schedule,
    /// And each page and element at 1 that a memory or table grows by.
    pub growing: Schedule,
    /// The rows with a part by the unit, each with the schedule in which nothing else costs anything.
    pub units: Vec<(UnitRow, Schedule)>,
    table: OperatorCost,
}

impl Prices {
    /// # Errors
    /// If the schedule has a price that wasmtime's table cannot hold.
    pub fn new(schedule: &Schedule) -> Result<Self> {
        Ok(Self {
            schedule: schedule.clone(),
            counted: at_one(schedule, &COUNTED)?,
            growing: at_one(schedule, &[COUNTED.as_slice(), &GROWING].concat())?,
            units: unit_rows(schedule)?.into_iter().map(|row| Ok((row.clone(), only(&row)?))).collect::<Result<_>>()?,
            table: table(schedule)?,
        })
    }

    /// The rows that a module without imports can be charged by: one left out that it is charged by would show as a
    /// difference, since the parts are added up.
    pub fn units_of(&self, module: &Module) -> impl Iterator<Item = &(UnitRow, Schedule)> {
        let bodies = (module.imported_funcs()..module.func_count()).map(|func| Body::decode(module, func));
        let used: BTreeSet<&str> = bodies.flat_map(|body| body.instrs).map(|instr| instr.op.mnemonic()).collect();
        let throws = used.contains("throw") || used.contains("throw_ref");
        self.units.iter().filter(move |(row, _)| match row.name.split_once('.') {
            Some(("host" | "contract", _)) => false,
            Some(("throw", _)) => throws,
            _ => Op::from_mnemonic(&row.name).is_none() || used.contains(row.name.as_str()),
        })
    }

    /// Wasmtime's table.
    pub fn table(&self) -> OperatorCost {
        self.table.clone()
    }
}

/// The `default` schedule's parts by the unit with a different price for each instruction: under `default` itself most cost
/// 1, and one counted for another would not be seen.
///
/// # Errors
/// If the schedule cannot be read back.
pub fn distinct() -> Result<Schedule> {
    let default = Schedule::default();
    let mut text = String::from("*,1\n");
    let rows = unit_rows(&default)?;
    for (number, op) in Op::ALL.iter().enumerate() {
        let cost = 1 + number * 7 % 199;
        let name = op.mnemonic();
        match rows.iter().find(|row| row.name == name) {
            Some(row) => text.push_str(&format!("{name},{cost},{},{}\n", row.cost, row.size)),
            None => text.push_str(&format!("{name},{cost}\n")),
        }
    }
    for row in rows.iter().filter(|row| Op::from_mnemonic(&row.name).is_none()) {
        text.push_str(&format!("{},{},{},{}\n", row.name, row.flat, row.cost, row.size));
    }
    Ok(Schedule::parse("distinct", &text)?)
}

/// The rows of a schedule's text that have a part by the unit.
fn unit_rows(schedule: &Schedule) -> Result<Vec<UnitRow>> {
    let mut rows = Vec::new();
    for line in schedule.text().lines() {
        let fields: Vec<&str> = line.split(',').collect();
        if let [name, flat, cost, size] = fields.as_slice() {
            let (flat, cost, size) = (flat.parse()?, cost.parse()?, size.parse()?);
            rows.push(UnitRow { name: (*name).to_owned(), flat, cost, size });
        }
    }
    Ok(rows)
}

/// The prices of instructions, and each unit of these operators at 1.
fn at_one(schedule: &Schedule, operators: &[&str]) -> Result<Schedule> {
    let mut text = String::from("*,0\n");
    for op in Op::ALL {
        let (name, cost) = (op.mnemonic(), schedule.cost(*op));
        let units = if operators.contains(&name) { ",1,1" } else { "" };
        text.push_str(&format!("{name},{cost}{units}\n"));
    }
    Ok(Schedule::parse("counted", &text)?)
}

/// A schedule in which only this row's part by the unit costs anything.
///
/// # Errors
/// If the schedule cannot be read back.
fn only(row: &UnitRow) -> Result<Schedule> {
    Ok(Schedule::parse("only", &format!("*,0\n{},0,{},{}\n", row.name, row.cost, row.size))?)
}

/// Does an instruction enter a function, or leave its own for one.
pub fn is_call(op: Op) -> bool {
    matches!(
        op,
        Op::Call | Op::CallIndirect | Op::CallRef | Op::ReturnCall | Op::ReturnCallIndirect | Op::ReturnCallRef
    )
}

/// Wasmtime's names are those of the text format without the dots and underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '.' && *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

fn table(schedule: &Schedule) -> Result<OperatorCost> {
    let ops: BTreeMap<String, Op> = Op::ALL.iter().map(|op| (plain(op.mnemonic()), *op)).collect();
    let mut table = serde_json::to_value(OperatorCost::new())?;
    let fields = table.as_object_mut().context("wasmtime's table is not one")?;
    let mut found = 0;
    for (field, cost) in fields.iter_mut().filter(|(field, _)| *field != "variable") {
        let name = plain(field);
        let Some(op) = ops.get(if name == "typedselect" { "select" } else { &name }) else { continue };
        found += 1;
        let entry = u64::from(is_call(*op));
        let price = schedule.cost(*op).checked_sub(entry).with_context(|| format!("{} is free", op.mnemonic()))?;
        let name = op.mnemonic();
        *cost =
            u8::try_from(price).with_context(|| format!("{name} costs {price}, wasmtime's table ends at 255"))?.into();
    }
    // `select` with a type is another name there.
    ensure!(found == Op::ALL.len() + 1, "wasmtime has prices for {found} of {} instructions", Op::ALL.len());
    let mut table: OperatorCost = serde_json::from_value(table)?;
    table.variable =
        VariableOperatorCost { memory_grow_per_page: 0, table_grow_per_element: 0, ..VariableOperatorCost::new() };
    Ok(table)
}
