//! The dispatch loop, the one place with unchecked access: code, frame slots, frames and linear memory by pointer. What
//! makes that sound is established before: [`VerifiedCode`](crate::code::VerifiedCode) proves of every instruction that
//! its slots lie in the frame, its branches on instructions and its indices in the store; a call checks once that the
//! whole frame of its callee fits the stack; memory accesses compare with the length. Builds with debug assertions check
//! each access again.

#![allow(unsafe_code, reason = "measured: RATIONALE.md, section on the hot loop")]

use super::code::{FastFunc, RegisterTier};
use super::{METERED, TRACKED};
use crate::code::{Inst, append_fused, for_each_inst};
use crate::gas::{Schedule, Unit};
use crate::machine::tier::{CallIndex, Exit, Parts};
use crate::machine::{
    DIRTY_SHIFT, Frame, Instance, MemoryInstance, MemoryParts, Outline, ResumePoint, Table, access, compute,
    func_of_ref,
};
use crate::numeric as n;
use crate::numeric::Slot;
use stepmark_op_rules::op_rules;

/// What the loop needs only at calls, returns and the like. It stays in memory, behind a pointer, so that registers are
/// left to what every instruction uses: measured in RATIONALE.md.
#[repr(C, align(64))]
struct LoopContext {
    memory: RawMemory,
    /// The counter of gas.
    left: i64,
    insts: *const Inst,
    /// What marks a page as written; not a literal, for that would take a register everywhere.
    written: u8,
    funcs: *const FastFunc,
    globals: *mut u64,
    tables: *const [Table],
    instances: *const [Instance],
    memories: *mut [MemoryInstance],
    /// Store address of memory 0 of the running instance.
    memory_address: Option<u32>,
    outlines: *const Outline,
    /// The instance that runs; calls into another one are the stepper's.
    instance: u32,
    stack: *mut u64,
    stack_bytes: usize,
    first_frame: *mut Frame,
    /// The last one that the vector has room for, within the limit of call depth: the stepper makes calls beyond it.
    last_frame: *mut Frame,
    /// The running one.
    frame: *mut Frame,
    steps: *mut u64,
    schedule: *const Schedule,
}

/// Runs from the top frame's position, which must be of register code, with `gas` that has been charged for the block
/// there.
pub(super) fn run(code: &RegisterTier, parts: Parts<'_>, gas: &mut i64) -> Exit {
    let Parts { store, schedule, stack, frames, call_depth, steps } = parts;
    let top = *frames.last().expect("BUG: there is a frame to run");
    let ResumePoint::Fast(start) = top.resume else { unreachable!("BUG: the frame is in register form") };
    let here = &code.funcs[top.func as usize];
    let memory = here.memory.and_then(|address| store.memories.get_mut(address as usize));
    let memory = match memory {
        Some(memory) => RawMemory {
            bytes: memory.bytes.as_mut_ptr(),
            length: memory.bytes.len() as u64,
            dirty: memory.dirty.as_mut_ptr(),
        },
        None => RawMemory { bytes: std::ptr::dangling_mut(), length: 0, dirty: std::ptr::dangling_mut() },
    };
    let first_frame = frames.as_mut_ptr();
    let room = frames.capacity().min(call_depth);
    let context = LoopContext {
        left: *gas,
        written: 1,
        memory,
        insts: code.insts.as_ptr(),
        funcs: code.funcs.as_ptr(),
        globals: store.globals.as_mut_ptr(),
        tables: &raw const *store.tables,
        instances: &raw const *store.instances,
        memories: &raw mut *store.memories,
        memory_address: here.memory,
        outlines: code.outlines.as_ptr(),
        instance: here.instance,
        stack: stack.as_mut_ptr(),
        stack_bytes: size_of_val(stack),
        first_frame,
        last_frame: first_frame.wrapping_add(room).wrapping_sub(1),
        frame: first_frame.wrapping_add(frames.len() - 1),
        steps: &raw mut *steps,
        schedule: &raw const *schedule,
    };
    // SAFETY: the top frame's position and slots were checked when the driver put it into register form, its code is
    // verified, and all pointers are of allocations that live and are not touched otherwise until the loop ends. Every
    // frame up to the top one has been written then.
    unsafe {
        let ip = context.insts.add(start as usize);
        let fp = context.stack.add(top.base as usize);
        let (exit, context) = with_context(context, |context| dispatch(context, ip, fp));
        *gas = context.left;
        let depth = context.frame.wrapping_add(1).offset_from(first_frame);
        frames.set_len(depth as usize);
        exit
    }
}

