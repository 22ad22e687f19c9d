//! Compiled code beside the module: the program's functions, emitted as a companion module that wasmtime compiles. It works in the module's
//! own memory, so that whoever takes a snapshot, a pause or the module's memory sees nothing of it. The module
//! says where compiled code can go on, and is told what it has come to (docs/guest-abi.md).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use stepmark_compile::LEFT;
use stepmark_compile::host::{Entering, HostedCompanion, Look, Lost, MOST_GAS, Pace, Told, bytes_of, words_of};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::ENTER_WORDS;
use stepmark_core::module::{Features, Module as Program};
use stepmark_session::{Budget, Event};
use wasmtime::{Engine, Instance, Module, Store, StoreLimits, TypedFunc};

use super::{STACK, WasmNode, index};
use crate::failure::{Failure, IO, Result};
use crate::node::engine::{CompiledWork, ModuleSession, TierChoice};
use crate::this_machine::cores;

/// Bytes for frames of compiled code: half of the stack that wasmtime has for them.
const AREA: u32 = (STACK / 2) as u32;
/// Instances whose functions are compiled: each has room for frames of its own in the module's memory.
const MOST_INSTANCES: usize = 64;
/// Time after which somebody who waits for the compiler looks up.
const LOOK_UP: Duration = Duration::from_millis(5);
/// What is said where compiled code fails.
const FAULT: &str = "compiled code failed (a fault of its own, not of the program)";
/// What `node_run_or_enter` returns for instance 0.
const ENTER: usize = 16;
/// What `node_entered` is told: compiled code does not go on there, its function has returned, it has left.
const NOT: u32 = 0;
const RETURNED: u32 = 1;
const WAS_LEFT: u32 = 2;

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
    pace: Pace,
    /// The programs of the instances, once they have been read.
    programs: BTreeMap<u32, Arc<Program>>,
    /// By instance, the functions that were to be compiled so far.
    wanted: BTreeMap<u32, BTreeSet<u32>>,
    instances: BTreeMap<u32, Compiled>,
    pub(super) work: CompiledWork,
    lost: Lost,
    /// Locals of the frame that is entered.
    locals: Vec<u64>,
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

/// An instance of which functions are to be compiled.
struct Subject {
    instance: u32,
    /// Words of the workspace that it needs.
    words: u32,
    program: Arc<Program>,
    schedule: Schedule,
    wanted: Vec<u32>,
}

/// Compiled code of an instance in the making.
struct Making {
    instance: u32,
    began: Instant,
    /// What it gives; nothing if the host's compiler does not take it.
    thread: JoinHandle<Option<(HostedCompanion, Module)>>,
}

/// Compiled code of an instance.
struct Compiled {
    hosted: HostedCompanion,
    enter: TypedFunc<(i32, i32, i64), i64>,
    resume: TypedFunc<(i32, i32, i32, i64), i64>,
}

/// What a turn came to, as `node_entered` takes it.
struct TurnEnd {
    how: u32,
    at: u32,
    gas_left: u64,
    /// Frames that were left.
    frames: u32,
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

    /// What runs the program.
    pub fn tier(&self) -> TierChoice {
        self.tier
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
        if is_auto && !self.is_time()? {
            return Ok(());
        }
        match std::mem::take(&mut self.compiled.stage) {
            Stage::Waiting => {
                let subjects = self.subjects()?;
                if is_auto && !self.is_worth(&subjects)? {
                    return Ok(());
                }
                let mut all = Vec::new();
                for subject in subjects {
                    all.extend(self.begin(subject)?);
                }
                self.compiled.stage = Stage::Making(all);
                if is_auto { Ok(()) } else { self.make_progress() }
            }
            Stage::Making(all) if is_auto && !all.iter().all(|one| one.thread.is_finished()) => {
                self.compiled.stage = Stage::Making(all);
                Ok(())
            }
            Stage::Making(all) if !is_auto && !self.wait_for(&all) => {
                self.compiled.stage = Stage::Making(all);
                Ok(())
            }
            Stage::Making(all) => {
                self.compiled.stage = Stage::Ready;
                let total = self.progress()?.gas_total;
                self.compiled.pace.taken_in(total, self.compiled.work.gas);
                all.into_iter().try_for_each(|making| self.take_in(making))
            }
            Stage::Ready => {
                self.compiled.stage = Stage::Ready;
                Ok(())
            }
        }
    }

    /// Waits until all is compiled: not if the user wants the run to stop, which the interpreter does soon.
    fn wait_for(&self, all: &[Making]) -> bool {
        while !all.iter().all(|one| one.thread.is_finished()) {
            if self.stop.is_requested() {
                return false;
            }
            std::thread::sleep(LOOK_UP);
        }
        true
    }

