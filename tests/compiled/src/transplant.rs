//! From what compiled code has left to a machine, by the way that snapshots take: a state that is checked.

use anyhow::{Result, anyhow};
use stepmark_compile::LeftFrames;
use stepmark_core::machine::check::check_state;
use stepmark_core::machine::{DIRTY_PAGE, Machine};
use stepmark_state::canonical::{FrameState, Phase, RunState, SpaceState};
use stepmark_state::paged::Paged;
use stepmark_state::pages::{SPACE_MEMORY, SpaceId};

use crate::host::Host;
use crate::place::slot;

/// The frames that were left, as those of an instance.
pub fn frame_states(left: &LeftFrames, instance: u32) -> Vec<FrameState> {
    let state = |frame: &stepmark_compile::LeftFrame| FrameState {
        instance,
        func: frame.func,
        offset: frame.offset,
        locals: frame.locals.clone(),
        operands: frame.operands.clone(),
    };
    left.frames.iter().map(state).collect()
}

/// A machine like `machine`, made anew from `template`, with the memory and globals of a companion, these frames, of which the
/// outermost is a call of `func`, and so much gas spent.
///
/// # Errors
/// If the state is refused.
pub fn transplanted(
    template: &Machine,
    machine: &mut Machine,
    host: &Host,
    func: u32,
    frames: Vec<FrameState>,
    gas: u64,
) -> Result<Machine> {
    let layout = &host.placement.layout;
    let instance = machine.store.instances[layout.instance as usize].clone();
    for (place, address) in layout.globals.iter().zip(&instance.globals) {
        machine.store.globals[*address as usize] = slot(host.memory(), *place);
    }
    let mut fresh = template.clone();
    let state = state(machine, frames, gas);
    let checked =
        check_state(state, &mut fresh, func, Vec::new(), &[]).map_err(|error| anyhow!("{}", error.message()))?;
    fresh.restore(&checked).map_err(|error| anyhow!("{}", error.message()))?;
    fresh.resume_invocation(func);
    for space in machine.store.numbers() {
        for page in 0..machine.store.page_count(space) {
            let contents = machine.store.page(space, page);
            fresh.store.set_page(space, page, &contents);
        }
    }
    if let Some(address) = instance.memories.first() {
        let space = SpaceId::new(SPACE_MEMORY, machine.store.memories[*address as usize].number);
        let pages = host.placement.program_memory(host.memory()).as_chunks::<DIRTY_PAGE>().0;
        for (number, page) in pages.iter().enumerate() {
            fresh.store.set_page(space, number, page);
        }
    }
    Ok(fresh)
}

fn state(machine: &Machine, frames: Vec<FrameState>, gas: u64) -> RunState {
    let store = &machine.store;
    let space =
        |id: SpaceId| SpaceState { kind: id.kind, index: id.index, pages: store.page_count(id) as u64, root: [0; 32] };
    RunState {
        phase: if frames.is_empty() { Phase::Finished } else { Phase::Entry },
        awaiting: false,
        frames,
        results: Vec::new(),
        exceptions: machine.exception_states(),
        exception_slots: store.exceptions.counted(),
        spaces: store.numbers().into_iter().map(space).collect(),
        instances: machine.instance_states(),
        hosts: Vec::new(),
        gas_total: gas,
    }
}