/// Gives `work` the place of the context, and returns what is there afterwards.
#[cfg(not(target_arch = "wasm32"))]
fn with_context(mut context: LoopContext, work: impl FnOnce(*mut LoopContext) -> Exit) -> (Exit, LoopContext) {
    let exit = work(&raw mut context);
    (exit, context)
}

/// Where the context is, as the compiler sees it best.
#[cfg(not(target_arch = "wasm32"))]
#[inline(always)]
fn fixed_place(context: *mut LoopContext) -> *mut LoopContext {
    context
}

/// Inside wasm the place is fixed, so that the loop reaches it by constants and keeps no pointer to it in a register: a
/// node has one thread, and the loop never runs inside itself.
#[cfg(target_arch = "wasm32")]
static mut CONTEXT: std::mem::MaybeUninit<LoopContext> = std::mem::MaybeUninit::uninit();

/// Where the context is, as the compiler sees it best.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
fn fixed_place(_: *mut LoopContext) -> *mut LoopContext {
    (&raw mut CONTEXT).cast()
}

/// Gives `work` the place of the context, and returns what is there afterwards.
#[cfg(target_arch = "wasm32")]
fn with_context(context: LoopContext, work: impl FnOnce(*mut LoopContext) -> Exit) -> (Exit, LoopContext) {
    let place = fixed_place(std::ptr::null_mut());
    // SAFETY: nothing else uses the place: one thread, and no way from `work` back to here.
    unsafe {
        place.write(context);
        let exit = work(place);
        (exit, place.read())
    }
}

/// Memory 0 of the running instance.
#[derive(Clone, Copy)]
#[repr(C)]
struct RawMemory {
    length: u64,
    bytes: *mut u8,
    dirty: *mut u8,
}

impl LoopContext {
    /// Charges `length` bytes of a bulk operator and marks those from `to` on as written; `false`, with nothing done, if
    /// they are outside of memory or more is asked than is left.
    ///
    /// # Safety
    /// The memory's view is of an allocated memory.
    unsafe fn write_bytes(&mut self, unit: Unit, to: u32, length: u32) -> bool {
        // SAFETY: the schedule outlives the run.
        let schedule = unsafe { &*self.schedule };
        let cost = if METERED { schedule.units(unit, length.into()) } else { 0 };
        let affordable = i64::try_from(cost).is_ok_and(|cost| cost <= self.left);
        if !self.contains(to, length) || !affordable {
            return false;
        }
        self.left -= cost as i64;
        if TRACKED && length > 0 {
            let (first, last) = (to >> DIRTY_SHIFT, (to + (length - 1)) >> DIRTY_SHIFT);
            // SAFETY: there is a mark for each page of the memory, and the range is inside.
            unsafe { self.memory.dirty.add(first as usize).write_bytes(self.written, (last - first) as usize + 1) };
        }
        true
    }

    fn contains(&self, start: u32, length: u32) -> bool {
        u64::from(start) + u64::from(length) <= self.memory.length
    }

    /// `memory.copy`; `false` as in [`write_bytes`](Self::write_bytes).
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn memory_copy(&mut self, to: u32, from: u32, length: u32) -> bool {
        // SAFETY: both ranges are inside once the second check has passed.
        unsafe {
            let right = self.contains(from, length) && self.write_bytes(Unit::MemoryCopy, to, length);
            if right {
                let bytes = self.memory.bytes;
                std::ptr::copy(bytes.add(from as usize), bytes.add(to as usize), length as usize);
            }
            right
        }
    }

    /// `memory.fill`; `false` as in [`write_bytes`](Self::write_bytes).
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    unsafe fn memory_fill(&mut self, to: u32, value: u32, length: u32) -> bool {
        // SAFETY: the range is inside once the check has passed.
        unsafe {
            let right = self.write_bytes(Unit::MemoryFill, to, length);
            if right {
                self.memory.bytes.add(to as usize).write_bytes(value as u8, length as usize);
            }
            right
        }
    }
}

