//! Instructions without control flow: operands that stay virtual, immediates, results that go straight into a local.

use super::{Place, Translator, Watch};
use crate::code::inst::Address;
use crate::code::{Inst, Instr, Op};

impl Translator<'_> {
    pub(super) fn instruction(&mut self, index: u32, instr: &Instr) {
        if self.stack.len() - self.settled > 64 {
            // Bounds the search of release_local on hostile code.
            self.flush();
        }
        if self.is_slow(instr) || self.calls_out(instr) {
            return self.slow(index, instr);
        }
        if self.environment.schedule.is_uncharged_transfer(instr.op) {
            self.tick(index);
        }
        if self.watch_index == Some(index) {
            let (block, charged) = (self.blocks.len() - 1, self.blocks.last().map_or(0, |b| b.cost));
            self.watch = Some(Watch { index, places: self.stack.clone(), rest: 0, block, charged });
        }
        self.charge(self.environment.schedule.cost_of(instr));
        if !self.simple(instr) {
            self.control(index, instr);
        }
    }

    pub(super) fn calls_out(&self, instr: &Instr) -> bool {
        let address = |func: u64| self.environment.funcs[func as usize];
        matches!(instr.op, Op::Call | Op::ReturnCall) && !(self.environment.is_own)(address(instr.imm))
    }

    /// Whether it is one that the stepper executes for the register tier.
    fn is_slow(&self, instr: &Instr) -> bool {
        let direct = |memory: u32| self.environment.is_direct(memory);
        match instr.op {
            Op::MemoryCopy => !direct(instr.aux) || !direct(instr.imm as u32),
            Op::MemoryFill => !direct(instr.aux),
            Op::MemorySize => instr.aux != 0,
            Op::CallIndirect | Op::ReturnCallIndirect => {
                (self.environment.is_table64)(self.environment.tables[instr.aux as usize])
            }
            Op::MemoryGrow | Op::MemoryInit | Op::DataDrop => true,
            Op::TableGet | Op::TableSet | Op::TableSize | Op::TableGrow => true,
            Op::TableFill | Op::TableCopy | Op::TableInit | Op::ElemDrop => true,
            Op::Throw | Op::ThrowRef => true,
            _ => false,
        }
    }

    /// Hands one instruction to the stepper.
    pub(super) fn slow(&mut self, index: u32, instr: &Instr) {
        self.flush();
        self.emit(Inst::Slow { index });
        self.begin_block(false);
        if matches!(instr.op, Op::ReturnCall | Op::ReturnCallIndirect | Op::Throw | Op::ThrowRef) {
            return self.end_block();
        }
        self.settle_at(self.body.instrs[index as usize + 1].height);
        self.enter(index + 1);
    }

    pub(super) fn tick(&mut self, index: u32) {
        self.flush();
        self.emit(Inst::Tick { index });
        let edge = self.emit_edge(0);
        self.continue_after(edge);
    }

    /// Instructions without control flow.
    pub(super) fn simple(&mut self, instr: &Instr) -> bool {
        let op = instr.op;
        if instr.aux == 1 && self.wide_variable(instr) {
            return true;
        }
        match op {
            Op::LocalGet => self.stack.push(Place::Local(instr.imm as u16)),
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
            Op::RefAsNonNull => {
                let operand = self.pop();
                let a = self.register(operand);
                self.emit(Inst::RefAsNonNull { a });
                self.stack.push(operand.0);
            }
            Op::MemorySize => self.push_result(|d| Inst::MemorySize { d }),
            _ => return self.numeric(instr),
        }
        true
    }

    pub(super) fn numeric(&mut self, instr: &Instr) -> bool {
        let op = instr.op;
        if op.is_vector() && self.vector_access(instr) {
            return true;
        }
        if op.is_vector() || (op.is_memory_access() && !self.environment.is_reached(instr)) {
            self.outline(instr);
        } else if op.is_memory_access() {
            self.memory_access(instr);
        } else if keeps_bits(op) {
            // The slot already holds the result.
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

    pub(super) fn binary(&mut self, op: Op) {
        let mut b = self.pop();
        let mut a = self.pop();
        if matches!(a.0, Place::Const(_)) && !matches!(b.0, Place::Const(_)) && is_commutative(op) {
            // The heights go with the places: a constant that must be written needs a slot that is free.
            (a, b) = ((b.0, b.1), (a.0, a.1));
        }
        if let Some(fused) = self.fuse_binary(op, a, b) {
            return self.push_fused(fused);
        }
        let d = self.slot(self.stack.len());
        if let Place::Const(bits) = b.0 {
            let immediate = short_immediate(op, bits).and_then(|imm| Inst::with_immediate(op, d, 0, imm));
            if immediate.is_some() || Inst::with_constant(op, d, 0, bits).is_some() {
                let a = self.register_for(op, a);
                return match short_immediate(op, bits).and_then(|imm| Inst::with_immediate(op, d, a, imm)) {
                    Some(inst) => self.push_result(|_| inst),
                    None => self.push_words(Inst::with_constant(op, d, a, bits).expect("BUG: as before")),
                };
            }
        }
        let a = if matches!(b.0, Place::Const(_)) { self.register(a) } else { self.register_for(op, a) };
        let b = self.register_for(op, b);
        self.push_result(|d| Inst::binary(op, d, a, b).expect("BUG: a row of the table"));
    }

    /// `op` together with the last instruction, whose result is one of the popped operands.
    fn fuse_binary(&self, op: Op, a: (Place, usize), b: (Place, usize)) -> Option<[Inst; 2]> {
        let d = self.slot(self.stack.len());
        let Some(first) = self.last_words(a) else {
            return Inst::fuse(self.last_words(b)?, op, d, self.in_slot(a)?, !is_commutative(op));
        };
        match (b.0, first) {
            (Place::Const(bits), [first]) => {
                first.then_immediate(Inst::with_immediate(op, d, 0, short_immediate(op, bits)?)?)
            }
            _ => Inst::fuse(first, op, d, self.in_slot(b)?, false),
        }
    }

    /// The slot to read a popped i32 from, for the instruction that is emitted next. What wraps an i64 to it need not run:
    /// whoever reads the slot as 32 bits does the same. Nothing may come between, for at a trap the state would be taken
    /// for that after the wrap.
    fn register_i32(&mut self, operand: (Place, usize)) -> u16 {
        if let Some([Inst::I32WrapI64 { a, .. }]) = self.last_words(operand) {
            let a = *a;
            self.drop_last();
            self.last_result = None;
            return a;
        }
        self.register(operand)
    }

    /// The slot to read a popped operand of `op` from.
    fn register_for(&mut self, op: Op, operand: (Place, usize)) -> u16 {
        if op.is_i32() { self.register_i32(operand) } else { self.register(operand) }
    }

    /// The slot to read a popped address of the first memory from, for the access that is emitted next. A long address
    /// whose upper half is zero is one of 32 bits; another one is outside of the memory.
    pub(super) fn address(&mut self, operand: (Place, usize)) -> u16 {
        if !self.environment.is_long() {
            return self.register_i32(operand);
        }
        let a = self.register(operand);
        self.emit(Inst::Narrow { a });
        a
    }

    pub(super) fn memory_access(&mut self, instr: &Instr) {
        if instr.op.fixed_arity() == Some((1, 1)) {
            self.load(instr);
        } else {
            self.store(instr);
        }
    }

    fn load(&mut self, instr: &Instr) {
        let operand = self.pop();
        let d = self.slot(self.stack.len());
        if let Some(fused) = self.fuse_address(operand, instr, |address, off| Inst::load_at(instr.op, d, address, off))
        {
            return self.push_fused(fused);
        }
        let a = self.address(operand);
        let near = u16::try_from(instr.imm).ok();
        let (load, far) = Inst::load(instr.op, d, a, near.unwrap_or(0)).expect("BUG: a row of the table");
        match near {
            Some(_) => self.push_result(|_| load),
            None => self.push_words([far, far_offset(instr)]),
        }
    }

    fn store(&mut self, instr: &Instr) {
        let value = self.pop();
        let address = self.pop();
        if let Some(fused) = self.fuse_store(instr, value, address) {
            self.drop_last();
            return self.emit_words(fused);
        }
        let near = u16::try_from(instr.imm).ok();
        if let (Place::Const(bits), Some(off)) = (value.0, near)
            && let Some(imm) = short_immediate(instr.op, bits)
        {
            let a = self.address(address);
            return self.emit(Inst::store_immediate(instr.op, a, imm, off).expect("BUG: a row of the table"));
        }
        let is_written_between = matches!(value.0, Place::Const(_)) && !self.environment.is_long();
        let a = if is_written_between { self.register(address) } else { self.address(address) };
        let b = self.register(value);
        let (store, far) = Inst::store(instr.op, a, b, near.unwrap_or(0)).expect("BUG: a row of the table");
        match near {
            Some(_) => self.emit(store),
            None => self.emit_words([far, far_offset(instr)]),
        }
    }

    /// A store together with the last instruction, which computed its value or its address.
    fn fuse_store(&self, instr: &Instr, value: (Place, usize), address: (Place, usize)) -> Option<[Inst; 2]> {
        if let Some(words) = self.last_words(value) {
            if self.environment.is_long() {
                return None;
            }
            return words[0].then_store(instr.op, self.in_slot(address)?, u32::try_from(instr.imm).ok()?);
        }
        let b = self.in_slot(value)?;
        self.fuse_address(address, instr, |address, off| Inst::store_at(instr.op, b, address, off))
    }

    /// A memory access together with the last instruction, which computed its address: a sum of 32 bits, zero-extended
    /// if addresses are long.
    fn fuse_address(
        &self,
        operand: (Place, usize),
        instr: &Instr,
        access: impl Fn(Address, u32) -> Option<[Inst; 2]>,
    ) -> Option<[Inst; 2]> {
        access(Address::of(self.last_words(operand)?)?, u32::try_from(instr.imm).ok()?)
    }

    pub(super) fn local_set(&mut self, local: u16) {
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
        let at = self.last_at;
        match self.insts.get_mut(at).and_then(Inst::result_mut) {
            Some(result) => {
                *result = local;
                self.last_result = None;
            }
            None => self.emit(Inst::Copy { d: local, a: source }),
        }
    }

    pub(super) fn select(&mut self) {
        let condition = self.pop();
        let second = self.pop();
        let first = self.pop();
        let c = self.register(condition);
        let b = self.register(second);
        let a = self.register(first);
        let d = self.slot(self.stack.len());
        self.push_words([Inst::Select { d, a, b }, Inst::Wide { low: 0, high: c }]);
    }
}

/// Conversions that leave the slot as it is: the upper half of a 32-bit value is zero, and floats lie as their bits.
fn keeps_bits(op: Op) -> bool {
    matches!(
        op,
        Op::I64ExtendI32U
            | Op::I32ReinterpretF32
            | Op::I64ReinterpretF64
            | Op::F32ReinterpretI32
            | Op::F64ReinterpretI64
    )
}

/// The second word of a far access. Offsets are below 2^32 until 64-bit memories.
fn far_offset(instr: &Instr) -> Inst {
    Inst::Wide { low: instr.imm as u32, high: (instr.imm >> 32) as u16 }
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
            | Op::F32Add
            | Op::F32Mul
            | Op::F64Add
            | Op::F64Mul
    )
}

/// `bits` as an immediate of 16 bits that the engine sign-extends to the operand's width.
fn short_immediate(op: Op, bits: u64) -> Option<i16> {
    let value = if op.is_i32() { i64::from(bits as u32 as i32) } else { bits as i64 };
    i16::try_from(value).ok()
}