    /// Whether it is time to compile, or to compile anew: everything has been taken back then.
    fn is_time(&mut self) -> Result<bool> {
        if matches!(self.compiled.stage, Stage::Making(_)) {
            return Ok(true);
        }
        let total = self.progress()?.gas_total;
        let look = self.compiled.pace.look(total, self.compiled.work.gas);
        if look == Look::Anew {
            self.begin_anew()?;
        }
        Ok(look != Look::GoOn)
    }

    /// Takes everything back, and with it what compiled code has marked.
    fn begin_anew(&mut self) -> Result<()> {
        self.compiled.stage = Stage::Waiting;
        self.compiled.instances.clear();
        self.hand_over(0, &[])
    }

    /// The instances, and what is to be compiled of them.
    fn subjects(&mut self) -> Result<Vec<Subject>> {
        let mut all = Vec::new();
        for instance in 0.. {
            let value = self.call(|exports| &exports.for_compiled().compile, (instance, 0))?;
            if value < 0 {
                break;
            }
            let told = Told::read(&self.bytes(value)?);
            let (at, length) = told.schedule();
            let schedule = Schedule::parse("of-the-job", &String::from_utf8_lossy(self.piece(at, length)?))?;
            let program = self.program(instance, &told)?;
            let called = told.called();
            let is_wanted = |func: &u32| self.tier == TierChoice::Compiled || called.contains(func);
            let wanted = self.compiled.wanted.entry(instance).or_default();
            wanted.extend((program.imported_funcs()..program.func_count()).filter(is_wanted));
            let wanted: Vec<u32> = wanted.iter().copied().collect();
            if !wanted.is_empty() && all.len() < MOST_INSTANCES {
                let words = told.workspace_words(program.func_count(), AREA);
                all.push(Subject { instance, words, program, schedule, wanted });
            }
        }
        Ok(all)
    }

    /// Whether the run has cost enough by now for its functions to be compiled.
    fn is_worth(&mut self, subjects: &[Subject]) -> Result<bool> {
        let bodies = subjects.iter().flat_map(|one| one.wanted.iter().filter_map(|func| one.program.body(*func)));
        let bytes = bodies.map(|body| body.len() as u64).sum();
        let total = self.progress()?.gas_total;
        Ok(self.compiled.pace.is_worth(total, bytes))
    }

    /// Begins to compile an instance, if anything of it can be, and if the module has room for that.
    fn begin(&mut self, subject: Subject) -> Result<Option<Making>> {
        let Subject { instance, words, program, schedule, wanted } = subject;
        let value = self.call(|exports| &exports.for_compiled().compile, (instance, words))?;
        if value < 0 {
            return Ok(None);
        }
        let told = Told::read(&self.bytes(value)?);
        let Some(places) = told.places(instance, program.func_count(), AREA) else { return Ok(None) };
        let engine = self.store.engine().clone();
        let began = Instant::now();
        // The program runs on meanwhile, and needs a processor too.
        let runs_on = self.tier == TierChoice::Auto;
        let thread = std::thread::spawn(move || {
            let hosted = HostedCompanion::emit(&program, &schedule, places, &wanted);
            let module =
                if runs_on { beside(|| compile(&engine, hosted.wasm()))? } else { compile(&engine, hosted.wasm()) };
            Some((hosted, module?))
        });
        Ok(Some(Making { instance, began, thread }))
    }

    /// The program of an instance, which is read once.
    fn program(&mut self, instance: u32, told: &Told) -> Result<Arc<Program>> {
        let (at, length) = told.program();
        let bytes = self.piece(at, length)?;
        if let Some(program) = self.compiled.programs.get(&instance).filter(|program| program.bytes() == bytes) {
            return Ok(program.clone());
        }
        let program = Arc::new(Program::parse(bytes.to_vec(), Features::default())?);
        self.compiled.programs.insert(instance, program.clone());
        Ok(program)
    }

    /// Bytes of the module's memory.
    fn piece(&self, address: u32, length: u32) -> Result<&[u8]> {
        let bytes = self.memory.data(&self.store).get(index(address)..).and_then(|rest| rest.get(..index(length)));
        bytes.ok_or_else(|| Failure::new(IO, "the module names bytes outside its memory"))
    }

