//! State that is easily lost in a snapshot. Each program works on one kind of it before and after the snapshot, so that a
//! run resumed from any place gives what one run gives, and what the specification says it gives.

use std::time::{Duration, Instant};

use engine_tests::mutate::{answer_to, contracts_job};
use engine_tests::session::{
    Drive, End, Files, Job, OUT, Run, differing, load, pause, program, run, run_answered, take_files, wasmfile, with,
    words,
};
use stepmark_session::{Budget, Event, Session, SessionMode};
use stepmark_snapshot::snap;
use stepmark_state::canonical::{Phase, RunState};

/// Checks that the job returns `values` however it is cut under a limit of an `n`th of its gas, and gives the run.
fn holds(job: &Job, parts: u64, values: &str) -> Run {
    let whole = job.start("", Drive::WHOLE).unwrap();
    assert_eq!(whole.values(), values);
    let least = if whole.gas > 4_200 { 4_200 } else { 1 };
    let limit = (whole.gas / parts + 1).max(least);
    let slices: &[u64] = if whole.gas <= 400 { &[1, 3] } else { &[limit / 5 + 1] };
    let (cut, figures) = job.all_ways(limit, 40, slices).unwrap();
    assert!(cut.id >= 1 && figures.restored >= 2, "{figures:?}");
    assert_eq!((cut.values(), cut.gas), (values.to_owned(), whole.gas));
    cut
}

/// The first schedule: nearly every instruction costs 1, so that segments can be as short as an instruction.
const CHEAP: &str = "--gas-schedule default-1";
/// The same, of a program with a library.
const LINKED: &str = "--gas-schedule default-1 --preload lib=lib.wasm";

fn wat(text: &str) -> Job {
    Job::new(program(text), CHEAP, "program.wasm run")
}

#[test]
fn a_run_goes_on_from_within_a_contract_that_another_one_has_called() {
    let job = contracts_job();
    let mut session = load(&job.inputs, &job.argv("--gas-limit 5200 --enable-gas-refill")).unwrap();
    let whole = run_answered(&mut session, Drive::WHOLE, &mut answer_to);
    assert_eq!(whole.end, End::Finished);
    let mut within = 0;
    for id in 1..=whole.id {
        let frames = state(&whole, id).frames;
        within += u64::from(frames.iter().any(|f| f.instance == 0) && frames.iter().any(|f| f.instance != 0));
        let flags = format!("--snapshot-input {OUT} --snapshot-id {id} --gas-limit 5200 --enable-gas-refill");
        let argv = [words(&flags), job.flags.clone(), job.call[..1].to_vec()].concat();
        let mut session = load(&with(job.inputs.clone(), &whole.files), &argv).unwrap();
        let rest = run_answered(&mut session, Drive::WHOLE, &mut answer_to);
        assert_eq!((&rest.end, differing(&rest.chain(), &whole.files)), (&End::Finished, vec![]), "from {id}");
        assert_eq!(rest.result(), whole.result(), "from {id}");
    }
    assert!(within >= 9, "only {within} of {} snapshots are within the called contract", whole.id);
}

