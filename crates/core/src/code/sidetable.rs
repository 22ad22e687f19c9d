//! Where the canonical state is while the fast engine is inside a block: which instruction, what is charged, where each
//! operand lies. It is needed only at a trap, so it is not kept: translating the one function again gives it.

use super::Body;
pub use super::translate::Place;
use super::translate::{Environment, Translation, Translator};

/// The state at one position of register code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Index of the instruction in the decoded body.
    pub index: u32,
    /// Gas that the counter holds back for the instruction and what follows it in straight line.
    pub rest: u64,
    /// Where the operands lie, from the bottom.
    pub places: Vec<Place>,
}

/// A function's map from register code back to instructions.
pub struct SideTable<'a, 'b> {
    body: &'a Body,
    environment: &'a Environment<'b>,
    fuse: bool,
    starts: Vec<(u32, u32)>,
}

impl<'a, 'b> SideTable<'a, 'b> {
    /// Translates `body` again; `None` if it has no register form.
    pub fn new(body: &'a Body, environment: &'a Environment<'b>) -> Option<Self> {
        let run = |fuse| Translator::new(body, environment, fuse).recording_starts().run().ok();
        let with_starts = |fuse| run(fuse).and_then(|t: Translation| Some((fuse, t.starts?)));
        let (fuse, starts) = with_starts(true).or_else(|| with_starts(false))?;
        Some(Self { body, environment, fuse, starts })
    }

    /// The state before the first of the instructions that the register code at `pc`, relative to the function, stands for.
    pub fn locate(&self, pc: u32) -> Option<Location> {
        let index = self.index_at(pc)?;
        let translation = Translator::new(self.body, self.environment, self.fuse).watching(index).run().ok()?;
        let watch = translation.watch?;
        Some(Location { index: watch.index, rest: watch.rest, places: watch.places })
    }

    /// Index of the first of the instructions that the register code at `pc` stands for.
    pub fn index_at(&self, pc: u32) -> Option<u32> {
        self.starts.iter().rev().find(|(start, _)| *start <= pc).map(|(_, index)| *index)
    }

    /// Where the code of the last instruction begins; stubs follow.
    pub fn last_start(&self) -> u32 {
        self.starts.last().map_or(0, |(start, _)| *start)
    }
}
