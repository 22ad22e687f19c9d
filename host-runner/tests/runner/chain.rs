//! Chains of snapshots: resumed anywhere, in either engine, the bytes are those of one long run.

use std::fs;

use crate::util::{Dir, FIB, Ran, TRAP, json};

#[test]
fn both_engines_write_the_same_files() {
    let dir = Dir::with("fib.wasm", FIB);
    for engine in ["wasm", "native"] {
        let line = "--gas-limit 50000 --enable-gas-refill fib.wasm fib 20";
        dir.run(&format!("--engine {engine} --snapshot-output {engine} {line}")).code(0);
    }
    dir.assert_same("wasm", "native");
    assert!(dir.text("wasm/result.txt").ends_with("\n6765\n"));
}

#[test]
fn both_engines_name_the_snapshots_alike() {
    let dir = Dir::with("fib.wasm", FIB);
    for engine in ["wasm", "native"] {
        let line = format!("--json --engine {engine} --snapshot-output {engine}");
        let ran = dir.run(&format!("{line} --gas-limit 50000 --enable-gas-refill fib.wasm fib 20")).code(0);
        let object: serde_json::Value = serde_json::from_slice(ran.stdout()).expect("JSON");
        let ids: Vec<_> =
            object["snapshots"].as_array().expect("a list").iter().map(|one| one["id"].as_u64()).collect();
        assert_eq!(ids, [Some(1), Some(2), Some(3)], "{engine}");
    }
}

#[test]
fn resume_needs_no_retyping_and_goes_on_in_the_same_directory() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output whole --enable-gas-refill fib.wasm fib 20").code(0);
    dir.run("--gas-limit 50000 --snapshot-output parts fib.wasm fib 20").code(75);
    dir.run("resume parts").code(75);
    dir.run("resume parts --engine native").code(75);
    dir.run("resume parts@1 --enable-gas-refill --overwrite").code(0);
    dir.assert_same("whole", "parts");
}

#[test]
fn a_program_that_is_not_found_is_named_with_its_hash() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 20").code(75);
    fs::create_dir(dir.path("sub")).expect("a folder");
    fs::rename(dir.path("fib.wasm"), dir.path("sub/moved.wasm")).expect("renamed");
    let ran = dir.run("resume out").code(65).says("the snapshot needs fib.wasm");
    assert!(ran.stderr().contains("help: give it with --program FILE"));
    dir.run("resume out --program sub/moved.wasm").code(75);
    // By another name it is found where it was looked for.
    fs::rename(dir.path("sub/moved.wasm"), dir.path("moved.wasm")).expect("renamed");
    dir.run("resume out").code(75);
}

#[test]
fn another_jobs_chain_is_set_aside_by_a_run_from_the_start_and_refused_by_one_that_goes_on() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 20").code(75);
    let before = dir.read("out/1.snap");
    let (another, said) = ("--gas-limit 50000 --snapshot-output other fib.wasm fib 21", "belongs to another job");
    dir.run(another).code(75);
    let goes_on = "--gas-limit 50000 --snapshot-input other --snapshot-id 1 --snapshot-output out fib.wasm fib 21";
    dir.run(goes_on).code(65).says(said);
    assert_eq!(dir.read("out/1.snap"), before);
    let ran = dir.run("--gas-limit 50000 --snapshot-output out fib.wasm fib 21").code(75);
    assert!(ran.stderr().contains("what another job left in out is in out/earlier-1 now"), "{}", ran.stderr());
    assert_eq!(dir.read("out/earlier-1/1.snap"), before);
    assert_eq!(dir.read("out/1.snap"), dir.read("other/1.snap"));
    dir.run("verify fib.wasm out --to 1").code(0);
    dir.run("verify fib.wasm out/earlier-1 --to 1").code(0);
}

