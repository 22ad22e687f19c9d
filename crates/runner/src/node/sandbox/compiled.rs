//! Compiled code beside the module: the program's functions, emitted as a companion module that wasmtime compiles. It works in the module's
//! own memory, so that whoever takes a snapshot, a pause or the module's memory sees nothing of it. The module
//! says where compiled code can go on, and is told what it has come to (docs/guest-abi.md).

use std::collections::{BTreeMap, BTreeSet};
use std::thread::JoinHandle;
use std::time::Instant;

use stepmark_compile::{Companion, LEFT, Layout, LeftFrames, TablePlace, emit, frame_bound, loop_offsets, slot_offset};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::ENTER_WORDS;
use stepmark_core::module::{Features, Module as Program};
use stepmark_session::{Budget, Event};
use wasmtime::{Engine, Instance, Module, Store, StoreLimits, TypedFunc};

use super::{WasmNode, index};
use crate::failure::{Failure, IO, Result};
use crate::node::engine::{CompiledWork, ModuleSession, TierChoice};

/// What is said where compiled code fails.
const FAULT: &str = "compiled code failed (a fault of its own, not of the program)";
/// What `node_run_or_enter` returns for instance 0.
const ENTER: usize = 16;
/// Bytes for frames of compiled code. wasmtime's stack holds them, whose frames are larger.
const AREA: u32 = 64 << 10;
/// Gas that a program has used here when it is compiled, if that is not done from the beginning.
const HOT: u64 = 20_000_000;
/// Gas that a turn of compiled code must charge to be worth its while.
const LEAST_TURN: u64 = 64;
/// Turns of less, more than of others, after which a function is left to the interpreter; and after a number of them in all functions.
const MOST_IDLE: u32 = 1000;
const MOST_IDLE_LATER: u32 = 10;
const IDLE_IN_ALL: u64 = 10_000;
/// Functions that are taken back at once, each of them; later ones wait for others: the module translates anew then.
const TAKEN_AT_ONCE: usize = 16;
const TAKEN_TOGETHER: usize = 64;

/// The module's functions for compiled code; not in modules of releases before they were added.
pub(super) struct CompiledExports {
    run_or_enter: TypedFunc<(u64, u64), i32>,
    compile: TypedFunc<(u32, u32), i32>,
    hand_over: TypedFunc<(u32, u32), i32>,
    entered: TypedFunc<(u32, u32, u64), i32>,
}

impl CompiledExports {
    pub(super) fn find(store: &mut Store<StoreLimits>, instance: Instance) -> Option<Self> {
        Some(Self {
            run_or_enter: instance.get_typed_func(&mut *store, "node_run_or_enter").ok()?,
            compile: instance.get_typed_func(&mut *store, "node_compile").ok()?,
            hand_over: instance.get_typed_func(&mut *store, "node_hand_over").ok()?,
            entered: instance.get_typed_func(&mut *store, "node_entered").ok()?,
        })
    }
}

/// The compiled code of a run.
#[derive(Default)]
pub(super) struct CompiledCode {
    stage: Stage,
    /// Gas of the run at which to look whether anything should be compiled, once it has begun here.
    next: Option<u64>,
    /// Gas from the last look to the next.
    pace: u64,
    /// Gas of the run, and of compiled code, when there was compiled code the last time.
    before: (u64, u64),
    /// By instance, the functions that were to be compiled so far.
    wanted: BTreeMap<u32, BTreeSet<u32>>,
    instances: BTreeMap<u32, Compiled>,
    pub(super) work: CompiledWork,
    /// Turns that were not worth their while.
    idle: u64,
    /// Values of the frame that is entered.
    values: Vec<u64>,
}

/// How far the compiled code of a run has come.
#[derive(Default)]
enum Stage {
    /// Nothing is compiled yet.
    #[default]
    Waiting,
    /// Other threads compile.
    Making(Vec<Making>),
    /// All that can be compiled is.
    Ready,
}

/// Compiled code of an instance in the making.
struct Making {
    instance: u32,
    places: Places,
    began: Instant,
    /// What it gives; nothing if the host's compiler does not take it.
    thread: JoinHandle<Option<(Companion, Module)>>,
}

