//! A snapshot to look at with whatever of its job's files is there: all of it; without the input files, what the modules and the
//! `.bin` files say; without the program, what the `.snap` says by itself.

use stepmark_core::machine::Machine;
use stepmark_core::machine::check::{check_state, check_tables};
use stepmark_session::Session;
use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::bin::BinFooter;
use stepmark_snapshot::job::Job;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_snapshot::spaces::{Restore, Spaces};
use stepmark_state::encoding::hex;
use stepmark_state::paged::{Paged, mark_all};
use stepmark_state::pages::{PAGE, SPACE_MEMORY, SPACE_TABLE, SpaceId};

use super::{LoadedState, StateView};
use crate::bounds::Bounds;
use crate::chain;
use crate::chain::durable::BASE;
use crate::chain::snapshot_ref::SnapshotRef;
use crate::failure::{Failure, Result};
use crate::foreign::{self, ForeignKind};
use crate::interrupt::Interrupt;
use crate::job::rerun::{FoundFiles, GivenFiles, JobFiles, Rerun};
use crate::node::engine::ModuleSession;
use crate::node::native::NativeNode;
use crate::strict;

/// A snapshot to look at.
pub struct Sight {
    visible: Visible,
    /// What is not visible, and what it would take.
    not_shown: Option<String>,
    /// How the run ended after this.
    later: Option<String>,
}

/// How much of it is there.
enum Visible {
    All(Box<LoadedState>),
    /// Its memories and tables.
    Machine(Box<RawSnapshot>, Box<Machine>),
    Snap(Box<RawSnapshot>),
}

impl Sight {
    /// The snapshot at `place`, with the files of its job that are given or found.
    ///
    /// # Errors
    /// Exit code 65 for a file that is given but is not the job's, and for a snapshot that the program could not be in; 74 for what
    /// cannot be read; 77 for a job that may have more memory than `bounds` allow.
    pub fn open(place: &SnapshotRef, program: Option<&str>, given: &GivenFiles, bounds: &Bounds) -> Result<Self> {
        let raw = place.read()?;
        bounds.check_memory(&raw.job)?;
        let later = later(&raw, place);
        let FoundFiles { files, missing } = JobFiles::find_present(&raw.job, program, given, &place.dir)?;
        let Some(first) = missing.first() else {
            let rerun = Rerun::new(raw.job.clone(), &files, &place.dir);
            let visible = Visible::All(Box::new(LoadedState::restore(raw, &rerun, place.id)?));
            return Ok(Self { visible, not_shown: None, later });
        };
        let advice = first.help_text().map(|advice| format!("; {advice}")).unwrap_or_default();
        let for_want = |what: &str| Some(format!("{what}: {}{advice}", first.what()));
        let has_modules = !files.program.is_empty() && files.modules.len() == raw.job.modules.len();
        // Instances of contracts that are under way are made as the run makes them.
        if !has_modules || !raw.job.contracts.is_empty() {
            let not_shown = for_want("names, types, elements of tables, memory, descriptors");
            return Ok(Self { visible: Visible::Snap(Box::new(raw)), not_shown, later });
        }
        let machine = restore(&raw, place, &files)?;
        let visible = Visible::Machine(Box::new(raw), Box::new(machine));
        Ok(Self { visible, not_shown: for_want("descriptors, files, how much was written"), later })
    }

    /// What it says.
    pub fn view(&self) -> StateView {
        let view = match &self.visible {
            Visible::All(state) => state.view(),
            Visible::Machine(raw, machine) => StateView::new(raw, Some(machine), None),
            Visible::Snap(raw) => StateView::new(raw, None, None),
        };
        StateView { not_shown: self.not_shown.clone(), later: self.later.clone(), ..view }
    }

    /// So many bytes of a memory from `start` on.
    ///
    /// # Errors
    /// Exit code 2 when there are no such bytes, 65 when the memory is not visible.
    pub fn memory(&mut self, memory: u32, start: u64, length: usize) -> Result<Vec<u8>> {
        let number = SpaceId::new(SPACE_MEMORY, memory);
        let raw = match &self.visible {
            Visible::All(state) => &state.raw,
            Visible::Machine(raw, _) | Visible::Snap(raw) => raw,
        };
        let is_there = check_range(raw, number, start, length);
        match &mut self.visible {
            Visible::All(state) => is_there.map(|()| state.bytes(number, start, length)),
            Visible::Machine(_, machine) => {
                let page = |page: u64| usize::try_from(page).map_or([0; PAGE], |page| machine.store.page(number, page));
                is_there.map(|()| super::bytes_of(page, start, length))
            }
            Visible::Snap(_) => {
                let what = self.not_shown.clone().unwrap_or_default();
                Err(Failure::data(format!("memory {memory} cannot be shown: {what}")))
            }
        }
    }
}

/// Checks that a memory has so many bytes from `start` on.
pub(crate) fn check_range(raw: &RawSnapshot, number: SpaceId, start: u64, length: usize) -> Result<()> {
    let memories = raw.state.spaces.iter().filter(|space| space.kind == SPACE_MEMORY);
    let Some(space) = memories.clone().find(|space| space.index == number.index) else {
        let count = memories.count();
        return Err(Failure::usage(format!("memory {} is not there: the state has {count} memories", number.index)));
    };
    let size = space.pages.saturating_mul(PAGE as u64);
    match start.checked_add(length as u64).is_some_and(|end| end <= size) {
        true => Ok(()),
        false => Err(Failure::usage(format!("{start}+{length} is beyond the {size} bytes of memory {}", number.index))),
    }
}

