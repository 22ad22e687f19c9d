//! Hostile programs: real and random modules with bytes flipped, cut, put in, with sections moved between modules, or
//! changed by wasm-mutate. Loading one ends with a module or an error, in bounded time and memory; every function of what
//! is accepted is translated, and it runs for a little on both engines, alike.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, FuncKind, HostImports, InstanceLinker, Machine, TierKind};
use stepmark_core::module::{ExternKind, ExternType, Features, FuncType, Import, Module};
use stepmark_state::limits::Limits;

use super::by_format::wasm_mutate;
use crate::generate::program::random_program;
use crate::generate::{Rng, random_args, relaxed_smith_module, smith_module};
use crate::panic_guard::caught;
use crate::programs;

/// Limits under which accepted modules run: small, so that none costs much.
const LIMITS: Limits = Limits {
    call_depth: 100,
    stack_slots: 20_000,
    memory_bytes: 4 << 20,
    table_elements: 20_000,
    file_bytes: 0,
    exception_slots: 64,
};
/// Gas and uncharged steps that an accepted module's functions run for.
const RUN: Budget = Budget { gas: 1_000, steps: 1_000 };
/// Exported functions that are called.
const CALLS: usize = 3;
/// Sample programs that are changed: small ones, which are quickly read.
const SAMPLES: [&str; 8] = [
    "fib32.wasm",
    "grow_table_trap.wasm",
    "linked_a.wasm",
    "linked_b.wasm",
    "matrix_multiplication_cpp_100.wasm",
    "sha256.wasm",
    "exit_code.wasm",
    "wasi/files.wasm",
];
/// No case may take longer, on a machine that does other things too.
pub const MOST_TIME: Duration = Duration::from_secs(10);

/// Counts of cases.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Cases.
    pub cases: u64,
    /// Those whose module is valid.
    pub accepted: u64,
    /// Those of them that could be linked and instantiated, and ran.
    pub ran: u64,
    /// Functions translated.
    pub functions: u64,
    /// Cases made by wasm-mutate.
    pub wasm_mutate: u64,
    /// The longest case.
    pub longest: Duration,
    /// What went wrong, after the number of the case.
    pub failures: Vec<(u64, String)>,
}

impl Figures {
    /// Adds another count.
    pub fn add(&mut self, other: Figures) {
        self.cases += other.cases;
        self.accepted += other.accepted;
        self.ran += other.ran;
        self.functions += other.functions;
        self.wasm_mutate += other.wasm_mutate;
        self.longest = self.longest.max(other.longest);
        self.failures.extend(other.failures);
    }
}

/// The sample programs that are changed.
///
/// # Errors
/// If one is missing.
pub fn samples() -> Result<Vec<Vec<u8>>> {
    SAMPLES.iter().map(|name| programs::bytes(name)).collect()
}

/// Runs case `number` of a seed, counting it.
pub fn case(samples: &[Vec<u8>], seed: u64, number: u64, figures: &mut Figures) {
    let (bytes, by_wasm_mutate, mut rng) = module_of(samples, seed, number);
    figures.cases += 1;
    figures.wasm_mutate += u64::from(by_wasm_mutate);
    let start = Instant::now();
    if let Err(error) = judge(&bytes, &mut rng, figures) {
        figures.failures.push((number, format!("{error:#}")));
    }
    let time = start.elapsed();
    if time > MOST_TIME {
        figures.failures.push((number, format!("took {time:?}")));
    }
    figures.longest = figures.longest.max(time);
}

/// The module of a case, whether wasm-mutate was asked to change it, and the numbers for what follows.
pub fn module_of(samples: &[Vec<u8>], seed: u64, number: u64) -> (Vec<u8>, bool, Rng) {
    let mut rng = Rng::new(seed.wrapping_mul(0x1_0000_0001) ^ number);
    let mut bytes = base(samples, &mut rng);
    let kind = rng.below(8);
    if kind < 2 {
        bytes = wasm_mutate(&bytes, &mut rng).unwrap_or(bytes);
    }
    if kind > 0 {
        change(&mut bytes, samples, &mut rng);
    }
    (bytes, kind < 2, rng)
}

fn base(samples: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let seed = rng.bits();
    let random = match rng.below(16) {
        0..3 => return samples[rng.below(samples.len())].clone(),
        3 => wat::parse_str(random_program(seed)).ok(),
        4..7 => relaxed_smith_module(seed),
        _ => smith_module(seed, true),
    };
    random.unwrap_or_else(|| samples[0].clone())
}

