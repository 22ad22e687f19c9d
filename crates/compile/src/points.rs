//! Where compiled code can be entered in the middle of a function: at the heads of loops and after calls. The way there goes by
//! *regions*: the code of a function, of a block or loop, of an arm of an `if`. At the head of a region that holds points,
//! the one that is wanted chooses what of the region to go to: a point, or a construct that holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use stepmark_core::code::{Body, Instr, Op};
use stepmark_core::module::{Module, SlotKind, types_at};

use crate::rules::Num;

/// A place at which a function can be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrySite {
    /// What it is called by, in its function; 0 for the beginning.
    pub number: u32,
    /// Gas without which it leaves at once.
    pub gas: i64,
    /// Types of the operands there.
    pub operands: Vec<Num>,
}

/// Something in a region that the way to points goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Index of the construct, or of the call after which the point is.
    pub(crate) index: u32,
    /// The numbers of the points there.
    pub(crate) numbers: Range<u32>,
    /// For a loop whose head is a point: that is the first of them.
    pub(crate) is_head: bool,
    /// For an `if`: the first number in its second arm.
    pub(crate) second: u32,
}

/// The points of one function, and the ways to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Points {
    /// By index of the first instruction of a region, what the way to its points goes to.
    pub(crate) regions: BTreeMap<u32, Vec<Target>>,
    /// Types of the operands before instructions: where a point is, and where a construct that holds one begins.
    pub(crate) operands: BTreeMap<u32, Vec<Num>>,
    /// The points, by the index of the instruction before which they are.
    pub(crate) numbers: BTreeMap<u32, u32>,
}

/// Byte offsets in a module of the instructions of a function before which it can be entered, if all that lies on the stack
/// there are numbers.
pub fn entry_offsets(module: &Module, func: u32) -> BTreeSet<u32> {
    let body = Body::decode(module, func);
    let is_point = |index: &usize| index.checked_sub(1).is_some_and(|before| leads_to_point(&body.instrs[before]));
    (0..body.instrs.len()).filter(is_point).map(|index| body.instrs[index].offset).collect()
}

/// Those of the [`entry_offsets`] that are heads of loops: all that a frame needs which is to be gone on with some time, however long its
/// function runs.
pub fn loop_offsets(module: &Module, func: u32) -> BTreeSet<u32> {
    let body = Body::decode(module, func);
    let heads = body.instrs.windows(2).filter(|pair| pair[0].op == Op::Loop);
    heads.map(|pair| pair[1].offset).collect()
}

/// Whether there is a point after an instruction.
fn leads_to_point(instr: &Instr) -> bool {
    instr.op == Op::Loop || (instr.op.is_call() && !instr.op.is_tail_call())
}

impl Points {
    /// Those of the points at `wanted` offsets that can be entered. Nothing is entered inside a construct that is not emitted.
    pub(crate) fn new(
        module: &Module,
        func: u32,
        body: &Body,
        wanted: &BTreeSet<u32>,
        is_emitted: &dyn Fn(&Instr) -> bool,
    ) -> Points {
        let is_wanted = |index: usize| wanted.contains(&body.instrs[index + 1].offset);
        let candidates: Vec<u32> = (0..)
            .zip(&body.instrs)
            .filter(|(i, instr)| leads_to_point(instr) && is_wanted(*i as usize))
            .map(|it| it.0)
            .collect();
        let openers = (0..).zip(&body.instrs).filter(|(_, instr)| opens(instr.op)).map(|it| it.0);
        let places = openers.chain(candidates.iter().map(|index| index + 1));
        let operands = if candidates.is_empty() { BTreeMap::new() } else { numbers_at(module, func, body, places) };
        let usable: BTreeSet<u32> =
            candidates.into_iter().filter(|index| operands.contains_key(&(index + 1))).collect();
        let mut walk =
            Numbering { usable: &usable, points: Points { operands, ..Points::default() }, open: Vec::new(), next: 1 };
        walk.open.push(Region { start: 0, ..Region::new(0, 1, false) });
        let mut outside = 0u32;
        for (index, instr) in (0..).zip(&body.instrs) {
            if outside > 0 {
                outside = if opens(instr.op) { outside + 1 } else { outside - u32::from(instr.op == Op::End) };
            } else if opens(instr.op) && !is_emitted(instr) {
                outside = 1;
            } else {
                walk.instruction(index, instr);
            }
        }
        walk.points
    }

