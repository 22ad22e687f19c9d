//! A function body as a plain list of instructions: immediates read, the operand height before each one known, every
//! branch resolved to the index where it lands. Instructions that validation proves unreachable are left out: no state
//! can ever be there. Heights and indices count stack slots of 64 bits: a vector takes two.

use std::collections::{BTreeMap, BTreeSet};

use super::Op;
use super::locals::Locals;
use crate::module::binary::{EMPTY, Encoded, LANE_SHIFT, Reader, kind_of};
use crate::module::{Module, SlotKind, ValType};
use crate::op::{FREE_CARRIED, Instr};

/// Where a branch lands and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchTarget {
    /// Index of the next instruction; the number of instructions where the branch leaves the function.
    pub index: u32,
    /// Operand height under the values that are carried.
    pub height: u32,
    /// Slots carried.
    pub arity: u32,
}

/// What a `try_table` catches while the next instruction is one of `start..end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// Index of its first instruction.
    pub start: u32,
    /// Index of its `end`.
    pub end: u32,
    /// The innermost handler around it that has clauses.
    pub outer: Option<u32>,
    /// Its clauses, in order.
    pub catches: Vec<Catch>,
}

impl Handler {
    /// Those of a function's handlers that are around an instruction, inner ones first, of which `innermost` is the first.
    pub fn around(handlers: &[Handler], innermost: Option<u32>) -> impl Iterator<Item = &Handler> {
        let handler = |number: u32| &handlers[number as usize];
        std::iter::successors(innermost.map(handler), move |inner| inner.outer.map(handler))
    }
}

/// From the instruction of this index on, until the next change, this handler is the innermost that is open and has clauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlerChange {
    /// Index of the first instruction.
    pub index: u32,
    /// The handler, if one is open.
    pub innermost: Option<u32>,
}

impl HandlerChange {
    /// The innermost handler around the instruction of this index: found by its position, however many have been closed
    /// before it.
    pub fn innermost(changes: &[HandlerChange], index: u32) -> Option<u32> {
        let before = changes.partition_point(|change| change.index <= index);
        changes[..before].last().and_then(|change| change.innermost)
    }
}

/// A clause of a `try_table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Catch {
    /// The index of the tag that it catches; any if none.
    pub tag: Option<u32>,
    /// Whether the reference to the exception is the last that the branch carries.
    pub with_reference: bool,
    /// Which of the targets it goes to.
    pub target: u32,
}

/// A structured block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Operand height under its parameters.
    pub height: u32,
    /// Parameter slots.
    pub params: u32,
    /// Result slots.
    pub results: u32,
}

/// A decoded function body. The immediates of an [`Instr`] by kind:
/// - constants: `imm` the bit pattern, for vectors (and the lanes of `i8x16.shuffle`) the index into `vectors`;
/// - locals: `imm` the slot; globals: `imm` the index; for both, `drop` and `select` `aux` is 1 if the value is a vector;
/// - `ref.func`, calls: `imm` the function index; `call_indirect`: `imm` type index, `aux` table; `call_ref`: `imm` type index;
/// - loads and stores: `imm` offset, `aux` memory and lane, see [`Instr::memory`]; lanes: `imm`;
/// - `throw`: `imm` tag index; `try_table`: `imm` index into `blocks`, `aux` into `handlers`;
/// - `block`, `loop`: `imm` index into `blocks`; `if`: also `aux`, the target when false;
/// - `nop`, `block`, `loop`, `end`: `aux` where the stepper goes on, see `Body::link_markers`;
/// - `br`, `br_if`, `br_on_null`, `br_on_non_null`: `imm` target; `br_table`: `imm` first target, `aux` how many before the default;
/// - `else`: `imm` target past the `end`, `aux` 1 if it cannot be reached from the first arm; `end`: `imm` 1 if it
///   cannot be reached by falling through;
/// - bulk operators: `aux` destination memory or table, `imm` source or segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Bytes that it was decoded from.
    pub bytes: u32,
    /// Parameter slots.
    pub params: u32,
    /// Local slots, parameters included.
    pub locals: u32,
    /// Result slots.
    pub results: u32,
    /// Greatest operand height.
    pub max_height: u32,
    /// The instructions.
    pub instrs: Vec<Instr>,
    /// Branch targets.
    pub targets: Vec<BranchTarget>,
    /// Structured blocks.
    pub blocks: Vec<Block>,
    /// Handlers of exceptions, by ascending start.
    pub handlers: Vec<Handler>,
    /// Where the innermost handler becomes another one, by ascending index.
    pub handler_changes: Vec<HandlerChange>,
    /// Constants of 128 bits.
    pub vectors: Vec<u128>,
}

