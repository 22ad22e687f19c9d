//! What a stopped program shows of itself: where it trapped, in the words of its source, and what is in its snapshots.

use std::fs;
use std::path::Path;

use crate::util::{Dir, FIB, TRAP, json, text};

/// A directory with `mean.wasm`, which has debug information: `mean 7 0` traps in a function that was inlined.
fn with_mean() -> Dir {
    let dir = Dir::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/mean.wasm");
    fs::copy(from, dir.path("mean.wasm")).expect("copied");
    dir
}

/// Whether these lines say where it traps: in `unreachable` of Rust's library, inlined into `divide`, inlined into `Bin::mean`.
fn says_where(said: &str) -> bool {
    let lines: Vec<&str> = said.lines().collect();
    lines[0] == "trapped at, innermost call first:"
        && lines[1].starts_with("  #0  core::core_arch::wasm32::unreachable at ")
        && lines[1].ends_with(" (inlined)")
        && lines[2] == "      mean::divide at ./mean.rs:26:9 (inlined)"
        && lines[3] == "      <mean::Bin>::mean at ./mean.rs:19:9"
        && lines[4].starts_with("  #1  mean at ./mean.rs:34:")
        && lines[5].starts_with("status 134 (unreachable), ")
}

#[test]
fn a_trap_shows_the_calls_with_names_and_source_lines_and_how_to_look_further() {
    let dir = with_mean();
    for engine in ["wasm", "native"] {
        let ran = dir.run(&format!("--engine {engine} --snapshot-output {engine} mean.wasm mean 7 0")).code(134);
        let said = ran.stderr();
        assert!(says_where(&said), "{said}");
        let further =
            format!("to look further: run it once more with --keep-final, and then: stepmark inspect {engine}@final\n");
        assert!(said.ends_with(&further) && ran.stdout().is_empty(), "{said}");
    }
    assert_eq!(dir.run("-q mean.wasm mean 7 0").code(134).stderr(), "");
    let ran = dir.run("--keep-final --snapshot-output kept mean.wasm mean 7 0").code(134);
    ran.says("to look further: stepmark inspect kept@final\n");
    let shown = text(dir.run("inspect kept").code(0).stdout());
    for part in [
        "the end of mean.wasm mean [\"7\", \"0\"], trapped: unreachable\n",
        "<<mean::Bin>::mean> at offset 0x",
        " (./mean.rs:19:9), unreachable\n     inlined: core::core_arch::wasm32::unreachable (",
        "     inlined: mean::divide (./mean.rs:26:9)\n",
    ] {
        assert!(shown.contains(part), "expected {part:?} in {shown}");
    }
}

#[test]
fn the_calls_of_a_trap_are_an_array_of_the_object() {
    let dir = with_mean();
    let object = json(dir.run("--json -q mean.wasm mean 7 0").code(134).stdout());
    let frames = object["backtrace"].as_array().expect("an array");
    assert_eq!((frames.len(), &frames[0]["name"]), (2, &"<mean::Bin>::mean".into()));
    let inner = serde_json::json!({ "function": "mean::divide", "source": "./mean.rs:26:9" });
    assert_eq!((&frames[0]["inlined"][1], &frames[0]["source"]), (&inner, &"./mean.rs:19:9".into()));
    let object = json(dir.run("--json -q mean.wasm mean 7 1").code(0).stdout());
    assert_eq!(object["backtrace"], serde_json::json!([]));
}

