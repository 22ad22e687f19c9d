//! `cargo xtask fast`: what can be known in a minute after a change, on a tree that is built: format, the rules of the house, clippy,
//! and the unit tests of all crates but the engine's, whose hot loop takes longer to compile.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

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
    let began = Instant::now();
    let mut failed = Vec::new();
    for (name, words) in STEPS {
        let mut cargo = Command::new("cargo");
        cargo.args(words).current_dir(crate::workspace());
        if args.core && words.contains(&"--lib") {
            cargo.args(["--package", "stepmark-core"]);
        }
        let step = Instant::now();
        let status = cargo.status().context("cargo")?;
        println!("{name}: {} s", seconds(step.elapsed()));
        if !status.success() {
            failed.push(name);
        }
    }
    let result = if failed.is_empty() { "all passed".to_owned() } else { format!("failed: {}", failed.join(", ")) };
    println!("fast: {} steps in {} s, {result}", STEPS.len(), seconds(began.elapsed()));
    Ok(failed.is_empty())
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}
