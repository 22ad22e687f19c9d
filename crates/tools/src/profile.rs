//! Where a run's gas goes, and what it executes: a [`Profiler`] watches every step of the stepper and adds the gas
//! charged between two steps to the function, the call stack and the instruction before. Gas is deterministic, so a
//! profile is too: the same job gives the same profile, byte for byte. Nothing of this is in the node: it is for
//! tools that link the library.
//!
//! The price of a host call belongs to the host function, which stands on the stack like any other; the call
//! instruction itself belongs to its caller. By instruction ([`Site`]), both are with the call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use stepmark_core::code::{Body, Op};
use stepmark_core::machine::{Access, AccessObserver, Frame, Func, FuncKind, Machine, Store};
use stepmark_core::module::{ExternKind, ExternType, Module};
use stepmark_state::error::JobError;

/// How large a call tree may get. What is called beyond counts to the innermost caller that is still in the tree
/// ([`Profile::folded_gas`] says how much that was); functions and instructions are exact all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileLimits {
    /// Functions above each other. Default 128: what a person can look at.
    pub depth: u32,
    /// Different call stacks. Default 65,536: some megabytes, and far more than are seen in a picture.
    pub nodes: u32,
}

impl Default for ProfileLimits {
    fn default() -> Self {
        Self { depth: 128, nodes: 1 << 16 }
    }
}

/// Instructions executed, by class. An instruction that traps has been executed; one that was not paid for has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstructionCounts {
    /// Constants, arithmetic, comparisons and conversions of `i32`, `i64`, `f32` and `f64`.
    pub numeric: u64,
    /// Everything on vectors but their loads and stores.
    pub vector: u64,
    /// Loads and stores, of vectors too, `memory.*` and `data.drop`.
    pub memory: u64,
    /// `local.get`, `local.set`, `local.tee`, `global.get`, `global.set`.
    pub variable: u64,
    /// `drop` and `select`.
    pub parametric: u64,
    /// Structure (`block`, `loop`, `if`, `else`, `end`, `nop`, `try_table`), branches, `return`, `throw` and
    /// `unreachable`.
    pub control: u64,
    /// Calls of the program's own functions, all six instructions.
    pub call: u64,
    /// Calls of host functions.
    pub host_call: u64,
    /// `ref.*`, `table.*` and `elem.drop`.
    pub reference: u64,
}

impl InstructionCounts {
    /// Every class with its name, in the order of the fields.
    pub fn classes(&self) -> [(&'static str, u64); 9] {
        [
            ("numeric", self.numeric),
            ("vector", self.vector),
            ("memory", self.memory),
            ("variable", self.variable),
            ("parametric", self.parametric),
            ("control", self.control),
            ("call", self.call),
            ("host_call", self.host_call),
            ("reference", self.reference),
        ]
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.classes().iter().map(|(_, count)| count).sum()
    }

    fn class(&mut self, op: Op, is_host: bool) -> &mut u64 {
        match op {
            _ if is_host => &mut self.host_call,
            _ if op.is_call() => &mut self.call,
            _ if op.is_memory_access() => &mut self.memory,
            _ if op.is_vector() => &mut self.vector,
            Op::MemorySize | Op::MemoryGrow | Op::MemoryFill | Op::MemoryCopy | Op::MemoryInit | Op::DataDrop => {
                &mut self.memory
            }
            Op::LocalGet | Op::LocalSet | Op::LocalTee | Op::GlobalGet | Op::GlobalSet => &mut self.variable,
            Op::Drop | Op::Select => &mut self.parametric,
            Op::RefNull | Op::RefIsNull | Op::RefFunc | Op::RefAsNonNull | Op::ElemDrop => &mut self.reference,
            Op::TableGet | Op::TableSet | Op::TableSize | Op::TableGrow => &mut self.reference,
            Op::TableFill | Op::TableCopy | Op::TableInit => &mut self.reference,
            Op::Unreachable | Op::Nop | Op::Block | Op::Loop | Op::If | Op::Else | Op::End => &mut self.control,
            Op::Br | Op::BrIf | Op::BrTable | Op::BrOnNull | Op::BrOnNonNull | Op::Return => &mut self.control,
            Op::TryTable | Op::Throw | Op::ThrowRef => &mut self.control,
            _ => &mut self.numeric,
        }
    }
}

impl fmt::Display for InstructionCounts {
    /// `numeric 12, memory 3`: the classes of which there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.classes().into_iter().filter(|(_, count)| *count > 0);
        let texts: Vec<String> = some.map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(if texts.is_empty() { "none" } else { "" })?;
        f.write_str(&texts.join(", "))
    }
}

