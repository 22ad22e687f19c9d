//! From a decoded body to register code. Operands that are a local or a constant stay where they are until something needs
//! them in their own slot; everything live is in its own slot wherever the engines may change places: at every branch
//! target, after every call, before every [`Inst::Slow`].
//!
//! Gas: a block is a run of instructions that is left only at its end. T(b) is the cost of block b and of what follows it
//! in straight line; the engine's counter holds the exact remainder less the part of T not yet run. So falling into the
//! next block costs nothing, and a taken edge charges T(target) - T(not taken), one constant.

mod control;
mod layout;
mod plain;
mod wide;

use std::num::NonZeroU32;

use super::{Body, BranchTarget, Inst, Instr};
use crate::code::Outline;
use crate::gas::Schedule;

/// Above this much gas in straight line the chain of blocks is cut, so that the stepper never has far to walk.
const CHAIN_LIMIT: u64 = 4096;

/// Words of register code (of 8 bytes) that a byte of a function may become, on average; and those that any function may
/// have. A branch that carries many values becomes as many words: a function made of such branches runs on the stepper.
const WORDS_PER_BYTE: usize = 4;
const LEAST_BUDGET: usize = 4096;
/// Frames of fewer slots have register code. One slot more than the frame, so that every slot number plus one fits too.
const MOST_SLOTS: u32 = u16::MAX as u32;
/// Words of a stub beside the values that it carries.
const STUB_WORDS: usize = 2;

/// What the translator must know of the function's instance.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Prices.
    pub schedule: &'a Schedule,
    /// Store addresses by function index.
    pub funcs: &'a [u32],
    /// Whether register code can call the function at this store address itself: one of this instance, not the embedder's or
    /// another module's.
    pub is_own: &'a dyn Fn(u32) -> bool,
    /// Parameter and result slots of the function at this store address.
    pub arity: &'a dyn Fn(u32) -> (u32, u32),
    /// Parameter and result slots by type index.
    pub type_arity: &'a dyn Fn(u32) -> (u32, u32),
    /// The reference to the function of this index.
    pub func_ref: &'a dyn Fn(u32) -> u64,
    /// Type numbers of the store by type index.
    pub types: &'a [u32],
    /// Store addresses by global index.
    pub globals: &'a [u32],
    /// Store addresses by table index.
    pub tables: &'a [u32],
    /// Store addresses by memory index.
    pub memories: &'a [u32],
    /// Whether the memory at this store address has 64-bit addresses.
    pub is_memory64: &'a dyn Fn(u32) -> bool,
    /// Whether it may become larger than 4 GiB.
    pub may_be_huge: &'a dyn Fn(u32) -> bool,
    /// Whether the table at this store address has 64-bit addresses.
    pub is_table64: &'a dyn Fn(u32) -> bool,
    /// Number of the function's first instruction that is executed out of line.
    pub first_outline: u32,
}

impl Environment<'_> {
    /// Whether instructions can reach the memory of this index directly: the first, with 32-bit addresses.
    fn is_direct(&self, memory: u32) -> bool {
        memory == 0 && !self.is_long()
    }

    /// Whether a load or store has a form of its own: one of the first memory, all of which 32 bits of an address and as many of
    /// an offset reach.
    fn is_reached(&self, instr: &Instr) -> bool {
        let huge = || self.memories.first().is_some_and(|address| (self.may_be_huge)(*address));
        instr.memory() == 0 && instr.imm >> 32 == 0 && !huge()
    }

    /// Whether the first memory has 64-bit addresses.
    fn is_long(&self) -> bool {
        self.memories.first().is_some_and(|address| (self.is_memory64)(*address))
    }
}

/// A place where either engine can take over: all live values are in their own slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// Index of the next instruction in the decoded body.
    pub index: u32,
    /// Its position in the function's register code.
    pub pc: u32,
    /// T of the block that begins there: gas that must be left for the fast engine to enter.
    pub cost: u32,
}

/// A function's register code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuncCode {
    /// The instructions.
    pub insts: Vec<Inst>,
    /// The entries, ascending in both `index` and `pc`; the first is the function's own.
    pub entries: Vec<EntryPoint>,
    /// Slots of a frame.
    pub frame_slots: u32,
    /// Instructions executed out of line.
    pub outlines: Vec<Outline>,
}

/// The function does not fit the register form (frame over 65,536 slots, costs or branches out of range, more code than its
/// bytes may become): the stepper runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Where an operand lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its own slot.
    Slot,
    /// In a local, unchanged since it was read.
    Local(u16),
    /// Nowhere: a constant.
    Const(u64),
}

