//! One function of the companion, instruction by instruction of the decoded body. It has two forms: the normal one is
//! `f(parameters, sp: i32, gas: i64) -> (results, gas: i64)`; the resumed one, `f(point: i32, sp: i32, gas: i64) -> gas: i64`, goes on
//! at a point in the middle of the function, with what lies in the frame, and puts the results there. Constructs of the companion have neither parameters nor results: at their borders operands lie in
//! temporaries. What cannot be reached from compiled code is dropped.

mod bulk;
mod call;
mod construct;
mod leave;
mod memory;
mod numeric;
mod resume;
mod rounds;
mod stack;

use std::collections::{BTreeMap, BTreeSet};

use stepmark_core::code::{Body, Instr, Op};
use wasm_encoder::{BlockType, Function, InstructionSink, MemArg};

use self::construct::Construct;
use self::stack::{Operand, Operands, PlacedOperand};
use crate::cost::Costs;
use crate::ingredient::Ingredient;
use crate::points::{EntrySite, Points, Target, opens};
use crate::program::Program;
use crate::reach::Accesses;
use crate::rules::{Num, Rule};
use crate::site::{CompiledFunc, LeaveSite};

pub use self::leave::LEFT;

/// Where a function can be entered, by byte offset in the program's module.
pub(crate) type Entries = BTreeMap<u32, EntrySite>;

/// A function while it is emitted.
pub(crate) struct FuncEmitter<'a> {
    pub(crate) program: &'a Program<'a>,
    pub(crate) func: u32,
    pub(crate) compiled: &'a CompiledFunc,
    pub(crate) body: &'a Body,
    pub(crate) costs: Costs,
    /// What comes before accesses of memory.
    pub(crate) accesses: Accesses,
    pub(crate) code: Vec<u8>,
    pub(crate) operands: Operands,
    /// The open constructs of the program; the first is the function itself.
    pub(crate) constructs: Vec<Construct>,
    /// How many constructs of the companion are open.
    pub(crate) nest: u32,
    /// Whether the next instruction can be reached.
    pub(crate) live: bool,
    /// Constructs opened where nothing can be reached.
    skipped: u32,
    /// In the resumed form, the points that can be gone to.
    pub(crate) points: Option<Points>,
    /// By open construct, what its region still has that the way to a point goes to, the next one last.
    pub(crate) pending: Vec<Vec<Target>>,
    /// By slot of the program's locals, the companion's local.
    places: Vec<u32>,
    /// Locals that were added to the parameters and the program's own.
    added: Vec<Num>,
    temporaries: BTreeMap<(u32, Num), u32>,
    /// Locals for one thing each.
    own: BTreeMap<OwnLocal, u32>,
    /// Where its code can be left; numbers follow those of the functions before.
    pub(crate) sites: &'a mut Vec<LeaveSite>,
}

/// A local that the emitter keeps for something of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OwnLocal {
    /// Number of the site at which the frame is left.
    Site,
    /// Size of the program's memory in bytes.
    MemorySize,
    /// For a word that is used twice in a row.
    Word,
    /// For 64 bits that are used twice in a row.
    Wide,
    /// In an innermost loop, the gas below which its head sees to more rounds.
    Floor,
    /// Rounds of it that are seen to after the one that comes.
    Rounds,
    /// How far an address may move in them.
    Room,
}

impl<'a> FuncEmitter<'a> {
    /// The code of a compiled function, and what its entry asks for; its sites are added to `sites`.
    pub(crate) fn normal(program: &Program<'_>, func: u32, sites: &mut Vec<LeaveSite>) -> (Function, Entries) {
        let body = Body::decode(program.module, func);
        let mut emitter = FuncEmitter::new(program, func, &body, None, sites);
        emitter.whole();
        let entry = EntrySite { number: 0, gas: emitter.costs.need(0), operands: Vec::new() };
        (emitter.finish(), BTreeMap::from([(body.instrs[0].offset, entry)]))
    }

    /// The code of its resumed form, for the points at `wanted` offsets, and these points.
    pub(crate) fn resumed(
        program: &Program<'_>,
        func: u32,
        wanted: &BTreeSet<u32>,
        sites: &mut Vec<LeaveSite>,
    ) -> (Function, Entries) {
        let body = Body::decode(program.module, func);
        let compiled = &program.funcs[&func];
        let is_emitted = |instr: &Instr| program.is_emitted(compiled, instr);
        let points = Points::new(program.module, func, &body, wanted, &is_emitted);
        let mut emitter = FuncEmitter::new(program, func, &body, Some(points.clone()), sites);
        emitter.whole();
        let mut entries = BTreeMap::new();
        for (index, number) in &points.numbers {
            let (gas, operands) = (emitter.costs.need(*index), &points.operands[index]);
            for index in emitter.positions(*index) {
                let site = || EntrySite { number: *number, gas, operands: operands.clone() };
                entries.entry(body.instrs[index as usize].offset).or_insert_with(site);
            }
        }
        (emitter.finish(), entries)
    }