/// The kinds of the slots of a function's frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindsBefore {
    /// Of the locals.
    pub locals: Vec<SlotKind>,
    /// Of the operands, by index of the next instruction.
    pub operands: BTreeMap<u32, Vec<SlotKind>>,
}

impl Instr {
    /// Index of the memory that a load or store accesses.
    pub fn memory(&self) -> u32 {
        self.aux & ((1 << LANE_SHIFT) - 1)
    }

    /// The lane of a vector that an instruction names.
    pub fn lane(&self) -> u8 {
        if self.op.has_lane() { self.imm as u8 } else { (self.aux >> LANE_SHIFT) as u8 }
    }
}

impl Instr {
    /// Whether this is an `else` or `end` that is not reached by falling through.
    pub(crate) fn is_dead(&self) -> bool {
        match self.op {
            Op::Else => self.aux == 1,
            Op::End => self.imm == 1,
            _ => false,
        }
    }

    /// Whether this is an instruction that does nothing; a function's own `end` is none: it returns.
    pub(crate) fn is_marker(&self) -> bool {
        matches!(self.op, Op::Nop | Op::Block | Op::Loop | Op::End)
    }
}

impl Body {
    /// Notes in every marker where to go on after it: behind all that follow it and are free.
    pub(crate) fn link_markers(&mut self, is_free: impl Fn(Op) -> bool) {
        // The function's own `end` returns.
        let inner = self.instrs.len().saturating_sub(1);
        let mut end_of_run = None;
        for (index, instr) in self.instrs[..inner].iter_mut().enumerate().rev() {
            if !instr.is_marker() {
                end_of_run = None;
                continue;
            }
            let next = index as u32 + 1;
            instr.aux = end_of_run.unwrap_or(next);
            end_of_run = is_free(instr.op).then_some(instr.aux);
        }
    }
}

impl Body {
    /// Decodes a defined function of a validated module.
    ///
    /// # Panics
    /// If `func` is imported: a bug of the caller.
    pub fn decode(module: &Module, func: u32) -> Body {
        let mut decoder = Decoder::new(module, func);
        while decoder.next() {}
        let mut body = decoder.body;
        body.instrs.shrink_to_fit();
        body.targets.shrink_to_fit();
        body
    }

    /// What the slots of a frame of a function hold: its locals, and its operands before each of these instructions. The
    /// body is decoded once for all of them.
    pub fn kinds_before(module: &Module, func: u32, indices: &BTreeSet<u32>) -> KindsBefore {
        let mut decoder = Decoder::new(module, func);
        decoder.watch = indices.iter().rev().copied().collect();
        while !decoder.watch.is_empty() && decoder.next() {}
        KindsBefore { locals: decoder.locals.slot_kinds(), operands: decoder.watched }
    }

    /// Slots of a frame: locals, then operands.
    pub fn frame_slots(&self) -> u32 {
        self.locals + self.max_height
    }

    /// Index of the instruction at a byte offset of the module, if an instruction starts there and can be reached.
    pub fn index_of(&self, offset: u32) -> Option<u32> {
        let index = self.instrs.binary_search_by_key(&offset, |i| i.offset).ok()?;
        (!self.instrs[index].is_dead()).then_some(index as u32)
    }
}

