//! What the code of a function costs, by index of the instruction. Instructions are paid for in *runs*: where one begins
//! (after a transfer of control, at a label), everything up to the next transfer of control is charged. Nothing is compared
//! there: compiled code compares at a function's entry, at the head of a loop and after a call, with what the dearest way to
//! the next such place costs.

use stepmark_core::code::{Body, Instr, Op};
use stepmark_core::gas::Schedule;

use crate::points::opens;

/// Costs of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Costs {
    /// Of the instructions from this one to the end of its run.
    rest: Vec<i64>,
    /// Of the dearest way from before this one to the next comparison.
    need: Vec<i64>,
}

/// The most that the instructions of a function may cost together, and what it charges for its locals: no sum of costs, that
/// of calls with what their callees begin with, then comes near the width of the counter.
const MOST: u64 = 1 << 40;

/// Whether the costs of a body are ones that [`Costs`] can hold: bounded, and nothing in it so free that it would have to be
/// counted in steps.
pub(crate) fn is_priced(body: &Body, schedule: &Schedule, zeroed: u64) -> bool {
    let sum = body.instrs.iter().fold(0, |sum: u64, instr| sum.saturating_add(schedule.cost_of(instr)));
    let is_free = |instr: &Instr| schedule.is_uncharged_transfer(instr.op);
    sum <= MOST && zeroed <= MOST && !body.instrs.iter().any(is_free)
}

impl Costs {
    /// The costs of a [priced](is_priced) body of which these instructions are emitted, where a call's callee begins with
    /// `entering`.
    pub(crate) fn new(
        body: &Body,
        schedule: &Schedule,
        is_emitted: &dyn Fn(&Instr) -> bool,
        entering: &dyn Fn(&Instr) -> i64,
    ) -> Costs {
        let count = body.instrs.len();
        let mut costs = Costs { rest: vec![0; count + 1], need: vec![0; count + 1] };
        for (index, instr) in body.instrs.iter().enumerate().rev() {
            if !is_emitted(instr) {
                continue;
            }
            let cost = schedule.cost_of(instr) as i64;
            let entered = if instr.op.is_call() { entering(instr) } else { 0 };
            costs.rest[index] = cost + if ends_run(instr.op) { 0 } else { costs.rest[index + 1] };
            costs.need[index] = cost + entered + costs.after(body, index, instr);
        }
        costs
    }

    /// Those of a body for which nothing is charged.
    pub(crate) fn nothing(body: &Body) -> Costs {
        let nothing = vec![0; body.instrs.len() + 1];
        Costs { rest: nothing.clone(), need: nothing }
    }

    /// The dearest way from after an instruction.
    fn after(&self, body: &Body, index: usize, instr: &Instr) -> i64 {
        if matches!(instr.op, Op::Loop | Op::Call | Op::CallIndirect) {
            return 0;
        }
        // One that does not follow is the head of a loop, where gas is compared.
        let need = |next: usize| if next > index { self.need[next] } else { 0 };
        successors(body, index, instr).map(need).max().unwrap_or(0)
    }

    /// Cost of the instructions from this one to the end of its run.
    pub(crate) fn rest(&self, index: u32) -> i64 {
        self.rest[index as usize]
    }

    /// Cost of the dearest way from before this instruction to the next comparison.
    pub(crate) fn need(&self, index: u32) -> i64 {
        self.need[index as usize]
    }
}

/// The cost of the cheapest way from the head of an innermost loop, its first instruction, back there; nothing if there is none, or it
/// is free. `loop_` is the index of the loop itself.
pub(crate) fn least_round(
    body: &Body,
    schedule: &Schedule,
    is_emitted: &dyn Fn(&Instr) -> bool,
    loop_: u32,
) -> Option<i64> {
    let head = loop_ as usize + 1;
    let mut open = 1;
    let closes = |instr: &Instr| {
        open += i32::from(opens(instr.op));
        open -= i32::from(instr.op == Op::End);
        open == 0
    };
    let length = body.instrs[head..].iter().position(closes)?;
    // By instruction from the head on; whatever comes behind the end does not come back.
    let mut least = vec![None; length + 1];
    for (place, instr) in body.instrs[head..head + length].iter().enumerate().rev() {
        if !is_emitted(instr) {
            continue;
        }
        let back = |next: usize| match next {
            _ if next == head => Some(0),
            _ if next > head + place => least.get(next - head).copied().flatten(),
            _ => None,
        };
        let after: Option<i64> = successors(body, head + place, instr).filter_map(back).min();
        least[place] = after.map(|after| after + schedule.cost_of(instr) as i64);
    }
    least[0].filter(|cost| *cost > 0)
}

/// The instructions to which a way leads from one; none where it leaves the function.
fn successors(body: &Body, index: usize, instr: &Instr) -> impl Iterator<Item = usize> {
    let one = |target: u64| target..target + 1;
    let (falls, targets) = match instr.op {
        Op::Return => (false, 0..0),
        Op::Br | Op::Else => (false, one(instr.imm)),
        Op::BrIf => (true, one(instr.imm)),
        Op::If => (true, one(instr.aux.into())),
        Op::BrTable => (false, instr.imm..instr.imm + u64::from(instr.aux) + 1),
        _ => (true, 0..0),
    };
    let next = falls.then_some(index + 1).into_iter();
    next.chain(targets.map(|target| body.targets[target as usize].index as usize))
}

/// Whether the next instruction begins a run of its own.
pub(crate) fn ends_run(op: Op) -> bool {
    use Op::*;
    matches!(op, Loop | If | Else | End | Br | BrIf | BrTable | Return | Call | CallIndirect)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepmark_core::module::{Features, Module};

    fn costs(text: &str, emitted: &dyn Fn(&Instr) -> bool) -> Costs {
        let module = Module::parse(wat::parse_str(text).unwrap(), Features::default()).unwrap();
        Costs::new(&Body::decode(&module, 0), &Schedule::default(), emitted, &|_| 5)
    }

    #[test]
    fn a_comparison_asks_for_the_dearest_way_to_the_next_one() {
        // get 0, if 1, const 2, drop 3, else 4, end 5, get 6, drop 7, loop 8, call 9, get 10, br_if 11, end 12, end 13
        let text = "(module (func $f (param i32)
            (if (local.get 0) (then (drop (i32.const 1))) (else))
            (drop (local.get 0))
            (loop (call $f (local.get 0)) (br_if 0 (local.get 0)))))";
        let found = costs(text, &|_| true);
        // Get and if; const and drop; get and drop.
        assert_eq!(found.need(0), 6);
        assert_eq!((found.rest(0), found.rest(2), found.rest(6)), (2, 2, 2));
        // The argument, the call and what its callee begins with.
        assert_eq!((found.need(9), found.rest(9)), (7, 2));
        assert_eq!((found.need(11), found.rest(11)), (2, 2));
    }

    #[test]
    fn nothing_is_paid_for_what_is_not_emitted() {
        let text = "(module (memory 1) (func (drop (i32.const 1)) (drop (memory.grow (i32.const 1)))))";
        let found = costs(text, &|instr| instr.op != Op::MemoryGrow);
        // Two, and the operand.
        assert_eq!((found.need(0), found.rest(0), found.rest(2)), (3, 3, 1));
    }
}
