//! The state of a snapshot: whether it is one that this run could be in, and how the run is put into it. The pages come after.

use super::link::Builder;
use super::paged_state::PagedState;
use super::{Running, SessionMode};
use crate::report::RunOutcome;
use crate::spec::SnapshotName;
use crate::values::ValKind;
use stepmark_core::machine::check::check_state;
use stepmark_snapshot::job::{Input, Job, ModuleRef, Stdin};
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::canonical::{FrameState, Phase, RunState};
use stepmark_state::encoding::hex;
use stepmark_state::error::JobError;
use stepmark_state::paged::Paged;

impl Builder<'_> {
    /// Puts the run into the state of the snapshot, but for the paged contents, which are wanted next.
    pub(super) fn restore(&mut self, running: &mut Running, snapshot: &RawSnapshot) -> Result<(), JobError> {
        let segment = snapshot.segment;
        self.check_segment(snapshot)?;
        let state = &snapshot.state;
        let call = running.plan.call(state.phase).map(|(func, _)| func);
        let ended = self.ended_in(snapshot);
        // Of a run that has ended there is nothing to call: the outermost frame is as it says.
        let is_seen = self.loading.mode == SessionMode::Inspect || ended.is_some();
        let seen = || is_seen.then(|| outermost(running, state));
        let Some(func) = call.or_else(seen) else {
            return Err(JobError::snapshot(format!(
                "state: the phase {:?} is not one of this run that could go on",
                state.phase
            )));
        };
        if state.gas_total < segment.gas_used {
            let total = state.gas_total;
            return Err(JobError::snapshot(format!(
                "state: {total} gas in total, expected at least the segment's {}",
                segment.gas_used
            )));
        }
        if ended == Some(RunOutcome::Finished) {
            check_results(&running.plan.results, &state.results)?;
            running.results.clone_from(&state.results);
        }
        running.restore_hosts(&state.hosts)?;
        if !segment.paused && !running.replies.is_between_segments() {
            return Err(JobError::snapshot("state: outside: a snapshot between two segments counts answers of one"));
        }
        let (func, waiting) = running.restore_contracts(func)?;
        let phase = state.phase;
        let pages = |hosts: &dyn Paged| {
            let pages = hosts.numbers().into_iter().map(|number| (number, hosts.page_count(number) as u64));
            pages.collect::<Vec<_>>()
        };
        let others = [pages(&running.wasi), pages(&running.store)].concat();
        let checked = check_state(state.clone(), &mut running.machine, func, waiting, &others)?;
        if checked.state().frames.is_empty() && call.is_some() {
            running.phase = phase;
            running.begin_phase().map_err(|trap| JobError::snapshot(trap.message()))?;
        }
        running.machine.restore(&checked)?;
        running.machine.resume_invocation(func);
        // Tables that grew are filled with null, and files are as the job gave them, until their pages come.
        running.accounted = running.machine.gas_total();
        let Running { machine, wasi, store, spaces, .. } = running;
        spaces.update(&mut PagedState { store: &mut machine.store, files: wasi, log: store });
        running.phase = phase;
        running.outcome = ended;
        self.continue_segment(running, snapshot)
    }

    /// Puts the run to the place of the snapshot in its chain.
    fn continue_segment(&self, running: &mut Running, snapshot: &RawSnapshot) -> Result<(), JobError> {
        let segment = snapshot.segment;
        running.id = segment.id;
        running.start_id = segment.id;
        running.resumed_bin = segment.bin;
        running.previous_snap = if segment.paused { segment.previous_snap } else { snapshot.hash };
        running.segment_gas = if segment.paused { segment.gas_used } else { 0 };
        running.limit = self.spec.gas_limit.unwrap_or(segment.limit);
        if running.limit < running.segment_gas {
            let (limit, used) = (running.limit, running.segment_gas);
            return Err(JobError::usage(format!("--gas-limit {limit}: the paused segment has used {used} already")));
        }
        Ok(())
    }

    /// How the run has ended in a pause that is to go on: one that was made while what the program left behind was hashed.
    fn ended_in(&self, snapshot: &RawSnapshot) -> Option<RunOutcome> {
        let is_pause = self.spec.resume.as_ref().is_some_and(|resume| resume.id == SnapshotName::Paused);
        match snapshot.state.phase {
            _ if !is_pause || self.loading.mode != SessionMode::Run => None,
            Phase::Finished => snapshot.state.frames.is_empty().then_some(RunOutcome::Finished),
            Phase::Exited { code } => Some(RunOutcome::Exited(code)),
            Phase::Start { .. } | Phase::Initialize | Phase::Entry | Phase::Trapped { .. } => None,
        }
    }

    /// Checks that this is the snapshot that was asked for.
    fn check_segment(&self, snapshot: &RawSnapshot) -> Result<(), JobError> {
        let Some(resume) = &self.spec.resume else { return Ok(()) };
        let segment = &snapshot.segment;
        let fits = match resume.id {
            SnapshotName::Number(id) => !segment.paused && segment.id == id,
            SnapshotName::Paused | SnapshotName::Final => segment.paused,
        };
        let name = format!("{}/{}.snap", resume.dir, resume.id);
        if fits {
            return Ok(());
        }
        let kind = if segment.paused { "paused after " } else { "" };
        Err(JobError::snapshot(format!("{name}: is snapshot {kind}{}, expected {}", segment.id, resume.id)))
    }
}

