//! Exceptions that the program holds references to. A reference is a number; whenever the state is written, and when there
//! are too many, they are numbered anew in the order in which the program reaches them, and what it cannot reach is
//! dropped. So equal states have equal numbers, however they came about.

use std::collections::{BTreeMap, BTreeSet};

use super::stack::Frame;
use super::{Machine, Store, Table};
use crate::code::{Body, Instr, KindsBefore};
use crate::gas::Unit;
use crate::machine::stepper::Done;
use crate::module::{HeapType, SlotKind, slot_kinds};
use stepmark_state::trap::Trap;

/// An exception that was caught with a reference to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Store address of its tag.
    pub tag: u32,
    /// Its payload, slot by slot.
    pub values: Vec<u64>,
}

/// All exceptions that references point to: null is 0, any other reference one more than the index here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    list: Vec<Exception>,
    /// Slots that were taken, one for each exception and its payload: by those that were reachable when the limit was last
    /// met, and by all since. Part of the state: what a limit does must not depend on when states were written.
    counted: u64,
}

impl Exceptions {
    /// The exceptions, in the order of their numbers.
    pub fn list(&self) -> &[Exception] {
        &self.list
    }

    /// Slots that count against the job's limit.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// Puts the count where a checked state has it.
    pub(crate) fn set_counted(&mut self, counted: u64) {
        self.counted = counted;
    }

    /// The exception that a reference points to.
    pub(crate) fn get(&self, reference: u64) -> Option<&Exception> {
        self.list.get(usize::try_from(reference.checked_sub(1)?).ok()?)
    }

    /// Keeps an exception; the reference to it.
    pub(crate) fn add(&mut self, exception: Exception) -> u64 {
        self.counted += exception.slots();
        self.list.push(exception);
        self.list.len() as u64
    }
}

impl Exception {
    fn slots(&self) -> u64 {
        1 + self.values.len() as u64
    }
}

/// New numbers by old ones, in the order of the first visit.
struct Renumbering {
    new: Vec<Option<u64>>,
    /// Old indices in the new order.
    order: Vec<usize>,
}

impl Renumbering {
    /// Gives a reference its new number.
    fn visit(&mut self, reference: &mut u64) {
        let Some(old) = reference.checked_sub(1) else { return };
        let place = &mut self.new[old as usize];
        *reference = match *place {
            Some(new) => new,
            None => {
                self.order.push(old as usize);
                *place.insert(self.order.len() as u64)
            }
        };
    }

    /// Visits those of these slots that are references to exceptions.
    fn visit_slots(&mut self, slots: &mut [u64], kinds: &[SlotKind]) {
        for (slot, _) in slots.iter_mut().zip(kinds).filter(|(_, kind)| **kind == SlotKind::Exception) {
            self.visit(slot);
        }
    }
}

/// What the slots of the frames on a call stack hold, by function address.
type KindsAt = BTreeMap<u32, KindsBefore>;

/// That there is room for one more exception.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    /// The slots that count once the instruction that asks is paid for.
    pub counted: u64,
    /// Gas for making room.
    pub cost: u64,
}

/// A frame is worth so many slots: where it rests is looked up.
const SLOTS_A_FRAME: u64 = 8;

impl Machine {
    /// Makes room for one more exception, where `instr` can pay for looking through everything. Those that can still be
    /// reached may take half of the limit, so that this is not done for each.
    ///
    /// # Errors
    /// A halt: what cannot be paid for, or a trap, paid for, if the program holds too many.
    pub(crate) fn exception_room(&mut self, instr: &Instr) -> Done<Room> {
        let limit = u64::from(self.limits.exception_slots);
        let counted = self.store.exceptions.counted;
        if counted < limit {
            return Ok(Room { counted, cost: 0 });
        }
        let cost = self.afford_collection(instr)?;
        self.collect_exceptions();
        let reachable = self.store.exceptions.list.iter().map(Exception::slots).sum();
        if reachable > limit / 2 {
            return Err(self.charge_trap_after(instr, cost, Trap::ExceptionsExhausted));
        }
        Ok(Room { counted: reachable, cost })
    }

    /// The gas of a collection: what it looks through is part of the state, so that it costs the same wherever the run was
    /// interrupted. It is added up step by step, each of them paid for by the one before: nobody pays for what cannot be
    /// afforded.
    fn afford_collection(&mut self, instr: &Instr) -> Done<u64> {
        let mut work = self.store.exceptions.counted + (self.store.tables.len() + self.store.globals.len()) as u64;
        self.for_each_stack(|machine| work += machine.frames.len() as u64 * SLOTS_A_FRAME);
        self.afford(instr, self.units(Unit::ThrowCollect, work))?;
        work += self.store.exception_tables().map(|table| table.elements.len() as u64).sum::<u64>();
        self.for_each_stack(|machine| work += machine.code_on_stack());
        self.afford(instr, self.units(Unit::ThrowCollect, work))?;
        self.for_each_stack(|machine| work += machine.slots_on_stack());
        let cost = self.units(Unit::ThrowCollect, work);
        self.afford(instr, cost)?;
        Ok(cost)
    }

