//! What can be looked for in a run, instruction by instruction: every moment, calls, conditions, writes, changes of a value.

use std::fmt;
use std::sync::Arc;

use stepmark_core::code::{Instr, Op};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Access, Machine};

use crate::moment::Moment;
use crate::scan::Lookout;

/// Something that holds at a moment or does not.
pub type MomentCondition = Arc<dyn Fn(&mut Machine) -> bool + Send + Sync>;

/// Finds every moment, and the end.
#[derive(Clone, Copy, Debug)]
pub struct EveryMoment;

impl Lookout for EveryMoment {
    fn look(&mut self, moment: Moment, _: &mut Machine, found: &mut dyn FnMut(Moment)) {
        found(moment);
    }

    fn ended(&mut self, moment: Moment, found: &mut dyn FnMut(Moment)) {
        found(moment);
    }
}

/// Where to stop a run.
#[derive(Clone)]
pub enum Breakpoint {
    /// Where a function begins, by its instance and its index there.
    Function {
        /// The instance, from 0 in the order of creation.
        instance: u32,
        /// The function's index in its module.
        function: u32,
    },
    /// Before the instruction at this byte offset of its instance's module.
    Instruction {
        /// The instance, from 0 in the order of creation.
        instance: u32,
        /// Byte offset in the module.
        offset: u32,
    },
    /// Before a call of a host function.
    HostCall,
    /// Where this holds.
    Condition(MomentCondition),
}

impl fmt::Debug for Breakpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { instance, function } => write!(f, "function {function} of instance {instance}"),
            Self::Instruction { instance, offset } => write!(f, "offset {offset:#x} of instance {instance}"),
            Self::HostCall => f.write_str("a host call"),
            Self::Condition(_) => f.write_str("a condition"),
        }
    }
}

/// Whether a run can stop before an instruction: what is free is executed with the one before it.
pub fn stops_before(schedule: &Schedule, instr: &Instr) -> bool {
    schedule.cost_of(instr) > 0 || schedule.is_uncharged_transfer(instr.op)
}

/// Finds where a breakpoint is met.
#[derive(Clone, Debug)]
pub struct BreakpointLookout {
    breakpoint: Breakpoint,
    /// The instruction before was a call.
    after_call: bool,
}

impl BreakpointLookout {
    /// Looks for this.
    pub fn new(breakpoint: Breakpoint) -> Self {
        Self { breakpoint, after_call: true }
    }
}

impl Lookout for BreakpointLookout {
    fn look(&mut self, moment: Moment, machine: &mut Machine, found: &mut dyn FnMut(Moment)) {
        let (Some((func, index)), Some(instr)) = (machine.position(), machine.current_instr()) else { return };
        let place = machine.store.funcs[func as usize];
        let after_call = std::mem::replace(&mut self.after_call, instr.op.is_call());
        let is_met = match &self.breakpoint {
            Breakpoint::Function { instance, function } => {
                index == 0 && after_call && (place.instance, place.index) == (*instance, *function)
            }
            Breakpoint::Instruction { instance, offset } => (place.instance, instr.offset) == (*instance, *offset),
            Breakpoint::HostCall => machine.host_callee(instr).is_some(),
            Breakpoint::Condition(holds) => stops_before(machine.schedule(), &instr) && holds(machine),
        };
        if is_met {
            found(moment);
        }
    }
}

/// Bytes of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// The memory's number among the spaces of memories, as `inspect` shows it.
    pub memory: u32,
    /// The first byte.
    pub address: u64,
    /// How many bytes.
    pub length: u64,
}

impl MemoryRange {
    /// The bytes as they are; none where any of them is outside the memory, or there is no such memory.
    pub fn bytes<'a>(&self, machine: &'a Machine) -> Option<&'a [u8]> {
        let memory = machine.store.memories.iter().find(|memory| memory.number == self.memory)?;
        let start = usize::try_from(self.address).ok()?;
        memory.bytes().get(start..start.checked_add(usize::try_from(self.length).ok()?)?)
    }

    fn meets(&self, access: &Access, machine: &Machine) -> bool {
        let is_own = machine.store.memories.get(access.memory as usize).is_some_and(|m| m.number == self.memory);
        let meets = |a: u64, length: u64, b: u64| b.checked_sub(a).is_some_and(|apart| apart < length);
        is_own
            && (meets(self.address, self.length, access.address) && access.length > 0
                || meets(access.address, access.length, self.address) && self.length > 0)
    }
}

