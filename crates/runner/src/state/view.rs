//! What a state says, in the terms of the program: for people as text, for programs as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use stepmark_core::code::Body;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::Machine;
use stepmark_core::module::{HeapType, Module, RefType, TypesAt, ValType, types_at};
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::canonical::state_hash;
use stepmark_state::canonical::{FrameState, Phase};
use stepmark_state::encoding::hex;
use stepmark_state::pages::space_name;

use super::{LoadedState, SourceLines};

/// Most frames and table elements that the text shows.
const MOST: usize = 64;

/// A state.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct StateView {
    pub program: String,
    pub entry: String,
    pub arguments: Vec<String>,
    pub schedule: String,
    pub schedule_hash: String,
    /// Every node has it; else it came from a file.
    pub schedule_built_in: bool,
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
    pub stdout_bytes: u64,
    pub stderr_bytes: u64,
}

/// A call.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct FrameView {
    pub instance: u32,
    pub function: u32,
    pub name: Option<String>,
    pub offset: u32,
    pub source: Option<String>,
    /// Mnemonic of the instruction at the offset.
    pub instruction: String,
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

/// A slot with its type.
pub fn value(ty: Option<ValType>, bits: u64) -> String {
    let low = bits as u32;
    match ty {
        Some(ValType::I32) => format!("i32 {low}"),
        Some(ValType::I64) => format!("i64 {bits}"),
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

/// Frames of a program in words: what is worked out for a module, a function or a position serves every frame there.
pub struct FrameViews<'a> {
    machine: &'a Machine,
    /// By instance, function and offset.
    types: BTreeMap<u32, BTreeMap<(u32, u32), TypesAt>>,
    /// By instance.
    lines: BTreeMap<u32, SourceLines<'a>>,
    /// Name and body by instance and function.
    funcs: BTreeMap<(u32, u32), (Option<String>, Option<Body>)>,
}

impl<'a> FrameViews<'a> {
    /// Works out what is to be known of these frames of a machine's program.
    pub fn new(machine: &'a Machine, frames: &[FrameState]) -> Self {
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
        self.machine.store.instances.get(instance as usize).map(|instance| &*instance.module)
    }

    /// One of them: the innermost one, or one that has called another.
    pub fn view(&self, frame: &FrameState, is_innermost: bool) -> FrameView {
        let types = self.types.get(&frame.instance).and_then(|types| types.get(&(frame.func, frame.offset)));
        let (locals, operands) = types.map(|(locals, operands)| (&**locals, &**operands)).unwrap_or_default();
        let func = self.funcs.get(&(frame.instance, frame.func));
        // After a call the offset is that of the next instruction, perhaps of another line.
        let asked = if is_innermost { frame.offset } else { frame.offset.saturating_sub(1) };
        FrameView {
            instance: frame.instance,
            function: frame.func,
            name: func.and_then(|(name, _)| name.clone()),
            offset: frame.offset,
            source: self.lines.get(&frame.instance).and_then(|lines| lines.line(asked)),
            instruction: func.and_then(|(_, body)| mnemonic(body.as_ref()?, frame.offset)).unwrap_or("?").to_owned(),
            locals: slots(locals, &frame.locals),
            operands: slots(operands, &frame.operands),
        }
    }
}

impl FrameView {
    /// Where it is, in one line.
    pub fn place(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" <{}>", name.escape_debug())).unwrap_or_default();
        let source = self.source.as_ref().map(|source| format!(" ({})", source.escape_debug())).unwrap_or_default();
        let instance = if self.instance == 0 { String::new() } else { format!(" of instance {}", self.instance) };
        format!("function {}{instance}{name} at offset {:#x}{source}, {}", self.function, self.offset, self.instruction)
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
        let RawSnapshot { job, segment, state, hash } = &self.raw;
        let machine = self.session().machine();
        let wasi = self.session().wasi();
        let views = machine.map(|machine| FrameViews::new(machine, &state.frames));
        let frames = state.frames.iter().rev().enumerate();
        let frames = views.map(|views| frames.map(|(number, frame)| views.view(frame, number == 0)).collect());
        let stream = |fd| wasi.and_then(|wasi| wasi.output_hash(fd)).map_or(0, |hash| hash.length());
        let descriptors = wasi.map(stepmark_hosts::wasi::Wasi::descriptors).unwrap_or_default();
        StateView {
            program: job.program.name.clone(),
            entry: job.entry.clone().unwrap_or_else(|| "_start".to_owned()),
            arguments: job.args.clone(),
            schedule: job.schedule.name.clone(),
            schedule_hash: hex(&job.schedule.hash),
            schedule_built_in: Schedule::builtin(&job.schedule.name).is_some(),
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
            frames: frames.unwrap_or_default(),
            results: state.results.iter().map(|bits| value(None, *bits)).collect(),
            instances: machine.map(|machine| self.instances(machine)).unwrap_or_default(),
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
        }
    }

    fn instances(&self, machine: &Machine) -> Vec<InstanceView> {
        let mut views = Vec::new();
        for (instance, state) in machine.store.instances.iter().zip(&self.raw.state.instances) {
            let module = &instance.module;
            let own = module.globals().iter().skip(module.imported_globals() as usize);
            let types = own.flat_map(|(ty, _)| std::iter::repeat_n(Some(ty.value), ty.value.slots() as usize));
            let own_tables = instance.tables.iter().skip(module.imported_tables() as usize);
            let table = |address: &u32| machine.store.tables.get(*address as usize).map(table_view);
            views.push(InstanceView {
                name: instance.name.clone(),
                globals: slots(&types.collect::<Vec<_>>(), &state.globals),
                memories: state.memories.clone(),
                tables: own_tables.filter_map(table).collect(),
                dropped_data: state.dropped_data.clone(),
                dropped_elements: state.dropped_elements.clone(),
            });
        }
        views
    }
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
        let kind = if self.paused { "state after snapshot" } else { "snapshot" };
        writeln!(
            f,
            "{kind} {} of {} {} {:?}, {}",
            self.snapshot,
            self.program.escape_debug(),
            self.entry,
            self.arguments,
            self.phase
        )?;
        writeln!(
            f,
            "gas: {} in total, {} of {} in the segment, schedule {}",
            self.gas_total,
            self.segment_gas,
            self.gas_limit,
            self.schedule.escape_debug()
        )?;
        writeln!(
            f,
            "hashes: job {}\n        snap {}\n        bin {}\n        previous {}\n        state {}\n        schedule {} ({})",
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
        write!(
            f,
            "written so far: {} bytes to standard output, {} to standard error",
            self.stdout_bytes, self.stderr_bytes
        )
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
