//! Watching memory: which bytes of which memories an execution touches, known before it touches them. For witnesses, which
//! carry only the pages that a segment needs. Nothing of it runs when nobody watches.

use std::fmt;

use super::Machine;
use crate::code::Op;
use stepmark_state::error::JobError;

/// Bytes of a memory that are about to be read or written, all inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Store address of the memory.
    pub memory: u32,
    /// The first byte.
    pub address: u64,
    /// How many.
    pub length: u64,
}

/// Somebody who is told of accesses to memory.
pub trait AccessObserver: fmt::Debug + Send + Sync {
    /// Called before each step, with the machine in canonical form; its accesses are
    /// [`Machine::next_accesses`](Machine::next_accesses).
    ///
    /// # Errors
    /// The step must not be made.
    fn before_step(&self, machine: &mut Machine) -> Result<(), JobError>;

    /// Called before a host function reads or writes.
    ///
    /// # Errors
    /// It must not; the function is told that the bytes lie outside the memory, and the run is given up after it.
    fn touch(&self, access: Access) -> Result<(), JobError>;

    /// Called after a host function, before what it came to is used.
    ///
    /// # Errors
    /// It has asked for what it must not touch: the run is given up.
    fn after_host_call(&self) -> Result<(), JobError> {
        Ok(())
    }
}

impl Machine {
    /// What the next instruction of the innermost frame reads and writes of memories; nothing where it would trap first.
    pub fn next_accesses(&mut self) -> Vec<Access> {
        let Some(instr) = self.current_instr() else { return Vec::new() };
        let top = self.top_slot(instr.height);
        let operand = |depth: usize| self.stack[top - 1 - depth];
        let memories = &self.instance().memories;
        let own = |index: u32| memories[index as usize];
        let ranged = |memory, address| Some((own(memory), address, operand(0)));
        let found = match instr.op {
            Op::MemoryFill | Op::MemoryInit => [ranged(instr.aux, operand(2)), None],
            Op::MemoryCopy => [ranged(instr.aux, operand(2)), ranged(instr.imm as u32, operand(1))],
            op if op.is_memory_access() => {
                let slots = op.shape().map_or(0, |shape| shape.operands.iter().map(|n| usize::from(*n)).sum());
                let address = self.stack[top - slots].checked_add(instr.imm);
                [address.map(|address| (own(instr.memory()), address, access_bytes(op))), None]
            }
            _ => [None, None],
        };
        let accesses = found.map(|found| found.map(|(memory, address, length)| Access { memory, address, length }));
        // Where one of two is outside, the instruction traps and makes neither.
        let all_inside = accesses.iter().flatten().all(|access| self.is_inside(access));
        accesses.into_iter().flatten().filter(|access| all_inside && access.length > 0).collect()
    }

    fn is_inside(&self, access: &Access) -> bool {
        self.store.memories[access.memory as usize].range(access.address, access.length).is_some()
    }

    /// Absolute slot above the operands of the innermost frame, which are `height` slots.
    fn top_slot(&mut self, height: u32) -> usize {
        let Some(frame) = self.frames.last().copied() else { return 0 };
        frame.base as usize + self.body(frame.func).locals as usize + height as usize
    }
}

/// Bytes that a load or store accesses, by its mnemonic: `i64.load16_s` has 16 bits, `v128.load8x8_u` 8 of 8 bits, and without
/// a number it is the type's.
fn access_bytes(op: Op) -> u64 {
    let (ty, name) = op.mnemonic().split_once('.').unwrap_or_default();
    let width = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let width = width.split('_').next().unwrap_or_default();
    let bits = match (width.split_once('x'), width) {
        (Some((bits, lanes)), _) => {
            bits.parse().ok().zip(lanes.parse().ok()).map(|(bits, lanes): (u64, u64)| bits * lanes)
        }
        (None, "") => ty.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok(),
        (None, bits) => bits.parse().ok(),
    };
    bits.map_or(16, |bits| bits / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mnemonic_says_how_many_bytes_are_accessed() {
        let expected = [
            (Op::I32Load, 4),
            (Op::F64Store, 8),
            (Op::I64Load8U, 1),
            (Op::I64Store32, 4),
            (Op::V128Load, 16),
            (Op::V128Load32x2S, 8),
            (Op::V128Load16Splat, 2),
            (Op::V128Load64Zero, 8),
            (Op::V128Store8Lane, 1),
        ];
        for (op, bytes) in expected {
            assert_eq!(access_bytes(op), bytes, "{}", op.mnemonic());
        }
    }

    #[test]
    fn every_load_and_store_accesses_as_many_bytes_as_its_natural_alignment() {
        let accesses: Vec<Op> = Op::ALL.iter().copied().filter(|op| op.is_memory_access()).collect();
        assert!(accesses.len() > 40, "{} loads and stores", accesses.len());
        for op in accesses {
            let lane = if op.is_lane_access() { "0" } else { "" };
            let text = format!("(module (memory 1) (func unreachable {} {lane} unreachable))", op.mnemonic());
            let module = wat::parse_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
            // It ends with the alignment, which is the natural one where none is written, the offset, the lane, two bytes.
            let natural = 1 << module[module.len() - 4 - lane.len()];
            assert_eq!(access_bytes(op), natural, "{}", op.mnemonic());
        }
    }
}
