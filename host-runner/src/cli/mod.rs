//! The command line: one file a subcommand, and here what they share. `stepmark a.wasm` and `stepmark run a.wasm`
//! are the same; everything after the program belongs to the program.

mod bench;
mod bisect;
mod debug;
mod diff;
mod doctor;
mod estimate;
mod export_module;
mod fold;
mod freeze;
mod help;
mod inspect;
#[cfg(test)]
mod manual;
mod place;
mod profile;
mod reference;
mod reply;
mod resume;
mod run;
mod serve;
mod store;
mod thaw;
mod trapped;
mod verify;
mod witness;
mod words;

use std::ffi::OsString;

use clap::{FromArgMatches, Parser, Subcommand};

use crate::cli::reply::{Asked, Reply};
use crate::console::Verbosity;
use crate::interrupt;
use stepmark_runner::failure::Result;
use stepmark_runner::node::embedded_module;
use stepmark_runner::terminal::{self, print};

/// Exit codes, below the help.
const EXIT_CODES: &str = "Exit codes: 0 finished, the program's own, 134 trap, 75 stopped at the gas limit, 76 store conflict, \
77 beyond --max-..., 130 interrupted, 141 standard output closed, 2 usage, 65 bad program or snapshot, 74 input or output, \
1 mismatch";

/// Runs WebAssembly programs deterministically, counts gas, and leaves a chain of snapshots that anyone can check.
#[derive(Debug, Parser)]
#[command(name = "stepmark", version = embedded_module::version_text(), after_help = EXIT_CODES)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a program from the start or from a snapshot (what happens without a subcommand too)
    Run(run::RunArgs),
    /// Go on from a directory's pause or highest snapshot; program, entry, arguments and schedule come from there
    Resume(resume::ResumeArgs),
    /// Run a program, and move the module that runs it into a file
    Freeze(freeze::FreezeArgs),
    /// Go on with a module that was moved into a file, here or in another runtime
    Thaw(thaw::ThawArgs),
    /// Check a chain: its hashes, and every segment by executing it again
    Verify(verify::VerifyArgs),
    /// Show what is in a snapshot: call stack, values, globals, tables, memory, descriptors
    Inspect(inspect::InspectArgs),
    /// Go through a run, forwards and backwards: breakpoints, who wrote, how values changed
    Debug(debug::DebugArgs),
    /// Show how two snapshots differ
    Diff(diff::DiffArgs),
    /// Find where two accounts of one run part: two chains, or two executors of a segment
    Bisect(bisect::BisectArgs),
    /// Answer questions of `bisect` about a segment, on standard input and output
    Executor(bisect::ExecutorArgs),
    /// Decide a dispute again from its bundle
    CheckBundle(bisect::CheckBundleArgs),
    /// Make a witness: the state and the pages that a segment needs, and their Merkle paths
    Witness(witness::WitnessArgs),
    /// Execute a segment from its witness alone
    CheckWitness(witness::CheckArgs),
    /// Fold the first .bin files of a chain into one
    Merge(fold::MergeArgs),
    /// Keep only some snapshots of a chain
    Prune(fold::PruneArgs),
    /// Write a chain with its program into one file
    Export(fold::ExportArgs),
    /// Unpack and check such a file
    Import(fold::ImportArgs),
    /// Show and verify a chain in a page: for the browsers of this machine, without writing anything
    Serve(serve::ServeArgs),
    /// Look at a key-value store, change it, export it, commit a run
    Store(store::StoreArgs),
    /// Run a program directly on wasmtime, to compare with
    Reference(reference::ReferenceArgs),
    /// Measure how fast a program runs here: in the module, natively, as compiled code, and directly on wasmtime
    Bench(bench::BenchArgs),
    /// Say what gas a run would take, without leaving anything behind; or the least that calls of a program's exports can
    Estimate(estimate::EstimateArgs),
    /// Show where the gas of a run goes: functions, source lines, call stacks
    Profile(profile::ProfileArgs),
    /// Say what this machine has for a run, and whether the module passes its self test here
    Doctor(doctor::DoctorArgs),
    /// Write out the Stepmark module that this command carries: one WebAssembly file
    #[command(visible_alias = "export-node")]
    ExportModule(export_module::ExportModuleArgs),
    /// Print a script that completes this command line in a shell
    Completions(help::CompletionsArgs),
    /// Write pages for `man`
    Man(help::ManArgs),
}

/// How much to say and in which form.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
struct OutputArgs {
    /// Print one JSON object on standard output at the end; the program's standard output goes to standard error then
    #[arg(long)]
    json: bool,
    /// Print errors only
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Print each snapshot and what the runner does
    #[arg(short, long)]
    verbose: bool,
}

