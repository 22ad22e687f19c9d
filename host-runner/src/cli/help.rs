//! What the command line says about itself: examples below the help, completions for shells, pages for `man`.

use std::path::PathBuf;

use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::cli::reply::Reply;
use stepmark_runner::chain::durable;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::terminal;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Directory for the pages: stepmark.1, and one for each subcommand
    dir: PathBuf,
}

/// What the short help shows of the flags of a run, beside the subcommands.
const COMMON: [&str; 4] = ["snapshot_output", "gas_limit", "enable_gas_refill", "words"];

/// Two examples of each subcommand, below its long help.
const EXAMPLES: &[(&str, [&str; 2])] = &[
    (
        "run",
        [
            "run --gas-limit 3000000 --enable-gas-refill program.wasm run",
            "run --dir data::/data --deliver new program.wasm sort /data",
        ],
    ),
    ("resume", ["resume output", "resume output@3 --gas-limit 1000000 -o again"]),
    ("freeze", ["freeze a.frozen program.wasm run", "freeze a.frozen --after 5000000 program.wasm run"]),
    ("thaw", ["thaw a.frozen", "thaw a.frozen --after 10000000 --to b.frozen"]),
    ("verify", ["verify program.wasm output", "verify program.wasm output --from 4 --to 7 --report verdicts.html"]),
    ("inspect", ["inspect output@4 --memory 1024+64", "inspect output --at 1234567 --program program.wasm"]),
    ("debug", ["debug output", "debug output -x 'break malloc' -x continue -x stack -x quit"]),
    ("diff", ["diff output@3 output@4", "diff mine@4 theirs@4 --program program.wasm"]),
    ("bisect", ["bisect program.wasm mine theirs", "bisect program.wasm mine@4 --left './a' --right './b'"]),
    ("executor", ["executor output@4 program.wasm", "executor output@4 program.wasm --engine native"]),
    ("check-bundle", ["check-bundle dispute.tar", "check-bundle dispute.tar --json"]),
    ("witness", ["witness output@4 program.wasm -o 4.wit", "witness output@4 program.wasm -o 4.wit --json"]),
    ("check-witness", ["check-witness 4.wit program.wasm", "check-witness 4.wit program.wasm --expect 5.snap"]),
    ("merge", ["merge output --to 4", "merge output --to 4 --program program.wasm"]),
    ("prune", ["prune output --keep-last 2", "prune output --keep-every 10"]),
    ("export", ["export output -o chain.tar", "export output -o chain.tar --program program.wasm"]),
    ("import", ["import chain.tar copy", "import ./chain.tar /srv/copy"]),
    ("serve", ["serve output", "serve output --port 8080"]),
    ("store", ["store put money.db alice 10", "store list money.db"]),
    ("reference", ["reference program.wasm run", "reference --env LANG=C program.wasm"]),
    ("bench", ["bench program.wasm run", "bench --rounds 10 program.wasm run"]),
    ("estimate", ["estimate program.wasm run", "estimate --static program.wasm"]),
    ("profile", ["profile program.wasm run", "profile --svg flames.svg program.wasm run"]),
    ("doctor", ["doctor", "doctor --json"]),
    ("export-module", ["export-module stepmark.wasm", "export-module /srv/stepmark.wasm"]),
    ("completions", ["completions bash", "completions zsh"]),
    ("man", ["man ./man1", "man /usr/local/share/man/man1"]),
];

/// Headings of the flags that have one, by their ids.
const HEADINGS: [(&str, &[&str]); 6] = [
    (
        "Segments and snapshots",
        &["snapshot_input", "snapshot_id", "snapshot_output", "gas_limit", "enable_gas_refill", "keep_final", "invoke"],
    ),
    ("What the program finds", &["preload", "function", "stub_imports", "env", "stdin", "file", "dir", "preopen"]),
    ("Prices, features, clock and seed", &["gas_schedule", "feature", "clock_rate", "seed"]),
    ("Limits", &["max_memory", "max_call_depth", "max_files", "max_exceptions"]),
    ("Contracts and key-value stores", &["store", "no_commit", "wait", "contract", "call_data", "caller"]),
    ("Output", &["json", "quiet", "verbose", "deliver", "keep_output"]),
];

