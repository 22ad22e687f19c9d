//! What a program leaves behind is hashed when it has ended, some bytes at a time: a run can be paused there as anywhere.

use engine_tests::mutate::{Subject, changed};
use engine_tests::session::{Drive, Files, Job, load, pause, program, run, take_files, with, words};
use stepmark_session::{Budget, Event};
use stepmark_state::canonical::Phase;

/// Leaves a file of 300,000 bytes with two names, and returns -7, or exits with the code that it is given.
const LEAVES: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_link" (func $link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $size (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 0) "big") (data (i32.const 4) "too")
    (func $ok (param i32) (if (local.get 0) (then (unreachable))))
    (func (export "run") (param $code i32) (result i64)
        (call $ok (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 1) (i64.const -1)
            (i64.const 0) (i32.const 0) (i32.const 8)))
        (call $ok (call $size (i32.load (i32.const 8)) (i64.const 300000)))
        (call $ok (call $link (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 4)
            (i32.const 3)))
        (if (local.get $code) (then (call $exit (local.get $code))))
        (i64.const -7)))"#;

/// Bytes that are hashed before somebody looks up.
const SLICE: Budget = Budget { gas: u64::MAX, steps: 100_000 };

fn argv(resume: &str, code: u32) -> Vec<String> {
    words(&format!("--preopen / {resume} program.wasm run {code}"))
}

#[test]
fn a_run_is_paused_before_and_between_what_is_hashed_at_its_end_and_comes_to_the_same_result() {
    let inputs = program(LEAVES);
    for (code, outcome) in [(0, "finished"), (7, "exited")] {
        let whole = run(&mut load(&inputs, &argv("", code)).unwrap(), Drive::WHOLE).files;
        let receipt = String::from_utf8_lossy(&whole["out/receipt.json"]);
        assert!(receipt.contains(outcome) && receipt.contains("\"too\""), "{receipt}");
        let mut session = load(&inputs, &argv("", code)).unwrap();
        let (mut pauses, mut states) = (0, Vec::new());
        while session.run(SLICE).unwrap() == Event::Paused {
            pauses += 1;
            let paused = pause(&mut session).unwrap();
            assert_eq!(paused.keys().collect::<Vec<_>>(), ["out/paused.bin", "out/paused.snap"]);
            let argv = argv("--snapshot-input out --snapshot-id paused", code);
            let mut resumed = load(&with(inputs.clone(), &paused), &argv).unwrap();
            states.push(paused);
            let again = run(&mut resumed, Drive::WHOLE);
            assert_eq!(again.files, whole, "pause {pauses} with code {code}");
            assert_eq!(again.exit_code, i32::try_from(code).unwrap());
        }
        let mut files = Files::new();
        take_files(&mut session, &mut files).unwrap();
        assert_eq!(files, whole, "the pauses left no trace");
        assert_eq!(pauses, 3, "before anything is hashed, and after 102,400 and 204,800 of 300,000 bytes");
        assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "how much is hashed is no part of the state");
    }
}

#[test]
fn a_pause_of_the_end_has_the_results_that_the_entry_can_return() {
    let text = "(module (func (export \"run\") (result i64) (local i32)
        (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 99))))
        (i64.const -7)))";
    let job = Job::new(program(text), "", "program.wasm run");
    let [_, subject] = Subject::both("the end", job, 100, 1);
    let at_end = |results: &[u64]| {
        changed(&subject, |raw| {
            raw.state.phase = Phase::Finished;
            raw.state.frames.clear();
            raw.state.results = results.to_vec();
        })
    };
    assert_eq!(at_end(&[u64::MAX]), "loaded");
    assert_eq!(at_end(&[]), "state: 0 slots of results, expected 1");
    assert_eq!(at_end(&[1, 2]), "state: 2 slots of results, expected 1");
    let with_frames = changed(&subject, |raw| raw.state.phase = Phase::Finished);
    assert!(with_frames.contains("the phase Finished is not one of this run that could go on"), "{with_frames}");
}
