//! The compiled tier's emitter. From decoded function bodies it makes a *companion*: a WebAssembly module that does what they do,
//! counts gas as they are charged, and can be *left* before any instruction, with every frame in memory in the terms of
//! the program. Whoever has a compiler for WebAssembly runs it; the interpreter goes on from where it was left.
//!
//! It is a pure function: bytes go in, bytes come out. What a host of the companion needs beside it is in [`host`].
//!
//! - Leaving is allowed anywhere, overspending nowhere: what is not emitted is left to the interpreter.
//! - No trap can happen in a companion. What would trap is left before it.
//! - It changes nothing but the program's memory, its marks, its globals, and its own frames.

mod companion;
mod cost;
mod entry;
mod frames;
mod function;
pub mod host;
mod ingredient;
mod layout;
mod made;
mod points;
mod program;
mod reach;
mod rounds;
mod rules;
mod site;
mod source;
mod values;

pub use companion::{Companion, emit, emit_without};
pub use frames::{LeftFrame, LeftFrames};
pub use function::LEFT;
pub use ingredient::Ingredient;
pub use layout::{
    BEYOND, FRAME_HEADER, LEAST_FRAME, Layout, MARK_REACH, MOST_SLOTS, TablePlace, frame_bound, frame_bytes,
    slot_offset,
};
pub use points::{EntrySite, entry_offsets, loop_offsets};
pub use rules::Num;
pub use site::{CompiledFunc, LeaveSite, OperandPlace};
