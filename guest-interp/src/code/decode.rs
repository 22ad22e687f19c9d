//! A function body as a plain list of instructions: immediates read, the operand height before each one known, every
//! branch resolved to the index where it lands. Instructions that validation proves unreachable are left out: no state
//! can ever be there. Heights and indices count stack slots of 64 bits.

use super::Op;
use super::binary::{Encoded, Reader};
use crate::module::Module;

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instr {
    /// What it is.
    pub op: Op,
    /// Byte offset in the module.
    pub offset: u32,
    /// Operand slots on the frame's stack before it.
    pub height: u32,
    /// Second immediate: memory, table or count; see [`Body`].
    pub aux: u32,
    /// First immediate: bit pattern, index or offset; see [`Body`].
    pub imm: u64,
}

/// Where a branch lands and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index of the next instruction; the number of instructions where the branch leaves the function.
    pub index: u32,
    /// Operand height under the values that are carried.
    pub height: u32,
    /// Slots carried.
    pub arity: u32,
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
/// - constants: `imm` the bit pattern; locals and globals: `imm` the index; `ref.func`, calls: `imm` the function index;
/// - `call_indirect`: `imm` type index, `aux` table; loads and stores: `imm` offset, `aux` memory;
/// - `block`, `loop`: `imm` index into `blocks`; `if`: also `aux`, the target when false;
/// - `br`, `br_if`: `imm` target; `br_table`: `imm` first target, `aux` how many before the default;
/// - `else`: `imm` target past the `end`, `aux` 1 if it cannot be reached from the first arm; `end`: `aux` 1 if it
///   cannot be reached by falling through;
/// - bulk operators: `aux` destination memory or table, `imm` source or segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
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
    pub targets: Vec<Target>,
    /// Structured blocks.
    pub blocks: Vec<Block>,
}

impl Body {
    /// Decodes a defined function of a validated module.
    ///
    /// # Panics
    /// If `func` is imported: a bug of the caller.
    pub fn decode(module: &Module, func: u32) -> Body {
        Decoder::run(module, func)
    }

    /// Slots of a frame: locals, then operands.
    pub fn frame_slots(&self) -> u32 {
        self.locals + self.max_height
    }

    /// Index of the instruction at a byte offset of the module, if an instruction starts there and can be reached.
    pub fn index_of(&self, offset: u32) -> Option<u32> {
        let index = self.instrs.binary_search_by_key(&offset, |i| i.offset).ok()?;
        let instr = self.instrs[index];
        let dead = matches!(instr.op, Op::End | Op::Else) && instr.aux == 1;
        (!dead).then_some(index as u32)
    }
}

struct Label {
    op: Op,
    block: Block,
    /// Targets to be set once the end is known.
    forward: Vec<usize>,
    /// For a loop: index of its body.
    start: u32,
    /// For an `if` without `else` so far: its target when false.
    when_false: Option<usize>,
}

struct Decoder<'a> {
    module: &'a Module,
    reader: Reader<'a>,
    body: Body,
    labels: Vec<Label>,
    height: u32,
    unreachable: bool,
    /// Blocks opened inside unreachable code.
    skipped: u32,
}

