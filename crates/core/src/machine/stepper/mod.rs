//! The stepper: executes one WebAssembly instruction at a time on the canonical state. It defines what every instruction
//! does and costs; the fast engine is tested against it.

mod bulk;
mod control;
mod throw;

pub(crate) use throw::Catcher;

use std::sync::Arc;

use crate::code::{Body, Instr, Op, for_each_op};
use crate::gas::Unit;
use crate::machine::{LinearMemory, Machine, MemoryParts, Outline, ResumePoint, Stop, access, compute};
use crate::numeric as n;
use crate::numeric::Slot;
use stepmark_op_rules::op_rules;
use stepmark_state::trap::Trap;

/// What keeps an instruction from completing.
pub(crate) enum Interruption {
    Trap(Trap),
    Stop(Stop),
}

impl From<Trap> for Interruption {
    fn from(trap: Trap) -> Self {
        Interruption::Trap(trap)
    }
}

impl Interruption {
    fn into_stop(self) -> Stop {
        match self {
            Interruption::Trap(trap) => Stop::Trap(trap),
            Interruption::Stop(stop) => stop,
        }
    }
}

pub(crate) type Done<T = ()> = Result<T, Interruption>;

/// An instruction about to be executed, and where its operands lie.
#[derive(Clone, Copy)]
pub(crate) struct PlacedInstr {
    instr: Instr,
    index: u32,
    /// Absolute slot of the frame's first local.
    base: usize,
    /// Absolute slot of the frame's first operand.
    operands: usize,
    /// Absolute slot above the topmost operand.
    top: usize,
}

impl PlacedInstr {
    #[inline(always)]
    fn new(body: &Body, base: u32, index: u32) -> Self {
        let instr = body.instrs.as_slice()[index as usize];
        let base = base as usize;
        let operands = base + body.locals as usize;
        PlacedInstr { instr, index, base, operands, top: operands + instr.height as usize }
    }
}

impl Machine {
    /// Executes the next instruction of the top frame; tells if the run stops.
    pub(crate) fn step(&mut self) -> Option<Stop> {
        if let Some(watch) = self.watch.clone()
            && let Err(error) = watch.before_step(self)
        {
            return Some(Stop::Failed(error));
        }
        let (at, body) = self.locate();
        self.execute(&at, &body).err().map(Interruption::into_stop)
    }

    /// Steps on until the top frame is of another function than `func`, which has no register code: what finding a function's
    /// body costs is paid once, not by each of its instructions.
    pub(crate) fn walk(&mut self, func: u32) -> Option<Stop> {
        if self.watch.is_some() {
            return self.step();
        }
        let body = self.body(func);
        while let Some(top) = self.frames.last().filter(|top| top.func == func) {
            let ResumePoint::Wasm(index) = top.resume else { break };
            let at = PlacedInstr::new(&body, top.base, index);
            if let Err(halt) = self.execute(&at, &body) {
                return Some(halt.into_stop());
            }
        }
        None
    }

    fn locate(&mut self) -> (PlacedInstr, Arc<Body>) {
        let frame = *self.frames.last().expect("BUG: there is a frame to step");
        let ResumePoint::Wasm(index) = frame.resume else { unreachable!("BUG: the frame is in canonical form") };
        let body = self.body(frame.func);
        (PlacedInstr::new(&body, frame.base, index), body)
    }

    /// The instruction at which the top frame rests.
    pub fn current_instr(&mut self) -> Option<Instr> {
        self.frames.last()?;
        Some(self.locate().0.instr)
    }

    /// Executes an instruction. What has no case of its own here is found in two steps, numeric ones in one.
    ///
    /// What every step does is inlined by name: the node is built for size, which would make calls of all of it.
    fn execute(&mut self, at: &PlacedInstr, body: &Body) -> Done {
        let kind = match KINDS[at.instr.op as usize] {
            // The end of the function returns.
            InstrKind::Marker if at.index as usize + 1 == body.instrs.len() => InstrKind::Branch,
            kind => kind,
        };
        match kind {
            // Most are free, and then nothing can stop them.
            InstrKind::Marker if self.schedule.cost(at.instr.op) == 0 => {
                self.pass(at);
                return Ok(());
            }
            // These charge themselves: their cost depends on their operands.
            InstrKind::Bulk => return self.bulk(at),
            InstrKind::Call => return self.call_instr(at, body),
            InstrKind::Throw => return self.throw(at),
            _ => self.charge_step(&at.instr)?,
        }
        match kind {
            InstrKind::Numeric => self.numeric(at)?,
            InstrKind::Vector => self.vector(at, body)?,
            InstrKind::Marker => {
                self.pass(at);
                return Ok(());
            }
            InstrKind::Branch => return self.control(at, body),
            _ => return self.other(at, body),
        }
        self.next(at);
        Ok(())
    }