#[test]
fn a_program_without_debug_information_shows_names_and_offsets() {
    let dir = Dir::with("trap.wasm", TRAP);
    let said = dir.run("trap.wasm run").code(134).stderr();
    assert!(said.starts_with("trapped at, innermost call first:\n  #0  divide at offset 0x"), "{said}");
    // The names of somebody's program obey nothing, and a deep stack is cut.
    let deep = "(module (func $\"_ZN1a1b17h0123456789abcdefE\" (export \"run\") (call 1))
      (func $\"\\1b[2J\" (param) (call 1)))";
    dir.add("deep.wasm", deep);
    let said = dir.run("deep.wasm run").code(134).stderr();
    assert_eq!(said.lines().filter(|line| line.contains("\\u{1b}[2J at offset")).count(), 16, "{said}");
    assert!(said.contains("\n  ... at least 48 more (--json has them)\n") && !said.contains('\u{1b}'), "{said}");
}

#[test]
fn a_trap_after_a_snapshot_is_looked_at_from_there() {
    let dir = Dir::with("trap.wasm", TRAP);
    let ran = dir.run("--gas-limit 50 --enable-gas-refill --snapshot-output out trap.wasm run").code(134);
    let last = dir.names("out").iter().filter(|name| name.ends_with(".snap")).count();
    let further =
        format!("to look further: stepmark resume out@{last} --keep-final, and then: stepmark inspect out@final\n");
    ran.says(&further);
    let shown = text(dir.run("inspect out").code(0).stdout());
    let later =
        "the run ended later, trapped: integer divide by zero; that state was not kept (run with --keep-final)\n";
    assert!(shown.starts_with(&format!("snapshot {last} of trap.wasm run [], in the entry\n")), "{shown}");
    assert!(shown.ends_with(later), "{shown}");
    dir.run(&format!("resume out@{last} --keep-final")).code(134);
    let shown = text(dir.run("inspect out").code(0).stdout());
    assert!(
        shown.starts_with(&format!("the end after snapshot {last} of trap.wasm run [], trapped: integer")),
        "{shown}"
    );
    let shown = text(dir.run(&format!("inspect out@{last}")).code(0).stdout());
    assert!(
        shown.ends_with("the run ended later, trapped: integer divide by zero; out@final is that state\n"),
        "{shown}"
    );
    let shown = text(dir.run(&format!("diff out@{last} out")).code(1).stdout());
    let states =
        format!("out@{last}: snapshot {last}, in the entry | out: the end after snapshot {last}, trapped: integer");
    assert!(shown.starts_with(&states), "{shown}");
}

/// Writes -1 and then 1 into every second word of twelve pages, and into 20 globals; a thousand gas or so each.
fn with_many_changes() -> Dir {
    let globals = "(global (mut i32) (i32.const -1))".repeat(20);
    let sets: String = (0..20).map(|number| format!("(global.set {number} (i32.const 1))")).collect();
    let dir = Dir::with(
        "many.wasm",
        &format!(
            "(module (memory 1) {globals} (func $fill (param $value i32) (local $at i32)
               (loop $l (i32.store (local.get $at) (local.get $value))
                 (br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 2048))) (i32.const 49152)))))
             (func (export \"run\") (local $i i32) (call $fill (i32.const -1))
               (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200))))
               (call $fill (i32.const 1)) {sets}
               (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 600))))))"
        ),
    );
    dir.run("--engine native --gas-limit 1000 --enable-gas-refill --snapshot-output out many.wasm run").code(0);
    dir
}

#[test]
fn diff_shows_eight_lines_of_a_group_and_runs_of_pages() {
    let dir = with_many_changes();
    let last = dir.names("out").iter().filter(|name| name.ends_with(".snap")).count();
    let line = format!("diff out@1 out@{last}");
    let shown = text(dir.run(&line).code(1).stdout());
    for part in [
        "instance 0: global slot 7: i32 -1 | i32 1\n... 12 more of instance 0: global slots (--all)\n",
        "pages 0-11 of memory 0 differ\nmemory 0 0x0..0x4: ffffffff | 01000000\n",
        "memory 0 0x3800..0x3804: ffffffff | 01000000\n... 16 more of memory 0 (--all)\n",
    ] {
        assert!(shown.contains(part), "expected {part:?} in {shown}");
    }
    let all = text(dir.run(&format!("{line} --all")).code(1).stdout());
    assert!(
        all.contains("global slot 19: ") && all.contains("memory 0 0xb800..0xb804: ") && !all.contains("more"),
        "{all}"
    );
    let object = json(dir.run(&format!("{line} --json")).code(1).stdout());
    let differences = object["differences"].as_array().expect("an array");
    assert_eq!(differences.len(), all.lines().count());
    assert_eq!(object["same"], false);
    assert_eq!(json(dir.run("diff out@1 out@1 --json").code(0).stdout())["same"], true);
}

