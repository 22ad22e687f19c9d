//! The fast engine: runs register code until something needs the driver, see [`Exit`]. One loop, one match; explicit
//! frames, no recursion on the host's stack. It charges gas on taken edges only: `gas` is the exact remainder less what
//! the straight line ahead has been charged in advance.

mod code;

pub(crate) use code::Code;

use crate::code::{Inst, for_each_op};
use crate::numeric::{self as n, Slot};
use crate::runtime::{Frame, Memory, Resume, Store, func_of_ref};
use crate::trap::Trap;

/// Why the fast engine stopped. The top frame's `resume` is stale where a position is given here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    /// Before the decoded instruction of this index in the top frame; `gas` is exact.
    Before(u32),
    /// At an entry of the top frame whose block cannot be paid; `gas` is exact again.
    AtEntry(u32),
    /// At a call of the top frame, with `gas` exact but for the call's own cost, which has been charged.
    AtCall(CallIndex),
    /// The frame below was not left by this engine: go on there; `gas` is exact.
    Returned,
    /// The outermost function returned; `gas` is exact.
    Done,
    /// A trap of the instruction at this position; `gas` is to be corrected by the side table.
    Trapped { pc: u32, trap: Trap },
}

/// How to find the decoded index of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallIndex {
    /// One before the entry at this position.
    BeforeEntry(u32),
    /// This one.
    Index(u32),
}

/// What the loop works on, beside its own counters.
pub(crate) struct Engine<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) code: &'a Code,
    pub(crate) stack: &'a mut [u64],
    pub(crate) frames: &'a mut Vec<Frame>,
    pub(crate) call_depth: usize,
    /// Uncharged steps left.
    pub(crate) steps: &'a mut u64,
}

/// The memory that the current instance's instructions use, as slices.
fn first_memory(memories: &mut [Memory], address: Option<u32>) -> (&mut [u8], &mut [u8]) {
    match address.and_then(|a| memories.get_mut(a as usize)) {
        Some(memory) => (&mut memory.bytes, &mut memory.dirty),
        None => (&mut [], &mut []),
    }
}

