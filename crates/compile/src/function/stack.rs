//! The operands of the source program while its function is emitted. Each is known by what it is, so that constants and
//! copies of locals cost nothing until they are needed; whatever else there is lies in a local of the companion's function,
//! the one of its height and type.

use crate::rules::Num;

/// What an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// It lies in the temporary of its height and this type.
    Temporary(Num),
    /// So does this float, but if it is a NaN it may be another than the canonical one, which it must become where its bits can
    /// be seen.
    Raw(Num),
    /// It is what this local of the program's holds.
    Local(u32, Num),
    /// It is this bit pattern.
    Constant(u64, Num),
}

impl Operand {
    pub(crate) fn ty(self) -> Num {
        match self {
            Operand::Temporary(ty) | Operand::Raw(ty) | Operand::Local(_, ty) | Operand::Constant(_, ty) => ty,
        }
    }
}

/// An operand and its height.
pub(crate) type PlacedOperand = (u32, Operand);

/// Operands by height.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operands(Vec<Operand>);

impl Operands {
    pub(crate) fn height(&self) -> u32 {
        self.0.len() as u32
    }

    pub(crate) fn push(&mut self, operand: Operand) {
        self.0.push(operand);
    }

    /// Takes the topmost.
    pub(crate) fn pop(&mut self) -> PlacedOperand {
        let operand = self.0.pop().expect("BUG: validation has counted operands");
        (self.height(), operand)
    }

    /// The operand `depth` below the topmost.
    pub(crate) fn peek(&self, depth: u32) -> PlacedOperand {
        let height = self.height() - 1 - depth;
        (height, self.0[height as usize])
    }

    /// The operand at a height.
    pub(crate) fn at(&self, height: u32) -> PlacedOperand {
        (height, self.0[height as usize])
    }

    pub(crate) fn truncate(&mut self, height: u32) {
        self.0.truncate(height as usize);
    }

    /// Those below a height, lowest first.
    pub(crate) fn below(&self, height: u32) -> impl Iterator<Item = PlacedOperand> {
        (0..).zip(self.0[..height as usize].iter().copied())
    }

    /// Notes that the operand at a height now lies in its temporary.
    pub(crate) fn settled(&mut self, height: u32) {
        let operand = &mut self.0[height as usize];
        *operand = Operand::Temporary(operand.ty());
    }
}
