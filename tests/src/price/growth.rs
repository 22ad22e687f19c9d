//! Is writing, reading and checking a state linear in it: time of one snapshot and of one restore at a size and at twice that
//! size, for all that a program can make many of.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stepmark_hosts::external::{ExternalCall, ExternalReply};
use stepmark_session::{Budget, Event, Session};

use super::calls::{HELPERS, imports, ok, open_name};
use super::{Effort, Row, clock};
use crate::session::{Files, OUT, load, pause, with, words};

/// Something of which a state can hold many.
pub struct Many {
    /// What it is.
    pub name: &'static str,
    /// How many; and then twice as many.
    pub count: u64,
    /// A program whose `f`, called with their number, makes so many and then writes [`ENOUGH`] bytes.
    program: fn(u64) -> Row,
}

/// What was measured of one of them.
#[derive(Clone, Debug)]
pub struct Growth {
    /// What there was many of.
    pub name: &'static str,
    /// What was done with the state: `snapshot` or `restore`.
    pub done: &'static str,
    /// How many there were in the larger state.
    pub count: u64,
    /// Bytes of its `.snap`.
    pub snap: u64,
    /// Bytes of its `.snap` and `.bin`.
    pub bytes: u64,
    /// Bytes that each one adds to a `.snap`.
    pub each: f64,
    /// Nanoseconds a byte of both files in the larger state.
    pub nanoseconds: f64,
    /// Time in the larger state over time in the smaller one.
    pub growth: f64,
}

/// Bytes of output that make a session stop.
const ENOUGH: u32 = stepmark_session::OUTPUT_PENDING as u32;

/// What a program does when it has made its state.
fn stop() -> String {
    let write = ok("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12))");
    format!("(i32.store (i32.const 4) (i32.const {ENOUGH})) {write}")
}

/// A module of `parts` whose `f` is `body`; `$n` is the number, `$i` and `$k` are free.
fn program(parts: &str, body: &str) -> Row {
    let function = format!(
        "(func (export \"f\") (param $n i32) (local $i i32) (local $k i32) {body} (call $stop))
         (func $stop {})",
        stop()
    );
    let text = format!("(module {} {HELPERS} {parts} {function})", imports(&(parts.to_owned() + &function)));
    Row::new("state", "many", &text).with("--preopen /")
}

/// All that there can be many of.
pub fn states() -> Vec<Many> {
    let many = |name, count, program| Many { name, count, program };
    vec![
        many("frames", 30_000, frames),
        many("frames of 100 functions in turn", 30_000, frames_in_turn),
        many("operands in 100 frames", 250_000, operands),
        many("descriptors", 2_040, descriptors),
        many("files", 50_000, files),
        many("names of one file", 50_000, names),
        many("links", 50_000, links),
        many("nested directories", 10_000, directories),
        many("instances", 500, instances),
        many("elements of a table", 500_000, elements),
        many("elements of each of 90 tables", 5_000, tables),
        many("exceptions in a table", 50_000, exceptions),
        many("exceptions in frames", 25_000, exceptions_in_frames),
        many("globals", 10_000, globals),
        many("keys of the store", 10_000, keys),
        many("iterators of the store", 500, iterators),
    ]
}

fn frames(_: u64) -> Row {
    let down = "(func $down (param $d i32)
        (if (i32.eqz (local.get $d)) (then (call $stop)) (else (call $down (i32.sub (local.get $d) (i32.const 1))))))";
    program(down, "(call $down (local.get $n))")
}

/// Frames of different functions, each at one of several calls.
fn frames_in_turn(_: u64) -> Row {
    let calls = "(if (i32.eq (i32.and (local.get $d) (i32.const 3)) (i32.const 1))
        (then (call $g{next} (i32.sub (local.get $d) (i32.const 1))))
        (else (call $g{next} (i32.sub (local.get $d) (i32.const 1)))))";
    let function = |i: u32| {
        let calls = calls.replace("{next}", &((i + 1) % 100).to_string());
        format!("(func $g{i} (param $d i32) (if (i32.eqz (local.get $d)) (then (call $stop)) (else {calls})))")
    };
    program(&(0..100).map(function).collect::<String>(), "(call $g0 (local.get $n))")
}

fn operands(count: u64) -> Row {
    let height = (count / 100) as usize;
    let down = format!(
        "(func $down (param $d i32) {} (if (i32.eqz (local.get $d)) (then (call $stop))
            (else (call $down (i32.sub (local.get $d) (i32.const 1))))) {})",
        "(local.get $d) ".repeat(height),
        "drop ".repeat(height)
    );
    program(&down, "(call $down (i32.const 99))")
}

/// A loop over `body` so often as the number says, `$i` from 0 up.
fn each(body: &str) -> String {
    format!(
        "(local.set $i (i32.const 0)) (loop $c {body}
            (br_if $c (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))"
    )
}

