//! The machine: a store, a stack, and what advances them: a tier and the stepper. The driver gives the tier every stretch
//! that it can pay whole, and lets the stepper walk the rest: to the exact instruction where gas ends, through
//! instructions without a register form, and from a restored position to the next entry.

use std::sync::Arc;

use super::by_func::ByFunc;
use super::contracts::Suspended;
use super::handover::Handover;
use super::memory::MemoryView;
use super::stack::{Frame, ResumePoint};
use super::store::{FuncKind, Store};
use super::watch::AccessObserver;
use super::{HostCall, HostImports, InstanceLinker};
use crate::code::{Body, Environment, Place};
use crate::gas::Schedule;
use crate::host::{Paid, Work};
use crate::machine::stepper::Catcher;
use crate::machine::tier::{CallIndex, Exit, Parts, Tier, TierKind};
use crate::module::Module;
use stepmark_state::error::JobError;
use stepmark_state::limits::Limits;
use stepmark_state::trap::Trap;

/// Stack slots at the start; the stack doubles when it must, up to the job's limit.
const INITIAL_STACK: u32 = 4096;

/// How far a run may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Gas that may be charged.
    pub gas: u64,
    /// Uncharged transfers of control that may be made: see [`Schedule::is_uncharged_transfer`].
    pub steps: u64,
}

impl Budget {
    /// No bound.
    pub const UNLIMITED: Budget = Budget { gas: u64::MAX, steps: u64::MAX };
}

/// Why a run stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The invoked function returned these values.
    Done(Vec<u64>),
    /// The next instruction costs `need`, more than is left of the budget; nothing of it has happened.
    OutOfGas {
        /// Its whole cost.
        need: u64,
    },
    /// The next instruction is uncharged and the budget of such steps is spent.
    OutOfSteps,
    /// Compiled code of this instance can go on; see [`Machine::hand_over`].
    Enter(u32),
    /// A host function is called; see [`Machine::charge_host_call`] and [`Machine::answer`].
    HostCall(HostCall),
    /// The program trapped; its position stays where it was.
    Trap(Trap),
    /// The node failed; nothing can be said about the program.
    Failed(JobError),
}

/// A program in execution.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The store.
    pub store: Store,
    pub(crate) schedule: Schedule,
    pub(crate) limits: Limits,
    pub(crate) stack: Vec<u64>,
    pub(crate) frames: Vec<Frame>,
    /// Who runs what is paid for whole.
    pub(super) tier: Box<dyn Tier>,
    /// The decoded bodies of all functions that the stepper has been in: none is ever decoded again, so together they cost
    /// what their bytes do, in whatever order the program comes to them.
    pub(super) bodies: ByFunc<Arc<Body>>,
    /// The one that the stepper is in.
    pub(super) current: Option<(u32, Arc<Body>)>,
    /// One that was only looked at, to be translated or entered.
    pub(super) passing: Option<(u32, Arc<Body>)>,
    /// Slots of the frames of functions that were called from the stepper, where their bodies may not be kept.
    pub(super) frame_slots: ByFunc<u32>,
    /// Every instruction is stepped by itself, markers too.
    pub(crate) single_steps: bool,
    /// Handlers of exceptions of the functions that a throw has looked at.
    pub(crate) catchers: ByFunc<Arc<Catcher>>,
    /// Calls that wait for others, of contracts, to return; outermost first.
    pub(super) suspended: Vec<Suspended>,
    /// What compiled code runs, if there is any.
    pub(super) handover: Option<Box<Handover>>,
    /// A host function that was invoked directly, with no frame.
    pub(crate) invoked_host: Option<(u32, Vec<u64>)>,
    /// Result slots of the function invoked.
    pub(crate) results: u32,
    pub(crate) left: u64,
    pub(crate) steps: u64,
    gas_total: u64,
    gas_stepped: u64,
    gas_fast: u64,
    /// Who is told of every access to memory, if anybody is.
    pub watch: Option<Arc<dyn AccessObserver>>,
}

impl Machine {
    /// An empty machine.
    pub fn new(schedule: Schedule, limits: Limits) -> Self {
        Self {
            store: Store::default(),
            schedule,
            limits,
            stack: vec![0; INITIAL_STACK.min(limits.stack_slots) as usize],
            frames: Vec::new(),
            tier: TierKind::default().make(),
            bodies: ByFunc::new(),
            current: None,
            passing: None,
            frame_slots: ByFunc::new(),
            single_steps: false,
            catchers: ByFunc::new(),
            suspended: Vec::new(),
            handover: None,
            invoked_host: None,
            results: 0,
            left: 0,
            steps: 0,
            gas_total: 0,
            gas_stepped: 0,
            gas_fast: 0,
            watch: None,
        }
    }

