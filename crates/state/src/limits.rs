//! The limits of a job. They decide results (a grow that fails, a stack that is exhausted), so they are part of the job
//! and of its hash, and never depend on the host.

use serde::{Deserialize, Serialize};

/// Bytes in a WebAssembly page.
pub const WASM_PAGE: u64 = 65_536;

/// Linear memory that the node as wasm can have: 3.5 GiB.
const NODE_CAN_HOLD: u64 = 3584 << 20;
/// What of it is the node's own: its code's data, the program, its register code, names and small things.
const NODES_OWN: u64 = 128 << 20;

/// Limits that a program meets while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Frames on the call stack. Default 65,536: deep recursive-descent parsers and Go's runtime stay far below it.
    pub call_depth: u32,
    /// Stack slots (8 bytes each) of all frames together, locals and greatest operand height. Default 8 Mi (64 MiB): 128 a frame.
    pub stack_slots: u32,
    /// Bytes of all linear memories together. Default 2 GiB less a page of 64 KiB: the longest memory that a 32-bit node can
    /// hold, so that `memory.grow` fails at the same size everywhere.
    pub memory_bytes: u64,
    /// Elements of all tables together. Default 10 million, wasmparser's own bound for a single table.
    pub table_elements: u64,
    /// Bytes of all files that the program has written to, in whole pages of 4 KiB, at their greatest sizes. Default 1 GiB,
    /// what a 32-bit node can hold beside the memories. The log of a key-value store may take an eighth of it more.
    pub file_bytes: u64,
    /// Slots that exceptions may take which are caught with a reference to them: one each, and their payload. Those that the
    /// program can still reach when this is met may take half of it. Default 1 Mi (8 MiB).
    pub exception_slots: u32,
}

impl Limits {
    /// Bytes that the log of a key-value store may take, with what is held of it.
    pub fn log_bytes(&self) -> u64 {
        self.file_bytes / 8
    }

    /// Bytes that a job may take of a node at most: its memories, files and tables with the hashes of their pages (a
    /// tree of 64 bytes for each 4 KiB), its stack with the shorter one that it grew out of, its frames, its exceptions
    /// with the copy that is made when they are looked through, and what is the node's own.
    fn most_bytes(&self) -> u64 {
        let elements = self.table_elements.saturating_mul(8);
        let files = self.file_bytes.saturating_add(self.log_bytes());
        let paged = self.memory_bytes.saturating_add(files).saturating_add(elements);
        let stacks = u64::from(self.stack_slots) * 12 + u64::from(self.call_depth) * 32;
        let exceptions = u64::from(self.exception_slots) * 16;
        paged.saturating_add(paged / 64).saturating_add(stacks + exceptions + NODES_OWN)
    }

    /// What to tell the user of a job that is allowed more than the node as wasm can hold. It is said in every place, also
    /// where the job can be held: what a job may end with elsewhere is known before it runs.
    pub fn warning(&self) -> Option<String> {
        let most = self.most_bytes();
        (most > NODE_CAN_HOLD).then(|| {
            format!(
                "the job's limits allow {most} bytes, more than the {NODE_CAN_HOLD} that the module can hold: where \
                 it runs as wasm it may end with exit code 74"
            )
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call_depth: 65_536,
            stack_slots: 8 << 20,
            memory_bytes: (2 << 30) - WASM_PAGE,
            table_elements: 10_000_000,
            file_bytes: 1 << 30,
            exception_slots: 1 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_may_take_more_than_the_node_as_wasm_can_hold_is_told_so() {
        let usual = Limits::default();
        assert_eq!((usual.most_bytes(), usual.warning()), (3_742_810_832, None));
        let beyond = |change: &dyn Fn(&mut Limits)| {
            let mut limits = usual;
            change(&mut limits);
            limits.warning().is_some()
        };
        assert!(beyond(&|limits| limits.memory_bytes = 4 << 30));
        assert!(beyond(&|limits| limits.file_bytes = u64::MAX));
        assert!(beyond(&|limits| limits.exception_slots = 1 << 24));
        assert!(!beyond(&|limits| limits.memory_bytes = 1 << 20));
        let exactly = Limits { memory_bytes: 4 << 30, ..usual }.warning();
        let expected = "the job's limits allow 5923915472 bytes, more than the 3758096384 that the module can hold: where it \
                        runs as wasm it may end with exit code 74";
        assert_eq!(exactly.as_deref(), Some(expected));
    }
}
