//! `cargo xtask fast`: what can be known in a minute after a change, on a tree that is built: format, the rules of the house, clippy,
//! and the unit tests of all crates but the engine's, whose hot loop takes longer to compile.

use std::process::Command;

use anyhow::Result;

use crate::steps;

/// What is run, in this order.
const STEPS: [(&str, &[&str]); 3] = [
    ("format", &["fmt", "--all", "--check"]),
    ("clippy", &["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    (
        "unit tests",
        &[
            "test",
            "--quiet",
            "--locked",
            "--lib",
            "--package",
            "stepmark-state",
            "--package",
            "stepmark-snapshot",
            "--package",
            "stepmark-hosts",
            "--package",
            "stepmark-session",
            "--package",
            "guest-interp",
        ],
    ),
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The unit tests of the engine too
    #[arg(long)]
    core: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let commands = STEPS.iter().map(|(name, words)| {
        let mut cargo = Command::new("cargo");
        cargo.args(*words);
        if args.core && words.contains(&"--lib") {
            cargo.args(["--package", "stepmark-core"]);
        }
        ((*name).to_owned(), cargo)
    });
    steps::run("fast", commands)
}
