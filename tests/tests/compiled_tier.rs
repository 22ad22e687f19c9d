//! Compiled code beside the module: wherever it is stopped, the state is the interpreter's, byte for byte; and whoever has the state goes
//! on with it, in compiled code or not. `places.rs` has whole runs.

use std::path::Path;

use engine_tests::generate::Rng;
use node_tests::benchmarks;
use node_tests::programs;
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

/// Compares the pauses of a call of `f` in a program as text.
fn compare_text(text: &str, args: &str, limit: u64, most: u64) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("program.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let line =
        format!("--snapshot-output out --keep-final --enable-gas-refill --gas-limit {limit} program.wasm f {args}");
    let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    compare_pauses(&argv, dir.path(), most, 5);
}

#[test]
fn a_memory_that_grows_out_of_its_place_is_compiled_for_anew() {
    let text = r#"(module (memory 1)
        (func (export "f") (param $rounds i32) (result i64) (local $sum i64) (local $at i32)
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
    compare_text(text, "6", 40_000_000, 20_000_000);
}

#[test]
fn what_was_written_before_a_table_moved_is_in_the_snapshot() {
    let text = r#"(module (memory 16) (table $t 1 100000 funcref)
        (func (export "f") (param i32) (result i32)
            (loop $again
                (call $write (local.get 0))
                (drop (table.grow $t (ref.null func) (i32.const 1000)))
                (call $spin)
                (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get 0) (i32.const 90))))
            (i32.load (i32.const 4096)))
        (func $spin (local i32)
            (loop $l
                (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get 0) (i32.const 300)))))
        (func $write (param i32) (local i32)
            (loop $l
                (i32.store (i32.add (i32.mul (local.get 0) (i32.const 4096)) (local.get 1)) (local.get 1))
                (local.set 1 (i32.add (local.get 1) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get 1) (i32.const 64))))))"#;
    for limit in [7_777, 6_000, 10_000_000] {
        compare_text(text, "0", limit, 5_000);
    }
}

#[test]
fn a_function_that_takes_much_of_the_hosts_stack_recurs_as_deep_as_the_job_allows() {
    let product = |n: u64| {
        let factor = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(2 * n + 1) >> 1;
        format!("(local.set 2 (i64.xor (local.get 2) (i64.mul (local.get 1) (i64.const {factor}))))")
    };
    // They are the same before and after the call, and a compiler keeps them.
    for count in [70, 600] {
        let products: String = (0..count).map(product).collect();
        let text = format!(
            r#"(module (func $f (export "f") (param i32 i64) (result i64) (local i64) {products}
                (if (local.get 0) (then (local.set 2
                    (i64.add (local.get 2) (call $f (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))))
                {products} (local.get 2)))"#
        );
        compare_text(&text, "3000 7", 400_000, 200_000);
    }
}

#[test]
fn a_function_with_hundreds_of_operands_where_it_may_be_left_is_not_compiled() {
    let body = "(i32.load (local.get 0))".repeat(400)
        + &"(drop (i32.load (local.get 0)))".repeat(4_000)
        + &"i32.add ".repeat(399);
    let text = format!(
        r#"(module (memory 1) (func $g (param i32) (result i32) {body})
            (func (export "f") (param i32) (result i32) (loop $l
                (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get 0) (i32.const 500))))
                (call $g (local.get 0))))"#
    );
    compare_text(&text, "0", 3_000, 1_000);
}

#[test]
fn compiled_code_is_given_all_gas_that_there_is() {
    let dir = job("sha256 65536").directory().unwrap();
    let line = "--snapshot-output out sha256.wasm 65536";
    let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let mut node = runner::compiled_node().unwrap();
    runner::load(&mut node, &argv, dir.path()).unwrap();
    assert_eq!(node.run(Budget::UNLIMITED).unwrap(), Event::Finished);
    assert!(node.compiled_work().turns > 0);
}

#[test]
fn the_benchmark_programs_run_in_compiled_code() {
    for benchmark in benchmarks::all().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("program.wasm"), programs::bytes(&benchmark.path()).unwrap()).unwrap();
        let argv =
            ["--snapshot-output", "out", "program.wasm", "run", &benchmark.quick.n.to_string()].map(str::to_owned);
        let mut node = runner::compiled_node().unwrap();
        let ended = runner::run(&mut node, &argv, dir.path()).unwrap();
        let gas = ended.result().unwrap()["gas_used"].as_u64().unwrap();
        let share = node.compiled_work().gas as f64 / gas as f64;
        assert!(share > 0.9, "{}: {:.1} % of {gas} gas", benchmark.name(), 100.0 * share);
    }
}