    /// Hands over what has been compiled.
    fn take_in(&mut self, making: Making) -> Result<()> {
        let Making { instance, began, thread } = making;
        let Some((hosted, module)) = thread.join().map_err(|_| Failure::new(IO, FAULT))? else { return Ok(()) };
        let failed = |error: wasmtime::Error| Failure::wasmtime(IO, FAULT, &error);
        let made = Instance::new(&mut self.store, &module, &[self.memory.into()]).map_err(failed)?;
        let enter = made.get_typed_func(&mut self.store, "enter").map_err(failed)?;
        let resume = made.get_typed_func(&mut self.store, "resume").map_err(failed)?;
        self.hand_over(instance, &hosted.handed_over())?;
        self.compiled.work.funcs += hosted.funcs();
        self.compiled.work.bytes += hosted.wasm().len() as u64;
        self.compiled.work.compiling = self.compiled.work.compiling.max(began.elapsed());
        self.compiled.instances.insert(instance, Compiled { hosted, enter, resume });
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
        let entering = Entering::read(self.piece(compiled.hosted.workspace(), 8 * ENTER_WORDS as u32)?);
        if entering.offset == 0 {
            // Its parts lie elsewhere now.
            self.begin_anew()?;
            self.compiled.pace.moved();
            self.make_progress()?;
            return Ok(None);
        }
        let end = self.turn(instance, &entering)?;
        let spent = entering.gas.saturating_sub(end.gas_left);
        self.compiled.work.gas += spent;
        self.compiled.work.turns += 1;
        self.compiled.work.left += u64::from(end.how == WAS_LEFT);
        let value = self.call(|exports| &exports.for_compiled().entered, (end.how, end.at, end.gas_left))?;
        self.check(value)?;
        let CompiledCode { instances, lost, .. } = &mut self.compiled;
        let compiled = instances.get_mut(&instance);
        let judge = |compiled: &mut Compiled| compiled.hosted.judge(entering.func, spent, end.frames, lost);
        if let Some(words) = compiled.and_then(judge) {
            self.hand_over(instance, &words)?;
        }
        Ok(Some(end.gas_left))
    }

    /// A turn of compiled code.
    fn turn(&mut self, instance: u32, entering: &Entering) -> Result<TurnEnd> {
        let not = TurnEnd { how: NOT, at: 0, gas_left: entering.gas, frames: 0 };
        let Some(compiled) = self.compiled.instances.get(&instance) else { return Ok(not) };
        let hosted = &compiled.hosted;
        let locals = hosted.locals(entering.func).min(entering.count);
        self.compiled.locals.clear();
        let memory = self.memory.data_mut(&mut self.store);
        let values = memory.get(index(entering.values)..).and_then(|rest| rest.get(..8 * index(locals)));
        self.compiled.locals.extend(words_of(values.unwrap_or_default()));
        let Some(entrance) = hosted.entrance(entering, &self.compiled.locals) else { return Ok(not) };
        let (from, to) = (index(entering.values), index(entrance.slots));
        memory.copy_within(from..from + 8 * index(entering.count), to);
        let gas = entering.gas.min(MOST_GAS);
        let kept = entering.gas - gas;
        let (func, frame) = (entering.func.cast_signed(), entrance.frame.cast_signed());
        let left = match entrance.point {
            0 => compiled.enter.call(&mut self.store, (func, frame, gas.cast_signed())),
            point => compiled.resume.call(&mut self.store, (func, point.cast_signed(), frame, gas.cast_signed())),
        };
        let left = left.map_err(|error| Failure::wasmtime(IO, FAULT, &error))?;
        let fault = || Failure::new(IO, FAULT);
        if left != LEFT {
            let rest = u64::try_from(left).map_err(|_| fault())?;
            return Ok(TurnEnd { how: RETURNED, at: hosted.results(&entrance), gas_left: kept + rest, frames: 0 });
        }
        let memory = self.memory.data(&self.store);
        let innermost = memory.get(index(hosted.innermost())..).and_then(|rest| rest.first_chunk());
        let (at, length) = hosted.left_piece(u32::from_le_bytes(*innermost.ok_or_else(fault)?));
        let piece = memory.get(index(at)..).and_then(|rest| rest.get(..index(length)));
        let (words, frames, left) = piece.and_then(|piece| hosted.left(&entrance, piece)).ok_or_else(fault)?;
        let at = self.write(&bytes_of(&words))?;
        Ok(TurnEnd { how: WAS_LEFT, at, gas_left: kept + left, frames })
    }
}

/// Does work that is shared out among threads on all processors but one.
fn beside<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(cores().saturating_sub(1).max(1));
    threads.build().ok().map(|threads| threads.install(work))
}

/// Compiles a companion. A function can be too large for the host's compiler: the interpreter runs the program then.
fn compile(engine: &Engine, wasm: &[u8]) -> Option<Module> {
    debug_assert!(wasmparser::validate(wasm).is_ok(), "the companion is valid");
    Module::new(engine, wasm).ok()
}
