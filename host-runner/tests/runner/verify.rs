//! `verify`: a chain is right only if its program leads from each snapshot to the next, whichever engine says so.

use std::fs;

use stepmark_runner::chain::ChainFiles;
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_runner::node::engine::Engine;
use stepmark_runner::verify::{self, Claim, SegmentExecutor, Verification, VerifyOptions};
use stepmark_snapshot::snap;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::canonical::SegmentRecord;

use crate::util::{Dir, FIB, Ran, TRAP, json, text};

/// A chain of three snapshots and an end.
pub(crate) fn chain(engine: &str) -> Dir {
    let dir = Dir::with("fib.wasm", FIB);
    let line = "--gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20";
    dir.run(&format!("--engine {engine} {line}")).code(0);
    dir
}

fn verdicts(ran: &Ran) -> Vec<String> {
    let object = json(ran.stdout());
    let segments = object["segments"].as_array().expect("a list");
    segments.iter().map(|segment| segment["verdict"].as_str().expect("text").to_owned()).collect()
}

/// Changes a snapshot and the one after it, so that all hashes are right.
pub(crate) fn forge(dir: &Dir, id: u64, change: impl Fn(&mut RawSnapshot)) {
    let name = |id: u64| format!("out/{id}.snap");
    let mut raw = snap::decode(&dir.read(&name(id))).expect("a snapshot");
    change(&mut raw);
    let (bytes, mut hash) = snap::encode(&raw.job, &raw.segment, &raw.state).expect("encodes");
    fs::write(dir.path(&name(id)), bytes).expect("written");
    for later in id + 1.. {
        let Ok(bytes) = fs::read(dir.path(&name(later))) else { break };
        let raw = snap::decode(&bytes).expect("a snapshot");
        let segment = SegmentRecord { previous_snap: hash, ..raw.segment };
        let (bytes, next) = snap::encode(&raw.job, &segment, &raw.state).expect("encodes");
        fs::write(dir.path(&name(later)), bytes).expect("written");
        hash = next;
    }
}

#[test]
fn each_engine_verifies_what_the_other_one_wrote() {
    for (wrote, verifies) in [("wasm", "native"), ("native", "wasm")] {
        let dir = chain(wrote);
        for jobs in [1, 2, 9] {
            let ran = dir.run(&format!("verify fib.wasm out --json -j {jobs} --engine {verifies}")).code(0);
            assert_eq!(verdicts(&ran), ["same"; 4], "{jobs} workers");
        }
    }
}

#[test]
fn a_forged_state_with_right_hashes_is_found_by_executing() {
    let dir = chain("native");
    forge(&dir, 2, |raw| raw.state.frames[0].locals[0] ^= 1);
    dir.run("resume out@3 --engine native --snapshot-output elsewhere").code(0);
    let ran = dir.run("verify fib.wasm out --json --engine native -j 1").code(1);
    // From the forged state the third snapshot does not follow; after it the chain is as it was.
    assert_eq!(verdicts(&ran), ["same", "differs", "differs", "same"]);
}

#[test]
fn damaged_missing_and_mixed_files_are_named() {
    let expect = |spoil: &dyn Fn(&Dir), verdict: &[&str], fault: &str| {
        let dir = chain("native");
        spoil(&dir);
        let ran = dir.run("verify fib.wasm out --json --engine native -j 1").code(1);
        assert_eq!(verdicts(&ran), verdict, "{fault}");
        let text = String::from_utf8_lossy(ran.stdout()).into_owned();
        assert!(text.contains(fault), "expected {fault:?} in {text}");
    };
    let flip = |name: &str, at: usize| {
        let name = format!("out/{name}");
        move |dir: &Dir| {
            let mut bytes = dir.read(&name);
            bytes[at] ^= 1;
            fs::write(dir.path(&name), bytes).expect("written");
        }
    };
    let remove =
        |name: &'static str| move |dir: &Dir| fs::remove_file(dir.path(&format!("out/{name}"))).expect("removed");
    expect(&flip("2.bin", 100), &["same", "differs", "same", "same"], "2.bin: the contents do not have the hash");
    expect(&flip("result.txt", 0), &["same", "same", "same", "differs"], "result.txt: differs at byte 0");
    expect(&remove("2.bin"), &["same", "differs", "same", "same"], "2.bin: missing");
    expect(&remove("2.snap"), &["same", "not compared", "not compared", "same"], "2.snap: missing");
    expect(&remove("3.snap"), &["same", "same", "not compared", "not compared"], "3.snap: missing");
    expect(&remove("receipt.json"), &["same", "same", "same", "differs"], "receipt.json: missing");
    expect(
        &remove("result.txt"),
        &["same", "same", "same", "not compared"],
        "verify up to the last snapshot with --to",
    );
    let mixed = |dir: &Dir| {
        dir.run("--engine native --gas-limit 40000 --enable-gas-refill --snapshot-output b fib.wasm fib 20").code(0);
        fs::copy(dir.path("b/2.snap"), dir.path("out/2.snap")).expect("copied");
    };
    expect(
        &mixed,
        &["same", "differs", "differs", "same"],
        "2.snap: does not follow 1.snap: files of two chains are mixed",
    );
    let extra = |dir: &Dir| {
        for ending in ["snap", "bin"] {
            fs::copy(dir.path(&format!("out/3.{ending}")), dir.path(&format!("out/4.{ending}"))).expect("copied");
        }
    };
    expect(&extra, &["same", "same", "same", "not compared", "not compared"], "4.snap: is of snapshot 3");
}