fn open(oflags: u32) -> String {
    ok(&open_name("(i32.const 3)", oflags))
}

const CLOSE: &str = "(call $ok (call $fd_close (i32.load (i32.const 8))))";

fn descriptors(_: u64) -> Row {
    program("", &format!("(call $name (i32.const 0)) {}", each(&open(1))))
}

fn files(_: u64) -> Row {
    program("", &each(&format!("(call $name (local.get $i)) {} {CLOSE}", open(1))))
}

fn names(_: u64) -> Row {
    let link = ok("(call $path_link (i32.const 3) (i32.const 0) (i32.const 1040) (i32.const 8) (i32.const 3) \
         (i32.const 1024) (i32.const 8))");
    let first = format!(
        "(call $name (i32.const -1)) {} {CLOSE} (i64.store (i32.const 1040) (i64.load (i32.const 1024)))",
        open(1)
    );
    program("", &format!("{first} {}", each(&format!("(call $name (local.get $i)) {link}"))))
}

fn links(_: u64) -> Row {
    let link = ok("(call $path_symlink (i32.const 16) (i32.const 4) (i32.const 3) (i32.const 1024) (i32.const 8))");
    program("", &each(&format!("(call $name (local.get $i)) {link}")))
}

fn directories(_: u64) -> Row {
    let make = ok("(call $path_create_directory (local.get $k) (i32.const 32) (i32.const 1))");
    let open = ok("(call $path_open (local.get $k) (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 2) \
         (i64.const -65) (i64.const -1) (i32.const 0) (i32.const 8))");
    let down = format!(
        "{make} {open} (if (i32.gt_u (local.get $k) (i32.const 3)) (then {})) (local.set $k (i32.load (i32.const 8)))",
        ok("(call $fd_close (local.get $k))")
    );
    program("", &format!("(local.set $k (i32.const 3)) {}", each(&down)))
}

fn instances(count: u64) -> Row {
    let flags: String = (0..count).map(|i| format!(" --preload m{i}=other.wasm")).collect();
    let mut row = program("", "").with(&format!("--preopen /{flags}"));
    let other = "(module (memory 1) (table 4 funcref) (global (mut i32) (i32.const 7)) (func (export \"g\")))";
    row.files.insert("other.wasm".to_owned(), wat::parse_str(other).expect("BUG: it is a module"));
    row
}

fn elements(_: u64) -> Row {
    let parts = "(table $t 1 9000000 funcref) (elem declare func $stop)";
    program(parts, "(drop (table.grow $t (ref.func $stop) (local.get $n)))")
}

fn tables(_: u64) -> Row {
    let all = |part: &str| (0..90).map(|i| part.replace("$t", &format!("$t{i}"))).collect::<String>();
    let tables = all("(table $t 1 9000000 funcref)");
    let body = all("(drop (table.grow $t (ref.func $stop) (local.get $n)))");
    program(&format!("{tables} (elem declare func $stop)"), &body)
}

/// Makes an exception and leaves the reference to it on the stack.
const CAUGHT: &str = "(block $h (result exnref) (try_table (catch_all_ref $h) (throw $x)) (unreachable))";

fn exceptions(_: u64) -> Row {
    let parts = "(tag $x) (table $t 100000 100000 exnref)";
    program(parts, &each(&format!("(table.set $t (local.get $i) {CAUGHT})")))
}

fn exceptions_in_frames(_: u64) -> Row {
    let down = format!(
        "(tag $x) (func $down (param $d i32) (local $e exnref) (local.set $e {CAUGHT}) {CAUGHT}
            (if (i32.eqz (local.get $d)) (then (call $stop)) (else (call $down (i32.sub (local.get $d) (i32.const 1)))))
            drop)"
    );
    program(&down, "(call $down (local.get $n))")
}

fn globals(count: u64) -> Row {
    let globals = "(global (mut i64) (i64.const 5)) ".repeat(count as usize);
    let set: String = (0..count).map(|i| format!("(global.set {i} (i64.const {i})) ")).collect();
    program(&globals, &set)
}

fn keys(_: u64) -> Row {
    let put = "(import \"store\" \"put\" (func $put (param i32 i32 i32 i32)))";
    let body = "(call $name (local.get $i)) (call $put (i32.const 1024) (i32.const 8) (i32.const 1024) (i32.const 8))";
    on_a_store(put, body)
}

fn iterators(_: u64) -> Row {
    let iterate = "(import \"store\" \"iterate\" (func $iterate (param i32 i32 i32 i32) (result i32)))";
    let body = "(drop (call $iterate (i32.const 1024) (i32.const 8) (i32.const 0) (i32.const -1)))";
    on_a_store(iterate, body)
}

