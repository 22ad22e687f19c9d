//! Frames. Both engines lay a frame out alike: its locals from `base` on, then its operands by height, so that moving a
//! frame between the engines moves no value.

/// Where a frame goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumePoint {
    /// At an index of the function's decoded instructions.
    Wasm(u32),
    /// At a position of the register code, which is an entry of the function.
    Fast(u32),
}

/// A frame of the call stack.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Address of the function in the store.
    pub func: u32,
    /// Index in the value stack of its first local.
    pub base: u32,
    /// The next instruction: for the frames below the top, the one after the call.
    pub resume: ResumePoint,
}
