//! From a decoded body to register code. Operands that are a local or a constant stay where they are until something needs
//! them in their own slot; everything live is in its own slot wherever the engines may change places: at every branch
//! target, after every call, before every [`Inst::Slow`].
//!
//! Gas: a block is a run of instructions that is left only at its end. T(b) is the cost of block b and of what follows it
//! in straight line; the engine's counter holds the exact remainder less the part of T not yet run. So falling into the
//! next block costs nothing, and a taken edge charges T(target) - T(not taken), one constant.

use std::collections::BTreeMap;

use super::{Body, Inst, Instr, Op, Target};
use crate::gas::Schedule;

/// Above this much gas in straight line the chain of blocks is cut, so that the stepper never has far to walk.
const CHAIN_LIMIT: u64 = 4096;

/// What the translator must know of the function's instance.
pub struct Environment<'a> {
    /// Prices.
    pub schedule: &'a Schedule,
    /// Store addresses by function index.
    pub funcs: &'a [u32],
    /// Is the function at this store address the embedder's.
    pub is_host: &'a dyn Fn(u32) -> bool,
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
}

/// A place where either engine can take over: all live values are in their own slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
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
    pub entries: Vec<Entry>,
    /// Slots of a frame.
    pub frame_slots: u32,
}

/// The function does not fit the register form (frame over 65,536 slots, costs or branches out of range): the stepper runs it.
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
    /// Gas of the rest of the chain after the instruction, filled in at the end.
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

/// A finished translation: code, and for the side table where each instruction's code begins.
pub(super) struct Translation {
    pub(super) code: FuncCode,
    pub(super) starts: Vec<(u32, u32)>,
    pub(super) watch: Option<Watch>,
}

struct GasBlock {
    cost: u64,
    /// Control reaches the next block without a charge.
    falls: bool,
}

/// A branch whose target is not placed yet.
struct Fix {
    /// The branch instruction; `None` for the cost of a call's or tick's continuation.
    branch: Option<usize>,
    edge: usize,
    /// The block that the edge leaves, if what follows that block has been charged.
    from: Option<usize>,
    to: Landing,
}

#[derive(Clone, Copy)]
enum Landing {
    /// A branch target by decoded index.
    Index(u32),
    /// Stub by number.
    Stub(usize),
    /// Gas block by number.
    Block(usize),
}

/// Code out of line that carries values to a branch target and goes there.
struct Stub {
    places: Vec<Place>,
    target: Target,
}

pub(super) struct Translator<'a> {
    body: &'a Body,
    environment: &'a Environment<'a>,
    fuse: bool,
    insts: Vec<Inst>,
    stack: Vec<Place>,
    /// All operands below this height are in their own slots.
    settled: usize,
    entries: Vec<Entry>,
    entry_blocks: Vec<usize>,
    blocks: Vec<GasBlock>,
    chain: u64,
    reachable: bool,
    fixes: Vec<Fix>,
    stubs: Vec<Stub>,
    /// Decoded indices where branches land, with their code position and block once placed.
    landings: BTreeMap<u32, (u32, usize)>,
    /// The last instruction and the slot of its result, if it can still be redirected or fused.
    last_result: Option<u16>,
    /// Where the code of the current block begins.
    block_start: usize,
    too_large: bool,
    starts: Vec<(u32, u32)>,
    watch_index: Option<u32>,
    watch: Option<Watch>,
}

impl<'a> Translator<'a> {
    pub(super) fn new(body: &'a Body, environment: &'a Environment<'a>, fuse: bool) -> Self {
        let landings = body.targets.iter().map(|t| (t.index, (0, 0))).collect();
        Self {
            body,
            environment,
            fuse,
            insts: Vec::new(),
            stack: Vec::new(),
            settled: 0,
            entries: Vec::new(),
            entry_blocks: Vec::new(),
            blocks: Vec::new(),
            chain: 0,
            reachable: false,
            fixes: Vec::new(),
            stubs: Vec::new(),
            landings,
            last_result: None,
            block_start: 0,
            too_large: false,
            starts: Vec::new(),
            watch_index: None,
            watch: None,
        }
    }

    /// Also records where operands lie before the instruction of this decoded index.
    pub(super) fn watching(mut self, index: u32) -> Self {
        self.watch_index = Some(index);
        self
    }