    /// Lets a tier of this kind run the program from here on. A machine that is watched is always stepped.
    pub fn set_tier(&mut self, kind: TierKind) {
        let kind = if self.watch.is_some() { TierKind::Stepper } else { kind };
        if self.tier.kind() == kind {
            return;
        }
        self.replace_tier(kind);
    }

    /// Tells `watch` of every access to memory from now on, before it is made. Only the stepper runs then.
    pub fn set_watch(&mut self, watch: Arc<dyn AccessObserver>) {
        self.watch = Some(watch);
        self.set_tier(TierKind::Stepper);
        self.single_steps = true;
    }

    /// Gas charged since the machine was made (or since the state that was restored began).
    pub fn gas_total(&self) -> u64 {
        self.gas_total
    }

    /// The part of [`gas_total`](Self::gas_total) that the stepper charged in this process for instructions, without their
    /// parts by the unit: over the total, the share of the program that the fast engine did not run.
    pub fn gas_stepped(&self) -> u64 {
        self.gas_stepped
    }

    /// The part of [`gas_total`](Self::gas_total) that the fast engine charged in this process.
    pub fn gas_fast(&self) -> u64 {
        self.gas_fast
    }

    pub(crate) fn set_gas_total(&mut self, gas: u64) {
        self.gas_total = gas;
    }

    /// The schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The job's limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The frames, outermost first.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Puts everything that running changes back to where `start` has it, a machine of which this one is a copy that has gone
    /// on. What is known of the code, which running does not change, is kept.
    pub fn reset_to(&mut self, start: &Machine) {
        self.abandon();
        self.store.reset_to(&start.store);
        self.gas_total = start.gas_total;
        self.gas_stepped = start.gas_stepped;
        self.gas_fast = start.gas_fast;
    }

    /// Links a module and allocates its parts; active segments are written by [`Store::write_segments`].
    ///
    /// # Errors
    /// As [`Store::link`].
    pub fn link(
        &mut self,
        name: &str,
        module: Arc<Module>,
        linker: &InstanceLinker,
        host: &dyn HostImports,
    ) -> Result<u32, JobError> {
        let linked = self.store.link(name, module, linker, host, &self.limits);
        if linked.is_ok() {
            self.tier.grow(&self.store);
        }
        linked
    }

    /// Prepares a call from outside, with no instruction that would be charged for it.
    ///
    /// # Errors
    /// [`Trap::CallStackExhausted`] if not even the first frame fits the job's limits.
    pub fn invoke(&mut self, func: u32, args: &[u64]) -> Result<(), Trap> {
        self.frames.clear();
        self.invoked_host = None;
        let callee = self.store.funcs[func as usize];
        self.results = callee.results;
        if let FuncKind::Host(_) = callee.kind {
            self.invoked_host = Some((func, args.to_vec()));
            return Ok(());
        }
        let slots = self.frame_slots(func);
        self.reserve_frame(0, slots.max(callee.results))?;
        self.stack[..args.len()].copy_from_slice(args);
        self.push_frame(func, 0);
        Ok(())
    }

    /// Runs until the budget is spent or something else happens.
    pub fn run(&mut self, budget: Budget) -> Stop {
        self.left = budget.gas.min(u64::MAX - self.gas_total);
        self.steps = budget.steps;
        if let Some((func, args)) = &self.invoked_host {
            return Stop::HostCall(self.host_call(*func, args.clone()));
        }
        loop {
            if let Some(stop) = self.advance() {
                return stop;
            }
        }
    }

