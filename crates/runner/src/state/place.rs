//! Where a call stands, in the terms of the program's source; and the call stack of a trap, told like that.

use serde::Serialize;
use stepmark_session::report::{FrameReport, MAX_BACKTRACE, TrapReport};

use super::debug_info::{SourceFrame, SourceLines};
use crate::demangle::demangled;

/// Most lines of a call stack as text.
const MOST_LINES: usize = 16;

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallPlace {
    /// The instance, counted from 0 in the order of creation.
    pub instance: u32,
    /// The function's index in its module.
    pub function: u32,
    /// Its name as the source has it, when the module says it.
    pub name: Option<String>,
    /// Byte offset in the module: of the next instruction.
    pub offset: u32,
    /// `file:line:column`, when the module has debug information.
    pub source: Option<String>,
    /// Functions that the compiler put into this one and that are under way here, innermost first.
    pub inlined: Vec<SourceFrame>,
}

impl CallPlace {
    /// A call by what is known of it. One that is not the innermost has called another: its offset is that of the instruction
    /// after the call, perhaps of another line.
    pub fn new(frame: FrameReport, lines: Option<&SourceLines<'_>>, is_innermost: bool) -> Self {
        let FrameReport { instance, function, name, offset } = frame;
        let asked = if is_innermost { offset } else { offset.saturating_sub(1) };
        let mut inlined = lines.map(|lines| lines.frames(asked)).unwrap_or_default();
        let own = inlined.pop().unwrap_or_default();
        let name = name.filter(|name| !name.is_empty()).map(|name| demangled(&name)).or(own.function);
        Self { instance, function, name, offset, source: own.source, inlined }
    }

    /// Its lines in a call stack, innermost first: those of the functions inlined there, and its own.
    fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let inlined = self.inlined.iter().map(|frame| {
            let name = frame.function.as_deref().unwrap_or("a function").escape_debug();
            let source =
                frame.source.as_ref().map(|source| format!(" at {}", source.escape_debug())).unwrap_or_default();
            format!("{name}{source} (inlined)")
        });
        let function = self.function;
        let name =
            self.name.as_ref().map_or_else(|| format!("function {function}"), |name| name.escape_debug().to_string());
        let instance = if self.instance == 0 { String::new() } else { format!(" of instance {}", self.instance) };
        let place = match &self.source {
            Some(source) => source.escape_debug().to_string(),
            None => format!("offset {:#x}", self.offset),
        };
        inlined.chain(std::iter::once(format!("{name}{instance} at {place}")))
    }
}

/// The call stack of a trap, innermost call first. `modules` are those of the instances, by number, as far as they are there.
pub fn backtrace(report: &TrapReport, modules: &[Option<Vec<u8>>]) -> Vec<CallPlace> {
    let lines: Vec<_> = modules.iter().map(|module| module.as_deref().map(SourceLines::new)).collect();
    let of = |instance: u32| lines.get(usize::try_from(instance).ok()?)?.as_ref();
    let frames = report.backtrace.iter().enumerate();
    frames.map(|(number, frame)| CallPlace::new(frame.clone(), of(frame.instance), number == 0)).collect()
}

/// A call stack in lines of text: the innermost calls, and how many more there are.
pub fn backtrace_lines(frames: &[CallPlace]) -> Vec<String> {
    let mut text = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let mut mark = format!("#{number}");
        for line in frame.lines() {
            if text.len() == MOST_LINES {
                let more = frames.len().saturating_sub(number);
                // A result has no more of them.
                let at_least = if frames.len() < MAX_BACKTRACE { "" } else { "at least " };
                text.push(format!("  ... {at_least}{more} more (--json has them)"));
                return text;
            }
            text.push(format!("  {mark:<3} {line}"));
            mark.clear();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepmark_state::trap::Trap;

    fn frame(function: u32, name: Option<&str>) -> FrameReport {
        FrameReport { instance: 0, function, name: name.map(str::to_owned), offset: 16 }
    }

    #[test]
    fn a_call_stack_shows_sixteen_lines_and_how_many_more_there_are() {
        let backtrace_of = |count| {
            let frames = (0..count).map(|number| frame(number, None)).collect();
            backtrace(&TrapReport { trap: Trap::Unreachable, detail: None, backtrace: frames }, &[None])
        };
        assert_eq!(
            backtrace_lines(&backtrace_of(2)),
            ["  #0  function 0 at offset 0x10", "  #1  function 1 at offset 0x10"]
        );
        assert_eq!(backtrace_lines(&backtrace_of(16)).len(), 16);
        for (count, last) in [(17, "  ... 1 more (--json has them)"), (64, "  ... at least 48 more (--json has them)")]
        {
            assert_eq!(backtrace_lines(&backtrace_of(count)).get(16).map(String::as_str), Some(last));
        }
    }

    #[test]
    fn names_are_those_of_the_source_and_obey_nothing() {
        let inner = frame(1, Some("_ZN1a1b17h0123456789abcdefE"));
        let outer = FrameReport { instance: 2, ..frame(0, Some("\u{1b}[2J")) };
        let report = TrapReport { trap: Trap::Unreachable, detail: None, backtrace: vec![inner, outer] };
        let expected = ["  #0  a::b at offset 0x10", "  #1  \\u{1b}[2J of instance 2 at offset 0x10"];
        assert_eq!(backtrace_lines(&backtrace(&report, &[])), expected);
    }
}
