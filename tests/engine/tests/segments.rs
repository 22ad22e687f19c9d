//! However a run is cut into segments, slices and processes, it writes the same bytes: one run with refill, a chain of
//! single-segment runs in new sessions, runs resumed with refill from every snapshot, runs in slices, and runs that are
//! paused, encoded, restored and continued again and again; and the stepper alone writes what the fast engine writes.

use engine_tests::generate::program::random_program;
use engine_tests::generate::{Rng, random_args, random_schedule, smith_module};
use engine_tests::session::{Drive, End, Figures, Files, Job, program, wasmfile, words};
use stepmark_core::module::{ExternKind, Features, Module, ValType};

/// Gas after which a random program is cut off.
const MOST_GAS: u64 = 20_000;

/// The next argument, of those in these slots.
fn argument(ty: ValType, slots: &mut impl Iterator<Item = u64>) -> String {
    let bits = slots.next().expect("a slot");
    match ty {
        ValType::F32 => format!("{}", f32::from_bits(bits as u32)),
        ValType::F64 => format!("{}", f64::from_bits(bits)),
        ValType::V128 => (u128::from(bits) | u128::from(slots.next().expect("two slots")) << 64).to_string(),
        _ => bits.to_string(),
    }
}

/// A call of every exported function of a module, as far as a command line can express it.
fn jobs(bytes: &[u8], schedule: u64, rng: &mut Rng) -> Vec<Job> {
    let Ok(module) = Module::parse(bytes.to_vec(), Features::default()) else { return Vec::new() };
    let mut inputs = Files::from([("p.wasm".to_owned(), bytes.to_vec())]);
    let mut flags = words("--max-call-depth 60 --max-memory 327680");
    match schedule % 3 {
        0 => {}
        1 => flags.extend(words("--gas-schedule seed-ordinal")),
        _ => {
            inputs.insert("random.csv".to_owned(), random_schedule(schedule).text().as_bytes().to_vec());
            flags.extend(words("--gas-schedule random.csv"));
        }
    }
    let mut jobs = Vec::new();
    for export in module.exports().iter().filter(|e| e.kind == ExternKind::Func) {
        let ty = module.func_type(export.index);
        let mut args = random_args(rng, ty).into_iter();
        let mut call = vec!["p.wasm".to_owned(), export.name.clone()];
        call.extend(ty.params.iter().map(|ty| argument(*ty, &mut args)));
        jobs.push(Job { inputs: inputs.clone(), flags: flags.clone(), call });
    }
    jobs
}

/// Gas of a whole run, if it is worth cutting up.
fn probe(job: &Job) -> Option<u64> {
    let how = Drive { gas: MOST_GAS, steps: 100_000, ..Drive::WHOLE };
    let default = !job.flags.contains(&"--gas-schedule".to_owned());
    match job.start("", how) {
        // Under other schedules a run that has not ended may never do so.
        Ok(run) if run.end == End::Finished || (default && run.end == End::Left) => Some(run.gas),
        _ => None,
    }
}

fn random_jobs(kind: &str, seeds: std::ops::Range<u64>, module: impl Fn(u64) -> Option<Vec<u8>>) -> Figures {
    let mut figures = Figures::default();
    for seed in seeds {
        let mut rng = Rng::new(seed ^ 0x5e65);
        let Some(bytes) = module(seed) else { continue };
        for job in jobs(&bytes, seed, &mut rng) {
            let Some(gas) = probe(&job).filter(|gas| *gas > 3) else { continue };
            let parts = 2 + rng.bits() % 4;
            let limit = if rng.once_in(3) { 1 + rng.bits() % gas } else { gas / parts + 1 };
            let segments = if limit < 12 { 12 } else { 6 };
            let slice = 1 + rng.bits() % (gas / 3);
            let mut slices = vec![slice.max(gas / 60)];
            if limit.saturating_mul(segments).min(gas) <= 200 {
                slices.extend([1, 7]);
            }
            match job.all_ways(limit, segments, &slices) {
                Ok((_, one)) => figures.add(&one),
                Err(error) => panic!("{kind} seed {seed}, {:?}, limit {limit}: {error:#}", job.call),
            }
        }
    }
    println!("{kind}: {figures:?}");
    figures
}