/// How the run of a snapshot ended, as the receipt beside it says, and where that state is.
fn later(raw: &RawSnapshot, place: &SnapshotRef) -> Option<String> {
    if raw.segment.paused {
        return None;
    }
    let receipt = foreign::read_within(&place.dir, "receipt.json", ForeignKind::Text).ok()?;
    let receipt: serde_json::Value = strict::parse(&receipt).ok()?;
    let result = receipt.get("result")?;
    if result.get("job_hash")?.as_str()? != hex(&raw.job.job_hash()) {
        return None;
    }
    let outcome = match result.get("outcome")?.as_str()? {
        "trapped" => format!("trapped: {}", result.get("trap")?.get("message")?.as_str()?),
        "exited" => format!("exited with code {}", result.get("exit_code")?.as_u64()?),
        "finished" => "finished".to_owned(),
        _ => return None,
    };
    let state = match foreign::is_there(&place.dir, "final.snap") {
        true => format!("{}@final is that state", place.dir.display()),
        false => "that state was not kept (run with --keep-final)".to_owned(),
    };
    Some(format!("{outcome}; {state}"))
}

/// The program's machine as the snapshot has it: linked as the run linked it, but for the input files, with the pages of the chain.
fn restore(raw: &RawSnapshot, place: &SnapshotRef, files: &JobFiles) -> Result<Machine> {
    let session = start_without_inputs(&raw.job, place, files)?;
    let mut machine = session.machine().cloned().ok_or_else(|| Failure::data("the program was not linked"))?;
    mark_all(&mut machine.store);
    let mut spaces = Spaces::new(&mut machine.store);
    let state = &raw.state;
    let instances = &machine.store.instances;
    let outermost = state.frames.first().and_then(|frame| {
        instances.get(usize::try_from(frame.instance).ok()?)?.funcs.get(usize::try_from(frame.func).ok()?).copied()
    });
    let is_files = |kind: u8| ![SPACE_MEMORY, SPACE_TABLE].contains(&kind);
    let others = state.spaces.iter().filter(|space| is_files(space.kind));
    let others: Vec<_> = others.map(|space| (SpaceId::new(space.kind, space.index), space.pages)).collect();
    let checked = check_state(state.clone(), &mut machine, outermost.unwrap_or(0), Vec::new(), &others)?;
    machine.restore(&checked)?;
    spaces.update(&mut machine.store);
    // Pages of files are passed over.
    read_pages(raw, place, &mut Restore { contents: &mut machine.store, spaces: &mut spaces, contracts: true })?;
    let expected = state.spaces.iter().filter(|space| !is_files(space.kind));
    if let Some((space, _)) = expected.zip(spaces.states(&machine.store)).find(|(expected, found)| *expected != found) {
        let space = SpaceId::new(space.kind, space.index);
        return Err(Failure::data(format!("the contents of {space} do not have the root that the .snap commits to")));
    }
    check_tables(&mut machine)?;
    Ok(machine)
}

/// The start of a run of the same modules that is given no input.
fn start_without_inputs(job: &Job, place: &SnapshotRef, files: &JobFiles) -> Result<Session> {
    let job = Job { inputs: Vec::new(), stdin: None, ..job.clone() };
    let files = JobFiles { inputs: Vec::new(), stdin: None, ..files.clone() };
    let rerun = Rerun::new(job, &files, &place.dir);
    let mut node = NativeNode::to_look_at();
    node.load(&rerun.from_start(u64::MAX, false))?;
    rerun.supply().feed(&mut node, &Interrupt::new())?;
    node.into_session().ok_or_else(|| Failure::data("the program was not linked"))
}

/// Reads the pages of the chain up to a snapshot, each file of which must follow the one before.
fn read_pages(raw: &RawSnapshot, place: &SnapshotRef, sink: &mut Restore<'_>) -> Result<()> {
    let segment = &raw.segment;
    let wrong = |name: &str, what: &str| Failure::data(format!("{}: {what}", place.dir.join(name).display()));
    let mut read = |name: &str, previous: Option<[u8; 32]>| -> Result<BinFooter> {
        let found = chain::read_bin(&place.dir, name, sink)?;
        match previous {
            _ if found.header.job_hash != raw.job.job_hash() => Err(wrong(name, "belongs to another job")),
            Some(previous) if previous != found.header.previous => {
                Err(wrong(name, "does not follow the .bin before it"))
            }
            _ => Ok(found),
        }
    };
    let (mut next, mut last) = (1, [0; 32]);
    if segment.id > 0 && !foreign::is_there(&place.dir, "1.bin") && foreign::is_there(&place.dir, BASE) {
        let header = read(BASE, None)?.header;
        if !header.base || header.id > segment.id {
            return Err(wrong(BASE, &format!("is no base for snapshot {}", segment.id)));
        }
        (next, last) = (header.id.saturating_add(1), header.previous);
    }
    for id in next..=segment.id {
        last = read(&format!("{id}.bin"), Some(last))?.hash;
    }
    if !matches!(place.id, SnapshotName::Number(_)) {
        last = read(&format!("{}.bin", place.id), Some(last))?.hash;
    }
    match last == segment.bin {
        true => Ok(()),
        false => Err(wrong(&format!("{}.snap", place.id), "commits to another .bin")),
    }
}