#[test]
fn inspect_shows_integers_with_their_sign() {
    let dir = with_many_changes();
    let shown = text(dir.run("inspect out@1").code(0).stdout());
    assert!(shown.contains("globals [i32 -1, i32 -1, "), "{shown}");
    dir.add("minus.wasm", "(module (func (export \"run\") (result i32 i64) (i32.const -1) (i64.const -2)))");
    dir.run("--keep-final --snapshot-output end minus.wasm run").code(0);
    let shown = text(dir.run("inspect end").code(0).stdout());
    assert!(shown.starts_with("the end of minus.wasm run [], finished\n"), "{shown}");
    assert!(shown.contains("results: [i32 -1, i64 -2]"), "{shown}");
}

#[test]
fn inspect_needs_no_input_files() {
    let dir = Dir::new();
    dir.sample("wasi/files.wasm");
    fs::create_dir(dir.path("in")).expect("a directory");
    fs::write(dir.path("in/input.txt"), "some text\n").expect("a file");
    fs::write(dir.path("words.txt"), "words").expect("a file");
    let job = "--dir in::/data --stdin words.txt";
    dir.run(&format!(
        "--engine native --gas-limit 20000 --enable-gas-refill --preopen / {job} --snapshot-output out files.wasm"
    ));
    let places = ["out@1", "out"];
    let shown = |place| text(dir.run(&format!("inspect {place} {job} --memory 1024+64")).code(0).stdout());
    let wholes = places.map(shown);
    // Where the run had them they are found.
    fs::rename(dir.path("in"), dir.path("elsewhere")).expect("another place");
    for (place, whole) in places.into_iter().zip(wholes) {
        let without = text(dir.run(&format!("inspect {place} --memory 1024+64")).code(0).stdout());
        let not_shown: Vec<&str> = without.lines().filter(|line| !whole.contains(line)).collect();
        assert!(not_shown.len() == 1, "{not_shown:?}");
        let why =
            "not shown: descriptors, files, how much was written: the snapshot needs data/input.txt with BLAKE3 hash ";
        let advice = ", which was not found; give it with --file /data/input.txt=FILE";
        assert!(not_shown[0].starts_with(why) && not_shown[0].ends_with(advice), "{not_shown:?}");
        // All the rest is there.
        for line in whole.lines().filter(|line| !line.starts_with("descriptor ") && !line.starts_with("written so far"))
        {
            assert!(without.contains(line), "{line}");
        }
    }
    // A file that is given must be the right one all the same.
    fs::write(dir.path("other.txt"), "other").expect("a file");
    dir.run("inspect out --stdin other.txt").code(65).says("other.txt: is not the standard input of the snapshots");
    dir.run("inspect out --stdin absent.txt").code(2).says("absent.txt: no such file");
    // What is damaged is seen without them too.
    let mut bin = dir.read("out/1.bin");
    let middle = bin.len() / 2;
    bin[middle] ^= 1;
    fs::write(dir.path("out/1.bin"), bin).expect("written");
    dir.run("inspect out@1").code(65).says("1.bin: ");
}

#[test]
fn inspect_shows_what_a_snapshot_says_without_its_program() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 20").code(75);
    fs::create_dir(dir.path("away")).expect("a directory");
    fs::rename(dir.path("fib.wasm"), dir.path("away/fib.wasm")).expect("moved");
    let hash = blake3::hash(&dir.read("away/fib.wasm")).to_string();
    let shown = text(dir.run("inspect out").code(0).stdout());
    for part in [
        "snapshot 1 of fib.wasm fib [\"20\"], in the entry\n",
        &format!("hashes: program {hash}\n"),
        "  #0 function 0 at offset 0x",
        "not shown: names, types, elements of tables, memory, descriptors: the snapshot needs fib.wasm with BLAKE3 hash ",
        ", which was not found; give it with --program FILE\n",
    ] {
        assert!(shown.contains(part), "expected {part:?} in {shown}");
    }
    dir.run("inspect out --memory 0+16").code(65).says("memory 0 cannot be shown: names, types, ");
    let shown = text(dir.run("inspect out --program away/fib.wasm").code(0).stdout());
    assert!(shown.contains("#0 function 0 <fib> at offset") && !shown.contains("not shown"), "{shown}");
}