#[test]
fn a_run_whose_entry_is_a_function_of_the_host_goes_on_from_before_it() {
    let job = wat("(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func $y (result i32))) (memory 1)
          (export \"memory\" (memory 0)) (export \"run\" (func $y)))");
    let whole = job.start("", Drive::WHOLE).unwrap();
    let mut session = load(&job.inputs, &job.argv("")).unwrap();
    let paused = pause(&mut session).unwrap();
    assert_eq!(snap::decode(&paused[&format!("{OUT}/paused.snap")]).unwrap().state.frames, vec![]);
    let argv = [words(&format!("--snapshot-input {OUT} --snapshot-id paused {CHEAP} program.wasm"))].concat();
    let rest = run(&mut load(&with(job.inputs.clone(), &paused), &argv).unwrap(), Drive::WHOLE);
    assert_eq!((rest.values(), rest.gas), (whole.values(), whole.gas));
}

#[test]
fn the_state_at_the_end_of_a_run_loads_to_be_looked_at() {
    let job = wat("(module (func (export \"run\") (result i32) (i32.const 7)))");
    let whole = job.start("--keep-final", Drive::WHOLE).unwrap();
    let argv = words(&format!("--snapshot-input {OUT} --snapshot-id final {CHEAP} program.wasm"));
    let mut session = Session::with(guest_interp::args::job(&argv).unwrap(), SessionMode::Inspect, None);
    let files = with(job.inputs.clone(), &whole.files);
    while let Some(path) = session.want().unwrap() {
        session.give(&files[&path]).unwrap();
        session.give_end(true).unwrap();
    }
    assert_eq!(session.progress().gas_total, whole.gas);
}

fn state(run: &Run, id: u64) -> RunState {
    snap::decode(&run.files[&format!("{OUT}/{id}.snap")]).unwrap().state
}

#[test]
fn table_entries_changed_before_the_snapshot_stay_changed() {
    let job = wat("(module (table 3 funcref) (elem (i32.const 0) $one $two) (type $t (func (result i32)))
          (func $one (type $t) (i32.const 1)) (func $two (type $t) (i32.const 2))
          (func (export \"run\") (result i32 i32)
            (table.set (i32.const 0) (table.get (i32.const 1)))
            (table.set (i32.const 1) (ref.null func))
            (nop) (nop)
            (call_indirect (type $t) (i32.const 0))
            (ref.is_null (table.get (i32.const 1)))))");
    holds(&job, 4, "2 1");
}

#[test]
fn dropped_segments_stay_dropped() {
    // A dropped segment has length 0: an init of length 0 passes, one of length 1 traps.
    let text = |length: u32| {
        format!(
            "(module (memory 1) (table 2 funcref) (func $f) (data $d \"abc\") (elem $e func $f)
              (func (export \"run\") (result i32)
                (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3))
                (table.init $e (i32.const 0) (i32.const 0) (i32.const 1))
                (data.drop $d) (elem.drop $e)
                (nop) (drop (i32.const 1)) (drop (i32.const 2))
                (memory.init $d (i32.const 8) (i32.const 0) (i32.const {length}))
                (table.init $e (i32.const 1) (i32.const 0) (i32.const 0))
                (i32.load8_u (i32.const 2))))"
        )
    };
    let cut = holds(&wat(&text(0)), 3, "99");
    let dropped = state(&cut, cut.id);
    assert_eq!((&dropped.instances[0].dropped_data, &dropped.instances[0].dropped_elements), (&vec![0], &vec![0]));
    let job = wat(&text(1));
    let (cut, _) = job.all_ways(8, 40, &[1]).unwrap();
    assert_eq!(cut.receipt()["trap"]["message"], "out of bounds memory access", "{}", cut.receipt());
}

#[test]
fn references_in_locals_and_on_the_operand_stack_stay_alive() {
    let job =
        wat("(module (table $t 1 funcref) (table $x 1 externref) (elem declare func $f) (type $i (func (result i32)))
          (func $f (type $i) (i32.const 77))
          (func $use (param funcref externref) (result i32)
            (table.set $t (i32.const 0) (local.get 0))
            (table.set $x (i32.const 0) (local.get 1))
            (i32.add (call_indirect $t (type $i) (i32.const 0)) (ref.is_null (table.get $x (i32.const 0)))))
          (func (export \"run\") (result i32) (local funcref externref i32)
            (local.set 0 (ref.func $f))
            (ref.func $f) (ref.null extern)
            (loop $l (br_if $l (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (i32.const 5))))
            (call $use)
            (i32.add (call $use (local.get 0) (local.get 1)))))");
    let cut = holds(&job, 5, "156");
    let on_stack = (1..=cut.id).any(|id| state(&cut, id).frames[0].operands.starts_with(&[1, 0]));
    assert!(on_stack, "no snapshot has a function reference and a null on the operand stack");
}

#[test]
fn memory_grown_before_the_snapshot_keeps_its_size_and_contents() {
    let job = wat("(module (memory 0 5) (func (export \"run\") (result i32 i32 i32)
            (drop (memory.grow (i32.const 2)))
            (i32.store8 (i32.const 131071) (i32.const 9))
            (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1))
            (drop (memory.grow (i32.const 1)))
            (i32.load8_u (i32.const 131071)) (memory.size) (memory.grow (i32.const 3))))");
    let whole = job.start("", Drive::WHOLE).unwrap();
    assert_eq!(whole.values(), "9 3 4294967295");
    for (limit, pages) in [(8_194, 2), (8_200, 2), (12_306, 3)] {
        let (cut, figures) = job.all_ways(limit, 10, &[1, 4_100, limit]).unwrap();
        assert!((cut.id, cut.values()) == (1, whole.values()) && figures.restored >= 4, "{figures:?}");
        assert_eq!(state(&cut, 1).instances[0].memories, [pages], "limit {limit}");
    }
}