/// Stands for no target, block or handler: more than a function has.
const NONE: u32 = u32::MAX;

/// A block that is open. There may be one for every third byte of a function: it must be small.
struct Label {
    op: Op,
    /// Which of the blocks; [`NONE`] for the function itself.
    block: u32,
    /// For a loop: index of its body. Else the last of the targets to be set once the end is known. Until then each has
    /// the one before it as its index, so that a branch takes no room beside its target.
    landing: u32,
    /// For an `if` without `else` so far: its target when false. For a `try_table`: its handler. Else [`NONE`].
    own: u32,
    /// The block type, for the kinds of parameters and results.
    ty: BlockType,
}

/// What a block takes and leaves.
#[derive(Clone, Copy)]
enum BlockType {
    /// Nothing, or one value that is left.
    Simple(Option<SlotKind>),
    /// The parameters and results of the type of this index.
    Type(u32),
}

struct Decoder<'a> {
    module: &'a Module,
    reader: Reader<'a>,
    /// Byte offset of the body in the module.
    start: usize,
    body: Body,
    locals: Locals,
    labels: Vec<Label>,
    /// The kind of every operand slot; a vector has two.
    kinds: Vec<SlotKind>,
    /// The innermost handler that is open.
    handler: Option<u32>,
    unreachable: bool,
    /// Blocks opened inside unreachable code.
    skipped: u32,
    /// The instructions before which the kinds are wanted, the next one last, and these.
    watch: Vec<u32>,
    watched: BTreeMap<u32, Vec<SlotKind>>,
}

impl<'a> Decoder<'a> {
    fn new(module: &'a Module, func: u32) -> Self {
        let range = module.body(func).expect("BUG: a defined function has a body");
        let mut reader = Reader::new(&module.bytes()[range.clone()]);
        let ty = module.func_type(func);
        let results = ty.result_slots();
        let locals = Locals::new(&ty.params, reader.declared_locals());
        let body = Body {
            handler_changes: Vec::new(),
            bytes: range.len() as u32,
            params: ty.param_slots(),
            locals: locals.slots(),
            results,
            max_height: results,
            // There cannot be more: growing would need room for the old ones beside it.
            instrs: Vec::with_capacity(range.len()),
            targets: Vec::new(),
            blocks: Vec::new(),
            handlers: Vec::new(),
            vectors: Vec::new(),
        };
        let mut decoder = Decoder {
            module,
            reader,
            start: range.start,
            body,
            locals,
            labels: Vec::new(),
            kinds: Vec::new(),
            handler: None,
            unreachable: false,
            skipped: 0,
            watch: Vec::new(),
            watched: BTreeMap::new(),
        };
        let ty = BlockType::Type(module.func_type_index(func));
        decoder.open(Op::Block, NONE, NONE, ty);
        decoder
    }

    /// Decodes one more instruction; `false` at the end.
    fn next(&mut self) -> bool {
        if self.reader.is_at_end() {
            return false;
        }
        let offset = self.start + self.reader.position();
        let instruction = self.reader.instruction();
        if !self.unreachable || self.leaves_unreachable(instruction.op) {
            self.instruction(instruction, offset as u32);
        }
        true
    }

    /// Inside unreachable code only the `else` or `end` of the innermost reachable block matters.
    fn leaves_unreachable(&mut self, op: Op) -> bool {
        match op {
            Op::Block | Op::Loop | Op::If | Op::TryTable => {
                self.skipped += 1;
                false
            }
            Op::End if self.skipped > 0 => {
                self.skipped -= 1;
                false
            }
            Op::End => true,
            Op::Else => self.skipped == 0,
            _ => false,
        }
    }