#[test]
fn a_chain_that_was_cut_short_is_not_the_whole_run() {
    let dir = chain("native");
    for name in ["3.snap", "3.bin"] {
        fs::remove_file(dir.path(&format!("out/{name}"))).expect("removed");
    }
    let ran = dir.run("verify fib.wasm out --json --engine native").code(1);
    assert_eq!(verdicts(&ran), ["same", "same", "differs"]);
    assert!(String::from_utf8_lossy(ran.stdout()).contains("the run goes on to a snapshot 3, which is missing"));
}

#[test]
fn every_way_to_end_is_verified() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.add("trap.wasm", TRAP);
    // At the limit, in three runs with two limits.
    dir.run("--engine native --gas-limit 50000 --snapshot-output limit fib.wasm fib 20").code(75);
    dir.run("resume limit --engine native --gas-limit 30000").code(75);
    dir.run("resume limit --engine native").code(75);
    // By a trap, with and without a snapshot of the end.
    for keep in ["", "--keep-final"] {
        let line = format!(
            "--engine native --gas-limit 50 --enable-gas-refill {keep} --snapshot-output trap{keep} trap.wasm run"
        );
        dir.run(&line).code(134);
    }
    for (program, chain, segments) in [("fib", "limit", 4), ("trap", "trap", 3), ("trap", "trap--keep-final", 3)] {
        // Where the limit stopped it the run has not ended.
        let (code, verdict) = if chain == "limit" { (75, "incomplete") } else { (0, "valid") };
        for engine in ["native", "wasm"] {
            let ran = dir.run(&format!("verify {program}.wasm {chain} --json --engine {engine}")).code(code);
            assert_eq!(verdicts(&ran), vec!["same"; segments], "{chain}");
            assert_eq!(json(ran.stdout())["verdict"], verdict, "{chain}");
        }
    }
}

#[test]
fn another_program_is_refused_by_its_hash() {
    let dir = chain("native");
    dir.add("other.wasm", TRAP);
    dir.run("verify other.wasm out").code(65).says("other.wasm: is not the program fib.wasm of the snapshots");
    dir.run("verify fib.wasm out --from 4").code(2).says("the chain has snapshots 1 to 3");
    dir.run("verify fib.wasm nowhere").code(2).says("nowhere: no such directory");
}

#[test]
fn the_report_is_one_page_with_every_verdict() {
    let dir = chain("native");
    forge(&dir, 2, |raw| raw.state.frames[0].locals[0] ^= 1);
    dir.run("verify fib.wasm out --engine native --report page.html").code(1);
    let page = dir.text("page.html");
    assert_eq!(page.matches("<tr class=\"same\">").count(), 2, "{page}");
    assert!(page.contains("<tr class=\"differs\"><td>1</td><td>2</td>") && !page.contains("<script"));
}

#[test]
fn a_chain_that_is_written_to_while_it_is_verified_is_not_right() {
    let dir = chain("native");
    let honest: Vec<_> = [2, 3].map(|id| (format!("out/{id}.snap"), dir.read(&format!("out/{id}.snap")))).to_vec();
    let write = |files: &[(String, Vec<u8>)]| {
        files.iter().for_each(|(name, bytes)| fs::write(dir.path(name), bytes).expect("written"));
    };
    forge(&dir, 2, |raw| raw.state.frames[0].locals[0] ^= 1);
    let forged: Vec<_> = honest.iter().map(|(name, _)| (name.clone(), dir.read(name))).collect();
    for (opened, then) in [(&honest, &forged), (&forged, &honest)] {
        for (from, fault) in [(0, "2.snap: "), (2, "2.snap: was another file when the chain was opened")] {
            write(opened);
            let mut chain = ChainFiles::open(&dir.path("out")).expect("a chain");
            write(then);
            let job = chain.job.clone().expect("a job");
            let program = dir.path("fib.wasm").display().to_string();
            let files = JobFiles::find(&job, Some(&program), &GivenFiles::default(), &chain.dir).expect("its files");
            let rerun = Rerun::new(job, &files, &chain.dir);
            let claim = Claim::of(&chain, rerun.job(), None);
            let executor = SegmentExecutor::Own(Engine::Native);
            let options = VerifyOptions { from, executor, ..VerifyOptions::default() };
            let found =
                verify::verify(&mut chain, &rerun, claim, &options, &Interrupt::new(), &mut |_| {}).expect("a verdict");
            let details: Vec<String> = found.segments.iter().flat_map(|segment| segment.verdict.details()).collect();
            assert!(
                !found.is_right() && details.iter().any(|detail| detail.contains(fault)),
                "from {from}: {details:?}"
            );
        }
    }
}

