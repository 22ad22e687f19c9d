//! What users do with a chain besides running it: look inside, compare, find where two part, keep it small, carry it away.

use std::fs;

use stepmark_snapshot::snap;
use stepmark_state::canonical::SegmentRecord;

use crate::util::{Dir, FIB, TRAP, json, text};

/// A chain of three snapshots and an end.
fn chain() -> Dir {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    dir
}

#[test]
fn the_program_may_stand_before_or_after_the_directory_or_be_a_flag() {
    let dir = chain();
    dir.run("witness out@1 -o w").code(0);
    for (command, rest) in [
        ("verify", " --engine native"),
        ("inspect", ""),
        ("witness", " -o again"),
        ("merge", ""),
        ("prune", ""),
        ("export", " -o chain.tar"),
    ] {
        for words in ["out fib.wasm", "fib.wasm out", "out --program fib.wasm"] {
            dir.run(&format!("{command} {words}{rest}")).code(0);
        }
        dir.run(&format!("{command} out fib.wasm --program fib.wasm{rest}")).code(2).says("the program is named twice");
        dir.run(&format!("{command} out out{rest}")).code(2).says("all words are directories");
    }
    for words in [" fib.wasm", "", " --program fib.wasm"] {
        dir.run(&format!("bisect out out{words}")).code(0);
        dir.run(&format!("check-witness w{words}")).code(0);
    }
    dir.run("bisect fib.wasm out out").code(0);
    dir.run("bisect out fib.wasm out").code(0);
    for words in ["stopped fib.wasm", "fib.wasm stopped@1"] {
        dir.run("--engine native --overwrite --gas-limit 100000 -o stopped fib.wasm fib 20").code(75);
        dir.run(&format!("resume {words} --engine native --enable-gas-refill")).code(0);
    }
}

#[test]
fn doctor_says_in_one_screen_what_there_is_and_whether_anything_is_missing() {
    let dir = Dir::new();
    let said = text(dir.run("doctor").code(0).stdout());
    for part in [
        "version    stepmark ",
        "module     BLAKE3 ",
        "cores      ",
        "memory     ",
        "cache      ",
        "temporary  ",
        "terminal   no",
        "self test  wasm: good enough: ",
        "self test  native: good enough: ",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    assert!(said.ends_with("\nready\n") && said.lines().count() < 24, "{said}");
    let without = dir.command("doctor").env("TMPDIR", dir.path("missing")).output().expect("it starts");
    let said = text(&without.stdout);
    assert_eq!(without.status.code(), Some(1), "{said}");
    assert!(said.contains("NOT ready: no temporary file can be made in ") && said.contains(": set TMPDIR"), "{said}");
}

#[test]
fn inspect_shows_the_stack_with_types_and_the_memory_as_a_dump() {
    let dir = Dir::new();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/matrix_multiplication_cpp_100.wasm");
    fs::copy(program, dir.path("matrix.wasm")).expect("copied");
    dir.run("--engine native --gas-limit 4000000 --snapshot-output out matrix.wasm run").code(75);
    let shown = text(dir.run("inspect out@1 --memory 0x400+32").code(0).stdout());
    for part in
        ["multiply", "i32.", "locals: [i32 ", "memory 0: 64 pages", "0x00000410", "descriptor 1: standard output"]
    {
        assert!(shown.contains(part), "expected {part:?} in {shown}");
    }
    let object = json(dir.run("inspect out --json --memory 1024+4").code(0).stdout());
    assert_eq!(object["snapshot"], 1);
    assert_eq!(object["frames"][0]["name"].as_str().map(|name| name.contains("multiply")), Some(true));
    assert_eq!(object["dumps"][0]["bytes"].as_str().map(str::len), Some(8));
    dir.run("inspect out@7").code(2).says("out: has no snapshot 7: there is snapshot 1");
    dir.run("inspect out --memory 5").code(2).says("expected [MEMORY:]ADDRESS+BYTES");
}

#[test]
fn inspect_shows_any_moment_of_a_chain() {
    let dir = Dir::new();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/fib32.wasm");
    fs::copy(program, dir.path("fib.wasm")).expect("copied");
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    let at = |gas: &str| json(dir.run(&format!("inspect out --at {gas} --json")).code(0).stdout());
    let between = at("123456");
    assert_eq!((&between["moment"], &between["gas_total"]), (&"paused after snapshot 2".into(), &123_456.into()));
    assert_eq!(between["frames"][0]["name"], "fib");
    let snapshot = json(dir.run("inspect out@2 --json").code(0).stdout());
    assert_eq!(at(&snapshot["gas_total"].to_string())["state_hash"], snapshot["state_hash"]);
    assert_eq!(at("0")["moment"], "paused before snapshot 1");
    dir.run("inspect out --at 1000000").code(2).says("gas 1000000 is beyond the run, which ends at gas 197015");
    dir.run("inspect out@2 --at 5").code(2).says("--at takes one, without @ID");
    fs::create_dir(dir.path("empty")).expect("a directory");
    dir.run("inspect empty --at 5").code(65).says("empty: holds no snapshot");
    fs::write(dir.path("out/2.bin"), "no pages").expect("written");
    dir.run("inspect out --at 123456").code(65).says("2.bin");
}

#[test]
fn a_kept_end_is_a_core_dump() {
    let dir = Dir::with("trap.wasm", TRAP);
    for engine in ["wasm", "native"] {
        dir.run(&format!("--engine {engine} --keep-final --snapshot-output {engine} trap.wasm run")).code(134);
        let shown = text(dir.run(&format!("inspect {engine}@final")).code(0).stdout());
        for part in
            ["trapped: integer divide by zero", "#0 function 0 <divide>", "i32.div_u", "operands: [i32 7, i32 0]"]
        {
            assert!(shown.contains(part), "expected {part:?} in {shown}");
        }
        // There is nothing to go on with.
        dir.run(&format!("--snapshot-input {engine} --snapshot-id final trap.wasm")).code(65).says("could go on");
    }
    dir.assert_same("wasm", "native");
    dir.add("fib.wasm", FIB);
    dir.run("--keep-final --snapshot-output done fib.wasm fib 5").code(0);
    let shown = text(dir.run("inspect done@final").code(0).stdout());
    assert!(shown.contains("finished") && shown.contains("results: [i32 5]"), "{shown}");
}

#[test]
fn a_later_run_removes_the_kept_end() {
    let dir = chain();
    dir.run("--overwrite --keep-final --gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20")
        .code(0);
    assert!(dir.path("out/final.snap").exists() && dir.path("out/final.bin").exists());
    dir.run("resume out@2 --enable-gas-refill --overwrite").code(0);
    assert!(!dir.path("out/final.snap").exists() && !dir.path("out/final.bin").exists());
}

#[test]
fn diff_names_what_differs_and_says_so_by_its_exit_code() {
    let dir = chain();
    assert_eq!(text(dir.run("diff out@2 out@2").code(0).stdout()), "the same state\n");
    let shown = text(dir.run("diff out@1 out@2").code(1).stdout());
    assert!(shown.starts_with("gas in total: 50000 | 100000\n"), "{shown}");
    let object = json(dir.run("diff out@1 out@2 --json").code(1).stdout());
    assert_eq!((&object["same"], &object["differences"][0]["right"]), (&false.into(), &"100000".into()));
}

#[test]
fn diff_names_memory_globals_and_tables() {
    let text_of = "(module (memory 2) (global $g (mut i32) (i32.const 0)) (table $t 9 funcref) (func $f)
      (elem declare func $f)
      (func (export \"run\") (param i32) (local $i i32)
        (i32.store (i32.const 70000) (local.get 0)) (global.set $g (local.get 0))
        (if (local.get 0) (then (table.set $t (i32.const 5) (ref.func $f))))
        (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))))";
    let dir = Dir::with("a.wasm", text_of);
    for (name, argument) in [("zero", "0"), ("one", "258")] {
        dir.run(&format!("--engine native --gas-limit 1000 --snapshot-output {name} a.wasm run {argument}")).code(75);
    }
    let shown = text(dir.run("diff zero one").code(1).stdout());
    for part in [
        "job: ",
        "instance 0: global slot 0: i32 0 | i32 258",
        "instance 0: table 0 element 5: null | function 0 of instance 0",
        "memory 0 0x11170..0x11172: 0000 | 0201",
    ] {
        assert!(shown.contains(part), "expected {part:?} in {shown}");
    }
}