impl LoopContext {
    /// Executes the outlined instruction at `ip` in the frame at `fp`; `false`, with nothing done, if it traps.
    ///
    /// # Safety
    /// `ip` points to an [`Inst::Outline`] of verified code and `fp` to its frame.
    #[inline(never)]
    unsafe fn outline(&mut self, fp: *mut u64, ip: *const Inst) -> bool {
        // SAFETY: the function's own condition; a memory that is not the running one is reached by nothing else.
        unsafe {
            let Inst::Outline { d, a, b } = *ip else { bug() };
            let (number, c) = wide(ip.add(1));
            let what = &*self.outlines.add(number as usize);
            let [slots_a, slots_b, slots_c] = what.shape.operands;
            // A store has no result, and this may be past the frame.
            let place = fp.wrapping_add(d.into());
            let a = operand(fp.add(a.into()), slots_a);
            let b = operand(fp.add(b.into()), slots_b);
            let Some(address) = what.memory else {
                let result = compute(what, a, b, operand(fp.add(c.into()), slots_c));
                place.write(result as u64);
                place.add(1).write((result >> 64) as u64);
                return true;
            };
            let MemoryParts { bytes, dirty } = self.memory_parts(address);
            let Ok(result) = access(what, a as u64, b, bytes, dirty) else { return false };
            if what.shape.result > 0 {
                place.write(result as u64);
            }
            if what.shape.result > 1 {
                place.add(1).write((result >> 64) as u64);
            }
            true
        }
    }

    /// The memory at a store address.
    ///
    /// # Safety
    /// It is one of the store's.
    unsafe fn memory_parts(&mut self, address: u32) -> MemoryParts<'_> {
        if Some(address) == self.memory_address {
            let length = self.memory.length as usize;
            // SAFETY: the view is of the whole memory, with a mark for each of its pages.
            unsafe {
                MemoryParts {
                    bytes: std::slice::from_raw_parts_mut(self.memory.bytes, length),
                    dirty: std::slice::from_raw_parts_mut(self.memory.dirty, length >> DIRTY_SHIFT),
                }
            }
        } else {
            // SAFETY: the address is verified.
            unsafe { (&mut (*self.memories))[address as usize].parts() }
        }
    }
}

/// The operand of so many slots at `place`; one of none is not looked at.
///
/// # Safety
/// `place` is in the frame, and the slot after it too if there are two.
#[inline(always)]
unsafe fn operand(place: *const u64, slots: u8) -> u128 {
    // SAFETY: the function's own condition.
    unsafe { u128::from(*place) | if slots > 1 { u128::from(*place.add(1)) << 64 } else { 0 } }
}

/// What is behind an index that verification or the driver proves to be right.
#[cold]
fn bug() -> ! {
    if cfg!(debug_assertions) {
        unreachable!("BUG: verified code is not what it must be");
    }
    // SAFETY: verified code has at this place the word that its instruction needs.
    unsafe { std::hint::unreachable_unchecked() }
}

/// The cost in the second word of a branch or call.
///
/// # Safety
/// `at` points to an [`Inst::Edge`] of verified code.
#[inline(always)]
unsafe fn edge_cost(at: *const Inst) -> i64 {
    // SAFETY: by the function's own condition.
    match unsafe { *at } {
        Inst::Edge { cost, .. } => i64::from(cost),
        _ => bug(),
    }
}

/// The word that follows an instruction with a long operand.
///
/// # Safety
/// `at` points to an [`Inst::Wide`] of verified code.
#[inline(always)]
unsafe fn wide(at: *const Inst) -> (u32, u16) {
    // SAFETY: by the function's own condition.
    match unsafe { *at } {
        Inst::Wide { low, high } => (low, high),
        _ => bug(),
    }
}

/// The slot or immediate in the second word of a branch.
///
/// # Safety
/// As [`edge_cost`].
#[inline(always)]
unsafe fn edge_extra(at: *const Inst) -> u16 {
    // SAFETY: by the function's own condition.
    match unsafe { *at } {
        Inst::Edge { extra, .. } => extra,
        _ => bug(),
    }
}