/// Compiled code of an instance.
struct Compiled {
    companion: Companion,
    places: Places,
    enter: TypedFunc<(i32, i32, i64), i64>,
    resume: TypedFunc<(i32, i32, i32, i64), i64>,
    /// By function, turns that were not worth their while, less those that were.
    idle: BTreeMap<u32, u32>,
    /// Functions that were taken back, or will be: the last so many.
    given_up: Vec<u32>,
    waiting: usize,
}

/// Where things lie in the module's memory.
#[derive(Clone, Debug)]
struct Places {
    layout: Layout,
    /// The workspace.
    words: u32,
    /// The first frame.
    frames: u32,
}

/// What the module says of an instance.
struct Told {
    words: Vec<u64>,
}

impl Told {
    const PROGRAM: usize = 4;
    const SCHEDULE: usize = 6;
    const DEPTH: usize = 8;
    const SLOTS: usize = 9;
    const GLOBALS: usize = 10;

    fn word(&self, at: usize) -> u32 {
        self.words.get(at).and_then(|word| u32::try_from(*word).ok()).unwrap_or(0)
    }

    /// The list whose length is at a word, and where the words after it begin.
    fn list(&self, at: usize) -> (Vec<u32>, usize) {
        let end = (at + 1).saturating_add(index(self.word(at)));
        ((at + 1..end.min(self.words.len())).map(|at| self.word(at)).collect(), end)
    }

    fn tables(&self) -> (Vec<u32>, usize) {
        self.list(self.list(Self::GLOBALS).1)
    }

    /// Functions that have run.
    fn called(&self) -> Vec<u32> {
        let (_, begin) = self.tables();
        (begin..self.words.len()).map(|at| self.word(at)).collect()
    }

    /// Words of the workspace that an instance of a program of so many functions needs.
    fn workspace(&self, funcs: u32) -> u32 {
        let fixed = (ENTER_WORDS + self.tables().0.len() + 2) as u32;
        fixed + funcs.div_ceil(2) + AREA / 8
    }

    /// How the workspace is divided: `None` if the job allows too little to compile for.
    fn places(&self, instance: u32, funcs: u32) -> Option<Places> {
        let words = self.word(0);
        let (tables, sizes) = (self.tables().0, words + 8 * ENTER_WORDS as u32);
        let gas = sizes + 8 * tables.len() as u32;
        let signatures = gas + 16;
        let frames = signatures + 8 * funcs.div_ceil(2);
        let bound = frame_bound(self.word(Self::DEPTH).into(), self.word(Self::SLOTS).into(), AREA.into())?;
        let table = |(number, elements): (u32, u32)| TablePlace { elements, size: sizes + 8 * number };
        let layout = Layout {
            instance,
            memory: self.word(3),
            memory_size: words + 56,
            marks: self.word(1),
            globals: self.list(Self::GLOBALS).0,
            tables: (0..).zip(tables).map(table).collect(),
            signatures,
            gas,
            innermost: gas + 8,
            frame_limit: frames + bound,
        };
        Some(Places { layout, words, frames })
    }
}

/// What is to be gone on with.
struct Entering {
    func: u32,
    offset: u32,
    gas: u64,
    values: u32,
    count: u32,
    frames: u64,
    slots: u64,
}

/// What a turn came to.
struct TurnEnd {
    how: u32,
    at: u32,
    gas_left: u64,
}

impl WasmNode {
    /// Lets the program's functions be compiled as the tier says.
    ///
    /// # Errors
    /// Exit code 2 if the module is of a release that cannot do so.
    pub fn set_tier(&mut self, tier: TierChoice) -> Result<()> {
        if tier != TierChoice::Register && self.exports.compiled.is_none() {
            return Err(Failure::usage("the module is of an older release: it runs no compiled code"));
        }
        self.tier = tier;
        Ok(())
    }

    /// Runs on, in compiled code where there is some.
    pub(super) fn run_or_enter(&mut self, budget: Budget) -> Result<Event> {
        let (whole, mut budget) = (budget.gas, budget);
        self.make_progress()?;
        let before = self.progress()?.gas_total;
        loop {
            let value = self.call(|exports| &exports.for_compiled().run_or_enter, (budget.gas, budget.steps))?;
            let value = self.check(value)?;
            let Some(instance) = value.checked_sub(ENTER).and_then(|instance| u32::try_from(instance).ok()) else {
                return self.event(value);
            };
            budget.gas = match self.enter(instance)? {
                Some(gas_left) => gas_left,
                // The module has run up to there all the same.
                None => whole.saturating_sub(self.progress()?.gas_total.saturating_sub(before)),
            };
            budget.steps = budget.steps.saturating_sub(1);
        }
    }