/// Makes `false` a chain that is honest up to snapshot 1 and goes on from a forged snapshot 2.
pub(crate) fn with_false_chain() -> Dir {
    let dir = chain();
    fs::create_dir(dir.path("false")).expect("a directory");
    for name in ["1.snap", "1.bin", "2.bin"] {
        fs::copy(dir.path(&format!("out/{name}")), dir.path(&format!("false/{name}"))).expect("copied");
    }
    let raw = snap::decode(&dir.read("out/2.snap")).expect("a snapshot");
    let mut state = raw.state;
    state.frames[0].locals[0] ^= 1;
    let segment = SegmentRecord { ..raw.segment };
    let (bytes, _) = snap::encode(&raw.job, &segment, &state).expect("encodes");
    fs::write(dir.path("false/2.snap"), bytes).expect("written");
    dir.run("resume false@2 --engine native --enable-gas-refill").code(0);
    dir
}

#[test]
fn bisect_finds_the_false_chain_and_what_it_claims() {
    let dir = with_false_chain();
    let shown = text(dir.run("bisect fib.wasm out false --engine native --bundle dispute.tar").code(1).stdout());
    for part in [
        "the chains part at snapshot 2 (2 hashes compared); 1 is the same",
        "executing segment 1 -> 2 again: out is right",
        "false (right | claimed): frame 0 (outermost is 0): local 0: i32 20 | i32 21",
    ] {
        assert!(shown.contains(part), "expected {part:?} in {shown}");
    }
    let shown = text(dir.run("bisect fib.wasm false out").code(1).stdout());
    assert!(shown.contains("again: out is right"), "{shown}");
    // The bundle is enough, wherever it is.
    let elsewhere = Dir::new();
    fs::copy(dir.path("dispute.tar"), elsewhere.path("d.tar")).expect("copied");
    for engine in ["native", "wasm"] {
        let shown = text(elsewhere.run(&format!("check-bundle d.tar --engine {engine}")).code(0).stdout());
        assert_eq!(shown, "right: a, as the bundle says\n");
    }
    let same = text(dir.run("bisect fib.wasm out out").code(0).stdout());
    assert_eq!(
        same,
        "the chains are the same: 3 snapshots, and everything else that they claim; nothing was executed\n"
    );
}

