//! The least gas that a call can cost, known without running it: the cheapest way through the decoded body's control
//! flow to where the function returns. A call adds the least that its callee costs; everything that depends on
//! operands (parts by the unit, which function an indirect call finds) adds nothing, so that no call that returns
//! costs less. Nothing of this is in the node: it is for tools that link the library.
//!
//! One search covers all functions. It takes places by what it costs to reach them from the entry of their function,
//! the cheapest first, and goes on behind a call when the callee's own exit has been reached. Costs never fall along
//! a way, so the first time that a place is taken is the cheapest (Knuth, A Generalization of Dijkstra's Algorithm,
//! 1977), and a function whose exit is never taken does not return: no least fixed point has to be searched for, in
//! recursion neither.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use stepmark_core::code::{Body, Handler, HandlerChange, Instr, Op};
use stepmark_core::gas::{Schedule, Unit};
use stepmark_core::host::Work;
use stepmark_core::machine::{Func, FuncKind, Store};

/// The least gas with which a call of each of these functions (store addresses) can return, called from outside as a
/// run calls its entry; none if it never returns: it traps, throws out of itself, or goes on for ever. A call of a
/// host function counts as one that returns.
pub fn least_costs(store: &Store, schedule: &Schedule, funcs: &[u32]) -> Vec<Option<u64>> {
    let mut search = PathSearch { store, schedule, funcs: BTreeMap::new(), queue: BinaryHeap::new() };
    for func in funcs {
        search.begin(*func);
    }
    while let Some(Reverse((cost, func, place))) = search.queue.pop() {
        search.take(func, place, cost);
    }
    funcs.iter().map(|func| search.funcs.get(func)?.exits[usize::from(RETURN)]).collect()
}

/// How a function is left. Its places are its instructions and, after them, its exits.
type ExitNumber = u8;
const RETURN: ExitNumber = 0;
/// By an exception that it does not catch.
const THROW: ExitNumber = 1;

/// A call that has been reached, and at what cost with the call itself.
#[derive(Clone, Copy)]
struct CallSite {
    caller: u32,
    index: u32,
    cost: u64,
}

/// What is known of a function.
struct KnownFunction {
    body: Body,
    /// By place: has it been taken.
    is_taken: Vec<bool>,
    /// Least costs of its exits, once they are taken.
    exits: [Option<u64>; 2],
    /// Calls of it that have been reached.
    calls: Vec<CallSite>,
}

struct PathSearch<'a> {
    store: &'a Store,
    schedule: &'a Schedule,
    funcs: BTreeMap<u32, KnownFunction>,
    /// Cost from the entry of the function, function, place.
    queue: BinaryHeap<Reverse<(u64, u32, usize)>>,
}

