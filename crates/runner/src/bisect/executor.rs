//! An executor answers questions about one segment: what is the state after so much gas. Any node, engine or runtime can be
//! one; docs/bisect.md has the protocol. This is ours, and the client's end of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use stepmark_session::spec::{JobSpec, SnapshotName};
use stepmark_snapshot::snap;
use stepmark_state::canonical::state_hash;
use stepmark_state::encoding::hex;

use super::chains::take_snapshot;
use crate::failure::{Failure, IO, Result};
use crate::foreign;
use crate::interrupt::Interrupt;
use crate::job::rerun::Rerun;
use crate::node::engine::{Budget, Engine, Event, ModuleSession};
use crate::node::external::{self, RecordedReplies};
use crate::terminal;

/// A moment of a segment: after `gas` units of gas since its start, the last of which may be followed by at most `steps`
/// transfers of control that cost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Gas since the start of the segment.
    pub gas: u64,
    /// Uncharged transfers of control after the last unit.
    pub steps: u64,
}

/// More uncharged steps than any program makes between two units of gas, unless it never ends.
pub const ALL_STEPS: u64 = 1 << 30;

/// Calls of the outside in turn that cost nothing, as many as any program makes in earnest.
const FREE_CALLS: u32 = 1_000_000;

/// Where an executor came to.
pub struct ReachedState {
    /// The `.snap` of the state.
    pub snap: Vec<u8>,
    /// Its `.bin`, which follows those of the chain.
    pub bin: Vec<u8>,
    /// The program has ended; the state stays what it is.
    pub halted: bool,
}

/// Runs a node from snapshot `id` to a position.
///
/// # Errors
/// As those of resuming from it.
pub fn reach(rerun: &Rerun, id: SnapshotName, engine: Engine, position: Position) -> Result<ReachedState> {
    let mut node = engine.start()?;
    node.load(&JobSpec { keep_final: true, ..rerun.from_snapshot(id, Some(u64::MAX), false) })?;
    rerun.supply().feed(node.as_mut(), &Interrupt::new())?;
    let start = node.progress()?.gas_total;
    let mut replay = RecordedReplies::new(rerun.dir());
    let mut run = |gas: u64, steps| run(node.as_mut(), &mut replay, start.saturating_add(gas), steps);
    let mut halted = run(position.gas.saturating_sub(1), ALL_STEPS)?;
    if !halted {
        halted = run(position.gas, position.steps)?;
    }
    if !halted {
        node.encode_pause()?;
    }
    let (snap, bin) = take_snapshot(node.as_mut())?;
    Ok(ReachedState { snap, bin, halted })
}

/// Runs until the gas in total or the steps are reached; whether the program ended.
fn run(node: &mut dyn ModuleSession, replay: &mut RecordedReplies, gas_total: u64, mut steps: u64) -> Result<bool> {
    let mut free = 0_u32;
    loop {
        let before = node.progress()?.gas_total;
        let gas = gas_total.saturating_sub(before);
        let event = external::run(node, Budget { gas, steps }, replay)?;
        node.drop_output()?;
        match event {
            Event::Finished => return Ok(true),
            // It has ended, and what it left behind is being hashed.
            Event::Paused if node.result()?.is_some() => steps = ALL_STEPS,
            Event::Paused => return Ok(false),
            // Steps are counted anew after output was taken. Where a schedule lets a program write for nothing, it is as if it
            // had come to the end of them.
            Event::Output | Event::Question => {
                steps = steps.max(1);
                free = if node.progress()?.gas_total == before { free.saturating_add(1) } else { 0 };
                if free > FREE_CALLS {
                    return Ok(false);
                }
            }
            Event::Snapshot(_) => return Err(Failure::data("a segment without a limit reached it")),
        }
    }
}

impl ReachedState {
    /// Hash of the state.
    pub(super) fn hash(&self) -> Result<String> {
        Ok(hex(&state_hash(&snap::decode(&self.snap)?.state)))
    }
}

/// Answers questions on standard input until it ends, by what `reach` comes to at a position.
///
/// # Errors
/// Exit code 74 when an answer cannot be written.
pub fn serve(reach: &mut dyn FnMut(Position) -> Result<ReachedState>) -> Result<()> {
    let failed = |error: std::io::Error| Failure::new(IO, format!("standard input: {error}"));
    let mut input = std::io::stdin().lock();
    while let Some(line) = read_line(&mut input).map_err(failed)? {
        if line == "quit" {
            break;
        }
        let answer = answer(reach, &line);
        let answer = answer.unwrap_or_else(|failure| format!("error {}", failure.to_string().replace('\n', ";")));
        terminal::print(&answer)?;
    }
    Ok(())
}

