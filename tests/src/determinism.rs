//! Every operator on values at which arithmetic differs between machines: the same bytes from the node's library on both of
//! its engines, from the node as wasm in wasmtime and in Node.js, and from wasmtime itself with canonical NaNs.

pub mod operators;
mod program;
mod rules;
pub mod values;

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop, TierKind};
use stepmark_core::module::{Features, Module};
use stepmark_state::limits::Limits;

use crate::differential::{ALONE, Differential, End};
use crate::{node_js, runner};
use operators::Operator;
use program::{RESULTS, combinations, result_bytes};

/// Operators for which wasmtime makes another of the choices that the specification leaves: it multiplies and adds without
/// rounding in between, and its sum of two products wraps around.
pub const KNOWN: [&str; 6] = [
    "f32x4.relaxed_madd",
    "f32x4.relaxed_nmadd",
    "f64x2.relaxed_madd",
    "f64x2.relaxed_nmadd",
    "i16x8.relaxed_dot_i8x16_i7x16_s",
    "i32x4.relaxed_dot_i8x16_i7x16_add_s",
];

/// What was compared.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Operators, one with each of its immediates.
    pub operators: usize,
    /// Results of an operator on a combination of values.
    pub results: usize,
    /// Those of them that were traps.
    pub traps: usize,
    /// NaNs among the results of operators that make NaNs, all of them the canonical one.
    pub canonical: usize,
    /// Results of operators that move values, checked bit by bit.
    pub moved: usize,
    /// Where the results were computed.
    pub places: Vec<&'static str>,
    /// Operators of [`KNOWN`], and how many of their results wasmtime has otherwise.
    pub known: Vec<(String, usize)>,
    /// What is wrong.
    pub differences: Vec<String>,
}

/// Runs all operators everywhere.
///
/// # Errors
/// If something does not run at all.
pub fn compare() -> Result<Figures> {
    let operators = operators::operators()?;
    let mut figures = Figures { operators: operators.len(), ..Figures::default() };
    let wasmtime = Differential::new()?;
    let traps = traps(&operators, &wasmtime, &mut figures)?;
    let bytes = wat::parse_str(program::program(&operators, &traps))?;
    figures.places = vec!["native", "native, stepper", "wasmtime itself"];
    let hashes = one_by_one(&operators, &bytes, &wasmtime, &mut figures)?;
    in_places(&bytes, &hashes, &mut figures)?;
    Ok(figures)
}

/// The node's library with an instance of a module.
struct Native {
    machine: Machine,
    instance: u32,
}

impl Native {
    fn new(bytes: &[u8], tier: TierKind) -> Result<Self> {
        let module = Arc::new(Module::parse(bytes.to_vec(), Features::default())?);
        let mut machine = Machine::new(Schedule::default(), Limits::default());
        machine.set_tier(tier);
        let instance = machine.link("", module, &InstanceLinker::default(), &NoHost)?;
        machine.store.write_segments(instance)?;
        Ok(Self { machine, instance })
    }

    fn call(&mut self, export: &str, args: &[u64]) -> Result<Stop> {
        let Some(Extern::Func(func)) = self.machine.store.export(self.instance, export) else { bail!("no {export}") };
        self.machine.invoke(func, args)?;
        Ok(self.machine.run(Budget::UNLIMITED))
    }

    fn memory(&self) -> &[u8] {
        self.machine.store.memories[0].bytes()
    }
}

/// For each operator that may trap: at which combinations it does, and wasmtime with it.
fn traps(operators: &[Operator], wasmtime: &Differential, figures: &mut Figures) -> Result<Vec<Vec<bool>>> {
    let bytes = wat::parse_str(program::single(operators))?;
    let (mut native, mut wasmtime) = (Native::new(&bytes, TierKind::Register)?, wasmtime.wasmtime(&bytes)?);
    let mut all = Vec::new();
    for operator in operators.iter().filter(|operator| operator.may_trap()) {
        let mut list = Vec::new();
        for operands in combinations(operator) {
            let args: Vec<u64> = operands.iter().map(|value| *value as u64).collect();
            let ours = match native.call(&operator.text, &args)? {
                Stop::Done(values) => End::Returned(values.into_iter().map(u128::from).collect()),
                Stop::Trap(trap) => End::Trapped(trap),
                other => bail!("{}{args:x?}: {other:?}", operator.text),
            };
            let theirs = wasmtime.call(ALONE, &operator.text, &args)?;
            if ours != theirs {
                let line = format!("{}{args:x?}: native {ours:x?}, wasmtime itself {theirs:x?}", operator.text);
                figures.differences.push(line);
            }
            list.push(matches!(ours, End::Trapped(_)));
        }
        figures.traps += list.iter().filter(|trapped| **trapped).count();
        all.push(list);
    }
    Ok(all)
}