/// Finds the instructions that write to a range: stores and bulk instructions that write any byte of it, whatever it was
/// before; calls of host functions that change a byte of it.
#[derive(Debug)]
pub struct WriteLookout {
    range: MemoryRange,
    /// By instruction: whether it may write to memory.
    writers: Vec<bool>,
    pending: Option<PendingWrite>,
}

/// A write of the instruction that was looked at last: it counts once the instruction has been executed.
#[derive(Debug)]
struct PendingWrite {
    moment: Moment,
    position: Option<(u32, u32)>,
    /// The bytes before, if only a change of them counts.
    before: Option<Vec<u8>>,
}

impl WriteLookout {
    /// Looks for writes to this range.
    pub fn new(range: MemoryRange) -> Self {
        let writes = |op: &Op| {
            let is_bulk = matches!(op, Op::MemoryFill | Op::MemoryCopy | Op::MemoryInit);
            is_bulk || (op.is_memory_access() && op.mnemonic().contains("store"))
        };
        Self { range, writers: Op::ALL.iter().map(writes).collect(), pending: None }
    }

    fn settle(&mut self, moment: Moment, machine: &Machine, found: &mut dyn FnMut(Moment)) {
        let Some(pending) = self.pending.take() else { return };
        if moment == pending.moment && machine.position() == pending.position {
            return;
        }
        let is_changed = |before: &Vec<u8>| self.range.bytes(machine) != Some(&**before);
        if pending.before.as_ref().is_none_or(is_changed) {
            found(pending.moment);
        }
    }
}

impl Lookout for WriteLookout {
    fn look(&mut self, moment: Moment, machine: &mut Machine, found: &mut dyn FnMut(Moment)) {
        self.settle(moment, machine, found);
        let Some(instr) = machine.current_instr() else { return };
        let before = if self.writers[instr.op as usize] {
            // Of a copy the target comes first; the others have one.
            let target = machine.next_accesses().into_iter().next();
            if !target.is_some_and(|target| self.range.meets(&target, machine)) {
                return;
            }
            None
        } else if instr.op.is_call() && machine.host_callee(instr).is_some() {
            let Some(bytes) = self.range.bytes(machine) else { return };
            Some(bytes.to_vec())
        } else {
            return;
        };
        self.pending = Some(PendingWrite { moment, position: machine.position(), before });
    }
}

/// What a value is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Bytes of a memory.
    Memory(MemoryRange),
    /// A global of an instance, by its index there.
    Global {
        /// The instance, from 0 in the order of creation.
        instance: u32,
        /// The global's index in its module.
        global: u32,
    },
    /// A local of a call.
    Local {
        /// The call, from 0 for the outermost.
        frame: usize,
        /// The local's slot, from 0: vectors take two.
        slot: usize,
    },
}

impl Watched {
    /// The value as little-endian bytes; none where there is nothing of the kind now.
    pub fn read(&self, machine: &mut Machine) -> Option<Vec<u8>> {
        let slot = |bits: u64| bits.to_le_bytes().to_vec();
        match *self {
            Self::Memory(range) => range.bytes(machine).map(<[u8]>::to_vec),
            Self::Global { instance, global } => {
                let address = *machine.store.instances.get(instance as usize)?.globals.get(global as usize)?;
                machine.store.globals.get(address as usize).copied().map(slot)
            }
            Self::Local { frame, slot: number } => {
                machine.frame_states().get(frame)?.locals.get(number).copied().map(slot)
            }
        }
    }
}

/// A change of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueChange {
    /// The moment before the instruction that changed it.
    pub moment: Moment,
    /// The value before.
    pub before: Option<Vec<u8>>,
    /// The value after.
    pub after: Option<Vec<u8>>,
}

/// Finds the instructions that change a value.
#[derive(Debug)]
pub struct ChangeLookout {
    watched: Watched,
    last: Option<(Moment, Option<Vec<u8>>)>,
    changes: Vec<ValueChange>,
}

impl ChangeLookout {
    /// Looks for changes of this.
    pub fn new(watched: Watched) -> Self {
        Self { watched, last: None, changes: Vec::new() }
    }

    /// The changes so far, ascending.
    pub fn take(&mut self) -> Vec<ValueChange> {
        std::mem::take(&mut self.changes)
    }
}

impl Lookout for ChangeLookout {
    fn look(&mut self, moment: Moment, machine: &mut Machine, found: &mut dyn FnMut(Moment)) {
        let now = self.watched.read(machine);
        if let Some((moment, before)) = self.last.take().filter(|(_, before)| *before != now) {
            self.changes.push(ValueChange { moment, before, after: now.clone() });
            found(moment);
        }
        self.last = Some((moment, now));
    }
}
