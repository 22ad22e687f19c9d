//! What the fast engine relies on without checking it again: of every instruction of a function's register code, that
//! its slots lie in the frame, that control goes from it only to instructions, that the words it reads follow it, and
//! that it names globals, tables and functions that there are. A pass of its own over the translated code, so that a
//! mistake of the translator is a clean panic and not a wild access.

use super::translate::FuncCode;
use super::{EntryPoint, Inst};
use crate::code::Outline;

/// What a function's code may refer to.
pub struct Scope<'a> {
    /// Globals of the store.
    pub globals: usize,
    /// Tables of the store.
    pub tables: usize,
    /// Memories of the store.
    pub memories: usize,
    /// Number of the function's first outlined instruction.
    pub first_outline: u32,
    /// Parameter slots of the function at a store address, if the code may call it directly.
    pub callee_params: &'a dyn Fn(u32) -> Option<u32>,
    /// Parameter slots by type number.
    pub type_params: &'a dyn Fn(u32) -> Option<u32>,
}

/// Register code that [`verify`] has passed; nothing else makes one.
#[derive(Clone, Debug)]
pub struct VerifiedCode(FuncCode);

impl VerifiedCode {
    /// The instructions.
    pub fn insts(&self) -> &[Inst] {
        &self.0.insts
    }

    /// Slots of a frame.
    pub fn frame_slots(&self) -> u32 {
        self.0.frame_slots
    }

    /// Instructions executed out of line.
    pub fn outlines(&self) -> &[Outline] {
        &self.0.outlines
    }

    /// Gives up the proof, for the entries.
    pub fn into_entries(self) -> Vec<EntryPoint> {
        self.0.entries
    }
}

/// Checks a translated function.
///
/// # Errors
/// The position of the first instruction that breaks a rule, and the rule.
pub fn verify(code: FuncCode, scope: &Scope<'_>) -> Result<VerifiedCode, (usize, &'static str)> {
    let starts = starts(&code.insts)?;
    let is_start = |pc: usize| starts.get(pc).copied().unwrap_or(false);
    let mut pc = 0;
    while let Some(inst) = code.insts.get(pc) {
        let next = pc + inst.words();
        check_slots(*inst, code.frame_slots).map_err(|rule| (pc, rule))?;
        check_words(&code.insts[pc..next], code.frame_slots, scope).map_err(|rule| (pc, rule))?;
        if let (Inst::Outline { .. }, words) = (*inst, &code.insts[pc..next]) {
            check_outline(words, &code, scope).map_err(|rule| (pc, rule))?;
        }
        if inst.falls_through() && !is_start(next) {
            return Err((pc, "the code ends after an instruction that goes on"));
        }
        if let Some(offset) = inst.branch_offset()
            && !pc.checked_add_signed(offset as isize).is_some_and(is_start)
        {
            return Err((pc, "a branch goes to no instruction"));
        }
        if let Inst::BrTable { count, .. } = inst {
            check_table(&code.insts[next..], *count).map_err(|rule| (pc, rule))?;
        }
        pc = next;
    }
    let in_place = |entry: &EntryPoint| is_start(entry.pc as usize);
    if !code.entries.iter().all(in_place) || !is_start(0) {
        return Err((0, "an entry is at no instruction"));
    }
    Ok(VerifiedCode(code))
}

/// Where instructions begin.
fn starts(insts: &[Inst]) -> Result<Vec<bool>, (usize, &'static str)> {
    let mut starts = vec![false; insts.len()];
    let mut pc = 0;
    while pc < insts.len() {
        let end = pc + insts[pc].words();
        let words = insts.get(pc + 1..end).ok_or((pc, "the code ends inside an instruction"))?;
        if !insts[pc].begins() || words.iter().any(|word| word.begins()) {
            return Err((pc, "words are not where they belong"));
        }
        starts[pc] = true;
        pc = end;
    }
    Ok(starts)
}

fn check_slots(inst: Inst, frame_slots: u32) -> Result<(), &'static str> {
    let mut inside = true;
    inst.for_each_slot(|slot| inside &= u32::from(slot) < frame_slots);
    if inside { Ok(()) } else { Err("a slot is outside the frame") }
}