#[test]
fn chains_of_which_one_lacks_a_snapshot_are_not_called_the_same() {
    for (name, contents) in
        [("2.snap", None), ("1.snap", None), ("2.bin", None), ("2.snap", Some("")), ("2.snap", Some("x"))]
    {
        let dir = with_false_chain();
        for name in dir.names("out") {
            fs::copy(dir.path("out").join(&name), dir.path("false").join(&name)).expect("copied");
        }
        fs::remove_file(dir.path("false").join(name)).expect("removed");
        if let Some(contents) = contents {
            fs::write(dir.path("false").join(name), contents).expect("written");
        }
        for line in ["bisect fib.wasm out false", "bisect fib.wasm false out"] {
            dir.run(line).code(65).says("is missing or damaged: the chains cannot be compared");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_the_user_names_replaces_nothing_that_somebody_may_miss() {
    let dir = chain();
    let before = dir.names("out");
    for line in [
        "export out -o fib.wasm",
        "export out -o out/2.snap",
        "witness out@1 -o out/1.bin",
        "verify out --report out/result.txt",
        "verify out --report fib.wasm",
        "profile --svg fib.wasm fib.wasm fib 5",
        "export-module fib.wasm",
    ] {
        dir.run(line).code(2).says("is there, and would be replaced");
    }
    assert_eq!(dir.names("out"), before);
    dir.run("verify out --engine native").code(0);
    for line in ["export out -o out.tar", "witness out@1 -o w", "verify out --engine native --report page.html"] {
        dir.run(line).code(0);
        dir.run(line).code(0);
    }
}

#[test]
fn bisect_compares_what_receipts_say_of_the_job_and_names_what_only_one_chain_has() {
    let dir = chain();
    dir.run("--gas-limit 50000 --enable-gas-refill --snapshot-output copy fib.wasm fib 20").code(0);
    let receipt = dir.text("copy/receipt.json").replace("\"seed\": 0", "\"seed\": 1");
    fs::write(dir.path("copy/receipt.json"), receipt).expect("written");
    let said = dir.run("bisect out copy").code(1);
    let said = text(said.stdout());
    assert!(said.contains("(out | copy) receipt.json: \"seed\" of job: 0 | 1"), "{said}");
    // A receipt that says no job says that of its snapshots; a member that older ones do not have is one of theirs.
    let mut receipt = json(&dir.read("out/receipt.json"));
    receipt.as_object_mut().expect("an object").remove("job");
    fs::write(dir.path("out/receipt.json"), receipt.to_string()).expect("written");
    dir.run("verify out --engine native").code(0);
    dir.run("bisect out copy").code(1);
    let mut receipt = json(&dir.read("copy/receipt.json"));
    receipt["job"]["seed"] = 0.into();
    for (lists, code) in [(vec!["/etc"], 1), (Vec::new(), 0)] {
        receipt["job"]["preopens"] = lists.into();
        fs::write(dir.path("copy/receipt.json"), receipt.to_string()).expect("written");
        dir.run("verify copy --engine native").code(code);
        dir.run("bisect out copy").code(code);
    }
    receipt["job"].as_object_mut().expect("an object").remove("preopens");
    fs::write(dir.path("copy/receipt.json"), receipt.to_string()).expect("written");
    dir.run("verify copy --engine native").code(0);
    dir.run("bisect out copy").code(0);
    dir.run("--gas-limit 50000 --enable-gas-refill --overwrite --snapshot-output copy fib.wasm fib 20").code(0);
    ["1.snap", "1.bin"].iter().for_each(|name| fs::remove_file(dir.path("copy").join(name)).expect("removed"));
    let said = text(dir.run("bisect out copy").code(0).stdout());
    assert!(said.contains("copy has no snapshot 1, which the other one has: not compared"), "{said}");
    assert!(said.contains("the chains are the same: 2 snapshots, and"), "{said}");
}

#[test]
fn a_file_is_not_written_in_the_place_of_a_pipe_a_device_or_a_link_to_one() {
    let dir = with_false_chain();
    nix::unistd::mkfifo(&dir.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    std::os::unix::fs::symlink("pipe", dir.path("link")).expect("a link");
    for target in ["pipe", "link"] {
        for line in ["witness out@1 fib.wasm -o", "export out --program fib.wasm -o", "export-node"] {
            dir.run(&format!("{line} {target}"))
                .code(74)
                .says("is a device, pipe or socket where a file is to be written");
        }
        assert!(!fs::metadata(dir.path(target)).expect("there").is_file(), "{target}");
    }
}

#[test]
fn bisect_finds_a_false_snapshot_whose_successors_are_the_right_ones() {
    let dir = with_false_chain();
    for name in ["2.snap", "3.snap", "3.bin"] {
        fs::copy(dir.path(&format!("out/{name}")), dir.path(&format!("false/{name}"))).expect("copied");
    }
    for id in ["1", "2"] {
        let mut raw = snap::decode(&dir.read(&format!("out/{id}.snap"))).expect("a snapshot");
        raw.state.frames[0].locals[0] ^= 1;
        let (bytes, _) = snap::encode(&raw.job, &raw.segment, &raw.state).expect("encodes");
        fs::write(dir.path(&format!("false/{id}.snap")), bytes).expect("written");
        for chains in ["out false", "false out"] {
            let found = dir.run(&format!("bisect fib.wasm {chains} --engine native")).code(1);
            let shown = text(found.stdout());
            let parted = format!("the chains part at snapshot {id} ({id} hashes compared)");
            assert!(shown.contains(&parted) && shown.contains("again: out is right"), "{shown}");
        }
        fs::copy(dir.path(&format!("out/{id}.snap")), dir.path(&format!("false/{id}.snap"))).expect("copied");
    }
}

#[test]
fn executors_that_agree_and_executors_that_do_not_start_alike() {
    let dir = with_false_chain();
    let runner = env!("CARGO_BIN_EXE_stepmark");
    let command = |chain: &str, engine: &str| format!("{runner} executor {chain}@2 fib.wasm --engine {engine}");
    let bisect = |left: &str, right: &str| {
        let mut line = dir.command("bisect fib.wasm out@2 --engine native");
        crate::util::Ran::new(line.args(["--left", left, "--right", right]).output().expect("starts"))
    };
    let same = bisect(&command("out", "native"), &command("out", "wasm")).code(0);
    assert_eq!(text(same.stdout()), "both sides agree up to 50000 gas after snapshot 2\n");
    let shown = text(bisect(&command("out", "native"), &command("false", "native")).code(1).stdout());
    assert!(
        shown.contains("left: as this module has it") && shown.contains("right: otherwise than this module"),
        "{shown}"
    );
    bisect("exit 3", &command("out", "native")).code(65).says("left: ended without an answer");
}

#[test]
#[cfg(unix)]
fn whoever_asks_an_executor_replaces_no_file_and_whoever_answers_takes_no_memory() {
    use std::io::Write;
    let dir = chain();
    fs::create_dir(dir.path("asker")).expect("made");
    fs::write(dir.path("precious"), "kept").expect("written");
    std::os::unix::fs::symlink(dir.path("precious"), dir.path("asker/paused.snap")).expect("linked");
    let mut command = dir.command("executor out@1 fib.wasm --engine native");
    let mut child =
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().expect("starts");
    let mut input = child.stdin.take().expect("piped");
    writeln!(input, "state 10 0 {}", dir.path("asker").display()).expect("asked");
    // It may have gone before it is given all of a line that is too long.
    drop(input.write_all(&vec![b'a'; 100_000]));
    drop(input);
    let ended = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.starts_with("error ") && said.contains("paused.snap"), "{said}");
    assert_eq!(
        (ended.status.code(), fs::read_to_string(dir.path("precious")).expect("there")),
        (Some(74), "kept".into())
    );
    let mut bisect = dir.command("bisect fib.wasm out@2 --engine native --right true");
    let bisect = bisect.args(["--left", "cat /dev/zero"]).output().expect("starts");
    assert_eq!(bisect.status.code(), Some(65));
    let said = String::from_utf8_lossy(&bisect.stderr);
    assert!(said.contains("a line is longer than 65536 bytes"), "{said}");
}

#[test]
fn a_merged_chain_restores_and_verifies_as_before() {
    let dir = chain();
    dir.run("resume out@3 --engine native --snapshot-output before").code(0);
    for to in [1, 2, 2, 3] {
        dir.run(&format!("merge out --to {to}")).code(0);
        assert!(!dir.path("out/1.bin").exists() && dir.path("out/1.snap").exists());
        for engine in ["native", "wasm"] {
            dir.run(&format!("verify fib.wasm out -j 2 --engine {engine}")).code(0);
            dir.run(&format!("resume out@3 --engine {engine} --snapshot-output after")).code(0);
            dir.assert_same("before", "after");
        }
    }
    dir.run("resume out@2").code(65).says("base.bin: is of snapshot 3, expected a base for snapshot 2 or earlier");
    dir.run("merge out --to 2").code(2).says("--to 2: expected 3 to 3");
    // A run from the start replaces the base too.
    let again = "--gas-limit 50000 --snapshot-output out fib.wasm fib 20";
    dir.run(again).code(2).says("out: holds 3 snapshots (1 to 3) and the base of a merged chain of this job");
    dir.run(&format!("--overwrite {again}")).code(75).says("--overwrite: 3 snapshots (1 to 3) and the base of");
    assert_eq!(dir.names("out"), ["1.bin", "1.snap", "receipt.json", "result.txt"]);
}

#[test]
fn a_base_of_another_chain_is_refused() {
    let dir = Dir::with(
        "count.wasm",
        "(module (memory 1) (func (export \"run\") (local $i i32) (loop $l
          (i32.store (i32.const 8) (local.tee $i (i32.add (local.get $i) (i32.const 1))))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))))",
    );
    for (name, limit) in [("out", 2000), ("b", 1900)] {
        let line = format!("--gas-limit {limit} --enable-gas-refill --snapshot-output {name} count.wasm run");
        dir.run(&format!("--engine native {line}")).code(0);
        dir.run(&format!("merge {name} --to 2")).code(0);
    }
    fs::copy(dir.path("b/base.bin"), dir.path("out/base.bin")).expect("copied");
    dir.run("resume out@2").code(65).says("base.bin: is not the .bin that the .snap commits to");
    dir.run("resume out@3").code(65).says("3.bin: does not follow the .bin before it");
    dir.run("verify count.wasm out --engine native").code(1);
}

