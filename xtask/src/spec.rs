//! `cargo xtask spec`: the specification's test suite, against the scores that are checked in.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use node_tests::spec::{Config, Score, Suite, run_suite};

/// Failures that are printed of one suite.
const SHOWN: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which edition
    #[arg(long, value_enum, default_value = "all")]
    suite: SuiteName,
    /// How functions are run
    #[arg(long, value_enum, default_value = "fast")]
    config: ConfigName,
    /// Gas between two pauses, with --config sliced
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Write the scores to this file as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum SuiteName {
    V1,
    V2,
    All,
}

#[derive(Clone, Copy, ValueEnum)]
enum ConfigName {
    Fast,
    Stepper,
    Sliced,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let suites: &[Suite] = match args.suite {
        SuiteName::V1 => &[Suite::V1],
        SuiteName::V2 => &[Suite::V2],
        SuiteName::All => &[Suite::V1, Suite::V2],
    };
    let config = match args.config {
        ConfigName::Fast => Config::Fast,
        ConfigName::Stepper => Config::Stepper,
        ConfigName::Sliced => Config::Sliced(args.every),
    };
    let scores: Vec<(Suite, Score)> = suites.iter().map(|suite| (*suite, run_suite(*suite, config))).collect();
    if let Some(file) = &args.json {
        let rows: serde_json::Map<_, _> = scores
            .iter()
            .map(|(suite, score)| Ok((suite.name().to_owned(), serde_json::to_value(score)?)))
            .collect::<Result<_>>()?;
        std::fs::write(file, serde_json::to_string_pretty(&rows)?).with_context(|| file.display().to_string())?;
    }
    let mut good = true;
    let mut figures = Vec::new();
    for (suite, score) in &scores {
        report(*suite, score);
        good &= score.others_failed == 0 && score.passed >= least(*suite)? && score.assertions == suite.assertions();
        figures.push(format!("{}: {} of {}", suite.name(), score.passed, score.assertions));
    }
    println!("spec {}", figures.join(", "));
    Ok(good)
}

fn report(suite: Suite, score: &Score) {
    for failure in score.failures.iter().take(SHOWN) {
        println!("{} {failure}", suite.name());
    }
    if score.failures.len() > SHOWN {
        println!("{} ... and {} more", suite.name(), score.failures.len() - SHOWN);
    }
    println!(
        "{}: {} other directives, {} failed; {} gas, {} pauses",
        suite.name(),
        score.others,
        score.others_failed,
        score.gas,
        score.pauses
    );
}

/// The score that is checked in.
fn least(suite: Suite) -> Result<u64> {
    let file = crate::workspace().join("tests/spec-scores.toml");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let scores: toml::Table = text.parse()?;
    let score = scores.get(suite.name()).and_then(toml::Value::as_integer).context("spec-scores.toml lacks a score")?;
    Ok(u64::try_from(score)?)
}