/// The parts of an instruction that are not slots of its first word.
fn check_words(words: &[Inst], frame_slots: u32, scope: &Scope<'_>) -> Result<(), &'static str> {
    let edge_is_last = || matches!(words.last(), Some(Inst::Edge { .. }));
    let fits = |first: u16, count: u32| u32::from(first).checked_add(count).is_some_and(|end| end <= frame_slots);
    let right = match words[0] {
        Inst::GlobalGet { global, .. } | Inst::GlobalSet { global, .. } => (global as usize) < scope.globals,
        Inst::ReturnMany { a, count } => fits(a, count) && count <= frame_slots,
        Inst::Call { base, func } => edge_is_last() && (scope.callee_params)(func).is_some_and(|n| fits(base, n)),
        Inst::ReturnCall { base, func } => {
            matches!(words[1], Inst::Wide { .. }) && (scope.callee_params)(func).is_some_and(|n| fits(base, n))
        }
        Inst::CallIndirect { base, .. } => edge_is_last() && check_type(words[1], base, frame_slots, scope),
        Inst::CallRef { base, .. } => edge_is_last() && check_params(words[1], base, frame_slots, scope),
        Inst::ReturnCallRef { base, .. } => {
            matches!(words[2], Inst::Wide { .. }) && check_params(words[1], base, frame_slots, scope)
        }
        Inst::ReturnCallIndirect { base, .. } => {
            matches!(words[2], Inst::Wide { .. }) && check_type(words[1], base, frame_slots, scope)
        }
        inst if inst.has_third_slot() => match words[1] {
            Inst::Edge { extra: slot, .. } => inst.has_edge() && fits(slot, 1),
            Inst::Wide { high: slot, .. } => !inst.has_edge() && fits(slot, 1),
            _ => false,
        },
        inst if inst.has_edge() => edge_is_last(),
        _ => words[1..].iter().all(|word| matches!(word, Inst::Wide { .. })),
    };
    if right { Ok(()) } else { Err("an operand is out of range") }
}

/// The word of an indirect call that names its type and table.
fn check_type(word: Inst, base: u16, frame_slots: u32, scope: &Scope<'_>) -> bool {
    let in_range = matches!(word, Inst::Wide { high, .. } if usize::from(high) < scope.tables);
    in_range && check_params(word, base, frame_slots, scope)
}

/// The word of a call that names its type.
fn check_params(word: Inst, base: u16, frame_slots: u32, scope: &Scope<'_>) -> bool {
    let Inst::Wide { low, .. } = word else { return false };
    (scope.type_params)(low).is_some_and(|n| u32::from(base) + n <= frame_slots)
}

/// That an outlined instruction is there, its operands and result in the frame and its memory in the store.
fn check_outline(words: &[Inst], code: &FuncCode, scope: &Scope<'_>) -> Result<(), &'static str> {
    let [Inst::Outline { d, a, b }, Inst::Wide { low, high: c }] = *words else {
        return Err("an outlined instruction has no number");
    };
    let number = low.checked_sub(scope.first_outline).map(|number| number as usize);
    let what = number.and_then(|number| code.outlines.get(number)).ok_or("an outlined instruction is not there")?;
    let shape =
        what.op.shape().filter(|shape| *shape == what.shape).ok_or("an outlined instruction has another shape")?;
    let [slots_a, slots_b, slots_c] = shape.operands;
    // The first slot of an operand is read even if it has none, and what computes writes two of its result.
    let fits = |(first, slots): (u16, u8)| u32::from(first) + u32::from(slots.max(1)) <= code.frame_slots;
    let written = if what.memory.is_some() { shape.result } else { 2 };
    let inside = written == 0 || fits((d, written));
    let inside = inside && [(a, slots_a), (b, slots_b), (c, slots_c)].into_iter().all(fits);
    let memory = what.memory.is_none_or(|memory| (memory as usize) < scope.memories);
    if inside && memory && what.memory.is_some() == what.op.is_memory_access() {
        Ok(())
    } else {
        Err("an operand of an outlined instruction is out of range")
    }
}

/// The branches after a [`Inst::BrTable`]: one a target, and one more.
fn check_table(insts: &[Inst], count: u32) -> Result<(), &'static str> {
    let mut branches = insts.chunks(2);
    // In 64 bits, for the greatest count.
    let wanted = u64::from(count) + 1;
    let is_branch = |pair: &[Inst]| matches!(pair, [Inst::Br { .. }, Inst::Edge { .. }]);
    let all = branches.len() as u64 >= wanted && (0..wanted).all(|_| branches.next().is_some_and(is_branch));
    if all { Ok(()) } else { Err("a branch table is not followed by its branches") }
}

#[cfg(test)]
mod tests;
