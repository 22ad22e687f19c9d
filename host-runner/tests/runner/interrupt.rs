//! Ctrl-C: the state is written outside the chain, and the resumed run gives the bytes of one that was never stopped.
#![cfg(unix)]

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::util::{Dir, FIB};

#[test]
fn a_run_stopped_by_ctrl_c_ends_with_the_same_bytes() {
    let dir = Dir::with("fib.wasm", FIB);
    let line = "--gas-limit 40000000 --enable-gas-refill";
    dir.run(&format!("--engine native --snapshot-output whole {line} fib.wasm fib 36")).code(0);

    let mut run = dir.command(&format!("--snapshot-output parts {line} fib.wasm fib 36"));
    let run = run.stderr(Stdio::piped()).spawn().expect("the runner starts");
    let patience = Instant::now() + Duration::from_secs(120);
    while !dir.path("parts/1.snap").exists() {
        assert!(Instant::now() < patience, "no snapshot appeared");
        sleep(Duration::from_millis(2));
    }
    let signal = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill starts");
    assert!(signal.success());
    let output = run.wait_with_output().expect("the runner ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("host-runner resume parts"), "{stderr}");
    let names = dir.names("parts");
    assert!(names.contains(&"paused.snap".to_owned()) && !names.contains(&"result.txt".to_owned()), "{names:?}");

    dir.run("resume parts --enable-gas-refill").code(0);
    dir.assert_same("whole", "parts");
}
