//! A function body as a plain list of instructions: immediates read, the operand height before each one known, every
//! branch resolved to the index where it lands. Instructions that validation proves unreachable are left out: no state
//! can ever be there. Heights and indices count stack slots of 64 bits.

use wasmparser::{BinaryReader, BlockType, FunctionBody, Operator};

use super::Op;
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
        Decoder::run(module, func).expect("BUG: the body was validated")
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
    body: Body,
    labels: Vec<Label>,
    height: u32,
    unreachable: bool,
    /// Blocks opened inside unreachable code.
    skipped: u32,
}

impl Decoder<'_> {
    fn run(module: &Module, func: u32) -> wasmparser::Result<Body> {
        let range = module.body(func).expect("BUG: a defined function has a body");
        let reader = BinaryReader::new_features(&module.bytes()[range.clone()], range.start, module.features().0);
        let source = FunctionBody::new(reader);
        let ty = module.func_type(func);
        let (params, results) = (ty.params.len() as u32, ty.results.len() as u32);
        let mut locals = params;
        for group in source.get_locals_reader()? {
            locals += group?.0;
        }
        let body = Body {
            params,
            locals,
            results,
            max_height: results,
            // Two bytes an instruction is what compilers' output comes to.
            instrs: Vec::with_capacity(range.len() / 2),
            targets: Vec::new(),
            blocks: Vec::new(),
        };
        let mut decoder = Decoder { module, body, labels: Vec::new(), height: 0, unreachable: false, skipped: 0 };
        decoder.open(Op::Block, Block { height: 0, params: 0, results });
        let mut operators = source.get_operators_reader()?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            decoder.operator(&operator, offset as u32);
        }
        Ok(decoder.body)
    }

    fn operator(&mut self, operator: &Operator<'_>, offset: u32) {
        if self.unreachable && !self.leaves_unreachable(operator) {
            return;
        }
        if let Some((op, memarg)) = Op::of_simple(operator) {
            let (imm, aux) = memarg.map_or((0, 0), |m| (m.offset, m.memory));
            let (pops, pushes) = op.fixed_arity().expect("BUG: simple instructions have a fixed arity");
            return self.plain(op, offset, imm, aux, pops, pushes);
        }
        self.special(operator, offset);
    }

    /// Inside unreachable code only the `else` or `end` of the innermost reachable block matters.
    fn leaves_unreachable(&mut self, operator: &Operator<'_>) -> bool {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.skipped += 1;
                false
            }
            Operator::End if self.skipped > 0 => {
                self.skipped -= 1;
                false
            }
            Operator::End => true,
            Operator::Else => self.skipped == 0,
            _ => false,
        }
    }

    fn special(&mut self, operator: &Operator<'_>, offset: u32) {
        use Operator as W;
        match *operator {
            W::Nop => self.plain(Op::Nop, offset, 0, 0, 0, 0),
            W::Drop => self.plain(Op::Drop, offset, 0, 0, 1, 0),
            W::Select | W::TypedSelect { .. } => self.plain(Op::Select, offset, 0, 0, 3, 1),
            W::LocalGet { local_index } => self.plain(Op::LocalGet, offset, local_index.into(), 0, 0, 1),
            W::LocalSet { local_index } => self.plain(Op::LocalSet, offset, local_index.into(), 0, 1, 0),
            W::LocalTee { local_index } => self.plain(Op::LocalTee, offset, local_index.into(), 0, 1, 1),
            W::GlobalGet { global_index } => self.plain(Op::GlobalGet, offset, global_index.into(), 0, 0, 1),
            W::GlobalSet { global_index } => self.plain(Op::GlobalSet, offset, global_index.into(), 0, 1, 0),
            W::I32Const { value } => self.plain(Op::I32Const, offset, u64::from(value as u32), 0, 0, 1),
            W::I64Const { value } => self.plain(Op::I64Const, offset, value as u64, 0, 0, 1),
            W::F32Const { value } => self.plain(Op::F32Const, offset, value.bits().into(), 0, 0, 1),
            W::F64Const { value } => self.plain(Op::F64Const, offset, value.bits(), 0, 0, 1),
            W::RefNull { .. } => self.plain(Op::RefNull, offset, 0, 0, 0, 1),
            W::RefIsNull => self.plain(Op::RefIsNull, offset, 0, 0, 1, 1),
            W::RefFunc { function_index } => self.plain(Op::RefFunc, offset, function_index.into(), 0, 0, 1),
            W::MemorySize { mem } => self.plain(Op::MemorySize, offset, 0, mem, 0, 1),
            W::MemoryGrow { mem } => self.plain(Op::MemoryGrow, offset, 0, mem, 1, 1),
            W::MemoryFill { mem } => self.plain(Op::MemoryFill, offset, 0, mem, 3, 0),
            W::MemoryCopy { dst_mem, src_mem } => self.plain(Op::MemoryCopy, offset, src_mem.into(), dst_mem, 3, 0),
            W::MemoryInit { data_index, mem } => self.plain(Op::MemoryInit, offset, data_index.into(), mem, 3, 0),
            W::DataDrop { data_index } => self.plain(Op::DataDrop, offset, data_index.into(), 0, 0, 0),
            W::TableGet { table } => self.plain(Op::TableGet, offset, 0, table, 1, 1),
            W::TableSet { table } => self.plain(Op::TableSet, offset, 0, table, 2, 0),
            W::TableSize { table } => self.plain(Op::TableSize, offset, 0, table, 0, 1),
            W::TableGrow { table } => self.plain(Op::TableGrow, offset, 0, table, 2, 1),
            W::TableFill { table } => self.plain(Op::TableFill, offset, 0, table, 3, 0),
            W::TableCopy { dst_table, src_table } => {
                self.plain(Op::TableCopy, offset, src_table.into(), dst_table, 3, 0)
            }
            W::TableInit { elem_index, table } => self.plain(Op::TableInit, offset, elem_index.into(), table, 3, 0),
            W::ElemDrop { elem_index } => self.plain(Op::ElemDrop, offset, elem_index.into(), 0, 0, 0),
            _ => self.control(operator, offset),
        }
    }

    fn control(&mut self, operator: &Operator<'_>, offset: u32) {
        use Operator as W;
        match *operator {
            W::Block { blockty } => self.block(Op::Block, blockty, offset),
            W::Loop { blockty } => self.block(Op::Loop, blockty, offset),
            W::If { blockty } => self.block(Op::If, blockty, offset),
            W::Else => self.else_(offset),
            W::End => self.end(offset),
            W::Unreachable => self.jump(Op::Unreachable, offset, 0, 0, 0),
            W::Return => self.jump(Op::Return, offset, 0, 0, 0),
            W::Br { relative_depth } => {
                let target = self.target(relative_depth);
                self.jump(Op::Br, offset, target, 0, 0);
            }
            W::BrIf { relative_depth } => {
                let target = self.target(relative_depth);
                self.plain(Op::BrIf, offset, target, 0, 1, 0);
            }
            W::BrTable { ref targets } => {
                let first = self.body.targets.len() as u64;
                for depth in targets.targets() {
                    self.target(depth.expect("BUG: the body was validated"));
                }
                self.target(targets.default());
                self.jump(Op::BrTable, offset, first, targets.len(), 1);
            }
            W::Call { function_index } => {
                let (params, results) = self.arity_of_func(function_index);
                self.plain(Op::Call, offset, function_index.into(), 0, params, results);
            }
            W::ReturnCall { function_index } => {
                let (params, _) = self.arity_of_func(function_index);
                self.jump(Op::ReturnCall, offset, function_index.into(), 0, params);
            }
            W::CallIndirect { type_index, table_index } => {
                let (params, results) = self.arity_of_type(type_index);
                self.plain(Op::CallIndirect, offset, type_index.into(), table_index, params + 1, results);
            }
            W::ReturnCallIndirect { type_index, table_index } => {
                let (params, _) = self.arity_of_type(type_index);
                self.jump(Op::ReturnCallIndirect, offset, type_index.into(), table_index, params + 1);
            }
            _ => unreachable!("BUG: validation lets an unknown instruction pass at offset {offset:#x}"),
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

    fn block(&mut self, op: Op, ty: BlockType, offset: u32) {
        let (params, results) = match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => self.arity_of_type(index),
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