    fn instruction(&mut self, instruction: Encoded, offset: u32) {
        let Encoded { op, imm, aux } = instruction;
        match op.fixed_arity().or_else(|| plain_arity(op)) {
            Some((pops, pushes)) if !op.is_vector() => {
                self.push(op, offset, imm, aux);
                self.pop(pops);
                self.push_kind(SlotKind::Word, pushes);
            }
            Some((pops, pushes)) => self.vector(instruction, offset, pops, pushes),
            None => self.control(instruction, offset),
        }
    }

    fn vector(&mut self, instruction: Encoded, offset: u32, pops: u32, pushes: u32) {
        let Encoded { op, mut imm, aux } = instruction;
        if matches!(op, Op::V128Const | Op::I8x16Shuffle) {
            imm = self.body.vectors.len() as u64;
            self.body.vectors.push(self.reader.vector(instruction));
        }
        self.push(op, offset, imm, aux);
        self.pop(pops);
        self.push_kind(if pushes == 2 { SlotKind::Vector } else { SlotKind::Word }, pushes);
    }

    /// Instructions whose operands the table alone does not tell.
    fn control(&mut self, instruction: Encoded, offset: u32) {
        let Encoded { op, imm, aux } = instruction;
        let index = imm as u32;
        match op {
            Op::LocalGet | Op::LocalSet | Op::LocalTee => self.local(op, offset, index),
            Op::GlobalGet | Op::GlobalSet => {
                let kind = self.module.globals()[index as usize].0.value.kind();
                self.variable(op, offset, imm, kind);
            }
            Op::Drop | Op::Select => self.parametric(op, offset),
            Op::TableGet => {
                self.push(op, offset, imm, aux);
                self.pop(1);
                self.push_type(ValType::Ref(self.module.tables()[aux as usize].0.element));
            }
            Op::Block | Op::Loop | Op::If => self.block(op, imm.cast_signed(), offset),
            Op::TryTable => self.try_table(instruction, offset),
            Op::Else => self.else_(offset),
            Op::End => self.end(offset),
            Op::Unreachable | Op::Return | Op::ThrowRef => self.jump(op, offset, 0, 0),
            Op::Throw => self.jump(op, offset, imm, 0),
            Op::ReturnCall | Op::ReturnCallIndirect | Op::ReturnCallRef => {
                self.jump(op, offset, imm, aux);
                let ty = if op == Op::ReturnCall { self.module.func_type_index(index) } else { index };
                self.carry_call(ty);
            }
            Op::Br => {
                let target = self.target(index);
                self.jump(op, offset, target, 0);
                self.carry_to(target);
            }
            Op::BrIf => {
                let target = self.target(index);
                self.push(op, offset, target, 0);
                self.carry_to(target);
                self.pop(1);
            }
            // The reference goes on to where it is known not to be null.
            Op::BrOnNull => {
                let target = self.target(index);
                self.push(op, offset, target, 0);
                self.carry_to(target);
            }
            Op::BrOnNonNull => {
                let target = self.target(index);
                self.push(op, offset, target, 0);
                self.carry_to(target);
                self.pop(1);
            }
            Op::BrTable => {
                let first = self.body.targets.len() as u64;
                for depth in self.reader.depths(instruction) {
                    self.target(depth);
                }
                self.jump(op, offset, first, aux);
                self.carry_to(first);
            }
            Op::Call => self.call(op, offset, imm, 0, self.module.func_type_index(index), 0),
            Op::CallIndirect => self.call(op, offset, imm, aux, index, 1),
            Op::CallRef => self.call(op, offset, imm, 0, index, 1),
            _ => unreachable!("BUG: {} has a plain arity", op.mnemonic()),
        }
    }

    fn local(&mut self, op: Op, offset: u32, local: u32) {
        let (slot, kind) = self.locals.find(local);
        self.variable(op, offset, slot.into(), kind);
    }

