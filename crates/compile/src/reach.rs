//! What is to be tested and marked before an access of the program's memory, beyond what accesses before it have seen to.
//!
//! An address is known as a *base*, a number for a value that is computed somewhere, and a distance from it. Once it was tested that so many
//! bytes from a base on lie inside the memory, that holds wherever the place of the test was passed: the memory never shrinks, and
//! a base stands for one value. Accesses that follow each other without a branch between them are tested together, at the first of them:
//! if one of them is outside, the interpreter finds out which. Marks of changed pages are merged likewise. None is cleared while
//! compiled frames exist.

use std::collections::{BTreeMap, BTreeSet};

use stepmark_core::code::{Body, Instr, Op};

use crate::cost::{ends_run, least_round};
use crate::ingredient::Ingredient;
use crate::layout::MOST_SLOTS;
use crate::points::opens;
use crate::program::Program;
use crate::rounds::{AccessSpan, Rounds, RoundsSeen};
use crate::rules::{Num, Rule};
use crate::site::CompiledFunc;
use crate::source;
use crate::values::{Based, Pending, Values};

/// How many facts are searched for one that helps, the latest first; and how many accesses are looked at for what can be tested together.
/// They keep the time in proportion to the code.
const SEARCHED: usize = 32;
const AHEAD: usize = 64;
/// So many locals are looked at at heads of loops of one function.
const LOOKED: usize = 1 << 18;

/// A test whether `bytes` bytes from an address on, moved by `moved`, lie inside the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BoundsTest {
    pub(crate) moved: u32,
    pub(crate) bytes: u64,
}

/// A mark of the page `offset` bytes behind an address, moved by `moved`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageMark {
    pub(crate) moved: u32,
    pub(crate) offset: u32,
}

/// What comes before the accesses of one function, by index of the instruction; nothing where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accesses {
    pub(crate) tests: BTreeMap<u32, BoundsTest>,
    pub(crate) marks: BTreeMap<u32, PageMark>,
    /// What is seen to at the heads of loops, by index of the loop.
    pub(crate) rounds: BTreeMap<u32, Rounds>,
}

impl Accesses {
    /// Those of a function into which ways lead from outside before constructs, and after calls, of the indices `joined`: nothing that
    /// was tested before such a place is known behind it.
    pub(crate) fn new(
        program: &Program<'_>,
        compiled: &CompiledFunc,
        body: &Body,
        joined: Option<&BTreeSet<u32>>,
    ) -> Accesses {
        let is_access = |instr: &Instr| matches!(program.rules.of(instr.op), Rule::Load { .. } | Rule::Store { .. });
        if !body.instrs.iter().any(is_access) {
            return Accesses::default();
        }
        let first = AccessWalk::new(program, compiled, body).walk(joined);
        if first.rounds.is_empty() {
            return first;
        }
        // What loops see to is known now, before their accesses.
        let mut walk = AccessWalk::new(program, compiled, body);
        walk.accesses.rounds = first.rounds;
        walk.walk(joined)
    }
}

/// That of some bytes, counted from a base, it is known that they lie inside the memory, or that their pages are marked.
#[derive(Clone, Copy, Debug)]
struct Fact {
    begin: Based,
    bytes: u64,
}

/// Facts that hold where they can be looked up.
#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    fn cover(&self, begin: Based, bytes: u64) -> bool {
        let covers = |fact: &Fact| {
            let distance = begin.distance.wrapping_sub(fact.begin.distance);
            fact.begin.base == begin.base && u64::from(distance) + bytes <= fact.bytes
        };
        self.0.iter().rev().take(SEARCHED).any(covers)
    }
}

/// Slots of locals, as a set.
type Slots = [u64; (MOST_SLOTS as usize).div_ceil(64)];

/// An open construct.
struct Open {
    is_loop: bool,
    /// Its index.
    opener: u32,
    /// Operands below its parameters.
    height: usize,
    /// How many facts there were before it.
    inside: usize,
    marked: usize,
}