#[test]
fn tables_grown_before_the_snapshot_keep_their_size_and_elements() {
    let job = wat("(module (table $t 0 2000 funcref) (table $u 1 3 externref) (elem declare func $f) (type $i (func (result i32)))
          (func $f (type $i) (i32.const 5))
          (func (export \"run\") (result i32 i32 i32 i32)
            (drop (table.grow $t (ref.func $f) (i32.const 513)))
            (drop (table.grow $u (ref.null extern) (i32.const 1)))
            (table.set $t (i32.const 0) (ref.null func))
            (drop (table.grow $t (ref.null func) (i32.const 600)))
            (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1))
            (call_indirect $t (type $i) (i32.const 512)) (table.size $t) (table.size $u)
            (table.grow $u (ref.null extern) (i32.const 2))))");
    let whole = job.start("", Drive::WHOLE).unwrap();
    assert_eq!(whole.values(), "5 1113 2 4294967295");
    for limit in [601, 602, 610, 700, 1_100] {
        let (cut, figures) = job.all_ways(limit, 10, &[1, 7, 100]).unwrap();
        assert_eq!((cut.values(), cut.id >= 1), (whole.values(), true), "{figures:?}");
    }
}

#[test]
fn bytes_of_data_segments_that_were_zeroed_stay_zero() {
    let job = wat("(module (memory 1) (data (i32.const 0) \"abcdefgh\") (data (i32.const 60000) \"xyz\")
          (func (export \"run\") (result i64 i32)
            (i64.store (i32.const 0) (i64.const 0))
            (memory.fill (i32.const 60000) (i32.const 0) (i32.const 2))
            (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1))
            (i64.load (i32.const 0)) (i32.load (i32.const 60000))))");
    let cut = holds(&job, 3, "0 7995392");
    // The first page has become what it is without the segment: zeros, of which no line is stored.
    assert!(cut.files[&format!("{OUT}/1.bin")].len() < 200);
}

