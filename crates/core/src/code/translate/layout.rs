//! Costs and branch offsets, once everything is placed.

use super::{GasBlock, Landed, Landing, TooLarge, Translation, Translator};
use crate::code::{FuncCode, Inst};

impl Translator<'_> {
    pub(super) fn finish(mut self) -> Result<Translation, TooLarge> {
        let totals = self.totals();
        for fix in &self.fixes {
            let edge = fix.edge as usize;
            let (landed, branch) = match fix.to {
                Landing::Index(index) => (self.landings[index as usize], Some(edge - 1)),
                Landing::Stub(number) => (self.stub_landings[number as usize], Some(edge - 1)),
                Landing::Block(block) => (Landed { pc: 0, block }, None),
            };
            let Landed { pc, block } = landed;
            if let Some(at) = branch {
                let offset = i32::try_from(i64::from(pc) - at as i64).map_err(|_| TooLarge)?;
                if !self.insts[at].set_offset(offset) {
                    return Err(TooLarge);
                }
            }
            let not_taken = fix.behind.map_or(0, |block| following(&self.blocks, &totals, block.get() as usize - 1));
            let cost =
                i64::try_from(totals[block as usize]).ok().and_then(|t| t.checked_sub(i64::try_from(not_taken).ok()?));
            let cost = cost.and_then(|c| i32::try_from(c).ok()).ok_or(TooLarge)?;
            match &mut self.insts[edge] {
                Inst::Edge { cost: place, .. } | Inst::Charge { cost: place } => *place = cost,
                _ => unreachable!("BUG: an instruction carries no cost"),
            }
        }
        for (entry, block) in self.entries.iter_mut().zip(&self.entry_blocks) {
            entry.cost = i32::try_from(totals[*block as usize]).map_err(|_| TooLarge)? as u32;
        }
        if let Some(watch) = &mut self.watch {
            let block = &self.blocks[watch.block];
            watch.rest = block.cost - watch.charged + following(&self.blocks, &totals, watch.block);
        }
        let code = FuncCode {
            insts: self.insts,
            entries: self.entries,
            frame_slots: self.body.frame_slots(),
            outlines: self.outlines,
        };
        Ok(Translation { code, starts: self.starts, watch: self.watch })
    }

    /// T of every block.
    pub(super) fn totals(&self) -> Vec<u64> {
        let mut totals = vec![0u64; self.blocks.len() + 1];
        for (i, block) in self.blocks.iter().enumerate().rev() {
            totals[i] = block.cost.saturating_add(if block.falls { totals[i + 1] } else { 0 });
        }
        totals
    }
}

/// T of what a block falls into, 0 if it does not.
fn following(blocks: &[GasBlock], totals: &[u64], block: usize) -> u64 {
    if blocks[block].falls { totals[block + 1] } else { 0 }
}
