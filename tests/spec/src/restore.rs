//! Takes a machine apart into the bytes of a `.snap` and a `.bin`, and puts it together again in a new machine that knows
//! nothing but the modules.

use std::sync::Arc;

use anyhow::{Result, ensure};
use guest_interp::gas::Schedule;
use guest_interp::job::Job;
use guest_interp::limits::Limits;
use guest_interp::module::Module;
use guest_interp::runtime::{Delta, Linker, Machine, NoHost, Restore, Spaces};
use guest_interp::snapshot::bin::{BinHeader, BinReader};
use guest_interp::snapshot::check::{check_state, check_tables};
use guest_interp::snapshot::snap;
use guest_interp::snapshot::state::{Phase, Segment, State};

/// The modules of a machine, each with the names it was linked against.
#[derive(Clone, Default)]
pub(super) struct History(Vec<(Arc<Module>, Linker)>);

impl History {
    pub(super) fn add(&mut self, module: Arc<Module>, linker: Linker) {
        self.0.push((module, linker));
    }

    /// A machine in state 0: all linked, active segments applied as far as they fit, nothing executed.
    fn state_zero(&self) -> Result<Machine> {
        let mut machine = Machine::new(Schedule::default(), Limits::default());
        for (module, linker) in &self.0 {
            let instance = machine.link("", module.clone(), linker, &NoHost)?;
            // One that does not fit trapped the first time too; its instance stays, as the specification has it.
            let _ = machine.store.write_segments(instance);
        }
        Ok(machine)
    }
}

/// Encodes the machine in the middle of a call of `func`, and decodes, checks and restores it.
pub(super) fn round_trip(machine: &mut Machine, history: &History, func: u32) -> Result<Machine> {
    let mut zero = history.state_zero()?;
    let mut spaces = Spaces::new(&mut zero.store);
    let header = BinHeader { paused: true, id: 0, job_hash: Job::default().job_hash(), previous: [0; 32] };
    let mut bin = Vec::new();
    // Which pages changed is left to their hashes: the marks of the machine are of its own time.
    machine.store.mark_all();
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
    let state = State {
        phase: Phase::Entry,
        awaiting: false,
        frames: machine.frame_states(),
        results: Vec::new(),
        instances: machine.instance_states(),
        spaces: chain.states(&machine.store),
        hosts: Vec::new(),
        gas_total: machine.gas_total(),
    };
    let segment =
        Segment { id: 0, paused: true, limit: u64::MAX, gas_used: state.gas_total, previous_snap: [0; 32], bin: hash };
    let (snap, _) = snap::encode(&Job::default(), &segment, &state)?;

    let raw = snap::decode(&snap)?;
    let checked = check_state(raw.state, &mut zero, func)?;
    zero.restore(&checked)?;
    zero.resume_invocation(func);
    spaces.update(&mut zero.store);
    let mut reader = BinReader::new();
    reader.push(&bytes, &mut Restore { store: &mut zero.store, spaces: &mut spaces })?;
    ensure!(reader.finish()?.hash == raw.segment.bin, "the .bin is not the one that was written");
    ensure!(spaces.states(&zero.store) == checked.state().spaces, "the restored pages have other roots");
    check_tables(&mut zero)?;
    Ok(zero)
}
