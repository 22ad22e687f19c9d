//! Ctrl-C: the state is written outside the chain, and the resumed run gives the bytes of one that was never stopped.
#![cfg(unix)]

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::util::{Dir, FIB, text};

/// Stops the run of `line` by Ctrl-C once there is `parts/1.snap`; what it says.
fn interrupted(dir: &Dir, line: &str) -> String {
    let first = dir.path("parts/1.snap");
    stopped(dir, line, "-INT", &|| first.exists())
}

/// Stops the run of `line` by a signal once it is ready for that; what it says.
fn stopped(dir: &Dir, line: &str, signal: &str, is_ready: &dyn Fn() -> bool) -> String {
    let run = dir.command(line).stderr(Stdio::piped()).spawn().expect("the runner starts");
    let patience = Instant::now() + Duration::from_secs(120);
    while !is_ready() {
        assert!(Instant::now() < patience, "no snapshot appeared");
        sleep(Duration::from_millis(2));
    }
    let signal = Command::new("kill").args([signal, &run.id().to_string()]).status().expect("kill starts");
    assert!(signal.success());
    let output = run.wait_with_output().expect("the runner ends");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    stderr
}

#[test]
fn a_run_stopped_by_ctrl_c_ends_with_the_same_bytes() {
    let dir = Dir::with("fib.wasm", FIB);
    let line = "--gas-limit 40000000 --enable-gas-refill";
    dir.run(&format!("--engine native --snapshot-output whole {line} fib.wasm fib 36")).code(0);

    let stderr = interrupted(&dir, &format!("--snapshot-output parts {line} fib.wasm fib 36"));
    assert!(stderr.contains("stepmark resume parts"), "{stderr}");
    let names = dir.names("parts");
    assert!(names.contains(&"paused.snap".to_owned()) && !names.contains(&"result.txt".to_owned()), "{names:?}");

    // How it was to go on is remembered.
    dir.run("resume parts").code(0).says("the gas is refilled after each snapshot, as before");
    dir.assert_same("whole", "parts");
}

/// Leaves a file of 8 GiB, and says so.
const LEAVES: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $size (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "big") (data (i32.const 16) "\00\00\00\00\03\00\00\00")
    (func (export "_start")
        (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 1) (i64.const -1)
            (i64.const 0) (i32.const 0) (i32.const 8)))
        (drop (call $size (i32.load (i32.const 8)) (i64.const 0x200000000)))
        (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))))"#;

#[test]
fn a_signal_is_heard_while_what_the_program_left_is_hashed_and_the_end_is_not_lost() {
    let dir = Dir::with("leaves.wasm", LEAVES);
    let line = "--preopen / --max-files 16GiB --snapshot-output parts leaves.wasm";
    let mut run = dir.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the runner starts");
    // What it has written is passed on when its slice ends: it has come to its end then.
    let (mut stdout, mut written) = (run.stdout.take().expect("a pipe"), [0; 3]);
    stdout.read_exact(&mut written).expect("written");
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill starts").success());
    let output = run.wait_with_output().expect("the runner ends");
    assert!(begun.elapsed() < Duration::from_secs(8), "hashing all of it takes longer: {:?}", begun.elapsed());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((&written, output.status.code()), (b"big", Some(130)), "{said}");
    assert!(said.contains("the state is in parts; go on with: stepmark resume parts"), "{said}");
    let state = text(dir.run("inspect parts@paused").code(0).stdout());
    assert!(state.contains("finished"), "{state}");
    // That it is the moment at which the program ended is for `verify` to see, which need not hash anything for that.
    let verdict = text(dir.run("verify parts").code(75).stdout());
    assert!(verdict.contains("ended     paused") && verdict.contains("no fault of files"), "{verdict}");
}

#[test]
fn what_a_system_ends_a_process_by_pauses_it_too() {
    let dir = Dir::with("fib.wasm", FIB);
    for signal in ["-TERM", "-HUP"] {
        let line = "-q --gas-limit 40000000 --enable-gas-refill --snapshot-output parts fib.wasm fib 36";
        let first = dir.path("parts");
        let said = stopped(&dir, line, signal, &|| first.exists());
        // Whoever wants quiet has to know where the state is.
        assert_eq!(said, "interrupted: the state is in parts; go on with: stepmark resume parts\n", "{signal}");
        dir.run("verify parts --engine native").code(75);
        std::fs::remove_dir_all(dir.path("parts")).expect("removed");
    }
}

