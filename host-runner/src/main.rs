//! The host runner: see the library.

fn main() {
    std::process::exit(host_runner::cli::execute(std::env::args_os()));
}