    /// Executes an instruction on vectors.
    fn vector(&mut self, at: &PlacedInstr, body: &Body) -> Result<(), Trap> {
        let instance = self.instance_number() as usize;
        let what = Outline::new(&at.instr, body, &self.store.instances[instance].memories);
        let what = what.expect("BUG: vectors have a shape");
        let mut place = at.top - what.shape.operands.iter().map(|n| usize::from(*n)).sum::<usize>();
        let result_place = place;
        let [a, b, c] = what.shape.operands.map(|slots| {
            let value = read_slots(&self.stack, place, slots);
            place += usize::from(slots);
            value
        });
        let result = match what.memory {
            None => compute(&what, a, b, c),
            Some(address) => {
                let MemoryParts { bytes, dirty } = self.store.memories[address as usize].parts();
                access(&what, a as u64, b, bytes, dirty)?
            }
        };
        let slots = what.shape.result;
        if slots > 0 {
            self.stack[result_place] = result as u64;
        }
        if slots > 1 {
            self.stack[result_place + 1] = (result >> 64) as u64;
        }
        Ok(())
    }

    /// Charges an instruction, or stops before it.
    #[inline(always)]
    fn charge_step(&mut self, instr: &Instr) -> Done {
        let cost = self.schedule.cost(instr.op);
        if cost == 0 || instr.carried > 0 || cost > self.left {
            return self.charge(instr, 0);
        }
        self.spend(cost, 0);
        Ok(())
    }

    /// Charges an instruction and `extra` gas by the unit, or stops before it.
    pub(crate) fn charge(&mut self, instr: &Instr, extra: u64) -> Done {
        self.afford(instr, extra)?;
        if self.schedule.is_uncharged_transfer(instr.op) {
            self.steps -= 1;
        }
        self.spend(self.schedule.cost_of(instr), extra);
        Ok(())
    }

    /// Stops before an instruction that the budget does not cover.
    pub(crate) fn afford(&self, instr: &Instr, extra: u64) -> Done {
        let need = self.schedule.cost_of(instr).saturating_add(extra);
        if need > self.left {
            return Err(Interruption::Stop(Stop::OutOfGas { need }));
        }
        if self.steps == 0 && self.schedule.is_uncharged_transfer(instr.op) {
            return Err(Interruption::Stop(Stop::OutOfSteps));
        }
        Ok(())
    }

    /// Charges only the base cost of an instruction that traps.
    pub(crate) fn charge_trap(&mut self, instr: &Instr, trap: Trap) -> Interruption {
        self.charge_trap_after(instr, 0, trap)
    }

    /// Charges the base cost of an instruction that traps, and `extra` for what had to be done to know that it does.
    pub(crate) fn charge_trap_after(&mut self, instr: &Instr, extra: u64, trap: Trap) -> Interruption {
        match self.charge(instr, extra) {
            Ok(()) => Interruption::Trap(trap),
            Err(halt) => halt,
        }
    }

    #[inline(always)]
    pub(crate) fn next(&mut self, at: &PlacedInstr) {
        self.set_resume(ResumePoint::Wasm(at.index + 1));
    }

    /// Goes on after a marker, or after all of them that follow and are free.
    pub(crate) fn pass(&mut self, at: &PlacedInstr) {
        self.set_resume(ResumePoint::Wasm(if self.skips_markers() { at.instr.aux } else { at.index + 1 }));
    }

    /// Whether free markers are passed over together: in a function that has no register code, where nothing but this would keep a
    /// program from walking over markers without pay.
    pub(crate) fn skips_markers(&self) -> bool {
        let func = self.frames.last().expect("BUG: there is a frame").func;
        !self.single_steps && !self.tier.has_code(func)
    }