/// The walk-through of the first such engine: three programs in turn into one directory.
#[test]
fn three_programs_in_turn_into_one_directory_leave_three_chains() {
    let dir = Dir::with("fib.wasm", FIB);
    let refill = "--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output ./output";
    for argument in [20, 21, 22] {
        dir.run(&format!("{refill} ./fib.wasm fib {argument}")).code(0);
    }
    for (place, returned) in [("output/earlier-1", "6765"), ("output/earlier-2", "10946"), ("output", "17711")] {
        assert_eq!(dir.text(&format!("{place}/result.txt")).lines().nth(2), Some(returned), "{place}");
        dir.run(&format!("verify fib.wasm {place} --engine native")).code(0);
    }
}

#[test]
fn a_run_that_is_refused_leaves_the_chain_that_was_there() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    let before = dir.names("out");
    assert_eq!(before.len(), 8);
    dir.run("--gas-limit 0 --snapshot-output out fib.wasm fib 20").code(2);
    dir.run("resume out@2 --program fib.wasm --gas-limit 0").code(2);
    assert_eq!(dir.names("out"), before);
    dir.run("verify fib.wasm out").code(0);
}

#[test]
fn higher_ids_of_an_older_run_do_not_survive() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 20000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    assert!(dir.names("out").contains(&"9.snap".to_owned()));
    dir.run("--gas-limit 50000 --overwrite --snapshot-output out fib.wasm fib 20").code(75);
    assert_eq!(dir.names("out"), ["1.bin", "1.snap", "receipt.json", "result.txt"]);
}

#[test]
fn a_run_that_asks_for_no_files_leaves_none() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.add("trap.wasm", TRAP);
    for line in ["fib.wasm fib 20", "--engine native fib.wasm fib 20", "--check-reference fib.wasm fib 20"] {
        let ran = dir.run(line).code(0).says("status 0, 197.015 k gas, ");
        assert!(ran.stdout() == b"6765\n" && !ran.stderr().contains("results in"), "{}", ran.stderr());
    }
    let object = json(dir.run("--json fib.wasm fib 20").code(0).stdout());
    assert_eq!((&object["output_dir"], &object["result"]["gas_used"]), (&serde_json::Value::Null, &197_015.into()));
    dir.run("trap.wasm run").code(134);
    assert_eq!(dir.names(""), ["fib.wasm", "trap.wasm"]);
}

#[test]
fn jobs_whose_directory_nobody_names_have_one_each() {
    let dir = Dir::with("fib.wasm", FIB);
    let run = |flags: &str, argument: u32| dir.run(&format!("{flags} --gas-limit 50000 fib.wasm fib {argument}"));
    for argument in [20, 21] {
        run("--enable-gas-refill", argument).code(0).says("results in stepmark/fib-");
    }
    let names = dir.names("stepmark");
    assert_eq!(names.len(), 2, "{names:?}");
    for name in names {
        let hash = name.strip_prefix("fib-").expect("the program's name");
        assert!(hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        // From anywhere: the program is beside the folder of all of them.
        let chain = dir.path("stepmark").join(&name);
        Dir::new().run(&format!("verify --engine native {}", chain.display())).code(0);
    }
    run("", 20).code(2).says("of this job, which this run would remove");
    run("--overwrite", 20).code(75);
    // A command of that name in the working directory is in nobody's way.
    let other = Dir::with("fib.wasm", FIB);
    fs::write(other.path("stepmark"), "").expect("a file");
    other.run("--gas-limit 50000 fib.wasm fib 20").code(75).says("results in stepmark-runs/fib-");
}

#[test]
fn resume_goes_on_as_the_run_did_before() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    dir.run("resume out@1 --snapshot-output one --disable-gas-refill").code(75);
    let said = "the gas is refilled after each snapshot, as before (--disable-gas-refill: stop at the next one)";
    dir.run("resume out@1 --snapshot-output all").code(0).says(said);
    // A run that was killed has nothing to say how it was to go on, but its snapshots.
    for name in ["receipt.json", "result.txt"] {
        fs::remove_file(dir.path("out").join(name)).expect("removed");
    }
    dir.run("resume out").code(0).says(said);
    dir.run("--gas-limit 50000 --snapshot-output single fib.wasm fib 20").code(75);
    assert!(!dir.run("resume single").code(75).stderr().contains("is refilled"));
}

