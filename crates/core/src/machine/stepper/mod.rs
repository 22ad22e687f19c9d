//! The stepper: executes one WebAssembly instruction at a time on the canonical state. It defines what every instruction
//! does and costs; the fast engine is tested against it.

mod bulk;
mod control;
mod throw;

pub(crate) use throw::Catcher;

use std::sync::Arc;

use crate::code::{Body, Instr, Op, for_each_op};
use crate::gas::Unit;
use crate::machine::{LinearMemory, Machine, MemoryParts, Outline, Resume, Stop, access, compute};
use crate::numeric as n;
use crate::numeric::Slot;
use stepmark_state::trap::Trap;

/// What keeps an instruction from completing.
pub(crate) enum Halt {
    Trap(Trap),
    Stop(Stop),
}

impl From<Trap> for Halt {
    fn from(trap: Trap) -> Self {
        Halt::Trap(trap)
    }
}

impl Halt {
    fn into_stop(self) -> Stop {
        match self {
            Halt::Trap(trap) => Stop::Trap(trap),
            Halt::Stop(stop) => stop,
        }
    }
}

pub(crate) type Done<T = ()> = Result<T, Halt>;

/// An instruction about to be executed, and where its operands lie.
#[derive(Clone, Copy)]
pub(crate) struct At {
    instr: Instr,
    index: u32,
    /// Absolute slot of the frame's first local.
    base: usize,
    /// Absolute slot of the frame's first operand.
    operands: usize,
    /// Absolute slot above the topmost operand.
    top: usize,
}

impl At {
    #[inline]
    fn new(body: &Body, base: u32, index: u32) -> Self {
        let instr = body.instrs[index as usize];
        let base = base as usize;
        let operands = base + body.locals as usize;
        At { instr, index, base, operands, top: operands + instr.height as usize }
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
        self.execute(&at, &body).err().map(Halt::into_stop)
    }

    /// Steps on until the top frame is of another function than `func`, which has no register code: what finding a function's
    /// body costs is paid once, not by each of its instructions.
    pub(crate) fn walk(&mut self, func: u32) -> Option<Stop> {
        if self.watch.is_some() {
            return self.step();
        }
        let body = self.body(func);
        while let Some(top) = self.frames.last().filter(|top| top.func == func) {
            let Resume::Wasm(index) = top.resume else { break };
            let at = At::new(&body, top.base, index);
            if let Err(halt) = self.execute(&at, &body) {
                return Some(halt.into_stop());
            }
        }
        None
    }

    fn locate(&mut self) -> (At, Arc<Body>) {
        let frame = *self.frames.last().expect("BUG: there is a frame to step");
        let Resume::Wasm(index) = frame.resume else { unreachable!("BUG: the frame is in canonical form") };
        let body = self.body(frame.func);
        (At::new(&body, frame.base, index), body)
    }

    /// The instruction at which the top frame rests.
    pub fn current_instr(&mut self) -> Option<Instr> {
        self.frames.last()?;
        Some(self.locate().0.instr)
    }

    /// Executes an instruction. What has no case of its own here is found in two steps, numeric ones in one.
    fn execute(&mut self, at: &At, body: &Body) -> Done {
        match KINDS[at.instr.op as usize] {
            Kind::Numeric => {
                self.charge(&at.instr, 0)?;
                self.numeric(at)?;
            }
            Kind::Vector => {
                self.charge(&at.instr, 0)?;
                self.vector(at, body)?;
            }
            Kind::Branch => {
                self.charge(&at.instr, 0)?;
                return self.control(at, body);
            }
            Kind::Other => {
                self.charge(&at.instr, 0)?;
                return self.other(at, body);
            }
            // Most are free, and then nothing can stop them.
            Kind::Marker => {
                if self.schedule.cost(at.instr.op) > 0 {
                    self.charge(&at.instr, 0)?;
                }
                self.pass(at);
                return Ok(());
            }
            // These charge themselves: their cost depends on their operands.
            Kind::Bulk => return self.bulk(at),
            Kind::Call => return self.call_instr(at, body),
            Kind::Throw => return self.throw(at),
        }
        self.next(at);
        Ok(())
    }