/// A function in a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionProfile {
    /// The instance that defines it; for a host function, one that imports it.
    pub instance: u32,
    /// Its index there.
    pub function: u32,
    /// What it is called: by the name section, else its import or export, else `func[INDEX]`; functions of a linked
    /// module have its name and `!` before theirs.
    pub name: String,
    /// Whether it is the host's.
    pub is_host: bool,
    /// Times that it was called, or was on the stack already when the profile began.
    pub calls: u64,
    /// Instructions that it executed itself.
    pub instructions: u64,
    /// Gas charged while it was the innermost function.
    pub gas: u64,
    /// Gas charged while it was on the stack, as far as the call tree goes: see [`ProfileLimits`].
    pub total_gas: u64,
}

/// An instruction in a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Site {
    /// Its function: index into [`Profile::functions`].
    pub function: usize,
    /// Its byte offset in the module.
    pub offset: u32,
    /// Gas charged for it, with the price of the host function if it calls one.
    pub gas: u64,
}

/// A call stack in a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StackNode {
    /// The innermost function: index into [`Profile::functions`].
    pub function: usize,
    /// The stack without it: index into [`Profile::stacks`], always a smaller one; none for an outermost function.
    pub parent: Option<usize>,
    /// Gas charged under exactly this stack.
    pub gas: u64,
}

/// What a run came to while it was watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// All gas that was charged. It is the sum over the functions, and that over the stacks, each with
    /// [`outside`](Self::outside).
    pub gas: u64,
    /// Gas under no function: of a host function that the run invoked directly.
    pub outside: u64,
    /// Gas that counts to a caller in the tree because the callee was beyond [`ProfileLimits`].
    pub folded_gas: u64,
    /// Instructions executed.
    pub instructions: InstructionCounts,
    /// Functions, the dearest by their own gas first.
    pub functions: Vec<FunctionProfile>,
    /// Instructions that cost anything, by function and offset.
    pub sites: Vec<Site>,
    /// The call tree, callers before callees.
    pub stacks: Vec<StackNode>,
}

impl Profile {
    /// The call tree as folded stacks: lines `outermost;...;innermost GAS`, sorted, of the stacks that were charged
    /// anything. Functions of one name are one. They add up to [`gas`](Self::gas).
    pub fn folded(&self) -> String {
        let names: Vec<String> = self.functions.iter().map(|function| folded_name(&function.name)).collect();
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        if self.outside > 0 {
            lines.insert("(outside)".to_owned(), self.outside);
        }
        for stack in self.stacks.iter().filter(|stack| stack.gas > 0) {
            let outwards = std::iter::successors(Some(stack), |stack| Some(&self.stacks[stack.parent?]));
            let mut names: Vec<&str> = outwards.map(|stack| names[stack.function].as_str()).collect();
            names.reverse();
            *lines.entry(names.join(";")).or_default() += stack.gas;
        }
        lines.into_iter().map(|(stack, gas)| format!("{stack} {gas}\n")).collect()
    }
}

