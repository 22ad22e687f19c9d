//! Exceptions in the state: wherever the program keeps a reference to one, snapshots keep it, number it by where the
//! program reaches it and drop what it does not reach. Equal states are equal bytes, and no snapshot changes what a limit
//! does later.

use engine_tests::mutate::{Subject, assert_all, changed, with_elements};
use engine_tests::session::{Drive, End, Job, OUT, Run, program};
use stepmark_snapshot::snap;
use stepmark_state::canonical::{ExceptionState, Phase, RunState, state_hash};
use stepmark_state::pages::SPACE_TABLE;
use stepmark_state::trap::Trap;

/// Functions on exceptions: `$n` carries a number, `$e` another exception and a number.
const LIBRARY: &str = "(tag $n (export \"n\") (param i32)) (tag $e (param exnref i64))
  (func $make (param i32) (result exnref)
    (block $c (result exnref) (try_table (catch_all_ref $c) (throw $n (local.get 0))) (unreachable)))
  (func $wrap (param exnref i64) (result exnref)
    (block $c (result exnref) (try_table (catch_all_ref $c) (throw $e (local.get 0) (local.get 1))) (unreachable)))
  (func $value (param exnref) (result i32)
    (block $n (result i32)
      (block $e (result exnref i64)
        (try_table (catch $n $n) (catch $e $e) (throw_ref (local.get 0)))
        (unreachable))
      (drop)
      (i32.add (call $value) (i32.const 100))))
  (func $spin (param i32)
    (loop $s (br_if $s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))";

fn job(text: &str, flags: &str, args: &str) -> Job {
    // The first table of prices: a throw must fit the short segments here.
    let flags = format!("--gas-schedule default-1 {flags}");
    Job::new(program(&format!("(module {LIBRARY} {text})")), &flags, &format!("program.wasm run {args}"))
}

fn state(run: &Run, id: u64) -> RunState {
    snap::decode(&run.files[&format!("{OUT}/{id}.snap")]).unwrap().state
}

fn n(number: u64) -> ExceptionState {
    ExceptionState { instance: 0, tag: 0, values: vec![number] }
}

fn e(reference: u64, number: u64) -> ExceptionState {
    ExceptionState { instance: 0, tag: 1, values: vec![reference, number] }
}

/// References in a local, on the operand stack of an outer frame, in a global, in a table and in payloads; some are dropped.
const PLACES: &str = "(global $g (mut exnref) (ref.null exn)) (table $t 3 600 exnref)
  (func (export \"run\") (result i32 i32 i32 i32 i32 i32) (local $l exnref)
    (table.set $t (i32.const 2) (call $wrap (call $make (i32.const 4)) (i64.const -1)))
    (drop (call $make (i32.const 99)))
    (local.set $l (call $wrap (call $make (i32.const 1)) (i64.const 77)))
    (global.set $g (call $make (i32.const 2)))
    (table.set $t (i32.const 1) (call $make (i32.const 3)))
    (drop (call $wrap (table.get $t (i32.const 1)) (i64.const 5)))
    (call $make (i32.const 5))
    (call $spin (i32.const 40))
    (call $value)
    (call $value (local.get $l)) (call $value (global.get $g))
    (call $value (table.get $t (i32.const 1))) (call $value (table.get $t (i32.const 2)))
    (ref.is_null (table.get $t (i32.const 0))))";

#[test]
fn references_to_exceptions_are_kept_wherever_they_are() {
    let job = job(PLACES, "", "");
    let whole = job.start("", Drive::WHOLE).unwrap();
    assert_eq!(whole.values(), "5 101 2 3 104 1", "{:?}", whole.end);
    for limit in [12, 30, whole.gas / 4] {
        let (cut, figures) = job.all_ways(limit, 60, &[1, 7]).unwrap();
        assert!(cut.values() == whole.values() && figures.restored > 50, "{figures:?}");
    }
}

#[test]
fn exceptions_are_numbered_as_they_are_reached_and_dropped_when_they_are_not() {
    let job = job(PLACES, "", "");
    let limit = 12;
    let (cut, _) = job.all_ways(limit, 60, &[5]).unwrap();
    let spinning = (1..=cut.id).map(|id| state(&cut, id)).find(|s| s.frames.len() == 2 && s.frames[1].func == 3);
    let spinning = spinning.expect("a snapshot within the loop");
    // The local, the operand, the global, the two in the table; then the payloads of the first and the last.
    let expected = [e(6, 77), n(5), n(2), n(3), e(7, u64::MAX), n(1), n(4)];
    assert_eq!(spinning.exceptions, expected);
    assert_eq!((&spinning.frames[0].locals, &spinning.frames[0].operands), (&vec![1], &vec![2]));
    assert_eq!(spinning.instances[0].globals, [3]);
    // All that were made: five of two slots each, three of three slots; and 99.
    assert_eq!(spinning.exception_slots, 6 * 2 + 3 * 3);
    let last = state(&cut, cut.id);
    assert_eq!(last.exceptions.len(), 6, "the operand is gone: {:?}", last.exceptions);
}

#[test]
fn an_exception_that_refers_to_itself_through_others_is_numbered_once() {
    // The same exception from two places and in two payloads.
    let text = "(global $a (mut exnref) (ref.null exn)) (global $b (mut exnref) (ref.null exn))
      (func (export \"run\") (result i32) (local $one exnref)
        (local.set $one (call $make (i32.const 1)))
        (global.set $a (call $wrap (local.get $one) (i64.const 1)))
        (global.set $b (call $wrap (call $wrap (local.get $one) (i64.const 2)) (i64.const 3)))
        (local.set $one (ref.null exn))
        (call $spin (i32.const 20))
        (i32.add (call $value (global.get $a)) (call $value (global.get $b))))";
    let job = job(text, "", "");
    let (cut, _) = job.all_ways(20, 60, &[3]).unwrap();
    assert_eq!(cut.values(), "302");
    let spinning = (1..=cut.id).map(|id| state(&cut, id)).find(|s| s.frames.len() == 2 && s.frames[1].func == 3);
    assert_eq!(spinning.expect("a snapshot").exceptions, [e(3, 1), e(4, 3), n(1), e(3, 2)]);
}

#[test]
fn equal_states_have_equal_bytes_however_they_came_about() {
    let text = "(global $g (mut exnref) (ref.null exn)) (table 1 exnref)
      (func (export \"run\") (param i32) (result i32) (local $l exnref)
        (if (local.get 0)
          (then
            (local.set $l (call $make (i32.const 1)))
            (drop (call $make (i32.const 8)))
            (global.set $g (call $make (i32.const 2)))
            (drop (call $wrap (ref.null exn) (i64.const 9)))
            (table.set (i32.const 0) (call $make (i32.const 3))))
          (else
            (drop (call $wrap (ref.null exn) (i64.const 9)))
            (table.set (i32.const 0) (call $make (i32.const 3)))
            (global.set $g (call $make (i32.const 2)))
            (drop (call $make (i32.const 8)))
            (local.set $l (call $make (i32.const 1)))))
        (local.set 0 (i32.const 0))
        (call $spin (i32.const 60))
        (call $value (local.get $l)))";
    let at = |arg: &str, limit: u64| {
        let job = job(text, "", arg);
        let (cut, _) = job.all_ways(limit, 40, &[7]).unwrap();
        assert_eq!(cut.values(), "1");
        let spinning = (1..=cut.id).find(|id| state(&cut, *id).frames.iter().any(|f| f.func == 3)).expect("a snapshot");
        let bin = cut.files[&format!("{OUT}/{spinning}.bin")].clone();
        (state(&cut, spinning), bin)
    };
    let gas = job(text, "", "0").start("", Drive::WHOLE).unwrap().gas;
    let (one, one_bin) = at("1", gas - 100);
    let (two, two_bin) = at("0", gas - 100);
    assert_eq!(one.exceptions, [n(1), n(2), n(3)]);
    assert_eq!(one, two);
    assert_eq!(state_hash(&one), state_hash(&two));
    // The `.bin` names the job, which differs by its argument; the pages of the table do not.
    let pages = |bin: &[u8]| bin[88..bin.len() - 32].to_vec();
    assert_eq!(pages(&one_bin), pages(&two_bin));
}

/// Makes as many exceptions as the second argument says and keeps the first ones in a table.
const KEEPER: &str = "(table $t 100 exnref)
  (func (export \"run\") (param $keep i32) (param $make i32) (result i32) (local $i i32) (local $x exnref)
    (loop $l
      (local.set $x (call $make (local.get $i)))
      (if (i32.lt_u (local.get $i) (local.get $keep))
        (then (table.set $t (local.get $i) (local.get $x))))
      (local.set $x (ref.null exn))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $make))))
    (local.get $i))";

#[test]
fn what_a_program_drops_does_not_count_and_what_it_keeps_may_take_half_of_the_limit() {
    let flags = "--max-exceptions 100";
    // Each takes two slots. When 50 have been made, those that are kept must take at most 50 slots.
    for (keep, make, ends) in [(0, 3_000, true), (25, 3_000, true), (26, 50, true), (26, 51, false), (50, 51, false)] {
        let run = job(KEEPER, flags, &format!("{keep} {make}")).start("", Drive::WHOLE).unwrap();
        match ends {
            true => assert_eq!(run.values(), make.to_string(), "{keep} {make}"),
            false => assert_eq!(run.receipt()["trap"]["message"], "too many exceptions", "{keep} {make}"),
        }
    }
}

#[test]
fn snapshots_do_not_change_where_the_limit_of_exceptions_is_met() {
    let flags = "--max-exceptions 20";
    for (args, trapped) in [("5 60", 0), ("6 60", 1), ("0 30", 0), ("20 20", 1)] {
        let first = job(KEEPER, flags, args);
        let gas = first.start("", Drive::WHOLE).unwrap().gas;
        for limit in [15, gas / 3 + 1] {
            let (_, figures) = first.all_ways(limit.max(12), 200, &[1, 11]).unwrap();
            assert_eq!(figures.trapped, trapped, "{args} under {limit}");
        }
        // Where looking through everything is paid for, it costs the same wherever the run was cut.
        let newest = Job::new(first.inputs.clone(), flags, &format!("program.wasm run {args}"));
        let (_, figures) = newest.all_ways(2000, 200, &[1, 11]).unwrap();
        assert_eq!(figures.trapped, trapped, "{args} by the newest prices");
    }
}

#[test]
fn a_limit_of_nothing_leaves_room_for_one_exception_at_a_time() {
    let catch = |clause: &str| {
        format!(
            "(block $c
               (block $r (result exnref) (try_table {clause} (throw $n (i32.const 1))) (unreachable))
               (local.set $l)) "
        )
    };
    let keep = catch("(catch_all_ref $r)");
    let drop = "(local.set $l (ref.null exn))";
    for (body, ends) in [
        // Without a reference nothing is kept, as often as it may be.
        (catch("(catch_all $c)").repeat(3), "7"),
        (keep.clone(), "7"),
        (format!("{keep} {drop} {keep} {drop} {keep}"), "7"),
        (keep.repeat(2), "too many exceptions"),
    ] {
        let text = format!("(func (export \"run\") (result i32) (local $l exnref) {body} (i32.const 7))");
        let (run, _) = job(&text, "--max-exceptions 0", "").all_ways(4, 40, &[1]).unwrap();
        match ends {
            "7" => assert_eq!(run.values(), ends, "{body}"),
            _ => assert_eq!(run.receipt()["trap"]["message"], ends, "{body}"),
        }
    }
}

#[test]
fn a_throw_that_is_not_paid_for_changes_nothing() {
    // With one unit the throw is paid for, but not its search: pauses there must not count its exception.
    let job = job("(func (export \"run\") (result i32) (call $value (call $make (i32.const 8))))", "", "");
    let whole = job.start("", Drive::WHOLE).unwrap();
    for slice in [1, 2, 3] {
        let sliced = job.start("", Drive::sliced(slice)).unwrap();
        assert_eq!(sliced.receipt()["state_hash"], whole.receipt()["state_hash"], "in slices of {slice}");
    }
}

/// Functions of a backtrace, innermost first.
fn backtrace(run: &Run) -> Vec<u64> {
    let frames = run.receipt()["trap"]["backtrace"].as_array().cloned().unwrap_or_default();
    frames.iter().map(|frame| frame["index"].as_u64().unwrap_or(u64::MAX)).collect()
}

#[test]
fn an_uncaught_exception_is_a_trap_that_shows_the_whole_stack() {
    let text = "(tag $other)
      (func $in (param i32) (i32.const 1) (drop) (throw $n (local.get 0)))
      (func $middle (param i32) (block $b (try_table (catch $other $b) (call $in (local.get 0)))))
      (func (export \"run\") (call $middle (i32.const 3)))";
    let (run, figures) = job(text, "", "").all_ways(2, 20, &[1]).unwrap();
    assert_eq!((run.exit_code, figures.trapped), (134, 1));
    assert_eq!(run.receipt()["trap"]["message"], "uncaught exception");
    assert_eq!(backtrace(&run), [4, 5, 6]);
    // A rethrown one shows where it was thrown again; a null is no exception.
    for (again, message, stack) in [
        ("(throw_ref (call $make (i32.const 1)))", "uncaught exception", [4, 5]),
        ("(throw_ref (ref.null exn))", "null reference", [4, 5]),
    ] {
        let text = format!("(func $again {again}) (func (export \"run\") (call $again))");
        let (run, _) = job(&text, "", "").all_ways(3, 20, &[1]).unwrap();
        assert_eq!(run.receipt()["trap"]["message"], message, "{again}");
        assert_eq!(backtrace(&run), stack, "{again}");
    }
}

#[test]
fn exceptions_leave_frames_and_land_where_their_clause_says() {
    let cases = [
        // Over two frames with operands on their stacks.
        (
            "(func $in (param i32) (result i32) (i32.const 9) (i32.const 8) (throw $n (local.get 0)))
             (func $over (param i32) (result i32) (i32.add (i32.const 5) (call $in (local.get 0))))
             (func (export \"run\") (result i32)
               (i32.add (i32.const 1000)
                 (block $c (result i32) (try_table (catch $n $c) (drop (call $over (i32.const 30)))) (i32.const 0))))",
            "1030",
        ),
        // A tail call leaves its frame and its clauses.
        (
            "(func $thrower (throw $n (i32.const 4)))
             (func $leaves (block $c (result i32) (try_table (catch $n $c) (return_call $thrower)) (return)) (drop))
             (func (export \"run\") (result i32)
               (block $c (result i32) (try_table (catch $n $c) (call $leaves)) (i32.const 0)))",
            "4",
        ),
        // To the head of a loop, until the counter is through.
        (
            "(func (export \"run\") (result i32) (local i32)
               (i32.const 0)
               (loop $again (param i32) (result i32)
                 (local.set 0 (i32.add (i32.const 1)))
                 (try_table (catch $n $again)
                   (if (i32.lt_u (local.get 0) (i32.const 10)) (then (throw $n (local.get 0)))))
                 (local.get 0)))",
            "10",
        ),
        // Out of the function.
        (
            "(func $out (result i32) (try_table (catch $n 0) (throw $n (i32.const 6))) (i32.const 1))
             (func (export \"run\") (result i32) (i32.add (call $out) (i32.const 100)))",
            "106",
        ),
        // Caught, looked at and thrown again over another frame; the payload stays.
        (
            "(func $again
               (throw_ref (block $r (result exnref)
                 (try_table (catch_all_ref $r) (throw $n (i32.const 21))) (unreachable))))
             (func (export \"run\") (result i32)
               (block $c (result i32) (try_table (catch $n $c) (call $again)) (i32.const 0)))",
            "21",
        ),
        // With the payload and a reference.
        (
            "(func (export \"run\") (result i32)
               (block $c (result i32 exnref)
                 (try_table (catch_ref $n $c) (throw $n (i32.const 11))) (unreachable))
               (call $value)
               (i32.add))",
            "22",
        ),
        // The inner try does not catch what the inner clause's own code throws.
        (
            "(func (export \"run\") (result i32)
               (block $outer (result i32)
                 (try_table (result i32) (catch $n $outer)
                   (block $inner (result i32) (try_table (catch $n $inner) (throw $n (i32.const 1))) (i32.const 50))
                   (throw $n (i32.add (i32.const 2))))))",
            "3",
        ),
        // A vector in the payload.
        (
            "(tag $v (param v128 i32))
             (func (export \"run\") (result i64)
               (block $c (result v128 i32)
                 (try_table (catch $v $c) (throw $v (v128.const i64x2 5 6) (i32.const 7))) (unreachable))
               (drop)
               (i64x2.extract_lane 1))",
            "6",
        ),
    ];
    for (text, values) in cases {
        let job = job(text, "", "");
        let whole = job.start("", Drive::WHOLE).unwrap();
        assert_eq!(whole.values(), values, "{text}");
        let (_, figures) = job.all_ways(10, 60, &[1, 3]).unwrap();
        assert_eq!(figures.finished, 1, "{text}");
    }
}

#[test]
fn a_tag_is_the_one_that_was_imported_and_no_other_of_the_same_type() {
    let library = format!("(module {LIBRARY} (export \"make\" (func $make)))");
    let main = "(module (import \"lib\" \"n\" (tag $n (param i32))) (import \"lib\" \"make\" (func $make (param i32) (result exnref)))
      (tag $own (param i32)) (global $g (mut exnref) (ref.null exn))
      (func (export \"run\") (result i32)
        (global.set $g (call $make (i32.const 5)))
        (block $n (result i32)
          (block $own (result i32)
            (try_table (catch $own $own) (catch $n $n) (throw_ref (global.get $g)))
            (unreachable))
          (i32.const 1000) (i32.add))))";
    let mut files = program(main);
    files.insert("lib.wasm".to_owned(), wat::parse_str(library).unwrap());
    let job = Job::new(files, "--gas-schedule default-1 --preload lib=lib.wasm", "program.wasm run");
    let (cut, _) = job.all_ways(8, 20, &[1]).unwrap();
    assert_eq!(cut.values(), "5");
    // The number of the tag in the instance that defines it.
    assert!((1..=cut.id).any(|id| state(&cut, id).exceptions == [n(5)]));
}

/// A snapshot with exceptions everywhere, a function reference of a type and a vector, to be changed.
fn subject() -> Subject {
    let text = "(global $g (mut exnref) (ref.null exn)) (table $t 3 3 exnref)
      (type $f (func (result i32))) (elem declare func $seven $other)
      (func $seven (type $f) (i32.const 7)) (func $other (param i64))
      (tag $d (param (ref $f) v128))
      (func $use (param exnref (ref $f) v128) (result i32) (call_ref $f (local.get 1)))
      (func $packed (result exnref)
        (block $c (result exnref)
          (try_table (catch_all_ref $c) (throw $d (ref.func $seven) (v128.const i64x2 1 2))) (unreachable)))
      (global $w (mut v128) (v128.const i64x2 3 4))
      (func (export \"run\") (result i32) (local $l exnref) (local $v v128)
        (local.set $l (call $wrap (call $make (i32.const 1)) (i64.const 77)))
        (global.set $g (call $packed))
        (table.set $t (i32.const 1) (call $make (i32.const 3)))
        (local.set $v (v128.const i64x2 8 9))
        (call $make (i32.const 5)) (ref.func $seven) (local.get $v)
        (call $spin (i32.const 400))
        (call $use))";
    let job = job(text, "--max-exceptions 1000", "");
    let gas = job.start("", Drive::WHOLE).unwrap().gas;
    let [subject, _] = Subject::both("exceptions", job, gas / 5, 2);
    assert_eq!(subject.raw.state.frames.len(), 2, "{:?}", subject.raw.state.frames);
    subject
}

#[test]
fn exceptions_that_no_run_has_are_refused() {
    let subject = subject();
    let state = &subject.raw.state;
    // The local, the operand, the global, the table, and the payload of the first.
    let packed = ExceptionState { instance: 0, tag: 2, values: vec![1 + 4, 1, 2] };
    assert_eq!(state.exceptions, [e(5, 77), n(5), packed, n(3), n(1)]);
    assert_eq!((&state.frames[0].locals, &state.frames[0].operands), (&vec![1, 8, 9], &vec![2, 5, 8, 9]));
    let with = |change: &dyn Fn(&mut RunState)| changed(&subject, |raw| change(&mut raw.state));
    let out_of_order = "state: exceptions are not numbered in the order in which they are reached";
    assert_all(vec![
        ("loaded", with(&|_| ())),
        // Other numbers, other contents: as far as the program can tell, a possible state.
        ("loaded", with(&|s| s.exceptions[4].values[0] = 9)),
        ("loaded", with(&|s| s.exceptions[0].values[1] = 0)),
        // Numbers out of range.
        (
            "frame 0: slot of a local 0: state: a value is 0x6, expected a valid exnref",
            with(&|s| s.frames[0].locals[0] = 6),
        ),
        (
            "frame 0: slot of an operand 0: state: a value is 0xffffffffffffffff, expected a valid exnref",
            with(&|s| s.frames[0].operands[0] = u64::MAX),
        ),
        (
            "instance 0: slot 0 of the globals: state: a value is 0x6, expected a valid exnref",
            with(&|s| s.instances[0].globals[0] = 6),
        ),
        (
            "exception 0: slot 0: state: a value is 0x6, expected a valid exnref",
            with(&|s| s.exceptions[0].values[0] = 6),
        ),
        // Out of order, and not reached.
        (
            out_of_order,
            with(&|s| {
                s.exceptions.swap(0, 1);
                s.frames[0].locals[0] = 2;
                s.frames[0].operands[0] = 1;
            }),
        ),
        (out_of_order, with(&|s| s.frames[0].operands[0] = 4)),
        (out_of_order, with(&|s| s.frames[0].operands[0] = 0)),
        (
            out_of_order,
            with(&|s| {
                s.exceptions.push(n(6));
                s.exception_slots += 2;
            }),
        ),
        (out_of_order, with(&|s| s.exceptions[0].values[0] = 1)),
        // Payloads.
        (
            "exception 1: slot 0: state: a value is 0x100000000, expected a valid i32",
            with(&|s| s.exceptions[1].values[0] = 1 << 32),
        ),
        ("state: the number of slots of the payload is 2, expected 1", with(&|s| s.exceptions[1].values.push(0))),
        // Half of a vector.
        ("state: the number of slots of the payload is 2, expected 3", with(&|s| s.exceptions[2].values.truncate(2))),
        (
            "exception 2: slot 0: state: a value is 0x0, expected a valid (ref 0)",
            with(&|s| s.exceptions[2].values[0] = 0),
        ),
        (
            "exception 2: slot 0: state: a value is 0x6, expected a valid (ref 0)",
            with(&|s| s.exceptions[2].values[0] = 6),
        ),
        // Tags.
        ("state: the number of slots of the payload is 1, expected 2", with(&|s| s.exceptions[1].tag = 1)),
        ("exception 1: state: a tag is 3, expected one of the instance's own", with(&|s| s.exceptions[1].tag = 3)),
        ("exception 1: state: a tag is 0, expected one of the instance's own", with(&|s| s.exceptions[1].instance = 1)),
        // What counts against the limit.
        ("state: slots of all exceptions is 12, expected in 13..=1004", with(&|s| s.exception_slots = 12)),
        ("loaded", with(&|s| s.exception_slots = 13)),
        ("loaded", with(&|s| s.exception_slots = 1004)),
        ("state: slots of all exceptions is 1005, expected in 13..=1004", with(&|s| s.exception_slots = 1005)),
    ]);
}

#[test]
fn vectors_and_typed_references_that_no_run_has_are_refused() {
    let subject = subject();
    let with = |change: &dyn Fn(&mut RunState)| changed(&subject, |raw| change(&mut raw.state));
    assert_all(vec![
        ("loaded", with(&|s| s.frames[0].locals[1] = u64::MAX)),
        ("loaded", with(&|s| s.instances[0].globals[2] = 0)),
        ("frame 0: state: the number of locals is 2, expected 3", with(&|s| s.frames[0].locals.truncate(2))),
        ("frame 0: state: the number of operands is 3, expected 4", with(&|s| s.frames[0].operands.truncate(3))),
        (
            "instance 0: state: the number of slots of globals is 2, expected 3",
            with(&|s| s.instances[0].globals.truncate(2)),
        ),
        // Null, a function of another type, and no function.
        (
            "frame 0: slot of an operand 1: state: a value is 0x0, expected a valid (ref 0)",
            with(&|s| s.frames[0].operands[1] = 0),
        ),
        (
            "frame 0: slot of an operand 1: state: a value is 0x6, expected a valid (ref 0)",
            with(&|s| s.frames[0].operands[1] = 6),
        ),
        (
            "frame 0: slot of an operand 1: state: a value is 0x63, expected a valid (ref 0)",
            with(&|s| s.frames[0].operands[1] = 0x63),
        ),
        ("state: the phase Finished is not one of this run that could go on", with(&|s| s.phase = Phase::Finished)),
    ]);
}

#[test]
fn tables_of_exceptions_are_checked_though_all_hashes_are_right() {
    let subject = subject();
    let with_elements = |elements: [u64; 3]| with_elements(&subject, SPACE_TABLE, 0, &elements);
    let out_of_order = "state: exceptions are not numbered in the order in which they are reached";
    assert_all(vec![
        ("loaded", with_elements([4, 0, 1])),
        ("loaded", with_elements([1, 4, 4])),
        (out_of_order, with_elements([0, 0, 0])),
        (out_of_order, with_elements([5, 4, 0])),
        ("table 0: element 2: state: a value is 0x6, expected a valid exnref", with_elements([0, 4, 6])),
    ]);
}

#[test]
fn a_trapped_state_keeps_its_exceptions() {
    let text = "(func (export \"run\") (local exnref) (local.set 0 (call $make (i32.const 3))) (unreachable))";
    let run = job(text, "", "").start("", Drive::WHOLE).unwrap();
    assert_eq!((run.end.clone(), run.exit_code), (End::Finished, 134));
    assert_eq!(run.receipt()["trap"]["message"], Trap::Unreachable.message());
}