    /// Reads or writes a local or global of this kind.
    fn variable(&mut self, op: Op, offset: u32, imm: u64, kind: SlotKind) {
        self.push(op, offset, imm, u32::from(kind == SlotKind::Vector));
        match op {
            Op::LocalGet | Op::GlobalGet => self.push_kind(kind, kind.slots()),
            Op::LocalTee => {}
            _ => self.pop(kind.slots()),
        }
    }

    fn parametric(&mut self, op: Op, offset: u32) {
        let condition = usize::from(op == Op::Select);
        let kind = self.kinds[self.kinds.len() - 1 - condition];
        self.push(op, offset, 0, u32::from(kind == SlotKind::Vector));
        self.pop(condition as u32 + kind.slots());
    }

    /// A call of a function of type `ty` that takes `also` operands beside its arguments.
    fn call(&mut self, op: Op, offset: u32, imm: u64, aux: u32, ty: u32, also: u32) {
        self.push(op, offset, imm, aux);
        self.carry_call(ty);
        let ty = &self.module.types()[ty as usize];
        self.pop(ty.param_slots() + also);
        for result in &ty.results {
            self.push_type(*result);
        }
    }

    fn jump(&mut self, op: Op, offset: u32, imm: u64, aux: u32) {
        self.push(op, offset, imm, aux);
        self.unreachable = true;
    }

    fn push(&mut self, op: Op, offset: u32, imm: u64, aux: u32) {
        if self.watch.last() == Some(&self.next_index()) {
            self.watch.pop();
            self.watched.insert(self.next_index(), self.kinds.clone());
        }
        self.body.instrs.push(Instr { op, carried: 0, offset, height: self.height(), aux, imm });
    }

    /// Notes how many slots the last instruction carries.
    fn carry(&mut self, slots: u32) {
        let last = self.body.instrs.last_mut().expect("BUG: an instruction has been added");
        last.carried = u16::try_from(slots.saturating_sub(FREE_CARRIED)).unwrap_or(u16::MAX);
    }

    /// Notes that the last instruction goes to a target.
    fn carry_to(&mut self, target: u64) {
        self.carry(self.body.targets[target as usize].arity);
    }

    /// Notes that the last instruction calls a function of type `ty`.
    fn carry_call(&mut self, ty: u32) {
        let ty = &self.module.types()[ty as usize];
        self.carry(ty.param_slots() + ty.result_slots());
    }

    fn height(&self) -> u32 {
        self.kinds.len() as u32
    }

    fn pop(&mut self, slots: u32) {
        self.kinds.truncate(self.kinds.len() - slots as usize);
    }

    fn push_kind(&mut self, kind: SlotKind, slots: u32) {
        for _ in 0..slots {
            self.kinds.push(kind);
        }
        self.body.max_height = self.body.max_height.max(self.height());
    }

    fn push_type(&mut self, ty: ValType) {
        self.push_kind(ty.kind(), ty.slots());
    }

    fn next_index(&self) -> u32 {
        self.body.instrs.len() as u32
    }

    /// `ty` is an index of a type, or a negative number for no or one result.
    fn block(&mut self, op: Op, ty: i64, offset: u32) {
        let (ty, params, results) = match ty {
            EMPTY => (BlockType::Simple(None), 0, 0),
            ..0 => (BlockType::Simple(Some(kind_of(ty))), 0, kind_of(ty).slots()),
            index => {
                let ty = &self.module.types()[index as usize];
                (BlockType::Type(index as u32), ty.param_slots(), ty.result_slots())
            }
        };
        let taken = u32::from(op == Op::If);
        let block = Block { height: self.height() - taken - params, params, results };
        let index = self.body.blocks.len() as u32;
        self.body.blocks.push(block);
        let own = match op {
            Op::If => self.body.targets.len() as u32,
            Op::TryTable => self.body.handlers.len() as u32 - 1,
            _ => NONE,
        };
        if op == Op::If {
            let base = block.height;
            self.body.targets.push(BranchTarget { index: 0, height: base, arity: params });
        }
        self.push(op, offset, index.into(), if own == NONE { 0 } else { own });
        self.pop(taken);
        self.open(op, index, own, ty);
        if op == Op::TryTable {
            let next = self.next_index();
            let handler = &mut self.body.handlers[own as usize];
            handler.start = next;
            if !handler.catches.is_empty() {
                self.change_handler(next, Some(own));
            }
        }
    }