    /// Begins to compile, or takes what has been compiled, if it is time.
    fn make_progress(&mut self) -> Result<()> {
        let is_auto = self.tier == TierChoice::Auto;
        if is_auto && !self.is_hot()? {
            return Ok(());
        }
        match std::mem::take(&mut self.compiled.stage) {
            Stage::Waiting => {
                let mut all = Vec::new();
                for instance in 0.. {
                    match self.begin(instance)? {
                        Some(making) => all.extend(making),
                        None => break,
                    }
                }
                self.compiled.stage = Stage::Making(all);
                if is_auto { Ok(()) } else { self.make_progress() }
            }
            Stage::Making(all) if is_auto && !all.iter().all(|one| one.thread.is_finished()) => {
                self.compiled.stage = Stage::Making(all);
                Ok(())
            }
            Stage::Making(all) => {
                self.compiled.stage = Stage::Ready;
                self.compiled.before = (self.progress()?.gas_total, self.compiled.work.gas);
                all.into_iter().try_for_each(|making| self.take_in(making))
            }
            Stage::Ready => {
                self.compiled.stage = Stage::Ready;
                Ok(())
            }
        }
    }

    /// Whether it is time to compile, or to compile anew: what runs at the beginning of a program is not what runs later.
    fn is_hot(&mut self) -> Result<bool> {
        let total = self.progress()?.gas_total;
        let code = &mut self.compiled;
        let next = *code.next.get_or_insert(total.saturating_add(HOT));
        let (before, compiled) = code.before;
        match code.stage {
            Stage::Making(_) => return Ok(true),
            Stage::Waiting if total < next => return Ok(false),
            Stage::Ready if total < next.max(before.saturating_add(HOT)) => return Ok(false),
            Stage::Waiting | Stage::Ready => {}
        }
        // The longer a program runs, the less often.
        code.pace = code.pace.max(HOT).saturating_mul(4);
        code.next = Some(total.saturating_add(code.pace));
        if matches!(code.stage, Stage::Ready) {
            let is_well_used = (code.work.gas - compiled) / 4 >= (total - before) / 5;
            if is_well_used {
                return Ok(false);
            }
            self.begin_anew()?;
        }
        Ok(true)
    }

    /// Takes everything back, and with it what compiled code has marked.
    fn begin_anew(&mut self) -> Result<()> {
        self.compiled.stage = Stage::Waiting;
        self.compiled.instances.clear();
        self.hand_over(0, &[])
    }

    /// Begins to compile an instance, if it is one, and if anything of it can be.
    fn begin(&mut self, instance: u32) -> Result<Option<Option<Making>>> {
        let value = self.call(|exports| &exports.for_compiled().compile, (instance, 0))?;
        if value < 0 {
            return Ok(None);
        }
        let told = self.told(value)?;
        let bytes = self.piece(told.word(Told::PROGRAM), told.word(Told::PROGRAM + 1))?.to_vec();
        let text = String::from_utf8_lossy(self.piece(told.word(Told::SCHEDULE), told.word(Told::SCHEDULE + 1))?);
        let schedule = Schedule::parse("of-the-job", &text)?;
        let program = Program::parse(bytes, Features::default())?;
        let called = told.called();
        let value =
            self.call(|exports| &exports.for_compiled().compile, (instance, told.workspace(program.func_count())))?;
        let told = self.told(value)?;
        let Some(places) = told.places(instance, program.func_count()) else { return Ok(Some(None)) };
        let is_wanted = |func: &u32| self.tier == TierChoice::Compiled || called.contains(func);
        let wanted = self.compiled.wanted.entry(instance).or_default();
        wanted.extend((program.imported_funcs()..program.func_count()).filter(is_wanted));
        let wanted: Vec<u32> = wanted.iter().copied().collect();
        let (engine, layout) = (self.store.engine().clone(), places.layout.clone());
        let began = Instant::now();
        let thread = std::thread::spawn(move || compile(&engine, &program, &schedule, &layout, &wanted));
        Ok(Some(Some(Making { instance, places, began, thread })))
    }

    fn told(&mut self, value: i32) -> Result<Told> {
        let bytes = self.bytes(value)?;
        Ok(Told { words: bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect() })
    }

