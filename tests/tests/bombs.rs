//! Work in proportion to what is there: modules that are made to be dear, exceptions in deep stacks, and a node whose memory
//! is not enough. `cargo xtask bombs` measures more of it.

use std::time::{Duration, Instant};

use node_tests::allocations::sizes_of_memory;
use node_tests::runner::{self, nodes};
use node_tests::session::{Drive, Job, program};
use stepmark_core::module::{Features, Module};

fn refusal(text: &str) -> String {
    let module = Module::parse(wat::parse_str(text).unwrap(), Features::default());
    module.map(|_| "accepted".to_owned()).unwrap_or_else(|error| error.message().to_owned())
}

#[test]
fn a_function_of_many_locals_is_validated_by_those_that_it_names() {
    let locals = "(local $f i32)".to_owned() + &"(local i64)".repeat(3000) + "(local $r (ref func))";
    let cases = [
        ("(local.set 2999 (i64.const 1)) (drop (local.get 2999))", "accepted"),
        ("(drop (i32.eqz (local.get 5)))", "type mismatch: expected i32, found i64"),
        ("(drop (local.get 3002))", "unknown local 3002: local index out of bounds"),
        ("(drop (local.get $r))", "uninitialized local: 3001"),
        ("(local.set $r (ref.func 0)) (drop (local.get $r))", "accepted"),
        ("(block (local.set $r (ref.func 0))) (drop (local.get $r))", "uninitialized local: 3001"),
    ];
    for (code, expected) in cases {
        let found = refusal(&format!("(module (elem declare func 0) (func {locals} {code}))"));
        assert!(found.contains(expected), "{code}: {found}");
    }
}

#[test]
fn a_module_whose_instructions_name_too_many_values_is_refused_and_one_with_some_is_not() {
    let results = "i32 ".repeat(1000);
    let values = "i32.const 0 ".repeat(1000);
    let with = |n: usize| {
        let branches = "i32.const 0 br_if 0 ".repeat(n);
        refusal(&format!("(module (func (result {results}) {values} {branches}))"))
    };
    assert_eq!(with(500), "accepted");
    let refused = with(2000);
    assert!(refused.contains("name too many values by their types: more than 1"), "{refused}");
}

#[test]
fn a_function_of_more_operands_than_its_bytes_can_be_for_is_refused() {
    let with = |n: usize, before: &str, after: &str| {
        let results = "i32 ".repeat(1000);
        let (call, after) = ("call $f ".repeat(n), after.repeat(1000 * n));
        refusal(&format!("(module (func $f (result {results}) unreachable) (func {before} {call} {after}))"))
    };
    assert_eq!(with(65, "", "drop "), "accepted");
    let refused = with(200, "unreachable", "");
    // Of 200 calls of 2 bytes, `unreachable`, `end` and the number of groups of locals.
    assert!(
        refused.contains("a function has too many operands: more than 66342, which is 65536 and 2 for"),
        "{refused}"
    );
}

/// A branch table of many targets at each of which 1,000 values are wanted elsewhere than they are.
#[test]
fn a_branch_table_that_carries_many_values_ends_alike_everywhere() {
    let results = "i32 ".repeat(1000);
    let text = format!(
        "(module (func $f (param i32) (result {results}) i32.const 7 {} local.get 0 br_table {} 0)
           (func (export \"run\") (result i32) i32.const 3 call $f {}))",
        "i32.const 5 ".repeat(1000),
        "0 ".repeat(500),
        "drop ".repeat(999)
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let argv = ["--snapshot-output", "out", "t.wasm", "run"].map(str::to_owned);
    let mut results = Vec::new();
    for (name, mut node) in nodes().unwrap() {
        let ended = runner::run(&mut *node, &argv, dir.path()).unwrap();
        assert_eq!((ended.exit_code, ended.files["result.txt"].as_slice()), (0, b"0\n0\n5\n".as_slice()), "{name}");
        results.push(ended.portable_hash().unwrap());
    }
    assert_eq!(results[0], results[1]);
}

/// `depth` frames of one function, each at a call of its own, with a reference to an exception.
fn deep_exceptions(depth: usize) -> Job {
    let calls: String = (0..depth)
        .map(|n| {
            format!("(if (i32.eq (local.get 0) (i32.const {n})) (then (call $down (i32.const {})) (return)))", n + 1)
        })
        .collect();
    let text = format!(
        "(module (tag $t)
           (func $down (export \"run\") (param i32) (local $e exnref)
             (local.set $e (block $c (result exnref) (try_table (catch_all_ref $c) (throw $t)) (unreachable)))
             {calls}
             (loop $spin (br $spin))))"
    );
    Job::new(program(&text), "--gas-limit 30000000", "program.wasm run 0")
}

#[test]
fn a_snapshot_of_exceptions_in_a_deep_stack_takes_time_in_proportion_to_the_stack() {
    let time = |depth: usize| {
        let job = deep_exceptions(depth);
        let before = Instant::now();
        let run = job.start("", Drive::WHOLE).unwrap();
        assert!(run.files.keys().any(|name| name.ends_with(".snap")), "{:?}", run.files.keys());
        before.elapsed()
    };
    time(10);
    // 4,000 places of one function, each of which was once looked for from its beginning: 15 s then.
    let taken = time(3000);
    assert!(taken < Duration::from_secs(6), "{taken:?}");
}

/// Every limit of the node's memory, page by page, until it is enough.
#[test]
fn a_node_without_enough_memory_says_so_and_calls_no_import() {
    let rows = sizes_of_memory().unwrap();
    let not_enough: Vec<bool> = rows.iter().map(|(_, refused, _)| *refused > 20).collect();
    let otherwise: Vec<&String> = rows.iter().flat_map(|(.., otherwise)| otherwise).collect();
    assert_eq!((not_enough, otherwise), (vec![true; 2], Vec::<&String>::new()), "{rows:?}");
}

#[test]
fn a_job_that_may_take_more_than_the_node_as_wasm_can_hold_is_told_so_at_its_start() {
    let message = |argv: &[&str]| {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let mut session = guest_interp::args::session(&argv).unwrap();
        while session.want().unwrap().is_some() {
            session.give(&wat::parse_str("(module (func (export \"run\")))").unwrap()).unwrap();
            session.give_end(true).unwrap();
        }
        session.take_message()
    };
    assert_eq!(message(&["a.wasm", "run"]), None);
    let expected = "the job's limits allow 5923915472 bytes, more than the 3758096384 that the module can hold: \
                    where it runs as wasm it may end with exit code 74";
    assert_eq!(message(&["--max-memory", "4294967296", "a.wasm", "run"]).as_deref(), Some(expected));
}
