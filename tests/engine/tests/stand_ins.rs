//! What stands in for imports that nothing provides, and preview 0 of WASI: however such a run is cut, it leaves the same bytes.

use engine_tests::session::{Drive, Files, Job, Run, program};

/// Calls two functions that nobody provides, one of them through a table, after and before some work.
const STUBS: &str = r#"(module
    (type $pair (func (param i64) (result i32 v128 externref)))
    (import "a" "pair" (func $pair (type $pair))) (import "b" "g" (func $g (param f64) (result f64)))
    (table funcref (elem $pair))
    (func (export "run") (result i32 f64) (local $i i32)
        (loop $l (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
        (call_indirect (type $pair) (i64.const 7) (i32.const 0))
        (if (param i32 v128) (result i32) (ref.is_null)
            (then (i32x4.extract_lane 1) (i32.add))
            (else (drop) (drop) (i32.const -1)))
        (loop $l (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200))))
        (call $g (f64.const 1.5))))"#;

/// Aborts as AssemblyScript does: the message is "no", the file "a.ts".
const ABORT: &str = r#"(module (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
    (memory 1) (data (i32.const 12) "\04\00\00\00n\00o\00") (data (i32.const 28) "\08\00\00\00a\00.\00t\00s\00")
    (func (export "run") (call $abort (i32.const 16) (i32.const 32) (i32.const 3) (i32.const 7))))"#;

fn all_ways(text: &str, flags: &str) -> Run {
    let job = Job::new(program(text), flags, "program.wasm run");
    job.all_ways(150, 20, &[1, 40, 97]).unwrap_or_else(|error| panic!("{flags}: {error:?}")).0
}

fn detail(run: &Run) -> String {
    let receipt = run.receipt();
    format!("{}: {}", receipt["trap"]["message"].as_str().unwrap(), receipt["trap"]["detail"].as_str().unwrap())
}

#[test]
fn a_stub_returns_zeros_or_traps_the_same_way_in_every_cut() {
    let zeros = all_ways(STUBS, "--stub-imports zero");
    assert_eq!((zeros.exit_code, zeros.values()), (0, "0 0".to_owned()));
    let trap = all_ways(STUBS, "--stub-imports trap");
    assert_eq!((trap.exit_code, detail(&trap)), (134, "host function error: unknown import \"a\".\"pair\"".to_owned()));
    assert_ne!(zeros.receipt()["job_hash"], trap.receipt()["job_hash"]);
    let refused = Job::new(program(STUBS), "", "program.wasm run").start("", Drive::WHOLE).unwrap_err();
    assert!(refused.message().contains("unknown import \"a\".\"pair\": wanted function"), "{refused}");
    assert_eq!(refused.exit_code(), 65);
}

#[test]
fn going_on_needs_no_flag_and_takes_no_other() {
    let job = Job::new(program(STUBS), "--stub-imports zero", "program.wasm run");
    let first = job.start("--gas-limit 300", Drive::WHOLE).unwrap();
    assert_eq!(first.exit_code, 75);
    let without = Job { flags: Vec::new(), ..job.clone() };
    let rest = without.resume(&first.files, "--snapshot-id 1 --enable-gas-refill", Drive::WHOLE).unwrap();
    assert_eq!(rest.values(), "0 0");
    let other = Job::new(program(STUBS), "--stub-imports trap", "program.wasm run");
    let refused = other.resume(&first.files, "--snapshot-id 1", Drive::WHOLE).unwrap_err();
    assert!(refused.message().starts_with("the snapshot belongs to another job: the configuration"), "{refused}");
    assert!(refused.message().contains("(\"unknown-imports\", false)"), "{refused}");
}

#[test]
fn with_stubs_it_is_another_job() {
    let text = "(module (func (export \"run\")))";
    let hash = |flags: &str| all_ways(text, flags).receipt()["job_hash"].as_str().unwrap().to_owned();
    let all = [hash(""), hash("--stub-imports trap"), hash("--stub-imports zero")];
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
}