/// A name that readers of folded stacks take for one: without what separates names and counts.
fn folded_name(name: &str) -> String {
    let plain = |c: char| if c.is_control() || (c.is_whitespace() && c != ' ') { '_' } else { c };
    let mut name: String = name.trim().replace(';', ":").chars().map(plain).collect();
    let last_word = name.rfind(' ');
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    if let Some(at) = last_word.filter(|at| is_number(&name[at + 1..])) {
        name.replace_range(at..=at, "_");
    }
    if name.is_empty() || name.starts_with('#') { format!("_{name}") } else { name }
}

/// Watches a run: give it to `Session::watch` before the run, or to
/// [`Machine::set_watch`].
#[derive(Debug)]
pub struct Profiler(Mutex<Recorder>);

impl Profiler {
    /// A profiler of what a machine does from now on.
    pub fn new(machine: &Machine, limits: ProfileLimits) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Recorder::new(machine.gas_total(), limits))))
    }

    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        // A panic in the middle of a step leaves figures, not invariants.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the run has come to. `ended` tells whether the last instruction that was looked at was its end, by a trap
    /// or an exit too, and not one that the run stopped before.
    pub fn finish(&self, machine: &Machine, ended: bool) -> Profile {
        let mut recorder = self.recorder();
        recorder.settle(machine, ended);
        recorder.profile(&machine.store)
    }
}

impl AccessObserver for Profiler {
    fn before_step(&self, machine: &mut Machine) -> Result<(), JobError> {
        self.recorder().before_step(machine);
        Ok(())
    }

    fn touch(&self, _: Access) -> Result<(), JobError> {
        Ok(())
    }
}

/// A call stack that occurred.
#[derive(Debug)]
struct CallNode {
    func: u32,
    parent: u32,
    depth: u32,
    gas: u64,
}

/// What is known of a function (by store address).
#[derive(Debug, Default)]
struct Tally {
    calls: u64,
    instructions: u64,
    gas: u64,
    /// Gas by decoded instruction.
    sites: Vec<u64>,
}

/// A frame, with its node or that of the caller it is folded into.
#[derive(Clone, Copy, Debug)]
struct StackEntry {
    func: u32,
    node: u32,
    is_folded: bool,
}

/// The instruction that is about to be executed.
#[derive(Clone, Copy, Debug)]
struct PendingInstr {
    op: Op,
    index: u32,
    depth: usize,
    entry: StackEntry,
    /// Its cost without its parts by the unit.
    cost: u64,
    /// Uncharged steps left before it.
    steps: u64,
    /// The host function that it calls.
    host: Option<u32>,
}

/// The root of the call tree, which is no function.
const ROOT: u32 = 0;

#[derive(Debug)]
struct Recorder {
    limits: ProfileLimits,
    /// Gas at the start, and up to the last step.
    start: u64,
    gas: u64,
    folded: u64,
    nodes: Vec<CallNode>,
    children: BTreeMap<(u32, u32), u32>,
    stack: Vec<StackEntry>,
    pending: Option<PendingInstr>,
    /// By store address.
    tallies: BTreeMap<u32, Tally>,
    instructions: InstructionCounts,
}

impl Recorder {
    fn new(gas: u64, limits: ProfileLimits) -> Self {
        Self {
            limits,
            start: gas,
            gas,
            folded: 0,
            nodes: vec![CallNode { func: u32::MAX, parent: ROOT, depth: 0, gas: 0 }],
            children: BTreeMap::new(),
            stack: Vec::new(),
            pending: None,
            tallies: BTreeMap::new(),
            instructions: InstructionCounts::default(),
        }
    }

    fn before_step(&mut self, machine: &mut Machine) {
        self.settle(machine, false);
        self.follow(machine.frames());
        let (Some((_, index)), Some(instr), Some(entry)) =
            (machine.position(), machine.current_instr(), self.stack.last().copied())
        else {
            return;
        };
        let tally = self.tallies.entry(entry.func).or_default();
        if tally.sites.is_empty() {
            tally.sites = vec![0; machine.body(entry.func).instrs.len()];
        }
        self.pending = Some(PendingInstr {
            op: instr.op,
            index,
            depth: machine.frames().len(),
            entry,
            cost: machine.schedule().cost_of(&instr),
            steps: machine.steps_left(),
            host: machine.host_callee(instr),
        });
    }