#[test]
fn delivered_files_are_compared_too() {
    let dir = Dir::new();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/wasi/files.wasm");
    fs::copy(program, dir.path("files.wasm")).expect("copied");
    fs::create_dir(dir.path("in")).expect("a directory");
    fs::write(dir.path("in/input.txt"), "some text\n").expect("a file");
    let line = "--engine native --gas-limit 100000 --enable-gas-refill --preopen / --dir in::/data --deliver left --snapshot-output out files.wasm";
    let code = dir.run(line).exit_code();
    let left = dir.names("left");
    assert!(!left.is_empty(), "the program left no file");
    fs::write(dir.path("out/receipt.copy"), dir.read("out/receipt.json")).expect("a copy");
    let verify = "verify files.wasm out --engine native --dir in::/data --delivered left";
    dir.run(verify).code(0);
    let claimed = dir.run(&format!("{verify} --json")).code(0);
    assert_eq!(json(claimed.stdout())["claim"]["preopens"], serde_json::json!(["/"]));
    // What lies beside is not called right.
    fs::write(dir.path("left/more"), "").expect("written");
    let shown = dir.run(verify).code(0);
    assert!(
        String::from_utf8_lossy(shown.stdout()).contains("not covered, and read by nothing: ")
            && String::from_utf8_lossy(shown.stdout()).contains("\"left/more\"")
    );
    fs::remove_file(dir.path("left/more")).expect("removed");
    assert!(code == 0 || code < 126, "{code}");
    let first = dir.path("left").join(&left[0]);
    let victim = if first.is_dir() {
        fs::read_dir(&first).expect("read").next().expect("one").expect("one").path()
    } else {
        first
    };
    fs::write(victim, "changed").expect("written");
    let ran = dir.run(verify).code(1);
    assert!(String::from_utf8_lossy(ran.stdout()).contains("delivered file"), "{}", ran.stderr());
}

/// Leaves a file of four bytes under three names.
const THREE_NAMES: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_link" (func $link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "abc") (data (i32.const 8) "\00\00\00\00\04\00\00\00")
  (func (export "_start")
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1) (i64.const 64) (i64.const 0)
      (i32.const 0) (i32.const 16)))
    (drop (call $write (i32.load (i32.const 16)) (i32.const 8) (i32.const 1) (i32.const 20)))
    (drop (call $link (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 3) (i32.const 1) (i32.const 1)))
    (drop (call $link (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 3) (i32.const 2) (i32.const 1)))))"#;

#[test]
fn a_delivered_file_of_several_names_is_compared_under_each_that_is_another_file() {
    let dir = Dir::with("links.wasm", THREE_NAMES);
    dir.run("--engine native --gas-limit 300 --enable-gas-refill --preopen / --deliver left --snapshot-output out links.wasm").code(0);
    assert_eq!(dir.names("left"), ["a", "b", "c"]);
    let verify = "verify links.wasm out --engine native --delivered left";
    dir.run(verify).code(0);
    let replace = |name: &str, bytes: &[u8]| {
        fs::remove_file(dir.path(name)).expect("removed");
        fs::write(dir.path(name), bytes).expect("written");
    };
    replace("left/b", b"abc\0");
    dir.run(verify).code(0);
    replace("left/b", b"abcd");
    let ran = dir.run(verify).code(1);
    assert!(text(ran.stdout()).contains("delivered file b: differs at byte 3"), "{}", text(ran.stdout()));
    fs::write(dir.path("left/a"), b"Abc\0").expect("written");
    let said = text(dir.run(verify).code(1).stdout());
    assert!(said.contains("delivered file a: differs at byte 0"), "{said}");
}

#[test]
fn a_file_name_with_a_high_id_is_the_end_of_a_gap_and_named_at_once() {
    let dir = chain("native");
    let honest = dir.read("out/3.snap");
    for name in ["18446744073709551615.snap", "5000000000.snap", "30000000.snap", "18446744073709551615.bin"] {
        for bytes in [Vec::new(), honest.clone()] {
            fs::write(dir.path(&format!("out/{name}")), bytes).expect("written");
            let started = std::time::Instant::now();
            let ran = dir.run("verify fib.wasm out --engine native -j 1").code(1);
            assert!(started.elapsed().as_secs() < 10, "{name}: {:?}", started.elapsed());
            let said = String::from_utf8_lossy(ran.stdout()).into_owned();
            let id = name.split('.').next().expect("an id");
            for part in [format!("4.snap and 4.bin: missing (the next are of {id})"), format!("{id}.snap: ")] {
                assert!(said.contains(&part), "expected {part:?} in {said}");
            }
            for command in ["merge out", "prune out", "export out -o x.tar", "bisect fib.wasm out out"] {
                dir.run(command).code(65);
            }
        }
        fs::remove_file(dir.path(&format!("out/{name}"))).expect("removed");
    }
    dir.run("verify fib.wasm out --engine native").code(0);
}