    /// Bytes of the functions that have frames.
    fn code_on_stack(&self) -> u64 {
        let funcs: BTreeSet<u32> = self.frames.iter().map(|frame| frame.func).collect();
        funcs.into_iter().map(|func| self.code_bytes(func)).sum()
    }

    fn code_bytes(&self, func: u32) -> u64 {
        let func = &self.store.funcs[func as usize];
        let body = self.store.instances[func.instance as usize].module.body(func.index);
        body.expect("BUG: a frame is of a defined function").len() as u64
    }

    /// Slots of all frames.
    fn slots_on_stack(&mut self) -> u64 {
        let Some(Frame { func, base, .. }) = self.frames.last().copied() else { return 0 };
        u64::from(base) + u64::from(self.frame_slots(func))
    }

    /// Numbers exceptions in the order in which they are reached: from the frames, outermost first, the globals, the tables,
    /// then from the exceptions themselves; drops those that are not reached. Tells if nothing had to change.
    pub fn collect_exceptions(&mut self) -> bool {
        if self.store.exceptions.list.is_empty() {
            return true;
        }
        let count = self.store.exceptions.list.len();
        let mut numbers = Renumbering { new: vec![None; count], order: Vec::new() };
        self.for_each_stack(|machine| machine.visit_frames(&mut numbers));
        self.store.visit_globals(&mut numbers);
        self.store.visit_tables(&mut numbers);
        self.store.visit_exceptions(&mut numbers);
        numbers.order.len() == count && numbers.order.is_sorted()
    }

    fn visit_frames(&mut self, numbers: &mut Renumbering) {
        let kinds_at = self.kinds_of_frames();
        for number in 0..self.frames.len() {
            let frame = self.frames[number];
            let end = self.frames.get(number + 1).map_or(usize::MAX, |next| next.base as usize);
            let KindsBefore { locals, operands } = &kinds_at[&frame.func];
            let operands = &operands[&self.resume_index(number)];
            let base = frame.base as usize;
            let top = (base + locals.len() + operands.len()).min(end);
            let (locals_at, operands_at) = self.stack[base..top].split_at_mut(locals.len());
            numbers.visit_slots(locals_at, locals);
            numbers.visit_slots(operands_at, operands);
        }
    }

    /// Decodes each function on the call stack once, in however many places its frames rest.
    fn kinds_of_frames(&self) -> KindsAt {
        let mut places: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (number, frame) in self.frames.iter().enumerate() {
            places.entry(frame.func).or_default().insert(self.resume_index(number));
        }
        let kinds = |(address, indices): (u32, BTreeSet<u32>)| {
            let func = &self.store.funcs[address as usize];
            let module = &self.store.instances[func.instance as usize].module;
            (address, Body::kinds_before(module, func.index, &indices))
        };
        places.into_iter().map(kinds).collect()
    }
}

/// Whether a table can hold references to exceptions.
fn holds_exceptions(table: &Table) -> bool {
    table.ty().element.heap == HeapType::Exn
}

impl Store {
    fn exception_tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| holds_exceptions(table))
    }

    fn visit_globals(&mut self, numbers: &mut Renumbering) {
        let kinds: Vec<SlotKind> = self.global_types.iter().map(|ty| ty.value.kind()).collect();
        numbers.visit_slots(&mut self.globals, &kinds);
    }

    fn visit_tables(&mut self, numbers: &mut Renumbering) {
        for table in self.tables.iter_mut().filter(|table| holds_exceptions(table)) {
            for index in 0..table.elements.len() {
                let mut reference = table.elements[index];
                numbers.visit(&mut reference);
                if reference != table.elements[index] {
                    table.fill(index..index + 1, reference);
                }
            }
        }
    }

    /// Follows the payloads of what has been reached, and leaves only that.
    fn visit_exceptions(&mut self, numbers: &mut Renumbering) {
        let mut old = std::mem::take(&mut self.exceptions.list);
        let mut next = 0;
        while let Some(index) = numbers.order.get(next).copied() {
            let mut exception = std::mem::replace(&mut old[index], Exception { tag: 0, values: Vec::new() });
            let kinds = slot_kinds(&self.tag_type(exception.tag).params);
            numbers.visit_slots(&mut exception.values, &kinds);
            self.exceptions.list.push(exception);
            next += 1;
        }
    }
}