#[test]
fn abort_traps_with_its_message_and_its_place_and_pays_for_what_it_reads() {
    let run = all_ways(ABORT, "");
    assert_eq!((run.exit_code, detail(&run)), (134, "host function error: abort: no at a.ts:3:7".to_owned()));
    // Four constants, the call, and 10 + 1024 / 16 for what it may read.
    assert_eq!(run.gas, 5 + 74);
    // Stubs do not stand before it, whatever they would do.
    assert_eq!(detail(&all_ways(ABORT, "--stub-imports zero")), detail(&run));
}

#[test]
fn a_stub_costs_what_a_host_call_does() {
    let text = r#"(module (import "a" "f" (func $f)) (func (export "run") (call $f)))"#;
    assert_eq!(all_ways(text, "--stub-imports zero").gas, 1 + 10);
}

#[test]
fn a_module_that_is_linked_under_the_name_comes_before_what_stands_in() {
    let own = r#"(module (func (export "abort") (param i32 i32 i32 i32)))"#;
    let inputs = |own: &str| {
        let mut inputs = program(ABORT);
        inputs.insert("env.wasm".to_owned(), wat::parse_str(own).unwrap());
        inputs
    };
    let start = |inputs: Files| Job::new(inputs, "--preload env=env.wasm", "program.wasm run").start("", Drive::WHOLE);
    assert_eq!(start(inputs(own)).unwrap().exit_code, 0);
    let without = start(inputs("(module (func (export \"seed\")))")).unwrap();
    assert_eq!(detail(&without), "host function error: abort: no at a.ts:3:7");
    let other = start(inputs("(module (func (export \"abort\")))")).unwrap_err();
    assert!(other.message().contains("\"env\".\"abort\""), "{other}");
}

/// Writes the standard input to the standard output, seeks in a file and waits, with the calls of `module`; numbers and
/// records are those of preview 1 or of preview 0.
fn wasi(module: &str, whence: u32, clock: u32) -> String {
    format!(
        r#"(module
        (import "{module}" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "{module}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "{module}" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
        (import "{module}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "{module}" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
        (import "{module}" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\40\00\00\00\08\00\00\00") (data (i32.const 16) "in")
        (func (export "_start")
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 2) (i32.const 0) (i64.const -1)
                (i64.const -1) (i32.const 0) (i32.const 32)))
            (drop (call $seek (i32.load (i32.const 32)) (i64.const -4) (i32.const {whence}) (i32.const 40)))
            (drop (call $read (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 36)))
            (i32.store (i32.const 4) (i32.load (i32.const 36)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 36)))
            (i32.store (i32.const {clock}) (i32.const 1))
            (i64.store (i32.const {}) (i64.const 123456))
            (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 36)))
            (drop (call $time (i32.const 1) (i64.const 1) (i32.const 64)))
            (i32.store (i32.const 4) (i32.const 8))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 36)))))"#,
        clock + 8
    )
}

#[test]
fn preview_0_does_and_costs_what_preview_1_does() {
    let ran = |text: &str| {
        let mut inputs = program(text);
        inputs.insert("file".to_owned(), b"0123456789".to_vec());
        let job = Job::new(inputs, "--file in=file", "program.wasm");
        job.all_ways(400, 20, &[1, 90]).unwrap_or_else(|error| panic!("{error:?}")).0
    };
    let new = ran(&wasi("wasi_snapshot_preview1", 2, 1024 + 16));
    let old = ran(&wasi("wasi_unstable", 1, 1024 + 24));
    assert_eq!(&new.stdout[..4], b"6789");
    assert!(u64::from_le_bytes(new.stdout[4..].try_into().unwrap()) > 123_456, "it has slept");
    assert_eq!((old.stdout, old.gas, old.exit_code), (new.stdout, new.gas, 0));
}