/// Verifies `out` and expects `fault` among what is said, or a right chain for an empty one.
#[track_caller]
fn expect_fault(dir: &Dir, program: &str, fault: &str) {
    let ran = dir.run(&format!("verify {program} out --engine native -j 1")).code(i32::from(!fault.is_empty()));
    let said = String::from_utf8_lossy(ran.stdout()).into_owned();
    assert!(said.contains(fault), "expected {fault:?} in {said}");
}

#[test]
fn a_base_with_another_page_and_its_hash_repaired_is_not_right() {
    let dir = Dir::with(
        "count.wasm",
        "(module (memory 4) (func (export \"run\") (local $i i32) (loop $l
          (i32.store (i32.shl (local.get $i) (i32.const 6)) (local.tee $i (i32.add (local.get $i) (i32.const 1))))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))))",
    );
    dir.run("--engine native --gas-limit 2000 --enable-gas-refill --snapshot-output out count.wasm run").code(0);
    dir.run("merge out --to 2").code(0);
    expect_fault(&dir, "count.wasm", "");
    let honest = dir.read("out/base.bin");
    let body = honest.len() - 32;
    // Every eighth byte after the header: a page's index, its mask, its lines.
    let mut cases = 0;
    for at in (88..body).step_by(honest.len() / 24) {
        let mut bytes = honest.clone();
        bytes[at] ^= 1;
        let hash = *blake3::hash(&bytes[..body]).as_bytes();
        bytes[body..].copy_from_slice(&hash);
        fs::write(dir.path("out/base.bin"), bytes).expect("written");
        expect_fault(&dir, "count.wasm", "base.bin: ");
        cases += 1;
    }
    assert!(cases > 20, "{cases}");
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_in_the_place_of_a_file_of_ours_is_a_fault() {
    let dir = chain("native");
    for (name, fault) in [
        ("paused.snap", "paused.snap: is a link, and links in a directory are not followed"),
        ("paused.bin", "paused.snap: missing or damaged beside other files of a pause"),
        ("final.snap", "final.snap: is a link, and links in a directory are not followed"),
        ("final.bin", "final.bin: is a link"),
        ("base.bin", "base.bin: is a link, and links in a directory are not followed"),
        ("4.calls", "4.calls: superfluous"),
    ] {
        std::os::unix::fs::symlink("nowhere", dir.path("out").join(name)).expect("a link");
        expect_fault(&dir, "fib.wasm", fault);
        fs::remove_file(dir.path("out").join(name)).expect("removed");
    }
    expect_fault(&dir, "fib.wasm", "");
}

#[test]
fn a_receipt_says_one_thing_and_that_is_compared() {
    let dir = chain("native");
    let honest = dir.text("out/receipt.json");
    let last = "\"last_snapshot\": 3";
    let limit = "\"gas_limit\": 50000";
    assert!(honest.contains(last) && honest.contains(limit), "{honest}");
    let more = |text: &str| honest.replacen('{', &format!("{{\n{text},"), 1);
    for (text, fault) in [
        (honest.clone(), ""),
        (more("\"result\": {\"outcome\": \"finished\"}"), "receipt.json: the member \"result\" is there twice"),
        (more("\"r\\u0065sult\": {}"), "receipt.json: the member \"result\" is there twice"),
        (more("\"verdict\": \"right\""), "receipt.json: \"verdict\" is no part of a receipt"),
        (honest.replace(last, "\"last_snapshot\": 2"), "receipt.json: \"last_snapshot\" of run is 2, expected 3"),
        (honest.replace(last, "\"last\": 3"), "receipt.json: \"last_snapshot\" of run is nothing, expected 3"),
        (honest.replace(limit, "\"gas_limit\": 100"), "the run goes on to a snapshot 4, which is missing"),
        (honest.replace(limit, "\"gas_limit\": \"50000\""), "receipt.json: \"gas_limit\" of run is \"50000\""),
        (
            honest.replace("\"exit_code\": 0", "\"exit_code\": 1"),
            "receipt.json: \"exit_code\" of result is 1, expected 0",
        ),
        // Any limit that the last segment keeps leads to the same end: that it was this one is not proven.
        (honest.replace(limit, "\"gas_limit\": 50001"), ""),
    ] {
        fs::write(dir.path("out/receipt.json"), text).expect("written");
        expect_fault(&dir, "fib.wasm", fault);
    }
}

