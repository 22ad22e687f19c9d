//! The compiled tier beside the interpreter. A companion runs in wasmtime, in a memory that holds the parts of a machine; where it
//! leaves, the machine goes on. Nothing here needs the host runner, so a change of the emitter is tested in a minute.

pub mod accesses;
pub mod drive;
pub mod host;
pub mod oracle;
pub mod place;
pub mod speed;
pub mod subjects;
pub mod transplant;
