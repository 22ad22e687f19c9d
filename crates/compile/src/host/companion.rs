//! A companion that a host runs: how a turn of its code begins, what it came to, and which functions are not worth their turns.

use std::collections::BTreeMap;

use stepmark_core::gas::Schedule;
use stepmark_core::machine::ENTER_WORDS;
use stepmark_core::module::Module;

use super::told::Places;
use super::words::words_of;
use crate::companion::{Companion, emit};
use crate::layout::{MOST_SLOTS, frame_bytes, slot_offset};
use crate::points::loop_offsets;

/// Gas that the interpreter charges in the time of a turn, beside what compiled code does in it; and of each frame that is left.
const TURN: i64 = 4_000;
const FRAME: i64 = 300;
/// Gas that may be lost so by the turns of a function, less what others have gained, before it is left to the interpreter: about 10 ms; and
/// less, once so much was lost in all functions.
const MOST_LOST: i64 = 4_000_000;
const MOST_LOST_LATER: i64 = 40_000;
const LOST_IN_ALL: u64 = 40_000_000;
/// Functions that are taken back at once, each of them; later ones wait for others: the module translates anew then.
const TAKEN_AT_ONCE: usize = 16;
const TAKEN_TOGETHER: usize = 64;

/// Gas that compiled code may be given: it counts in 63 bits, and is credited what its first function charges for locals.
pub const MOST_GAS: u64 = 1 << 62;

/// Gas that turns have lost which were not worth their while, in all instances of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost(u64);

impl Lost {
    /// Nothing so far.
    pub const fn new() -> Self {
        Self(0)
    }
}

/// The companion of an instance, without the code that a host has made of it.
#[derive(Clone, Debug)]
pub struct HostedCompanion {
    companion: Companion,
    places: Places,
    /// By function, gas that its turns have lost, less what they have gained.
    lost: BTreeMap<u32, i64>,
    /// How many functions were taken back.
    taken_back: usize,
    /// Functions that are to be taken back with others.
    waiting: Vec<u32>,
}

/// What the module says is to be gone on with.
#[derive(Clone, Copy, Debug)]
pub struct Entering {
    /// The function, by its index in the program.
    pub func: u32,
    /// Byte offset of the instruction; 0 if parts of the instance lie elsewhere now.
    pub offset: u32,
    /// Gas that there is.
    pub gas: u64,
    /// Address of the frame's values: locals, then operands.
    pub values: u32,
    /// How many there are.
    pub count: u32,
    frames: u64,
    slots: u64,
}

/// How a frame is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// The point for `resume`, with the values of the frame in its slots; 0 to `enter` the function with its arguments there.
    pub point: u32,
    /// Address of the frame.
    pub frame: u32,
    /// Address of its slots, to which the values are copied.
    pub slots: u32,
}

impl Entering {
    /// Reads the first words of a workspace.
    pub fn read(bytes: &[u8]) -> Self {
        let mut words = [0; ENTER_WORDS];
        words.iter_mut().zip(words_of(bytes)).for_each(|(place, word)| *place = word);
        let [func, offset, gas, values, count, frames, slots, _] = words;
        let [func, offset, values, count] = [func, offset, values, count].map(|word| word as u32);
        Self { func, offset, gas, values, count, frames, slots }
    }
}

impl HostedCompanion {
    /// Emits those of the `wanted` functions of a program that can be compiled.
    pub fn emit(program: &Module, schedule: &Schedule, places: Places, wanted: &[u32]) -> Self {
        // A function without loops comes to its end soon: to go on in the middle of it is not worth its code.
        let points = wanted.iter().map(|func| (*func, loop_offsets(program, *func)));
        let points = points.filter(|(_, offsets)| !offsets.is_empty()).collect();
        let companion = emit(program, schedule, &places.layout, wanted, &points);
        Self { companion, places, lost: BTreeMap::new(), taken_back: 0, waiting: Vec::new() }
    }

    /// The module to be compiled. It imports the module's memory as `env` `memory`; its exports are those of [`Companion::wasm`].
    pub fn wasm(&self) -> &[u8] {
        &self.companion.wasm
    }

    /// Address of the workspace, whose first words are [`Entering`].
    pub fn workspace(&self) -> u32 {
        self.places.workspace
    }

