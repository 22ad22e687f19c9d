//! The resumed form of a function: how it gets to the point at which it is to go on. Nothing is known there but what the frame
//! holds: operands are read from it, and around a point they lie in temporaries.

use stepmark_core::code::{Instr, Op};

use super::stack::Operand;
use super::{FuncEmitter, at};
use crate::layout::slot_offset;
use crate::points::Target;
use crate::rules::Num;

/// The parameter with the number of the point; 0 once it is arrived at.
const POINT: u32 = 0;

impl FuncEmitter<'_> {
    /// What comes first: the locals are read. From there nothing goes on but to a point.
    pub(crate) fn resume(&mut self) {
        let sp = self.sp();
        for (slot, ty) in (0..).zip(&self.compiled.locals) {
            if let Some(ty) = ty {
                let place = self.local(slot);
                self.sink().local_get(sp);
                self.load_value(*ty, slot_offset(slot));
                self.sink().local_set(place);
            }
        }
        self.read_memory_size();
        self.pending.clear();
        self.begin_region(0);
        self.live = false;
    }

    /// Begins a region: if points are in it, and one is to be gone to, goes there.
    pub(crate) fn begin_region(&mut self, start: u32) {
        let targets = self.points.as_ref().and_then(|points| points.regions.get(&start));
        let mut targets = targets.cloned().unwrap_or_default();
        targets.iter().for_each(|_| self.open_block());
        if let (Some(first), Some(last)) = (targets.first(), targets.last()) {
            let lowest = first.numbers.start;
            // By number of point, which of the blocks to go out of; there is one more around the choice.
            let labels: Vec<u32> =
                (1..).zip(&targets).flat_map(|(label, target)| target.numbers.clone().map(move |_| label)).collect();
            debug_assert_eq!(labels.len() as u32, last.numbers.end - lowest, "numbers follow each other");
            let otherwise = targets.len() as u32;
            self.sink().local_get(POINT);
            self.open_if();
            self.sink().local_get(POINT).i32_const(lowest as i32).i32_sub().br_table(labels, otherwise);
            self.close();
        }
        targets.reverse();
        self.pending.push(targets);
    }

    /// Whether the way to a point goes to the construct or the call of this index.
    pub(crate) fn is_target(&self, index: u32) -> bool {
        let region = self.pending.last();
        region.and_then(|targets| targets.last()).is_some_and(|target| target.index == index)
    }

    /// Joins the way to a point, or to points inside, before a construct.
    pub(crate) fn arrive_before(&mut self, index: u32, instr: &Instr) {
        let target = self.join(index);
        if target.is_head {
            self.arrive(target.numbers.start, index + 1);
        }
        if instr.op == Op::If {
            // Its condition is which of the arms the point is in.
            let (height, _) = self.operands.peek(0);
            let condition = self.temporary(height, Num::I32);
            self.sink().local_get(POINT);
            self.open_if();
            self.sink().local_get(POINT).i32_const(target.second as i32).i32_lt_u().local_set(condition);
            self.close();
        }
    }

    /// Joins the way to the point after a call.
    pub(crate) fn arrive_after(&mut self, index: u32) {
        let target = self.join_at(index, index + 1);
        self.arrive(target.numbers.start, index + 1);
    }

    fn join(&mut self, index: u32) -> Target {
        self.join_at(index, index)
    }

    /// Joins the way to a target; the operands are those before the instruction `before`.
    fn join_at(&mut self, index: u32, before: u32) -> Target {
        let region = self.pending.last_mut().expect("BUG: a region is open");
        let target = region.pop().expect("BUG: it is a target");
        debug_assert_eq!(target.index, index);
        if self.live {
            self.settle_top(self.operands.height());
        } else {
            let points = self.points.as_ref().expect("BUG: there are points to go to");
            let types = points.operands.get(&before).expect("BUG: around a point all operands are numbers").clone();
            self.operands.truncate(0);
            types.iter().for_each(|ty| self.operands.push(Operand::Temporary(*ty)));
        }
        self.live = true;
        self.close();
        target
    }

    /// At a point: if it is the one that is gone to, reads the operands there.
    fn arrive(&mut self, number: u32, index: u32) {
        let points = self.points.as_ref().expect("BUG: there are points to go to");
        let types = points.operands[&index].clone();
        let (sp, locals) = (self.sp(), self.compiled.locals.len() as u32);
        self.sink().local_get(POINT).i32_const(number as i32).i32_eq();
        self.open_if();
        for (height, ty) in (0..).zip(types) {
            let temporary = self.temporary(height, ty);
            self.sink().local_get(sp);
            self.load_value(ty, slot_offset(locals + height));
            self.sink().local_set(temporary);
        }
        self.sink().i32_const(0).local_set(POINT);
        self.close();
    }

    /// Returns with the results in the frame.
    pub(crate) fn return_to_frame(&mut self) {
        let (sp, gas) = (self.sp(), self.gas());
        let count = self.compiled.results.len() as u32;
        for slot in 0..count {
            let result = self.operands.peek(count - 1 - slot);
            self.sink().local_get(sp);
            self.get(result);
            let mut sink = self.sink();
            match result.1.ty() {
                Num::I32 => sink.i64_extend_i32_u(),
                Num::F32 => sink.i32_reinterpret_f32().i64_extend_i32_u(),
                Num::F64 => sink.i64_reinterpret_f64(),
                Num::I64 => &mut sink,
            };
            self.sink().i64_store(at(slot_offset(slot)));
        }
        self.sink().local_get(gas).return_();
    }

    /// Reads a value at an offset from the address on the companion's stack.
    pub(crate) fn load_value(&mut self, ty: Num, offset: u32) {
        let mut sink = self.sink();
        match ty {
            Num::I32 => sink.i32_load(at(offset)),
            Num::I64 => sink.i64_load(at(offset)),
            Num::F32 => sink.f32_load(at(offset)),
            Num::F64 => sink.f64_load(at(offset)),
        };
    }
}