#[test]
fn a_receipt_says_which_job_it_was_and_what_was_written_and_is_held_to_it() {
    let dir = Dir::new();
    dir.sample("sha256.wasm");
    let line = "--gas-limit 100000 --enable-gas-refill --seed 7 --env LANG=C --snapshot-output out sha256.wasm 1000";
    let written = text(dir.run(line).code(0).stdout());
    let honest = dir.text("out/receipt.json");
    let receipt = json(honest.as_bytes());
    let job = &receipt["job"];
    let hash = blake3::hash(&dir.read("sha256.wasm")).to_hex();
    assert_eq!((&job["program"]["name"], &job["program"]["hash"]), (&"sha256.wasm".into(), &hash.as_str().into()));
    assert_eq!((job["args"].to_string(), job["env"].to_string()), ("[\"1000\"]".into(), "[\"LANG=C\"]".into()));
    assert_eq!((&job["seed"], &job["schedule"]["name"]), (&7.into(), &"default".into()));
    assert_eq!(receipt["output"], serde_json::json!({ "stdout": { "text": written } }));
    expect_fault(&dir, "sha256.wasm", "");
    let first = &written[..4];
    for (part, by, fault) in [
        ("\"seed\": 7", "\"seed\": 8", "receipt.json: \"seed\" of job is 8, expected 7"),
        ("LANG=C", "LANG=D", "receipt.json: \"env\" of job is [\"LANG=D\"], expected [\"LANG=C\"]"),
        (first, "0000", "receipt.json: \"stdout\" of output is not what the program wrote"),
    ] {
        assert!(honest.contains(part), "{part} in {honest}");
        fs::write(dir.path("out/receipt.json"), honest.replace(part, by)).expect("written");
        expect_fault(&dir, "sha256.wasm", fault);
    }
    // One that says neither, as older ones do, is right as well; so is one of a run that was to keep nothing.
    let bare = honest.split(",\n  \"job\"").next().expect("text").to_owned() + "\n}\n";
    fs::write(dir.path("out/receipt.json"), bare).expect("written");
    expect_fault(&dir, "sha256.wasm", "");
    dir.run(&format!("--overwrite --keep-output 0 {line}")).code(0);
    let receipt = json(&dir.read("out/receipt.json"));
    assert!(receipt["output"].is_null() && receipt["job"].is_object(), "{receipt}");
    // Two accounts of what was written are not the same chain.
    dir.run(&line.replace(" out ", " other ")).code(0);
    dir.run("bisect out other").code(0);
    dir.run("prune other").code(0);
    dir.run(&format!("--overwrite {line}")).code(0);
    fs::write(dir.path("out/receipt.json"), honest.replace(first, "0000")).expect("written");
    let said = text(dir.run("bisect out other").code(1).stdout());
    assert!(said.contains("receipt.json: \"stdout\" of output"), "{said}");
    dir.run("--keep-output 3MiB sha256.wasm 1").code(2).says("a receipt has room for at most 2097152 bytes of output");
}

#[test]
fn files_that_a_later_command_would_read_are_right_or_the_chain_is_not() {
    let dir = chain("native");
    for (name, fault) in [
        ("2.calls", "2.calls: superfluous"),
        ("9.calls", "9.calls: superfluous"),
        ("rwset.bin", "rwset.bin: superfluous"),
        ("final.snap", "final.snap: "),
        ("final.bin", "final."),
        ("paused.bin", "paused.snap: missing or damaged"),
        ("paused.calls", "paused.snap: missing or damaged"),
        ("base.bin", "base.bin: "),
        // Nothing reads these.
        ("notes.txt", ""),
        (".3.snap.tmp", ""),
    ] {
        fs::write(dir.path(&format!("out/{name}")), "x").expect("written");
        expect_fault(&dir, "fib.wasm", fault);
        if fault.is_empty() {
            let ran = dir.run("verify fib.wasm out --engine native").code(0);
            let said = String::from_utf8_lossy(ran.stdout()).into_owned();
            assert!(said.contains(&format!("not covered, and read by nothing: \"{name}\"")), "{said}");
        }
        fs::remove_file(dir.path(&format!("out/{name}"))).expect("removed");
    }
    dir.run("resume out@3 --engine native --enable-gas-refill --keep-final").code(0);
    expect_fault(&dir, "fib.wasm", "");
    let raw = snap::decode(&dir.read("out/final.snap")).expect("a snapshot");
    let mut state = raw.state.clone();
    state.results = vec![1];
    fs::write(dir.path("out/final.snap"), snap::encode(&raw.job, &raw.segment, &state).expect("encodes").0)
        .expect("written");
    expect_fault(&dir, "fib.wasm", "final.snap: differs at byte");
}

