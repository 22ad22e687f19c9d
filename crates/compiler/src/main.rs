//! The emitter of compiled code as a module of its own, `compiler.wasm`, for hosts that compile WebAssembly and are not written in Rust:
//! JavaScript's. The Stepmark module stays small without it. docs/guest-abi.md has its functions; they call no import, and everything
//! that lives between two calls is in its own memory.

mod compiler;
#[cfg(target_arch = "wasm32")]
mod exports;

fn main() {}