#[test]
fn chains_that_differ_beside_their_snapshots_are_not_called_the_same() {
    let dir = chain();
    let changed = |name: &str, change: &dyn Fn(&str) -> String| {
        let copy = format!("copy-{}", name.replace('.', "-"));
        fs::create_dir(dir.path(&copy)).expect("a directory");
        for file in dir.names("out") {
            fs::copy(dir.path("out").join(&file), dir.path(&copy).join(&file)).expect("copied");
        }
        let file = dir.path(&copy).join(name);
        let text = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, change(&text)).expect("written");
        copy
    };
    let result = changed("result.txt", &|text| text.replace("6765", "6766"));
    let receipt = changed("receipt.json", &|text| text.replacen("\"gas_used\": 1", "\"gas_used\": 2", 1));
    let line = changed("result.txt.", &|_| String::new());
    fs::remove_file(dir.path(&line).join("result.txt.")).expect("removed");
    fs::write(dir.path(&line).join("result.txt"), "0\n3\n6765\n ").expect("written");
    let strange = changed("receipt.json.", &|_| String::new());
    fs::remove_file(dir.path(&strange).join("receipt.json.")).expect("removed");
    fs::write(dir.path(&strange).join("receipt.json"), dir.text("out/receipt.json").replacen('{', "{\"evil\": 1,", 1))
        .expect("written");
    for (copy, says) in [
        (&result, "result.txt: "),
        (&receipt, "receipt.json: \"gas_used\" of result: "),
        (&line, "result.txt: "),
        (&strange, "receipt.json: \"evil\": nothing | 1"),
    ] {
        let shown = text(dir.run(&format!("bisect fib.wasm out {copy}")).code(1).stdout());
        let first =
            "the chains are the same up to snapshot 3, but claim different things beside; nothing was executed\n";
        assert!(shown.starts_with(first) && shown.contains(&format!("(out | {copy}) {says}")), "{shown}");
    }
    // What only one of them has.
    fs::remove_file(dir.path(&result).join("result.txt")).expect("removed");
    for line in [format!("bisect fib.wasm out {result}"), format!("bisect fib.wasm {result} out")] {
        assert!(text(dir.run(&line).code(1).stdout()).contains("nothing"), "{line}");
    }
    for name in ["3.snap", "3.bin"] {
        fs::remove_file(dir.path(&result).join(name)).expect("removed");
    }
    let shown = text(dir.run(&format!("bisect fib.wasm out {result} --bundle x.tar")).code(1).stdout());
    assert!(shown.contains(&format!("(out | {result}) snapshots: up to 3 | up to 2")), "{shown}");
    assert!(shown.contains("x.tar was not written"), "{shown}");
    // A page of a .bin is claimed too.
    let bin = dir.path(&receipt).join("2.bin");
    let mut bytes = fs::read(&bin).expect("a file");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&bin, bytes).expect("written");
    dir.run(&format!("bisect fib.wasm out {receipt}")).code(65).says("the chains cannot be compared");
}

