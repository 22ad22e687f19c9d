//! Standard input that is no file: it is part of the job, and the chain is verified without it being piped again.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::util::{Dir, json, text};

/// Writes what it reads, piece by piece.
const CAT: &str = "(module
  (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))
  (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export \"memory\") 1)
  (func (export \"_start\")
    (loop $again
      (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 16))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
      (br_if $again (i32.load (i32.const 8))))))";

/// Runs a command line with this on its standard input.
fn piped(dir: &Dir, line: &str, input: &[u8]) -> Output {
    let mut command = dir.command(line);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // Nobody may read it.
    drop(child.stdin.take().expect("a pipe").write_all(input));
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_pipe_is_the_programs_standard_input_and_part_of_the_job() {
    let dir = Dir::with("cat.wasm", CAT);
    let input = b"what was piped into the command\n";
    for (name, flag) in [("plain", ""), ("dash", "--stdin -"), ("path", "--stdin /dev/stdin")] {
        let line = format!("{flag} --gas-limit 150 --enable-gas-refill --snapshot-output {name} cat.wasm");
        let ran = piped(&dir, &line, input);
        assert_eq!((ran.status.code(), &*ran.stdout), (Some(0), &input[..]), "{name}: {}", text(&ran.stderr));
        // Nobody pipes it again, here or elsewhere.
        let said = json(dir.run(&format!("verify {name} --json --engine native")).code(0).stdout());
        assert_eq!(said["claim"]["stdin"]["size"], input.len(), "{name}");
        dir.run(&format!("resume {name}@1 --enable-gas-refill --snapshot-output {name}-again --engine native")).code(0);
    }
    assert_eq!(dir.read("plain/1.snap"), dir.read("dash/1.snap"));
    // The same bytes from a file are the same job.
    std::fs::write(dir.path("input"), input).expect("written");
    let line = "--stdin input --gas-limit 150 --enable-gas-refill --snapshot-output file cat.wasm";
    assert_eq!(dir.run(line).code(0).stdout(), input);
    assert_eq!(dir.read("file/1.snap"), dir.read("plain/1.snap"));
}

#[test]
fn what_is_piped_into_a_run_that_goes_on_is_left_unread_with_a_word() {
    let dir = Dir::with("cat.wasm", CAT);
    let line = "--gas-limit 150 --enable-gas-refill --snapshot-output out cat.wasm";
    assert_eq!(piped(&dir, line, b"what the run began with").status.code(), Some(0));
    let ran = piped(&dir, "resume out@1 --snapshot-output more", b"something else");
    let said = "warning: standard input is not read: the run goes on with the one that it began with\n";
    assert!(ran.status.code() == Some(0) && text(&ran.stderr).contains(said), "{}", text(&ran.stderr));
}

#[test]
fn without_a_pipe_standard_input_is_empty() {
    let dir = Dir::with("cat.wasm", CAT);
    assert_eq!(dir.run("cat.wasm").code(0).stdout(), b"");
    assert_eq!(piped(&dir, "--snapshot-output empty cat.wasm", b"").stdout, b"");
    assert!(!dir.path("empty/files").exists());
}

#[test]
fn the_reference_reads_what_was_piped_too() {
    let dir = Dir::with("cat.wasm", CAT);
    let ran = piped(&dir, "--check-reference cat.wasm", b"x");
    assert_eq!((ran.status.code(), &*ran.stdout), (Some(0), &b"x"[..]));
    assert!(text(&ran.stderr).contains("reference: same outcome"), "{}", text(&ran.stderr));
}

#[test]
fn what_was_piped_is_found_where_its_chain_was_moved_to() {
    let dir = Dir::with("cat.wasm", CAT);
    let line = "--gas-limit 150 --enable-gas-refill --snapshot-output out cat.wasm";
    for input in ["the first input", "another one"] {
        assert_eq!(piped(&dir, line, input.as_bytes()).status.code(), Some(0));
    }
    dir.run("verify cat.wasm out --engine native").code(0);
    dir.run("verify cat.wasm out/earlier-1 --engine native").code(0);
}

#[cfg(unix)]
#[test]
fn nothing_is_kept_through_a_link() {
    let dir = Dir::with("cat.wasm", CAT);
    for name in ["out", "outside"] {
        std::fs::create_dir(dir.path(name)).expect("a directory");
    }
    std::os::unix::fs::symlink(dir.path("outside"), dir.path("out/files")).expect("a link");
    let ran = piped(&dir, "--snapshot-output out cat.wasm", b"x");
    assert_eq!(ran.status.code(), Some(74), "{}", text(&ran.stderr));
    assert_eq!(dir.names("outside"), Vec::<String>::new());
}

#[test]
fn what_is_frozen_has_what_was_piped_too() {
    let dir = Dir::with("cat.wasm", CAT);
    let ran = piped(&dir, "freeze a.frozen --after 100 --snapshot-output out cat.wasm", b"to be frozen");
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let whole = [&ran.stdout, dir.run("thaw a.frozen").code(0).stdout()].concat();
    assert_eq!(text(&whole), "to be frozen");
}

#[test]
fn a_wrong_command_line_is_said_before_a_pipe_is_read() {
    let dir = Dir::with("cat.wasm", CAT);
    let mut command = dir.command("--gas-limit x cat.wasm");
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    // Its standard input stays open.
    let open = child.stdin.take();
    assert_eq!(child.wait().expect("it ends").code(), Some(2));
    drop(open);
}