    pub(super) fn run(mut self) -> Result<Translation, TooLarge> {
        // One slot more than the frame, so that every slot number plus one fits too.
        if self.body.frame_slots() >= u32::from(u16::MAX) {
            return Err(TooLarge);
        }
        for (index, instr) in self.body.instrs.iter().enumerate() {
            if matches!(instr.op, Op::End | Op::Else) && instr.aux == 1 {
                // No state is ever here: an entry would only hide the one that follows at the same position.
                self.starts.push((self.insts.len() as u32, index as u32));
                continue;
            }
            self.place(index as u32, instr);
            self.starts.push((self.insts.len() as u32, index as u32));
            self.instruction(index as u32, instr);
            if self.too_large {
                return Err(TooLarge);
            }
        }
        if self.reachable {
            self.return_();
        }
        self.emit_stubs();
        self.finish()
    }

    // Blocks and landings.

    fn place(&mut self, index: u32, instr: &Instr) {
        if index == 0 || self.landings.contains_key(&index) || !self.reachable {
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
        self.stack.clear();
        self.stack.resize(height as usize, Place::Slot);
        self.settled = height as usize;
        self.begin_block(falls);
        self.last_result = None;
        self.reachable = true;
        let (pc, block) = (self.insts.len() as u32, self.blocks.len() - 1);
        if let Some(landing) = self.landings.get_mut(&index) {
            *landing = (pc, block);
        }
        self.enter(index);
    }

    /// Cuts the chain: the block to come is charged by an instruction of its own.
    fn charge_next(&mut self) {
        let edge = self.insts.len();
        self.emit(Inst::Charge { cost: 0 });
        self.fixes.push(Fix { branch: None, edge, from: None, to: Landing::Block(self.blocks.len()) });
        self.reachable = false;
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
        self.fixes.push(Fix { branch: None, edge, from: None, to: Landing::Block(self.blocks.len()) });
        self.begin_block(false);
        self.last_result = None;
    }

    /// Makes the place reached an entry, before the instruction `index`.
    fn enter(&mut self, index: u32) {
        self.entries.push(Entry { index, pc: self.insts.len() as u32, cost: 0 });
        self.entry_blocks.push(self.blocks.len() - 1);
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

    fn emit_edge(&mut self) -> usize {
        self.emit(Inst::Edge { cost: 0 });
        self.insts.len() - 1
    }

    fn slot(&self, height: usize) -> u16 {
        (self.body.locals as usize + height) as u16
    }

    /// Pushes an operand that the instruction leaves in its own slot.
    fn push_result(&mut self, inst: impl FnOnce(u16) -> Inst) {
        let slot = self.slot(self.stack.len());
        self.emit(inst(slot));
        self.stack.push(Place::Slot);
        self.last_result = Some(slot);
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
            Place::Local(a) => self.emit(Inst::Copy { d, a }),
            Place::Const(bits) => self.emit_const(d, bits),
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

    // Instructions.

    fn instruction(&mut self, index: u32, instr: &Instr) {
        if self.stack.len() - self.settled > 64 {
            // Bounds the search of release_local on hostile code.
            self.flush();
        }
        if is_slow(instr.op) || self.calls_host(instr) {
            return self.slow(index, instr);
        }
        if self.environment.schedule.is_uncharged_transfer(instr.op) {
            self.tick(index);
        }
        self.charge(self.environment.schedule.cost(instr.op));
        if self.watch_index == Some(index) {
            let (block, charged) = (self.blocks.len() - 1, self.blocks.last().map_or(0, |b| b.cost));
            self.watch = Some(Watch { index, places: self.stack.clone(), rest: 0, block, charged });
        }
        if !self.simple(instr) {
            self.control(index, instr);
        }
    }

    fn calls_host(&self, instr: &Instr) -> bool {
        let address = |func: u64| self.environment.funcs[func as usize];
        matches!(instr.op, Op::Call | Op::ReturnCall) && (self.environment.is_host)(address(instr.imm))
    }

    /// Hands one instruction to the stepper.
    fn slow(&mut self, index: u32, instr: &Instr) {
        self.flush();
        self.emit(Inst::Slow { index });
        self.begin_block(false);
        if instr.op == Op::ReturnCall {
            return self.end_block();
        }
        let next = &self.body.instrs[index as usize + 1];
        self.stack.clear();
        self.stack.resize(next.height as usize, Place::Slot);
        self.settled = self.stack.len();
        self.enter(index + 1);
    }

    fn tick(&mut self, index: u32) {
        self.flush();
        self.emit(Inst::Tick { index });
        let edge = self.emit_edge();
        self.continue_after(edge);
    }

    /// Instructions without control flow.
    fn simple(&mut self, instr: &Instr) -> bool {
        let op = instr.op;
        match op {
            Op::LocalGet => self.local_get(instr.imm as u16),
            Op::LocalSet => self.local_set(instr.imm as u16),
            Op::LocalTee => {
                self.local_set(instr.imm as u16);
                self.stack.push(Place::Local(instr.imm as u16));
            }
            Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const => self.stack.push(Place::Const(instr.imm)),
            Op::RefNull => self.stack.push(Place::Const(0)),
            Op::RefFunc => self.stack.push(Place::Const((self.environment.func_ref)(instr.imm as u32))),
            Op::Drop => {
                self.pop();
            }
            Op::Nop => {}
            Op::Select => self.select(),
            Op::GlobalGet => {
                let global = self.environment.globals[instr.imm as usize];
                self.push_result(|d| Inst::GlobalGet { d, global });
            }
            Op::GlobalSet => {
                let a = self.pop_register();
                self.emit(Inst::GlobalSet { a, global: self.environment.globals[instr.imm as usize] });
            }
            Op::RefIsNull => {
                let a = self.pop_register();
                self.push_result(|d| Inst::RefIsNull { d, a });
            }
            Op::MemorySize => self.push_result(|d| Inst::MemorySize { d }),
            _ => return self.numeric(instr),
        }
        true
    }

    fn numeric(&mut self, instr: &Instr) -> bool {
        let op = instr.op;
        if op.is_memory_access() {
            self.memory_access(instr);
        } else if op.fixed_arity() == Some((1, 1)) {
            let a = self.pop_register();
            self.push_result(|d| Inst::unary(op, d, a).expect("BUG: a row of the table"));
        } else if op.fixed_arity() == Some((2, 1)) {
            self.binary(op);
        } else {
            return false;
        }
        true
    }

    fn binary(&mut self, op: Op) {
        let mut b = self.pop();
        let mut a = self.pop();
        if matches!(a.0, Place::Const(_)) && !matches!(b.0, Place::Const(_)) && is_commutative(op) {
            // The heights go with the places: a constant that must be written needs a slot that is free.
            (a, b) = ((b.0, b.1), (a.0, a.1));
        }
        if let Place::Const(bits) = b.0
            && let Some(imm) = short_immediate(op, bits)
        {
            let left = self.register(a);
            if Inst::with_immediate(op, 0, 0, 0).is_some() {
                return self.push_result(|d| Inst::with_immediate(op, d, left, imm).expect("BUG: a row of the table"));
            }
        }
        let a = self.register(a);
        let b = self.register(b);
        self.push_result(|d| Inst::binary(op, d, a, b).expect("BUG: a row of the table"));
    }

    fn memory_access(&mut self, instr: &Instr) {
        let near = u16::try_from(instr.imm).ok();
        let off = near.unwrap_or(0);
        if instr.op.fixed_arity() == Some((1, 1)) {
            let a = self.pop_register();
            let load = |d| Inst::load(instr.op, d, a, off).expect("BUG: a row of the table");
            if near.is_some() {
                return self.push_result(|d| load(d).0);
            }
            self.push_result(|d| load(d).1);
        } else {
            let value = self.pop();
            let address = self.pop();
            let a = self.register(address);
            let b = self.register(value);
            let (plain, far) = Inst::store(instr.op, a, b, off).expect("BUG: a row of the table");
            self.emit(if near.is_some() { plain } else { far });
        }
        if near.is_none() {
            // Offsets are below 2^32 until 64-bit memories.
            self.emit(Inst::Wide { low: instr.imm as u32, high: (instr.imm >> 32) as u16 });
        }
    }

    fn local_get(&mut self, local: u16) {
        self.stack.push(Place::Local(local));
    }

    fn local_set(&mut self, local: u16) {
        let (place, height) = self.pop();
        let source = self.slot(height);
        let redirect = place == Place::Slot && self.last_result == Some(source);
        if self.release_local(local) || !redirect {
            match place {
                Place::Slot => self.emit(Inst::Copy { d: local, a: source }),
                Place::Local(a) if a == local => {}
                _ => self.emit_place(local, place),
            }
            return;
        }
        match self.insts.last_mut().and_then(Inst::result_mut) {
            Some(result) => {
                *result = local;
                self.last_result = None;
            }
            None => self.emit(Inst::Copy { d: local, a: source }),
        }
    }

    fn select(&mut self) {
        let condition = self.pop();
        let second = self.pop();
        let first = self.pop();
        let c = self.register(condition);
        let a = self.register(second);
        let d = self.slot(first.1);
        self.emit_place(d, first.0);
        self.emit(Inst::Select { d, a, c });
        self.stack.push(Place::Slot);
    }

    // Control.

    fn control(&mut self, index: u32, instr: &Instr) {
        match instr.op {
            Op::Block | Op::Loop => self.flush(),
            Op::If => {
                let branch = self.pop_condition(false);
                // A fused branch reads locals or slots above this height, which settling does not write.
                self.flush();
                let target = self.body.targets[instr.aux as usize];
                self.conditional(branch, target);
            }
            Op::Else => self.jump(self.body.targets[instr.imm as usize]),
            Op::End => {}
            Op::Br => self.jump(self.body.targets[instr.imm as usize]),
            Op::BrIf => {
                let branch = self.pop_condition(true);
                self.conditional(branch, self.body.targets[instr.imm as usize]);
            }
            Op::BrTable => self.br_table(instr),
            Op::Return => {
                self.return_();
            }
            Op::Unreachable => {
                self.emit(Inst::Unreachable);
                self.end_block();
            }
            Op::Call => {
                let func = self.environment.funcs[instr.imm as usize];
                let arity = (self.environment.arity)(func);
                self.flush();
                let base = self.slot(self.stack.len() - arity.0 as usize);
                self.emit(Inst::Call { base, func });
                self.after_call(index, arity);
            }
            Op::CallIndirect => {
                let (params, results) = (self.environment.type_arity)(instr.imm as u32);
                self.flush();
                let top = self.stack.len() - 1;
                let base = self.slot(top - params as usize);
                self.emit(Inst::CallIndirect { base, a: self.slot(top) });
                self.emit_table_and_type(instr);
                self.after_call(index, (params + 1, results));
            }
            Op::ReturnCall => {
                let func = self.environment.funcs[instr.imm as usize];
                let params = (self.environment.arity)(func).0 as usize;
                self.flush();
                let base = self.slot(self.stack.len() - params);
                self.emit(Inst::ReturnCall { base, func });
                self.emit(Inst::Wide { low: index, high: 0 });
                self.end_block();
            }
            Op::ReturnCallIndirect => {
                let params = (self.environment.type_arity)(instr.imm as u32).0 as usize;
                self.flush();
                let top = self.stack.len() - 1;
                self.emit(Inst::ReturnCallIndirect { base: self.slot(top - params), a: self.slot(top) });
                self.emit_table_and_type(instr);
                self.emit(Inst::Wide { low: index, high: 0 });
                self.end_block();
            }
            other => unreachable!("BUG: {} has no register form", other.mnemonic()),
        }
    }

    fn emit_table_and_type(&mut self, instr: &Instr) {
        let table = self.environment.tables[instr.aux as usize];
        let Ok(high) = u16::try_from(table) else {
            self.too_large = true;
            return;
        };
        self.emit(Inst::Wide { low: self.environment.types[instr.imm as usize], high });
    }

    fn after_call(&mut self, index: u32, (params, results): (u32, u32)) {
        let edge = self.emit_edge();
        let height = self.stack.len() - params as usize + results as usize;
        self.stack.truncate(self.stack.len() - params as usize);
        self.stack.resize(height, Place::Slot);
        self.settled = height;
        self.continue_after(edge);
        self.enter(index + 1);
    }

    fn end_block(&mut self) {
        self.reachable = false;
        self.last_result = None;
    }

    /// The branch taken when the popped condition comes out as `holds`; a comparison just computed is fused into it.
    fn pop_condition(&mut self, holds: bool) -> Inst {
        let condition = self.pop();
        let slot = self.slot(condition.1);
        let just_computed = condition.0 == Place::Slot && self.last_result == Some(slot);
        if self.fuse
            && just_computed
            && let Some(branch) = self.fuse_last(holds)
        {
            return branch;
        }
        let a = self.register(condition);
        if holds { Inst::BrNez { a, off: 0 } } else { Inst::BrEqz { a, off: 0 } }
    }

    fn fuse_last(&mut self, holds: bool) -> Option<Inst> {
        let last = *self.insts.last()?;
        let (removed, branch) = match self.negated_comparison(last) {
            Some(comparison) => (2, comparison.fused_branch(!holds)?),
            None => (1, last.fused_branch(holds)?),
        };
        self.insts.truncate(self.insts.len() - removed);
        self.last_result = None;
        Some(branch)
    }

    /// The comparison of this block whose operand slot `last` negates.
    fn negated_comparison(&self, last: Inst) -> Option<Inst> {
        let Inst::I32Eqz { a, .. } = last else { return None };
        let before = self.insts.len().checked_sub(2).filter(|at| *at >= self.block_start)?;
        let comparison = self.insts[before];
        let is_operand = u32::from(a) >= self.body.locals;
        (is_operand && comparison.result() == Some(a)).then(|| comparison.fused_branch(true).map(|_| comparison))?
    }

    fn conditional(&mut self, branch: Inst, target: Target) {
        let height = self.stack.len();
        let arity = target.arity as usize;
        let in_place = target.height as usize + arity == height;
        if in_place && self.stack[height - arity..].iter().all(|p| *p == Place::Slot) && !self.leaves(target) {
            return self.branch(branch, Landing::Index(target.index), true);
        }
        let stub = self.new_stub(target);
        self.branch(branch, Landing::Stub(stub), true);
    }

    fn leaves(&self, target: Target) -> bool {
        target.index as usize == self.body.instrs.len()
    }

    fn new_stub(&mut self, target: Target) -> usize {
        let from = self.stack.len() - target.arity as usize;
        let places = (from..self.stack.len()).map(|h| match self.stack[h] {
            // The operand's own slot, by height, told apart from a local by being beyond the locals.
            Place::Slot => Place::Local(self.slot(h)),
            other => other,
        });
        self.stubs.push(Stub { places: places.collect(), target });
        self.stubs.len() - 1
    }

    /// Emits a branch and its edge; a conditional one goes on in a new block.
    fn branch(&mut self, branch: Inst, to: Landing, conditional: bool) {
        let at = self.insts.len();
        self.emit(branch);
        let edge = self.emit_edge();
        let from = conditional.then(|| self.blocks.len() - 1);
        self.fixes.push(Fix { branch: Some(at), edge, from, to });
        if conditional {
            self.begin_block(true);
        } else {
            self.end_block();
        }
    }

    /// An unconditional branch with its values.
    fn jump(&mut self, target: Target) {
        if self.leaves(target) {
            return self.return_();
        }
        let from = self.stack.len() - target.arity as usize;
        for i in 0..target.arity as usize {
            let (source, d) = (from + i, self.slot(target.height as usize + i));
            match self.stack[source] {
                Place::Slot if source == target.height as usize + i => {}
                Place::Slot => self.emit(Inst::Copy { d, a: self.slot(source) }),
                place => self.emit_place(d, place),
            }
        }
        self.branch(Inst::Br { off: 0 }, Landing::Index(target.index), false);
    }

    fn br_table(&mut self, instr: &Instr) {
        let index = self.pop();
        let first = instr.imm as usize;
        let targets = &self.body.targets[first..=first + instr.aux as usize];
        let a = self.register(index);
        self.emit(Inst::BrTable { a, count: instr.aux });
        let height = self.stack.len();
        for target in targets {
            let arity = target.arity as usize;
            let in_place = target.height as usize + arity == height;
            let settled = self.stack[height - arity..].iter().all(|p| *p == Place::Slot);
            let to = if in_place && settled && !self.leaves(*target) {
                Landing::Index(target.index)
            } else {
                Landing::Stub(self.new_stub(*target))
            };
            self.branch(Inst::Br { off: 0 }, to, false);
        }
    }

    fn return_(&mut self) {
        let count = self.body.results as usize;
        match count {
            0 => self.emit(Inst::Return),
            1 => {
                let a = self.pop_register();
                self.emit(Inst::ReturnOne { a });
            }
            _ => {
                let from = self.stack.len() - count;
                self.flush_from(from);
                self.emit(Inst::ReturnMany { a: self.slot(from), count: count as u32 });
            }
        }
        self.end_block();
    }

    fn emit_stubs(&mut self) {
        for number in 0..self.stubs.len() {
            self.begin_block(false);
            let (pc, block) = (self.insts.len() as u32, self.blocks.len() - 1);
            // Stubs live beyond the decoded indices.
            self.landings.insert(u32::MAX - number as u32, (pc, block));
            let Stub { places, target } = std::mem::replace(
                &mut self.stubs[number],
                Stub { places: Vec::new(), target: Target { index: 0, height: 0, arity: 0 } },
            );
            for (i, place) in places.iter().enumerate() {
                let d = self.slot(target.height as usize + i);
                if *place != Place::Local(d) {
                    self.emit_place(d, *place);
                }
            }
            if self.leaves(target) {
                let a = self.slot(target.height as usize);
                match target.arity {
                    0 => self.emit(Inst::Return),
                    1 => self.emit(Inst::ReturnOne { a }),
                    count => self.emit(Inst::ReturnMany { a, count }),
                }
            } else {
                self.branch(Inst::Br { off: 0 }, Landing::Index(target.index), false);
            }
        }
    }

    // Costs and offsets, once everything is placed.

    fn finish(mut self) -> Result<Translation, TooLarge> {
        let totals = self.totals();
        for fix in &self.fixes {
            let (pc, block) = match fix.to {
                Landing::Index(index) => self.landings[&index],
                Landing::Stub(number) => self.landings[&(u32::MAX - number as u32)],
                Landing::Block(block) => (0, block),
            };
            if let Some(at) = fix.branch {
                let offset = i32::try_from(i64::from(pc) - at as i64).map_err(|_| TooLarge)?;
                if !self.insts[at].set_offset(offset) {
                    return Err(TooLarge);
                }
            }
            let not_taken = fix.from.map_or(0, |block| following(&self.blocks, &totals, block));
            let cost = i64::try_from(totals[block]).ok().and_then(|t| t.checked_sub(i64::try_from(not_taken).ok()?));
            let cost = cost.and_then(|c| i32::try_from(c).ok()).ok_or(TooLarge)?;
            match &mut self.insts[fix.edge] {
                Inst::Edge { cost: place } | Inst::Charge { cost: place } => *place = cost,
                _ => unreachable!("BUG: an instruction carries no cost"),
            }
        }
        for (entry, block) in self.entries.iter_mut().zip(&self.entry_blocks) {
            entry.cost = i32::try_from(totals[*block]).map_err(|_| TooLarge)? as u32;
        }
        if let Some(watch) = &mut self.watch {
            let block = &self.blocks[watch.block];
            watch.rest = block.cost - watch.charged + following(&self.blocks, &totals, watch.block);
        }
        let code = FuncCode { insts: self.insts, entries: self.entries, frame_slots: self.body.frame_slots() };
        Ok(Translation { code, starts: self.starts, watch: self.watch })
    }

    /// T of every block.
    fn totals(&self) -> Vec<u64> {
        let mut totals = vec![0u64; self.blocks.len() + 1];
        for (i, block) in self.blocks.iter().enumerate().rev() {
            totals[i] = block.cost.saturating_add(if block.falls { totals[i + 1] } else { 0 });
        }
        totals
    }
}

/// T of what a block falls into, 0 if it does not.
fn following(blocks: &[GasBlock], totals: &[u64], block: usize) -> u64 {
    if blocks[block].falls { totals[block + 1] } else { 0 }
}

/// Instructions that the stepper executes for the fast engine.
fn is_slow(op: Op) -> bool {
    matches!(
        op,
        Op::MemoryGrow
            | Op::MemoryFill
            | Op::MemoryCopy
            | Op::MemoryInit
            | Op::DataDrop
            | Op::TableGet
            | Op::TableSet
            | Op::TableSize
            | Op::TableGrow
            | Op::TableFill
            | Op::TableCopy
            | Op::TableInit
            | Op::ElemDrop
    )
}

fn is_commutative(op: Op) -> bool {
    matches!(
        op,
        Op::I32Add
            | Op::I32Mul
            | Op::I32And
            | Op::I32Or
            | Op::I32Xor
            | Op::I32Eq
            | Op::I32Ne
            | Op::I64Add
            | Op::I64Mul
            | Op::I64And
            | Op::I64Or
            | Op::I64Xor
            | Op::I64Eq
            | Op::I64Ne
    )
}

/// `bits` as an immediate of 16 bits that the engine sign-extends to the operand's width.
fn short_immediate(op: Op, bits: u64) -> Option<i16> {
    let value = if op.mnemonic().starts_with("i32") { i64::from(bits as u32 as i32) } else { bits as i64 };
    i16::try_from(value).ok()
}