/// One to three changes that know nothing but, at best, where sections are.
fn change(bytes: &mut Vec<u8>, samples: &[Vec<u8>], rng: &mut Rng) {
    for _ in 0..[1, 1, 2, 3][rng.below(4)] {
        if bytes.len() < 9 {
            return;
        }
        let at = 8 + rng.below(bytes.len() - 8);
        match rng.below(12) {
            0..4 => {
                for _ in 0..1 + rng.below(4) {
                    let at = rng.below(bytes.len());
                    bytes[at] ^= 1 << rng.below(8);
                }
            }
            4 | 5 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, 0x40, 0x0b, 0xfd, 0xfc, 0x1f][rng.below(10)],
            6 => bytes.truncate(at),
            7 => drop(bytes.drain(at..(at + 1 + rng.below(6)).min(bytes.len()))),
            8 => {
                let new: Vec<u8> = (0..1 + rng.below(6)).map(|_| rng.bits() as u8).collect();
                drop(bytes.splice(at..at, new));
            }
            9 => {
                // A number of the greatest size, where some number may be.
                drop(bytes.splice(at..=at, [0xff, 0xff, 0xff, 0xff, 0x0f]));
            }
            _ => splice_section(bytes, samples, rng),
        }
    }
}

/// Sections of a module by their places in its bytes, as far as they can be read.
fn sections(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = 8;
    while at + 1 < bytes.len() {
        let (mut size, mut shift, mut next) = (0_usize, 0, at + 1);
        while let Some(byte) = bytes.get(next).filter(|_| shift < 35) {
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            next += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let end = next.saturating_add(size);
        if end > bytes.len() {
            break;
        }
        found.push(at..end);
        at = end;
    }
    found
}

/// Puts a section of this or another module in, in the place of one or between two; or takes one out.
fn splice_section(bytes: &mut Vec<u8>, samples: &[Vec<u8>], rng: &mut Rng) {
    let own = sections(bytes);
    let other = if rng.once_in(3) { bytes.clone() } else { base(samples, rng) };
    let others = sections(&other);
    if own.is_empty() || others.is_empty() {
        return;
    }
    let place = own[rng.below(own.len())].clone();
    let new = match rng.below(4) {
        0 => Vec::new(),
        _ => {
            let alike = others.iter().find(|range| other[range.start] == bytes[place.start]);
            let chosen = if rng.once_in(2) { alike } else { None };
            other[chosen.unwrap_or(&others[rng.below(others.len())]).clone()].to_vec()
        }
    };
    let place = if rng.once_in(4) { place.start..place.start } else { place };
    drop(bytes.splice(place, new));
}

/// Host functions for whatever functions a module imports.
struct AnyHost(Vec<Import>);

impl HostImports for AnyHost {
    fn resolve(&self, module: &str, name: &str) -> Option<(u32, FuncType)> {
        let found = self.0.iter().find(|import| import.module == module && import.name == name)?;
        match &found.ty {
            ExternType::Func(ty) => Some((0, ty.clone())),
            _ => None,
        }
    }
}

/// Loads a module and, if it is accepted, translates and runs it.
///
/// # Errors
/// What went wrong: a panic, or engines that differ.
pub fn judge(bytes: &[u8], rng: &mut Rng, figures: &mut Figures) -> Result<()> {
    let work = || {
        let Ok(module) = Module::parse(bytes.to_vec(), Features::default()) else { return Ok(()) };
        figures.accepted += 1;
        accepted(&Arc::new(module), rng, figures)
    };
    caught(work)
}

fn accepted(module: &Arc<Module>, rng: &mut Rng, figures: &mut Figures) -> Result<()> {
    let schedule = if rng.once_in(2) { Schedule::default() } else { Schedule::seed_ordinal() };
    let mut machine = Machine::new(schedule, LIMITS);
    let host = AnyHost(module.imports().to_vec());
    let Ok(instance) = machine.link("", module.clone(), &InstanceLinker::default(), &host) else { return Ok(()) };
    for func in 0..machine.store.funcs.len() {
        if machine.store.funcs[func].kind == FuncKind::Wasm {
            machine.prepare(func as u32);
            figures.functions += 1;
        }
    }
    if machine.store.write_segments(instance).is_err() {
        return Ok(());
    }
    figures.ran += 1;
    let start = module.start().into_iter();
    let exports = module.exports().iter().filter(|export| export.kind == ExternKind::Func).map(|export| export.index);
    for index in start.chain(exports).take(CALLS) {
        let func = machine.store.instances[instance as usize].funcs[index as usize];
        run_both(&machine, func, rng)?;
    }
    Ok(())
}

fn run_both(machine: &Machine, func: u32, rng: &mut Rng) -> Result<()> {
    let args = random_args(rng, machine.store.func_type(func));
    let mut ends = Vec::new();
    for tier in TierKind::ALL {
        let mut machine = machine.clone();
        machine.set_tier(tier);
        if machine.invoke(func, &args).is_err() {
            return Ok(());
        }
        let stop = machine.run(RUN);
        machine.collect_exceptions();
        let exceptions = machine.exception_states();
        ends.push((format!("{stop:?}"), machine.gas_total(), exceptions, machine.frame_states()));
    }
    ensure!(ends[0] == ends[1], "function {func}{args:x?}: fast {:?}, stepper {:?}", ends[0], ends[1]);
    Ok(())
}
