//! `debug`: goes through a run by commands, forwards and backwards; the text front of a timeline. Commands come from `--execute`
//! and then from standard input, so that a session is a script too.

mod command;

use std::io::{self, BufRead, IsTerminal, Read};

use self::command::{BreakPlace, DebugCommand, HELP};
use crate::cli::inspect::{length_of, timeline_of};
use crate::cli::reply::Reply;
use crate::cli::words::program_and_place;
use crate::flags::LookFlags;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::state::{StateView, hex_dump};
use stepmark_runner::terminal::{complain, print_lines, print_part};
use stepmark_runner::timeline::{Breakpoint, Direction, MemoryRange, Moment, SeekTarget, Timeline, Watched};

/// Arguments of `debug`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DebugArgs {
    /// Directory of the chain
    #[arg(value_name = "DIR [PROGRAM]", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// Do this before standard input is read (repeatable)
    #[arg(short = 'x', long = "execute", value_name = "COMMAND")]
    execute: Vec<String>,
    #[command(flatten)]
    look: LookFlags,
}

/// Most bytes of a line that is typed.
const MOST_LINE: u64 = 1 << 16;
/// Most calls that `stack` shows.
const MOST_CALLS: usize = 64;
/// Most changes that `changes` shows.
const MOST_CHANGES: usize = 100;

/// A timeline, and where it is to stop.
struct Debugger {
    timeline: Timeline,
    stops: Vec<DebugStop>,
}

/// A breakpoint, and how it is told.
struct DebugStop {
    what: String,
    breakpoint: Breakpoint,
}

pub(super) fn execute(args: &DebugArgs) -> Result<Reply> {
    let (program, place) = program_and_place(&args.words, args.look.program.as_deref())?;
    let timeline = timeline_of(place, program, &args.look)?;
    let mut debugger = Debugger { timeline, stops: Vec::new() };
    for line in &args.execute {
        if !debugger.obey(line)? {
            return Ok(0.into());
        }
    }
    let is_typed = io::stdin().is_terminal();
    if is_typed {
        drop(debugger.say_place()?);
    }
    loop {
        if is_typed {
            print_part("(stepmark) ")?;
        }
        let Some(line) = next_line()? else { break };
        match debugger.obey(&line) {
            Ok(true) => {}
            Ok(false) => break,
            // A script ends where it goes wrong.
            Err(failure) if is_typed && !failure.is_silent() => complain(&failure),
            Err(failure) => return Err(failure),
        }
    }
    Ok(0.into())
}

/// The next line of standard input; none at its end.
fn next_line() -> Result<Option<String>> {
    let mut line = String::new();
    let read = io::stdin().lock().take(MOST_LINE).read_line(&mut line);
    match read.map_err(|error| Failure::data(format!("standard input: {error}")))? {
        0 => Ok(None),
        length if length as u64 == MOST_LINE => Err(Failure::usage("standard input: a line is too long")),
        _ => Ok(Some(line)),
    }
}

impl Debugger {
    /// Does what a line says; whether to go on.
    fn obey(&mut self, line: &str) -> Result<bool> {
        let Some(command) = DebugCommand::parse(line)? else { return Ok(true) };
        match command {
            DebugCommand::Quit => return Ok(false),
            DebugCommand::Help => print_lines(HELP)?,
            DebugCommand::Where => self.say_where()?,
            DebugCommand::Stack => self.say_stack()?,
            DebugCommand::State => print_lines(&self.timeline.view()?.to_string())?,
            DebugCommand::Memory(range) => self.say_memory(range)?,
            DebugCommand::Changes(range) => self.say_changes(range)?,
            DebugCommand::Break(place) => self.add_stop(line, &place)?,
            DebugCommand::Breaks => (0..self.stops.len()).try_for_each(|place| self.say_stop(place))?,
            DebugCommand::Delete(place) => self.delete(place)?,
            movement => {
                self.move_by(movement)?;
                drop(self.say_place()?);
            }
        }
        Ok(true)
    }

    fn move_by(&mut self, command: DebugCommand) -> Result<()> {
        match command {
            DebugCommand::Seek(target) => drop(self.timeline.seek(target)?),
            DebugCommand::Walk(count, Direction::Forward) => drop(self.timeline.step(count)?),
            DebugCommand::Walk(count, Direction::Backward) => drop(self.timeline.back(count)?),
            DebugCommand::Over(Direction::Forward) => told(self.timeline.step_over()?, "nothing follows in this call")?,
            DebugCommand::Over(Direction::Backward) => told(self.timeline.back_over()?, "this call begins here")?,
            DebugCommand::Out => told(self.timeline.step_out()?, "this call does not return")?,
            DebugCommand::Run(direction) => self.run(direction)?,
            DebugCommand::Write(range, direction) => self.go_to_write(range, direction)?,
            DebugCommand::Output(fd, byte) => {
                told(self.timeline.run_to_output(fd, byte)?.is_some(), "no such byte is written")?;
            }
            other => unreachable!("BUG: {other:?} does not move"),
        }
        Ok(())
    }