impl OutputArgs {
    fn verbosity(self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

/// Runs the command line `args` (with `argv[0]`) and returns the exit code of the process.
pub fn execute(args: impl IntoIterator<Item = OsString>) -> i32 {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = help::command();
    let parsed = command.try_get_matches_from_mut(&args);
    match parsed.and_then(|matches| Ok((Asked::of(&matches), Cli::from_arg_matches(&matches)?))) {
        Ok((asked, cli)) => {
            let when_interrupted = asked.clone();
            let handled = interrupt::handle(move |failure| when_interrupted.say_failed(failure));
            asked.report(handled.and_then(|()| answer(&cli)))
        }
        // Help and version come here too, for standard output. A closed stream is no reason to say more.
        Err(error) if !error.use_stderr() => {
            drop(error.print());
            error.exit_code()
        }
        Err(error) => {
            let text = error.render().to_string();
            // What is named may be a file name that a shell has put there.
            text.lines().for_each(terminal::say);
            Asked::in_spite_of(&command, &args).report_refused(&text)
        }
    }
}

/// Does what the command line says.
fn answer(cli: &Cli) -> Result<Reply> {
    match &cli.command {
        None => run::execute(&cli.run),
        Some(Command::Run(args)) => run::execute(args),
        Some(Command::Resume(args)) => resume::execute(args),
        Some(Command::Freeze(args)) => freeze::execute(args),
        Some(Command::Thaw(args)) => thaw::execute(args),
        Some(Command::Verify(args)) => verify::execute(args),
        Some(Command::Inspect(args)) => inspect::execute(args),
        Some(Command::Debug(args)) => debug::execute(args),
        Some(Command::Diff(args)) => diff::execute(args),
        Some(Command::Bisect(args)) => bisect::execute(args),
        Some(Command::Executor(args)) => bisect::serve(args),
        Some(Command::CheckBundle(args)) => bisect::check_bundle(args),
        Some(Command::Witness(args)) => witness::make(args),
        Some(Command::CheckWitness(args)) => witness::check(args),
        Some(Command::Merge(args)) => fold::merge(args),
        Some(Command::Prune(args)) => fold::prune(args),
        Some(Command::Export(args)) => fold::export(args),
        Some(Command::Import(args)) => fold::import(args),
        Some(Command::Serve(args)) => serve::execute(args),
        Some(Command::Store(args)) => store::execute(args),
        Some(Command::Reference(args)) => reference::execute(args),
        Some(Command::Bench(args)) => bench::execute(args),
        Some(Command::Estimate(args)) => estimate::execute(args),
        Some(Command::Profile(args)) => profile::execute(args),
        Some(Command::Doctor(args)) => doctor::execute(args),
        Some(Command::ExportModule(args)) => export_module::execute(args),
        Some(Command::Completions(args)) => help::completions(args),
        Some(Command::Man(args)) => help::man(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> std::result::Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("stepmark").chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_consistent() {
        help::command().debug_assert();
    }

    #[test]
    fn a_program_runs_with_and_without_the_subcommand() {
        let flags = "--gas-limit 10 --engine native a.wasm fib -7 --gas-limit 5 run";
        let bare = parse(flags).expect("parses");
        let Some(Command::Run(named)) = parse(&format!("run {flags}")).expect("parses").command else {
            panic!("expected the run subcommand");
        };
        for args in [&bare.run, &named] {
            assert_eq!(args.job.gas_limit.as_deref(), Some("10"));
            assert_eq!(args.words, ["a.wasm", "fib", "-7", "--gas-limit", "5", "run"]);
        }
    }

    #[test]
    fn words_after_the_program_are_never_ours() {
        for rest in ["--json", "-q", "resume", "help", "--help", "--version", "-- x", "--unknown"] {
            let cli = parse(&format!("a.wasm {rest}")).expect(rest);
            assert!(cli.command.is_none(), "{rest}");
            assert_eq!(cli.run.words.join(" "), format!("a.wasm {rest}"));
            assert!(!cli.run.output.json && !cli.run.output.quiet, "{rest}");
        }
    }

    #[test]
    fn freeze_takes_its_file_first_and_leaves_the_program_its_words() {
        let line = "freeze a.frozen --gas-limit 10 --after 50 a.wasm --after 7 --json";
        let Some(Command::Freeze(args)) = parse(line).expect("parses").command else { panic!("expected freeze") };
        assert_eq!((args.file.to_str(), args.after), (Some("a.frozen"), Some(50)));
        assert_eq!(args.run.words, ["a.wasm", "--after", "7", "--json"]);
        assert!(!args.run.output.json);
        assert_eq!(parse("freeze a.frozen --after 50").expect_err("no program").exit_code(), 2);
        assert_eq!(parse("thaw a.frozen --after 50").expect_err("no --to").exit_code(), 2);
    }

    #[test]
    fn usage_errors_have_exit_code_2() {
        for line in ["", "--no-such-flag a.wasm", "resume", "--engine jit a.wasm", "-q -v a.wasm", "run"] {
            assert_eq!(parse(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn version_shows_the_hash_of_the_node() {
        let text = parse("--version").expect_err("prints and exits").to_string();
        assert!(text.contains(embedded_module::node_hash()), "{text}");
    }
}
