//! `cargo xtask mutants`: the checks that everything rests on, each changed in one place after the other (by cargo-mutants,
//! which must be installed): some test must notice. What no test can notice is listed in tests/mutants.toml, with why.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::evidence;

/// A check, and the tests that must notice a change of it.
struct Part {
    name: &'static str,
    packages: &'static [&'static str],
    files: &'static [&'static str],
    tests: &'static [&'static str],
}

const PARTS: [Part; 4] = [
    Part {
        name: "verify",
        packages: &["stepmark-core"],
        files: &["crates/core/src/code/verify.rs"],
        tests: &["--lib", "code::verify"],
    },
    Part {
        name: "witness",
        packages: &["stepmark-snapshot", "stepmark-session"],
        files: &[
            "crates/snapshot/src/witness/closed.rs",
            "crates/snapshot/src/witness/mod.rs",
            "crates/session/src/touched.rs",
        ],
        tests: &["-p", "engine-tests", "--test", "witnesses"],
    },
    Part {
        name: "check",
        packages: &["stepmark-core"],
        files: &["crates/core/src/machine/check.rs"],
        tests: &[
            "-p",
            "engine-tests",
            "--test",
            "hostile_snapshots",
            "--test",
            "exceptions",
            "--test",
            "restored_state",
            "--",
            // It measures time, of code that is compiled to be fast.
            "--skip",
            "a_deep_recursion_is_paused_in_milliseconds",
        ],
    },
    Part {
        name: "bundle",
        packages: &["stepmark-runner"],
        files: &["crates/runner/src/bisect/bundle.rs", "crates/runner/src/bisect/chains.rs"],
        tests: &["-p", "host-runner", "--test", "runner", "bisect"],
    },
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this part: verify, witness, check or bundle
    #[arg(long)]
    part: Option<String>,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Write the table to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

/// A change that no test can notice.
#[derive(Deserialize)]
struct Survivor {
    /// As cargo-mutants says it, without line and column.
    mutant: String,
    why: String,
}

#[derive(Deserialize)]
struct Survivors {
    #[serde(default)]
    survivor: Vec<Survivor>,
}

/// How the changes of one part ended.
#[derive(Default, Serialize)]
struct Figures {
    /// Some test failed, or did not end.
    noticed: usize,
    /// It does not compile.
    no_program: usize,
    /// No test can notice it.
    explained: usize,
    /// No test has noticed it.
    missed: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let is_there = Command::new("cargo").args(["mutants", "--version"]).output().is_ok_and(|o| o.status.success());
    ensure!(is_there, "cargo-mutants is not installed: `cargo install cargo-mutants --locked`");
    let known: Survivors = toml::from_str(&std::fs::read_to_string(crate::workspace().join("tests/mutants.toml"))?)?;
    ensure!(known.survivor.iter().all(|survivor| !survivor.why.is_empty()), "a survivor without a reason");
    let mut all = BTreeMap::new();
    for part in PARTS.iter().filter(|part| args.part.as_ref().is_none_or(|name| name == part.name)) {
        let figures = changed(part, &known.survivor).with_context(|| part.name)?;
        figures.missed.iter().for_each(|line| println!("missed: {line}"));
        all.insert(part.name, figures);
    }
    ensure!(!all.is_empty(), "no part is called so");
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{:#}\n", json!(all))).with_context(|| path.display().to_string())?;
    }
    let sum = |of: fn(&Figures) -> usize| all.values().map(of).sum::<usize>();
    let missed = sum(|figures| figures.missed.len());
    let figure = format!(
        "mutants: {} parts, {} changes noticed, {} that are no programs, {} that no test can notice, {missed} missed",
        all.len(),
        sum(|figures| figures.noticed),
        sum(|figures| figures.no_program),
        sum(|figures| figures.explained),
    );
    println!("{figure}");
    if args.evidence {
        evidence::record("Changed checks", &evidence::command_line(), &table(&all), &figure)?;
    }
    Ok(missed == 0)
}

/// Changes a part in every place, and runs its tests on each.
fn changed(part: &Part, known: &[Survivor]) -> Result<Figures> {
    let out = tempfile::tempdir()?;
    let mut command = Command::new("cargo");
    command.current_dir(crate::workspace()).args(["mutants", "--no-shuffle", "--colors"]);
    command.args(["never", "--timeout", "300", "--output"]).arg(out.path());
    command.args(part.packages.iter().flat_map(|package| ["--package", package]));
    command.args(part.files.iter().flat_map(|file| ["--file", file]));
    command.args(["--", "--locked"]).args(part.tests);
    // What is compiled once for each change need not be fast.
    for (name, value) in [("OPT_LEVEL", "1"), ("INCREMENTAL", "true"), ("DEBUG", "false")] {
        command.env(format!("CARGO_PROFILE_DEV_{name}"), value);
    }
    let status = command.status().context("cargo mutants")?;
    // 2: some were missed; 3: some did not end.
    ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo mutants: {status}");
    let lines = |name: &str| lines_of(&out.path().join("mutants.out").join(name));
    let is_known = |line: &String| known.iter().any(|survivor| survivor.mutant == without_place(line));
    let (explained, missed): (Vec<_>, Vec<_>) = lines("missed.txt")?.into_iter().partition(is_known);
    Ok(Figures {
        noticed: lines("caught.txt")?.len() + lines("timeout.txt")?.len(),
        no_program: lines("unviable.txt")?.len(),
        explained: explained.len(),
        missed,
    })
}

fn lines_of(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// `FILE:LINE:COLUMN: WHAT` without line and column.
fn without_place(line: &str) -> String {
    match line.splitn(4, ':').collect::<Vec<_>>()[..] {
        [file, _, _, what] => format!("{file}:{what}"),
        _ => line.to_owned(),
    }
}

fn table(all: &BTreeMap<&str, Figures>) -> String {
    let head = "| part | noticed | no program | cannot be noticed | missed |\n| --- | ---: | ---: | ---: | ---: |\n";
    let row = |(name, figures): (&&str, &Figures)| {
        let Figures { noticed, no_program, explained, missed } = figures;
        format!("| {name} | {noticed} | {no_program} | {explained} | {} |\n", missed.len())
    };
    head.to_owned() + &all.iter().map(row).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_known_wherever_its_line_has_moved_to() {
        let line = "crates/core/src/code/verify.rs:61:23: replace + with - in verify";
        assert_eq!(without_place(line), "crates/core/src/code/verify.rs: replace + with - in verify");
    }

    #[test]
    fn the_parts_are_of_files_that_are_there() {
        for file in PARTS.iter().flat_map(|part| part.files) {
            assert!(crate::workspace().join(file).is_file(), "{file}");
        }
    }
}
