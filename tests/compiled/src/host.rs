//! A companion in wasmtime.

use anyhow::{Context, Result, anyhow};
use stepmark_compile::{Companion, EntrySite, Ingredient, LEFT, LeftFrames, emit_without, entry_offsets, slot_offset};
use stepmark_core::machine::Machine;
use stepmark_state::canonical::FrameState;
use wasmtime::{Config, Engine, Instance, Memory, MemoryType, Module, OptLevel, RegallocAlgorithm, Store, TypedFunc};

use crate::place::{Placement, slot};

/// wasmtime, to compile fast and be tested, or as a user has it.
///
/// # Errors
/// If it refuses its configuration.
pub fn engine(fast_code: bool) -> Result<Engine> {
    let mut config = Config::new();
    if !fast_code {
        config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
        config.memory_reservation(1 << 22).memory_guard_size(1 << 16).memory_reservation_for_growth(1 << 20);
    }
    config.parallel_compilation(false).wasm_backtrace_max_frames(None);
    Engine::new(&config).map_err(|error| anyhow!("{error}"))
}

/// How a call of compiled code ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It returned these values, with so much gas left.
    Returned(Vec<u64>, u64),
    /// It left.
    Left(LeftFrames),
}

/// The companion of an instance, ready to be called.
pub struct Host {
    /// Where the machine's parts lie.
    pub placement: Placement,
    /// The companion.
    pub companion: Companion,
    /// Whether it marks what it changes.
    pub marks: bool,
    store: Store<()>,
    memory: Memory,
    enter: TypedFunc<(i32, i32, i64), i64>,
    resume: TypedFunc<(i32, i32, i32, i64), i64>,
}

impl Host {
    /// Compiles all functions of an instance that can be, with an area of so many bytes for frames; `None` if that cannot be done.
    ///
    /// # Errors
    /// If the companion is no valid module, or wasmtime fails.
    pub fn new(engine: &Engine, machine: &Machine, number: u32, area: u32) -> Result<Option<Host>> {
        Host::without(&[], engine, machine, number, area)
    }

    /// The same with companions of which something is left out.
    ///
    /// # Errors
    /// As [`Host::new`].
    pub fn without(
        without: &[Ingredient],
        engine: &Engine,
        machine: &Machine,
        number: u32,
        area: u32,
    ) -> Result<Option<Host>> {
        let Some(placement) = Placement::new(machine, number, area) else { return Ok(None) };
        let module = &machine.store.instances[number as usize].module;
        let wanted: Vec<u32> = (module.imported_funcs()..module.func_count()).collect();
        let points = wanted.iter().map(|func| (*func, entry_offsets(module, *func))).collect();
        let companion = emit_without(without, module, machine.schedule(), &placement.layout, &wanted, &points);
        wasmparser::validate(&companion.wasm).context("the companion is invalid")?;
        let mut store = Store::new(engine, ());
        let pages = placement.end.div_ceil(1 << 16);
        let memory = Memory::new(&mut store, MemoryType::new(pages, Some(pages)))?;
        let compiled = Module::new(engine, &companion.wasm)?;
        let instance = Instance::new(&mut store, &compiled, &[memory.into()])?;
        let enter = instance.get_typed_func(&mut store, "enter")?;
        let resume = instance.get_typed_func(&mut store, "resume")?;
        let marks = !without.contains(&Ingredient::Marks);
        Ok(Some(Host { placement, companion, marks, store, memory, enter, resume }))
    }

    /// What the companion works in.
    pub fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// Puts the parts of a machine into place.
    pub fn load(&mut self, machine: &Machine) {
        self.placement.write(machine, self.memory.data_mut(&mut self.store));
    }

    /// Calls a compiled function with so much gas.
    ///
    /// # Errors
    /// If it traps, or its frames are none.
    pub fn call(&mut self, func: u32, args: &[u64], gas: u64) -> Result<Ended> {
        let frame = self.placement.frames;
        let memory = self.memory.data_mut(&mut self.store);
        for (number, arg) in (0..).zip(args) {
            let place = (frame + slot_offset(number)) as usize;
            memory[place..place + 8].copy_from_slice(&arg.to_le_bytes());
        }
        let gas = i64::try_from(gas)?;
        let left = self.enter.call(&mut self.store, (func as i32, frame as i32, gas))?;
        self.ended(func, frame, left)
    }

    /// Goes on with a frame that rests at an entry of its function, above frames of so many bytes.
    ///
    /// # Errors
    /// If it traps, or its frames are none.
    pub fn resume(&mut self, frame: &FrameState, above: u32, gas: u64) -> Result<Ended> {
        let place = self.placement.frames + above;
        let entry = self.entry(frame).context("the frame is at an entry")?.number;
        let memory = self.memory.data_mut(&mut self.store);
        for (number, value) in (0..).zip(frame.locals.iter().chain(&frame.operands)) {
            let slot = (place + slot_offset(number)) as usize;
            memory[slot..slot + 8].copy_from_slice(&value.to_le_bytes());
        }
        let (func, gas) = (frame.func as i32, i64::try_from(gas)?);
        let left = match entry {
            0 => self.enter.call(&mut self.store, (func, place as i32, gas))?,
            entry => self.resume.call(&mut self.store, (func, entry as i32, place as i32, gas))?,
        };
        self.ended(frame.func, place, left)
    }

    /// The entry at which a frame rests.
    pub fn entry(&self, frame: &FrameState) -> Option<&EntrySite> {
        self.companion.entry(frame.func, frame.offset, &frame.locals)
    }

    fn ended(&self, func: u32, frame: u32, left: i64) -> Result<Ended> {
        let memory = self.memory.data(&self.store);
        if left != LEFT {
            let results = self.companion.funcs[&func].results.len() as u32;
            let values = (0..results).map(|number| slot(memory, frame + slot_offset(number))).collect();
            return Ok(Ended::Returned(values, u64::try_from(left).context("gas was overspent")?));
        }
        let layout = &self.placement.layout;
        let innermost = slot(memory, layout.innermost) as u32;
        let gas = slot(memory, layout.gas).cast_signed();
        let frames = self.companion.left_frames(memory, frame, innermost, gas);
        Ok(Ended::Left(frames.context("what was left is no frames of this companion")?))
    }
}