/// Checks that results, by slots, are some that the entry can have returned.
fn check_results(kinds: &[ValKind], results: &[u64]) -> Result<(), JobError> {
    let slots = |kind: &ValKind| if *kind == ValKind::V128 { 2 } else { 1 };
    let expected: usize = kinds.iter().map(slots).sum();
    if results.len() != expected {
        let found = results.len();
        return Err(JobError::snapshot(format!("state: {found} slots of results, expected {expected}")));
    }
    let kinds = kinds.iter().flat_map(|kind| std::iter::repeat_n(*kind, slots(kind)));
    let is_narrow = |kind| matches!(kind, ValKind::I32 | ValKind::F32);
    match kinds.zip(results).find(|(kind, slot)| is_narrow(*kind) && **slot > u64::from(u32::MAX)) {
        Some((_, slot)) => Err(JobError::snapshot(format!("state: a result {slot:#x}, expected one of 32 bits"))),
        None => Ok(()),
    }
}

/// The function (store address) of the outermost frame of a state, the run's entry where there is none.
fn outermost(running: &Running, state: &RunState) -> u32 {
    let named = |frame: &FrameState| {
        let instance = running.machine.store.instances.get(frame.instance as usize)?;
        instance.funcs.get(frame.func as usize).copied()
    };
    state.frames.first().and_then(named).or(running.plan.entry).unwrap_or(0)
}

/// The first difference between the job of a snapshot and the one asked for, as an error.
pub(super) fn same_job(recorded: &Job, asked: &Job) -> Result<(), JobError> {
    let hashes = |modules: &[ModuleRef]| modules.iter().map(|m| (m.name.clone(), m.hash)).collect::<Vec<_>>();
    let names = |modules: &[ModuleRef]| {
        let one = |m: &ModuleRef| format!("{} ({})", m.name, hex(&m.hash));
        let all: Vec<String> = modules.iter().map(one).collect();
        if all.is_empty() { "empty".to_owned() } else { all.join(", ") }
    };
    let differs = |what: &str, found: String, expected: String| {
        Err(JobError::usage(format!(
            "the snapshot belongs to another job: {what} is {found}, the snapshot has {expected}"
        )))
    };
    if recorded.program.hash != asked.program.hash {
        return differs("the program's hash", hex(&asked.program.hash), hex(&recorded.program.hash));
    }
    if hashes(&recorded.modules) != hashes(&asked.modules) {
        return differs("the list of preloaded modules", names(&asked.modules), names(&recorded.modules));
    }
    if (&recorded.entry, &recorded.args) != (&asked.entry, &asked.args) {
        let show = |job: &Job| format!("{:?} {:?}", job.entry.as_deref().unwrap_or("_start"), job.args);
        return differs("the entry", show(asked), show(recorded));
    }
    if hashes(&recorded.contracts) != hashes(&asked.contracts) {
        return differs("the list of contracts", names(&asked.contracts), names(&recorded.contracts));
    }
    if recorded.schedule != asked.schedule {
        return differs("the gas schedule", asked.schedule.name.clone(), recorded.schedule.name.clone());
    }
    if recorded.stdin != asked.stdin {
        let show =
            |s: &Option<Stdin>| s.as_ref().map_or("none".to_owned(), |s| format!("{} bytes {}", s.size, hex(&s.hash)));
        return differs("--stdin", show(&asked.stdin), show(&recorded.stdin));
    }
    if recorded.inputs != asked.inputs {
        let changed = |a: &[Input], b: &[Input]| a.iter().find(|i| !b.contains(i)).map(|i| i.path.clone());
        let path = changed(&recorded.inputs, &asked.inputs).or_else(|| changed(&asked.inputs, &recorded.inputs));
        return differs(
            "the input file",
            format!("{:?} changed, missing or new", path.unwrap_or_default()),
            "others".to_owned(),
        );
    }
    if recorded != asked {
        let show = |job: &Job| {
            let Job { limits, clock_rate, seed, env, features, .. } = job;
            let preopens = job.preopens.join(" ");
            format!(
                "{limits:?}, clock rate {clock_rate}, seed {seed}, preopened '{preopens}', environment {env:?}, features \
                 {features:?}"
            )
        };
        return differs("the configuration", show(asked), show(recorded));
    }
    Ok(())
}