impl Decoder<'_> {
    fn run(module: &Module, func: u32) -> Body {
        let range = module.body(func).expect("BUG: a defined function has a body");
        let mut reader = Reader::new(&module.bytes()[range.clone()]);
        let ty = module.func_type(func);
        let (params, results) = (ty.params.len() as u32, ty.results.len() as u32);
        let body = Body {
            params,
            locals: params + reader.declared_locals(),
            results,
            max_height: results,
            // Two bytes an instruction is what compilers' output comes to.
            instrs: Vec::with_capacity(range.len() / 2),
            targets: Vec::new(),
            blocks: Vec::new(),
        };
        let mut decoder =
            Decoder { module, reader, body, labels: Vec::new(), height: 0, unreachable: false, skipped: 0 };
        decoder.open(Op::Block, Block { height: 0, params: 0, results });
        while !decoder.reader.is_at_end() {
            let offset = range.start + decoder.reader.position();
            let instruction = decoder.reader.instruction();
            if !decoder.unreachable || decoder.leaves_unreachable(instruction.op) {
                decoder.instruction(instruction, offset as u32);
            }
        }
        decoder.body
    }

    /// Inside unreachable code only the `else` or `end` of the innermost reachable block matters.
    fn leaves_unreachable(&mut self, op: Op) -> bool {
        match op {
            Op::Block | Op::Loop | Op::If => {
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
            Some((pops, pushes)) => self.plain(op, offset, imm, aux, pops, pushes),
            None => self.control(instruction, offset),
        }
    }

    fn control(&mut self, instruction: Encoded, offset: u32) {
        let Encoded { op, imm, aux } = instruction;
        let index = imm as u32;
        match op {
            Op::Block | Op::Loop | Op::If => self.block(op, imm.cast_signed(), offset),
            Op::Else => self.else_(offset),
            Op::End => self.end(offset),
            Op::Unreachable | Op::Return => self.jump(op, offset, 0, 0, 0),
            Op::Br => {
                let target = self.target(index);
                self.jump(op, offset, target, 0, 0);
            }
            Op::BrIf => {
                let target = self.target(index);
                self.plain(op, offset, target, 0, 1, 0);
            }
            Op::BrTable => {
                let first = self.body.targets.len() as u64;
                for depth in self.reader.depths(instruction) {
                    self.target(depth);
                }
                self.jump(op, offset, first, aux, 1);
            }
            Op::Call => {
                let (params, results) = self.arity_of_func(index);
                self.plain(op, offset, imm, 0, params, results);
            }
            Op::ReturnCall => {
                let (params, _) = self.arity_of_func(index);
                self.jump(op, offset, imm, 0, params);
            }
            Op::CallIndirect => {
                let (params, results) = self.arity_of_type(index);
                self.plain(op, offset, imm, aux, params + 1, results);
            }
            Op::ReturnCallIndirect => {
                let (params, _) = self.arity_of_type(index);
                self.jump(op, offset, imm, aux, params + 1);
            }
            _ => unreachable!("BUG: {} has a plain arity", op.mnemonic()),
        }
    }

    fn plain(&mut self, op: Op, offset: u32, imm: u64, aux: u32, pops: u32, pushes: u32) {
        self.push(op, offset, imm, aux);
        self.set_height(self.height - pops + pushes);
    }

    fn jump(&mut self, op: Op, offset: u32, imm: u64, aux: u32, pops: u32) {
        self.plain(op, offset, imm, aux, pops, 0);
        self.unreachable = true;
    }

    fn push(&mut self, op: Op, offset: u32, imm: u64, aux: u32) {
        self.body.instrs.push(Instr { op, offset, height: self.height, aux, imm });
    }

    fn set_height(&mut self, height: u32) {
        self.height = height;
        self.body.max_height = self.body.max_height.max(height);
    }

    fn next_index(&self) -> u32 {
        self.body.instrs.len() as u32
    }

    /// `ty` is an index of a type, or a negative number for no or one result.
    fn block(&mut self, op: Op, ty: i64, offset: u32) {
        const EMPTY: i64 = -64;
        let (params, results) = match ty {
            EMPTY => (0, 0),
            ..0 => (0, 1),
            index => self.arity_of_type(index as u32),
        };
        let taken = u32::from(op == Op::If);
        let block = Block { height: self.height - taken - params, params, results };
        let index = self.body.blocks.len() as u64;
        self.body.blocks.push(block);
        let when_false = self.body.targets.len() as u32;
        if op == Op::If {
            let base = block.height;
            self.body.targets.push(Target { index: 0, height: base, arity: params });
        }
        self.plain(op, offset, index, when_false, taken, 0);
        self.open(op, block);
        if op == Op::If {
            self.innermost().when_false = Some(when_false as usize);
        }
    }

    fn open(&mut self, op: Op, block: Block) {
        let start = self.next_index();
        self.labels.push(Label { op, block, forward: Vec::new(), start, when_false: None });
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
        label.forward.push(target);
        let block = label.block;
        let when_false = label.when_false.take().expect("BUG: else belongs to an if");
        self.body.targets.push(Target { index: 0, height: block.height, arity: block.results });
        self.body.targets[when_false].index = next;
        self.set_height(block.height + block.params);
        self.unreachable = false;
    }

    fn end(&mut self, offset: u32) {
        self.push(Op::End, offset, 0, self.unreachable.into());
        let next = self.next_index();
        let label = self.labels.pop().expect("BUG: blocks are balanced");
        for target in label.forward.into_iter().chain(label.when_false) {
            self.body.targets[target].index = next;
        }
        self.set_height(label.block.height + label.block.results);
        self.unreachable = false;
    }

    /// A new target for a branch out of `depth` blocks.
    fn target(&mut self, depth: u32) -> u64 {
        let target = self.body.targets.len();
        let position = self.labels.len() - 1 - depth as usize;
        let label = &mut self.labels[position];
        let arity = if label.op == Op::Loop { label.block.params } else { label.block.results };
        let index = if label.op == Op::Loop { label.start } else { 0 };
        if label.op != Op::Loop {
            label.forward.push(target);
        }
        self.body.targets.push(Target { index, height: label.block.height, arity });
        target as u64
    }

    fn arity_of_func(&self, func: u32) -> (u32, u32) {
        self.arity_of_type(self.module.func_type_index(func))
    }

    fn arity_of_type(&self, ty: u32) -> (u32, u32) {
        let ty = &self.module.types()[ty as usize];
        (ty.params.len() as u32, ty.results.len() as u32)
    }
}

/// Slots taken from and put on the operand stack, for instructions beside the table's that only do that.
fn plain_arity(op: Op) -> Option<(u32, u32)> {
    Some(match op {
        Op::Nop | Op::DataDrop | Op::ElemDrop => (0, 0),
        Op::LocalGet | Op::GlobalGet | Op::RefNull | Op::RefFunc | Op::MemorySize | Op::TableSize => (0, 1),
        Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const => (0, 1),
        Op::Drop | Op::LocalSet | Op::GlobalSet => (1, 0),
        Op::LocalTee | Op::RefIsNull | Op::MemoryGrow | Op::TableGet => (1, 1),
        Op::TableSet => (2, 0),
        Op::TableGrow => (2, 1),
        Op::Select => (3, 1),
        Op::MemoryFill | Op::MemoryCopy | Op::MemoryInit | Op::TableFill | Op::TableCopy | Op::TableInit => (3, 0),
        _ => return None,
    })
}
