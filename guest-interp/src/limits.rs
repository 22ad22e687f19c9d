//! The limits of a job. They decide results (a grow that fails, a stack that is exhausted), so they are part of the job
//! and of its hash, and never depend on the host.

use serde::{Deserialize, Serialize};

/// Bytes in a WebAssembly page.
pub const WASM_PAGE: u64 = 65_536;

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
    /// what a 32-bit node can hold beside the memories.
    pub file_bytes: u64,
    /// Slots that exceptions may take which are caught with a reference to them: one each, and their payload. Those that the
    /// program can still reach when this is met may take half of it. Default 1 Mi (8 MiB).
    pub exception_slots: u32,
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