    /// Goes to the nearest breakpoint, or as far as there is anything.
    fn run(&mut self, direction: Direction) -> Result<()> {
        let from = self.timeline.moment();
        let mut met: Option<(Moment, usize)> = None;
        for place in 0..self.stops.len() {
            let found = self.timeline.run_to(&self.stops[place].breakpoint, direction)?;
            self.timeline.seek(SeekTarget::Moment(from))?;
            let Some(moment) = found else { continue };
            let is_nearer = met.is_none_or(|(other, _)| match direction {
                Direction::Forward => moment < other,
                Direction::Backward => moment > other,
            });
            if is_nearer {
                met = Some((moment, place));
            }
        }
        match (met, direction) {
            (Some((moment, place)), _) => {
                self.timeline.seek(SeekTarget::Moment(moment))?;
                self.say_stop(place)
            }
            (None, Direction::Forward) => self.timeline.seek(SeekTarget::End).map(drop),
            (None, Direction::Backward) => self.timeline.seek(SeekTarget::Snapshot(0)).map(drop),
        }
    }

    fn go_to_write(&mut self, range: MemoryRange, direction: Direction) -> Result<()> {
        let here = self.timeline.moment();
        let found = match direction {
            Direction::Forward => self.timeline.next_write(range, here)?,
            Direction::Backward => self.timeline.last_write(range, here)?,
        };
        match found {
            Some(moment) => self.timeline.seek(SeekTarget::Moment(moment)).map(drop),
            None => print_lines("nothing writes there"),
        }
    }

    /// Says in a line where the run is; what there is.
    fn say_place(&mut self) -> Result<StateView> {
        let moment = self.timeline.moment();
        let view = self.timeline.view()?;
        let place = match view.frames.first() {
            _ if self.timeline.is_ended() => format!("the end, {}", view.phase),
            Some(frame) => frame.place(),
            None => view.phase.clone(),
        };
        print_lines(&format!("{moment}: {place}"))?;
        Ok(view)
    }

    fn say_where(&mut self) -> Result<()> {
        let view = self.say_place()?;
        let Some(frame) = view.frames.first() else { return Ok(()) };
        print_lines(&format!("  locals: [{}]", frame.locals.join(", ")))?;
        print_lines(&format!("  operands: [{}]", frame.operands.join(", ")))
    }

    fn say_stack(&mut self) -> Result<()> {
        let view = self.timeline.view()?;
        for (number, frame) in view.frames.iter().take(MOST_CALLS).enumerate() {
            print_lines(&format!("#{number} {}", frame.place()))?;
        }
        match view.frames.len().checked_sub(MOST_CALLS) {
            Some(more) if more > 0 => print_lines(&format!("and {more} more")),
            _ => Ok(()),
        }
    }

    fn say_memory(&mut self, range: MemoryRange) -> Result<()> {
        let bytes = self.timeline.memory(range.memory, range.address, length_of(&range))?;
        print_lines(hex_dump(range.address, &bytes).trim_end())
    }

    fn say_changes(&mut self, range: MemoryRange) -> Result<()> {
        let here = self.timeline.moment();
        let changes = self.timeline.history(Watched::Memory(range), Moment::default(), here, MOST_CHANGES)?;
        let hex = |bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            None => "not there".to_owned(),
        };
        for change in &changes {
            print_lines(&format!("{}: {} -> {}", change.moment, hex(&change.before), hex(&change.after)))?;
        }
        match changes.len() {
            0 => print_lines("no change up to here"),
            MOST_CHANGES => print_lines("and perhaps more"),
            _ => Ok(()),
        }
    }

    fn add_stop(&mut self, line: &str, place: &BreakPlace) -> Result<()> {
        let of_function = |(instance, function)| Breakpoint::Function { instance, function };
        let found = match *place {
            BreakPlace::Call => vec![Breakpoint::HostCall],
            BreakPlace::Function(instance, function) => vec![of_function((instance, function))],
            BreakPlace::Instruction(instance, offset) => vec![Breakpoint::Instruction { instance, offset }],
            BreakPlace::Name(ref name) => self.timeline.functions_named(name)?.into_iter().map(of_function).collect(),
            BreakPlace::Line(ref file, wanted) => return self.add_line_stop(file, wanted),
        };
        if found.is_empty() {
            return Err(Failure::usage(format!("{}: no function has this name", line.trim())));
        }
        found.into_iter().try_for_each(|stop| self.keep_stop(format!("{stop:?}"), stop))
    }

    fn add_line_stop(&mut self, file: &str, wanted: u32) -> Result<()> {
        let Some(found) = self.timeline.line_breakpoint(file, wanted)? else {
            return Err(Failure::usage(format!("{file}:{wanted}: there is no code of this line, nor of one after it")));
        };
        let places = if found.places == 1 { String::new() } else { format!(", in {} places", found.places) };
        self.keep_stop(format!("{file}:{}{places}", found.line), found.breakpoint)
    }

    fn keep_stop(&mut self, what: String, breakpoint: Breakpoint) -> Result<()> {
        self.stops.push(DebugStop { what, breakpoint });
        self.say_stop(self.stops.len() - 1)
    }

    fn say_stop(&self, place: usize) -> Result<()> {
        print_lines(&format!("breakpoint {}: {}", place + 1, self.stops[place].what))
    }

    fn delete(&mut self, place: Option<usize>) -> Result<()> {
        match place {
            None => self.stops.clear(),
            Some(place) if (1..=self.stops.len()).contains(&place) => drop(self.stops.remove(place - 1)),
            Some(place) => return Err(Failure::usage(format!("there is no breakpoint {place}"))),
        }
        Ok(())
    }
}

/// Says why nothing moved.
fn told(moved: bool, otherwise: &str) -> Result<()> {
    if moved { Ok(()) } else { print_lines(otherwise) }
}