    /// Bytes of the module's memory.
    fn piece(&self, address: u32, length: u32) -> Result<&[u8]> {
        let bytes = self.memory.data(&self.store).get(index(address)..).and_then(|rest| rest.get(..index(length)));
        bytes.ok_or_else(|| Failure::new(IO, "the module names bytes outside its memory"))
    }

    /// Hands over what has been compiled.
    fn take_in(&mut self, making: Making) -> Result<()> {
        let Making { instance, places, began, thread } = making;
        let Some((companion, module)) = thread.join().map_err(|_| Failure::new(IO, FAULT))? else { return Ok(()) };
        let failed = |error: wasmtime::Error| Failure::wasmtime(IO, FAULT, &error);
        let made = Instance::new(&mut self.store, &module, &[self.memory.into()]).map_err(failed)?;
        let enter = made.get_typed_func(&mut self.store, "enter").map_err(failed)?;
        let resume = made.get_typed_func(&mut self.store, "resume").map_err(failed)?;
        let mut words = Vec::new();
        for (func, entries) in &companion.entries {
            words.extend([u64::from(*func), entries.len() as u64]);
            words.extend(entries.iter().flat_map(|(at, entry)| [u64::from(*at), entry.gas.cast_unsigned()]));
        }
        self.hand_over(instance, &words)?;
        self.compiled.work.funcs += companion.funcs.len() as u64;
        self.compiled.work.compiling = self.compiled.work.compiling.max(began.elapsed());
        let compiled =
            Compiled { companion, places, enter, resume, idle: BTreeMap::new(), given_up: Vec::new(), waiting: 0 };
        self.compiled.instances.insert(instance, compiled);
        Ok(())
    }

    fn hand_over(&mut self, instance: u32, words: &[u64]) -> Result<()> {
        let length = self.write(&bytes_of(words))?;
        let value = self.call(|exports| &exports.for_compiled().hand_over, (instance, length))?;
        self.check(value).map(|_| ())
    }

    /// Lets compiled code of an instance go on; the gas that is left of what the module said there was, if it did.
    fn enter(&mut self, instance: u32) -> Result<Option<u64>> {
        let Some(compiled) = self.compiled.instances.get(&instance) else {
            // Somebody else has compiled it, where the run was before.
            self.hand_over(instance, &[])?;
            return Ok(None);
        };
        let words = self.piece(compiled.places.words, 8 * ENTER_WORDS as u32)?;
        let entering = Entering::read(words);
        if entering.offset == 0 {
            // Its parts lie elsewhere now.
            self.begin_anew()?;
            self.compiled.next = Some(0);
            self.make_progress()?;
            return Ok(None);
        }
        let end = self.turn(instance, &entering)?;
        let spent = entering.gas.saturating_sub(end.gas_left);
        self.compiled.work.gas += spent;
        self.compiled.work.turns += 1;
        self.compiled.work.left += u64::from(end.how == 2);
        let value = self.call(|exports| &exports.for_compiled().entered, (end.how, end.at, end.gas_left))?;
        self.check(value)?;
        self.judge(instance, entering.func, spent)?;
        Ok(Some(end.gas_left))
    }

