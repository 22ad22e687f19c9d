//! Breakpoints at lines of sources.

use std::ops::Range;
use std::sync::Arc;

use stepmark_core::machine::Machine;
use stepmark_tools::lookouts::{Breakpoint, stops_before};

use super::Timeline;
use crate::failure::Result;
use crate::state::SourceLines;

/// Code of an instance, as byte offsets in its module.
type CodeOf = (u32, Vec<Range<u32>>);

/// A breakpoint at a line of a source.
#[derive(Clone, Debug)]
pub struct LineBreakpoint {
    /// The line: the next one with code where the one that was asked for has none.
    pub line: u32,
    /// In how many places its code begins.
    pub places: usize,
    /// The breakpoint: before the first instruction of each of them.
    pub breakpoint: Breakpoint,
}

impl Timeline {
    /// A breakpoint at a line of the files whose path ends with `file`; none where no module has code of them from there on.
    ///
    /// # Errors
    /// Exit code 65 where the run cannot be loaded.
    pub fn line_breakpoint(&self, file: &str, line: u32) -> Result<Option<LineBreakpoint>> {
        let mut code: Vec<(u32, CodeOf)> = Vec::new();
        for (instance, linked) in (0..).zip(&self.here.machine()?.store.instances) {
            let found = SourceLines::new(linked.module.bytes()).code_of(file, line);
            code.extend(found.map(|(line, ranges)| (line, (instance, ranges))));
        }
        let Some(line) = code.iter().map(|(line, _)| *line).min() else { return Ok(None) };
        let code: Vec<CodeOf> = code.into_iter().filter(|(at, _)| *at == line).map(|(_, code)| code).collect();
        let places = code.iter().map(|(_, ranges)| ranges.len()).sum();
        let holds = move |machine: &mut Machine| begins(machine, &code);
        Ok(Some(LineBreakpoint { line, places, breakpoint: Breakpoint::Condition(Arc::new(holds)) }))
    }
}

/// Whether the machine is before the first instruction of one of these that a run can stop at.
fn begins(machine: &mut Machine, code: &[CodeOf]) -> bool {
    let Some((func, index)) = machine.position() else { return false };
    let instance = machine.store.funcs[func as usize].instance;
    let Some((_, ranges)) = code.iter().find(|(of, _)| *of == instance) else { return false };
    let body = machine.body(func);
    let (before, rest) = body.instrs.split_at(index as usize);
    let Some(offset) = rest.first().map(|instr| instr.offset) else { return false };
    let Some(range) = ranges.iter().find(|range| range.contains(&offset)) else { return false };
    let mut of_range = before.iter().rev().take_while(|instr| range.contains(&instr.offset));
    !of_range.any(|instr| stops_before(machine.schedule(), instr))
}