    fn try_table(&mut self, instruction: Encoded, offset: u32) {
        let clauses = self.reader.clauses(instruction);
        // Most have one or two.
        let mut catches = Vec::with_capacity(clauses.len());
        for clause in clauses {
            let target = self.target(clause.depth) as u32;
            catches.push(Catch { tag: clause.tag, with_reference: clause.with_reference, target });
        }
        self.body.handlers.push(Handler { start: 0, end: 0, outer: self.handler, catches });
        self.block(Op::TryTable, instruction.imm.cast_signed(), offset);
    }

    fn change_handler(&mut self, index: u32, innermost: Option<u32>) {
        self.handler = innermost;
        self.body.handler_changes.push(HandlerChange { index, innermost });
    }

    fn open(&mut self, op: Op, block: u32, own: u32, ty: BlockType) {
        let landing = if op == Op::Loop { self.next_index() } else { NONE };
        self.labels.push(Label { op, block, landing, own, ty });
    }

    /// The block of a label.
    fn block_of(&self, block: u32) -> Block {
        let function = Block { height: 0, params: 0, results: self.body.results };
        self.body.blocks.get(block as usize).copied().unwrap_or(function)
    }

    fn innermost(&mut self) -> &mut Label {
        self.labels.last_mut().expect("BUG: blocks are balanced")
    }

    fn else_(&mut self, offset: u32) {
        let dead = self.unreachable;
        let target = self.body.targets.len();
        self.push(Op::Else, offset, target as u64, dead.into());
        let next = self.next_index();
        let label = self.innermost();
        let before = std::mem::replace(&mut label.landing, target as u32);
        let when_false = std::mem::replace(&mut label.own, NONE);
        let (block, ty) = (label.block, label.ty);
        let block = self.block_of(block);
        self.body.targets.push(BranchTarget { index: before, height: block.height, arity: block.results });
        self.body.targets[when_false as usize].index = next;
        self.kinds.truncate(block.height as usize);
        if let BlockType::Type(index) = ty {
            for param in &self.module.types()[index as usize].params {
                self.push_type(*param);
            }
        }
        self.unreachable = false;
    }

    fn end(&mut self, offset: u32) {
        let index = self.next_index();
        self.push(Op::End, offset, self.unreachable.into(), 0);
        let label = self.labels.pop().expect("BUG: blocks are balanced");
        let mut next = if label.op == Op::Loop { NONE } else { label.landing };
        while let Some(target) = self.body.targets.get_mut(next as usize) {
            next = std::mem::replace(&mut target.index, index + 1);
        }
        match label.op {
            Op::If if label.own != NONE => self.body.targets[label.own as usize].index = index + 1,
            Op::TryTable => {
                let handler = &mut self.body.handlers[label.own as usize];
                handler.end = index;
                if !handler.catches.is_empty() {
                    let outer = handler.outer;
                    self.change_handler(index, outer);
                }
            }
            _ => {}
        }
        self.kinds.truncate(self.block_of(label.block).height as usize);
        match label.ty {
            BlockType::Simple(None) => {}
            BlockType::Simple(Some(kind)) => self.push_kind(kind, kind.slots()),
            BlockType::Type(index) => {
                for result in &self.module.types()[index as usize].results {
                    self.push_type(*result);
                }
            }
        }
        self.unreachable = false;
    }