#[test]
fn a_pause_is_verified_and_never_started_from_without_a_word() {
    use std::io::Write;
    let dir = chain("native");
    let mut executor = dir.command("executor out@3 fib.wasm --engine native");
    let mut child =
        executor.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().expect("starts");
    writeln!(child.stdin.take().expect("piped"), "state 1000 all {}", dir.path("out").display()).expect("asked");
    assert!(child.wait().expect("ends").success());
    expect_fault(&dir, "fib.wasm", "");
    let honest = snap::decode(&dir.read("out/paused.snap")).expect("a snapshot");
    let started = dir.run("resume out --engine native --snapshot-output elsewhere --enable-gas-refill").code(0);
    assert!(
        started.stderr().contains("going on from the pause after snapshot 3 (out/paused.snap, "),
        "{}",
        started.stderr()
    );
    let forge = |change: &dyn Fn(&mut RawSnapshot)| {
        let mut raw = honest.clone();
        change(&mut raw);
        let (bytes, _) = snap::encode(&raw.job, &raw.segment, &raw.state).expect("encodes");
        fs::write(dir.path("out/paused.snap"), bytes).expect("written");
    };
    // Another state: only executing shows it, and who resumes is told what is taken on trust.
    forge(&|raw| raw.state.frames[0].locals[0] ^= 1);
    expect_fault(&dir, "fib.wasm", "paused.snap: differs at byte");
    dir.run("resume out --engine native --snapshot-output elsewhere").says("which is taken on trust");
    // What does not belong to the chain is refused by both.
    type Change<'a> = &'a dyn Fn(&mut RawSnapshot);
    let changes: [(Change, &str); 4] = [
        (&|raw| raw.segment.previous_snap[0] ^= 1, "does not follow 3.snap: files of two chains are mixed"),
        (&|raw| raw.state.gas_total += 1, "151001 gas in total, expected 150000 and the segment's 1000"),
        (&|raw| raw.segment.id = 2, "does not follow 2.snap"),
        (&|raw| raw.segment.id = u64::MAX, "which none could follow"),
    ];
    for (change, fault) in changes {
        forge(change);
        expect_fault(&dir, "fib.wasm", fault);
        for command in ["resume out", "--snapshot-input out --snapshot-id paused fib.wasm"] {
            dir.run(&format!("{command} --engine native")).code(65).says(fault);
        }
    }
}

#[test]
fn the_module_that_a_receipt_names_verifies_the_chain_and_no_other() {
    let dir = chain("wasm");
    dir.run("export-module own.wasm").code(0);
    // Another release: the same code, and a custom section `x` of two bytes.
    let other = [dir.read("own.wasm"), vec![0, 3, 1, b'x', 7]].concat();
    fs::write(dir.path("other.wasm"), &other).expect("written");
    let hash = blake3::hash(&other).to_hex().to_string();
    let verify = |module: &str| dir.run(&format!("verify fib.wasm out --json --module {module}"));
    let own = json(verify("own.wasm").code(0).stdout())["node_blake3"].as_str().expect("text").to_owned();
    verify("other.wasm").code(65).says("other.wasm: is not the module that the receipt of out names");
    let receipt = dir.text("out/receipt.json").replace(&own, &hash);
    fs::write(dir.path("out/receipt.json"), receipt).expect("written");
    let ran = verify("other.wasm").code(0);
    assert_eq!(
        (json(ran.stdout())["node_blake3"].as_str(), verdicts(&ran)),
        (Some(hash.as_str()), vec!["same".to_owned(); 4])
    );
    verify("own.wasm").code(65).says(&format!("its BLAKE3 hash is {own}, expected {hash}"));
    // Where no receipt names one, any Stepmark module may be given, and nothing else.
    fs::remove_file(dir.path("out/receipt.json")).expect("removed");
    verify("fib.wasm").code(65).says("fib.wasm: is no Stepmark module");
}

#[test]
fn a_verification_names_the_claim_before_the_verdict() {
    let dir = chain("native");
    let said = text(dir.run("verify fib.wasm out --engine native -j 1").code(0).stdout());
    let hash = blake3::hash(&dir.read("fib.wasm")).to_hex();
    let names = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let lines: Vec<&str> = said.lines().collect();
    let first: Vec<String> = lines.iter().take(9).map(|line| names(line)).collect();
    assert_eq!(
        first,
        ["claim:", "program", "call", "schedule", "length", "ended", "result", "head", "Proved:"],
        "{said}"
    );
    let size = dir.read("fib.wasm").len();
    assert_eq!(lines[1], format!("  program   fib.wasm, {size} bytes, BLAKE3 {hash}"));
    assert_eq!(lines[2..3], ["  call      fib 20"]);
    assert_eq!(lines[5..7], ["  ended     finished", "  result    6765"]);
    assert!(lines[9].starts_with("VALID: 4 of 4 segments are the same, no fault of files, "), "{said}");
    let head = stepmark_snapshot::snap::decode(&dir.read("out/3.snap")).expect("a snapshot").hash;
    let head = stepmark_state::encoding::hex(&head);
    // The same in JSON, and in the page.
    let object = json(dir.run("verify fib.wasm out --engine native --json --report page.html").code(0).stdout());
    let claim = &object["claim"];
    assert_eq!((&object["verdict"], &claim["result"], &claim["head"]), (&"valid".into(), &"6765".into(), &head.into()));
    assert_eq!(claim["program"]["hash"], hash.as_str());
    let page = dir.text("page.html");
    assert!(page.contains("VALID") && page.contains("<tr><th>call</th><td>fib 20</td></tr>"), "{page}");
}

