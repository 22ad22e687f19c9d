//! `cargo xtask long`: the checks of `.ci/run` in their long forms and those that are too long for it, for a release. Hours; each
//! step is a command of xtask that can be run by itself.

use std::process::Command;

use anyhow::{Context, Result};

use crate::steps;

/// What is run, in this order: the shorter ones first.
const STEPS: [&str; 22] = [
    "spec --config sliced",
    "spec --config restored",
    "spec --in-node --suite v1 --depth 2",
    "asan",
    "price --long",
    "bombs",
    "allocations",
    "timeline --seeks 10000",
    "apps --node",
    "page --all",
    "omissions --all",
    "crash --stride 20 --kills 1000 --races 20 --images 50000",
    "fuzz --seconds 60 --keep --host",
    "mutate --what module --cases 1000000",
    "mutate --what snapshot --cases 1000000",
    "oracles --modules 1000000 --stops 1000000",
    "differential --modules 1000000 --linked 100000",
    "compiled --modules 1000000",
    "miri",
    "mutants",
    "peers",
    "first-run",
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only steps that begin with this
    #[arg(long)]
    only: Option<String>,
    /// Print the steps, and run none
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let xtask = std::env::current_exe().context("where this command is")?;
    let chosen = STEPS.iter().filter(|step| args.only.as_ref().is_none_or(|only| step.starts_with(only.as_str())));
    if args.list {
        chosen.for_each(|step| println!("cargo xtask {step}"));
        return Ok(true);
    }
    let commands = chosen.map(|step| {
        let mut command = Command::new(&xtask);
        command.args(step.split_whitespace());
        ((*step).to_owned(), command)
    });
    steps::run("long", commands)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn every_step_is_a_command_of_xtask() {
        for step in STEPS {
            let words = std::iter::once("xtask").chain(step.split_whitespace());
            crate::Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{step}: {error}"));
        }
    }
}