#[test]
fn what_a_compiler_keeps_of_a_loop_over_a_call_is_counted_in_a_frame() {
    let product = |n: u32| format!("(i32.xor (local.get 3) (i32.mul (local.get 1) (i32.const {})))", 15838 * n + 1);
    let products: String = (0..1500).map(|n| format!("(local.set 3 {})", product(n))).collect();
    let text = format!(
        r#"(module (func $f (export "f") (param i32 i32) (result i32) (local i32 i32)
            (loop $l {products}
                (if (local.get 0) (then
                    (local.set 3 (i32.add (local.get 3) (call $f (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))
                    (local.set 0 (i32.const 0))
                    (br $l))))
            (local.get 3)))"#
    );
    compare_text(&text, "300 7", 3_000_000, 1_000_000);
}

#[test]
fn many_instances_run_whether_there_is_room_to_compile_them_all_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let other = "(module (func (export \"f\") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))";
    std::fs::write(dir.path().join("other.wasm"), wat::parse_str(other).unwrap()).unwrap();
    let imports: String =
        (0..100).map(|n| format!("(import \"m{n}\" \"f\" (func $f{n} (param i32) (result i32)))")).collect();
    let calls: String = (0..100).map(|n| format!("(local.set 0 (call $f{n} (local.get 0)))")).collect();
    let text = format!("(module {imports} (func (export \"f\") (param i32) (result i32) {calls} (local.get 0)))");
    std::fs::write(dir.path().join("program.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let preloads = (0..100).flat_map(|n| ["--preload".to_owned(), format!("m{n}=other.wasm")]);
    let words = ["--snapshot-output", "out", "--max-memory", "65536"].map(str::to_owned);
    let program = ["program.wasm", "f", "7"].map(str::to_owned);
    let argv: Vec<String> = words.into_iter().chain(preloads).chain(program).collect();
    let mut node = runner::compiled_node().unwrap();
    let ended = runner::run(&mut node, &argv, dir.path()).unwrap();
    assert_eq!(ended.result().unwrap()["values"][0]["value"], "107");
    assert!(node.compiled_work().funcs >= 64);
}

/// How often compiled code is entered in a call of `f` in a program as text.
fn turns(text: &str, args: &str) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("program.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let line = format!("--snapshot-output out program.wasm f {args}");
    let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let mut node = runner::compiled_node().unwrap();
    assert_eq!(runner::run(&mut node, &argv, dir.path()).unwrap().exit_code, 0);
    node.compiled_work().turns
}

#[test]
fn a_recursion_that_is_deeper_than_the_room_for_frames_is_left_to_the_interpreter() {
    let text = r#"(module
        (func $f (param i32) (result i32) (local i64 i64)
            (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
            (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 3)))
        (func (export "f") (param i32 i32) (result i32) (local i32)
            (loop $l
                (local.set 2 (i32.add (local.get 2) (call $f (local.get 0))))
                (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
            (local.get 2)))"#;
    let turns = turns(text, "60000 100");
    assert!(turns < 300, "{turns} turns, where each of the 100 recursions would be left a dozen times");
}

#[test]
fn a_loop_that_compiled_code_leaves_in_each_turn_is_left_to_the_interpreter() {
    for (work, iterations) in [(10, 30_000), (150, 30_000)] {
        let work = "(local.set 2 (i32.add (i32.mul (local.get 2) (i32.const 5)) (i32.const 13)))".repeat(work);
        let text = format!(
            r#"(module (func (export "f") (param i32) (result i32) (local i32 i32)
                (loop $l {work}
                    (drop (i32x4.extract_lane 0 (i32x4.splat (local.get 2))))
                    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                (local.get 2)))"#
        );
        let turns = turns(&text, &iterations.to_string());
        assert!(turns < 3_000, "{turns} turns of {iterations} iterations");
    }
}

#[test]
fn functions_that_are_entered_for_nothing_are_taken_back() {
    let func = |n: u32| format!("(func $f{n} (type $t) (drop (memory.grow (i32.const 0))))");
    let (funcs, names): (String, String) = (0..300).map(|n| (func(n), format!("$f{n} "))).unzip();
    let text = format!(
        r#"(module (type $t (func)) (memory 1) {funcs} (table funcref (elem {names}))
            (func (export "f") (param i32) (result i32) (local i32)
                (loop $l
                    (local.set 1 (i32.const 0))
                    (loop $each
                        (call_indirect (type $t) (local.get 1))
                        (br_if $each (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 300))))
                    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                (local.get 0)))"#
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("program.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let argv = ["--snapshot-output", "out", "--gas-limit", "1000000000", "program.wasm", "f", "200"].map(str::to_owned);
    let mut node = runner::compiled_node().unwrap();
    assert_eq!(runner::run(&mut node, &argv, dir.path()).unwrap().exit_code, 0);
    let turns = node.compiled_work().turns;
    assert!(turns < 30_000, "{turns} turns of 60,000 calls");
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
