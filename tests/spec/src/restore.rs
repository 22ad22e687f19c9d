//! Takes a machine apart into the bytes of a `.snap` and a `.bin`, and puts it together again in a new machine that knows
//! nothing but the modules.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::check::{check_state, check_tables};
use stepmark_core::machine::{InstanceLinker, Machine, NoHost};
use stepmark_core::module::Module;
use stepmark_snapshot::bin::{BinHeader, BinReader};
use stepmark_snapshot::job::Job;
use stepmark_snapshot::snap;
use stepmark_snapshot::spaces::{Delta, Restore, Spaces};
use stepmark_state::canonical::{Phase, RunState, SegmentRecord};
use stepmark_state::limits::Limits;
use stepmark_state::paged::{dirty_marks, set_dirty_marks};

/// A module, what it was linked against, and how large all memories and tables were then.
#[derive(Clone)]
struct Linked {
    module: Arc<Module>,
    linker: InstanceLinker,
    pages: Vec<u64>,
    elements: Vec<u64>,
}

/// The modules of a machine, in the order of linking.
#[derive(Default)]
pub(super) struct History {
    linked: Vec<Linked>,
    zero: Option<(Machine, Spaces)>,
}

impl History {
    /// Notes that `module` is about to be linked on `machine`.
    pub(super) fn add(&mut self, module: Arc<Module>, linker: InstanceLinker, machine: &Machine) {
        let pages = machine.store.memories.iter().map(|m| m.pages()).collect();
        let elements = machine.store.tables.iter().map(|t| t.size()).collect();
        self.linked.push(Linked { module, linker, pages, elements });
        self.zero = None;
    }

    /// The last module noted was not linked after all.
    pub(super) fn forget(&mut self) {
        self.linked.pop();
    }

    /// A machine in state 0: all linked, active segments applied as far as they fit, nothing executed.
    fn state_zero(&mut self) -> Result<(Machine, Spaces)> {
        if self.zero.is_none() {
            let mut machine = Machine::new(Schedule::default(), Limits::default());
            for linked in &self.linked {
                linked.add_to(&mut machine)?;
            }
            let spaces = Spaces::new(&mut machine.store);
            self.zero = Some((machine, spaces));
        }
        self.zero.clone().context("just made")
    }
}

impl Linked {
    fn add_to(&self, machine: &mut Machine) -> Result<()> {
        // In the suite modules are linked after others have run; an import may rely on a memory that has grown since.
        for (memory, pages) in self.pages.iter().enumerate() {
            let more = pages - machine.store.memories[memory].pages();
            machine.store.grow_memory(memory as u32, more, &Limits::default())?;
        }
        for (table, size) in self.elements.iter().enumerate() {
            let more = size - machine.store.tables[table].size();
            machine.store.grow_table(table as u32, more, 0)?;
        }
        let instance = machine.link("", self.module.clone(), &self.linker, &NoHost)?;
        // One that does not fit trapped the first time too; its instance stays, as the specification has it.
        let _ = machine.store.write_segments(instance);
        Ok(())
    }
}

/// Encodes the machine in the middle of a call of `func`, and decodes, checks and restores it.
pub(super) fn round_trip(machine: &mut Machine, history: &mut History, func: u32) -> Result<Machine> {
    let (mut zero, mut spaces) = history.state_zero()?;
    machine.collect_exceptions();
    let header = BinHeader { base: false, paused: true, id: 0, job_hash: Job::default().job_hash(), previous: [0; 32] };
    let mut bin = Vec::new();
    // The marks say what may have changed since state 0, here and in the machine that goes on.
    let marks = dirty_marks(&mut machine.store);
    let mut chain = spaces.clone();
    let mut delta = Delta::new(&mut chain, &mut machine.store, &header, &mut bin);
    let mut bytes = Vec::new();
    loop {
        let more = delta.produce(&machine.store, &mut bin);
        bytes.append(&mut bin);
        if !more {
            break;
        }
    }
    let hash = delta.finish(&mut bytes);
    let state = RunState {
        phase: Phase::Entry,
        awaiting: false,
        frames: machine.frame_states(),
        results: Vec::new(),
        exceptions: machine.exception_states(),
        exception_slots: machine.store.exceptions.counted(),
        instances: machine.instance_states(),
        spaces: chain.states(&machine.store),
        hosts: Vec::new(),
        gas_total: machine.gas_total(),
    };
    let segment = SegmentRecord {
        id: 0,
        paused: true,
        limit: u64::MAX,
        gas_used: state.gas_total,
        previous_snap: [0; 32],
        bin: hash,
    };
    let (snap, _) = snap::encode(&Job::default(), &segment, &state)?;

    let raw = snap::decode(&snap)?;
    let checked = check_state(raw.state, &mut zero, func, Vec::new(), &[])?;
    zero.restore(&checked)?;
    zero.resume_invocation(func);
    spaces.update(&mut zero.store);
    let mut reader = BinReader::new();
    reader.push(&bytes, &mut Restore { contents: &mut zero.store, spaces: &mut spaces, contracts: false })?;
    ensure!(reader.finish()?.hash == raw.segment.bin, "the .bin is not the one that was written");
    ensure!(spaces.states(&zero.store) == checked.state().spaces, "the restored pages have other roots");
    check_tables(&mut zero)?;
    set_dirty_marks(&mut zero.store, &marks);
    Ok(zero)
}
