//! A job run under a profiler: where its gas goes, by function, by source line and by call stack. Nothing here
//! depends on time or on the machine: the same job gives the same bytes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stepmark_core::machine::Machine;
use stepmark_session::spec::JobSpec;
use stepmark_tools::profile::{FunctionProfile, Profile, ProfileLimits, Profiler};

use crate::demangle::demangled;
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::node::drive;
use crate::node::dry_run::{self, DryRun};
use crate::node::external::Responder;
use crate::node::native::NativeNode;
use crate::node::sink::Sink;
use crate::state::SourceLines;

/// A line of a program's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineGas {
    /// `file:line`, as the debug information has it.
    pub line: String,
    /// Gas of its instructions, with the price of the host functions that they call.
    pub gas: u64,
}

/// A profiled run.
#[derive(Clone, Debug)]
pub struct Profiled {
    /// What the run came to.
    pub ran: DryRun,
    /// Where its gas went.
    pub profile: Profile,
    /// By source line, the dearest first; none if no module has debug information.
    pub lines: Vec<LineGas>,
}

/// Runs a job natively, on the stepper, under a profiler. `sink` takes warnings, and the program's output if `shown`.
///
/// # Errors
/// As those of a run; exit code 130 when the user stops it.
pub fn run(
    job: &JobSpec,
    limits: ProfileLimits,
    responder: &mut dyn Responder,
    sink: &mut dyn Sink,
    shown: bool,
    stop: &Interrupt,
) -> Result<Profiled> {
    let mut node = NativeNode::new();
    drive::load(&mut node, job, sink, stop)?;
    let no_run = || Failure::data("the run was not loaded");
    let session = node.session_mut().ok_or_else(no_run)?;
    let profiler = Profiler::new(session.machine().ok_or_else(no_run)?, limits);
    session.watch(profiler.clone());
    let ran = dry_run::run(&mut node, responder, shown.then_some(sink), stop)?;
    let session = node.session_mut().ok_or_else(no_run)?;
    let has_ended = session.outcome().is_some_and(|outcome| *outcome != stepmark_session::report::RunOutcome::GasLimit);
    let machine = session.machine().ok_or_else(no_run)?;
    let mut profile = profiler.finish(machine, has_ended);
    for function in &mut profile.functions {
        function.name = demangled(&function.name);
    }
    let lines = lines(machine, &profile);
    Ok(Profiled { ran, profile, lines })
}

/// The gas of the instructions by source line; that of code without one is left out.
fn lines(machine: &Machine, profile: &Profile) -> Vec<LineGas> {
    let mut sources: BTreeMap<u32, SourceLines<'_>> = BTreeMap::new();
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for site in &profile.sites {
        let Some(function) = profile.functions.get(site.function) else { continue };
        let Some(instance) = machine.store.instances.get(function.instance as usize) else { continue };
        let source = sources.entry(function.instance).or_insert_with(|| SourceLines::new(instance.module.bytes()));
        if let Some(line) = source.line(site.offset) {
            let gas = lines.entry(line).or_default();
            *gas = gas.saturating_add(site.gas);
        }
    }
    let mut lines: Vec<LineGas> = lines.into_iter().map(|(line, gas)| LineGas { line, gas }).collect();
    lines.sort_by(|a, b| b.gas.cmp(&a.gas).then_with(|| a.line.cmp(&b.line)));
    lines
}

impl Profiled {
    /// The dearest functions and lines, `top` of each, and what was executed.
    pub fn table(&self, top: usize) -> String {
        let Self { ran, profile, lines } = self;
        let mut text = format!("{} gas, {}\n", profile.gas, ran.outcome());
        let counts = profile.instructions;
        text.push_str(&format!("{} instructions: {counts}\n", counts.total()));
        let gas = width("gas", profile.functions.iter().map(|function| function.gas));
        let total = width("with callees", profile.functions.iter().map(|function| function.total_gas));
        let calls = width("calls", profile.functions.iter().map(|function| function.calls));
        let (a, b, c, d) = ("gas", "", "with callees", "calls");
        text.push_str(&format!("{a:>gas$}  {b:>6}  {c:>total$}  {d:>calls$}  function\n"));
        for function in profile.functions.iter().take(top) {
            let FunctionProfile { name, gas: own, total_gas, calls: times, .. } = function;
            let (share, name) = (share(*own, profile.gas), name.escape_debug());
            text.push_str(&format!("{own:>gas$}  {share:>6}  {total_gas:>total$}  {times:>calls$}  {name}\n"));
        }
        more(&mut text, profile.functions.len(), top);
        if lines.is_empty() {
            text.push_str("no source lines: the program has no debug information (DWARF) that can be read\n");
        } else {
            let gas = width("gas", lines.iter().map(|line| line.gas));
            text.push_str(&format!("{:>gas$}  {:>6}  source line\n", "gas", ""));
            for LineGas { line, gas: own } in lines.iter().take(top) {
                let (share, line) = (share(*own, profile.gas), line.escape_debug());
                text.push_str(&format!("{own:>gas$}  {share:>6}  {line}\n"));
            }
            more(&mut text, lines.len(), top);
        }
        if profile.folded_gas > 0 {
            let folded = profile.folded_gas;
            text.push_str(&format!("{folded} gas of calls too deep or too many counts to their callers in stacks"));
        }
        text.trim_end().to_owned()
    }

    /// All of it but the stacks as a JSON object.
    pub fn object(&self) -> Value {
        let Self { ran, profile, lines } = self;
        json!({
            "gas": profile.gas,
            "outside_gas": profile.outside,
            "folded_gas": profile.folded_gas,
            "instructions": profile.instructions,
            "functions": profile.functions,
            "lines": lines.iter().map(|line| json!({ "line": line.line, "gas": line.gas })).collect::<Vec<_>>(),
            "result": ran.receipt,
        })
    }
}

/// Width of a column of numbers under a heading.
fn width(heading: &str, numbers: impl Iterator<Item = u64>) -> usize {
    numbers.map(|number| number.to_string().len()).max().unwrap_or(0).max(heading.len())
}

/// A part in percent, rounded down.
fn share(part: u64, whole: u64) -> String {
    let tenths = u128::from(part).saturating_mul(1000) / u128::from(whole.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn more(text: &mut String, count: usize, top: usize) {
    if let Some(more) = count.checked_sub(top).filter(|more| *more > 0) {
        text.push_str(&format!("and {more} more (all with --json, or --top)\n"));
    }
}