#[test]
fn nothing_that_can_be_restored_goes_unless_that_was_said() {
    let dir = chain();
    let before = dir.names("out");
    for line in ["prune out", "merge out", "prune out --keep-last 2 --dry-run", "merge out --to 2 --dry-run"] {
        dir.run(line).code(0);
        assert_eq!(dir.names("out"), before, "{line}");
    }
    let says = "out: holds 2 snapshots (2 to 3) of this job, which this run would remove";
    for line in [
        "resume out@1",
        "resume out@1 --engine native",
        "freeze x.frozen --snapshot-input out --snapshot-id 1 --snapshot-output out fib.wasm",
    ] {
        dir.run(line).code(2).says(says);
        assert_eq!(dir.names("out"), before, "{line}");
    }
    dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 20")
        .code(2)
        .says("out: holds 3 snapshots (1 to 3) of this job");
    assert_eq!(dir.names("out"), before);
    // The module's own flags do what they have always done, but lose nothing.
    let says = "2 snapshots (2 to 3) of an earlier run in out are in out/earlier-1 now";
    dir.run("--snapshot-input out --snapshot-id 1 --snapshot-output out fib.wasm").code(75).says(says);
    assert_eq!(dir.names("out/earlier-1"), ["2.bin", "2.snap", "3.bin", "3.snap", "receipt.json", "result.txt"]);
    dir.run("resume out").code(75);
    dir.run("resume out@1 --overwrite")
        .code(75)
        .says("--overwrite: 2 snapshots (2 to 3) of out make room for this run's");
    assert_eq!(dir.names("out"), ["1.bin", "1.snap", "2.bin", "2.snap", "earlier-1", "receipt.json", "result.txt"]);
}

#[test]
fn a_pruned_chain_keeps_what_was_asked_for() {
    let dir = chain();
    let said = "snapshot 1 went, 2 are kept; it begins with snapshot 2: verify --from 2\n";
    assert_eq!(text(dir.run("prune out --keep-last 2").code(0).stdout()), said);
    assert_eq!(dir.names("out"), ["2.snap", "3.bin", "3.snap", "base.bin", "receipt.json", "result.txt"]);
    dir.run("verify fib.wasm out --from 2").code(0);
    // What is not there accuses nobody.
    let says = "out: begins with snapshot 2: what leads to it was pruned, or is elsewhere, and cannot be compared";
    for line in ["verify fib.wasm out", "verify out --from 1", "verify out --to 3"] {
        let ran = dir.run(line).code(65).says(says);
        assert!(ran.stderr().contains("help: take snapshot 2 on trust: --from 2"), "{}", ran.stderr());
    }
    dir.run("resume out@2 --overwrite --disable-gas-refill").code(75);
}

#[test]
fn a_pruned_chain_is_a_chain_for_every_command() {
    let dir = chain();
    dir.run("prune out --keep-last 2").code(0);
    let exported = text(dir.run("export out -o chain.tar").code(0).stdout());
    assert!(exported.ends_with("; it begins with snapshot 2: verify --from 2\n"), "{exported}");
    let imported = "2 snapshots imported into copy; it begins with snapshot 2: verify --from 2\n";
    assert_eq!(text(dir.run("import chain.tar copy").code(0).stdout()), imported);
    dir.run("verify copy --from 2 --engine native").code(0);
    assert!(text(dir.run("bisect out copy").code(0).stdout()).starts_with("the chains are the same"));
    let merged = text(dir.run("merge copy --to 3").code(0).stdout());
    assert!(merged.starts_with("1 .bin files of "), "{merged}");
    dir.run("verify copy --from 3 --engine native").code(0);
    dir.run("prune out --keep-last 1").code(0);
    dir.run("verify out --from 3 --engine native").code(0);
    dir.run("inspect out@3").code(0);
    // What is there of it is held to.
    let mut bytes = dir.read("out/3.snap");
    bytes[200] ^= 1;
    fs::write(dir.path("out/3.snap"), bytes).expect("written");
    for line in ["export out -o other.tar", "merge out --to 3", "prune out --keep-last 1"] {
        dir.run(line).code(65);
    }
}

