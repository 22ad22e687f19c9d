//! What is said of a run that trapped: where, in the terms of its source, and how to look further.

use std::path::Path;

use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::foreign::{self, ForeignKind};
use stepmark_runner::node::drive::Summary;
use stepmark_runner::state::{self, CallPlace};
use stepmark_runner::terminal::quoted;
use stepmark_session::report::RunOutcome;
use stepmark_session::spec::{JobSpec, SnapshotName};

use crate::console::Console;

/// The call stack of a trap, innermost call first; empty where a run ended otherwise. Source lines come from the files of
/// `job`, where it is known.
pub(super) fn backtrace(summary: &Summary, job: Option<&JobSpec>) -> Vec<CallPlace> {
    let Some(RunOutcome::Trapped(report)) = summary.result.as_ref().map(|result| &result.outcome) else {
        return Vec::new();
    };
    let read = |path: &str| foreign::read(Path::new(path), ForeignKind::Module).ok();
    let mut modules: Vec<Option<Vec<u8>>> =
        job.iter().flat_map(|job| &job.preload).map(|(_, path)| read(path)).collect();
    // It may have been built anew while it ran.
    let is_program = |bytes: &Vec<u8>| {
        let receipt = summary.receipt.as_ref();
        receipt.is_some_and(|receipt| receipt["result"]["program_hash"] == *blake3::hash(bytes).to_hex().as_str())
    };
    modules.push(job.and_then(|job| read(&job.program)).filter(is_program));
    state::backtrace(report, &modules)
}

/// Says where a run trapped.
pub(super) fn say(frames: &[CallPlace], console: &Console) {
    if !frames.is_empty() {
        console.note("trapped at, innermost call first:");
        state::backtrace_lines(frames).iter().for_each(|line| console.note(line));
    }
}

/// Says how to look further into a run that trapped; `program` are the flags that name its files.
pub(super) fn say_further(summary: &Summary, output_dir: &str, is_kept: bool, program: &str, console: &Console) {
    let Some(result) = summary.result.as_ref().filter(|result| result.trap().is_some()) else { return };
    let last = result.last_snapshot;
    let before = match is_kept {
        true => String::new(),
        // Nothing before the last snapshot has to run again.
        false if SnapshotRef::new(output_dir, SnapshotName::Number(last)).snap_path().exists() => {
            format!("stepmark resume {}@{last} --keep-final{program}, and then: ", quoted(output_dir))
        }
        false => "run it once more with --keep-final, and then: ".to_owned(),
    };
    console.note(&format!("to look further: {before}stepmark inspect {}@final{program}", quoted(output_dir)));
}