    /// Books what was charged since the last step.
    fn settle(&mut self, machine: &Machine, ended: bool) {
        let spent = machine.gas_total() - self.gas;
        self.gas += spent;
        let Some(pending) = self.pending.take() else {
            self.nodes[ROOT as usize].gas += spent;
            return;
        };
        let PendingInstr { op, entry, host, .. } = pending;
        let is_executed = ended || spent > 0 || pending.has_moved(machine);
        let own = if host.is_some() { spent.min(pending.cost) } else { spent };
        let is_again = is_executed && host.is_none() && op.is_tail_call() && {
            machine.frames().len() == pending.depth && machine.frames().last().is_some_and(|f| f.func == entry.func)
        };
        let tally = self.tallies.entry(entry.func).or_default();
        tally.gas += own;
        tally.sites[pending.index as usize] += spent;
        tally.instructions += u64::from(is_executed);
        tally.calls += u64::from(is_again);
        *self.instructions.class(op, host.is_some()) += u64::from(is_executed);
        self.book(entry, own);
        if let Some(func) = host.filter(|_| is_executed) {
            let entry = self.child(entry, func);
            let tally = self.tallies.entry(func).or_default();
            tally.gas += spent - own;
            tally.calls += 1;
            self.book(entry, spent - own);
        }
    }

    fn book(&mut self, entry: StackEntry, gas: u64) {
        self.nodes[entry.node as usize].gas += gas;
        self.folded += if entry.is_folded { gas } else { 0 };
    }

    /// Makes the stack that of the machine, from which it differs by what one instruction does.
    fn follow(&mut self, frames: &[Frame]) {
        self.stack.truncate(frames.len());
        let is_replaced = self.stack.len() == frames.len()
            && self.stack.last().zip(frames.last()).is_some_and(|(entry, frame)| entry.func != frame.func);
        if is_replaced {
            self.stack.pop();
        }
        for frame in &frames[self.stack.len()..] {
            let caller = self.stack.last().copied();
            let caller = caller.unwrap_or(StackEntry { func: u32::MAX, node: ROOT, is_folded: false });
            let entry = self.child(caller, frame.func);
            self.tallies.entry(frame.func).or_default().calls += 1;
            self.stack.push(entry);
        }
    }

    /// What a function is in the tree that is called from `caller`.
    fn child(&mut self, caller: StackEntry, func: u32) -> StackEntry {
        if !caller.is_folded {
            if let Some(node) = self.children.get(&(caller.node, func)) {
                return StackEntry { func, node: *node, is_folded: false };
            }
            let depth = self.nodes[caller.node as usize].depth;
            // The root is not counted, and what has no caller is always in the tree.
            let is_room = depth < self.limits.depth && self.nodes.len() <= self.limits.nodes as usize;
            if is_room || caller.node == ROOT {
                let node = self.nodes.len() as u32;
                self.nodes.push(CallNode { func, parent: caller.node, depth: depth + 1, gas: 0 });
                self.children.insert((caller.node, func), node);
                return StackEntry { func, node, is_folded: false };
            }
        }
        StackEntry { func, node: caller.node, is_folded: true }
    }

