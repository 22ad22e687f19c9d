//! Instructions without control flow: operands that stay virtual, immediates, results that go straight into a local.

use super::{Place, Translator, Watch};
use crate::code::{Inst, Instr, Op};

impl Translator<'_> {
    pub(super) fn instruction(&mut self, index: u32, instr: &Instr) {
        if self.stack.len() - self.settled > 64 {
            // Bounds the search of release_local on hostile code.
            self.flush();
        }
        if is_slow(instr.op) || self.calls_out(instr) {
            return self.slow(index, instr);
        }
        if self.environment.schedule.is_uncharged_transfer(instr.op) {
            self.tick(index);
        }
        if self.watch_index == Some(index) {
            let (block, charged) = (self.blocks.len() - 1, self.blocks.last().map_or(0, |b| b.cost));
            self.watch = Some(Watch { index, places: self.stack.clone(), rest: 0, block, charged });
        }
        self.charge(self.environment.schedule.cost(instr.op));
        if !self.simple(instr) {
            self.control(index, instr);
        }
    }

    pub(super) fn calls_out(&self, instr: &Instr) -> bool {
        let address = |func: u64| self.environment.funcs[func as usize];
        matches!(instr.op, Op::Call | Op::ReturnCall) && !(self.environment.is_own)(address(instr.imm))
    }

    /// Hands one instruction to the stepper.
    pub(super) fn slow(&mut self, index: u32, instr: &Instr) {
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

    pub(super) fn tick(&mut self, index: u32) {
        self.flush();
        self.emit(Inst::Tick { index });
        let edge = self.emit_edge();
        self.continue_after(edge);
    }

    /// Instructions without control flow.
    pub(super) fn simple(&mut self, instr: &Instr) -> bool {
        let op = instr.op;
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
            Op::MemorySize => self.push_result(|d| Inst::MemorySize { d }),
            _ => return self.numeric(instr),
        }
        true
    }

    pub(super) fn numeric(&mut self, instr: &Instr) -> bool {
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

    pub(super) fn binary(&mut self, op: Op) {
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

    pub(super) fn memory_access(&mut self, instr: &Instr) {
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
        match self.insts.last_mut().and_then(Inst::result_mut) {
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
        let a = self.register(second);
        let d = self.slot(first.1);
        self.emit_place(d, first.0);
        self.emit(Inst::Select { d, a, c });
        self.stack.push(Place::Slot);
    }
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