/// Flags of a run that only the long help shows.
const RARE: [&str; 11] = [
    "snapshot_id",
    "keep_final",
    "keep_output",
    "invoke",
    "clock_rate",
    "max_exceptions",
    "no_commit",
    "wait",
    "call_data",
    "caller",
    "function",
];

fn with_heading(arg: Arg) -> Arg {
    let heading = HEADINGS.iter().find(|(_, ids)| ids.contains(&arg.get_id().as_str()) && !arg.is_positional());
    let is_rare = RARE.contains(&arg.get_id().as_str());
    match heading {
        Some((heading, _)) => arg.help_heading(*heading).hide_short_help(is_rare),
        None => arg,
    }
}

/// The command line with its headings and examples.
pub(super) fn command() -> Command {
    let is_common = |arg: &Arg| COMMON.contains(&arg.get_id().as_str());
    let top = |arg: Arg| if is_common(&arg) { with_heading(arg) } else { with_heading(arg).hide_short_help(true) };
    EXAMPLES.iter().fold(Cli::command().mut_args(top), |command, (name, examples)| {
        let text = format!("Examples:\n  stepmark {}\n  stepmark {}", examples[0], examples[1]);
        command.mut_subcommand(name, |sub| sub.mut_args(with_heading).after_long_help(text))
    })
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<Reply> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "stepmark", &mut script);
    terminal::pass_on(true, &script)?;
    Ok(0.into())
}

pub(super) fn man(args: &ManArgs) -> Result<Reply> {
    let mut command = command().disable_help_subcommand(true);
    command.build();
    std::fs::create_dir_all(&args.dir).map_err(|error| Failure::io(&args.dir, &error))?;
    let subcommands: Vec<Command> = command.get_subcommands().cloned().collect();
    for page in std::iter::once(command).chain(subcommands) {
        let name = page.get_display_name().unwrap_or_else(|| page.get_name()).to_owned();
        let mut text = Vec::new();
        let file = args.dir.join(format!("{name}.1"));
        clap_mangen::Man::new(page).render(&mut text).map_err(|error| Failure::io(&file, &error))?;
        durable::replace(&file, &text)?;
    }
    Ok(0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_two_examples_that_parse() {
        for sub in Cli::command().get_subcommands() {
            let name = sub.get_name();
            let examples = EXAMPLES.iter().find(|(of, _)| *of == name).map(|(_, examples)| examples);
            for example in examples.unwrap_or_else(|| panic!("{name} has no examples")) {
                let words = example.replace('\'', "");
                let words = std::iter::once("stepmark").chain(words.split_whitespace());
                let parsed = command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{example}: {error}"));
                assert_eq!(parsed.subcommand_name(), Some(name), "{example}");
            }
        }
    }

    #[test]
    fn every_flag_that_has_a_heading_is_a_flag_of_a_run() {
        let command = command();
        let run = command.find_subcommand("run").expect("it is there");
        for id in HEADINGS.iter().flat_map(|(_, ids)| *ids) {
            assert!(run.get_arguments().any(|arg| arg.get_id() == *id), "{id}");
        }
    }

    #[test]
    fn short_help_fits_a_screen() {
        let mut command = command();
        command.build();
        let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        for name in names {
            let sub = command.find_subcommand_mut(&name).expect("it is there");
            let lines = sub.render_help().to_string().lines().count();
            assert!(lines <= 50, "{name} -h has {lines} lines");
        }
        let lines = command.render_help().to_string().lines().count();
        assert!(lines <= 50, "-h has {lines} lines");
    }
}
