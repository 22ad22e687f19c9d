//! Frames that compiled code has left, read back from memory in the terms of the program.

use crate::companion::Companion;
use crate::layout::slot_offset;
use crate::made::canonical;
use crate::rules::Num;
use crate::site::OperandPlace;

/// A frame that was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftFrame {
    /// The function, by its index in the program.
    pub func: u32,
    /// Byte offset in the program's module of the instruction at which it goes on.
    pub offset: u32,
    /// Its locals.
    pub locals: Vec<u64>,
    /// Its operands, lowest first.
    pub operands: Vec<u64>,
}

/// What compiled code has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftFrames {
    /// The frames, outermost first.
    pub frames: Vec<LeftFrame>,
    /// Gas that is left.
    pub gas: u64,
}

impl Companion {
    /// The frames that lie from `outermost` to `innermost`, where `gas` was left by the innermost. `memory` is the companion's.
    /// `None` if there are no such frames: then they are not this companion's work.
    pub fn left_frames(&self, memory: &[u8], outermost: u32, innermost: u32, gas: i64) -> Option<LeftFrames> {
        let mut frames = Vec::new();
        let mut place = outermost;
        loop {
            let number = u32::from_le_bytes(bytes(memory, place)?);
            let site = self.sites.get(number as usize)?;
            let compiled = self.funcs.get(&site.func)?;
            let slot = |slot: u32, ty| read(memory, place.checked_add(slot_offset(slot))?, ty);
            let made = |slot: Option<u64>, ty| slot.map(|bits| canonical(ty, bits));
            let local = |(local, (ty, is_made)): (u32, (&Option<Num>, &bool))| {
                let ty = ty.unwrap_or(Num::I64);
                if *is_made { made(slot(local, ty), ty) } else { slot(local, ty) }
            };
            let kinds = compiled.locals.iter().zip(&compiled.made);
            let locals: Vec<u64> = (0..).zip(kinds).map(local).collect::<Option<_>>()?;
            let operand = |(height, operand): (u32, &OperandPlace)| match *operand {
                OperandPlace::Slot(ty) => slot(locals.len() as u32 + height, ty),
                OperandPlace::Made(ty) => made(slot(locals.len() as u32 + height, ty), ty),
                OperandPlace::Local(local) => locals.get(local as usize).copied(),
                OperandPlace::Constant(bits) => Some(bits),
            };
            let operands = (0..).zip(&site.operands).map(operand).collect::<Option<_>>()?;
            frames.push(LeftFrame { func: site.func, offset: site.offset, locals, operands });
            if place == innermost {
                let gas = u64::try_from(gas.checked_add(site.rest)?).ok()?;
                return Some(LeftFrames { frames, gas });
            }
            place = place.checked_add(compiled.frame).filter(|next| *next <= innermost)?;
        }
    }
}

/// A value in a slot, of which one of 32 bits fills the lower half.
fn read(memory: &[u8], place: u32, ty: Num) -> Option<u64> {
    Some(if ty.is_wide() {
        u64::from_le_bytes(bytes(memory, place)?)
    } else {
        u32::from_le_bytes(bytes(memory, place)?).into()
    })
}

fn bytes<const N: usize>(memory: &[u8], place: u32) -> Option<[u8; N]> {
    memory.get(place as usize..)?.first_chunk::<N>().copied()
}
