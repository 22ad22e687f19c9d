//! Every check that is longer or stranger than `cargo test`. Each command prints its figure on its last line and exits
//! with 1 when the figure is not what it must be.

mod allocations;
mod apps;
mod benches;
mod bombs;
mod compiled;
mod crash;
mod determinism;
mod differential;
mod evidence;
mod fast;
mod first_run;
mod footprint;
mod fuzz;
mod house;
mod ingredients;
mod js;
mod long;
mod migration;
mod mutants;
mod mutate;
mod ngrams;
mod nightly;
mod omissions;
mod oracles;
mod overheads;
mod page;
mod peers;
mod perf_check;
mod portability;
mod price;
mod reproducible;
mod self_hosting;
mod spec;
mod steps;
mod store;
mod timeline;
mod wasi_host;
mod wasi_testsuite;
mod wasmfiles;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "checks and measurements of this project")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let the n-th allocation fail while a program is loaded, run, resumed and verified natively
    Allocations(allocations::Args),
    /// The host runner with an allocation that fails, for the command above
    #[command(hide = true)]
    AllocationsChild(allocations::ChildArgs),
    /// Run real programs in segments, and each segment again from its snapshot
    Apps(apps::Args),
    /// Load modules that are made to be dear, and measure what each byte of them costs
    Bombs(bombs::Args),
    /// Stop, kill, cut off from power and refuse the node at every moment of a save
    Crash(crash::Args),
    /// Compare every operator at special values in every place
    Determinism(determinism::Args),
    /// Compare the engines with each other and with wasmtime and wasmi on random modules
    Differential(differential::Args),
    /// Random modules in compiled code and in the interpreter, wherever compiled code is left and entered
    Compiled(compiled::Args),
    /// Measure the figures of docs/evidence.md, and write them there
    Evidence(evidence::Args),
    /// Run the long forms of all checks, for a release: hours
    Long(long::Args),
    /// Move running nodes between runtimes, and compare what they leave
    Migration(migration::Args),
    /// Format, clippy and unit tests, in a minute
    Fast(fast::Args),
    /// Run README's two commands in a fresh clone
    FirstRun(first_run::Args),
    /// Measure what the node takes of the machine: time to start, memory
    Footprint(footprint::Args),
    /// Fuzz every decoder and both engines with coverage
    Fuzz(fuzz::Args),
    /// Change the checks that everything rests on: does a test notice each change
    Mutants(mutants::Args),
    /// Show how the code is laid out, and what of it breaks the rules
    House(house::Args),
    /// Measure what each part of compiled code costs: gas, bounds, marks, NaNs
    Ingredients(ingredients::Args),
    /// Pack the JavaScript client, install it from the file, check its types, and use it
    Js(js::Args),
    /// Run the allocator and the loop of the fast engine under Miri
    Miri(nightly::Args),
    /// Run 1,000 assertions of the suite under AddressSanitizer
    Asan(nightly::Args),
    /// Change snapshots or modules, and load them
    Mutate(mutate::Args),
    /// Count which instructions of register code run after each other in the benchmark programs
    Ngrams(ngrams::Args),
    /// Leave something out of proofs, in every way, and check them
    Omissions(omissions::Args),
    /// Compare gas with wasmtime's fuel, and states with what its debugger sees
    Oracles(oracles::Args),
    /// Measure what the node costs beside running: start-up, size, memory, snapshots, pauses
    Overheads(overheads::Args),
    /// Drive the page in a browser, and hold it to the command
    Page(page::Args),
    /// Measure the node beside other runtimes
    Peers(peers::Args),
    /// Count the instructions of the node on the benchmark programs, and compare with the counts that are checked in
    PerfCheck(perf_check::Args),
    /// Run the same jobs in every runtime that is here
    Portability(portability::Args),
    /// Measure what every instruction and host call takes a unit of gas
    Price(price::Args),
    /// Build the node twice from nothing, and compare with what is embedded
    Reproducible(reproducible::Args),
    /// One clean build of the node, for the command above
    #[command(hide = true)]
    BuildNode(reproducible::BuildArgs),
    /// Run the node in the node, and compare what the inner one writes
    SelfHosting(self_hosting::Args),
    /// Run the specification's test suite
    Spec(spec::Args),
    /// Run contracts at once on one store, and check the history
    Store(store::Args),
    /// Seek moments of chains, step back, find last writers, and compare with plain execution
    Timeline(timeline::Args),
    /// Run a WASI command in an engine that is a library
    #[command(hide = true)]
    WasiHost(wasi_host::Args),
    /// Run a folder of prebuilt WASI programs against what each must do
    WasiTestsuite(wasi_testsuite::Args),
    /// Check the sample programs, or rebuild and compare them
    Wasmfiles(wasmfiles::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Allocations(args) => allocations::run(&args),
        Command::AllocationsChild(args) => allocations::child(&args),
        Command::Apps(args) => apps::run(&args),
        Command::Bombs(args) => bombs::run(&args),
        Command::Crash(args) => crash::run(&args),
        Command::Determinism(args) => determinism::run(&args),
        Command::Differential(args) => differential::run(&args),
        Command::Compiled(args) => compiled::run(&args),
        Command::Migration(args) => migration::run(&args),
        Command::Footprint(args) => footprint::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Fast(args) => fast::run(&args),
        Command::Evidence(args) => evidence::run(&args),
        Command::Long(args) => long::run(&args),
        Command::FirstRun(args) => first_run::run(&args),
        Command::House(args) => house::run(&args),
        Command::Ingredients(args) => ingredients::run(&args),
        Command::Js(args) => js::run(&args),
        Command::Mutants(args) => mutants::run(&args),
        Command::Miri(args) => nightly::miri(&args),
        Command::Asan(args) => nightly::asan(&args),
        Command::Mutate(args) => mutate::run(&args),
        Command::Ngrams(args) => ngrams::run(&args),
        Command::Omissions(args) => omissions::run(&args),
        Command::Oracles(args) => oracles::run(&args),
        Command::Overheads(args) => overheads::run(&args),
        Command::Page(args) => page::run(&args),
        Command::Peers(args) => peers::run(&args),
        Command::PerfCheck(args) => perf_check::run(&args),
        Command::Portability(args) => portability::run(&args),
        Command::Price(args) => price::run(&args),
        Command::Reproducible(args) => reproducible::run(&args),
        Command::BuildNode(args) => reproducible::build_node(&args),
        Command::SelfHosting(args) => self_hosting::run(&args),
        Command::Spec(args) => spec::run(&args),
        Command::Store(args) => store::run(&args),
        Command::Timeline(args) => timeline::run(&args),
        Command::WasiHost(args) => return wasi_host::run(&args),
        Command::WasiTestsuite(args) => wasi_testsuite::run(&args),
        Command::Wasmfiles(args) => wasmfiles::run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's directory: this crate lies in it.
fn workspace() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