fn on_a_store(import: &str, body: &str) -> Row {
    let function = format!("(func $f (param $n i32) (local $i i32) {})", each(body));
    let stop = format!("(func $stop {})", stop());
    let text = format!(
        "(module {import} {} {HELPERS} {function} {stop} (func (export \"f\") (param i32) (call $f (local.get 0)) (call $stop)))",
        imports(&stop)
    );
    Row::new("state", "many", &text).with("--preopen / --store-version 1")
}

/// What the outside says: an empty store.
pub(super) fn nothing(question: &ExternalCall) -> ExternalReply {
    match question {
        ExternalCall::Get { .. } => ExternalReply::Value(None),
        _ => ExternalReply::Entry(None),
    }
}

/// A session that has made its state, the files of that state, and how to come back to it.
struct Made {
    session: Session,
    files: Files,
    line: Vec<String>,
}

fn make(row: &Row, count: u64) -> Result<Made> {
    let call = format!("{} --snapshot-output {OUT} program.wasm f {count}", row.flags);
    let mut session = load(&row.files, &words(&call)).map_err(|e| anyhow::anyhow!("{e}"))?;
    loop {
        match session.run(Budget { gas: u64::MAX, steps: u64::MAX }).map_err(|e| anyhow::anyhow!("{e}"))? {
            Event::Question => {
                let answer = session.question().map(nothing).context("no question")?;
                session.answer(answer).map_err(|e| anyhow::anyhow!("{e}"))?;
            }
            Event::Output => break,
            event => anyhow::bail!("{event:?}, exit code {}", session.exit_code()),
        }
    }
    let _ = session.take_output(1);
    let files = pause(&mut session).map_err(|e| anyhow::anyhow!("{e}"))?;
    let resume = format!("--snapshot-input {OUT} --snapshot-id paused {call}");
    Ok(Made { session, files, line: words(&resume) })
}

impl Made {
    fn size(&self, end: &str) -> u64 {
        self.files.iter().filter(|(name, _)| name.ends_with(end)).map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// The shortest times of a snapshot and of a restore.
    fn times(&mut self, row: &Row, effort: Effort) -> Result<[Duration; 2]> {
        let inputs = with(row.files.clone(), &self.files);
        let mut best = [Duration::MAX; 2];
        for _ in 0..effort.runs {
            let begin = clock();
            let files = pause(&mut self.session).map_err(|e| anyhow::anyhow!("{e}"))?;
            let snapshot = clock().saturating_sub(begin);
            ensure!(files == self.files, "two snapshots of one state differ");
            let begin = clock();
            let mut session = load(&inputs, &self.line).map_err(|e| anyhow::anyhow!("{e}"))?;
            let restore = clock().saturating_sub(begin);
            ensure!(pause(&mut session).ok().as_ref() == Some(&self.files), "the restored state is another");
            best = [best[0].min(snapshot), best[1].min(restore)];
        }
        Ok(best)
    }
}

/// Measures a snapshot and a restore.
///
/// # Errors
/// A program that fails, or a state that does not come back as it was.
pub fn measure(many: &Many, effort: Effort) -> Result<[Growth; 2]> {
    let mut sizes = Vec::new();
    for count in [many.count, 2 * many.count] {
        let row = (many.program)(count);
        let mut made = make(&row, count).with_context(|| format!("{count} {}", many.name))?;
        let times = made.times(&row, effort).with_context(|| format!("{count} {}", many.name))?;
        sizes.push((made.size(".snap"), made.size(".bin"), times));
    }
    let [(before, _, smaller), (snap, bin, larger)] = sizes[..] else { unreachable!("BUG: two sizes") };
    let growth = |number: usize, done| Growth {
        name: many.name,
        done,
        count: 2 * many.count,
        snap,
        bytes: snap + bin,
        each: snap.saturating_sub(before) as f64 / many.count as f64,
        nanoseconds: larger[number].as_nanos() as f64 / (snap + bin) as f64,
        // The clock may not have moved: that is no measurement, and whatever is measured again is better.
        growth: match smaller[number].as_secs_f64() {
            0.0 => f64::INFINITY,
            smaller => larger[number].as_secs_f64() / smaller,
        },
    };
    Ok([growth(0, "snapshot"), growth(1, "restore")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_written_and_read_and_has_twice_as_many_at_twice_the_size() {
        for many in states() {
            let few = Many { count: many.count.min(200), ..many };
            let [snapshot, _] = measure(&few, Effort { least: Duration::ZERO, runs: 1 }).unwrap();
            // These are in pages, which are in the `.bin`.
            let is_paged = few.name.starts_with("elements") || few.name.starts_with("keys");
            assert!(is_paged || snapshot.each > 0.0, "{snapshot:?}");
        }
    }
}