#[test]
fn a_chain_that_begins_in_another_directory_says_what_it_needs() {
    let dir = chain();
    dir.run("resume out@2 --engine native --snapshot-output more").code(0);
    let says = "more: begins with snapshot 3, and what it builds on is not there";
    let help = "copy 1.bin to 2.bin and 2.snap from the directory that the run went on from; then: verify --from 2";
    for line in ["verify more", "verify more --from 3", "export more -o x.tar", "merge more", "prune more"] {
        let ran = dir.run(line).code(65).says(says);
        assert!(ran.stderr().contains(help), "{line}: {}", ran.stderr());
    }
    for name in ["1.bin", "2.bin", "2.snap"] {
        fs::copy(dir.path("out").join(name), dir.path("more").join(name)).expect("copied");
    }
    dir.run("verify more --engine native").code(65).says("more: begins with snapshot 2");
    dir.run("verify more --from 2 --engine native").code(0);
    dir.run("bisect out more").code(0);
}

#[test]
fn an_exported_chain_is_the_same_elsewhere_without_anything_else() {
    let dir = Dir::new();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/wasi/files.wasm");
    fs::copy(program, dir.path("files.wasm")).expect("copied");
    fs::create_dir(dir.path("in")).expect("a directory");
    fs::write(dir.path("in/input.txt"), "some text\n").expect("a file");
    fs::write(dir.path("stdin.txt"), "words").expect("a file");
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill --preopen / --dir in::/data --stdin stdin.txt --snapshot-output out files.wasm");
    dir.run("export out -o chain.tar --dir in::/data --stdin stdin.txt").code(0);
    let elsewhere = Dir::new();
    fs::copy(dir.path("chain.tar"), elsewhere.path("chain.tar")).expect("copied");
    elsewhere.run("import chain.tar chain").code(0);
    elsewhere.run("verify chain/files/files.wasm chain --engine native").code(0);
    elsewhere.run("export chain -o again.tar").code(0);
    assert!(dir.read("chain.tar") == elsewhere.read("again.tar"), "the archives differ");
    elsewhere.run("import chain.tar chain").code(74).says("there is something already");
}

#[test]
fn an_archive_is_hostile_until_it_was_checked() {
    let dir = chain();
    dir.run("export out -o good.tar").code(0);
    let good = dir.read("good.tar");
    for (name, bytes) in
        [("empty", Vec::new()), ("cut", good[..good.len() / 2].to_vec()), ("text", b"no archive".to_vec())]
    {
        fs::write(dir.path("bad.tar"), bytes).expect("written");
        dir.run("import bad.tar new").code(65);
        assert!(!dir.path("new").exists(), "{name}");
    }
    let archive = |name: &str, kind: tar::EntryType| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1);
        // Its own setters refuse such names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, &b"x"[..]).expect("appended");
        builder.into_inner().expect("an archive")
    };
    let hostile = ["../escaped", "/tmp/escaped", "a/../../escaped", "files/../../escaped", "1.snap/"];
    for name in hostile {
        fs::write(dir.path("bad.tar"), archive(name, tar::EntryType::Regular)).expect("written");
        dir.run("import bad.tar new").code(65).says("is no regular file of a plain name");
        assert!(!dir.path("new").exists() && !dir.path("escaped").exists(), "{name}");
    }
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Directory, tar::EntryType::Fifo] {
        fs::write(dir.path("bad.tar"), archive("1.snap", kind)).expect("written");
        dir.run("import bad.tar new").code(65).says("is no regular file of a plain name");
    }
    // All hashes right, but a file of another chain.
    fs::remove_file(dir.path("out/2.bin")).expect("removed");
    dir.run("export out -o bad.tar").code(65).says("2.bin: missing");
}

/// The entries of the bundle of a dispute at snapshot `id` between two chains that are the same up to there.
fn bundle_entries(dir: &Dir, sides: [&str; 2], id: u64, dispute: &str) -> Vec<(String, Vec<u8>)> {
    let mut entries = vec![("dispute.json".to_owned(), dispute.as_bytes().to_vec())];
    let mut add = |name: String, path: String| {
        if let Ok(bytes) = fs::read(dir.path(&path)) {
            entries.push((name, bytes));
        }
    };
    for ending in ["bin", "snap"] {
        (1..id).for_each(|number| add(format!("{number}.{ending}"), format!("{}/{number}.{ending}", sides[0])));
        for (side, chain) in ["a", "b"].into_iter().zip(sides) {
            add(format!("{side}/{id}.{ending}"), format!("{chain}/{id}.{ending}"));
        }
    }
    add("files/fib.wasm".to_owned(), "fib.wasm".to_owned());
    entries
}

fn write_tar(dir: &Dir, name: &str, entries: &[(String, Vec<u8>)]) {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).expect("appended");
    }
    fs::write(dir.path(name), builder.into_inner().expect("an archive")).expect("written");
}