/// What the state is at one instruction inside a block; see [`super::SideTable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watch {
    pub(super) index: u32,
    pub(super) places: Vec<Place>,
    /// Gas of the rest of the chain from the instruction on, filled in at the end.
    pub(super) rest: u64,
    block: usize,
    charged: u64,
}

/// Translates a decoded body.
///
/// # Errors
/// [`TooLarge`].
pub fn translate(body: &Body, environment: &Environment<'_>) -> Result<FuncCode, TooLarge> {
    // Fused branches reach 32,767 instructions; a function where that is not enough does without them.
    let fused = Translator::new(body, environment, true).run();
    fused.or_else(|_| Translator::new(body, environment, false).run()).map(|t| t.code)
}

/// A finished translation: code, and for the side table, if it wanted them, where each instruction's code begins.
pub(super) struct Translation {
    pub(super) code: FuncCode,
    pub(super) starts: Option<Vec<(u32, u32)>>,
    pub watch: Option<Watch>,
}

struct GasBlock {
    cost: u64,
    /// Control reaches the next block without a charge.
    falls: bool,
}

/// An edge whose target is not placed yet. There is one for every target of a branch table: it must be small.
struct Fix {
    /// The word of the edge.
    edge: u32,
    /// The block behind the one that the edge leaves, if what follows that one has been charged.
    behind: Option<NonZeroU32>,
    to: Landing,
}

/// What an edge leads to.
#[derive(Clone, Copy)]
enum Landing {
    /// A branch target by decoded index; the branch is the word before the edge.
    Index(u32),
    /// Stub by number; likewise.
    Stub(u32),
    /// Gas block by number: what follows a call or a tick, with no branch.
    Block(u32),
}

/// Where a branch lands: position of the code, and the block that begins there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Landed {
    pc: u32,
    block: u32,
}

impl Landed {
    /// No branch lands there.
    const NEVER: Landed = Landed { pc: u32::MAX, block: 0 };
    /// Branches will.
    const NOT_YET: Landed = Landed { pc: 0, block: 0 };
}

/// Code out of line that carries values to a branch target and goes there.
struct Stub {
    places: Vec<Place>,
    target: BranchTarget,
}

pub(super) struct Translator<'a> {
    body: &'a Body,
    environment: &'a Environment<'a>,
    fuse: bool,
    insts: Vec<Inst>,
    outlines: Vec<Outline>,
    stack: Vec<Place>,
    /// All operands below this height are in their own slots.
    settled: usize,
    entries: Vec<EntryPoint>,
    entry_blocks: Vec<u32>,
    blocks: Vec<GasBlock>,
    chain: u64,
    reachable: bool,
    fixes: Vec<Fix>,
    stubs: Vec<Stub>,
    /// Values that the stubs carry, all together.
    stub_places: usize,
    /// By decoded index.
    landings: Vec<Landed>,
    /// By number of the stub.
    stub_landings: Vec<Landed>,
    /// The slot of the last instruction's result, if it can still be redirected or fused.
    last_result: Option<u16>,
    /// Where the last instruction with a result begins.
    last_at: usize,
    /// Where the code of the current block begins.
    block_start: usize,
    too_large: bool,
    starts: Option<Vec<(u32, u32)>>,
    watch_index: Option<u32>,
    watch: Option<Watch>,
}

impl<'a> Translator<'a> {
    pub(super) fn new(body: &'a Body, environment: &'a Environment<'a>, fuse: bool) -> Self {
        // Branches out of the function are returns; their index is the number of instructions.
        let mut landings = vec![Landed::NEVER; body.instrs.len() + 1];
        for target in &body.targets {
            landings[target.index as usize] = Landed::NOT_YET;
        }
        // About as many as compilers' output has: growing from nothing would cost more than the unused room.
        let [blocks, edges] = [body.instrs.len() / 6, body.targets.len() + body.instrs.len() / 16].map(|n| n + 4);
        Self {
            body,
            environment,
            fuse,
            // A target of a branch table becomes a branch of two words.
            insts: Vec::with_capacity(body.instrs.len() + 2 * body.targets.len()),
            outlines: Vec::new(),
            stack: Vec::with_capacity(body.max_height.min(MOST_SLOTS) as usize),
            settled: 0,
            entries: Vec::with_capacity(blocks),
            entry_blocks: Vec::with_capacity(blocks),
            blocks: Vec::with_capacity(blocks),
            chain: 0,
            reachable: false,
            fixes: Vec::with_capacity(edges),
            stubs: Vec::new(),
            stub_places: 0,
            landings,
            stub_landings: Vec::new(),
            last_result: None,
            last_at: 0,
            block_start: 0,
            too_large: false,
            starts: None,
            watch_index: None,
            watch: None,
        }
    }

