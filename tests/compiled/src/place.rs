//! The parts of a machine in a memory that a companion works in: where they lie, how they get there and back.

use stepmark_compile::{BEYOND, Layout, MARK_REACH, TablePlace, frame_bound};
use stepmark_core::machine::{DIRTY_PAGE, Instance, Machine};
use stepmark_state::limits::WASM_PAGE;

/// First byte of the globals; below it are single words.
const GLOBALS: u32 = 4096;
/// Bytes to which a program's memory may grow while it is compiled.
const GROWN: u64 = 16 << 20;
/// Elements to which a table may grow.
const GROWN_TABLE: u64 = 1000;
/// Bytes of a page of WebAssembly.
const PAGE: u32 = WASM_PAGE as u32;

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Placement {
    /// What the emitter is told.
    pub layout: Layout,
    /// The first frame.
    pub frames: u32,
    /// The most bytes that the program's memory may have here.
    capacity: u32,
    /// The most elements that each table may have here.
    elements: Vec<u32>,
    /// Bytes of the whole.
    pub end: u32,
}

impl Placement {
    /// A place for the parts of an instance, with an area of so many bytes for frames; `None` if the job allows too little to
    /// compile for, or the memory is too large.
    pub fn new(machine: &Machine, number: u32, area: u32) -> Option<Placement> {
        let instance = &machine.store.instances[number as usize];
        let size = memory_of(machine, instance).len() as u64;
        let capacity = u32::try_from(size.max(most_memory(machine, instance).min(GROWN))).ok()?;
        let mut next = GLOBALS;
        let mut take = |bytes: u32| {
            let place = next;
            next = (next + bytes).next_multiple_of(64);
            place
        };
        let globals = take(8 * machine.store.globals.len() as u32);
        let globals = instance.globals.iter().map(|slot| globals + 8 * slot).collect();
        let room = |address: &u32| {
            let table = &machine.store.tables[*address as usize];
            table.size().max(table.max_size().min(GROWN_TABLE)) as u32
        };
        let elements: Vec<u32> = instance.tables.iter().map(room).collect();
        let tables = (0..).zip(&elements);
        let tables =
            tables.map(|(index, room)| TablePlace { elements: take(8 * room), size: 64 + 4 * index }).collect();
        let signatures = take(4 * instance.module.func_count());
        let marks = take(capacity / DIRTY_PAGE as u32 + MARK_REACH);
        let frames = take(area + BEYOND);
        let memory = (next + PAGE).next_multiple_of(PAGE);
        let limits = machine.limits();
        let bound = frame_bound(limits.call_depth.into(), limits.stack_slots.into(), area.into())?;
        let layout = Layout {
            instance: number,
            memory,
            memory_size: 24,
            marks,
            globals,
            tables,
            signatures,
            gas: 16,
            innermost: 8,
            frame_limit: frames + bound,
        };
        let end = memory.checked_add(capacity)?.checked_add(PAGE)?;
        Some(Placement { layout, frames, capacity, elements, end })
    }

    /// Whether the parts of a machine, which may have grown, still have room.
    pub fn holds(&self, machine: &Machine) -> bool {
        let instance = &machine.store.instances[self.layout.instance as usize];
        let fits = |(address, room): (&u32, &u32)| machine.store.tables[*address as usize].size() <= u64::from(*room);
        memory_of(machine, instance).len() <= self.capacity as usize
            && instance.tables.iter().zip(&self.elements).all(fits)
    }

    /// Puts the parts of a machine into memory, with no page marked.
    pub fn write(&self, machine: &Machine, memory: &mut [u8]) {
        let layout = &self.layout;
        let instance = &machine.store.instances[layout.instance as usize];
        let mut put = |place: u32, bytes: &[u8]| memory[place as usize..][..bytes.len()].copy_from_slice(bytes);
        let bytes = memory_of(machine, instance);
        put(layout.memory, bytes);
        put(layout.memory_size, &(bytes.len() as u32).to_le_bytes());
        put(layout.marks, &vec![0; bytes.len() / DIRTY_PAGE]);
        for (place, slot) in layout.globals.iter().zip(&instance.globals) {
            put(*place, &machine.store.globals[*slot as usize].to_le_bytes());
        }
        for (place, address) in layout.tables.iter().zip(&instance.tables) {
            let elements = machine.store.tables[*address as usize].elements();
            put(place.size, &(elements.len() as u32).to_le_bytes());
            put(place.elements, &elements.iter().flat_map(|element| element.to_le_bytes()).collect::<Vec<_>>());
        }
    }

    /// The program's memory.
    pub fn program_memory<'a>(&self, memory: &'a [u8]) -> &'a [u8] {
        let size = slot(memory, self.layout.memory_size) as u32;
        &memory[self.layout.memory as usize..][..size as usize]
    }

    /// Whether a page of 4 KiB is among those that a mark stands for.
    pub fn is_marked(&self, memory: &[u8], page: usize) -> bool {
        let marks = &memory[self.layout.marks as usize..];
        marks[page.saturating_sub(MARK_REACH as usize)..=page].iter().any(|mark| *mark != 0)
    }
}

/// The bytes of an instance's first memory; none if it has none.
pub fn memory_of<'a>(machine: &'a Machine, instance: &Instance) -> &'a [u8] {
    instance.memories.first().map_or(&[], |address| machine.store.memories[*address as usize].bytes())
}

/// The most bytes that an instance's first memory may have.
fn most_memory(machine: &Machine, instance: &Instance) -> u64 {
    let most = instance.memories.first().map_or(0, |address| machine.store.memories[*address as usize].max_pages());
    most.saturating_mul(WASM_PAGE)
}

/// A slot of 64 bits.
pub fn slot(memory: &[u8], place: u32) -> u64 {
    let bytes = &memory[place as usize..][..8];
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
