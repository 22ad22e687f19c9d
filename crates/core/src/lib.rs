//! WebAssembly programs and the machine that executes them: bytes become a validated [`module`], its functions decoded bodies and
//! register [`code`], and a [`machine::Machine`] advances with either tier until its gas, its program or its host stops it.

pub mod alloc;
pub mod code;
pub mod gas;
pub mod host;
pub mod machine;
pub mod module;
pub mod numeric;
pub mod op;