/// The decoded index of a tail call, in the word at `at`.
///
/// # Safety
/// As [`wide`].
#[cold]
unsafe fn tail_index(at: *const Inst) -> CallIndex {
    // SAFETY: by the function's own condition.
    CallIndex::Index(unsafe { wide(at) }.0)
}

op_rules! {
define_run(scalar fused) {
    /// Runs until the driver is needed.
    ///
    /// # Safety
    /// `ip` is in verified code, all slots of its frame are inside the stack from `fp` on, and what `context` and
    /// `memory` point to is allocated and touched by nothing else.
    #[inline(never)]
    unsafe fn dispatch(context: *mut LoopContext, ip: *const Inst, fp: *mut u64) -> Exit {
        // SAFETY: all offsets below are within the allocations by the conditions of this function and the module's
        // comment: `ip` moves only to verified positions, slots are below the frame's size, frames below the last.
        unsafe {
        let context = fixed_place(context);
        let (mut ip, mut fp) = (ip, fp);

        macro_rules! pc {
            ($at:expr) => { $at.offset_from((*context).insts) as u32 };
        }
        macro_rules! slot {
            ($slot:expr) => {{
                debug_assert!(fp.add($slot as usize) < (*context).stack.byte_add((*context).stack_bytes));
                *fp.add($slot as usize)
            }};
        }
        macro_rules! get {
            ($slot:expr) => { Slot::from_slot(slot!($slot)) };
        }
        macro_rules! put {
            ($slot:expr, $value:expr) => {{
                debug_assert!(fp.add($slot as usize) < (*context).stack.byte_add((*context).stack_bytes));
                *fp.add($slot as usize) = $value;
            }};
        }
        macro_rules! set {
            ($slot:expr, $value:expr) => { put!($slot, Slot::to_slot($value)) };
        }
        macro_rules! imm {
            ($imm:expr) => { Slot::from_slot($imm as i64 as u64) };
        }
        macro_rules! next {
            ($words:literal) => { ip = ip.add($words) };
        }
        macro_rules! trap {
            () => { break Exit::Stuck(pc!(ip)) };
        }
        macro_rules! attempt {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(_) => trap!(),
                }
            };
        }
        macro_rules! charge {
            ($cost:expr) => {
                if METERED {
                    (*context).left -= $cost;
                    if (*context).left < 0 {
                        break Exit::AtEntry(pc!(ip));
                    }
                }
            };
        }
        // Takes the branch at `at` to `at + off`.
        macro_rules! take {
            ($at:expr, $off:expr) => {{
                let cost = edge_cost($at.add(1));
                ip = $at.offset($off as isize);
                charge!(cost);
            }};
        }
        macro_rules! branch_if {
            ($condition:expr, $off:expr) => {
                if $condition { take!(ip, $off) } else { next!(2) }
            };
        }
        macro_rules! far {
            () => {{
                let (low, high) = wide(ip.add(1));
                u64::from(low) | u64::from(high) << 32
            }};
        }
        // The third slot of a fused instruction.
        macro_rules! third {
            () => { get!(wide(ip.add(1)).1) };
        }
        // The second immediate of a fused instruction.
        macro_rules! second_imm {
            () => { imm!(wide(ip.add(1)).1 as i16) };
        }
        macro_rules! constant {
            ($bits:expr) => {{
                let (low, high) = wide(ip.add(1));
                Slot::from_slot(u64::from($bits) | u64::from(low) << 16 | u64::from(high) << 48)
            }};
        }
        // `a + imm` and `a + (b << k)`, modulo 2^32.
        macro_rules! plus {
            ($a:expr, $imm:expr) => { n::i32_add(get!($a), imm!($imm)) };
        }
        macro_rules! at {
            ($a:expr, $b:expr) => {{
                let shift = u32::from(wide(ip.add(1)).1);
                n::i32_add(get!($a), n::i32_shl(get!($b), shift))
            }};
        }
        // Where `size` bytes at `address + off` begin.
        macro_rules! effective {
            ($address:expr, $off:expr, $size:expr) => {{
                let address: u32 = $address;
                let start = u64::from(address) + $off;
                if start + $size > (*context).memory.length {
                    trap!();
                }
                start as usize
            }};
        }
        macro_rules! load {
            ($mem:ident, $ext:ident, $val:ident, $address:expr, $off:expr) => {{
                let start = effective!($address, $off, size_of::<$mem>() as u64);
                let bytes = (*context).memory.bytes.add(start).cast::<[u8; size_of::<$mem>()]>().read();
                Slot::from_slot(Slot::to_slot(<$mem>::from_le_bytes(bytes) as $ext as $val))
            }};
        }
        macro_rules! store {
            ($mem:ident, $address:expr, $value:expr, $off:expr) => {{
                let start = effective!($address, $off, size_of::<$mem>() as u64);
                let bytes = ($value as $mem).to_le_bytes();
                (*context).memory.bytes.add(start).cast::<[u8; size_of::<$mem>()]>().write(bytes);
                if TRACKED {
                    *(*context).memory.dirty.add(start >> DIRTY_SHIFT) = (*context).written;
                    if size_of::<$mem>() > 1 {
                        *(*context).memory.dirty.add((start + size_of::<$mem>() - 1) >> DIRTY_SHIFT) = (*context).written;
                    }
                }
            }};
        }
        // `a = a + imm`, then the branch if `$compare` of it and the other operand holds.
        macro_rules! step {
            ($add:ident, $compare:ident, $a:expr, $imm:expr, $right:expr, $off:expr) => {{
                let value = n::$add(get!($a), imm!($imm));
                set!($a, value);
                branch_if!(n::$compare(value, $right), $off)
            }};
        }
        // Enters `callee`, its frame at `fp`, unless gas or stack do not allow it.
        macro_rules! enter {
            ($callee:expr, $new_fp:expr, $stop:expr) => {{
                let used = $new_fp.byte_offset_from((*context).stack) as usize;
                let room = (*context).stack_bytes - used;
                if room < $callee.frame_bytes as usize || (METERED && (*context).left < $callee.cost) {
                    break Exit::AtCall($stop);
                }
                if METERED {
                    (*context).left -= $callee.cost;
                }
            }};
        }
        macro_rules! begin {
            ($callee:expr) => {{
                let mut local = fp.add($callee.params as usize);
                let end = local.add($callee.zeroed as usize);
                while local < end {
                    *local = 0;
                    local = local.add(1);
                }
                ip = (*context).insts.add($callee.pc as usize);
            }};
        }
        // Calls `func` with its arguments from `slot` on; `stop` finds the call if it must wait.
        macro_rules! call {
            ($func:expr, $slot:expr, $return_to:expr) => {{
                let func: u32 = $func;
                let return_to = pc!(ip) + $return_to;
                let callee = &*(*context).funcs.add(func as usize);
                let new_fp = fp.add($slot as usize);
                let frame = (*context).frame;
                if frame >= (*context).last_frame {
                    break Exit::AtCall(CallIndex::BeforeEntry(return_to));
                }
                enter!(callee, new_fp, CallIndex::BeforeEntry(return_to));
                (*frame).resume = ResumePoint::Fast(return_to);
                let base = new_fp.offset_from((*context).stack) as u32;
                frame.add(1).write(Frame { func, base, resume: ResumePoint::Fast(callee.pc) });
                (*context).frame = frame.add(1);
                fp = new_fp;
                begin!(callee);
            }};
        }
        // The reference in a table element, null if there is none.
        macro_rules! element {
            ($a:expr) => {{
                let table = wide(ip.add(1)).1;
                let element: u32 = get!($a);
                (&*(*context).tables)[table as usize].get(element.into()).unwrap_or(0)
            }};
        }
        // The function behind a reference, if it can be called here and now.
        macro_rules! callee {
            ($reference:expr) => {{
                let type_number = wide(ip.add(1)).0;
                let reference: u64 = $reference;
                func_of_ref(&*(*context).instances, reference).filter(|func| {
                    let callee = &*(*context).funcs.add(*func as usize);
                    callee.type_number == type_number && callee.instance == (*context).instance
                })
            }};
        }
        // Replaces the frame by one of `func`, its arguments from the relative slot on.
        macro_rules! tail_call {
            ($func:expr, $slot:expr, $index_at:expr) => {{
                let func: u32 = $func;
                let callee = &*(*context).funcs.add(func as usize);
                enter!(callee, fp, tail_index(ip.add($index_at)));
                std::ptr::copy(fp.add($slot as usize), fp, callee.params as usize);
                (*(*context).frame).func = func;
                begin!(callee);
            }};
        }
        // Goes on in the frame below, results in place.
        macro_rules! leave {
            () => {{
                let frame = (*context).frame.wrapping_sub(1);
                (*context).frame = frame;
                if frame < (*context).first_frame {
                    break Exit::Done;
                }
                let ResumePoint::Fast(return_to) = (*frame).resume else { break Exit::Returned };
                fp = (*context).stack.add((*frame).base as usize);
                ip = (*context).insts.add(return_to as usize);
                charge!(edge_cost(ip.sub(1)));
            }};
        }

        let exit = loop {
            match *ip {
                $(Inst::$unary { d, a } => { set!(d, n::$unary_fn(get!(a))); next!(1); })*
                $(Inst::$binary { d, a, b } => { set!(d, n::$binary_fn(get!(a), get!(b))); next!(1); }
                  Inst::$binary_wide { d, a, bits } => { set!(d, n::$binary_fn(get!(a), constant!(bits))); next!(2); })*
                $(Inst::$int_binary { d, a, b } => { set!(d, n::$int_binary_fn(get!(a), get!(b))); next!(1); }
                  Inst::$int_binary_imm { d, a, imm } => { set!(d, n::$int_binary_fn(get!(a), imm!(imm))); next!(1); }
                  Inst::$int_binary_wide { d, a, bits } => {
                      set!(d, n::$int_binary_fn(get!(a), constant!(bits))); next!(2);
                  })*
                $(Inst::$int_compare { d, a, b } => { set!(d, n::$int_compare_fn(get!(a), get!(b))); next!(1); }
                  Inst::$int_compare_imm { d, a, imm } => { set!(d, n::$int_compare_fn(get!(a), imm!(imm))); next!(1); }
                  Inst::$int_compare_br { a, b, off } => branch_if!(n::$int_compare_fn(get!(a), get!(b)), off),
                  Inst::$int_compare_br_imm { a, imm, off } => branch_if!(n::$int_compare_fn(get!(a), imm!(imm)), off),)*
                $(Inst::$float_compare { d, a, b } => { set!(d, n::$float_compare_fn(get!(a), get!(b))); next!(1); }
                  Inst::$float_compare_br { a, b, off } => branch_if!(n::$float_compare_fn(get!(a), get!(b)), off),
                  Inst::$float_compare_not { a, b, off } => branch_if!(!n::$float_compare_fn(get!(a), get!(b)), off),)*
                $(Inst::$try_unary { d, a } => { set!(d, attempt!(n::$try_unary_fn(get!(a)))); next!(1); })*
                $(Inst::$try_int_binary { d, a, b } => {
                    set!(d, attempt!(n::$try_int_binary_fn(get!(a), get!(b)))); next!(1);
                }
                  Inst::$try_int_binary_imm { d, a, imm } => {
                      set!(d, attempt!(n::$try_int_binary_fn(get!(a), imm!(imm)))); next!(1);
                  })*
                $(Inst::$load { d, a, off } => {
                    let value: u64 = load!($load_mem, $load_ext, $load_val, get!(a), u64::from(off));
                    put!(d, value);
                    next!(1);
                }
                Inst::$load_far { d, a } => {
                    let value: u64 = load!($load_mem, $load_ext, $load_val, get!(a), far!());
                    put!(d, value);
                    next!(2);
                }
                Inst::$load_plus { d, a, imm } => {
                    let value: u64 = load!($load_mem, $load_ext, $load_val, plus!(a, imm), u64::from(wide(ip.add(1)).0));
                    put!(d, value);
                    next!(2);
                }
                Inst::$load_at { d, a, b } => {
                    let value: u64 = load!($load_mem, $load_ext, $load_val, at!(a, b), u64::from(wide(ip.add(1)).0));
                    put!(d, value);
                    next!(2);
                })*
                $(Inst::$store { a, b, off } => { store!($store_mem, get!(a), slot!(b), u64::from(off)); next!(1); }
                  Inst::$store_far { a, b } => { let off = far!(); store!($store_mem, get!(a), slot!(b), off); next!(2); }
                  Inst::$store_imm { a, imm, off } => { store!($store_mem, get!(a), imm, u64::from(off)); next!(1); }
                  Inst::$store_plus { a, b, imm } => {
                      store!($store_mem, plus!(a, imm), slot!(b), u64::from(wide(ip.add(1)).0));
                      next!(2);
                  }
                  Inst::$store_at { a, b, c } => {
                      store!($store_mem, at!(a, c), slot!(b), u64::from(wide(ip.add(1)).0));
                      next!(2);
                  })*

                $(Inst::$fused { d, a, b } => {
                    set!(d, n::$fused_fn2(n::$fused_fn1(get!(a), get!(b)), third!())); next!(2);
                })*
                $(Inst::$fused_right { d, a, b } => {
                    set!(d, n::$fused_right_fn2(third!(), n::$fused_right_fn1(get!(a), get!(b)))); next!(2);
                })*
                $(Inst::$fused_imm { d, a, imm } => {
                    set!(d, n::$fused_imm_fn2(n::$fused_imm_fn1(get!(a), imm!(imm)), third!())); next!(2);
                })*
                $(Inst::$fused_by_imm { d, a, b } => {
                    set!(d, n::$fused_by_imm_fn2(n::$fused_by_imm_fn1(get!(a), get!(b)), second_imm!())); next!(2);
                })*
                $(Inst::$fused_imms { d, a, imm } => {
                    set!(d, n::$fused_imms_fn2(n::$fused_imms_fn1(get!(a), imm!(imm)), second_imm!())); next!(2);
                })*
                $(Inst::$load_then { d, a, off } => {
                    let value = load!($load_then_mem, $load_then_ext, $load_then_val, get!(a), u64::from(off));
                    set!(d, n::$load_then_fn(value, third!()));
                    next!(2);
                })*
                $(Inst::$load_before { d, a, off } => {
                    let value = load!($load_before_mem, $load_before_ext, $load_before_val, get!(a), u64::from(off));
                    set!(d, n::$load_before_fn(third!(), value));
                    next!(2);
                })*
                $(Inst::$load_plus_then { d, a, imm } => {
                    let value = load!(
                        $load_plus_then_mem, $load_plus_then_ext, $load_plus_then_val,
                        plus!(a, imm),
                        u64::from(wide(ip.add(1)).0)
                    );
                    set!(d, n::$load_plus_then_fn(value, third!()));
                    next!(2);
                })*
                $(Inst::$then_store { a, b, c } => {
                    let value = Slot::to_slot(n::$then_store_fn(get!(b), get!(c)));
                    store!($then_store_mem, get!(a), value, u64::from(wide(ip.add(1)).0));
                    next!(2);
                })*
                $(Inst::$step { a, imm, off } => step!($step_fn1, $step_fn2, a, imm, get!(edge_extra(ip.add(1))), off),
                  Inst::$step_imm { a, imm, off } => {
                      step!($step_fn1, $step_fn2, a, imm, imm!(edge_extra(ip.add(1)) as i16), off)
                  })*

                Inst::Nop => next!(1),
                Inst::Copy { d, a } => { put!(d, slot!(a)); next!(1); }
                Inst::Const32 { d, value } => { put!(d, u64::from(value)); next!(1); }
                Inst::Const64 { d, low } => { put!(d, u64::from(low) | far!() << 32); next!(2); }
                Inst::Copy2 { d, a, e } => { put!(d, slot!(a)); put!(e, third!()); next!(2); }
                Inst::Select { d, a, b } => {
                    let chosen = if third!() { slot!(a) } else { slot!(b) };
                    put!(d, chosen);
                    next!(2);
                }
                Inst::GlobalGet { d, global } => { put!(d, *(*context).globals.add(global as usize)); next!(1); }
                Inst::GlobalSet { a, global } => { *(*context).globals.add(global as usize) = slot!(a); next!(1); }
                Inst::RefIsNull { d, a } => { put!(d, u64::from(slot!(a) == 0)); next!(1); }
                Inst::MemorySize { d } => { put!(d, (*context).memory.length >> 16); next!(1); }

                Inst::MemoryCopy { d, a, b } => {
                    if !(*context).memory_copy(get!(d), get!(a), get!(b)) {
                        trap!();
                    }
                    next!(2);
                    charge!(edge_cost(ip.sub(1)));
                }
                Inst::MemoryFill { d, a, b } => {
                    if !(*context).memory_fill(get!(d), get!(a), get!(b)) {
                        trap!();
                    }
                    next!(2);
                    charge!(edge_cost(ip.sub(1)));
                }

                Inst::Br { off } => take!(ip, off),
                Inst::BrEqz { a, off } => branch_if!(slot!(a) == 0, off),
                Inst::BrNez { a, off } => branch_if!(slot!(a) != 0, off),
                Inst::BrTable { a, count } => {
                    let index: u32 = get!(a);
                    let branch = ip.add(1 + 2 * index.min(count) as usize);
                    let Inst::Br { off } = *branch else { bug() };
                    take!(branch, off);
                }
                Inst::Return => leave!(),
                Inst::ReturnOne { a } => { *fp = slot!(a); leave!() }
                Inst::ReturnMany { a, count } => {
                    std::ptr::copy(fp.add(a as usize), fp, count as usize);
                    leave!()
                }
                Inst::Call { base: slot, func } => call!(func, slot, 2),
                Inst::CallIndirect { base: slot, a } => match callee!(element!(a)) {
                    Some(func) => call!(func, slot, 3),
                    None => break Exit::AtCall(CallIndex::BeforeEntry(pc!(ip) + 3)),
                },
                Inst::ReturnCall { base: slot, func } => tail_call!(func, slot, 1),
                Inst::CallRef { base: slot, a } => match callee!(slot!(a)) {
                    Some(func) => call!(func, slot, 3),
                    None => break Exit::AtCall(CallIndex::BeforeEntry(pc!(ip) + 3)),
                },
                Inst::ReturnCallRef { base: slot, a } => match callee!(slot!(a)) {
                    Some(func) => tail_call!(func, slot, 2),
                    None => break Exit::AtCall(tail_index(ip.add(2))),
                },
                Inst::Outline { .. } => {
                    if !(*context).outline(fp, ip) {
                        trap!();
                    }
                    next!(2);
                }
                Inst::V128Load { d, a, off } => {
                    let start = effective!(get!(a), u64::from(off), 16);
                    let bytes = (*context).memory.bytes.add(start).cast::<[u8; 8]>();
                    let (low, high) = (bytes.read(), bytes.add(1).read());
                    put!(d, u64::from_le_bytes(low));
                    put!(usize::from(d) + 1, u64::from_le_bytes(high));
                    next!(1);
                }
                Inst::V128Store { a, b, off } => {
                    let value = u128::from(slot!(b)) | u128::from(slot!(usize::from(b) + 1)) << 64;
                    store!(u128, get!(a), value, u64::from(off));
                    next!(1);
                }
                Inst::Narrow { a } => {
                    if slot!(a) >> 32 != 0 {
                        trap!();
                    }
                    next!(1);
                }
                Inst::RefAsNonNull { a } => {
                    if slot!(a) == 0 {
                        trap!();
                    }
                    next!(1);
                }
                Inst::ReturnCallIndirect { base: slot, a } => match callee!(element!(a)) {
                    Some(func) => tail_call!(func, slot, 2),
                    None => break Exit::AtCall(tail_index(ip.add(2))),
                },

                Inst::Charge { cost } => {
                    next!(1);
                    charge!(i64::from(cost));
                }
                Inst::Tick { index } => {
                    let cost = edge_cost(ip.add(1));
                    if *(*context).steps == 0 || (*context).left < cost {
                        break Exit::Before(index);
                    }
                    *(*context).steps -= 1;
                    (*context).left -= cost;
                    next!(2);
                }
                Inst::Slow { index } => break Exit::Before(index),
                Inst::Unreachable => trap!(),
                Inst::Edge { .. } | Inst::Wide { .. } => bug(),
            }
        };
        exit
        }
    }
}
}
for_each_inst!(define_run);
