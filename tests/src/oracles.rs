//! Two oracles from outside, both in wasmtime: its fuel, priced by our schedule, is our gas ([`gas`]); the frames that its
//! debugger sees are our state ([`state`]). Neither shares a line with what it checks.

pub mod gas;
pub mod prices;
pub mod samples;
pub mod state;
pub mod suite;
