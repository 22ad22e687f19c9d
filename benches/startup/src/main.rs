//! The library as a wasm file: the embedder asks for a buffer, writes a program into it, and times the other two calls.
#![expect(unsafe_code, reason = "an exported function needs an unmangled name, which the language counts as unsafe")]

use std::cell::RefCell;

use startup::Program;

thread_local! {
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static PROGRAM: RefCell<Option<Program>> = const { RefCell::new(None) };
}

/// Address of a buffer for the program's bytes.
#[unsafe(no_mangle)]
extern "C" fn buffer(length: usize) -> usize {
    BYTES.with_borrow_mut(|bytes| {
        bytes.resize(length, 0);
        bytes.as_ptr().addr()
    })
}

/// Reads, validates and links what is in the buffer; 1 if that can be done.
#[unsafe(no_mangle)]
extern "C" fn parse() -> u32 {
    let program = Program::parse(BYTES.take()).ok();
    let parsed = program.is_some();
    PROGRAM.set(program);
    parsed.into()
}

/// Translates all functions; how many there are.
#[unsafe(no_mangle)]
extern "C" fn translate() -> u32 {
    PROGRAM.with_borrow_mut(|program| program.as_mut().map_or(0, Program::translate))
}

fn main() {}
