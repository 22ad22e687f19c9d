//! Where a chain begins: with the start of the run, or later, where the first snapshots were pruned or are in the directory
//! that the run went on from. What is missing before that is no fault of the files, but it cannot be executed.

use std::path::Path;

use crate::chain::{ChainFiles, ChainNames};
use crate::failure::{Failure, Result};

/// Where a chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// With the start of the run.
    Start,
    /// With this snapshot, which can be restored.
    Snapshot(u64),
    /// With this snapshot, but the `.bin` files that it builds on are not there.
    Elsewhere(u64),
}

impl Beginning {
    pub(super) fn of(files: &ChainNames, base: Option<u64>) -> Self {
        let first = files.snaps.first().copied().unwrap_or(1);
        // A base that cannot be read is a fault, and says nothing of what it stood for.
        if first == 1 || (files.base && base.is_none()) {
            return Self::Start;
        }
        let base = base.unwrap_or(0);
        // Of an earlier one there may be a record of its hashes.
        let Some(restored) = files.snaps.range(base..).next().copied() else { return Self::Elsewhere(first) };
        let bins = files.bins.range(..=restored).filter(|(id, _)| **id > base).count();
        match u64::try_from(bins) == Ok(restored.saturating_sub(base)) {
            true => Self::Snapshot(restored),
            false => Self::Elsewhere(first),
        }
    }

    /// The first snapshot whose files must be there, 1 where the chain begins with the start.
    pub fn first(self) -> u64 {
        match self {
            Self::Start => 1,
            Self::Snapshot(first) | Self::Elsewhere(first) => first,
        }
    }
}

impl ChainFiles {
    /// What is wrong with the files that the chain has or must have from where it begins.
    pub fn faults_from_its_beginning(&self) -> impl Iterator<Item = &String> {
        self.faults.range(self.beginning.first()..).flat_map(|(_, what)| what)
    }

    /// Checks that the chain can be restored from where it begins.
    ///
    /// # Errors
    /// Exit code 65 that says what is not there.
    pub fn check_restorable(&self) -> Result<()> {
        let Beginning::Elsewhere(first) = self.beginning else { return Ok(()) };
        let before = first.saturating_sub(1);
        let bins = if before == 1 { "1.bin".to_owned() } else { format!("1.bin to {before}.bin") };
        let what = format!("{}: begins with snapshot {first}, and what it builds on is not there", self.dir.display());
        let help = format!(
            "copy {bins} and {before}.snap from the directory that the run went on from; then: verify --from {before}"
        );
        Err(Failure::data(what).help(help))
    }

    /// Checks that the chain can be executed from snapshot `from` on, 0 for the start of the run.
    ///
    /// # Errors
    /// Exit code 65 that says from where it can be.
    pub fn check_begins_by(&self, from: u64) -> Result<()> {
        self.check_restorable()?;
        match self.beginning {
            Beginning::Snapshot(first) if from < first => {
                let what = format!(
                    "{}: begins with snapshot {first}: what leads to it was pruned, or is elsewhere, and cannot be compared",
                    self.dir.display()
                );
                Err(Failure::data(what).help(format!("take snapshot {first} on trust: --from {first}")))
            }
            _ => Ok(()),
        }
    }

    /// Why there is no job to execute: nothing in the directory says which it was.
    #[cold]
    pub fn without_a_job(&self) -> Failure {
        let dir = self.dir.display();
        let mut faults = self.faults.values().flatten().chain(&self.aside_faults).peekable();
        if faults.peek().is_some() {
            let failure = Failure::data(format!("{dir}: holds no snapshot that can be read"));
            return faults.fold(failure, Failure::caused_by);
        }
        let failure = match self.reports.are_there() {
            true => Failure::data(format!(
                "{dir}: holds no snapshot, only the result of a run that ended before its first one: there is nothing to execute from"
            )),
            false => Failure::data(format!("{dir}: holds no snapshot")),
        };
        let gas = self.reports.receipt()["result"]["gas_used"].as_u64();
        let less = gas.map_or_else(String::new, |gas| format!(" below the {gas} gas that it took"));
        failure.help(match chain_inside(&self.dir) {
            Some(name) => format!("there is a chain in {}", self.dir.join(name).display()),
            None => format!(
                "run the program again and compare; with --enable-gas-refill --gas-limit N{less}, or --keep-final, it leaves what can be verified"
            ),
        })
    }
}

/// A directory below `dir` that holds a snapshot, if there is one.
fn chain_inside(dir: &Path) -> Option<String> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let is_chain = |name: &String| ["1.snap", "paused.snap"].iter().any(|file| dir.join(name).join(file).is_file());
    names.filter(is_chain).min()
}
