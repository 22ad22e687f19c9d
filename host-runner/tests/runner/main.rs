//! The runner as its users see it: the built program, real directories, real signals. One file for each behaviour.
// Tests make what strangers would have made, and look at what came of it.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

mod bench;
mod bounds;
mod chain;
mod corpus;
mod debug;
mod estimate;
mod exit_codes;
mod frozen;
mod imports;
mod interrupt;
mod json;
mod look;
mod omissions;
mod output;
mod piped;
mod profile;
mod reference;
mod schema;
mod store;
mod text;
mod tools;
mod transplant;
mod util;
mod verify;
mod walkthrough;
mod witness;
mod words;