#[test]
fn random_programs_write_the_same_bytes_however_they_are_cut() {
    let figures = random_jobs("programs", 0..120, |seed| wat::parse_str(random_program(seed)).ok());
    assert!(figures.programs >= 150 && figures.finished >= 60 && figures.trapped >= 10, "{figures:?}");
    assert!(figures.segments >= 600 && figures.resumed >= 800 && figures.restored >= 2_500, "{figures:?}");
}

#[test]
fn modules_of_wasm_smith_write_the_same_bytes_however_they_are_cut() {
    let figures = random_jobs("wasm-smith", 0..150, |seed| smith_module(seed, true));
    assert!(figures.programs >= 60 && figures.segments >= 250 && figures.restored >= 600, "{figures:?}");
}

fn sample(names: &[&str], flags: &str, call: &str) -> Job {
    Job::new(names.iter().map(|name| wasmfile(name)).collect(), flags, call)
}

#[test]
fn sample_programs_write_the_same_bytes_however_they_are_cut() {
    let mut commands = sample(&["iostream_cpp"], "--stdin words --env GREETING=hello", "iostream_cpp.wasm a b");
    commands.inputs.insert("words".to_owned(), b"the cat\nand the dog\n".to_vec());
    let jobs = [
        sample(&["fib32"], "", "fib32.wasm fib 13"),
        sample(&["matrix_multiplication_cpp_100"], "", "matrix_multiplication_cpp_100.wasm run"),
        sample(&["sha256"], "", "sha256.wasm 300"),
        sample(&["grow_table_trap"], "", "grow_table_trap.wasm work"),
        // Under the first schedule, where a quarter of the gas pays for each instruction.
        sample(&["grow_table_trap"], "--gas-schedule default-1", "grow_table_trap.wasm set_entry 7 6"),
        sample(&["grow_table_trap"], "--max-call-depth 500", "grow_table_trap.wasm trap 5"),
        sample(&["linked_a", "linked_b"], "--preload lib=linked_b.wasm", "linked_a.wasm run"),
        sample(&["exit_code"], "", "exit_code.wasm 42"),
        sample(&["rust_std"], "--seed 5", "rust_std.wasm 3 some words"),
        commands,
    ];
    let mut figures = Figures::default();
    for job in jobs {
        let gas = job.start("", Drive::WHOLE).unwrap().gas;
        let slices = if gas <= 400 { vec![1, 7] } else { vec![gas / 11 + 1, gas / 29 + 1] };
        // What memory.grow costs must fit.
        let limit = if job.call[0] == "linked_a.wasm" { 4_120 } else { gas / 4 + 1 };
        let (whole, one) = job.all_ways(limit, 10, &slices).unwrap_or_else(|e| panic!("{:?}: {e:#}", job.call));
        assert_eq!(whole.end, End::Finished, "{:?}", job.call);
        println!("{:?}: exit code {}, {} gas, {one:?}", job.call, whole.exit_code, whole.gas);
        figures.add(&one);
    }
    println!("samples: {figures:?}");
    assert!(figures.programs == 10 && figures.segments >= 30 && figures.restored >= 80, "{figures:?}");
}

#[test]
fn every_limit_and_every_pause_of_a_small_program_writes_the_same_bytes() {
    let small = program(
        "(module (memory 1) (table 4 8 funcref) (elem (i32.const 0) $add $mul) (type $t (func (param i32) (result i32)))
          (func $add (type $t) (i32.add (local.get 0) (i32.const 3)))
          (func $mul (type $t) (i32.mul (local.get 0) (i32.const 5)))
          (func (export \"run\") (result i32) (local i32 i32)
            (loop $next
              (local.set 1 (call_indirect (type $t) (local.get 1) (i32.and (local.get 0) (i32.const 1))))
              (i32.store (i32.mul (local.get 0) (i32.const 4096)) (local.get 1))
              (br_if $next (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 4))))
            (drop (table.grow (ref.func $mul) (i32.const 2)))
            (i32.add (local.get 1) (i32.load (i32.const 8192)))))",
    );
    let job = Job::new(small, "", "program.wasm run");
    let gas = job.start("", Drive::WHOLE).unwrap().gas;
    assert!((60..150).contains(&gas), "{gas}");
    let mut figures = Figures::default();
    for limit in 1..=gas + 1 {
        let (_, one) = job.all_ways(limit, 8, &[1, 2, 3, 7, limit]).unwrap_or_else(|e| panic!("limit {limit}: {e:#}"));
        figures.add(&one);
    }
    println!("small: {figures:?}");
    assert!(figures.segments >= 300 && figures.restored >= 5_000, "{figures:?}");
}