    /// Executes an instruction on vectors.
    fn vector(&mut self, at: &At, body: &Body) -> Result<(), Trap> {
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
        let halves = [result as u64, (result >> 64) as u64];
        let slots = usize::from(what.shape.result);
        self.stack[result_place..result_place + slots].copy_from_slice(&halves[..slots]);
        Ok(())
    }

    /// Charges an instruction and `extra` gas by the unit, or stops before it.
    #[inline]
    pub(crate) fn charge(&mut self, instr: &Instr, extra: u64) -> Done {
        let base = self.schedule.cost(instr.op);
        if base == 0 || instr.carried > 0 || base.saturating_add(extra) > self.left {
            return self.charge_special(instr, extra);
        }
        self.spend(base, extra);
        Ok(())
    }

    /// The same for what is free, carries much, or cannot be paid.
    fn charge_special(&mut self, instr: &Instr, extra: u64) -> Done {
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
            return Err(Halt::Stop(Stop::OutOfGas { need }));
        }
        if self.steps == 0 && self.schedule.is_uncharged_transfer(instr.op) {
            return Err(Halt::Stop(Stop::OutOfSteps));
        }
        Ok(())
    }

    /// Charges only the base cost of an instruction that traps.
    pub(crate) fn charge_trap(&mut self, instr: &Instr, trap: Trap) -> Halt {
        self.charge_trap_after(instr, 0, trap)
    }

    /// The same, and `extra` for what had to be done to know that it traps.
    pub(crate) fn charge_trap_after(&mut self, instr: &Instr, extra: u64, trap: Trap) -> Halt {
        match self.charge(instr, extra) {
            Ok(()) => Halt::Trap(trap),
            Err(halt) => halt,
        }
    }

    #[inline]
    pub(crate) fn next(&mut self, at: &At) {
        self.set_resume(Resume::Wasm(at.index + 1));
    }

    /// Goes on after a marker: in a function that has no register code, where nothing but this would keep a program from
    /// walking over markers without pay, after all of them that follow and are free.
    pub(crate) fn pass(&mut self, at: &At) {
        let func = self.frames.last().expect("BUG: there is a frame").func;
        let skips = !self.single_steps && !self.tier.has_code(func);
        self.set_resume(Resume::Wasm(if skips { at.instr.aux } else { at.index + 1 }));
    }

    pub(crate) fn units(&self, unit: Unit, amount: u64) -> u64 {
        self.schedule.units(unit, amount)
    }

    /// The operand `depth` below the topmost.
    #[inline]
    pub(crate) fn operand(&self, at: &At, depth: usize) -> u64 {
        self.stack[at.top - 1 - depth]
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
    fn copy_slots(&mut self, from: usize, to: usize, slots: usize) {
        match slots {
            1 => self.stack[to] = self.stack[from],
            _ => self.stack.copy_within(from..from + slots, to),
        }
    }

    fn other(&mut self, at: &At, body: &Body) -> Done {
        let (imm, top) = (at.instr.imm as usize, at.top);
        let slots = 1 + at.instr.aux as usize;
        match at.instr.op {
            Op::TryTable | Op::Drop => {}
            Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const => self.stack[top] = at.instr.imm,
            Op::V128Const => {
                let constant = body.vectors[imm];
                self.stack[top..top + 2].copy_from_slice(&[constant as u64, (constant >> 64) as u64]);
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
enum Kind {
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
const KINDS: [Kind; Op::ALL.len()] = {
    let mut kinds = [Kind::Other; Op::ALL.len()];
    let mut i = 0;
    while i < Op::ALL.len() {
        let op = Op::ALL[i];
        kinds[op as usize] = if is_numeric(op) {
            Kind::Numeric
        } else if op.is_vector() && !matches!(op, Op::V128Const) {
            Kind::Vector
        } else {
            special(op)
        };
        i += 1;
    }
    kinds
};

const fn special(op: Op) -> Kind {
    match op {
        Op::MemoryGrow | Op::MemoryFill | Op::MemoryCopy | Op::MemoryInit => Kind::Bulk,
        Op::TableGrow | Op::TableFill | Op::TableCopy | Op::TableInit => Kind::Bulk,
        Op::Throw | Op::ThrowRef => Kind::Throw,
        Op::Nop | Op::Block | Op::Loop => Kind::Marker,
        Op::Br | Op::BrIf | Op::BrTable | Op::If | Op::Else => Kind::Branch,
        op if op.is_call() => Kind::Call,
        _ => Kind::Other,
    }
}

macro_rules! define_numeric {
    (
        unary { $($un:ident $un_name:literal $un_fn:ident;)* }
        binary { $($bin:ident $bin_wide:ident $bin_name:literal $bin_fn:ident;)* }
        int_binary { $($ib:ident $ib_imm:ident $ib_wide:ident $ib_name:literal $ib_fn:ident;)* }
        int_compare { $($ic:ident $ic_imm:ident $ic_br:ident $ic_bri:ident $ic_not:ident $ic_noti:ident $ic_name:literal $ic_fn:ident;)* }
        float_compare { $($fc:ident $fc_br:ident $fc_not:ident $fc_name:literal $fc_fn:ident;)* }
        try_unary { $($tu:ident $tu_name:literal $tu_fn:ident;)* }
        try_int_binary { $($tb:ident $tb_imm:ident $tb_name:literal $tb_fn:ident;)* }
        load { $($ld:ident $ld_far:ident $ld_plus:ident $ld_at:ident $ld_name:literal $ld_mem:ident $ld_ext:ident $ld_val:ident;)* }
        store { $($st:ident $st_far:ident $st_imm:ident $st_plus:ident $st_at:ident $st_name:literal $st_mem:ident;)* }
        other { $($ot:ident $ot_name:literal;)* }
    ) => {
        /// Is it a numeric operator or a memory access.
        const fn is_numeric(op: Op) -> bool {
            matches!(
                op,
                $(| Op::$un)* $(| Op::$tu)* $(| Op::$bin)* $(| Op::$ib)* $(| Op::$ic)* $(| Op::$fc)* $(| Op::$tb)*
                $(| Op::$ld)* $(| Op::$st)*
            )
        }

        impl Machine {
            /// Executes numeric operators and memory accesses.
            fn numeric(&mut self, at: &At) -> Result<(), Trap> {
                let top = at.top;
                macro_rules! unary {
                    ($result:expr) => { self.stack[top - 1] = Slot::to_slot($result) };
                }
                macro_rules! binary {
                    ($result:expr) => { self.stack[top - 2] = Slot::to_slot($result) };
                }
                macro_rules! operand {
                    ($depth:literal) => { Slot::from_slot(self.stack[top - 1 - $depth]) };
                }
                match at.instr.op {
                    $(Op::$un => unary!(n::$un_fn(operand!(0))),)*
                    $(Op::$tu => unary!(n::$tu_fn(operand!(0))?),)*
                    $(Op::$bin => binary!(n::$bin_fn(operand!(1), operand!(0))),)*
                    $(Op::$ib => binary!(n::$ib_fn(operand!(1), operand!(0))),)*
                    $(Op::$ic => binary!(n::$ic_fn(operand!(1), operand!(0))),)*
                    $(Op::$fc => binary!(n::$fc_fn(operand!(1), operand!(0))),)*
                    $(Op::$tb => binary!(n::$tb_fn(operand!(1), operand!(0))?),)*
                    $(Op::$ld => {
                        let memory = self.memory_address(at.instr.aux) as usize;
                        let bytes = self.store.memories[memory].load(operand!(0), at.instr.imm)?;
                        unary!(<$ld_mem>::from_le_bytes(bytes) as $ld_ext as $ld_val);
                    })*
                    $(Op::$st => {
                        let memory = self.memory_address(at.instr.aux) as usize;
                        let value: u64 = operand!(0);
                        self.store.memories[memory].store(operand!(1), at.instr.imm, (value as $st_mem).to_le_bytes())?;
                    })*
                    other => unreachable!("BUG: {} is not numeric", other.mnemonic()),
                }
                Ok(())
            }
        }
    };
}
for_each_op!(define_numeric);
