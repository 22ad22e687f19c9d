//! The node's state is its linear memory: copied into a fresh instance in another store, at any moment, it goes on to the same
//! files. Every call is made with imports that trap, and leaves every mutable global at its base. `migration.rs` takes it to
//! other runtimes.

use std::path::Path;
use std::sync::OnceLock;

use node_tests::reactor::{ExposedNode, Reactor};
use node_tests::runner::{self, Ended};
use node_tests::same_everywhere::{JOBS, Job};
use stepmark_core::module::{Features, Module};
use stepmark_runner::node::embedded_module::NODE_WASM;
use stepmark_runner::node::engine::ModuleSession;

/// What the node may import: arguments, environment, files, exit; no clock, no randomness, no sockets.
const IMPORTS: &str = include_str!("../node-imports.txt");

fn exposed() -> &'static ExposedNode {
    static NODE: OnceLock<ExposedNode> = OnceLock::new();
    NODE.get_or_init(|| ExposedNode::new(NODE_WASM).unwrap())
}

fn job(name: &str) -> &'static Job {
    JOBS.iter().find(|job| job.name == name).unwrap()
}

/// The job without interruption, in one instance.
fn whole(job: &Job) -> Ended {
    job_in(job, |node, argv, dir| runner::run(node, argv, dir).unwrap())
}

fn job_in<T>(job: &Job, run: impl FnOnce(&mut Reactor<'static>, &[String], &Path) -> T) -> T {
    let dir = job.directory().unwrap();
    run(&mut Reactor::new(exposed(), false).unwrap(), &job.argv(), dir.path())
}

/// The job up to a pause, and what it has handed out so far.
fn half(job: &Job, gas: u64) -> (Vec<u8>, Ended) {
    job_in(job, |node, argv, dir| {
        let mut ended = Ended::default();
        runner::load(node, argv, dir).unwrap();
        while node.progress().unwrap().gas_total < gas {
            assert!(!runner::advance(node, 100_000, &mut ended).unwrap(), "{}: over before {gas} gas", job.name);
        }
        (node.image(), ended)
    })
}

/// What was handed out before a move, and what after it.
fn join(mut before: Ended, after: Ended) -> Ended {
    before.files.extend(after.files);
    before.stdout.extend(after.stdout);
    before.stderr.extend(after.stderr);
    Ended { exit_code: after.exit_code, ..before }
}

#[track_caller]
fn assert_same(whole: &Ended, moved: &Ended) {
    assert_eq!(whole.differences(moved).unwrap(), Vec::<String>::new());
    assert_eq!(whole.exit_code, moved.exit_code);
}

#[test]
fn the_node_imports_what_the_list_says_and_nothing_else() {
    let module = Module::parse(NODE_WASM.to_vec(), Features::default()).unwrap();
    let mut imports: Vec<String> = module.imports().iter().map(|i| format!("{}.{}", i.module, i.name)).collect();
    imports.sort();
    assert_eq!(imports, IMPORTS.lines().collect::<Vec<_>>());
    for forbidden in ["clock", "random", "sock", "poll", "sched", "raise"] {
        assert!(!IMPORTS.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn the_only_mutable_global_is_the_stack_pointer() {
    assert_eq!(exposed().globals, ["mutable global 0"]);
}

#[test]
fn a_memory_goes_on_in_a_fresh_instance_of_another_store() {
    for (name, gas) in [("matrix multiplication", 11_000_000), ("Go with files", 2_300_000), ("iostream", 40_000)] {
        let (image, before) = half(job(name), gas);
        let mut after = Ended::default();
        let mut node = Reactor::thaw(exposed(), &image).unwrap();
        runner::finish(&mut node, 1_000_000, &mut after).unwrap();
        let moved = join(before, after);
        assert_same(&whole(job(name)), &moved);
        println!("{name}: {} bytes of memory moved at {gas} gas, {} snapshots", image.len(), moved.snapshots());
    }
}

#[test]
fn a_memory_may_move_before_every_single_call() {
    for (name, slice) in [
        ("two linked modules", 100),
        ("iostream fails", 5_000),
        ("call stack exhausted", 60_000),
        ("WebAssembly 3.0", 30),
    ] {
        let job = job(name);
        let dir = job.directory().unwrap();
        let mut node = Reactor::new(exposed(), true).unwrap();
        let mut moved = Ended::default();
        runner::load(&mut node, &job.argv(), dir.path()).unwrap();
        runner::finish(&mut node, slice, &mut moved).unwrap();
        assert_same(&whole(job), &moved);
        assert!(node.moves >= node.calls && node.calls > 100, "{} moves, {} calls", node.moves, node.calls);
        println!("{name}: {} calls, {} moves", node.calls, node.moves);
    }
}

#[test]
fn a_move_between_a_snapshot_and_taking_its_files_loses_nothing() {
    let job = job("fib 27");
    let dir = job.directory().unwrap();
    let mut node = Reactor::new(exposed(), false).unwrap();
    runner::load(&mut node, &job.argv(), dir.path()).unwrap();
    let everything = stepmark_runner::node::engine::Budget { gas: u64::MAX, steps: u64::MAX };
    assert_eq!(node.run(everything).unwrap(), stepmark_runner::node::engine::Event::Snapshot(1));
    let mut moved = Ended::default();
    while let Some(next) = node.next_file().unwrap() {
        let (mut file, mut chunk) = (Vec::new(), Vec::new());
        node.move_on().unwrap();
        while node.take_chunk(&mut chunk).unwrap() {
            file.extend_from_slice(&chunk);
            node.move_on().unwrap();
        }
        moved.files.insert(next.to_string(), file);
    }
    assert_eq!(moved.files.keys().collect::<Vec<_>>(), ["1.bin", "1.snap"]);
    runner::finish(&mut node, 1_000_000, &mut moved).unwrap();
    assert_same(&whole(job), &moved);
}

#[test]
fn errors_and_misuse_leave_the_globals_at_their_base_too() {
    let mut node = Reactor::new(exposed(), true).unwrap();
    assert_eq!(node.want().unwrap_err().code(), 2);
    assert_eq!(node.load_arguments(&["--no-such-flag".to_owned()]).unwrap_err().code(), 2);
    node.load_arguments(&["a.wasm".to_owned(), "run".to_owned()]).unwrap();
    assert_eq!(node.want().unwrap().as_deref(), Some("a.wasm"));
    node.give(b"no wasm").unwrap();
    let error = node.give_end(true).and_then(|()| node.want().map(|_| ())).unwrap_err();
    assert_eq!(error.code(), 65, "{error}");
    node.load_arguments(&["a.wasm".to_owned()]).unwrap();
    assert_eq!(node.want().unwrap().as_deref(), Some("a.wasm"));
    let error = node.give_end(false).and_then(|()| node.want().map(|_| ())).unwrap_err();
    assert!([2, 74].contains(&error.code()), "{error}");
}
