//! What a state says, in the terms of the program: for people as text, for programs as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use stepmark_core::code::Body;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Extern, Machine};
use stepmark_core::module::{HeapType, Module, RefType, TypesAt, ValType, types_at};
use stepmark_hosts::wasi::Wasi;
use stepmark_session::report::FrameReport;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::canonical::state_hash;
use stepmark_state::canonical::{FrameState, Phase};
use stepmark_state::encoding::hex;
use stepmark_state::pages::space_name;
use stepmark_state::shown::Shown;

use super::{CallPlace, LoadedState, SourceFrame, SourceLines};

/// Most frames and table elements that the text shows.
const MOST: usize = 64;

/// A state.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct StateView {
    pub program: String,
    pub program_hash: String,
    pub entry: String,
    pub arguments: Vec<String>,
    pub schedule: String,
    pub schedule_hash: String,
    /// Every node has it; else it came from a file.
    pub schedule_built_in: bool,
    /// Which moment of the run it is: a snapshot, a pause, the end.
    pub moment: String,
    pub snapshot: u64,
    pub paused: bool,
    pub phase: String,
    pub gas_limit: u64,
    pub segment_gas: u64,
    pub gas_total: u64,
    pub job_hash: String,
    pub snap_hash: String,
    pub bin_hash: String,
    pub previous_snap_hash: String,
    pub state_hash: String,
    /// Innermost first.
    pub frames: Vec<FrameView>,
    pub results: Vec<String>,
    pub instances: Vec<InstanceView>,
    pub exceptions: Vec<String>,
    pub spaces: Vec<SpaceView>,
    pub descriptors: Vec<DescriptorInfo>,
    /// Those of a program that writes; not known without its input files.
    pub stdout_bytes: Option<u64>,
    pub stderr_bytes: Option<u64>,
    /// How the run ended after this, as far as its directory says it.
    pub later: Option<String>,
    /// What is not shown, and what it would take.
    pub not_shown: Option<String>,
}

/// A call.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct FrameView {
    #[serde(flatten)]
    pub at: CallPlace,
    /// Mnemonic of the instruction at the offset.
    pub instruction: Option<String>,
    pub locals: Vec<String>,
    pub operands: Vec<String>,
}

/// An instance of a module.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct InstanceView {
    pub name: String,
    /// In slots of 64 bits.
    pub globals: Vec<String>,
    /// Pages of 64 KiB.
    pub memories: Vec<u64>,
    /// The elements that are not null.
    pub tables: Vec<TableView>,
    pub dropped_data: Vec<u32>,
    pub dropped_elements: Vec<u32>,
}

/// A table.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct TableView {
    pub size: u64,
    pub elements: Vec<(u64, String)>,
}

/// A space of pages.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct SpaceView {
    pub space: String,
    pub pages: u64,
    pub root: String,
}

/// A descriptor of the program.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct DescriptorInfo {
    pub fd: u32,
    pub target: String,
    pub offset: u64,
    pub flags: u16,
}

/// A slot with its type: integers have their sign.
pub fn value(ty: Option<ValType>, bits: u64) -> String {
    let low = bits as u32;
    match ty {
        Some(ValType::I32) => format!("i32 {}", low.cast_signed()),
        Some(ValType::I64) => format!("i64 {}", bits.cast_signed()),
        Some(ValType::F32) => format!("f32 {}", f32::from_bits(low)),
        Some(ValType::F64) => format!("f64 {}", f64::from_bits(bits)),
        Some(ValType::V128) => format!("v128 half {bits:#018x}"),
        Some(ValType::Ref(ty)) => reference(ty, bits),
        None => format!("{bits:#x}"),
    }
}

fn reference(ty: RefType, bits: u64) -> String {
    let Some(number) = bits.checked_sub(1) else { return "null".to_owned() };
    match ty.heap {
        HeapType::Extern => format!("host value {number}"),
        HeapType::Exn => format!("exception {number}"),
        _ => format!("function {} of instance {}", number as u32, number >> 32),
    }
}

fn slots(types: &[Option<ValType>], values: &[u64]) -> Vec<String> {
    let types = types.iter().copied().chain(std::iter::repeat(None));
    values.iter().zip(types).map(|(bits, ty)| value(ty, *bits)).collect()
}

/// The slots that values of these types take.
fn typed_slots(types: impl Iterator<Item = ValType>) -> Vec<Option<ValType>> {
    types.flat_map(|ty| std::iter::repeat_n(Some(ty), ty.slots() as usize)).collect()
}