    pub(crate) fn units(&self, unit: Unit, amount: u64) -> u64 {
        self.schedule.units(unit, amount)
    }

    /// The operand `depth` below the topmost.
    #[inline(always)]
    pub(crate) fn operand(&self, at: &PlacedInstr, depth: usize) -> u64 {
        self.stack.as_slice()[at.top - 1 - depth]
    }

    /// Address of memory 0, or of another by index, of the running instance.
    #[inline]
    pub(crate) fn memory_address(&self, index: u32) -> u32 {
        self.instance().memories[index as usize]
    }

    #[inline]
    pub(crate) fn instance_number(&self) -> u32 {
        let func = self.frames.last().expect("BUG: there is a frame").func;
        self.store.funcs[func as usize].instance
    }

    #[inline]
    pub(crate) fn instance(&self) -> &crate::machine::Instance {
        &self.store.instances[self.instance_number() as usize]
    }

    /// Copies a value of one slot or more; most have one.
    #[inline(always)]
    fn copy_slots(&mut self, from: usize, to: usize, slots: usize) {
        let stack = self.stack.as_mut_slice();
        match slots {
            1 => stack[to] = stack[from],
            _ => stack.copy_within(from..from + slots, to),
        }
    }

    fn other(&mut self, at: &PlacedInstr, body: &Body) -> Done {
        let (imm, top) = (at.instr.imm as usize, at.top);
        let slots = 1 + at.instr.aux as usize;
        match at.instr.op {
            Op::TryTable | Op::Drop => {}
            Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const => self.stack.as_mut_slice()[top] = at.instr.imm,
            Op::V128Const => {
                let constant = body.vectors[imm];
                self.stack[top] = constant as u64;
                self.stack[top + 1] = (constant >> 64) as u64;
            }
            Op::RefNull => self.stack[top] = 0,
            Op::RefFunc => self.stack[top] = self.store.func_ref(self.instance().funcs[imm]),
            Op::RefIsNull => self.stack[top - 1] = u64::from(self.stack[top - 1] == 0),
            Op::RefAsNonNull => {
                if self.operand(at, 0) == 0 {
                    return Err(Trap::NullReference.into());
                }
            }
            Op::LocalGet => self.copy_slots(at.base + imm, top, slots),
            Op::LocalSet | Op::LocalTee => self.copy_slots(top - slots, at.base + imm, slots),
            Op::GlobalGet => {
                let global = self.instance().globals[imm] as usize;
                self.stack[top..top + slots].copy_from_slice(&self.store.globals[global..global + slots]);
            }
            Op::GlobalSet => {
                let global = self.instance().globals[imm] as usize;
                self.store.globals[global..global + slots].copy_from_slice(&self.stack[top - slots..top]);
            }
            Op::Select => {
                if self.operand(at, 0) == 0 {
                    let second = top - 1 - slots;
                    self.stack.copy_within(second..second + slots, second - slots);
                }
            }
            Op::MemorySize => {
                let memory = self.memory_address(at.instr.aux);
                self.stack[top] = self.store.memories[memory as usize].pages();
            }
            Op::TableSize => {
                let table = self.instance().tables[at.instr.aux as usize];
                self.stack[top] = self.store.tables[table as usize].size();
            }
            Op::TableGet => {
                let table = self.instance().tables[at.instr.aux as usize];
                let element = self.store.tables[table as usize].get(self.operand(at, 0));
                self.stack[top - 1] = element.ok_or(Trap::TableOutOfBounds)?;
            }
            Op::TableSet => {
                let table = self.instance().tables[at.instr.aux as usize];
                let (value, index) = (self.operand(at, 0), self.operand(at, 1));
                self.store.tables[table as usize].set(index, value)?;
            }
            Op::DataDrop => {
                let instance = self.instance_number() as usize;
                self.store.instances[instance].dropped_data[imm] = true;
            }
            Op::ElemDrop => {
                let instance = self.instance_number() as usize;
                self.store.instances[instance].dropped_elements[imm] = true;
            }
            _ => return self.control(at, body),
        }
        self.next(at);
        Ok(())
    }
}