#[test]
fn mutable_globals_keep_references_and_bit_patterns() {
    let job = wat("(module (table 1 funcref) (elem declare func $f $g) (type $i (func (result i32)))
          (global $r (mut funcref) (ref.func $f)) (global $x (mut externref) (ref.null extern))
          (global $n (mut f64) (f64.const 1)) (global $never funcref (ref.func $g))
          (func $f (type $i) (i32.const 1)) (func $g (type $i) (i32.const 2))
          (func (export \"run\") (result i32 i32 i64)
            (global.set $r (global.get $never))
            (global.set $n (f64.reinterpret_i64 (i64.const -1)))
            (drop (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1))
            (table.set (i32.const 0) (global.get $r))
            (call_indirect (type $i) (i32.const 0)) (ref.is_null (global.get $x))
            (i64.reinterpret_f64 (global.get $n))))");
    holds(&job, 4, "2 1 18446744073709551615");
}

#[test]
fn linked_instances_keep_what_they_share_and_what_they_own() {
    let library = "(module (memory (export \"memory\") 1 3) (table (export \"table\") 2 4 funcref)
          (global (export \"shared\") (mut i32) (i32.const 10)) (global $own (mut i32) (i32.const 100))
          (type $i (func (result i32)))
          (func $own (type $i) (global.set $own (i32.add (global.get $own) (i32.const 1))) (global.get $own))
          (elem (i32.const 0) $own)
          (func (export \"call\") (param i32) (result i32) (call_indirect (type $i) (local.get 0))))";
    let main = "(module (import \"lib\" \"memory\" (memory 1)) (import \"lib\" \"table\" (table 2 funcref))
          (import \"lib\" \"shared\" (global $shared (mut i32))) (import \"lib\" \"call\" (func $call (param i32) (result i32)))
          (type $i (func (result i32))) (elem declare func $mine) (global $own (mut i32) (i32.const 1000))
          (func $mine (type $i)
            (global.set $own (i32.add (global.get $own) (global.get $shared)))
            (i32.add (global.get $own) (i32.load (i32.const 65536))))
          (func (export \"run\") (result i32 i32 i32 i32)
            (drop (memory.grow (i32.const 1)))
            (i32.store (i32.const 65536) (i32.const 7))
            (table.set (i32.const 1) (ref.func $mine))
            (global.set $shared (i32.const 20))
            (call $call (i32.const 0)) (call $call (i32.const 1)) (call $call (i32.const 1))
            (table.grow (ref.func $mine) (i32.const 1))))";
    let mut files = program(main);
    files.insert("lib.wasm".to_owned(), wat::parse_str(library).unwrap());
    let job = Job::new(files, LINKED, "program.wasm run");
    let whole = job.start("", Drive::WHOLE).unwrap();
    assert_eq!(whole.values(), "101 1027 1047 2");
    for limit in [4_097, 4_100, 4_111, 4_120] {
        let (cut, figures) = job.all_ways(limit, 10, &[1, 5]).unwrap();
        assert!(cut.id >= 1 && cut.values() == whole.values(), "{figures:?}");
        assert_eq!(state(&cut, 1).instances.len(), 2);
    }
}

#[test]
fn a_tail_call_into_another_instance_returns_into_the_memory_of_its_callers_caller() {
    let main = "(module (import \"lib\" \"f\" (func $f (param i32) (result i32)))
          (memory 1) (data (i32.const 0) \"A\") (table funcref (elem $f)) (type $t (func (param i32) (result i32)))
          (func $direct (type $t) (return_call $f (local.get 0)))
          (func $table (type $t) (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
          (func $reference (type $t) (return_call_ref $t (local.get 0) (ref.func $f)))
          (func (export \"run\") (result i32 i32 i32 i32 i32 i32)
            ;; The first call of a function translates it.
            (drop (call $direct (i32.const 0))) (drop (call $table (i32.const 0))) (drop (call $reference (i32.const 0)))
            (call $direct (i32.const 1)) (i32.load8_u (i32.const 0))
            (call $table (i32.const 2)) (i32.load8_u (i32.const 0))
            (call $reference (i32.const 3)) (i32.load8_u (i32.const 0))))";
    let with_memory = "(module (memory 1) (data (i32.const 0) \"B\") (func $g (result i32) (i32.load8_u (i32.const 0)))
          (func (export \"f\") (param i32) (result i32) (i32.add (local.get 0) (call $g))))";
    let without = "(module (func $g (result i32) (i32.const 66))
          (func (export \"f\") (param i32) (result i32) (i32.add (local.get 0) (call $g))))";
    for library in [with_memory, without] {
        let mut files = program(main);
        files.insert("lib.wasm".to_owned(), wat::parse_str(library).unwrap());
        let job = Job::new(files, LINKED, "program.wasm run");
        holds(&job, 10, "67 65 68 65 69 65");
    }
}

#[test]
fn a_start_function_and_initialize_go_on_where_they_were_interrupted() {
    let count = |name: &str, by: u32| {
        format!(
            "(func {name} (local i32)
               (loop $l (global.set $g (i32.add (global.get $g) (i32.const {by})))
                 (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 10)))))"
        )
    };
    let library =
        format!("(module (global $g (export \"g\") (mut i32) (i32.const 0)) (start $s) {})", count("$s", 10_000));
    let main = format!(
        "(module (import \"lib\" \"g\" (global $g (mut i32))) (start $s) {} {}
           (func (export \"run\") (result i32) (global.get $g)))",
        count("$s", 1),
        count("(export \"_initialize\")", 100)
    );
    let mut files = program(&main);
    files.insert("lib.wasm".to_owned(), wat::parse_str(library).unwrap());
    let job = Job::new(files, LINKED, "program.wasm run");
    let cut = holds(&job, 12, "101010");
    let phases: Vec<Phase> = (1..=cut.id).map(|id| state(&cut, id).phase).collect();
    for phase in [Phase::Start { instance: 0 }, Phase::Start { instance: 1 }, Phase::Initialize] {
        assert!(phases.contains(&phase), "{phases:?}");
    }
}

#[test]
fn a_deep_recursion_is_paused_in_milliseconds_and_resumed() {
    let job = wat("(module (func $down (param i32 i64) (result i32)
            (if (result i32) (i32.eqz (local.get 0))
              (then (i32.const 0))
              (else (i32.add (i32.const 1)
                (call $down (i32.sub (local.get 0) (i32.const 1)) (i64.const 5))))))
          (func (export \"run\") (result i32) (call $down (i32.const 65000) (i64.const 1))))");
    let whole = job.start("", Drive::WHOLE).unwrap();
    assert_eq!(whole.values(), "65000");
    let mut session = load(&job.inputs, &job.argv("--enable-gas-refill")).unwrap();
    assert_eq!(session.run(Budget { gas: whole.gas / 100 * 88, steps: u64::MAX }).unwrap(), Event::Paused);
    // The best of several: what else the machine does is not measured.
    let mut pausing = Duration::MAX;
    let mut paused = Files::new();
    for _ in 0..5 {
        let began = Instant::now();
        paused = pause(&mut session).unwrap();
        pausing = pausing.min(began.elapsed());
    }
    let depth = snap::decode(&paused[&format!("{OUT}/paused.snap")]).unwrap().state.frames.len();
    let began = Instant::now();
    let inputs = with(job.inputs.clone(), &paused);
    let mut again = load(&inputs, &job.argv("--snapshot-input out --snapshot-id paused")).unwrap();
    let restoring = began.elapsed();
    println!("{depth} frames: paused in {pausing:?}, restored in {restoring:?}");
    assert!(depth > 58_000, "{depth}");
    assert!(pausing < Duration::from_millis(50), "pausing took {pausing:?}");
    assert!(restoring < Duration::from_millis(500), "restoring took {restoring:?}");
    assert_eq!(pause(&mut again).unwrap(), paused);
    for session in [&mut session, &mut again] {
        let rest = run(session, Drive::WHOLE);
        assert_eq!((rest.values(), rest.gas), (whole.values(), whole.gas));
    }
}

#[test]
fn a_stack_of_many_different_call_sites_is_restored_quickly() {
    // Each level calls from another place of one large function: validating it anew for each would take minutes.
    let sites = 3_000;
    let call = |i: u32| {
        format!(
            "(if (i32.eq (local.get 0) (i32.const {i}))
               (then (return (i32.add (i32.const 1) (call $f (i32.const {})))))) ",
            i + 1
        )
    };
    let calls: String = (0..sites).map(call).collect();
    let text = format!(
        "(module (func $f (param i32) (result i32) {calls} (i32.const 0))
           (func (export \"run\") (result i32) (call $f (i32.const 0))))"
    );
    let job = wat(&text);
    let whole = job.start("", Drive::WHOLE).unwrap();
    assert_eq!(whole.values(), sites.to_string());
    let mut session = load(&job.inputs, &job.argv("")).unwrap();
    session.run(Budget { gas: whole.gas - 8_000, steps: u64::MAX }).unwrap();
    let paused = pause(&mut session).unwrap();
    let frames = snap::decode(&paused[&format!("{OUT}/paused.snap")]).unwrap().state.frames;
    assert!(frames.len() > 2_000, "{}", frames.len());
    let began = Instant::now();
    let inputs = with(job.inputs.clone(), &paused);
    let mut again = load(&inputs, &job.argv("--snapshot-input out --snapshot-id paused")).unwrap();
    let restoring = began.elapsed();
    println!("{} frames at different calls: restored in {restoring:?}", frames.len());
    assert!(restoring < Duration::from_millis(500), "restoring took {restoring:?}");
    assert_eq!(run(&mut again, Drive::WHOLE).values(), whole.values());
}

#[test]
fn a_recursion_at_the_limit_of_the_call_depth_is_restored_and_traps_one_deeper() {
    let text = "(module (func $down (param i32) (result i32)
            (if (result i32) (i32.eqz (local.get 0))
              (then (i32.const 7)) (else (call $down (i32.sub (local.get 0) (i32.const 1))))))
          (func (export \"run\") (param i32) (result i32) (call $down (local.get 0))))";
    for (depth, trap) in [(98, false), (99, true)] {
        let job = Job::new(program(text), "--max-call-depth 100", &format!("program.wasm run {depth}"));
        let gas = job.start("", Drive::WHOLE).unwrap().gas;
        let (cut, figures) = job.all_ways(gas / 9 + 1, 20, &[7]).unwrap();
        let deepest = (1..=cut.id).map(|id| state(&cut, id).frames.len()).max();
        assert_eq!(figures.trapped, u64::from(trap), "{:?}", cut.receipt());
        assert!(deepest >= Some(85), "{deepest:?}");
    }
}

#[test]
fn output_written_before_the_snapshot_is_not_written_again() {
    let (name, bytes) = wasmfile("iostream_cpp");
    let mut inputs = Files::from([(name, bytes)]);
    let words: String = (0..3_000).map(|i| format!("word{} ", i % 500)).collect();
    inputs.insert("words".to_owned(), words.into_bytes());
    let job = Job::new(inputs, "--stdin words", "iostream_cpp.wasm one two");
    let whole = job.start("", Drive::WHOLE).unwrap();
    assert!(whole.stdout.len() > 1_000 && whole.end == End::Finished);
    let flags = format!("--gas-limit {} --enable-gas-refill", whole.gas / 20 + 1);
    // Every snapshot of the chain, with what was written before it.
    let mut session = load(&job.inputs, &job.argv(&flags)).unwrap();
    let (mut files, mut stdout, mut before) = (Files::new(), Vec::new(), vec![0]);
    loop {
        let event = session.run(Budget::UNLIMITED).unwrap();
        stdout.extend(session.take_output(1));
        take_files(&mut session, &mut files).unwrap();
        match event {
            Event::Snapshot(_) => before.push(stdout.len()),
            Event::Finished => break,
            _ => {}
        }
    }
    assert_eq!(stdout, whole.stdout);
    let partly = before.iter().filter(|n| (1..stdout.len()).contains(*n)).count();
    assert!(partly >= 2, "no snapshot in the middle of the output: {before:?}");
    for (id, written) in before.iter().enumerate().skip(1) {
        let rest = job.resume(&files, &format!("--snapshot-id {id} --enable-gas-refill"), Drive::WHOLE).unwrap();
        assert_eq!(rest.stdout, stdout[*written..], "resumed from {id}");
        assert_eq!(rest.receipt()["stdout"], whole.receipt()["stdout"]);
        assert_eq!(differing(&rest.chain(), &files), [""; 0]);
    }
}

#[test]
fn tail_called_frames_are_restored() {
    let job = wat("(module (type $t (func (param i32 i32) (result i32))) (table 1 funcref) (elem (i32.const 0) $odd)
          (func $even (type $t)
            (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
            (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1))
              (i32.add (local.get 1) (i32.const 2)) (i32.const 0)))
          (func $odd (type $t) (local i64 i64)
            (if (i32.eqz (local.get 0)) (then (return (i32.const -1))))
            (return_call $even (i32.sub (local.get 0) (i32.const 1)) (call $inc (local.get 1))))
          (func $inc (param i32) (result i32) (return_call $add1 (i32.const 9) (local.get 0)))
          (func $add1 (param i32 i32) (result i32) (i32.add (local.get 1) (i32.const 1)))
          (func (export \"run\") (result i32) (i32.sub (call $even (i32.const 20) (i32.const 0)) (i32.const 1))))");
    let cut = holds(&job, 15, "29");
    let functions: Vec<Vec<u32>> =
        (1..=cut.id).map(|id| state(&cut, id).frames.iter().map(|f| f.func).collect()).collect();
    assert!(functions.contains(&vec![4, 1]), "no snapshot in a function that was tail-called: {functions:?}");
}

#[test]
fn a_limit_reached_exactly_cuts_where_it_must() {
    let text = "(module (func (export \"run\") (result i32) (local i32)
            (loop $l (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 7))))
            (local.get 0)))";
    let job = wat(text);
    let n = job.start("", Drive::WHOLE).unwrap().gas;
    for (limit, snapshots) in [(1, n - 1), (n - 1, 1), (n, 0), (n + 1, 0), (u64::MAX, 0)] {
        let (run, _) = job.all_ways(limit, u64::MAX, &[1, 7]).unwrap();
        assert_eq!((run.id, run.values()), (snapshots, "7".to_owned()), "limit {limit} of {n}");
        let alone = job.start(&format!("--gas-limit {limit}"), Drive::WHOLE).unwrap();
        assert_eq!(alone.exit_code, if limit < n { 75 } else { 0 }, "limit {limit} of {n}");
    }
}

#[test]
fn a_limit_of_zero_runs_what_is_free_and_names_what_is_not() {
    let free = wat("(module (func (export \"run\") (block (nop) (loop (nop)))))");
    let run = free.start("--gas-limit 0", Drive::WHOLE).unwrap();
    assert_eq!((run.end, run.id, run.gas), (End::Finished, 0, 0));
    let paid = wat("(module (func (export \"run\") (nop) (drop (i32.const 1))))");
    let error = "the gas limit 0 does not pay for the next instruction i32.const of function 0 (at offset 0x21): it needs a \
                 limit of at least 1";
    for refill in ["", "--enable-gas-refill"] {
        let run = paid.start(&format!("--gas-limit 0 {refill}"), Drive::WHOLE).unwrap();
        assert_eq!((run.end, run.files.len()), (End::Error(error.to_owned()), 0));
    }
}

#[test]
fn an_instruction_dearer_than_the_whole_limit_is_named_also_after_a_snapshot() {
    let job = wat("(module (memory 1 4) (func (export \"run\") (result i32)
            (drop (i32.const 1)) (memory.grow (i32.const 1))))");
    let error = "the gas limit 50 does not pay for the next instruction memory.grow of function 0 (at offset 0x2c): it needs a \
                 limit of at least 4097";
    let (run, _) = job.all_ways(50, 10, &[1]).unwrap();
    // The limit is reached before it; the segment that begins with it can never end.
    assert_eq!((run.end, run.id), (End::Error(error.to_owned()), 1));
    let on = job.resume(&run.files, "--snapshot-id 1 --gas-limit 4097", Drive::WHOLE).unwrap();
    assert_eq!((on.values().as_str(), on.exit_code), ("1", 0));
}