struct AccessWalk<'a> {
    program: &'a Program<'a>,
    compiled: &'a CompiledFunc,
    body: &'a Body,
    /// By index of a construct, the locals that are set in it.
    set: BTreeMap<u32, Slots>,
    values: Values,
    /// By slot, what a local holds, if it has been looked at since that could have changed.
    locals: Vec<Option<Based>>,
    /// Operands; nothing for one of which nothing is known.
    stack: Vec<Option<Based>>,
    open: Vec<Open>,
    inside: Facts,
    marked: Facts,
    /// Accesses since the last branch.
    pending: Vec<Pending>,
    /// The loop that was opened last, if it is open, and nothing in it has a loop or a call so far.
    seen: Option<RoundsSeen>,
    /// Locals that were looked at at heads of loops.
    looked: usize,
    accesses: Accesses,
}

impl<'a> AccessWalk<'a> {
    fn new(program: &'a Program<'a>, compiled: &'a CompiledFunc, body: &'a Body) -> AccessWalk<'a> {
        let local = |slot| (slot >= compiled.params).then_some(Based::constant(0));
        AccessWalk {
            program,
            compiled,
            body,
            set: set_inside(body),
            locals: (0..compiled.locals.len() as u32).map(local).collect(),
            values: Values::new(),
            stack: Vec::new(),
            open: Vec::new(),
            inside: Facts::default(),
            marked: Facts::default(),
            pending: Vec::new(),
            seen: None,
            looked: 0,
            accesses: Accesses::default(),
        }
    }

    fn walk(mut self, joined: Option<&BTreeSet<u32>>) -> Accesses {
        if joined.is_some() {
            self.forget();
        }
        let is_joined = |index| joined.is_some_and(|joined| joined.contains(&index));
        for (index, instr) in (0..).zip(&self.body.instrs) {
            self.instruction(index, instr, is_joined(index));
        }
        self.accesses
    }

    fn instruction(&mut self, index: u32, instr: &Instr, is_joined: bool) {
        if is_joined && !instr.op.is_call() {
            self.forget();
        }
        // Of what the instruction before has left, more may not be known.
        self.stack.resize(instr.height as usize, None);
        if self.program.is_emitted(self.compiled, instr) {
            self.emitted(index, instr);
        } else {
            // Nothing behind it is compiled code's, up to the end of the construct.
            self.decide();
            self.stack.clear();
            self.opens_or_closes(index, instr, 0);
        }
        if ends_run(instr.op) || instr.op == Op::Block {
            self.decide();
        }
        if matches!(instr.op, Op::Br | Op::BrIf | Op::BrTable | Op::Return) {
            self.seen.iter_mut().for_each(RoundsSeen::branch);
        }
        if is_joined && instr.op.is_call() {
            self.forget();
        }
    }

    fn emitted(&mut self, index: u32, instr: &Instr) {
        match self.program.rules.of(instr.op) {
            Rule::Numeric { operands, .. } => {
                let second = (operands > 1).then(|| self.pop());
                let first = self.pop();
                let value = self.values.numeric(instr.op, first, second);
                self.stack.push(Some(value));
            }
            Rule::Load { bytes, .. } => {
                self.access(index, instr, bytes, false);
                let most = match instr.op {
                    Op::I32Load8U => u8::MAX.into(),
                    Op::I32Load16U => u16::MAX.into(),
                    _ => u32::MAX,
                };
                let value = self.values.fresh(most);
                self.stack.push(Some(value));
            }
            Rule::Store { bytes } => {
                self.pop();
                self.access(index, instr, bytes, true);
            }
            Rule::Constant(Num::I32) => self.stack.push(Some(Based::constant(instr.imm as u32))),
            _ => self.special(index, instr),
        }
    }

    fn special(&mut self, index: u32, instr: &Instr) {
        match instr.op {
            Op::LocalGet => {
                let values = &mut self.values;
                let value = self.locals[instr.imm as usize].get_or_insert_with(|| values.fresh(u32::MAX));
                self.stack.push(Some(*value));
            }
            Op::LocalSet => {
                let value = self.pop();
                self.set_local(instr.imm as u32, value);
            }
            Op::LocalTee => {
                let value = self.pop();
                self.stack.push(Some(value));
                self.set_local(instr.imm as u32, value);
            }
            Op::Select => {
                self.pop();
                let (second, first) = (self.pop(), self.pop());
                let value = self.values.fresh(self.values.most(first).max(self.values.most(second)));
                self.stack.push(Some(value));
            }
            Op::Call | Op::CallIndirect => {
                let taken = self.program.called_type(instr).params.len() + usize::from(instr.op == Op::CallIndirect);
                self.stack.truncate(self.stack.len().saturating_sub(taken));
                self.seen = None;
            }
            _ => {
                let is_construct = matches!(instr.op, Op::Block | Op::Loop | Op::If);
                let types = is_construct.then(|| source::block_types(self.program.module, instr)).flatten();
                let taken = types.map_or(0, |types| types.params.len()) + usize::from(instr.op == Op::If);
                self.opens_or_closes(index, instr, self.stack.len().saturating_sub(taken));
            }
        }
    }

    /// What is known inside and behind constructs; `height` are the operands below one that begins.
    fn opens_or_closes(&mut self, index: u32, instr: &Instr, height: usize) {
        match instr.op {
            op if opens(op) => {
                self.decide();
                let is_loop = instr.op == Op::Loop;
                if is_loop {
                    // A branch to its head brings others.
                    self.stack.truncate(height);
                    self.change_locals(index);
                }
                let (inside, marked) = (self.inside.0.len(), self.marked.0.len());
                self.open.push(Open { is_loop, opener: index, height, inside, marked });
                if is_loop {
                    self.begin_rounds(index);
                }
            }
            Op::Else => {
                self.decide();
                if let Some(open) = self.open.pop() {
                    self.back_to_before(&open);
                    self.open.push(open);
                }
            }
            Op::End => {
                self.decide();
                if let Some(open) = self.open.pop() {
                    if open.is_loop {
                        self.end_rounds(open.opener);
                        self.stack.truncate(open.height);
                    } else {
                        self.back_to_before(&open);
                    }
                }
            }
            _ => {}
        }
    }

    /// At the head of a loop: what its rounds rely on.
    fn begin_rounds(&mut self, index: u32) {
        self.looked += self.locals.len();
        let needed = [Ingredient::Rounds, Ingredient::Gas, Ingredient::Bounds, Ingredient::Marks];
        if !needed.iter().all(|it| self.program.has(*it)) || self.looked > LOOKED {
            return;
        }
        for (local, ty) in self.locals.iter_mut().zip(&self.compiled.locals) {
            if *ty == Some(Num::I32) && local.is_none() {
                *local = Some(self.values.fresh(u32::MAX));
            }
        }
        self.seen = Some(RoundsSeen::new(index, self.open.len(), &self.locals));
        let rounds = self.accesses.rounds.get(&index).cloned();
        for address in rounds.iter().flat_map(|rounds| &rounds.addresses) {
            let value = |slot: u32| self.locals[slot as usize].expect("BUG: it is held in a local");
            let (first, added) = (value(address.local), address.added.map(value));
            let begin = added.map_or(first, |added| self.values.sum(first, added));
            let fact = |span: AccessSpan| Fact { begin: begin.moved(span.low as u32), bytes: span.bytes() };
            self.inside.0.push(fact(address.accessed));
            self.marked.0.extend(address.stored.map(fact));
        }
    }

    /// At the end of a loop: what can be seen to at its head, unless that is known.
    fn end_rounds(&mut self, opener: u32) {
        let Some(seen) = self.seen.take().filter(|seen| seen.opener == opener) else { return };
        if self.accesses.rounds.contains_key(&opener) {
            return;
        }
        let is_emitted = |instr: &Instr| self.program.is_emitted(self.compiled, instr);
        let cost = least_round(self.body, self.program.schedule, &is_emitted, opener);
        if let Some(rounds) = cost.and_then(|cost| seen.rounds(&self.values.sums, cost)) {
            self.accesses.rounds.insert(opener, rounds);
        }
    }

    fn set_local(&mut self, slot: u32, value: Based) {
        self.locals[slot as usize] = Some(value);
        if let Some(seen) = &mut self.seen {
            seen.set(slot, value);
        }
    }

    /// Keeps what was known before a construct, and holds on any way through it.
    fn back_to_before(&mut self, open: &Open) {
        self.stack.truncate(open.height);
        self.inside.0.truncate(open.inside);
        self.marked.0.truncate(open.marked);
        self.change_locals(open.opener);
    }

    fn change_locals(&mut self, opener: u32) {
        let set = self.set[&opener];
        for (slot, local) in self.locals.iter_mut().enumerate() {
            if set[slot / 64] >> (slot % 64) & 1 == 1 {
                *local = None;
            }
        }
    }

    /// Nothing is known any more: a way from outside joins.
    fn forget(&mut self) {
        self.decide();
        debug_assert!(self.open.iter().all(|open| open.inside + open.marked == 0), "it joins before them too");
        self.inside.0.clear();
        self.marked.0.clear();
        self.stack.clear();
        self.locals.fill(None);
    }

    fn pop(&mut self) -> Based {
        // Where nothing can be reached there may be fewer than are taken.
        self.stack.pop().flatten().unwrap_or_else(|| self.values.fresh(u32::MAX))
    }

    fn access(&mut self, index: u32, instr: &Instr, bytes: u32, stores: bool) {
        let address = self.pop();
        let access = Pending { index, address, offset: instr.imm as u32, bytes, stores };
        self.pending.push(access);
        if let Some(seen) = self.seen.as_mut().filter(|seen| seen.depth == self.open.len()) {
            seen.access(access);
        }
    }

    /// Decides what the accesses since the last branch need.
    fn decide(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for (number, access) in pending.iter().enumerate() {
            let ahead = &pending[number + 1..pending.len().min(number + 1 + AHEAD)];
            if self.program.has(Ingredient::Bounds) {
                self.test(access, ahead);
            }
            if access.stores && self.program.has(Ingredient::Marks) {
                self.mark(access, ahead);
            }
        }
    }

    fn is_inside(&self, access: &Pending) -> bool {
        let end = u64::from(self.values.most(access.address)) + access.reach();
        end <= self.program.least_memory() || self.inside.cover(access.address, access.reach())
    }

    fn test(&mut self, access: &Pending, ahead: &[Pending]) {
        if self.is_inside(access) {
            return;
        }
        let (mut low, mut high) = (0, access.reach() as i64);
        for other in ahead.iter().filter(|other| other.address.base == access.address.base) {
            let distance = other.address.distance.wrapping_sub(access.address.distance).cast_signed().into();
            let (lower, higher) = (low.min(distance), high.max(distance + other.reach() as i64));
            // More than that is tested in another way.
            if higher - lower <= self.program.least_memory() as i64 {
                (low, high) = (lower, higher);
            }
        }
        let test = BoundsTest { moved: low as u32, bytes: (high - low) as u64 };
        self.inside.0.push(Fact { begin: access.address.moved(test.moved), bytes: test.bytes });
        self.accesses.tests.insert(access.index, test);
    }

    fn mark(&mut self, access: &Pending, ahead: &[Pending]) {
        if self.marked.cover(access.begin(), access.bytes.into()) {
            return;
        }
        // The lowest of those that follow may stand for this one and those between, if it is known to be inside.
        let below = |other: &Pending| access.begin().distance.wrapping_sub(other.begin().distance);
        let is_lower = |other: &&Pending| {
            let is_near = u64::from(below(other)) + u64::from(access.bytes) <= other.span();
            other.stores && other.begin().base == access.begin().base && is_near && self.is_inside(other)
        };
        let lowest = ahead.iter().filter(is_lower).max_by_key(|other| below(other)).unwrap_or(access);
        let moved = lowest.address.distance.wrapping_sub(access.address.distance);
        self.marked.0.push(Fact { begin: lowest.begin(), bytes: lowest.span() });
        self.accesses.marks.insert(access.index, PageMark { moved, offset: lowest.offset });
    }
}