    fn new(
        program: &'a Program<'a>,
        func: u32,
        body: &'a Body,
        points: Option<Points>,
        sites: &'a mut Vec<LeaveSite>,
    ) -> FuncEmitter<'a> {
        let compiled = &program.funcs[&func];
        let is_emitted = |instr: &Instr| program.is_emitted(compiled, instr);
        let costs = match program.has(Ingredient::Gas) {
            true => Costs::new(body, program.schedule, &is_emitted, &|instr| program.entering_cost(instr)),
            false => Costs::nothing(body),
        };
        // Those of the normal form are its parameters; then come the frame's address and gas. The resumed form has three
        // parameters of its own.
        let (params, mut next) = if points.is_some() { (0, 1) } else { (compiled.params, 0) };
        let mut place = |(slot, ty): (u32, &Option<Num>)| {
            let place = if slot < params { next } else { next + 2 };
            next += u32::from(ty.is_some());
            place
        };
        let places = (0..).zip(&compiled.locals).map(&mut place).collect();
        FuncEmitter {
            program,
            func,
            compiled,
            body,
            costs,
            accesses: Accesses::new(program, compiled, body, points.as_ref().map(Points::joined).as_ref()),
            code: Vec::with_capacity(body.bytes as usize * 4),
            operands: Operands::default(),
            constructs: vec![Construct::function(&compiled.results)],
            nest: 0,
            live: true,
            skipped: 0,
            points,
            pending: vec![Vec::new()],
            places,
            added: Vec::new(),
            temporaries: BTreeMap::new(),
            own: BTreeMap::new(),
            sites,
        }
    }

    /// Where a frame may rest that is at a point: before the instruction of this index, or behind it and those that follow if they
    /// do nothing and are free.
    fn positions(&self, index: u32) -> impl Iterator<Item = u32> {
        let last = self.body.instrs.len() as u32 - 1;
        std::iter::successors(Some(index), move |index| {
            let instr = &self.body.instrs[*index as usize];
            let is_nothing = matches!(instr.op, Op::Nop | Op::Block | Op::End) && *index != last;
            (is_nothing && self.program.schedule.cost(instr.op) == 0).then_some(index + 1)
        })
    }

    fn whole(&mut self) {
        // What leaves goes out of this block, to the one place where the locals are stored.
        self.open_block();
        if self.points.is_some() {
            self.resume();
        } else {
            self.enter();
        }
        let body = self.body;
        for (index, instr) in (0..).zip(&body.instrs) {
            if !instr.op.is_call() && self.is_target(index) {
                self.arrive_before(index, instr);
            }
            if self.live || self.revives(instr.op) {
                self.instruction(index, instr);
            }
            if instr.op.is_call() && (self.live || self.is_target(index)) {
                self.after_call(index, instr);
            }
        }
        self.close();
        self.exit();
    }

    fn finish(self) -> Function {
        let params = if self.points.is_some() { 0 } else { self.compiled.params };
        let declared = self.compiled.locals[params as usize..].iter().flatten();
        let locals = declared.chain(&self.added).map(|ty| ty.encoded());
        let mut function = Function::new_with_locals_types(locals);
        function.raw(self.code);
        function.instructions().end();
        function
    }

    /// Where nothing can be reached, only the `else` or `end` of the innermost construct that was opened before matters.
    fn revives(&mut self, op: Op) -> bool {
        match op {
            op if opens(op) => self.skipped += 1,
            Op::End if self.skipped > 0 => self.skipped -= 1,
            Op::End => return true,
            Op::Else => return self.skipped == 0,
            _ => {}
        }
        false
    }

    fn instruction(&mut self, index: u32, instr: &Instr) {
        if !self.program.is_emitted(self.compiled, instr) {
            self.leave_before(index);
            self.live = false;
            // What it opens is passed over with it.
            self.revives(instr.op);
            return;
        }
        match self.program.rules.of(instr.op) {
            Rule::Numeric { operands, result, danger, may_be_nan } => {
                if self.program.has(Ingredient::Dangers) {
                    self.test_danger(index, danger);
                }
                self.numeric(instr, operands, result);
                if may_be_nan {
                    self.operands.pop();
                    self.operands.push(Operand::Raw(result));
                }
            }
            Rule::Load { result, .. } => self.load(index, instr, result),
            Rule::Store { .. } => self.store(index, instr),
            Rule::Constant(ty) => self.operands.push(Operand::Constant(instr.imm, ty)),
            Rule::Special => self.special(index, instr),
            Rule::Unknown => unreachable!("BUG: {} is not emitted", instr.op.mnemonic()),
        }
    }

    fn special(&mut self, index: u32, instr: &Instr) {
        match instr.op {
            Op::Nop => {}
            Op::Block => self.block(index, instr),
            Op::Loop => self.loop_(index, instr),
            Op::If => self.if_(index, instr),
            Op::Else => self.else_(index),
            Op::End => self.end(index),
            Op::Br => self.br(instr),
            Op::BrIf => self.br_if(index, instr),
            Op::BrTable => self.br_table(instr),
            Op::Return => {
                self.refine_top(self.compiled.results.len() as u32);
                self.return_();
                self.live = false;
            }
            Op::Call => self.call(instr),
            Op::CallIndirect => self.call_indirect(index, instr),
            Op::Drop => drop(self.operands.pop()),
            Op::Select => self.select(),
            Op::LocalGet => {
                let local = instr.imm as usize;
                let ty = self.compiled.locals[local].expect("BUG: it is emitted");
                self.operands.push(Operand::Local(local as u32, ty));
            }
            Op::LocalSet => self.set_local(instr.imm as u32),
            Op::LocalTee => self.tee_local(instr.imm as u32),
            Op::GlobalGet | Op::GlobalSet => self.global(instr),
            Op::MemorySize => self.memory_size(),
            Op::MemoryFill | Op::MemoryCopy => self.move_bytes(index, instr),
            other => unreachable!("BUG: {} is not special", other.mnemonic()),
        }
    }

    // Emission.

    pub(crate) fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    pub(crate) fn open_block(&mut self) {
        self.sink().block(BlockType::Empty);
        self.nest += 1;
    }

    pub(crate) fn open_loop(&mut self) {
        self.sink().loop_(BlockType::Empty);
        self.nest += 1;
    }

    /// Opens an `if` on the value on top of the companion's stack.
    pub(crate) fn open_if(&mut self) {
        self.sink().if_(BlockType::Empty);
        self.nest += 1;
    }

    /// Closes the innermost construct of the companion.
    pub(crate) fn close(&mut self) {
        self.sink().end();
        self.nest -= 1;
    }

    // Locals of the companion's function.

    /// The one of a local of the program's with this slot.
    pub(crate) fn local(&self, slot: u32) -> u32 {
        self.places[slot as usize]
    }

    /// How many parameters there are before the frame's address: those of the function, or the point.
    fn before_sp(&self) -> u32 {
        if self.points.is_some() { 1 } else { self.compiled.params }
    }

    pub(crate) fn sp(&self) -> u32 {
        self.before_sp()
    }

    pub(crate) fn gas(&self) -> u32 {
        self.before_sp() + 1
    }

    pub(crate) fn temporary(&mut self, height: u32, ty: Num) -> u32 {
        if let Some(local) = self.temporaries.get(&(height, ty)) {
            return *local;
        }
        let local = self.add_local(ty);
        self.temporaries.insert((height, ty), local);
        local
    }

    pub(crate) fn own(&mut self, which: OwnLocal) -> u32 {
        if let Some(local) = self.own.get(&which) {
            return *local;
        }
        let local = self.add_local(if matches!(which, OwnLocal::Wide | OwnLocal::Floor) { Num::I64 } else { Num::I32 });
        self.own.insert(which, local);
        local
    }

    fn add_local(&mut self, ty: Num) -> u32 {
        let before = self.compiled.locals.iter().flatten().count() + if self.points.is_some() { 3 } else { 2 };
        self.added.push(ty);
        (before + self.added.len() - 1) as u32
    }

    // Operands.

    /// Puts an operand on the companion's stack.
    pub(crate) fn get(&mut self, (height, operand): PlacedOperand) {
        match operand {
            Operand::Temporary(ty) | Operand::Raw(ty) => {
                let local = self.temporary(height, ty);
                self.sink().local_get(local);
            }
            Operand::Local(local, _) => {
                let local = self.local(local);
                self.sink().local_get(local);
            }
            Operand::Constant(bits, ty) => self.constant(bits, ty),
        }
    }

    pub(crate) fn constant(&mut self, bits: u64, ty: Num) {
        let mut sink = self.sink();
        match ty {
            Num::I32 => sink.i32_const(bits as i32),
            Num::I64 => sink.i64_const(bits as i64),
            Num::F32 => sink.f32_const(wasm_encoder::Ieee32::new(bits as u32)),
            Num::F64 => sink.f64_const(wasm_encoder::Ieee64::new(bits)),
        };
    }

    /// Makes the value on top of the companion's stack the topmost operand.
    pub(crate) fn push_result(&mut self, ty: Num) {
        let temporary = self.temporary(self.operands.height(), ty);
        self.sink().local_set(temporary);
        self.operands.push(Operand::Temporary(ty));
    }

    /// Puts an operand into its temporary.
    pub(crate) fn settle(&mut self, (height, operand): PlacedOperand) {
        match operand {
            Operand::Temporary(_) => return,
            Operand::Raw(ty) if self.is_raw(operand) => self.canonical(height, ty),
            Operand::Raw(_) => {}
            Operand::Local(..) | Operand::Constant(..) => {
                self.get((height, operand));
                let temporary = self.temporary(height, operand.ty());
                self.sink().local_set(temporary);
                if self.is_raw(operand) {
                    self.canonical(height, operand.ty());
                }
            }
        }
        self.operands.settled(height);
    }

    /// Puts the topmost operands into their temporaries.
    pub(crate) fn settle_top(&mut self, count: u32) {
        for depth in (0..count).rev() {
            self.settle(self.operands.peek(depth));
        }
    }

    /// Puts operands that are copies of a local into their temporaries: it will change.
    fn settle_copies(&mut self, local: u32) {
        self.settle_those(|operand| matches!(operand, Operand::Local(of, _) if of == local));
    }

    /// Puts all operands into their temporaries that may mean something else on another way: copies of locals, raw floats.
    pub(crate) fn settle_changing(&mut self) {
        self.settle_those(|operand| matches!(operand, Operand::Local(..) | Operand::Raw(_)));
    }

    fn settle_those(&mut self, which: impl Fn(Operand) -> bool) {
        let those: Vec<_> = self.operands.below(self.operands.height()).filter(|(_, it)| which(*it)).collect();
        those.into_iter().for_each(|operand| self.settle(operand));
    }

    /// Makes those of the topmost operands that are raw floats ones whose bits can be seen.
    pub(crate) fn refine_top(&mut self, count: u32) {
        for depth in (0..count).rev() {
            let operand = self.operands.peek(depth);
            if self.is_raw(operand.1) {
                self.settle(operand);
            }
        }
    }

    /// Whether an operand may be a NaN other than the one that the program has.
    fn is_raw(&self, operand: Operand) -> bool {
        match operand {
            _ if !self.program.has(Ingredient::Nans) => false,
            Operand::Raw(_) => true,
            Operand::Local(slot, _) => self.compiled.made[slot as usize],
            Operand::Temporary(_) | Operand::Constant(..) => false,
        }
    }

    fn set_local(&mut self, local: u32) {
        self.refine_for(local);
        let value = self.operands.pop();
        self.assign(local, value);
    }

    /// Makes the topmost operand fit for a local.
    fn refine_for(&mut self, local: u32) {
        if !self.compiled.made[local as usize] {
            self.refine_top(1);
        }
    }

    fn tee_local(&mut self, local: u32) {
        self.refine_for(local);
        let value = self.operands.pop();
        self.assign(local, value);
        let copy = Operand::Local(local, value.1.ty());
        self.operands.push(if matches!(value.1, Operand::Constant(..)) { value.1 } else { copy });
    }

    fn assign(&mut self, local: u32, value: PlacedOperand) {
        if matches!(value.1, Operand::Local(from, _) if from == local) {
            return;
        }
        self.settle_copies(local);
        self.get(value);
        let target = self.local(local);
        self.sink().local_set(target);
        if self.compiled.written_through {
            self.store_local(local, value.1.ty());
        }
    }

    fn select(&mut self) {
        self.refine_top(3);
        let condition = self.operands.pop();
        let second = self.operands.pop();
        let first = self.operands.pop();
        self.get(first);
        self.get(second);
        self.get(condition);
        self.sink().select();
        self.push_result(first.1.ty());
    }
}

/// An access of the companion's memory at `offset` from the address on its stack.
pub(crate) fn at(offset: u32) -> MemArg {
    MemArg { offset: offset.into(), align: 0, memory_index: 0 }
}