    /// A turn of compiled code.
    fn turn(&mut self, instance: u32, entering: &Entering) -> Result<TurnEnd> {
        let not = TurnEnd { how: 0, at: 0, gas_left: entering.gas };
        let mut values = std::mem::take(&mut self.compiled.values);
        values.clear();
        let stack = self.piece(entering.values, entering.count.saturating_mul(8))?;
        values.extend(stack.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)));
        let Some(compiled) = self.compiled.instances.get(&instance) else { return Ok(not) };
        let Compiled { companion, places, .. } = compiled;
        let locals = companion.funcs.get(&entering.func).map_or(0, |func| func.locals.len());
        let locals = values.get(..locals).unwrap_or_default();
        let entry = companion.entry(entering.func, entering.offset, locals);
        self.compiled.values = values;
        let (Some(entry), Some(place)) = (entry, places.place(entering)) else { return Ok(not) };
        let memory = self.memory.data_mut(&mut self.store);
        let (from, to) = (index(entering.values), index(place + slot_offset(0)));
        memory.copy_within(from..from + 8 * index(entering.count), to);
        let gas = entering.gas.min(i64::MAX as u64);
        let kept = entering.gas - gas;
        let (func, frame) = (entering.func.cast_signed(), place.cast_signed());
        let left = match entry.number {
            0 => compiled.enter.call(&mut self.store, (func, frame, gas.cast_signed())),
            number => compiled.resume.call(&mut self.store, (func, number.cast_signed(), frame, gas.cast_signed())),
        };
        let left = left.map_err(|error| Failure::wasmtime(IO, FAULT, &error))?;
        if left != LEFT {
            let rest = u64::try_from(left).map_err(|_| Failure::new(IO, FAULT))?;
            let at = (place + slot_offset(0) - places.words) / 8;
            return Ok(TurnEnd { how: 1, at, gas_left: kept + rest });
        }
        let memory = self.memory.data(&self.store);
        let word = |at: u32| Some(u64::from_le_bytes(*memory.get(index(at)..)?.first_chunk()?));
        let layout = &places.layout;
        let frames = word(layout.innermost)
            .zip(word(layout.gas))
            .and_then(|(innermost, gas)| companion.left_frames(memory, place, innermost as u32, gas.cast_signed()));
        let left = frames.ok_or_else(|| Failure::new(IO, FAULT))?;
        let at = self.write(&bytes_of(&words_of(&left)))?;
        Ok(TurnEnd { how: 2, at, gas_left: kept + left.gas })
    }

    /// Takes a function back that is entered again and again for nothing.
    fn judge(&mut self, instance: u32, func: u32, spent: u64) -> Result<()> {
        let Some(compiled) = self.compiled.instances.get_mut(&instance) else { return Ok(()) };
        if spent >= LEAST_TURN {
            if let Some(idle) = compiled.idle.get_mut(&func) {
                *idle = idle.saturating_sub(1);
            }
            return Ok(());
        }
        self.compiled.idle += 1;
        let most = if self.compiled.idle < IDLE_IN_ALL { MOST_IDLE } else { MOST_IDLE_LATER };
        let idle = compiled.idle.entry(func).or_default();
        *idle += 1;
        if *idle < most || compiled.companion.entries.remove(&func).is_none() {
            return Ok(());
        }
        compiled.given_up.push(func);
        compiled.waiting += 1;
        if compiled.given_up.len() > TAKEN_AT_ONCE && compiled.waiting < TAKEN_TOGETHER {
            return Ok(());
        }
        let waiting = std::mem::take(&mut compiled.waiting);
        let those = &compiled.given_up[compiled.given_up.len() - waiting..];
        let words: Vec<u64> = those.iter().flat_map(|func| [u64::from(*func), 0]).collect();
        self.hand_over(instance, &words)
    }
}

impl Places {
    /// Where a frame is put, so that no more frames and slots come above it than the job allows: `None` if that is nowhere.
    fn place(&self, entering: &Entering) -> Option<u32> {
        let bound = frame_bound(entering.frames, entering.slots, AREA.into())?;
        Some(self.layout.frame_limit.saturating_sub(bound).max(self.frames))
    }
}

impl Entering {
    fn read(bytes: &[u8]) -> Entering {
        let word = |at: usize| bytes.as_chunks().0.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        Entering {
            func: word(0) as u32,
            offset: word(1) as u32,
            gas: word(2),
            values: word(3) as u32,
            count: word(4) as u32,
            frames: word(5),
            slots: word(6),
        }
    }
}

/// Emits and compiles functions. A function can be too large for the host's compiler: the interpreter runs the program then.
fn compile(
    engine: &Engine,
    program: &Program,
    schedule: &Schedule,
    layout: &Layout,
    wanted: &[u32],
) -> Option<(Companion, Module)> {
    // A function without loops comes to its end soon: to go on in the middle of it is not worth its code.
    let points = wanted.iter().map(|func| (*func, loop_offsets(program, *func)));
    let points = points.filter(|(_, offsets)| !offsets.is_empty()).collect();
    let companion = emit(program, schedule, layout, wanted, &points);
    debug_assert!(wasmparser::validate(&companion.wasm).is_ok(), "the companion is valid");
    let module = Module::new(engine, &companion.wasm).ok()?;
    Some((companion, module))
}

/// Frames as the module takes them.
fn words_of(left: &LeftFrames) -> Vec<u64> {
    let mut words = Vec::new();
    for frame in &left.frames {
        words.extend([frame.func.into(), frame.offset.into(), frame.operands.len() as u64]);
        words.extend(frame.locals.iter().chain(&frame.operands));
    }
    words
}

fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
