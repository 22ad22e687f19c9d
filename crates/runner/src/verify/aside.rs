//! What lies beside the segments of a chain and what a later command starts from or reads: the base, the pause, files of ours
//! that no segment has written, and files that are not ours.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use stepmark_session::spec::SnapshotName;

use crate::bounds::Allowance;
use crate::chain::ChainFiles;
use crate::chain::durable::{Name, PAUSE, PAUSE_NOTE};
use crate::chain::snapshot_ref::SnapshotRef;
use crate::failure::{Failure, INTERRUPTED, Result};
use crate::foreign;
use crate::interrupt::Interrupt;
use crate::job::rerun::Rerun;
use crate::job::search::FILES;
use crate::node::engine::{Budget, Event, ModuleSession};
use crate::node::external::{self, RecordedReplies};

use super::VerifyOptions;
use super::worker::{compare_file, open};

/// Moments with the gas of a pause that are compared with it: more than one when the run was stopped before instructions
/// that cost nothing.
const MOMENTS: u32 = 64;
/// Uncharged steps after which a run looks up.
const STEPS: u64 = 50_000_000;
/// Gas after which it does: some tenths of a second.
const GAS: u64 = 20_000_000;

/// Those of the files of ours that there were which execution did not write, where it was to write all that there are: a later command
/// would read them.
pub(super) fn superfluous(
    there: BTreeSet<(Name, String)>,
    chain: &ChainFiles,
    options: &VerifyOptions,
    compared: &BTreeSet<String>,
) -> Vec<String> {
    let to = options.to.unwrap_or(u64::MAX);
    let is_ours_to_judge = |kind: Name| match kind {
        Name::Calls(id) => id > options.from && id <= to,
        // Where nothing said how the run ended when the chain was opened, it has ended since.
        Name::Result => options.to.is_none() && chain.reports.are_there(),
        Name::Final => options.to.is_none(),
        _ => false,
    };
    let extra = there.into_iter().filter(|(kind, name)| is_ours_to_judge(*kind) && !compared.contains(name));
    extra.map(|(_, name)| format!("{name}: superfluous: this run does not write it")).collect()
}

/// Names in the directory that the verification says nothing about: what is not ours, and what a crash left.
pub(super) fn not_covered(chain: &ChainFiles, options: &VerifyOptions) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| Failure::io(&chain.dir, &error);
    let entries = fs::read_dir(&chain.dir).map_err(failed)?.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    let mut names: Vec<OsString> = entries.iter().map(fs::DirEntry::file_name).collect();
    names.sort();
    let names = names.iter().map(|name| name.to_string_lossy());
    let is_judged = |name: &str| match Name::parse(name) {
        None => name == FILES,
        Some(Name::Temporary) => false,
        Some(Name::Pause | Name::Result | Name::Final) => options.to.is_none(),
        Some(_) => true,
    };
    Ok(names.filter(|name| !is_judged(name)).map(std::borrow::Cow::into_owned).collect())
}

/// Most files of which it is said that they lie beside those that were delivered.
const MOST_BESIDE: usize = 1_000;

/// Files in a directory of delivered files that the program has not left behind: nothing is said of them.
pub(super) fn beside_delivered(directory: &Path, delivered: &BTreeSet<String>) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop().filter(|_| found.len() < MOST_BESIDE) {
        // One that cannot be looked into holds nothing that was compared.
        let entries = fs::read_dir(directory.join(&folder)).into_iter().flatten().flatten();
        for entry in entries.take(MOST_BESIDE) {
            let name = folder.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(name),
                _ if delivered.contains(&*name.to_string_lossy()) => {}
                _ => found.push(directory.join(name).to_string_lossy().into_owned()),
            }
        }
    }
    found.sort();
    found
}

/// Executes the segment that was paused again, up to the gas of the pause, and compares its files; what is wrong.
pub(super) fn check_pause(
    chain: &ChainFiles,
    rerun: &Rerun,
    options: &VerifyOptions,
    stop: &Interrupt,
    allowance: &Allowance,
) -> Result<Vec<String>> {
    if !PAUSE.iter().any(|name| foreign::is_there(&chain.dir, name)) {
        return Ok(Vec::new());
    }
    // That it belongs to the chain was checked when the chain was opened.
    let Ok(raw) = SnapshotRef::new(&chain.dir, SnapshotName::Paused).read() else {
        return Ok(vec!["paused.snap: missing or damaged beside other files of a pause".to_owned()]);
    };
    let target = raw.state.gas_total;
    let rerun = rerun.as_opened(chain, raw.segment.id)?;
    let mut node = options.executor.start()?;
    node.load(&rerun.from(raw.segment.id, raw.segment.limit, true))?;
    rerun.supply().feed(node.as_mut(), stop)?;
    let mut replay = RecordedReplies::of_pause(&chain.dir);
    let mut wrong = vec![format!("paused.snap: the run has no moment with {target} gas in total")];
    let (mut moments, mut reach) = (0, GAS);
    while moments < MOMENTS {
        if stop.is_requested() {
            return Err(Failure::new(INTERRUPTED, "interrupted: nothing was decided"));
        }
        let total = node.progress()?.gas_total;
        if total == target {
            moments += 1;
            wrong = compare_pause(chain, node.as_mut())?;
        }
        if wrong.is_empty() || total > target {
            break;
        }
        // A run is also stopped where it has written something, and between steps that cost nothing.
        let left = target.saturating_sub(total);
        let gas = left.min(reach);
        let steps = if total == target { 1 } else { STEPS };
        let event = external::run(node.as_mut(), Budget { gas, steps }, &mut replay)?;
        let used = node.progress()?.gas_total.saturating_sub(total);
        allowance.spend_slice(used, gas, steps, event == Event::Paused)?;
        match event {
            Event::Finished | Event::Snapshot(_) => break,
            Event::Paused | Event::Output | Event::Question => node.drop_output()?,
        }
        // An instruction may be dearer than the slice.
        let is_too_little = used == 0 && event == Event::Paused && gas < left;
        reach = if is_too_little { reach.saturating_mul(2) } else { GAS };
        moments += u32::from(used == 0 && !is_too_little);
    }
    Ok(wrong)
}

/// Compares the files of a pause with what a node makes of it here.
fn compare_pause(chain: &ChainFiles, node: &mut dyn ModuleSession) -> Result<Vec<String>> {
    node.encode_pause()?;
    let mut differences = Vec::new();
    let mut written = BTreeSet::new();
    while let Some(file) = node.next_file()? {
        let name = file.to_string();
        let there = open(chain, &name)?;
        differences.extend(compare_file(there, &name, &mut |chunk| node.take_chunk(chunk))?);
        written.insert(name);
    }
    // How it was to go on is no part of the state.
    let of_state = PAUSE.iter().filter(|name| **name != PAUSE_NOTE);
    let extra = of_state.filter(|name| !written.contains(**name) && foreign::is_there(&chain.dir, name));
    differences.extend(extra.map(|name| format!("{name}: superfluous: this run does not write it")));
    Ok(differences)
}