#[test]
fn a_second_signal_at_once_is_the_same_wish() {
    let dir = Dir::with("fib.wasm", FIB);
    let line = "-q --gas-limit 40000000 --enable-gas-refill --snapshot-output parts fib.wasm fib 36";
    let first = dir.path("parts/1.snap");
    let run = dir.command(line).stderr(Stdio::piped()).spawn().expect("the runner starts");
    let patience = Instant::now() + Duration::from_secs(120);
    while !first.exists() {
        assert!(Instant::now() < patience, "no snapshot appeared");
        sleep(Duration::from_millis(2));
    }
    // The process may have ended after the first of them.
    let id = run.id();
    let signals = format!("kill -TERM {id}; kill -INT {id}; kill -TERM {id}");
    drop(Command::new("sh").args(["-c", &signals]).stderr(Stdio::null()).status());
    let output = run.wait_with_output().expect("the runner ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(dir.path("parts/paused.snap").exists(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_pause_is_checked_within_bounds_and_its_gas_is_claimed() {
    let dir = Dir::with("fib.wasm", FIB);
    let started = Instant::now();
    let ready = || started.elapsed() > Duration::from_secs(2);
    stopped(&dir, "-q --engine native --gas-limit 100G --snapshot-output parts fib.wasm fib 45", "-INT", &ready);
    let refused = dir.run("verify parts --engine native --max-gas 1").code(77);
    assert!(refused.stderr().contains("the chain claims "), "{}", refused.stderr());
    let said = dir.run("verify parts --engine native --max-gas 100G").code(75);
    assert!(String::from_utf8_lossy(said.stdout()).contains("INCOMPLETE"));
}

#[test]
fn a_run_that_was_to_leave_nothing_leaves_its_state() {
    let dir = Dir::with("fib.wasm", FIB);
    let started = Instant::now();
    let ready = || started.elapsed() > Duration::from_secs(4);
    let said = stopped(&dir, "--engine native fib.wasm fib 45", "-INT", &ready);
    assert_eq!(dir.names(""), ["fib.wasm", "stepmark"]);
    let [name] = &*dir.names("stepmark") else { panic!("{:?}", dir.names("stepmark")) };
    assert!(said.contains(&format!("go on with: stepmark resume stepmark/{name}\n")), "{said}");
    assert_eq!(dir.names(&format!("stepmark/{name}")), ["paused.bin", "paused.json", "paused.snap"]);
    // It is a chain of which nothing is there but the pause.
    let shown = dir.run(&format!("verify stepmark/{name} --engine native")).code(75);
    let shown = String::from_utf8_lossy(shown.stdout()).into_owned();
    assert!(shown.contains("  ended     paused\n") && shown.contains("INCOMPLETE: no snapshot yet, "), "{shown}");
    dir.run(&format!("export stepmark/{name} -o paused.tar")).code(0);
    dir.run("import paused.tar elsewhere").code(0);
    dir.run("verify elsewhere --engine native").code(75);
}

#[test]
fn ctrl_c_freezes_a_node_that_is_to_be_frozen() {
    let dir = Dir::with("fib.wasm", FIB);
    let line = "--gas-limit 40000000 --enable-gas-refill";
    dir.run(&format!("--engine native --snapshot-output whole {line} fib.wasm fib 34")).code(0);
    let output = interrupted(&dir, &format!("freeze a.frozen --snapshot-output parts {line} fib.wasm fib 34"));
    assert!(output.contains("stepmark thaw a.frozen"), "{output}");
    assert!(!dir.names("parts").contains(&"paused.snap".to_owned()));
    dir.run("thaw a.frozen").code(0);
    dir.assert_same("whole", "parts");
}

#[test]
fn a_module_that_was_frozen_after_a_pause_is_thawed_beside_it() {
    let dir = Dir::with("fib.wasm", FIB);
    let line = "--gas-limit 40000000 --enable-gas-refill";
    dir.run(&format!("--engine native --snapshot-output whole {line} fib.wasm fib 36")).code(0);
    interrupted(&dir, &format!("--snapshot-output parts {line} fib.wasm fib 36"));
    let pause = stepmark_snapshot::snap::decode(&dir.read("parts/paused.snap")).expect("a pause");
    let after = pause.state.gas_total + 1_000;
    let from = "--snapshot-input parts --snapshot-id paused --snapshot-output parts --enable-gas-refill fib.wasm";
    dir.run(&format!("freeze a.frozen --after {after} {from}")).code(0);
    assert!(dir.path("parts/paused.snap").exists());
    dir.run("thaw a.frozen").code(0);
    dir.assert_same("whole", "parts");
}

#[test]
fn a_command_that_has_nothing_to_write_says_that_it_was_interrupted() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("-q --engine native --gas-limit 1k --snapshot-output out fib.wasm fib 40").code(75);
    let snap = dir.path("out/1.snap");
    let mut run = dir.command("reference --json fib.wasm fib 60").stdout(Stdio::piped()).spawn().expect("starts");
    assert!(snap.exists());
    sleep(Duration::from_millis(700));
    let signal = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill starts");
    assert!(signal.success());
    let status = run.wait().expect("ends");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut run.stdout.take().expect("a pipe"), &mut said).expect("text");
    assert_eq!(status.code(), Some(130));
    let said: serde_json::Value = serde_json::from_str(&said).expect("an object");
    assert_eq!((&said["status"], &said["exit_code"]), (&"error".into(), &130.into()));
    assert_eq!(said["error"]["message"], "interrupted");
}
