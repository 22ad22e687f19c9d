//! `cargo xtask first-run`: what a newcomer meets. README's two commands in a fresh clone with an empty target folder: how long each
//! takes, and how much of the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::evidence;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the first command, which runs a program; the second passes the tests
    #[arg(long)]
    only_run: bool,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the table to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let readme = fs::read_to_string(crate::workspace().join("README.md"))?;
    let command = |begin: &str| {
        // A command whose output is shown stands behind a prompt.
        let stripped = readme.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
        let mut lines = stripped.skip_while(|line| !line.starts_with(begin));
        let first = lines.next().with_context(|| format!("README.md: no line that begins with {begin:?}"))?;
        let mut command = first.to_owned();
        while let Some(line) = command.strip_suffix('\\') {
            command = format!("{}{}", line, lines.next().unwrap_or_default().trim_start());
        }
        Ok::<_, anyhow::Error>(command)
    };
    let mut commands = vec![command("cargo run")?];
    if !args.only_run {
        commands.push(command("cargo test")?);
    }
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("clone");
    let cloned =
        Command::new("git").args(["clone", "--quiet", "--local"]).arg(crate::workspace()).arg(&clone).status()?;
    ensure!(cloned.success(), "git clone: {cloned}");
    let mut rows = Vec::new();
    for command in &commands {
        let began = Instant::now();
        // What the cargo that runs this has set is of another workspace.
        let status =
            Command::new("sh").args(["-c", command]).current_dir(&clone).env_remove("CARGO_TARGET_DIR").status()?;
        let seconds = began.elapsed().as_secs();
        let megabytes = bytes_below(&clone.join("target"))? >> 20;
        println!("{command}: {status}, {seconds} s, then {megabytes} MiB in the target folder");
        rows.push((command.clone(), status.success(), seconds, megabytes));
    }
    if let Some(path) = &args.json {
        fs::write(path, format!("{:#}\n", json!(rows)))?;
    }
    let failed = rows.iter().filter(|(_, passed, ..)| !passed).count();
    let minutes = |seconds: u64| format!("{:.1}", seconds as f64 / 60.0);
    let shown: Vec<String> =
        rows.iter().map(|(command, _, seconds, _)| format!("`{command}` {} minutes", minutes(*seconds))).collect();
    let figure = format!("first-run: {}; {failed} failed", shown.join(", "));
    println!("{figure}");
    if args.evidence {
        let row = |(command, passed, seconds, megabytes): &(String, bool, u64, u64)| {
            let passed = if *passed { "passed" } else { "failed" };
            format!("| `{command}` | {passed} | {} | {megabytes} |\n", minutes(*seconds))
        };
        let head = "| command | | minutes | MiB in the target folder then |\n| --- | --- | ---: | ---: |\n";
        let table = head.to_owned() + &rows.iter().map(row).collect::<String>();
        evidence::record("The first run", &evidence::command_line(), &table, &figure)?;
    }
    Ok(failed == 0)
}

/// Bytes of all files below a folder.
fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let kind = entry.file_type()?;
        bytes += if kind.is_dir() { bytes_below(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}