    /// A new target for a branch out of `depth` blocks.
    fn target(&mut self, depth: u32) -> u64 {
        let target = self.body.targets.len();
        let position = self.labels.len() - 1 - depth as usize;
        let block = self.block_of(self.labels[position].block);
        let label = &mut self.labels[position];
        let (index, arity) = match label.op {
            Op::Loop => (label.landing, block.params),
            _ => (std::mem::replace(&mut label.landing, target as u32), block.results),
        };
        self.body.targets.push(BranchTarget { index, height: block.height, arity });
        target as u64
    }
}

/// Slots taken from and put on the operand stack, for instructions beside the table's that only do that.
fn plain_arity(op: Op) -> Option<(u32, u32)> {
    Some(match op {
        Op::Nop | Op::DataDrop | Op::ElemDrop | Op::RefAsNonNull => (0, 0),
        Op::RefNull | Op::RefFunc | Op::MemorySize | Op::TableSize => (0, 1),
        Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const => (0, 1),
        Op::RefIsNull | Op::MemoryGrow => (1, 1),
        Op::TableSet => (2, 0),
        Op::TableGrow => (2, 1),
        Op::MemoryFill | Op::MemoryCopy | Op::MemoryInit | Op::TableFill | Op::TableCopy | Op::TableInit => (3, 0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::Features;

    fn body(text: &str) -> Body {
        let module = Module::parse(wat::parse_str(text).unwrap(), Features::default()).unwrap();
        Body::decode(&module, 0)
    }

    #[test]
    fn the_innermost_open_handler_is_found_by_position() {
        let body = body(
            "(module (tag $x) (func
                (try_table (catch_all 0)
                    nop
                    (try_table (catch $x 0) nop)
                    (try_table nop)
                    nop)
                (try_table (catch_all 0))
                nop))",
        );
        let innermost: Vec<Option<u32>> =
            (0..).zip(&body.instrs).map(|(index, _)| HandlerChange::innermost(&body.handler_changes, index)).collect();
        let (none, outer, inner) = (None, Some(0), Some(1));
        let expected = [
            // The first `try_table`, its `nop`, the second and its `nop`; its `end` is out of it.
            vec![none, outer, outer, inner, outer],
            // One without clauses is not there.
            vec![outer, outer, outer, outer],
            // The `end`, the last `try_table` that holds nothing, and what follows.
            vec![none, none, none, none, none],
        ];
        assert_eq!(innermost, expected.concat());
    }

    #[test]
    fn markers_that_follow_each_other_are_passed_at_once_and_only_if_they_are_free() {
        let mut body = body(
            "(module (func nop (block (loop nop)) (drop (i32.const 1)) nop (drop (i32.const 1)) nop nop nop nop))",
        );
        let after = |body: &Body| [0, 1, 3, 4, 5, 8, 11, 12].map(|index: usize| body.instrs[index].aux);
        // A `nop`, blocks and their ends; a marker by itself; four at the end: the function's own `end` is none.
        body.link_markers(|_| true);
        assert_eq!(after(&body), [6, 6, 6, 6, 6, 9, 15, 15]);
        body.link_markers(|op| op != Op::End);
        assert_eq!(after(&body), [4, 4, 4, 5, 6, 9, 15, 15]);
    }

    #[test]
    fn what_branches_and_calls_carry_beyond_sixteen_slots_is_noted() {
        let carried = |count: usize, branch: &str| {
            let (types, values) = ("i32 ".repeat(count), "(i32.const 1) ".repeat(count));
            let text = format!("(module (func $f (param {types}) (result {types}) {values} {branch}))");
            let instrs = body(&text).instrs;
            instrs.iter().find(|instr| !matches!(instr.op, Op::I32Const)).map(|instr| instr.carried)
        };
        assert_eq!([0, 16, 17, 1000].map(|count| carried(count, "(br 0)")), [0, 0, 1, 984].map(Some));
        assert_eq!([8, 9, 500].map(|count| carried(count, "(return_call $f)")), [0, 2, 984].map(Some));
    }
}
