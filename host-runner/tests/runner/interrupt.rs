//! Ctrl-C: the state is written outside the chain, and the resumed run gives the bytes of one that was never stopped.
#![cfg(unix)]

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::util::{Dir, FIB};

/// Stops the run of `line` by Ctrl-C once there is `parts/1.snap`; what it says.
fn interrupted(dir: &Dir, line: &str) -> String {
    let run = dir.command(line).stderr(Stdio::piped()).spawn().expect("the runner starts");
    let patience = Instant::now() + Duration::from_secs(120);
    while !dir.path("parts/1.snap").exists() {
        assert!(Instant::now() < patience, "no snapshot appeared");
        sleep(Duration::from_millis(2));
    }
    let signal = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill starts");
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

    dir.run("resume parts --enable-gas-refill").code(0);
    dir.assert_same("whole", "parts");
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
