//! An executor for `bisect` that goes wrong once: after so much gas it changes the lowest bit of a local of the innermost
//! frame, and is honest otherwise. Called as `faulty_executor GAS DIR ID PROGRAM`.

use std::path::Path;
use std::process::ExitCode;

use stepmark_runner::bisect::{Position, ReachedState, reach, serve};
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_runner::node::engine::Engine;
use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::snap;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match execute(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn execute(words: &[String]) -> Result<()> {
    let [gas, dir, id, program] = words else { return Err(Failure::usage("expected GAS DIR ID PROGRAM")) };
    let fault: u64 = gas.parse().map_err(|_| Failure::usage("GAS is no number"))?;
    let id: SnapshotName = id.parse()?;
    let place = SnapshotRef::new(dir, id);
    let job = place.read()?.job;
    let files = JobFiles::find(&job, Some(program), &GivenFiles::default(), Path::new(dir))?;
    let rerun = Rerun::new(job, &files, Path::new(dir));
    serve(&mut |position| {
        if position.gas < fault {
            return reach(&rerun, id, Engine::Native, position);
        }
        let changed = go_wrong(&rerun, id, fault)?;
        let rest = Position { gas: position.gas - fault, ..position };
        reach(&changed, SnapshotName::Paused, Engine::Native, rest)
    })
}

/// The run as it is after the fault.
fn go_wrong(rerun: &Rerun, id: SnapshotName, gas: u64) -> Result<Rerun> {
    let ReachedState { snap: bytes, bin, .. } = reach(rerun, id, Engine::Native, Position { gas, steps: 0 })?;
    let mut raw = snap::decode(&bytes)?;
    let local = raw.state.frames.last_mut().and_then(|frame| frame.locals.first_mut());
    *local.ok_or_else(|| Failure::data("no local to change"))? ^= 1;
    let (bytes, _) = snap::encode(&raw.job, &raw.segment, &raw.state)?;
    let mut changed = rerun.clone();
    changed.snap(SnapshotName::Paused, bytes);
    changed.bin(SnapshotName::Paused, bin);
    Ok(changed)
}
