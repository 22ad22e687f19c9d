//! Where commands write, in every state that a stranger can leave it in: a command ends soon, and says what is wrong, or
//! replaces the name that it was told to write. What a link leads to is never written, what is not ours never removed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sweep::{copy, detached, fixture, freeze, put, shown};
use crate::util::Dir;
use crate::{Met, meet};

/// What stands where a command writes. Directories hold a file that is not ours.
const STATES: [&str; 7] = ["text", "directory", "FIFO", "socket", "device", "loop", "link out"];

/// Commands that make a directory, `place`.
const DIRECTORIES: [&str; 4] = [
    "--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output place fib.wasm fib 20",
    "resume out@2 --engine native --enable-gas-refill --snapshot-output place",
    "import chain.tar place",
    "--engine native --file /data/input.txt=input.txt --deliver place --snapshot-output new files.wasm",
];

/// Commands that make a file, `place`.
const FILES: [&str; 4] = [
    "export out -o place",
    "witness out@1 fib.wasm -o place",
    "bisect fib.wasm out false --engine native --bundle place",
    "export-module place",
];

/// The commands run in copies of the fixture; `place` leads, if it is a link, into `outside`.
fn prepare(fixture: &Path, work: &Path, outside: &Path, state: &str, makes_file: bool) {
    copy(fixture, work);
    fs::create_dir_all(outside).expect("made");
    fs::write(outside.join("theirs"), "not ours").expect("written");
    let place = work.join("place");
    put(state, &place, &if makes_file { outside.join("theirs") } else { outside.to_owned() });
    if state == "directory" {
        fs::write(place.join("theirs"), "not ours").expect("written");
    }
}

/// The files that are not ours: outside, and in `place` if it is a directory.
fn theirs(work: &Path, outside: &Path) -> [Option<String>; 2] {
    [outside.join("theirs"), work.join("place/theirs")].map(|path| fs::read_to_string(path).ok())
}

/// Runs `line` in a copy with `place` in `state`; what it came to.
fn meet_place(fixture: &Path, state: &str, makes_file: bool, run: impl FnOnce(&Path) -> Met) -> String {
    let scratch = Dir::new();
    let (work, outside) = (scratch.path("work"), scratch.path("outside"));
    prepare(fixture, &work, &outside, state, makes_file);
    let before = theirs(&work, &outside);
    let met = run(&work);
    let after = theirs(&work, &outside);
    assert!(before == after, "{state}: what is not ours was changed: {before:?} {after:?}: {}", met.stderr);
    let code = met.code.unwrap_or_else(|| panic!("{state}: hangs: {}", met.stderr));
    assert!([0, 1, 2, 65, 74].contains(&code), "{state}: {code}: {}", met.stderr);
    let first = met.stderr.lines().find(|line| line.starts_with("error")).unwrap_or_default();
    format!("{state}: {code} {}", shown(first, &scratch.path("")))
}

/// What a command comes to: a link at the name of a file is replaced, and another file is not; directories are used, through links too, but not
/// by `import`.
fn expected(line: &str, state: &str) -> String {
    let is_file = FILES.contains(&line);
    let refusal = match state {
        _ if line.starts_with("import") => "there is something already",
        "text" | "8 GiB" if is_file => {
            return "2 error: place: a file of another kind is there, and would be replaced".to_owned();
        }
        "no permission" if is_file => "Permission denied (os error 13)",
        "directory" if is_file => "is a directory where a file is to be written",
        "FIFO" | "socket" | "device" if is_file => "is a device, pipe or socket where a file is to be written",
        "text" | "FIFO" | "socket" | "device" | "loop" if !is_file => {
            "is no directory, and files are to be written into it"
        }
        _ => "",
    };
    match refusal {
        // A dispute that is decided.
        "" if line.starts_with("bisect") => "1 ".to_owned(),
        "" => "0 ".to_owned(),
        refusal => format!("74 error: place: {refusal}"),
    }
}

#[test]
fn no_place_of_a_strangers_makes_a_command_wait_or_write_elsewhere() {
    let fixture = fixture();
    for line in DIRECTORIES.into_iter().chain(FILES) {
        for state in STATES {
            let met = meet_place(&fixture.path(""), state, FILES.contains(&line), |work| {
                let aside = work.with_file_name("aside");
                fs::create_dir_all(&aside).expect("made");
                let mut command = Command::new(env!("CARGO_BIN_EXE_stepmark"));
                meet(command.args(line.split_whitespace()).current_dir(work), &aside)
            });
            assert_eq!(met, format!("{state}: {}", expected(line, state)), "{line}");
        }
    }
}

#[test]
fn a_good_node_thaws_into_no_strangers_place() {
    let fixture = fixture();
    freeze(&fixture);
    for state in STATES {
        let met = meet_place(&fixture.path(""), state, false, |work| {
            let (code, stderr) = detached(work, "thaw node.frozen --snapshot-output place");
            Met { code: Some(code), stdout: String::new(), stderr }
        });
        assert_eq!(met, format!("{state}: {}", expected("thaw", state)));
    }
}