#[test]
fn a_finished_chain_with_its_end_is_to_be_looked_at_and_not_gone_on_with() {
    let dir = Dir::with("fib.wasm", FIB);
    let line = "--gas-limit 50000 --enable-gas-refill --keep-final --snapshot-output out fib.wasm fib 20";
    dir.run(line).code(0);
    let ran = dir.run(line).code(2);
    let help = "help: look at it (stepmark inspect out@final), choose another --snapshot-output, or say --overwrite";
    assert!(ran.stderr().contains(help), "{}", ran.stderr());
}

#[test]
fn a_finished_run_is_not_gone_on_with_unless_that_is_said() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill -o out fib.wasm fib 20").code(0);
    let before = dir.names("out");
    let refused = "the run has ended, and going on would write its end anew";
    for line in ["resume out", "resume out --gas-limit 1K --disable-gas-refill", "resume out@3"] {
        dir.run(&format!("{line} --engine native")).code(2).says(refused);
    }
    assert_eq!(dir.names("out"), before);
    dir.run("verify out --engine native").code(0);
    dir.run("resume out --engine native -o beside").code(0);
    dir.run("resume out --engine native --overwrite").code(0);
}

#[test]
fn a_result_without_snapshots_makes_room_for_another_jobs_and_is_kept() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--engine native -o out fib.wasm fib 5").code(0);
    dir.run("--engine native -o out fib.wasm fib 5").code(0);
    assert_eq!(dir.names("out"), ["receipt.json", "result.txt"]);
    dir.run("--engine native -o out fib.wasm fib 6")
        .code(0)
        .says("what another job left in out is in out/earlier-1 now");
    assert_eq!(dir.names("out/earlier-1"), ["receipt.json", "result.txt"]);
    assert_eq!(dir.text("out/earlier-1/result.txt"), "0\n0\n5\n");
}

#[test]
fn each_stop_prints_a_command_that_goes_on_as_it_stands() {
    let dir = Dir::new();
    fs::create_dir_all(dir.path("some where")).expect("a folder");
    fs::write(dir.path("some where/it's.wasm"), wat::parse_str(FIB).expect("valid")).expect("a file");
    let mut stop = dir.command("--engine native --gas-limit 50000 -o");
    stop.args(["an out", "some where/it's.wasm", "fib", "20"]);
    let stopped = Ran::new(stop.output().expect("starts")).code(75);
    let said = stopped.stderr();
    let (_, next) = said.split_once("go on with: stepmark ").expect("a command");
    assert_eq!(next.trim_end(), r"resume 'an out' --program 'some where/it'\''s.wasm'");
    let shell = format!("'{}' {next}", env!("CARGO_BIN_EXE_stepmark"));
    let mut went_on = std::process::Command::new("sh");
    went_on.args(["-c", &shell]).current_dir(dir.path(""));
    Ran::new(went_on.output().expect("starts")).code(75);
    assert!(dir.names("an out").contains(&"2.snap".to_owned()));
}

#[test]
fn a_run_of_very_many_snapshots_says_once_how_there_would_be_fewer() {
    let dir = Dir::with("fib.wasm", FIB);
    let line = "--engine native --gas-limit 150 --enable-gas-refill --snapshot-output out fib.wasm fib 20";
    let said = dir.run(line).code(0).stderr();
    let warning = "warning: 1000 snapshots were written, one each 150 gas: a larger --gas-limit writes fewer files";
    assert_eq!(said.matches(warning).count(), 1, "{said}");
}

