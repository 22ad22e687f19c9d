//! The hot loop, which reads and writes without bounds that it has checked before: every instruction once, accesses at both
//! ends of a memory, and random programs; few enough that Miri executes them in minutes (`cargo xtask miri`).

use std::sync::Arc;

use engine_tests::engine_oracle::{Bounds, engines_agree};
use engine_tests::generate::program::random_program;
use engine_tests::opcodes::{PARTS, sample_of};
use stepmark_core::code::Op;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop, TierKind};
use stepmark_core::module::{Features, Module};
use stepmark_state::limits::Limits;

fn machine(module: &Arc<Module>, tier: TierKind) -> Machine {
    let mut machine = Machine::new(Schedule::default(), Limits { stack_slots: 1000, ..Limits::default() });
    machine.set_tier(tier);
    let instance = machine.link("", module.clone(), &InstanceLinker::default(), &NoHost).unwrap();
    machine.store.write_segments(instance).unwrap();
    machine
}

/// Folder of the modules as bytes: to translate a long text takes Miri longer than everything that it is to see, so the tests
/// write them there, and read them when Miri runs them.
const MODULES: &str = "HOT_LOOP_MODULES";

/// The module of this text, which the folder has under `name`.
fn module_of(name: &str, text: &str) -> Vec<u8> {
    let file = std::env::var_os(MODULES).map(|folder| std::path::Path::new(&folder).join(name));
    match file {
        Some(file) if cfg!(miri) => std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        file => {
            let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            file.into_iter().for_each(|file| std::fs::write(file, &bytes).unwrap());
            bytes
        }
    }
}

/// Calls every function that the module exports, in order, on both tiers: how each ends and what it has cost.
fn assert_alike(module: &str, text: &str, names: &[String]) {
    let bytes = module_of(module, text);
    // Parsed once: under Miri that is most of the work.
    let module = Arc::new(Module::parse(bytes, Features::default()).unwrap());
    let (mut fast, mut stepper) = (machine(&module, TierKind::Register), machine(&module, TierKind::Stepper));
    for name in names {
        let ended = [&mut fast, &mut stepper].map(|machine| {
            let Some(Extern::Func(func)) = machine.store.export(0, name) else { panic!("no {name}") };
            machine.invoke(func, &[]).unwrap();
            (machine.run(Budget::UNLIMITED), machine.gas_total())
        });
        assert_eq!(ended[0], ended[1], "{name}");
        // A trap stops a machine for good.
        if !matches!(ended[0].0, Stop::Done(_)) {
            (fast, stepper) = (machine(&module, TierKind::Register), machine(&module, TierKind::Stepper));
        }
    }
}

#[test]
fn every_instruction_ends_alike_on_both_tiers_in_one_module() {
    let drops = |op: &Op| matches!(op, Op::DataDrop | Op::ElemDrop);
    let (last, first): (Vec<Op>, Vec<Op>) = Op::ALL.iter().partition(|op| drops(op));
    let all: Vec<Op> = first.into_iter().chain(last).collect();
    let names: Vec<String> = all.iter().map(|op| op.mnemonic().to_owned()).collect();
    let funcs: String = all
        .iter()
        .map(|op| format!("(func (export \"{}\") (local $l i32) {})\n", op.mnemonic(), sample_of(*op).body))
        .collect();
    assert_alike("instructions.wasm", &format!("(module {PARTS} {funcs})"), &names);
}

/// Loads and stores of each width whose last byte is the memory's last, and one further.
#[test]
fn accesses_at_the_ends_of_a_memory_end_alike_on_both_tiers() {
    let accesses = [("i32.load8_u", 1), ("i32.load16_s", 2), ("i32.load", 4), ("i64.load", 8), ("v128.load", 16)];
    let stores =
        [("i32.store8", "i32", 1), ("i64.store16", "i64", 2), ("f32.store", "f32", 4), ("f64.store", "f64", 8)];
    let mut funcs = String::new();
    let mut names = Vec::new();
    let mut add = |name: String, code: String| {
        funcs.push_str(&format!("(func (export \"{name}\") (local $a i32) {code})\n"));
        names.push(name);
    };
    for beyond in [0, 1] {
        for (op, bytes) in accesses {
            let at = 65_536 - bytes + beyond;
            add(format!("{op} at {at}"), format!("(local.set $a (i32.const {at})) (drop ({op} (local.get $a)))"));
            add(format!("{op} of {at}"), format!("(drop ({op} offset={at} (local.get $a)))"));
            let below = format!("(i32.add (local.get $a) (i32.const {}))", at - 8);
            add(format!("{op} plus {at}"), format!("(drop ({op} offset=8 {below}))"));
        }
        for (op, ty, bytes) in stores {
            let at = 65_536 - bytes + beyond;
            let value = format!("({ty}.const 1)");
            add(format!("{op} at {at}"), format!("(local.set $a (i32.const {at})) ({op} (local.get $a) {value})"));
            add(format!("{op} of {at}"), format!("({op} offset={at} (local.get $a) {value})"));
        }
        for op in ["memory.fill", "memory.copy"] {
            let length = 65_536 - 100 + beyond;
            add(format!("{op} {length}"), format!("({op} (i32.const 100) (i32.const 1) (i32.const {length}))"));
        }
    }
    assert_alike("accesses.wasm", &format!("(module (memory 1) {funcs})"), &names);
}

#[test]
fn random_programs_end_alike_on_both_tiers() {
    let bounds = Bounds { tier: TierKind::Register, gas: 3_000, steps: 500, stops: 6, calls: 1 };
    for seed in 0..6 {
        let bytes = module_of(&format!("random-{seed}.wasm"), &random_program(seed));
        let figures = engines_agree(&bytes, &Schedule::default(), seed, bounds);
        figures.unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    }
}