#[test]
fn a_chain_that_has_not_ended_is_never_plainly_valid() {
    let dir = chain("native");
    for name in ["receipt.json", "result.txt"] {
        fs::remove_file(dir.path("out").join(name)).expect("removed");
    }
    let said = text(dir.run("verify fib.wasm out --engine native").code(75).stdout());
    let verdict = said.lines().last().expect("a verdict");
    assert!(verdict.starts_with("INCOMPLETE: 3 of 3 segments are the same"), "{said}");
    // What was asked for is whole.
    let said = text(dir.run("verify out --engine native --to 2").code(0).stdout());
    assert!(said.lines().last().expect("a verdict").starts_with("VALID up to snapshot 2: 2 of 2"), "{said}");
    assert!(said.contains("  length    2 snapshots, 100000 gas\n  ended     not looked at\n  head "), "{said}");
    let said = text(dir.run("verify out --engine native --from 1 --to 2").code(0).stdout());
    assert!(said.contains("On trust: snapshot 1, this machine"), "{said}");
    assert!(said.lines().last().expect("a verdict").starts_with("VALID from snapshot 1 up to snapshot 2"), "{said}");
}

#[test]
fn a_claim_that_is_not_the_promised_one_is_an_error_of_its_own() {
    let dir = chain("native");
    let object = json(dir.run("verify fib.wasm out --engine native --json").code(0).stdout());
    let (program, head) = (&object["claim"]["program"]["hash"], &object["claim"]["head"]);
    let (program, head) = (program.as_str().expect("a hash"), head.as_str().expect("a hash"));
    let verify = |flag: &str, value: &str| {
        let mut command = dir.command("verify out --engine native -q");
        command.arg(flag).arg(value).output().expect("starts")
    };
    let promised = [
        ("--expect-program", program),
        ("--expect-args", "fib 20"),
        ("--expect-result", "6765"),
        ("--expect-head", head),
    ];
    for (flag, value) in promised {
        assert_eq!(verify(flag, value).status.code(), Some(0), "{flag}");
        let other = if value.len() == 64 { "12".repeat(32) } else { "1234".to_owned() };
        let refused = verify(flag, &other);
        let said = text(&refused.stderr);
        let expected = (Some(65), "error: out: claims something else than was expected");
        assert_eq!((refused.status.code(), said.lines().next().expect("a line")), expected, "{flag}");
        assert!(said.contains(&format!("expected {other}")), "{flag}: {said}");
    }
    // What --json printed is a promise too, whole or in part.
    fs::write(dir.path("whole.json"), object.to_string()).expect("written");
    for (promise, code) in [
        (object.to_string(), 0),
        (object["claim"].to_string(), 0),
        (r#"{"seed": 0, "args": ["20"]}"#.to_owned(), 0),
        (r#"{"seed": 1}"#.to_owned(), 65),
        (r#"{"sead": 1}"#.to_owned(), 2),
        (r#"{"seed": 1, "seed": 0}"#.to_owned(), 65),
        ("7".to_owned(), 65),
        ("{}".to_owned(), 65),
        (r#"{"claim": null}"#.to_owned(), 65),
        (r#"{"claim": 5, "seed": 0}"#.to_owned(), 65),
        (r#"{"claim": {"seed": 0}, "result": "999"}"#.to_owned(), 2),
    ] {
        fs::write(dir.path("promise.json"), &promise).expect("written");
        let ran = verify("--claim", "promise.json");
        assert_eq!(ran.status.code(), Some(code), "{promise}: {}", text(&ran.stderr));
    }
}

#[test]
fn a_run_that_ends_while_its_chain_is_verified_has_not_ended_there() {
    let dir = chain("native");
    let end = ["receipt.json", "result.txt"].map(|name| (name, dir.read(&format!("out/{name}"))));
    end.iter().for_each(|(name, _)| fs::remove_file(dir.path("out").join(name)).expect("removed"));
    let mut opened = ChainFiles::open(&dir.path("out")).expect("a chain");
    end.iter().for_each(|(name, bytes)| fs::write(dir.path("out").join(name), bytes).expect("written"));
    let found = verified(&dir, &mut opened);
    assert_eq!((found.conclusion().name(), &found.faults), ("incomplete", &Vec::new()));
}

#[test]
fn what_is_claimed_of_the_end_is_compared_as_it_was_read() {
    let dir = chain("native");
    let honest = ["receipt.json", "result.txt"].map(|name| (name, dir.text(&format!("out/{name}"))));
    for (name, text) in &honest {
        fs::write(dir.path("out").join(name), text.replace("6765", "6766")).expect("written");
    }
    let mut opened = ChainFiles::open(&dir.path("out")).expect("a chain");
    // Whoever can write there puts the truth back while it is executed.
    for (name, text) in &honest {
        fs::write(dir.path("out").join(name), text).expect("written");
    }
    let found = verified(&dir, &mut opened);
    assert_eq!((found.claim.result.as_deref(), found.conclusion().name()), (Some("6766"), "invalid"));
    let mut opened = ChainFiles::open(&dir.path("out")).expect("a chain");
    let found = verified(&dir, &mut opened);
    assert_eq!((found.claim.result.as_deref(), found.conclusion().name()), (Some("6765"), "valid"));
}

/// Verifies an opened chain of `fib.wasm`.
fn verified(dir: &Dir, chain: &mut ChainFiles) -> Verification {
    let job = chain.job.clone().expect("a job");
    let given = GivenFiles::default();
    let files = JobFiles::find(&job, dir.path("fib.wasm").to_str(), &given, &chain.dir).expect("found");
    let rerun = Rerun::new(job, &files, &chain.dir.clone());
    let claim = Claim::of(chain, rerun.job(), None);
    let options = VerifyOptions { executor: SegmentExecutor::Own(Engine::Native), ..VerifyOptions::default() };
    verify::verify(chain, &rerun, claim, &options, &Interrupt::new(), &mut |_| {}).expect("a verdict")
}

#[test]
fn a_part_of_a_chain_claims_nothing_of_its_end() {
    let dir = chain("native");
    for name in ["receipt.json", "result.txt"] {
        let text = dir.text(&format!("out/{name}")).replace("6765", "9999");
        fs::write(dir.path("out").join(name), text).expect("written");
    }
    let said = text(dir.run("verify out --engine native --to 1 --report page.html").code(0).stdout());
    assert!(!said.contains("9999") && said.contains("  length    1 snapshot, 50000 gas\n"), "{said}");
    let page = dir.text("page.html");
    assert!(page.contains("VALID up to snapshot 1</h1>") && !page.contains("9999"), "{page}");
    assert!(page.contains("<li>receipt.json</li>"), "{page}");
    dir.run("verify out --engine native --to 1 --expect-result 9999")
        .code(65)
        .says("the result is none, expected 9999");
    for none in ["--to 0", "--from 1 --to 1"] {
        dir.run(&format!("verify out --engine native {none}")).code(2).says("there is nothing between to execute");
    }
}

#[test]
fn words_of_the_provers_cannot_be_taken_for_those_around_them() {
    let dir = Dir::new();
    let name = "fib.wasm, 92 bytes, BLAKE3 00";
    dir.add(name, FIB);
    let run = [
        "--engine",
        "native",
        "--gas-limit",
        "50000",
        "--enable-gas-refill",
        "--snapshot-output",
        "out",
        name,
        "fib",
        "20",
    ];
    assert!(dir.command("").args(run).output().expect("starts").status.success());
    let ran = dir.command("").args(["verify", "out", "--engine", "native"]).output().expect("starts");
    let said = text(&ran.stdout);
    assert!(said.contains("  program   \"fib.wasm, 92 bytes, BLAKE3 00\", "), "{said}");
    // Upper case and spaces are part of a call.
    let expect = |call: &str| {
        let mut command = dir.command("verify out --engine native -q --expect-args");
        command.arg(call).output().expect("starts").status.code()
    };
    assert_eq!(
        [expect("fib 20"), expect("FIB 20"), expect("fib  20"), expect("\"fib 20\"")],
        [Some(0), Some(65), Some(65), Some(65)]
    );
}

#[test]
fn a_wrong_file_of_the_verifiers_own_accuses_nobody() {
    let dir = Dir::new();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/wasi/files.wasm");
    fs::copy(program, dir.path("files.wasm")).expect("copied");
    fs::write(dir.path("right"), "right").expect("written");
    fs::write(dir.path("wrong"), "wrong").expect("written");
    let line =
        "--gas-limit 20000 --enable-gas-refill --stdin right --file data/a=right --snapshot-output out files.wasm";
    dir.run(line);
    assert!(dir.path("out/1.snap").exists(), "a chain");
    for (flags, what) in [
        ("--stdin wrong --file data/a=right", "wrong: is not the standard input of the snapshots"),
        ("--stdin right --file data/a=wrong", "wrong: is not the input file data/a of the snapshots"),
    ] {
        let ran = dir.run(&format!("verify files.wasm out {flags} --engine native")).code(65);
        let said = ran.stderr();
        assert!(said.contains(what) && said.lines().count() == 2 && ran.stdout().is_empty(), "{said}");
    }
    // What the job does not have is a mistake too.
    for (flag, what) in [
        ("--preload m=right", "--preload m: the run of the snapshots has nothing of that name"),
        ("--contract c=right", "--contract c: the run of the snapshots has nothing of that name"),
    ] {
        let line = format!("verify files.wasm out --stdin right --file data/a=right --engine native {flag}");
        assert!(dir.run(&line).code(65).stderr().contains(what), "{flag}");
    }
    // A program and a directory that are swapped can only be meant in one way.
    let swapped = dir.run("verify out files.wasm --engine native --stdin right --file data/a=right");
    assert!(text(swapped.stdout()).contains("VALID"), "{}", swapped.stderr());
}