/// Runs each operator natively and in wasmtime itself, and compares the bytes; the hashes.
fn one_by_one(
    operators: &[Operator],
    bytes: &[u8],
    wasmtime: &Differential,
    figures: &mut Figures,
) -> Result<Vec<u64>> {
    let (mut native, mut stepper) = (Native::new(bytes, TierKind::Register)?, Native::new(bytes, TierKind::Stepper)?);
    let mut wasmtime = wasmtime.wasmtime(bytes)?;
    let mut hashes = Vec::new();
    for operator in operators {
        let name = &operator.text;
        let combinations = combinations(operator);
        figures.results += combinations.len();
        if operator.may_trap() {
            let prepare = format!("prepare {name}");
            native.call(&prepare, &[])?;
            stepper.call(&prepare, &[])?;
            wasmtime.call(ALONE, &prepare, &[])?;
        }
        let Stop::Done(hash) = native.call(name, &[])? else { bail!("{name} ends otherwise") };
        ensure!(stepper.call(name, &[])? == Stop::Done(hash.clone()), "{name}: the stepper differs");
        wasmtime.call(ALONE, name, &[])?;
        hashes.extend(hash);
        let range = RESULTS..RESULTS + combinations.len() * result_bytes(operator);
        let results = &native.memory()[range.clone()];
        rules::check(operator, &combinations, results, figures);
        let theirs = &wasmtime.memory(ALONE, "memory")[range];
        let wrong = different(operator, &combinations, results, theirs);
        if KNOWN.contains(&operator.mnemonic.as_str()) {
            figures.known.push((operator.mnemonic.clone(), wrong.len()));
        } else if let Some(first) = wrong.first() {
            figures.differences.push(format!("{name}: {} results differ from wasmtime's: {first}", wrong.len()));
        }
    }
    Ok(hashes)
}

fn different(operator: &Operator, combinations: &[Vec<u128>], ours: &[u8], theirs: &[u8]) -> Vec<String> {
    let size = result_bytes(operator);
    let pairs = ours.chunks_exact(size).zip(theirs.chunks_exact(size)).zip(combinations);
    pairs
        .filter(|((ours, theirs), _)| ours != theirs)
        .map(|((ours, theirs), operands)| {
            let (ours, theirs) = (rules::number(ours), rules::number(theirs));
            format!("{operands:x?} gives {ours:#x}, not {theirs:#x}")
        })
        .collect()
}

/// Runs the whole program as a job of the node in every place.
fn in_places(bytes: &[u8], hashes: &[u64], figures: &mut Figures) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    std::fs::write(dir.join("operators.wasm"), bytes)?;
    let argv: Vec<String> =
        ["--snapshot-output", "out", "operators.wasm", "run"].iter().map(|word| (*word).to_owned()).collect();
    let mut ended = Vec::new();
    for (name, mut node) in runner::nodes()? {
        let name = if name == "wasm" { "the node in wasmtime" } else { "the node natively" };
        ended.push((name, runner::run(node.as_mut(), &argv, dir)?));
    }
    if node_js::version()?.is_some() {
        let wasm = dir.join("guest-interp.wasm");
        std::fs::write(&wasm, stepmark_runner::node::embedded_module::NODE_WASM)?;
        let run = node_js::command_face(&wasm, dir, &argv, "out")?;
        ended.push(("the node in Node.js", run));
    }
    let (_, first) = &ended[0];
    let lines = String::from_utf8_lossy(first.files.get("result.txt").context("no result.txt")?).into_owned();
    let values: Vec<&str> = lines.lines().skip(2).flat_map(|line| line.split([' ', ','])).collect();
    for hash in hashes {
        if !values.contains(&hash.to_string().as_str()) {
            figures.differences.push(format!("{hash} is not among the values of the node's run: {lines:.200}"));
            break;
        }
    }
    for (name, run) in &ended {
        figures.places.push(name);
        let differences = first.differences(run)?;
        if !differences.is_empty() {
            figures.differences.push(format!("{name}: {differences:?} differ from the node's natively"));
        }
    }
    Ok(())
}
