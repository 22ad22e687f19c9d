//! What the fast engine relies on without checking it again: of every instruction of a function's register code, that
//! its slots lie in the frame, that control goes from it only to instructions, that the words it reads follow it, and
//! that it names globals, tables and functions that there are. A pass of its own over the translated code, so that a
//! mistake of the translator is a clean panic and not a wild access.

use super::translate::FuncCode;
use super::{Entry, Inst};

/// What a function's code may refer to.
pub struct Scope<'a> {
    /// Globals of the store.
    pub globals: usize,
    /// Tables of the store.
    pub tables: usize,
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

    /// Gives up the proof, for the entries.
    pub fn into_entries(self) -> Vec<Entry> {
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
    let in_place = |entry: &Entry| is_start(entry.pc as usize);
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
    let Inst::Wide { low, high } = word else { return false };
    let params = (scope.type_params)(low);
    usize::from(high) < scope.tables && params.is_some_and(|n| u32::from(base) + n <= frame_slots)
}

/// The branches after a [`Inst::BrTable`].
fn check_table(insts: &[Inst], count: u32) -> Result<(), &'static str> {
    let branches = insts.chunks(2).take(count as usize + 1);
    let whole = branches.len() == count as usize + 1;
    let alike = branches.into_iter().all(|pair| matches!(pair, [Inst::Br { .. }, Inst::Edge { .. }]));
    if whole && alike { Ok(()) } else { Err("a branch table is not followed by its branches") }
}