    /// Also records where each instruction's code begins.
    pub(super) fn recording_starts(mut self) -> Self {
        self.starts = Some(Vec::with_capacity(self.body.instrs.len()));
        self
    }

    /// Also records where operands lie before the instruction of this decoded index.
    pub(super) fn watching(mut self, index: u32) -> Self {
        self.watch_index = Some(index);
        self
    }

    pub(super) fn run(mut self) -> Result<Translation, TooLarge> {
        if self.body.frame_slots() >= MOST_SLOTS {
            return Err(TooLarge);
        }
        for (index, instr) in self.body.instrs.iter().enumerate() {
            if instr.is_dead() {
                // No state is ever here: an entry would only hide the one that follows at the same position.
                self.start(index as u32);
                continue;
            }
            self.place(index as u32, instr);
            self.start(index as u32);
            self.instruction(index as u32, instr);
            if self.too_large || self.is_beyond_budget() {
                return Err(TooLarge);
            }
        }
        if self.reachable {
            self.return_();
        }
        self.emit_stubs();
        self.finish()
    }

    /// Whether there is more code, written or still to be written by stubs, than the function's bytes may become.
    fn is_beyond_budget(&self) -> bool {
        let stubs = self.stub_places + self.stubs.len() * STUB_WORDS;
        self.insts.len() + stubs > LEAST_BUDGET + self.body.bytes as usize * WORDS_PER_BYTE
    }

    fn start(&mut self, index: u32) {
        if let Some(starts) = &mut self.starts {
            starts.push((self.insts.len() as u32, index));
        }
    }

    // Blocks and landings.

    fn place(&mut self, index: u32, instr: &Instr) {
        if index == 0 || self.landings[index as usize] != Landed::NEVER || !self.reachable {
            self.land(index, instr.height);
        }
    }

    /// Begins a block where branches land; everything is in its own slot.
    fn land(&mut self, index: u32, height: u32) {
        if self.reachable {
            self.flush();
            if self.chain > CHAIN_LIMIT {
                self.charge_next();
            }
        }
        let falls = self.reachable;
        let here = self.insts.len() as u32;
        if self.entries.last().is_some_and(|e| e.pc == here) && self.blocks.last().is_some_and(|b| b.cost > 0) {
            self.emit(Inst::Nop);
        }
        self.settle_at(height);
        self.begin_block(falls);
        self.last_result = None;
        self.reachable = true;
        self.landings[index as usize] = self.here();
        self.enter(index);
    }

    /// Has so many operands, all in their own slots. Those that were settled before are not looked at again: there may be
    /// tens of thousands of them at each of as many landings.
    fn settle_at(&mut self, height: u32) {
        self.stack.truncate(height as usize);
        let settled = self.settled.min(self.stack.len());
        self.stack[settled..].fill(Place::Slot);
        self.stack.resize(height as usize, Place::Slot);
        self.settled = height as usize;
    }

    /// The block that has just begun.
    fn here(&self) -> Landed {
        Landed { pc: self.insts.len() as u32, block: self.blocks.len() as u32 - 1 }
    }

    /// Cuts the chain: the block to come is charged by an instruction of its own.
    fn charge_next(&mut self) {
        let edge = self.insts.len();
        self.emit(Inst::Charge { cost: 0 });
        self.fix_next(edge);
        self.reachable = false;
    }

    /// The word at `edge` gets the cost of the block to come.
    fn fix_next(&mut self, edge: usize) {
        self.fixes.push(Fix { edge: edge as u32, behind: None, to: Landing::Block(self.blocks.len() as u32) });
    }

    fn begin_block(&mut self, falls: bool) {
        if let Some(last) = self.blocks.last_mut() {
            last.falls = falls;
        }
        if !falls {
            self.chain = 0;
        }
        self.blocks.push(GasBlock { cost: 0, falls: false });
        self.block_start = self.insts.len();
    }

    /// Goes on after an instruction that ends the chain but not the straight line. The word at `edge` gets the cost of
    /// what follows.
    fn continue_after(&mut self, edge: usize) {
        self.fix_next(edge);
        self.begin_block(false);
        self.last_result = None;
    }

    /// Makes the place reached an entry, before the instruction `index`.
    fn enter(&mut self, index: u32) {
        self.entries.push(EntryPoint { index, pc: self.insts.len() as u32, cost: 0 });
        self.entry_blocks.push(self.blocks.len() as u32 - 1);
    }

    fn charge(&mut self, cost: u64) {
        if let Some(block) = self.blocks.last_mut() {
            block.cost += cost;
            self.chain += cost;
        }
    }

    // Emission and operands.

    fn emit(&mut self, inst: Inst) {
        self.insts.push(inst);
        self.last_result = None;
    }

