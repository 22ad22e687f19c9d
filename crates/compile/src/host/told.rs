//! What the module says of an instance that is to be compiled (`node_compile`), and how its workspace is divided.

use stepmark_core::machine::ENTER_WORDS;

use super::words::words_of;
use crate::layout::{BEYOND, Layout, TablePlace, frame_bound};

/// Bytes for the gas and the address that compiled code leaves.
const LEFT_WORDS: u32 = 16;

/// What the module says of an instance.
#[derive(Clone, Debug)]
pub struct Told {
    words: Vec<u64>,
}

/// Where things lie in the module's memory.
#[derive(Clone, Debug)]
pub struct Places {
    /// For the code.
    pub layout: Layout,
    /// The workspace.
    pub workspace: u32,
    /// The first frame.
    pub frames: u32,
    /// Bytes for frames.
    area: u32,
}

impl Told {
    const WORKSPACE: usize = 0;
    const MARKS: usize = 1;
    const MEMORY: usize = 3;
    const PROGRAM: usize = 4;
    const SCHEDULE: usize = 6;
    const DEPTH: usize = 8;
    const SLOTS: usize = 9;
    const GLOBALS: usize = 10;

    /// Reads what `node_compile` leaves in the exchange buffer.
    pub fn read(bytes: &[u8]) -> Self {
        Self { words: words_of(bytes).collect() }
    }

    fn word(&self, at: usize) -> u32 {
        self.words.get(at).and_then(|word| u32::try_from(*word).ok()).unwrap_or(0)
    }

    /// The list whose length is at a word, and where the words after it begin.
    fn list(&self, at: usize) -> (Vec<u32>, usize) {
        let end = (at + 1).saturating_add(self.word(at) as usize);
        ((at + 1..end.min(self.words.len())).map(|at| self.word(at)).collect(), end)
    }

    fn tables(&self) -> (Vec<u32>, usize) {
        self.list(self.list(Self::GLOBALS).1)
    }

    /// Address and length of the program.
    pub fn program(&self) -> (u32, u32) {
        (self.word(Self::PROGRAM), self.word(Self::PROGRAM + 1))
    }

    /// Address and length of the text of the job's schedule.
    pub fn schedule(&self) -> (u32, u32) {
        (self.word(Self::SCHEDULE), self.word(Self::SCHEDULE + 1))
    }

    /// Functions that have run.
    pub fn called(&self) -> Vec<u32> {
        let (_, begin) = self.tables();
        (begin..self.words.len()).map(|at| self.word(at)).collect()
    }

    /// Words of the workspace that an instance of a program of so many functions needs, with so many bytes for frames: about half as many
    /// as the host's stack has, which holds them too.
    pub fn workspace_words(&self, funcs: u32, area: u32) -> u32 {
        let fixed = (ENTER_WORDS + self.tables().0.len()) as u32 + LEFT_WORDS / 8;
        fixed + funcs.div_ceil(2) + area.saturating_add(BEYOND) / 8
    }

    /// How the workspace is divided: `None` if the job allows too little to compile for.
    pub fn places(&self, instance: u32, funcs: u32, area: u32) -> Option<Places> {
        let workspace = self.word(Self::WORKSPACE);
        let (tables, sizes) = (self.tables().0, workspace + 8 * ENTER_WORDS as u32);
        let gas = sizes + 8 * tables.len() as u32;
        let signatures = gas + LEFT_WORDS;
        let frames = signatures + 8 * funcs.div_ceil(2);
        let bound = frame_bound(self.word(Self::DEPTH).into(), self.word(Self::SLOTS).into(), area.into())?;
        let table = |(number, elements): (u32, u32)| TablePlace { elements, size: sizes + 8 * number };
        let layout = Layout {
            instance,
            memory: self.word(Self::MEMORY),
            memory_size: workspace + 8 * (ENTER_WORDS as u32 - 1),
            marks: self.word(Self::MARKS),
            globals: self.list(Self::GLOBALS).0,
            tables: (0..).zip(tables).map(table).collect(),
            signatures,
            gas,
            innermost: gas + 8,
            frame_limit: frames + bound,
        };
        Some(Places { layout, workspace, frames, area })
    }
}

impl Places {
    /// Where a frame is put, so that no more frames and slots come above it than the job allows: `None` if that is nowhere.
    pub(super) fn place(&self, frames: u64, slots: u64) -> Option<u32> {
        let bound = frame_bound(frames, slots, self.area.into())?;
        Some(self.layout.frame_limit.saturating_sub(bound).max(self.frames))
    }

    /// The first byte after the frames.
    pub(super) fn end(&self) -> u32 {
        self.frames + self.area + BEYOND
    }
}