/// Frames of a program in words: what is worked out for a module, a function or a position serves every frame there.
pub struct FrameViews<'a> {
    /// None where the program is not there.
    machine: Option<&'a Machine>,
    /// By instance, function and offset.
    types: BTreeMap<u32, BTreeMap<(u32, u32), TypesAt>>,
    /// By instance.
    lines: BTreeMap<u32, SourceLines<'a>>,
    /// Name and body by instance and function.
    funcs: BTreeMap<(u32, u32), (Option<String>, Option<Body>)>,
}

impl<'a> FrameViews<'a> {
    /// Works out what is to be known of these frames of a machine's program.
    pub fn new(machine: Option<&'a Machine>, frames: &[FrameState]) -> Self {
        let mut views = Self { machine, types: BTreeMap::new(), lines: BTreeMap::new(), funcs: BTreeMap::new() };
        let mut positions: BTreeMap<u32, BTreeMap<u32, BTreeSet<u32>>> = BTreeMap::new();
        for frame in frames {
            positions.entry(frame.instance).or_default().entry(frame.func).or_default().insert(frame.offset);
        }
        for (number, positions) in positions {
            let Some(module) = views.module(number) else { continue };
            for func in positions.keys() {
                let body = module.body(*func).map(|_| Body::decode(module, *func));
                views.funcs.insert((number, *func), (module.func_name(*func), body));
            }
            views.types.insert(number, types_at(module, &positions));
            views.lines.insert(number, SourceLines::new(module.bytes()));
        }
        views
    }

    fn module(&self, instance: u32) -> Option<&'a Module> {
        self.machine?.store.instances.get(instance as usize).map(|instance| &*instance.module)
    }

    /// One of them: the innermost one, or one that has called another.
    pub fn view(&self, frame: &FrameState, is_innermost: bool) -> FrameView {
        let types = self.types.get(&frame.instance).and_then(|types| types.get(&(frame.func, frame.offset)));
        let (locals, operands) = types.map(|(locals, operands)| (&**locals, &**operands)).unwrap_or_default();
        let func = self.funcs.get(&(frame.instance, frame.func));
        let FrameState { instance, func: function, offset, .. } = *frame;
        let name = func.and_then(|(name, _)| name.clone());
        FrameView {
            at: CallPlace::new(
                FrameReport { instance, function, name, offset },
                self.lines.get(&instance),
                is_innermost,
            ),
            instruction: func.and_then(|(_, body)| mnemonic(body.as_ref()?, frame.offset)).map(str::to_owned),
            locals: slots(locals, &frame.locals),
            operands: slots(operands, &frame.operands),
        }
    }
}

impl FrameView {
    /// Where it is, in one line.
    pub fn place(&self) -> String {
        let CallPlace { instance, function, name, offset, source, .. } = &self.at;
        let name = name.as_ref().map(|name| format!(" <{}>", name.escape_debug())).unwrap_or_default();
        let source = source.as_ref().map(|source| format!(" ({})", source.escape_debug())).unwrap_or_default();
        let instance = if *instance == 0 { String::new() } else { format!(" of instance {instance}") };
        let instruction = self.instruction.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
        format!("function {function}{instance}{name} at offset {offset:#x}{source}{instruction}")
    }
}

/// The instruction at an offset of a function.
fn mnemonic(body: &Body, offset: u32) -> Option<&'static str> {
    let index = usize::try_from(body.index_of(offset)?).ok()?;
    body.instrs.get(index).map(|instr| instr.op.mnemonic())
}

impl LoadedState {
    /// What it says.
    pub fn view(&self) -> StateView {
        StateView::new(&self.raw, self.session().machine(), self.session().wasi())
    }

    /// Whether it is no snapshot of the chain, but a pause or the end of the run.
    pub fn is_outside_chain(&self) -> bool {
        self.raw.segment.paused
    }

    /// Which moment of the run it is, in words.
    pub fn moment(&self) -> String {
        format!("{}, {}", moment(&self.raw), phase(self.raw.state.phase))
    }
}

