//! The host runner.
fn main() {}