    /// How many functions are compiled.
    pub fn funcs(&self) -> u64 {
        self.companion.funcs.len() as u64
    }

    /// What is handed over to the module, in words.
    pub fn handed_over(&self) -> Vec<u64> {
        let mut words = Vec::new();
        for (func, entries) in &self.companion.entries {
            words.extend([u64::from(*func), entries.len() as u64]);
            words.extend(entries.iter().flat_map(|(at, entry)| [u64::from(*at), entry.gas.cast_unsigned()]));
        }
        words
    }

    /// How many of a frame's values are locals of its function.
    pub fn locals(&self, func: u32) -> u32 {
        self.companion.funcs.get(&func).map_or(0, |func| func.locals.len() as u32)
    }

    /// How a frame with these locals is entered: `None` if compiled code does not go on with it.
    pub fn entrance(&self, entering: &Entering, locals: &[u64]) -> Option<Entrance> {
        let entry = self.companion.entry(entering.func, entering.offset, locals)?;
        let frame = self.places.place(entering.frames, entering.slots)?;
        Some(Entrance { point: entry.number, frame, slots: frame + slot_offset(0) })
    }

    /// The word of the workspace from which on the results of a function lie that has returned.
    pub fn results(&self, entrance: &Entrance) -> u32 {
        (entrance.slots - self.places.workspace) / 8
    }

    /// Address and length of the bytes by which a turn that was left is read, where the innermost frame lies at this address.
    pub fn left_piece(&self, innermost: u32) -> (u32, u32) {
        let begin = self.places.layout.gas;
        let end = innermost.saturating_add(frame_bytes(MOST_SLOTS)).min(self.places.end());
        (begin, end.saturating_sub(begin))
    }

    /// Address of the word of 32 bits that holds the address of the innermost frame of a turn that was left.
    pub fn innermost(&self) -> u32 {
        self.places.layout.innermost
    }

    /// The frames of a turn that was left, in words as the module takes them, their number, and the gas that is left. `piece` are the
    /// bytes that lie [there](Self::left_piece). `None` if these are not frames of this code.
    pub fn left(&self, entrance: &Entrance, piece: &[u8]) -> Option<(Vec<u64>, u32, u64)> {
        let (gas, rest) = piece.split_first_chunk()?;
        let innermost = u32::from_le_bytes(*rest.first_chunk()?);
        let origin = self.places.layout.gas;
        let outermost = entrance.frame.checked_sub(origin)?;
        let innermost = innermost.checked_sub(origin)?;
        let left = self.companion.left_frames(piece, outermost, innermost, i64::from_le_bytes(*gas))?;
        let mut words = Vec::new();
        for frame in &left.frames {
            words.extend([frame.func.into(), frame.offset.into(), frame.operands.len() as u64]);
            words.extend(frame.locals.iter().chain(&frame.operands));
        }
        Some((words, left.frames.len() as u32, left.gas))
    }

    /// Judges a turn that began in a function, charged so much gas, and left so many frames: what is to be taken back, in words for
    /// the module, if anything is. A function whose turns cost more than they save is left to the interpreter.
    pub fn judge(&mut self, func: u32, spent: u64, frames: u32, in_all: &mut Lost) -> Option<Vec<u64>> {
        let loss = TURN + FRAME * i64::from(frames) - i64::try_from(spent).unwrap_or(i64::MAX).min(MOST_LOST);
        if loss < 0 {
            if let Some(lost) = self.lost.get_mut(&func) {
                *lost = (*lost + loss).max(0);
            }
            return None;
        }
        in_all.0 = in_all.0.saturating_add(loss.cast_unsigned());
        let most = if in_all.0 < LOST_IN_ALL { MOST_LOST } else { MOST_LOST_LATER };
        let lost = self.lost.entry(func).or_default();
        *lost += loss;
        if *lost < most || self.companion.entries.remove(&func).is_none() {
            return None;
        }
        self.taken_back += 1;
        self.waiting.push(func);
        if self.taken_back > TAKEN_AT_ONCE && self.waiting.len() < TAKEN_TOGETHER {
            return None;
        }
        Some(self.waiting.drain(..).flat_map(|func| [u64::from(func), 0]).collect())
    }
}