#[test]
fn check_bundle_answers_as_bisect_does_on_the_two_directories() {
    let dir = with_false_chain();
    let run = |line: &str| dir.run(&format!("--engine native --enable-gas-refill {line}")).code(0);
    run("--gas-limit 40000 --snapshot-output limit fib.wasm fib 20");
    run("--gas-limit 50000 --snapshot-output job fib.wasm fib 21");
    run("--gas-limit 50000 --snapshot-output equal fib.wasm fib 20");
    for name in ["short", "other-end"] {
        fs::create_dir(dir.path(name)).expect("a directory");
        for file in ["1.snap", "1.bin"] {
            fs::copy(dir.path(&format!("out/{file}")), dir.path(&format!("{name}/{file}"))).expect("copied");
        }
    }
    fs::write(dir.path("other-end/result.txt"), "1\n1\n").expect("written");
    let dispute = |id: u64, right: &str| {
        let hash = hex_of_snap(&dir.read(&format!("out/{id}.snap")));
        format!("{{\"kind\":\"chains\",\"id\":{id},\"limit\":50000,\"snap_hash\":\"{hash}\",\"right\":\"{right}\"}}")
    };
    // Chain A, chain B, where they are said to part and who is said to be right; what both commands say.
    let both_limits = "ran under two gas limits";
    let table = [
        ("out", "false", 2, "a", (1, "out is right"), (0, "right: a, as the bundle says")),
        ("false", "out", 2, "b", (1, "out is right"), (0, "right: b, as the bundle says")),
        ("out", "false", 2, "b", (1, "out is right"), (1, "right: a, the bundle says OTHERWISE")),
        ("out", "limit", 1, "a", (65, both_limits), (65, both_limits)),
        ("limit", "out", 1, "b", (65, both_limits), (65, both_limits)),
        ("out", "job", 1, "a", (65, "different jobs"), (65, "different jobs")),
        ("out", "job", 2, "a", (65, "different jobs"), (65, "belongs to another job")),
        (
            "out",
            "equal",
            3,
            "a",
            (0, "the chains are the same: 3 snapshots"),
            (65, "the same up to snapshot 3: there is no dispute"),
        ),
        ("out", "short", 2, "a", (1, "snapshots: up to 3 | up to 1"), (65, "b/: ")),
        ("out", "other-end", 1, "a", (1, "the same up to snapshot 1, but"), (65, "the same up to snapshot 1")),
    ];
    for (a, b, id, right, bisect, check) in table {
        write_tar(&dir, "made.tar", &bundle_entries(&dir, [a, b], id, &dispute(id, right)));
        let lines =
            [format!("bisect fib.wasm {a} {b} --engine native"), "check-bundle made.tar --engine native".into()];
        for (line, (code, said)) in lines.iter().zip([bisect, check]) {
            let ran = dir.run(line).code(code);
            let all = text(ran.stdout()) + &ran.stderr();
            assert!(all.contains(said), "{a} {b} {id}: {line}: expected {said:?} in {all}");
        }
    }
}

fn hex_of_snap(bytes: &[u8]) -> String {
    stepmark_state::encoding::hex(&snap::decode(bytes).expect("a snapshot").hash)
}

#[test]
fn nothing_that_a_bundle_says_of_itself_is_believed() {
    let dir = with_false_chain();
    dir.run("bisect fib.wasm out false --engine native --bundle good.tar").code(1);
    let hash = hex_of_snap(&dir.read("out/2.snap"));
    let dispute = format!("{{\"kind\":\"chains\",\"id\":2,\"limit\":50000,\"snap_hash\":\"{hash}\",\"right\":\"a\"}}");
    let entries = bundle_entries(&dir, ["out", "false"], 2, &dispute);
    let check = |entries: &[(String, Vec<u8>)]| {
        write_tar(&dir, "made.tar", entries);
        dir.run("check-bundle made.tar --engine native")
    };
    check(&entries).code(0);
    // What the dispute says: another word for each member.
    for (from, to, code) in [
        ("\"id\":2", "\"id\":1", 65),
        ("\"id\":2", "\"id\":3", 65),
        ("\"id\":2", "\"id\":18446744073709551615", 65),
        ("\"limit\":50000", "\"limit\":49999", 1),
        (hash.as_str(), "00", 1),
        ("\"right\":\"a\"", "\"right\":\"b\"", 1),
        ("\"right\":\"a\"", "\"right\":\"neither\"", 1),
        ("\"right\":\"a\"", "\"right\":\"b\",\"right\":\"a\"", 65),
        ("\"right\":\"a\"", "\"right\":\"a\",\"more\":1", 65),
        ("\"kind\":\"chains\"", "\"kind\":\"executors\"", 65),
    ] {
        let mut changed = entries.clone();
        changed[0].1 = dispute.replace(from, to).into_bytes();
        assert_eq!(check(&changed).exit_code(), code, "{from} -> {to}");
    }
    // Every entry left out, given twice, or under another's name: refused, or the same answer.
    let (mut refused, mut same) = (0, 0);
    let mut expect = |what: &str, entries: &[(String, Vec<u8>)]| {
        let ran = check(entries);
        match ran.exit_code() {
            65 | 74 => refused += 1,
            0 if ran.stdout() == b"right: a, as the bundle says\n" => same += 1,
            code => panic!("{what}: exit code {code}, {}{}", text(ran.stdout()), ran.stderr()),
        }
    };
    for at in 0..entries.len() {
        let name = entries[at].0.clone();
        let mut changed = entries.clone();
        changed.remove(at);
        expect(&format!("without {name}"), &changed);
        changed = entries.clone();
        changed.push(entries[at].clone());
        expect(&format!("{name} twice"), &changed);
        changed = entries.clone();
        changed.rotate_left(at);
        expect(&format!("from {name} on"), &changed);
        changed = entries.clone();
        changed.push((format!("{}9.snap", name.split('/').next().expect("a name")), entries[at].1.clone()));
        expect(&format!("{name} and a foreign entry"), &changed);
    }
    // In another order it does not begin with what says that it is a bundle.
    assert!(refused >= 3 * entries.len() && same >= 1, "{refused} refused, {same} the same");
}