/// By index of a construct, the locals that are set in it.
fn set_inside(body: &Body) -> BTreeMap<u32, Slots> {
    let (mut set, mut open) = (BTreeMap::new(), Vec::<(u32, Slots)>::new());
    for (index, instr) in (0..).zip(&body.instrs) {
        match instr.op {
            op if opens(op) => open.push((index, Slots::default())),
            Op::LocalSet | Op::LocalTee => {
                let slot = instr.imm as usize;
                if let Some((_, slots)) = open.last_mut() {
                    slots[slot / 64] |= 1 << (slot % 64);
                }
            }
            Op::End => {
                let Some((opener, slots)) = open.pop() else { continue };
                if let Some((_, around)) = open.last_mut() {
                    around.iter_mut().zip(slots).for_each(|(around, slots)| *around |= slots);
                }
                set.insert(opener, slots);
            }
            _ => {}
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;
    use crate::rounds::{RoundStep, Strided};
    use stepmark_core::gas::Schedule;
    use stepmark_core::module::{Features, Module};

    /// Before an access: what is tested, as how far the address is moved and how many bytes from there; what is marked, likewise with the
    /// offset.
    type Before = (Option<(i32, u64)>, Option<(i32, u32)>);

    fn shown(body: &str, joined: Option<&[usize]>) -> Vec<Before> {
        let (accesses, indices) = accesses(body, joined);
        let test = |index| accesses.tests.get(&index).map(|test| (test.moved as i32, test.bytes));
        let mark = |index| accesses.marks.get(&index).map(|mark| (mark.moved as i32, mark.offset));
        indices.into_iter().map(|index| (test(index), mark(index))).collect()
    }

    /// What comes before the accesses of a body, and their indices.
    fn accesses(body: &str, joined: Option<&[usize]>) -> (Accesses, Vec<u32>) {
        let text = format!("(module (memory 1) (func $f (param i32 i32) (local i32) {body}))");
        let module = Module::parse(wat::parse_str(text).unwrap(), Features::default()).unwrap();
        let layout = Layout {
            instance: 0,
            memory: 65536,
            memory_size: 24,
            marks: 2048,
            globals: vec![],
            tables: vec![],
            signatures: 128,
            gas: 16,
            innermost: 8,
            frame_limit: 8192,
        };
        let schedule = Schedule::default();
        let program = Program::new(&module, &schedule, &layout, &[0]);
        let body = Body::decode(&module, 0);
        let is_place = |instr: &&(u32, &Instr)| matches!(instr.1.op, Op::Loop | Op::Block | Op::If | Op::Call);
        let places: Vec<u32> = (0..).zip(&body.instrs).filter(|it| is_place(&it)).map(|it| it.0).collect();
        let joined = joined.map(|joined| joined.iter().map(|number| places[*number]).collect());
        let accesses = Accesses::new(&program, &program.funcs[&0], &body, joined.as_ref());
        let instrs = (0..).zip(&body.instrs).filter(|(_, instr)| instr.op.is_memory_access());
        let indices = instrs.map(|(index, _)| index).collect();
        (accesses, indices)
    }

    const NOTHING: Before = (None, None);

    #[test]
    fn accesses_at_distances_from_one_base_are_tested_once_at_the_first() {
        let found = shown(
            "(drop (i32.load offset=8 (local.get 0)))
            (drop (i64.load (i32.add (local.get 0) (i32.const 16))))
            (local.set 2 (i32.sub (local.get 0) (i32.const 4)))
            (drop (i32.load8_u (local.get 2)))
            (drop (i32.load8_u (i32.mul (local.get 2) (local.get 1))))
            (drop (i32.load8_u (i32.mul (local.get 2) (local.get 1))))",
            None,
        );
        assert_eq!(found, [(Some((-4, 28)), None), NOTHING, NOTHING, (Some((0, 1)), None), NOTHING]);
    }

    #[test]
    fn what_was_tested_before_a_branch_holds_behind_it_and_what_was_tested_on_one_way_does_not() {
        let found = shown(
            "(drop (i32.load (local.get 0)))
            (if (local.get 1) (then (drop (i32.load offset=4 (local.get 0)))) (else (local.set 2 (local.get 0))))
            (drop (i32.load (local.get 0)))
            (drop (i32.load offset=4 (local.get 0)))
            (drop (i32.load (local.get 2)))",
            None,
        );
        let tested = |bytes| (Some((0, bytes)), None);
        // The last: whichever way was gone, it is another local.
        assert_eq!(found, [tested(4), tested(8), NOTHING, tested(8), tested(4)]);
    }

    #[test]
    fn a_loop_knows_nothing_of_locals_that_it_sets() {
        let found = shown(
            "(drop (i32.load8_u (local.get 0)))
            (drop (i32.load8_u (local.get 1)))
            (loop
                (drop (i32.load8_u (local.get 0)))
                (drop (i32.load8_u (local.get 1)))
                (local.set 1 (i32.add (local.get 1) (i32.const 1)))
                (local.set 1 (i32.add (local.get 1) (i32.const 1)))
                (br_if 0 (local.get 1)))
            (drop (i32.load8_u (i32.sub (local.get 1) (i32.const 2))))",
            None,
        );
        let tested = (Some((0, 1)), None);
        assert_eq!(found, [tested, tested, NOTHING, tested, NOTHING]);
    }

    #[test]
    fn an_address_that_is_never_beyond_the_least_memory_is_not_tested() {
        let found = shown(
            "(drop (i32.load (i32.const 65532)))
            (drop (i32.load (i32.const 65533)))
            (drop (i32.load offset=64512 (i32.shl (i32.and (local.get 0) (i32.const 255)) (i32.const 2))))
            (drop (i32.load offset=64516 (i32.shl (i32.and (local.get 0) (i32.const 255)) (i32.const 2))))
            (drop (i32.load (local.get 2)))",
            None,
        );
        let reach = (Some((0, 64520)), None);
        assert_eq!(found, [NOTHING, (Some((0, 4)), None), NOTHING, reach, NOTHING]);
    }

    #[test]
    fn stores_near_each_other_are_marked_once_by_the_lowest() {
        let found = shown(
            "(i32.store offset=8 (local.get 0) (i32.const 1))
            (i32.store (i32.sub (local.get 0) (i32.const 8)) (i32.const 1))
            (i32.store offset=4096 (local.get 0) (i32.const 1))
            (i32.store offset=8192 (local.get 0) (i32.const 1))",
            None,
        );
        // 8,193 bytes from 8 below on.
        assert_eq!(found, [(Some((-8, 8204)), Some((-8, 0))), NOTHING, NOTHING, (None, Some((0, 8192)))]);
    }

    #[test]
    fn nothing_is_known_where_a_way_from_outside_joins() {
        let text = "(drop (i32.load (local.get 0)))
            (call $f (local.get 0) (local.get 0))
            (drop (i32.load (local.get 0)))
            (loop (drop (i32.load (local.get 0))) (drop (i32.load (local.get 2))))";
        let tested = (Some((0, 4)), None);
        assert_eq!(shown(text, None), [tested, NOTHING, NOTHING, NOTHING]);
        assert_eq!(shown(text, Some(&[0])), [tested, tested, NOTHING, tested]);
        assert_eq!(shown(text, Some(&[0, 1])), [tested, tested, tested, tested]);
        // A state from outside may have locals that no run has.
        let text = "(local.set 2 (i32.add (local.get 0) (i32.const 4)))
            (loop (drop (i32.load (local.get 2))) (drop (i32.load (local.get 0))))";
        assert_eq!(shown(text, None), [(Some((-4, 8)), None), NOTHING]);
        assert_eq!(shown(text, Some(&[0])), [tested, tested]);
    }

    fn rounds(text: &str) -> Option<Rounds> {
        let (accesses, _) = accesses(text, None);
        assert!(accesses.rounds.len() < 2);
        accesses.rounds.into_values().next()
    }

    #[test]
    fn the_head_of_a_loop_sees_to_addresses_that_every_round_moves_alike() {
        let text = "(loop
            (f64.store offset=8 (i32.add (local.get 0) (local.get 2)) (f64.load (i32.add (local.get 1) (local.get 2))))
            (local.set 2 (i32.add (local.get 2) (i32.const 16)))
            (f64.store (i32.add (local.get 0) (local.get 2)) (f64.load (local.get 1)))
            (br_if 0 (local.get 2)))";
        assert_eq!(shown(text, None), [NOTHING; 4]);
        let span = |low, high| AccessSpan { low, high };
        let moved = |local, added, step, accessed, stored| Strided {
            local,
            added,
            step: RoundStep::Bytes(step),
            accessed,
            stored,
        };
        let found = rounds(text).unwrap();
        let expected = [
            moved(2, Some(1), 16, span(0, 8), None),
            moved(2, Some(0), 16, span(0, 24), Some(span(16, 24))),
            moved(1, None, 0, span(0, 8), None),
        ];
        let stored = Some(span(8, 24));
        assert_eq!(found.addresses[0], expected[0]);
        assert_eq!(found.addresses[1], Strided { stored, ..expected[1] });
        assert_eq!(found.addresses[2], expected[2]);
        // 8,193 bytes are marked: 16 in the first round, 16 more in each other.
        assert_eq!((found.most, found.cost), (1 + (8193 - 16) / 16, 20));
    }

    #[test]
    fn a_local_may_move_an_address() {
        let found = rounds(
            "(loop (i32.store8 (local.get 2) (i32.load (local.get 0)))
            (br_if 0 (i32.lt_u (local.tee 2 (i32.add (local.get 1) (local.get 2))) (local.get 0))))",
        );
        let found = found.unwrap();
        assert_eq!(found.addresses[1].step, RoundStep::Local(1));
        assert_eq!((found.addresses[1].marked_room(), found.most), (Some(8192), 1024));
    }

    #[test]
    fn of_very_many_addresses_a_loop_sees_to_some() {
        let store = |number| format!("(i32.store (i32.add (local.get {number}) (local.get 1)) (local.get 0))");
        let stores: String = (2..42).map(store).collect();
        let locals = " i32".repeat(39);
        let set = |number| format!("(local.set {number} (i32.load (i32.const {number})))");
        let sets: String = (2..42).map(set).collect();
        let text = format!("(local{locals}) {sets} (loop {stores} (br_if 0 (local.get 0)))");
        assert_eq!(rounds(&text).unwrap().addresses.len(), 16);
        assert!(shown(&text, None).iter().any(|before| *before != NOTHING));
    }

    #[test]
    fn nothing_is_seen_to_where_rounds_may_differ_or_are_left_to_the_interpreter() {
        let load = "(i32.store (local.get 2) (i32.load (local.get 0)))";
        let step = "(local.set 2 (i32.add (local.get 2) (i32.const 4)))";
        let again = "(br_if 0 (local.get 2))";
        assert!(rounds(&format!("(loop {load} {step} {again})")).is_some());
        for text in [
            format!("(loop {load} {step} {step} {again})"),
            format!("(loop {load} (local.set 2 (i32.mul (local.get 2) (i32.const 4))) {again})"),
            format!("(loop (if (local.get 1) (then {load})) {step} {again})"),
            format!(
                "(loop {load} (local.set 2 (i32.add (local.get 2) (local.get 1)))
                (local.set 1 (i32.add (local.get 1) (i32.const 8))) {again})"
            ),
            format!("(loop {load} {step} (call $f (local.get 0) (local.get 1)) {again})"),
            format!("(loop {load} {step} (loop {step} (br_if 0 (local.get 2))) {again})"),
            format!("(loop {load} {step} (drop (memory.grow (i32.const 0))) {again})"),
            format!("(loop (br_if 1 (local.get 1)) {load} {step} {again})"),
            format!("(loop {load} {step})"),
        ] {
            assert_eq!(rounds(&text), None, "{text}");
        }
    }
}