    /// The indices of all that the ways to points go to: from the head of their regions they join the function's code there.
    pub(crate) fn joined(&self) -> BTreeSet<u32> {
        self.regions.values().flatten().map(|target| target.index).collect()
    }
}

/// Whether an instruction opens a construct.
pub(crate) fn opens(op: Op) -> bool {
    matches!(op, Op::Block | Op::Loop | Op::If | Op::TryTable)
}

/// Types of the operands before instructions, where all of them are numbers.
fn numbers_at(module: &Module, func: u32, body: &Body, places: impl Iterator<Item = u32>) -> BTreeMap<u32, Vec<Num>> {
    let places: Vec<u32> = places.collect();
    let offset = |index: u32| body.instrs[index as usize].offset;
    let wanted = BTreeMap::from([(func, places.iter().map(|index| offset(*index)).collect())]);
    let found = types_at(module, &wanted);
    // To the types alone, a vector is two integers.
    let kinds = Body::kinds_before(module, func, &places.iter().copied().collect()).operands;
    let numbers = |index: u32| {
        let (_, operands) = found.get(&(func, offset(index)))?;
        if kinds.get(&index)?.contains(&SlotKind::Vector) {
            return None;
        }
        operands.iter().map(|ty| ty.and_then(Num::of)).collect::<Option<Vec<Num>>>()
    };
    places.into_iter().filter_map(|index| Some((index, numbers(index)?))).collect()
}

/// A region while it is walked through.
struct Region {
    /// Index of its first instruction.
    start: u32,
    /// Index of the construct that it belongs to.
    opener: u32,
    /// Number of the first point in the construct that it belongs to.
    first: u32,
    is_head: bool,
    /// Number of the first point in the second arm.
    second: Option<u32>,
    targets: Vec<Target>,
}

impl Region {
    /// The first region of a construct.
    fn new(opener: u32, first: u32, is_head: bool) -> Region {
        Region { start: opener + 1, opener, first, is_head, second: None, targets: Vec::new() }
    }
}

struct Numbering<'a> {
    usable: &'a BTreeSet<u32>,
    points: Points,
    open: Vec<Region>,
    next: u32,
}

impl Numbering<'_> {
    fn instruction(&mut self, index: u32, instr: &Instr) {
        let is_point = self.usable.contains(&index);
        if opens(instr.op) {
            let region = Region::new(index, self.next, is_point);
            if is_point {
                self.number(index + 1);
            }
            self.open.push(region);
        } else if instr.op == Op::Else {
            let region = self.open.last_mut().expect("BUG: constructs are balanced");
            let targets = std::mem::take(&mut region.targets);
            let start = std::mem::replace(&mut region.start, index + 1);
            region.second = Some(self.next);
            self.keep(start, targets);
        } else if instr.op == Op::End {
            self.end();
        } else if is_point {
            let numbers = self.next..self.next + 1;
            self.number(index + 1);
            self.add(Target { index, numbers, is_head: false, second: 0 });
        }
    }

    fn end(&mut self) {
        let region = self.open.pop().expect("BUG: constructs are balanced");
        let Region { start, opener: index, first, is_head, second, targets } = region;
        let numbers = first..self.next;
        self.keep(start, targets);
        // The function's own `end` closes no construct.
        if !numbers.is_empty() && !self.open.is_empty() {
            self.add(Target { index, second: second.unwrap_or(numbers.end), numbers, is_head });
        }
    }

    fn number(&mut self, index: u32) {
        self.points.numbers.insert(index, self.next);
        self.next += 1;
    }

    fn add(&mut self, target: Target) {
        self.open.last_mut().expect("BUG: constructs are balanced").targets.push(target);
    }

    fn keep(&mut self, start: u32, targets: Vec<Target>) {
        if !targets.is_empty() {
            self.points.regions.insert(start, targets);
        }
    }
}
