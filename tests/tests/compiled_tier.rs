//! Compiled code beside the module: wherever it is stopped, the state is the interpreter's, byte for byte; and whoever has the state goes
//! on with it, in compiled code or not. `places.rs` has whole runs.

use std::path::Path;

use engine_tests::generate::Rng;
use node_tests::runner::{self, Ended};
use node_tests::same_everywhere::{JOBS, Job};
use stepmark_runner::node::engine::{Budget, Event, ModuleSession, TierChoice};
use stepmark_runner::node::frozen::PAGE;
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::sandbox::WasmNode;

fn job(name: &str) -> &'static Job {
    JOBS.iter().find(|job| job.name == name).unwrap()
}

/// Takes what is ready, and says where the run is.
fn taken(node: &mut dyn ModuleSession, ended: &mut Ended) -> (u64, u64, u64) {
    ended.stdout.append(&mut node.take_output(1).unwrap());
    ended.stderr.append(&mut node.take_output(2).unwrap());
    while let Some(file) = node.next_file().unwrap() {
        ended.files.insert(file.to_string(), node.take_all().unwrap());
    }
    let progress = node.progress().unwrap();
    (progress.gas_total, progress.segment_gas, progress.snapshot_id)
}

/// Runs a job in the interpreter and in compiled code, stopped after the same random gas again and again, and compares the
/// files of a pause at each stop; how many there were.
fn compare_pauses(argv: &[String], dir: &Path, most: u64, stops: u32) -> u32 {
    let (mut rng, mut count) = (Rng::new(most), 0);
    let (mut interpreted, mut compiled) = (NativeNode::new(), runner::compiled_node().unwrap());
    let (mut theirs, mut ours) = (Ended::default(), Ended::default());
    runner::load(&mut interpreted, argv, dir).unwrap();
    runner::load(&mut compiled, argv, dir).unwrap();
    loop {
        let gas = if count < stops { rng.bits() % most } else { u64::MAX };
        let budget = Budget { gas, steps: u64::MAX };
        let event = interpreted.run(budget).unwrap();
        assert_eq!(compiled.run(budget).unwrap(), event, "stop {count}");
        if event == Event::Paused {
            interpreted.encode_pause().unwrap();
            compiled.encode_pause().unwrap();
        }
        assert_eq!(taken(&mut compiled, &mut ours), taken(&mut interpreted, &mut theirs), "stop {count}");
        assert_eq!(runner::unlike(&ours.files, &theirs.files), Vec::<String>::new(), "stop {count}");
        if event == Event::Finished {
            assert_eq!(ours.differences(&theirs).unwrap(), Vec::<String>::new());
            assert!(compiled.compiled_work().turns > 0);
            return count;
        }
        count += 1;
    }
}

#[test]
fn wherever_compiled_code_is_stopped_its_state_is_the_interpreters() {
    let mut stops = 0;
    for (name, most) in [
        ("fib 27", 50_000),
        ("sha256 65536", 200_000),
        ("matrix multiplication from the middle", 300_000),
        ("iostream", 2_000),
        ("Rust with files of its own", 40_000),
        ("WebAssembly 3.0", 100),
        ("two linked modules", 50),
        ("call stack exhausted", 9_000),
        ("memory and tables", 200_000),
    ] {
        let dir = job(name).directory().unwrap();
        stops += compare_pauses(&job(name).argv(), dir.path(), most, 60);
    }
    assert!(stops > 300, "{stops}");
}

#[test]
fn a_memory_that_grows_out_of_its_place_is_compiled_for_anew() {
    let text = r#"(module (memory 1)
        (func (export "run") (param $rounds i32) (result i64) (local $sum i64) (local $at i32)
            (loop $grow
                (drop (memory.grow (i32.const 400)))
                (local.set $at (i32.const 0))
                (loop $write
                    (i32.store (local.get $at) (i32.add (local.get $at) (i32.load (local.get $at))))
                    (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $at))))
                    (br_if $write (i32.lt_u
                        (local.tee $at (i32.add (local.get $at) (i32.const 65532)))
                        (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)))))
                (br_if $grow (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
            (local.get $sum)))"#;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("grow.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let line = "--snapshot-output out --enable-gas-refill --gas-limit 40000000 grow.wasm run 6";
    let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    compare_pauses(&argv, dir.path(), 20_000_000, 5);
}

/// The node with the memory of another.
fn moved(from: &WasmNode, tier: TierChoice) -> WasmNode {
    let mut to = WasmNode::new(runner::node_module()).unwrap();
    let image = from.memory_image();
    let pages = (0..).zip(image.chunks(PAGE)).filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    to.restore_memory((image.len() / 65_536) as u32, pages).unwrap();
    to.set_tier(tier).unwrap();
    to
}

#[test]
fn a_module_that_is_moved_in_the_middle_of_compiled_work_goes_on_in_any_tier() {
    for name in ["fib 27", "matrix multiplication", "Rust with files of its own"] {
        let dir = job(name).directory().unwrap();
        let whole = runner::run(&mut NativeNode::new(), &job(name).argv(), dir.path()).unwrap();
        let mut ended = Ended::default();
        let mut node = runner::compiled_node().unwrap();
        runner::load(&mut node, &job(name).argv(), dir.path()).unwrap();
        for tier in
            [TierChoice::Register, TierChoice::Compiled, TierChoice::Compiled, TierChoice::Auto, TierChoice::Register]
        {
            assert!(!runner::advance(&mut node, 111_111, &mut ended).unwrap(), "{name}: over too soon");
            node = moved(&node, tier);
        }
        runner::finish(&mut node, 1_000_000, &mut ended).unwrap();
        assert_eq!(whole.differences(&ended).unwrap(), Vec::<String>::new(), "{name}");
    }
}