impl PathSearch<'_> {
    /// Makes the function known and its entry a place to take.
    fn begin(&mut self, func: u32) {
        if self.funcs.contains_key(&func) {
            return;
        }
        let Func { instance, index, kind, .. } = self.store.funcs[func as usize];
        let (body, exits) = match kind {
            FuncKind::Wasm => (Body::decode(&self.store.instances[instance as usize].module, index), [None, None]),
            FuncKind::Host(_) => (Body::default(), [Some(self.schedule.host_call(Work::NONE)), None]),
        };
        let places = body.instrs.len() + 2;
        if kind == FuncKind::Wasm {
            self.queue.push(Reverse((0, func, 0)));
        }
        self.funcs.insert(func, KnownFunction { body, is_taken: vec![false; places], exits, calls: Vec::new() });
    }

    fn take(&mut self, func: u32, place: usize, cost: u64) {
        let known = self.funcs.get_mut(&func).expect("BUG: places are of functions that have begun");
        if std::mem::replace(&mut known.is_taken[place], true) {
            return;
        }
        match known.body.instrs.get(place).copied() {
            Some(instr) => self.leave(func, place, instr, cost.saturating_add(self.schedule.cost_of(&instr))),
            None => {
                let exit = (place - known.body.instrs.len()) as ExitNumber;
                known.exits[usize::from(exit)] = Some(cost);
                for call in known.calls.clone() {
                    self.return_from(call, exit, cost);
                }
            }
        }
    }

    /// Everywhere that an instruction may lead to, its cost paid.
    fn leave(&mut self, func: u32, place: usize, instr: Instr, cost: u64) {
        let next = place + 1;
        let target = |search: &Self, number: u64| search.funcs[&func].body.targets[number as usize].index as usize;
        match instr.op {
            Op::Unreachable => {}
            Op::Br | Op::Else => self.reach(func, target(self, instr.imm), cost),
            Op::BrIf | Op::BrOnNull | Op::BrOnNonNull => {
                self.reach(func, target(self, instr.imm), cost);
                self.reach(func, next, cost);
            }
            Op::If => {
                self.reach(func, target(self, instr.aux.into()), cost);
                self.reach(func, next, cost);
            }
            Op::BrTable => {
                for choice in 0..=u64::from(instr.aux) {
                    self.reach(func, target(self, instr.imm + choice), cost);
                }
            }
            Op::Return => self.exit(func, RETURN, cost),
            // The clause that catches is looked at, at least.
            Op::Throw | Op::ThrowRef => {
                self.throw(func, place, cost.saturating_add(self.schedule.units(Unit::ThrowSearch, 1)));
            }
            Op::Call | Op::ReturnCall => self.call(func, place, instr, cost),
            Op::CallIndirect | Op::CallRef => {
                self.reach(func, next, cost);
                self.throw(func, place, cost);
            }
            Op::ReturnCallIndirect | Op::ReturnCallRef => {
                self.exit(func, RETURN, cost);
                self.exit(func, THROW, cost);
            }
            // The last `end` leads to the return.
            _ => self.reach(func, next, cost),
        }
    }

    fn call(&mut self, caller: u32, place: usize, instr: Instr, cost: u64) {
        let Func { instance, .. } = self.store.funcs[caller as usize];
        let callee = self.store.instances[instance as usize].funcs[instr.imm as usize];
        self.begin(callee);
        let (zeroed, far) = match self.store.funcs[callee as usize] {
            Func { kind: FuncKind::Wasm, zeroed, instance: own, .. } => (zeroed, u64::from(own != instance)),
            _ => (0, 0),
        };
        let parts = [self.schedule.units(Unit::ZeroedLocals, zeroed.into()), self.schedule.units(Unit::FarCall, far)];
        let cost = parts.into_iter().fold(cost, u64::saturating_add);
        let call = CallSite { caller, index: place as u32, cost };
        let known = self.funcs.get_mut(&callee).expect("BUG: it has begun");
        known.calls.push(call);
        for (exit, callee_cost) in [(RETURN, known.exits[0]), (THROW, known.exits[1])] {
            if let Some(callee_cost) = callee_cost {
                self.return_from(call, exit, callee_cost);
            }
        }
    }

    /// A callee leaves by `exit`.
    fn return_from(&mut self, call: CallSite, exit: ExitNumber, callee_cost: u64) {
        let cost = call.cost.saturating_add(callee_cost);
        let (caller, place) = (call.caller, call.index as usize);
        let is_tail_call = self.funcs[&caller].body.instrs[place].op.is_tail_call();
        match (is_tail_call, exit) {
            // The caller's frame is gone.
            (true, exit) => self.exit(caller, exit, cost),
            (false, RETURN) => self.reach(caller, place + 1, cost),
            (false, _) => self.throw(caller, place, cost),
        }
    }

    /// An exception of any tag comes up at an instruction.
    fn throw(&mut self, func: u32, place: usize, cost: u64) {
        let body = &self.funcs[&func].body;
        let innermost = HandlerChange::innermost(&body.handler_changes, place as u32);
        let clauses = Handler::around(&body.handlers, innermost).flat_map(|handler| &handler.catches);
        let mut reached = Vec::new();
        let mut is_caught = false;
        for clause in clauses {
            reached.push(body.targets[clause.target as usize].index as usize);
            is_caught = clause.tag.is_none();
            if is_caught {
                break;
            }
        }
        for place in reached {
            self.reach(func, place, cost);
        }
        if !is_caught {
            self.exit(func, THROW, cost);
        }
    }

    fn exit(&mut self, func: u32, exit: ExitNumber, cost: u64) {
        let place = self.funcs[&func].body.instrs.len() + usize::from(exit);
        self.reach(func, place, cost);
    }

    fn reach(&mut self, func: u32, place: usize, cost: u64) {
        if !self.funcs[&func].is_taken[place] {
            self.queue.push(Reverse((cost, func, place)));
        }
    }
}