macro_rules! define_run {
    (
        unary { $($un:ident $un_name:literal $un_fn:ident;)* }
        binary { $($bin:ident $bin_name:literal $bin_fn:ident;)* }
        int_binary { $($ib:ident $ib_imm:ident $ib_name:literal $ib_fn:ident;)* }
        int_compare { $($ic:ident $ic_imm:ident $ic_br:ident $ic_bri:ident $ic_not:ident $ic_noti:ident $ic_name:literal $ic_fn:ident;)* }
        float_compare { $($fc:ident $fc_br:ident $fc_not:ident $fc_name:literal $fc_fn:ident;)* }
        try_unary { $($tu:ident $tu_name:literal $tu_fn:ident;)* }
        try_int_binary { $($tb:ident $tb_imm:ident $tb_name:literal $tb_fn:ident;)* }
        load { $($ld:ident $ld_far:ident $ld_name:literal $ld_mem:ident $ld_ext:ident $ld_val:ident;)* }
        store { $($st:ident $st_far:ident $st_name:literal $st_mem:ident;)* }
        other { $($ot:ident $ot_name:literal;)* }
    ) => {
        /// Runs from the top frame's position, which must be of register code, with `gas` that has been charged for the
        /// block there.
        pub(crate) fn run(engine: Engine<'_>, gas: &mut i64) -> Exit {
            let Engine { store, code, stack, frames, call_depth, steps } = engine;
            let Store { memories, globals, tables, instances, .. } = store;
            let insts: &[Inst] = &code.insts;
            let top = *frames.last().expect("BUG: there is a frame to run");
            let Resume::Fast(start) = top.resume else { unreachable!("BUG: the frame is in register form") };
            let (mut pc, mut base) = (start as usize, top.base as usize);
            let mut memory_address = code.memory_of(top.func);
            let (mut memory, mut dirty) = first_memory(memories, memory_address);
            let stack_slots = stack.len();
            let mut frame: &mut [u64] = &mut stack[base..];
            let mut left = *gas;

            macro_rules! get {
                ($slot:expr) => { Slot::from_slot(frame[$slot as usize]) };
            }
            macro_rules! set {
                ($slot:expr, $value:expr) => { frame[$slot as usize] = Slot::to_slot($value) };
            }
            macro_rules! imm {
                ($imm:expr) => { Slot::from_slot($imm as i64 as u64) };
            }
            macro_rules! attempt {
                ($result:expr) => {
                    match $result {
                        Ok(value) => value,
                        Err(trap) => break Exit::Trapped { pc: pc as u32, trap },
                    }
                };
            }
            // Takes the branch at `pc` to `pc + off`.
            macro_rules! take {
                ($off:expr) => {{
                    let Inst::Edge { cost } = insts[pc + 1] else { unreachable!("BUG: a branch is followed by its edge") };
                    left -= i64::from(cost);
                    pc = pc.wrapping_add($off as isize as usize);
                    if left < 0 {
                        break Exit::AtEntry(pc as u32);
                    }
                }};
            }
            macro_rules! branch_if {
                ($condition:expr, $off:expr) => {
                    if $condition { take!($off) } else { pc += 2 }
                };
            }
            macro_rules! far {
                () => {{
                    let Inst::Wide { low, high } = insts[pc + 1] else { unreachable!("BUG: a far access is followed by its offset") };
                    u64::from(low) | u64::from(high) << 32
                }};
            }
            macro_rules! load {
                ($mem:ident, $ext:ident, $val:ident, $d:expr, $a:expr, $off:expr) => {{
                    let bytes = attempt!(crate::runtime::load(memory, get!($a), $off));
                    let value = <$mem>::from_le_bytes(bytes) as $ext as $val;
                    set!($d, value);
                }};
            }
            macro_rules! store {
                ($mem:ident, $a:expr, $b:expr, $off:expr) => {{
                    let value: u64 = get!($b);
                    attempt!(crate::runtime::store(memory, dirty, get!($a), $off, (value as $mem).to_le_bytes()));
                }};
            }
            // Goes on in another function, which may belong to another instance.
            macro_rules! enter {
                ($func:expr) => {
                    let address = code.memory_of($func);
                    if address != memory_address {
                        memory_address = address;
                        (memory, dirty) = first_memory(memories, address);
                    }
                    frame = &mut stack[base..];
                };
            }
            // Calls `func` with its arguments from the absolute slot `base` on; `index` finds the call if it must wait.
            macro_rules! call {
                ($func:expr, $slot:expr, $return_to:expr, $index:expr) => {{
                    let func: u32 = $func;
                    let callee = &code.funcs[func as usize];
                    let new_base = base + $slot as usize;
                    let unpaid = left < i64::from(callee.cost);
                    if unpaid || new_base + callee.frame_slots as usize > stack_slots || frames.len() >= call_depth {
                        break Exit::AtCall($index);
                    }
                    left -= i64::from(callee.cost);
                    if let Some(caller) = frames.last_mut() {
                        caller.resume = Resume::Fast($return_to as u32);
                    }
                    frames.push(Frame { func, base: new_base as u32, resume: Resume::Fast(callee.pc) });
                    base = new_base;
                    pc = callee.pc as usize;
                    enter!(func);
                    frame[callee.params as usize..][..callee.zeroed as usize].fill(0);
                }};
            }
            // The function behind a table element, if it can be called here and now.
            macro_rules! callee {
                ($a:expr) => {{
                    let Inst::Wide { low, high } = insts[pc + 1] else { unreachable!("BUG: an indirect call has its type") };
                    let element: u32 = get!($a);
                    let reference = tables[high as usize].get(element).unwrap_or(0);
                    func_of_ref(instances, reference).filter(|func| code.funcs[*func as usize].type_number == low)
                }};
            }
            // Replaces the frame by one of `func`, its arguments from the relative slot on.
            macro_rules! tail_call {
                ($func:expr, $slot:expr, $index_at:expr) => {{
                    let func: u32 = $func;
                    let callee = &code.funcs[func as usize];
                    if left < i64::from(callee.cost) || base + callee.frame_slots as usize > stack_slots {
                        break Exit::AtCall(tail_index(insts, $index_at));
                    }
                    left -= i64::from(callee.cost);
                    let from = $slot as usize;
                    frame.copy_within(from..from + callee.params as usize, 0);
                    if let Some(top) = frames.last_mut() {
                        *top = Frame { func, base: base as u32, resume: Resume::Fast(callee.pc) };
                    }
                    pc = callee.pc as usize;
                    enter!(func);
                    frame[callee.params as usize..][..callee.zeroed as usize].fill(0);
                }};
            }
            // Goes on in the frame below, results in place.
            macro_rules! leave {
                () => {{
                    frames.pop();
                    let Some(caller) = frames.last() else { break Exit::Done };
                    let Resume::Fast(return_to) = caller.resume else { break Exit::Returned };
                    base = caller.base as usize;
                    pc = return_to as usize;
                    let func = caller.func;
                    enter!(func);
                    let Inst::Edge { cost } = insts[pc - 1] else { unreachable!("BUG: a call is followed by its edge") };
                    left -= i64::from(cost);
                    if left < 0 {
                        break Exit::AtEntry(pc as u32);
                    }
                }};
            }

            let exit = loop {
                match insts[pc] {
                    $(Inst::$un { d, a } => { set!(d, n::$un_fn(get!(a))); pc += 1; })*
                    $(Inst::$bin { d, a, b } => { set!(d, n::$bin_fn(get!(a), get!(b))); pc += 1; })*
                    $(Inst::$ib { d, a, b } => { set!(d, n::$ib_fn(get!(a), get!(b))); pc += 1; }
                      Inst::$ib_imm { d, a, imm } => { set!(d, n::$ib_fn(get!(a), imm!(imm))); pc += 1; })*
                    $(Inst::$ic { d, a, b } => { set!(d, n::$ic_fn(get!(a), get!(b))); pc += 1; }
                      Inst::$ic_imm { d, a, imm } => { set!(d, n::$ic_fn(get!(a), imm!(imm))); pc += 1; }
                      Inst::$ic_br { a, b, off } => branch_if!(n::$ic_fn(get!(a), get!(b)), off),
                      Inst::$ic_bri { a, imm, off } => branch_if!(n::$ic_fn(get!(a), imm!(imm)), off),)*
                    $(Inst::$fc { d, a, b } => { set!(d, n::$fc_fn(get!(a), get!(b))); pc += 1; }
                      Inst::$fc_br { a, b, off } => branch_if!(n::$fc_fn(get!(a), get!(b)), off),
                      Inst::$fc_not { a, b, off } => branch_if!(!n::$fc_fn(get!(a), get!(b)), off),)*
                    $(Inst::$tu { d, a } => { set!(d, attempt!(n::$tu_fn(get!(a)))); pc += 1; })*
                    $(Inst::$tb { d, a, b } => { set!(d, attempt!(n::$tb_fn(get!(a), get!(b)))); pc += 1; }
                      Inst::$tb_imm { d, a, imm } => { set!(d, attempt!(n::$tb_fn(get!(a), imm!(imm)))); pc += 1; })*
                    $(Inst::$ld { d, a, off } => { load!($ld_mem, $ld_ext, $ld_val, d, a, u64::from(off)); pc += 1; }
                      Inst::$ld_far { d, a } => { let off = far!(); load!($ld_mem, $ld_ext, $ld_val, d, a, off); pc += 2; })*
                    $(Inst::$st { a, b, off } => { store!($st_mem, a, b, u64::from(off)); pc += 1; }
                      Inst::$st_far { a, b } => { let off = far!(); store!($st_mem, a, b, off); pc += 2; })*

                    Inst::Nop => pc += 1,
                    Inst::Copy { d, a } => { frame[d as usize] = frame[a as usize]; pc += 1; }
                    Inst::Const32 { d, value } => { frame[d as usize] = u64::from(value); pc += 1; }
                    Inst::Const64 { d, low } => { frame[d as usize] = u64::from(low) | far!() << 32; pc += 2; }
                    Inst::Select { d, a, c } => {
                        if get!(c) { pc += 1; } else { frame[d as usize] = frame[a as usize]; pc += 1; }
                    }
                    Inst::GlobalGet { d, global } => { frame[d as usize] = globals[global as usize]; pc += 1; }
                    Inst::GlobalSet { a, global } => { globals[global as usize] = frame[a as usize]; pc += 1; }
                    Inst::RefIsNull { d, a } => { frame[d as usize] = u64::from(frame[a as usize] == 0); pc += 1; }
                    Inst::MemorySize { d } => { frame[d as usize] = memory.len() as u64 >> 16; pc += 1; }

                    Inst::Br { off } => take!(off),
                    Inst::BrEqz { a, off } => branch_if!(frame[a as usize] == 0, off),
                    Inst::BrNez { a, off } => branch_if!(frame[a as usize] != 0, off),
                    Inst::BrTable { a, count } => {
                        let index: u32 = get!(a);
                        pc += 1 + 2 * index.min(count) as usize;
                    }
                    Inst::Return => leave!(),
                    Inst::ReturnOne { a } => { frame[0] = frame[a as usize]; leave!() }
                    Inst::ReturnMany { a, count } => {
                        frame.copy_within(a as usize..a as usize + count as usize, 0);
                        leave!()
                    }
                    Inst::Call { base: slot, func } => call!(func, slot, pc + 2, CallIndex::BeforeEntry(pc as u32 + 2)),
                    Inst::CallIndirect { base: slot, a } => match callee!(a) {
                        Some(func) => call!(func, slot, pc + 3, CallIndex::BeforeEntry(pc as u32 + 3)),
                        None => break Exit::AtCall(CallIndex::BeforeEntry(pc as u32 + 3)),
                    },
                    Inst::ReturnCall { base: slot, func } => tail_call!(func, slot, pc + 1),
                    Inst::ReturnCallIndirect { base: slot, a } => match callee!(a) {
                        Some(func) => tail_call!(func, slot, pc + 2),
                        None => break Exit::AtCall(tail_index(insts, pc + 2)),
                    },

                    Inst::Charge { cost } => {
                        left -= i64::from(cost);
                        pc += 1;
                        if left < 0 {
                            break Exit::AtEntry(pc as u32);
                        }
                    }
                    Inst::Tick { index } => {
                        let Inst::Edge { cost } = insts[pc + 1] else { unreachable!("BUG: a tick is followed by its edge") };
                        if *steps == 0 || left < i64::from(cost) {
                            break Exit::Before(index);
                        }
                        *steps -= 1;
                        left -= i64::from(cost);
                        pc += 2;
                    }
                    Inst::Slow { index } => break Exit::Before(index),
                    Inst::Unreachable => break Exit::Trapped { pc: pc as u32, trap: Trap::Unreachable },
                    Inst::Edge { .. } | Inst::Wide { .. } => unreachable!("BUG: a second word was reached"),
                }
            };
            *gas = left;
            exit
        }
    };
}
for_each_op!(define_run);

/// The decoded index in the word at `at`.
fn tail_index(insts: &[Inst], at: usize) -> CallIndex {
    let Inst::Wide { low, .. } = insts[at] else { unreachable!("BUG: a tail call is followed by its index") };
    CallIndex::Index(low)
}