/// A value of this many slots from `place` on, zero-extended.
fn read_slots(stack: &[u64], place: usize, slots: u8) -> u128 {
    match slots {
        0 => 0,
        1 => stack[place].into(),
        _ => u128::from(stack[place]) | u128::from(stack[place + 1]) << 64,
    }
}

/// Who executes an instruction.
#[derive(Clone, Copy)]
enum InstrKind {
    Numeric,
    Vector,
    Marker,
    Bulk,
    Call,
    Throw,
    Branch,
    Other,
}

/// By instruction, so that a step finds it with one look.
const KINDS: [InstrKind; Op::ALL.len()] = {
    let mut kinds = [InstrKind::Other; Op::ALL.len()];
    let mut i = 0;
    while i < Op::ALL.len() {
        let op = Op::ALL[i];
        kinds[op as usize] = if is_numeric(op) {
            InstrKind::Numeric
        } else if op.is_vector() && !matches!(op, Op::V128Const) {
            InstrKind::Vector
        } else {
            special(op)
        };
        i += 1;
    }
    kinds
};

const fn special(op: Op) -> InstrKind {
    match op {
        Op::MemoryGrow | Op::MemoryFill | Op::MemoryCopy | Op::MemoryInit => InstrKind::Bulk,
        Op::TableGrow | Op::TableFill | Op::TableCopy | Op::TableInit => InstrKind::Bulk,
        Op::Throw | Op::ThrowRef => InstrKind::Throw,
        Op::Nop | Op::Block | Op::Loop | Op::End => InstrKind::Marker,
        Op::Br | Op::BrIf | Op::BrTable | Op::If | Op::Else => InstrKind::Branch,
        op if op.is_call() => InstrKind::Call,
        _ => InstrKind::Other,
    }
}

op_rules! {
define_numeric(scalar) {
    /// Whether it is a numeric operator or a memory access.
    const fn is_numeric(op: Op) -> bool {
        matches!(
            op,
            $(| Op::$unary)* $(| Op::$try_unary)* $(| Op::$binary)* $(| Op::$int_binary)*
            $(| Op::$int_compare)* $(| Op::$float_compare)* $(| Op::$try_int_binary)*
            $(| Op::$load)* $(| Op::$store)*
        )
    }

    impl Machine {
        /// Executes numeric operators and memory accesses.
        fn numeric(&mut self, at: &PlacedInstr) -> Result<(), Trap> {
            let top = at.top;
            macro_rules! unary {
                ($result:expr) => { self.stack.as_mut_slice()[top - 1] = Slot::to_slot($result) };
            }
            macro_rules! binary {
                ($result:expr) => { self.stack.as_mut_slice()[top - 2] = Slot::to_slot($result) };
            }
            macro_rules! operand {
                ($depth:literal) => { Slot::from_slot(self.stack.as_slice()[top - 1 - $depth]) };
            }
            match at.instr.op {
                $(Op::$unary => unary!(n::$unary_fn(operand!(0))),)*
                $(Op::$try_unary => unary!(n::$try_unary_fn(operand!(0))?),)*
                $(Op::$binary => binary!(n::$binary_fn(operand!(1), operand!(0))),)*
                $(Op::$int_binary => binary!(n::$int_binary_fn(operand!(1), operand!(0))),)*
                $(Op::$int_compare => binary!(n::$int_compare_fn(operand!(1), operand!(0))),)*
                $(Op::$float_compare => binary!(n::$float_compare_fn(operand!(1), operand!(0))),)*
                $(Op::$try_int_binary => binary!(n::$try_int_binary_fn(operand!(1), operand!(0))?),)*
                $(Op::$load => {
                    let memory = self.memory_address(at.instr.aux) as usize;
                    let bytes = self.store.memories[memory].load(operand!(0), at.instr.imm)?;
                    unary!(<$load_mem>::from_le_bytes(bytes) as $load_ext as $load_val);
                })*
                $(Op::$store => {
                    let memory = self.memory_address(at.instr.aux) as usize;
                    let value: u64 = operand!(0);
                    self.store.memories[memory].store(operand!(1), at.instr.imm, (value as $store_mem).to_le_bytes())?;
                })*
                other => unreachable!("BUG: {} is not numeric", other.mnemonic()),
            }
            Ok(())
        }
    }
}
}
for_each_op!(define_numeric);