    fn profile(&self, store: &Store) -> Profile {
        let mut order: Vec<u32> = self.tallies.keys().copied().collect();
        order.sort_by_key(|func| (std::cmp::Reverse(self.tallies[func].gas), *func));
        let places: BTreeMap<u32, usize> = order.iter().enumerate().map(|(place, func)| (*func, place)).collect();
        let totals = self.totals();
        let function = |func: &u32| {
            let Func { instance, index, kind, .. } = store.funcs[*func as usize];
            let Tally { calls, instructions, gas, .. } = self.tallies[func];
            FunctionProfile {
                instance,
                function: index,
                name: function_name(store, *func),
                is_host: matches!(kind, FuncKind::Host(_)),
                calls,
                instructions,
                gas,
                total_gas: totals.get(func).copied().unwrap_or(0).max(gas),
            }
        };
        let mut sites: Vec<Site> = Vec::new();
        for (place, func) in order.iter().enumerate() {
            let gas = &self.tallies[func].sites;
            if gas.is_empty() {
                continue;
            }
            let Func { instance, index, .. } = store.funcs[*func as usize];
            let body = Body::decode(&store.instances[instance as usize].module, index);
            let charged = body.instrs.iter().zip(gas).filter(|(_, gas)| **gas > 0);
            sites.extend(charged.map(|(instr, gas)| Site { function: place, offset: instr.offset, gas: *gas }));
        }
        // Without the root, the parent of the outermost.
        let stack = |node: &CallNode| StackNode {
            function: places[&node.func],
            parent: node.parent.checked_sub(1).map(|parent| parent as usize),
            gas: node.gas,
        };
        Profile {
            gas: self.gas - self.start,
            outside: self.nodes[ROOT as usize].gas,
            folded_gas: self.folded,
            instructions: self.instructions,
            functions: order.iter().map(function).collect(),
            sites,
            stacks: self.nodes[1..].iter().map(stack).collect(),
        }
    }

    /// Gas by function with all that it calls; of several frames of one function only the outermost counts.
    fn totals(&self) -> BTreeMap<u32, u64> {
        let mut with_callees: Vec<u64> = self.nodes.iter().map(|node| node.gas).collect();
        for (number, node) in self.nodes.iter().enumerate().skip(1).rev() {
            // A callee comes after its caller.
            with_callees[node.parent as usize] += with_callees[number];
        }
        let mut totals: BTreeMap<u32, u64> = BTreeMap::new();
        for (node, gas) in self.nodes.iter().zip(&with_callees).skip(1) {
            let above = |node: &&CallNode| (node.depth > 1).then(|| &self.nodes[node.parent as usize]);
            let mut callers = std::iter::successors(Some(node), above).skip(1);
            if callers.all(|caller| caller.func != node.func) {
                *totals.entry(node.func).or_default() += gas;
            }
        }
        totals
    }
}

impl PendingInstr {
    /// Whether the machine shows that this instruction, for which no gas was charged, has been executed. One that is
    /// charged would show in the gas, one that is free and stops the run (an uncharged step too many) has not moved.
    fn has_moved(&self, machine: &Machine) -> bool {
        let leaves_for_good = self.cost == 0 && matches!(self.op, Op::End | Op::Return);
        let position = machine.position();
        leaves_for_good
            || position != Some((self.entry.func, self.index))
            || machine.frames().len() != self.depth
            || machine.steps_left() < self.steps
    }
}

/// What a function (store address) is called: see [`FunctionProfile::name`].
pub fn function_name(store: &Store, func: u32) -> String {
    let Func { instance, index, kind, .. } = store.funcs[func as usize];
    let instance = &store.instances[instance as usize];
    let module = &instance.module;
    if matches!(kind, FuncKind::Host(_)) {
        return import_name(module, index).unwrap_or_else(|| format!("func[{index}]"));
    }
    let export = || module.exports().iter().find(|e| e.kind == ExternKind::Func && e.index == index);
    let name = module.func_name(index).filter(|name| !name.is_empty());
    let name = name.or_else(|| export().map(|export| export.name.clone())).unwrap_or_else(|| format!("func[{index}]"));
    if instance.name.is_empty() { name } else { format!("{}!{name}", instance.name) }
}

/// `module.name` of an imported function.
fn import_name(module: &Module, index: u32) -> Option<String> {
    let funcs = module.imports().iter().filter(|import| matches!(import.ty, ExternType::Func(_)));
    funcs.map(|import| format!("{}.{}", import.module, import.name)).nth(index as usize)
}