/// Bytes of a line at most: a question names a directory, an answer may say what is wrong.
const MAX_LINE: u64 = 64 << 10;

/// The next line; none at the end.
fn read_line(input: &mut dyn BufRead) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    if input.take(MAX_LINE).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == MAX_LINE && !line.ends_with('\n') {
        return Err(std::io::Error::other(format!("a line is longer than {MAX_LINE} bytes")));
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Writes a file that is not there yet: whoever asks is a stranger, and nothing of ours is replaced for him.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    foreign::create_new(path).and_then(|mut file| file.write_all(bytes)).map_err(|error| Failure::io(path, &error))
}

fn answer(reach: &mut dyn FnMut(Position) -> Result<ReachedState>, line: &str) -> Result<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |word: &str| word.parse::<u64>().map_err(|_| Failure::usage(format!("{word:?} is not a number")));
    let position = |gas: &str, steps: &str| -> Result<Position> {
        let steps = if steps == "all" { ALL_STEPS } else { number(steps)? };
        Ok(Position { gas: number(gas)?, steps })
    };
    match words.as_slice() {
        ["hash", gas, steps] => {
            let reached = reach(position(gas, steps)?)?;
            Ok(format!("hash {} {}", reached.hash()?, if reached.halted { "halted" } else { "running" }))
        }
        ["state", gas, steps, dir @ ..] if !dir.is_empty() => {
            let reached = reach(position(gas, steps)?)?;
            let dir = dir.join(" ");
            let stem = if reached.halted { "final" } else { "paused" };
            for (ending, bytes) in [("bin", &reached.bin), ("snap", &reached.snap)] {
                write_new(&Path::new(&dir).join(format!("{stem}.{ending}")), bytes)?;
            }
            Ok(format!("state {stem}"))
        }
        _ => Err(Failure::usage(format!("{line:?}: expected hash GAS STEPS, state GAS STEPS DIR or quit"))),
    }
}

/// An executor in another process.
pub struct ExecutorProcess {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Questions so far.
    pub questions: u32,
}

impl ExecutorProcess {
    /// Starts `command` by the system's shell.
    ///
    /// # Errors
    /// Exit code 74 when it cannot be started.
    pub fn start(name: &str, command: &str) -> Result<Self> {
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        let child = Command::new(shell).args([flag, command]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Failure::new(IO, format!("{name}: {command}: {error}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::new(IO, format!("{name}: no standard input and output")));
        };
        let output = BufReader::new(output);
        Ok(Self { name: name.to_owned(), child, input: Some(input), output, questions: 0 })
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        let ended = || Failure::data(format!("{}: ended without an answer to {question:?}", self.name));
        let Some(input) = &mut self.input else { return Err(ended()) };
        // Whether it ended before it was asked or after comes to the same.
        writeln!(input, "{question}").and_then(|()| input.flush()).map_err(|error| ended().caused_by(error))?;
        let line = read_line(&mut self.output).map_err(|error| ended().caused_by(error))?.ok_or_else(ended)?;
        match line.strip_prefix("error ") {
            Some(error) => Err(Failure::data(format!("{}: {error}", self.name))),
            None => Ok(line),
        }
    }

    /// Hash of the state at a position, and whether the program has ended.
    ///
    /// # Errors
    /// Exit code 65 for an answer that is none.
    pub fn hash(&mut self, position: Position) -> Result<(String, bool)> {
        self.questions += 1;
        let line = self.ask(&format!("hash {} {}", position.gas, position.steps))?;
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["hash", hash, how @ ("running" | "halted")] if hash.len() == 64 => {
                Ok(((*hash).to_owned(), *how == "halted"))
            }
            _ => Err(Failure::data(format!("{}: {line:?} is no answer to a question for a hash", self.name))),
        }
    }

    /// Lets the state at a position be written into `dir`; the id under which it is there.
    ///
    /// # Errors
    /// Exit code 65 for an answer that is none.
    pub fn state(&mut self, position: Position, dir: &Path) -> Result<String> {
        let line = self.ask(&format!("state {} {} {}", position.gas, position.steps, dir.display()))?;
        match line.as_str() {
            "state paused" => Ok("paused".to_owned()),
            "state final" => Ok("final".to_owned()),
            _ => Err(Failure::data(format!("{}: {line:?} is no answer to a question for a state", self.name))),
        }
    }
}

impl Drop for ExecutorProcess {
    fn drop(&mut self) {
        // Without input it ends by itself; if not, it is ended.
        self.input = None;
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
