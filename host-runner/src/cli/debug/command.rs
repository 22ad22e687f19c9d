//! What can be typed in `debug`, and how it is read.

use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::timeline::{Direction, MemoryRange, SeekTarget};

use crate::cli::inspect::memory_range;
use crate::units;

/// What `help` says.
pub(super) const HELP: &str = "\
where (w)                 the moment, the innermost call, its locals and operands
stack (bt)                all calls, innermost first
state                     everything that `inspect` shows
memory [M:]ADDRESS+BYTES  bytes of a memory (m)
seek GAS                  go to the last moment with so much gas; also: start, end, trap, snapshot N
step [N], back [N]        N moments on (s) or back (b)
over, back-over           the same past calls (n, bn)
out                       to where this function has returned
break FUNCTION            stop where a function begins: its name, or its index; [I:]INDEX of instance I
break FILE:LINE           stop where the code of a line begins, in a module with debug information
break OFFSET              stop before the instruction at a byte of the module, such as 0x30; [I:]OFFSET of instance I
break call                stop before calls of host functions
breaks, delete [N]        the breakpoints; take one or all of them away
continue (c)              on to the next breakpoint, or the end
reverse (rc)              back to the last breakpoint before here, or the start
wrote [M:]ADDRESS+BYTES   back to the instruction that wrote there last
writes [M:]ADDRESS+BYTES  on to the instruction that writes there next
changes [M:]ADDRESS+BYTES how these bytes have changed up to here: the first 100 changes
output BYTE, error BYTE   to the call that writes this byte, from 0, of standard output or standard error
help (h), quit (q)        numbers may have units: 10M, 64KiB, 1e9";

/// Most bytes that `memory` and `changes` show.
const MOST_BYTES: u64 = 1 << 16;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DebugCommand {
    Help,
    Quit,
    Where,
    Stack,
    State,
    Memory(MemoryRange),
    Seek(SeekTarget),
    /// So many moments in a direction.
    Walk(u64, Direction),
    /// The same past calls.
    Over(Direction),
    Out,
    Break(BreakPlace),
    Breaks,
    /// One breakpoint, from 1, or all of them.
    Delete(Option<usize>),
    Run(Direction),
    Write(MemoryRange, Direction),
    Changes(MemoryRange),
    /// A byte of standard output (1) or error (2).
    Output(u32, u64),
}

/// Where a breakpoint is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BreakPlace {
    Call,
    /// Functions of this name.
    Name(String),
    /// A function by instance and index.
    Function(u32, u32),
    /// An instruction by instance and byte offset.
    Instruction(u32, u32),
    /// A line of the files whose path ends so.
    Line(String, u32),
}

impl DebugCommand {
    /// Reads a line; nothing on an empty one.
    ///
    /// # Errors
    /// Exit code 2 for what is no command.
    pub(super) fn parse(line: &str) -> Result<Option<Self>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((verb, rest)) = words.split_first() else { return Ok(None) };
        let (range, direction) = (|| Self::range(rest), Self::direction(verb));
        Ok(Some(match (*verb, rest) {
            ("help" | "h" | "?", []) => Self::Help,
            ("quit" | "q" | "exit", []) => Self::Quit,
            ("where" | "w", []) => Self::Where,
            ("stack" | "bt" | "backtrace", []) => Self::Stack,
            ("state", []) => Self::State,
            ("memory" | "m", [_]) => Self::Memory(bounded(range()?)?),
            ("seek", _) => Self::Seek(target(rest)?),
            ("step" | "s" | "back" | "b", []) => Self::Walk(1, direction),
            ("step" | "s" | "back" | "b", [count]) => Self::Walk(number(count)?, direction),
            ("over" | "n" | "back-over" | "bn", []) => Self::Over(direction),
            ("out", []) => Self::Out,
            // Names of functions have spaces in them: those of C++ and Rust.
            ("break", [_, ..]) => Self::Break(break_place(line.trim().trim_start_matches("break").trim())?),
            ("breaks", []) => Self::Breaks,
            ("delete", []) => Self::Delete(None),
            ("delete", [place]) => Self::Delete(Some(small(place)?)),
            ("continue" | "c" | "reverse" | "rc", []) => Self::Run(direction),
            ("wrote" | "writes", [_]) => Self::Write(range()?, direction),
            ("changes", [_]) => Self::Changes(bounded(range()?)?),
            ("output", [byte]) => Self::Output(1, number(byte)?),
            ("error", [byte]) => Self::Output(2, number(byte)?),
            _ => {
                let what = format!("{}: is no command of debug, or has other words behind it", line.trim());
                return Err(Failure::usage(what).help("help lists them"));
            }
        }))
    }

    fn direction(verb: &str) -> Direction {
        match verb {
            "back" | "b" | "back-over" | "bn" | "reverse" | "rc" | "wrote" => Direction::Backward,
            _ => Direction::Forward,
        }
    }

    fn range(words: &[&str]) -> Result<MemoryRange> {
        let text = words.concat();
        let range = memory_range(&text, |text| number(text).ok()).filter(|range| range.length > 0);
        range.ok_or_else(|| Failure::usage(format!("{text}: expected [MEMORY:]ADDRESS+BYTES")))
    }
}