impl StateView {
    /// What a snapshot says, with what is known of its program and of its system interface.
    pub(crate) fn new(raw: &RawSnapshot, machine: Option<&Machine>, wasi: Option<&Wasi>) -> Self {
        let RawSnapshot { job, segment, state, hash } = raw;
        let views = FrameViews::new(machine, &state.frames);
        let frames = state.frames.iter().rev().enumerate().map(|(number, frame)| views.view(frame, number == 0));
        let stream = |fd| wasi.map(|wasi| wasi.output_hash(fd).map_or(0, |hash| hash.length()));
        let descriptors = wasi.map(Wasi::descriptors).unwrap_or_default();
        let result_types = machine.and_then(|machine| result_types(raw, machine)).unwrap_or_default();
        Self {
            program: job.program.name.clone(),
            program_hash: hex(&job.program.hash),
            entry: job.entry.clone().unwrap_or_else(|| "_start".to_owned()),
            arguments: job.args.clone(),
            schedule: job.schedule.name.clone(),
            schedule_hash: hex(&job.schedule.hash),
            schedule_built_in: Schedule::builtin(&job.schedule.name).is_some(),
            moment: moment(raw),
            snapshot: segment.id,
            paused: segment.paused,
            phase: phase(state.phase),
            gas_limit: segment.limit,
            segment_gas: segment.gas_used,
            gas_total: state.gas_total,
            job_hash: hex(&job.job_hash()),
            snap_hash: hex(hash),
            bin_hash: hex(&segment.bin),
            previous_snap_hash: hex(&segment.previous_snap),
            state_hash: hex(&state_hash(state)),
            frames: frames.collect(),
            results: slots(&result_types, &state.results),
            instances: instances(raw, machine),
            exceptions: state
                .exceptions
                .iter()
                .map(|e| format!("tag {} of instance {}: {:?}", e.tag, e.instance, e.values))
                .collect(),
            spaces: state.spaces.iter().map(space).collect(),
            descriptors: descriptors
                .into_iter()
                .map(|d| DescriptorInfo { fd: d.fd, target: d.target, offset: d.offset, flags: d.flags })
                .collect(),
            stdout_bytes: stream(1),
            stderr_bytes: stream(2),
            later: None,
            not_shown: None,
        }
    }
}

/// Types of the slots that the entry returns.
fn result_types(raw: &RawSnapshot, machine: &Machine) -> Option<Vec<Option<ValType>>> {
    let (store, job) = (&machine.store, &raw.job);
    let instance = u32::try_from(job.modules.len()).ok()?;
    match store.export(instance, job.entry.as_deref().unwrap_or("_start")) {
        Some(Extern::Func(entry)) => Some(typed_slots(store.func_type(entry).results.iter().copied())),
        _ => None,
    }
}

/// The instances of a state; of a program that is not there without types and elements.
fn instances(raw: &RawSnapshot, machine: Option<&Machine>) -> Vec<InstanceView> {
    let mut views = Vec::new();
    for (number, state) in raw.state.instances.iter().enumerate() {
        let instance = machine.and_then(|machine| Some((machine, machine.store.instances.get(number)?)));
        let (types, tables) = match instance {
            Some((machine, instance)) => {
                let module = &instance.module;
                let own = module.globals().iter().skip(module.imported_globals() as usize);
                let own_tables = instance.tables.iter().skip(module.imported_tables() as usize);
                let table = |address: &u32| machine.store.tables.get(*address as usize).map(table_view);
                (typed_slots(own.map(|(ty, _)| ty.value)), own_tables.filter_map(table).collect())
            }
            None => {
                let sized = |size: &u64| TableView { size: *size, elements: Vec::new() };
                (Vec::new(), state.tables.iter().map(sized).collect())
            }
        };
        views.push(InstanceView {
            name: instance.map(|(_, instance)| instance.name.clone()).unwrap_or_default(),
            globals: slots(&types, &state.globals),
            memories: state.memories.clone(),
            tables,
            dropped_data: state.dropped_data.clone(),
            dropped_elements: state.dropped_elements.clone(),
        });
    }
    views
}

fn table_view(table: &stepmark_core::machine::Table) -> TableView {
    let ty = table.ty().element;
    let set = (0u64..).zip(table.elements()).filter(|(_, element)| **element != 0);
    TableView { size: table.size(), elements: set.map(|(index, element)| (index, reference(ty, *element))).collect() }
}

fn space(space: &stepmark_state::canonical::SpaceState) -> SpaceView {
    let name = space_name(space.kind).unwrap_or("space");
    SpaceView { space: format!("{name} {}", space.index), pages: space.pages, root: hex(&space.root) }
}

/// Which moment of its run a snapshot is.
fn moment(RawSnapshot { segment, state, .. }: &RawSnapshot) -> String {
    match (segment.paused, state.phase, segment.id) {
        (false, _, id) => format!("snapshot {id}"),
        (true, Phase::Start { .. } | Phase::Initialize | Phase::Entry, 0) => "paused before snapshot 1".to_owned(),
        (true, Phase::Start { .. } | Phase::Initialize | Phase::Entry, id) => format!("paused after snapshot {id}"),
        (true, Phase::Finished | Phase::Trapped { .. } | Phase::Exited { .. }, 0) => "the end".to_owned(),
        (true, Phase::Finished | Phase::Trapped { .. } | Phase::Exited { .. }, id) => {
            format!("the end after snapshot {id}")
        }
    }
}