    /// The mnemonic of the next instruction; of a call from outside if there is no frame.
    pub fn next_mnemonic(&mut self) -> &'static str {
        self.current_instr().map_or("call", |instr| instr.op.mnemonic())
    }

    /// What is left of the budget of the last run.
    pub fn gas_left(&self) -> u64 {
        self.left
    }

    /// Uncharged steps left of the budget of the last run.
    pub fn steps_left(&self) -> u64 {
        self.steps
    }

    /// One stretch of the tier's, or one step.
    fn advance(&mut self) -> Option<Stop> {
        let Some(top) = self.frames.last().copied() else {
            return Some(Stop::Done(self.stack[..self.results as usize].to_vec()));
        };
        if self.is_handed_over(top.func) {
            return self.enter_or_step();
        }
        let entry = match top.resume {
            ResumePoint::Fast(pc) => {
                let entry = self.tier.entry_at_position(top.func, pc).expect("BUG: a frame rests at an entry");
                self.set_resume(ResumePoint::Wasm(entry.index));
                Some(entry)
            }
            ResumePoint::Wasm(index) => {
                self.prepare(top.func);
                self.tier.entry_at_index(top.func, index)
            }
        };
        match entry.filter(|entry| u64::from(entry.cost) <= self.left) {
            Some(entry) => {
                self.set_resume(ResumePoint::Fast(entry.pc));
                self.run_tier(entry.cost)
            }
            None if !self.tier.has_code(top.func) => self.walk(top.func),
            None => self.step(),
        }
    }

    fn run_tier(&mut self, cost: u32) -> Option<Stop> {
        let start = self.left;
        // Less than any call of a function without register code costs.
        let counted = start.min(i64::MAX as u64 - 1);
        let reserve = start - counted;
        let mut gas = counted as i64 - i64::from(cost);
        let call_depth = self.frames_left();
        let parts = Parts {
            store: &mut self.store,
            schedule: &self.schedule,
            stack: &mut self.stack,
            frames: &mut self.frames,
            call_depth,
            steps: &mut self.steps,
        };
        let exit = self.tier.run(parts, &mut gas);
        let correction = self.leave_tier(exit);
        let exact = gas.checked_add_unsigned(correction).and_then(|g| u64::try_from(g).ok());
        self.left = reserve + exact.expect("BUG: a tier never overspends");
        self.gas_total += start - self.left;
        self.gas_fast += start - self.left;
        match exit {
            // An instruction that the tier hands over is stepped at once: its entry would lead straight back.
            Exit::Before(_) | Exit::AtCall(_) | Exit::Stuck(_) => self.step(),
            Exit::AtEntry(_) | Exit::Returned | Exit::Done => None,
        }
    }

    /// Puts the top frame into canonical form; how much gas the counter held back.
    fn leave_tier(&mut self, exit: Exit) -> u64 {
        let func = self.frames.last().map_or(0, |f| f.func);
        match exit {
            Exit::Done | Exit::Returned => 0,
            Exit::Before(index) => {
                self.set_resume(ResumePoint::Wasm(index));
                0
            }
            Exit::AtEntry(pc) => {
                let entry = self.tier.entry_at_position(func, pc).expect("BUG: a tier stops at entries");
                self.set_resume(ResumePoint::Wasm(entry.index));
                entry.cost.into()
            }
            Exit::AtCall(index) => {
                let index = match index {
                    CallIndex::Index(index) => index,
                    CallIndex::BeforeEntry(pc) => {
                        self.tier.entry_at_position(func, pc).expect("BUG: a call is followed by an entry").index - 1
                    }
                };
                self.set_resume(ResumePoint::Wasm(index));
                let instr = self.body(func).instrs[index as usize];
                // The stepper counts the step again.
                self.steps += u64::from(self.schedule.is_uncharged_transfer(instr.op));
                self.schedule.cost_of(&instr)
            }
            Exit::Stuck(pc) => self.settle(func, pc),
        }
    }

    /// Writes the operands before the instruction at `pc` to their slots; the gas held back for it and what would have
    /// followed.
    fn settle(&mut self, func: u32, pc: u32) -> u64 {
        let body = self.body(func);
        let location = self.with_environment(func, |environment| self.tier.locate(func, pc, &body, environment));
        let base = self.frames.last().map_or(0, |f| f.base) as usize;
        let operands = base + body.locals as usize;
        for (height, place) in location.places.iter().enumerate() {
            match *place {
                Place::Slot => {}
                Place::Local(local) => self.stack[operands + height] = self.stack[base + local as usize],
                Place::Const(bits) => self.stack[operands + height] = bits,
            }
        }
        self.set_resume(ResumePoint::Wasm(location.index));
        location.rest
    }

    /// Gives a function its code in the tier, if it has a form there, as its first call does.
    pub fn prepare(&mut self, func: u32) {
        if self.tier.is_prepared(func) {
            return;
        }
        let body = self.passing_body(func);
        // The tier is taken out, since what it is told borrows the rest of the machine.
        let mut tier = std::mem::replace(&mut self.tier, TierKind::Stepper.make());
        self.with_environment(func, |environment| tier.prepare(func, &body, &self.store, environment));
        self.tier = tier;
    }

    pub(super) fn with_environment<T>(&self, func: u32, work: impl FnOnce(&Environment<'_>) -> T) -> T {
        let store = &self.store;
        let number = store.funcs[func as usize].instance;
        let instance = &store.instances[number as usize];
        let is_own = |func: u32| {
            let func = &store.funcs[func as usize];
            func.kind == FuncKind::Wasm && func.instance == number
        };
        let arity = |func: u32| (store.funcs[func as usize].params, store.funcs[func as usize].results);
        let type_arity = |index: u32| {
            let ty = &instance.module.types()[index as usize];
            (ty.param_slots(), ty.result_slots())
        };
        work(&Environment {
            schedule: &self.schedule,
            funcs: &instance.funcs,
            is_own: &is_own,
            arity: &arity,
            type_arity: &type_arity,
            func_ref: &|index| store.func_ref(instance.funcs[index as usize]),
            types: &instance.types,
            globals: &instance.globals,
            tables: &instance.tables,
            memories: &instance.memories,
            is_memory64: &|address| store.memories[address as usize].limits().is64,
            may_be_huge: &|address| {
                let pages = store.memories[address as usize].max_pages();
                pages > 1 << 16 && self.limits.memory_bytes > 1 << 32
            },
            is_table64: &|address| store.tables[address as usize].ty().limits.is64,
            first_outline: 0,
        })
    }

    // Frames and bodies, for both engines.

    /// The decoded body of a function that the stepper is in.
    pub fn body(&mut self, func: u32) -> Arc<Body> {
        if let Some((current, body)) = &self.current
            && *current == func
        {
            return body.clone();
        }
        let body = self.passing_body(func);
        if self.bodies.get(func).is_none() {
            self.bodies.insert(func, body.clone());
        }
        self.current = Some((func, body.clone()));
        body
    }

    /// Slots of a function's frame: known after the first call, so that no function is decoded for each.
    pub(crate) fn frame_slots(&mut self, func: u32) -> u32 {
        if let Some(slots) = self.frame_slots.get(func) {
            return *slots;
        }
        let slots = self.passing_body(func).frame_slots();
        self.frame_slots.insert(func, slots);
        slots
    }

    /// The decoded body of a function that may never be stepped: most are only translated, and then not needed again.
    pub(crate) fn passing_body(&mut self, func: u32) -> Arc<Body> {
        let passing = self.passing.as_ref().filter(|(passing, _)| *passing == func).map(|(_, body)| body);
        if let Some(body) = self.bodies.get(func).or(passing) {
            return body.clone();
        }
        let place = &self.store.funcs[func as usize];
        let module = &self.store.instances[place.instance as usize].module;
        let mut body = Body::decode(module, place.index);
        body.link_markers(|op| self.schedule.cost(op) == 0);
        let body = Arc::new(body);
        self.passing = Some((func, body.clone()));
        body
    }

    #[inline(always)]
    pub(crate) fn set_resume(&mut self, resume: ResumePoint) {
        self.frames.last_mut().expect("BUG: there is a frame").resume = resume;
    }

    /// Puts the top frame into canonical form if it is not of `instance`, as the frame to come is: the fast engine returns
    /// only into frames of the instance that it runs. Calls leave their caller in this form anyway, tail calls the frame
    /// below it not.
    pub(crate) fn part_from_other_instance(&mut self, instance: u32) {
        let Some(top) = self.frames.last() else { return };
        if self.store.funcs[top.func as usize].instance != instance {
            self.set_resume(ResumePoint::Wasm(self.resume_index(self.frames.len() - 1)));
        }
    }

    /// Index of the instruction at which a frame goes on.
    pub(crate) fn resume_index(&self, frame: usize) -> u32 {
        let frame = &self.frames[frame];
        match frame.resume {
            ResumePoint::Wasm(index) => index,
            ResumePoint::Fast(pc) => {
                self.tier.entry_at_position(frame.func, pc).expect("BUG: a frame rests at an entry").index
            }
        }
    }

    pub(crate) fn push_frame(&mut self, func: u32, base: usize) {
        let callee = &self.store.funcs[func as usize];
        let start = base + callee.params as usize;
        self.stack[start..start + callee.zeroed as usize].fill(0);
        self.frames.push(Frame { func, base: base as u32, resume: ResumePoint::Wasm(0) });
    }

    /// Makes room for a frame.
    ///
    /// # Errors
    /// [`Trap::CallStackExhausted`] beyond the job's limit of slots.
    pub(crate) fn reserve_frame(&mut self, base: usize, slots: u32) -> Result<(), Trap> {
        let end = base + slots as usize;
        let limit = self.limits.stack_slots as usize;
        if end > limit {
            return Err(Trap::CallStackExhausted);
        }
        if end > self.stack.len() {
            let length = (self.stack.len() * 2).clamp(end, limit);
            self.stack.resize(length, 0);
        }
        Ok(())
    }

    /// Charges gas that the budget has been checked for: an instruction, and its part by the unit.
    #[inline(always)]
    pub(crate) fn spend(&mut self, instruction: u64, units: u64) {
        self.left -= instruction + units;
        self.gas_total += instruction + units;
        self.gas_stepped += instruction;
    }

    // Host calls.

    pub(crate) fn host_call(&self, func: u32, args: Vec<u64>) -> HostCall {
        let func = &self.store.funcs[func as usize];
        let FuncKind::Host(host) = func.kind else { unreachable!("BUG: a host function") };
        HostCall { host, instance: func.instance, args }
    }

    /// Lets so much gas be charged before the next run.
    pub fn allow(&mut self, gas: u64) {
        self.left = gas;
    }

    /// Cost of the host call that the run stopped at: its instruction, the call, and its work.
    pub fn host_call_cost(&mut self, work: Work) -> u64 {
        self.instruction_and(self.schedule.host_call(work))
    }

    /// Cost of the instruction that the run stopped at, and this.
    fn instruction_and(&mut self, more: u64) -> u64 {
        self.current_instr().map_or(0, |instr| self.schedule.cost_of(&instr)).saturating_add(more)
    }

    /// Charges the host call that the run stopped at, its instruction and its work, before any effect; the receipt for it,
    /// which the call of a host module asks for.
    ///
    /// # Errors
    /// The whole cost, if that is more than is left; nothing has been charged then.
    pub fn charge_host_call(&mut self, work: Work) -> Result<Paid, u64> {
        let for_work = self.schedule.host_call(work);
        let cost = self.instruction_and(for_work);
        self.charge_outside(cost - for_work, cost)?;
        Ok(Paid::of(work))
    }

    /// Charges `cost`, of which `instruction` is for one.
    ///
    /// # Errors
    /// The whole cost, if that is more than is left; nothing has been charged then.
    pub fn charge_outside(&mut self, instruction: u64, cost: u64) -> Result<(), u64> {
        if cost > self.left {
            return Err(cost);
        }
        self.spend(instruction, cost - instruction);
        Ok(())
    }

    /// The memory that a host function may use: memory 0 of the instance that imports it.
    pub fn host_memory(&mut self, call: &HostCall) -> MemoryView<'_> {
        let address = self.store.instances[call.instance as usize].memories.first().copied();
        MemoryView {
            memory: address.and_then(|a| self.store.memories.get_mut(a as usize)),
            watch: self.watch.as_deref().zip(address),
        }
    }

    /// Ends the host call that the run stopped at with these results.
    pub fn answer(&mut self, results: &[u64]) {
        if self.invoked_host.take().is_some() {
            self.stack[..results.len()].copy_from_slice(results);
            return;
        }
        self.finish_host_call(results);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Extern, NoHost};
    use crate::module::Features;

    #[test]
    fn no_body_is_decoded_twice_however_many_functions_are_stepped_in_turn() {
        let funcs = "(func (drop (memory.grow (i32.const 0))))".repeat(100);
        let calls: String = (1..=100).map(|func| format!("(call {func})")).collect();
        let text = format!("(module (memory 1) (func (export \"f\") {calls}) {funcs})");
        let module = Module::parse(wat::parse_str(text).unwrap(), Features::default()).unwrap();
        let mut machine = Machine::new(Schedule::default(), Limits::default());
        let instance = machine.link("", Arc::new(module), &InstanceLinker::default(), &NoHost).unwrap();
        let Some(Extern::Func(func)) = machine.store.export(instance, "f") else { panic!("the module exports f") };
        let mut run = || {
            machine.invoke(func, &[]).unwrap();
            assert_eq!(machine.run(Budget::UNLIMITED), Stop::Done(vec![]));
            machine.bodies.values().cloned().collect::<Vec<_>>()
        };
        let (first, second) = (run(), run());
        assert!(first.len() >= 100 && first.len() == second.len(), "{}", first.len());
        assert!(first.iter().zip(&second).all(|(first, second)| Arc::ptr_eq(first, second)));
    }
}