fn bounded(range: MemoryRange) -> Result<MemoryRange> {
    match range.length {
        0..=MOST_BYTES => Ok(range),
        length => Err(Failure::usage(format!("{length} bytes: expected at most {MOST_BYTES}"))),
    }
}

fn target(words: &[&str]) -> Result<SeekTarget> {
    Ok(match words {
        ["start"] => SeekTarget::Snapshot(0),
        ["end"] => SeekTarget::End,
        ["trap"] => SeekTarget::Trap,
        ["snapshot", id] => SeekTarget::Snapshot(number(id)?),
        [gas] => SeekTarget::Gas(number(gas)?),
        _ => return Err(Failure::usage("seek: expected GAS, start, end, trap or snapshot N")),
    })
}

fn break_place(text: &str) -> Result<BreakPlace> {
    if text == "call" {
        return Ok(BreakPlace::Call);
    }
    let is_number = |text: &str| text.starts_with(|letter: char| letter.is_ascii_digit());
    // `a::b:1` is no file's line but a name.
    if let Some((file, line)) = text.rsplit_once(':').filter(|(file, line)| !is_number(file) && is_number(line))
        && !file.ends_with(':')
    {
        return Ok(BreakPlace::Line(file.to_owned(), small(line)?));
    }
    let (instance, place) = match text.split_once(':') {
        Some((instance, place)) if is_number(instance) && is_number(place) => (small(instance)?, place),
        _ => (0, text),
    };
    Ok(match place {
        place if place.starts_with("0x") => BreakPlace::Instruction(instance, small(place)?),
        place if is_number(place) => BreakPlace::Function(instance, small(place)?),
        name => BreakPlace::Name(name.to_owned()),
    })
}

/// A number, also a hexadecimal one.
fn number(text: &str) -> Result<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).map_err(|_| format!("{text:?} is no number")),
        None => units::number(text),
    }
    .map_err(Failure::usage)
}

fn small<N: TryFrom<u64>>(text: &str) -> Result<N> {
    N::try_from(number(text)?).map_err(|_| Failure::usage(format!("{text}: is too large")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Backward, Forward};

    #[test]
    fn commands_are_read_as_their_help_says() {
        let range = |memory, address, length| MemoryRange { memory, address, length };
        let cases = [
            ("w", DebugCommand::Where),
            ("seek 1_000", DebugCommand::Seek(SeekTarget::Gas(1000))),
            ("seek snapshot 3", DebugCommand::Seek(SeekTarget::Snapshot(3))),
            ("seek trap", DebugCommand::Seek(SeekTarget::Trap)),
            ("step 10k", DebugCommand::Walk(10_000, Forward)),
            ("b", DebugCommand::Walk(1, Backward)),
            ("bn", DebugCommand::Over(Backward)),
            ("memory 1:0x10+64", DebugCommand::Memory(range(1, 16, 64))),
            ("wrote 16+4", DebugCommand::Write(range(0, 16, 4), Backward)),
            ("writes 16+4", DebugCommand::Write(range(0, 16, 4), Forward)),
            ("break call", DebugCommand::Break(BreakPlace::Call)),
            ("break 12", DebugCommand::Break(BreakPlace::Function(0, 12))),
            ("break 1:0x30", DebugCommand::Break(BreakPlace::Instruction(1, 48))),
            ("break <A as b::C>::d", DebugCommand::Break(BreakPlace::Name("<A as b::C>::d".to_owned()))),
            ("break src/a b.rs:12", DebugCommand::Break(BreakPlace::Line("src/a b.rs".to_owned(), 12))),
            ("break a::b::1", DebugCommand::Break(BreakPlace::Name("a::b::1".to_owned()))),
            ("delete 2", DebugCommand::Delete(Some(2))),
            ("rc", DebugCommand::Run(Backward)),
            ("error 0", DebugCommand::Output(2, 0)),
        ];
        for (line, command) in cases {
            assert_eq!(DebugCommand::parse(line).unwrap(), Some(command), "{line}");
        }
        assert_eq!(DebugCommand::parse("  ").unwrap(), None);
    }

    #[test]
    fn what_is_no_command_is_refused_with_what_was_expected() {
        let lines =
            ["jump", "where now", "step x", "memory 16", "memory 1+100000", "wrote 4+0", "seek", "break", "break 9:0x"];
        for line in lines {
            assert_eq!(DebugCommand::parse(line).map(|_| ()).unwrap_err().code(), 2, "{line}");
        }
    }
}