/// A phase in words.
pub(super) fn phase(phase: Phase) -> String {
    match phase {
        Phase::Start { instance } => format!("in the start function of instance {instance}"),
        Phase::Initialize => "in _initialize".to_owned(),
        Phase::Entry => "in the entry".to_owned(),
        Phase::Finished => "finished".to_owned(),
        Phase::Trapped { trap } => format!("trapped: {trap}"),
        Phase::Exited { code } => format!("exited with code {code}"),
    }
}

impl fmt::Display for StateView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moment, entry, arguments, phase, .. } = self;
        let [program, entry] = [&self.program, entry].map(|name| Shown(name));
        writeln!(f, "{moment} of {program} {entry} {arguments:?}, {phase}")?;
        let of_limit = if self.gas_limit == u64::MAX { String::new() } else { format!(" of {}", self.gas_limit) };
        let (total, segment) = (self.gas_total, self.segment_gas);
        let schedule = self.schedule.escape_debug();
        writeln!(f, "gas: {total} in total, {segment}{of_limit} in the segment, schedule {schedule}")?;
        writeln!(
            f,
            "hashes: program {}\n        job {}\n        snap {}\n        bin {}\n        previous {}\n        state {}\n        schedule {} ({})",
            self.program_hash,
            self.job_hash,
            self.snap_hash,
            self.bin_hash,
            self.previous_snap_hash,
            self.state_hash,
            self.schedule_hash,
            if self.schedule_built_in { "built in" } else { "from a file" }
        )?;
        writeln!(f, "call stack, innermost first:")?;
        for (number, frame) in self.frames.iter().take(MOST).enumerate() {
            writeln!(f, "  #{number} {}", frame.place())?;
            for SourceFrame { function, source } in &frame.at.inlined {
                let [function, source] = [function, source].map(|text| text.as_deref().unwrap_or("?").escape_debug());
                writeln!(f, "     inlined: {function} ({source})")?;
            }
            writeln!(f, "     locals: [{}]", frame.locals.join(", "))?;
            writeln!(f, "     operands: [{}]", frame.operands.join(", "))?;
        }
        more(f, self.frames.len())?;
        if !self.results.is_empty() {
            writeln!(f, "results: [{}]", self.results.join(", "))?;
        }
        self.instances.iter().enumerate().try_for_each(|(number, instance)| instance.write(f, number))?;
        self.exceptions.iter().enumerate().try_for_each(|(number, e)| writeln!(f, "exception {number}: {e}"))?;
        for space in &self.spaces {
            writeln!(f, "{}: {} pages of 4 KiB, root {}", space.space, space.pages, space.root)?;
        }
        for DescriptorInfo { fd, target, offset, flags } in &self.descriptors {
            writeln!(f, "descriptor {fd}: {}, offset {offset}, flags {flags:#x}", target.escape_debug())?;
        }
        if let (Some(stdout), Some(stderr)) = (self.stdout_bytes, self.stderr_bytes) {
            writeln!(f, "written so far: {stdout} bytes to standard output, {stderr} to standard error")?;
        }
        self.later.iter().try_for_each(|what| writeln!(f, "the run ended later, {}", what.escape_debug()))?;
        self.not_shown.iter().try_for_each(|what| writeln!(f, "not shown: {}", Shown(what)))
    }
}

fn more(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    match count.checked_sub(MOST) {
        Some(more) if more > 0 => writeln!(f, "  and {more} more (all with --json)"),
        _ => Ok(()),
    }
}

impl InstanceView {
    fn write(&self, f: &mut fmt::Formatter<'_>, number: usize) -> fmt::Result {
        writeln!(f, "instance {number} {:?}: globals [{}]", self.name, self.globals.join(", "))?;
        for (memory, pages) in self.memories.iter().enumerate() {
            writeln!(f, "  memory {memory}: {pages} pages of 64 KiB")?;
        }
        for (table, view) in self.tables.iter().enumerate() {
            let elements = view.elements.iter().take(MOST).map(|(index, element)| format!("{index}: {element}"));
            writeln!(f, "  table {table}: {} elements [{}]", view.size, elements.collect::<Vec<_>>().join(", "))?;
            more(f, view.elements.len())?;
        }
        if !(self.dropped_data.is_empty() && self.dropped_elements.is_empty()) {
            writeln!(
                f,
                "  dropped: data segments {:?}, element segments {:?}",
                self.dropped_data, self.dropped_elements
            )?;
        }
        Ok(())
    }
}