#[cfg(unix)]
#[test]
fn whoever_has_read_enough_ends_a_command_without_a_word() {
    use std::process::Stdio;
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    for line in ["inspect out", "diff out@1 out@2", "verify out --engine native", "--help", "fib.wasm fib 20 -q"] {
        let line = line.strip_suffix(" -q").map_or_else(|| line.to_owned(), |line| format!("-q {line}"));
        let ended = || {
            let mut child =
                dir.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
            drop(child.stdout.take());
            let ended = child.wait_with_output().expect("it ends");
            (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
        };
        // A process that another test starts at this moment may hold the pipe open.
        let expected = (Some(if line == "--help" { 0 } else { 141 }), String::new());
        assert!((0..9).any(|_| ended() == expected), "{line}: {:?}", ended());
    }
}

#[test]
fn what_the_command_line_names_and_is_not_there_is_one_error() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    for line in [
        "nope fib 5",
        "--stdin nope fib.wasm fib 5",
        "--file a=nope fib.wasm fib 5",
        "--preload m=nope fib.wasm fib 5",
        "--gas-schedule nope fib.wasm fib 5",
        "--contract c=nope fib.wasm fib 5",
        "verify nope out",
        "verify out --module nope",
        "verify out --claim nope",
        "inspect out --program nope",
        "resume out@1 --program nope --overwrite",
        "witness out@1 nope -o w",
        "check-witness nope fib.wasm",
        "check-bundle nope",
        "import nope new",
        "thaw nope",
        "bisect nope out out",
        "estimate nope fib 5",
        "profile nope fib 5",
        "bench nope fib 5",
        "reference nope fib 5",
    ] {
        dir.run(line).code(2).says("error: nope: no such file");
    }
    for line in [
        "--dir nope::/ fib.wasm fib 5",
        "verify nope",
        "resume nope",
        "resume nope@1",
        "inspect nope",
        "diff nope out",
        "bisect nope out",
        "merge nope",
        "prune nope",
        "export nope -o x.tar",
        "witness nope@1 -o w",
        "executor nope@1",
        "--snapshot-input nope --snapshot-id 1 fib.wasm fib 20",
    ] {
        dir.run(line).code(2).says("error: nope: no such directory");
    }
    dir.run("--snapshot-input out --snapshot-id 9 fib.wasm fib 20").code(2).says("out: has no snapshot 9: there are 3");
    dir.run("resume out@paused").code(2).says("out: has no pause: there are 3 snapshots, 1 to 3");
    dir.run("inspect out@final").code(2).says("out: has no state at the end, which a run leaves with --keep-final");
    dir.run("verify fib.wasm").code(2).says("fib.wasm: is a file, expected the directory of a chain");
    for line in ["verify out@2", "merge out@2 --to 2", "prune out@2", "export out@2 -o x.tar", "bisect out@2 out"] {
        let ran = dir.run(line).code(2).says("out@2: names snapshot 2, expected the directory of a chain");
        assert!(ran.stderr().contains("help: say out"), "{}", ran.stderr());
    }
}

#[test]
fn a_command_that_is_misspelt_is_suggested() {
    let flags_first = Dir::new();
    flags_first.run("-q verify out").code(2).says("verify: is a command, and its flags stand after it");
    flags_first.run(".").code(2).says("is a directory, expected a program");
    let dir = Dir::with("fib.wasm", FIB);
    for (typed, meant) in [("verfy", "verify"), ("resum", "resume"), ("exprot", "export"), ("inspct", "inspect")] {
        dir.run(&format!("{typed} fib.wasm out")).code(2).says(&format!("help: did you mean: stepmark {meant}?"));
    }
    // A program of such a name is a program.
    std::fs::rename(dir.path("fib.wasm"), dir.path("verfy")).expect("renamed");
    dir.run("verfy fib 5").code(0);
    dir.run("nothing-like-it.wasm").code(2).says("nothing-like-it.wasm");
}