    fn emit_words(&mut self, words: [Inst; 2]) {
        self.insts.extend(words);
        self.last_result = None;
    }

    fn emit_edge(&mut self, extra: u16) -> usize {
        self.emit(Inst::Edge { extra, cost: 0 });
        self.insts.len() - 1
    }

    fn slot(&self, height: usize) -> u16 {
        (self.body.locals as usize + height) as u16
    }

    /// Pushes an operand that the instruction leaves in its own slot.
    fn push_result(&mut self, inst: impl FnOnce(u16) -> Inst) {
        let slot = self.slot(self.stack.len());
        self.last_at = self.insts.len();
        self.emit(inst(slot));
        self.stack.push(Place::Slot);
        self.last_result = Some(slot);
    }

    /// Appends an instruction of two words.
    fn push_words(&mut self, words: [Inst; 2]) {
        self.last_at = self.insts.len();
        self.emit_words(words);
        self.last_result = Some(self.slot(self.stack.len()));
        self.stack.push(Place::Slot);
    }

    /// Appends one of two words that stands for the last instruction too.
    fn push_fused(&mut self, words: [Inst; 2]) {
        self.drop_last();
        self.push_words(words);
    }

    /// Takes the last instruction back.
    fn drop_last(&mut self) {
        self.insts.truncate(self.last_at);
    }

    /// The words of the last instruction, if the popped operand is its result, which nothing else reads.
    fn last_words(&self, (place, height): (Place, usize)) -> Option<&[Inst]> {
        let computed = self.fuse && place == Place::Slot && self.last_result == Some(self.slot(height));
        computed.then(|| &self.insts[self.last_at..])
    }

    /// Where a popped operand can be read without an instruction.
    fn in_slot(&self, (place, height): (Place, usize)) -> Option<u16> {
        match place {
            Place::Slot => Some(self.slot(height)),
            Place::Local(local) => Some(local),
            Place::Const(_) => None,
        }
    }

    fn pop(&mut self) -> (Place, usize) {
        let place = self.stack.pop().expect("BUG: heights are validated");
        self.settled = self.settled.min(self.stack.len());
        (place, self.stack.len())
    }

    /// The slot to read a popped operand from; a constant is written to its own slot first.
    fn register(&mut self, (place, height): (Place, usize)) -> u16 {
        match place {
            Place::Slot => self.slot(height),
            Place::Local(local) => local,
            Place::Const(bits) => {
                let slot = self.slot(height);
                self.emit_const(slot, bits);
                slot
            }
        }
    }

    fn pop_register(&mut self) -> u16 {
        let operand = self.pop();
        // A result that has just been computed may be read without losing it; a constant overwrites nothing.
        let last = self.last_result;
        let register = self.register(operand);
        if operand.0 == Place::Slot {
            self.last_result = last;
        }
        register
    }

    fn emit_const(&mut self, d: u16, bits: u64) {
        if let Ok(value) = u32::try_from(bits) {
            self.emit(Inst::Const32 { d, value });
        } else {
            self.emit(Inst::Const64 { d, low: bits as u32 });
            self.emit(Inst::Wide { low: (bits >> 32) as u32, high: 0 });
        }
    }

    fn emit_place(&mut self, d: u16, place: Place) {
        match place {
            Place::Slot => {}
            Place::Local(a) => self.copy(d, a),
            Place::Const(bits) => self.emit_const(d, bits),
        }
    }

    /// `d = a`, in one instruction with a copy just before it.
    fn copy(&mut self, d: u16, a: u16) {
        match self.insts.last() {
            Some(&Inst::Copy { d: first, a: source }) if self.fuse && self.insts.len() > self.block_start => {
                self.insts.pop();
                self.emit_words([Inst::Copy2 { d: first, a: source, e: d }, Inst::Wide { low: 0, high: a }]);
            }
            _ => self.emit(Inst::Copy { d, a }),
        }
    }

    /// Puts every operand into its own slot.
    fn flush(&mut self) {
        self.flush_from(self.settled);
        self.settled = self.stack.len();
    }

    fn flush_from(&mut self, from: usize) {
        for height in from..self.stack.len() {
            self.settle(height);
        }
    }

    fn settle(&mut self, height: usize) {
        let place = std::mem::replace(&mut self.stack[height], Place::Slot);
        if place != Place::Slot {
            self.emit_place(self.slot(height), place);
        }
    }

    /// Before a local changes: operands that are read from it move to their own slots.
    fn release_local(&mut self, local: u16) -> bool {
        let mut released = false;
        for height in self.settled..self.stack.len() {
            if self.stack[height] == Place::Local(local) {
                self.settle(height);
                released = true;
            }
        }
        released
    }
}
