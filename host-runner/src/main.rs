//! The host runner: see the library.

use std::alloc::System;

use stepmark_runner::memory::Bounded;

#[global_allocator]
static MEMORY: Bounded<System> = Bounded(System);

fn main() {
    std::process::exit(host_runner::cli::execute(std::env::args_os()));
}