#[test]
fn a_schedule_cannot_take_a_built_in_name() {
    let dir = Dir::with("fib.wasm", FIB);
    fs::create_dir(dir.path("mine")).expect("a directory");
    for name in ["default", "seed-ordinal", "cheap"] {
        fs::write(dir.path(&format!("mine/{name}")), "*,7\n").expect("written");
    }
    let line = |name: &str| {
        format!("--engine native --gas-limit 50000 --gas-schedule mine/{name} --snapshot-output {name} fib.wasm fib 20")
    };
    for name in ["default", "seed-ordinal"] {
        dir.run(&line(name)).code(2).says("the built-in schedule of this name has the hash");
    }
    dir.run(&line("cheap")).code(75);
    let shown = text(dir.run("inspect cheap").code(0).stdout());
    assert!(shown.contains("schedule cheap") && shown.contains("(from a file)"), "{shown}");
    // A snapshot that says so all the same cannot be read.
    let raw = snap::decode(&dir.read("cheap/1.snap")).expect("a snapshot");
    let mut job = raw.job.clone();
    job.schedule.name = "default".to_owned();
    let error = snap::encode(&job, &raw.segment, &raw.state).expect_err("refused");
    assert!(error.message().contains("the built-in schedule of this name"), "{error}");
}

#[test]
fn completions_and_pages_for_man_name_every_subcommand() {
    let dir = Dir::new();
    for (shell, begins) in [("bash", "_stepmark()"), ("zsh", "#compdef stepmark"), ("fish", "# Print an optspec")] {
        let script = text(dir.run(&format!("completions {shell}")).code(0).stdout());
        assert!(script.contains(begins) && script.contains("check-witness"), "{shell}: {script}");
    }
    dir.run("man pages").code(0);
    let names = dir.names("pages");
    for name in ["stepmark.1", "stepmark-run.1", "stepmark-verify.1", "stepmark-export-module.1"] {
        assert!(names.iter().any(|other| other == name), "{name} is not among {names:?}");
    }
    let page = dir.text("pages/stepmark-verify.1");
    assert!(page.starts_with(".ie") && page.contains("stepmark verify program.wasm output"), "{page}");
}

#[test]
fn memory_that_is_not_there_is_not_shown() {
    let dir = chain();
    dir.run("inspect out@1 --memory 0+16").code(2).says("memory 0 is not there: the state has 0 memories");
    dir.sample("sha256.wasm");
    dir.run("--engine native -q --gas-limit 1M --snapshot-output sha sha256.wasm 65536").code(75);
    dir.run("inspect sha --memory 0:0+16").code(0);
    for range in ["0:0xfffffffffffffff0+16", "0:0xffffffffffffffff+1"] {
        dir.run(&format!("inspect sha --memory {range}")).code(2).says("is beyond the ");
    }
    dir.run("inspect sha --memory 99:0+16").code(2).says("memory 99 is not there: the state has 1 memories");
}

#[test]
fn two_files_are_not_written_to_one_place_and_none_before_all_can_be() {
    let dir = chain();
    dir.run("export-module m.wasm --compiler m.wasm").code(2).says("--compiler m.wasm: the module is written there");
    assert!(!dir.path("m.wasm").exists());
    dir.run("export-module m.wasm --compiler fib.wasm").code(2).says("fib.wasm: a file of another kind is there");
    assert!(!dir.path("m.wasm").exists());
    dir.run("export-module m.wasm --compiler c.wasm").code(0);
    dir.run("export-module m.wasm --compiler c.wasm").code(0);
    dir.run("profile -q --folded f --svg f fib.wasm fib 5").code(2).says("--svg f: the call stacks are written there");
    dir.run("profile -q --folded f --svg fib.wasm fib.wasm fib 5").code(2).says("fib.wasm: a file of another kind");
    assert!(!dir.path("f").exists());
    dir.run("export out -o no/chain.tar").code(2).says("no: no such directory");
}

#[test]
fn what_is_exported_can_be_imported() {
    let dir = chain();
    for (number, name) in ["a:b.wasm", "con.wasm", "a .wasm ", "a*.wasm"].into_iter().enumerate() {
        fs::copy(dir.path("fib.wasm"), dir.path(name)).expect("copied");
        let args = ["--engine", "native", "-q", "--gas-limit", "50k", "--enable-gas-refill", "-o"];
        let (chain, copy) = (format!("chain{number}"), format!("copy{number}"));
        let made =
            dir.command("").args([&args[..], &[&chain, name, "fib", "20"]].concat()).output().expect("it starts");
        assert!(made.status.success(), "{name}: {}", text(&made.stderr));
        dir.run(&format!("export {chain} -o {chain}.tar")).code(0);
        dir.run(&format!("import {chain}.tar {copy}")).code(0);
        dir.run(&format!("verify {copy} --engine native")).code(0);
    }
    fs::create_dir(dir.path("logs")).expect("a directory");
    fs::write(dir.path("logs/12:30.log"), "x").expect("a file");
    dir.run("--engine native -q --gas-limit 50k --enable-gas-refill --dir logs -o logged fib.wasm fib 20").code(0);
    let refused = dir.run("export logged -o logged.tar").code(65);
    refused.says("the job's file \"logs/12:30.log\" has a name that no archive may have");
    assert!(!dir.path("logged.tar").exists());
}
