//! `debug`: a run gone through by commands, in both directions.

use std::fs::File;
use std::process::Stdio;

use crate::util::{Dir, FIB, Ran, TRAP};

/// Fills words from the last to the first, each by a call of `$put`.
const FILL: &str = r#"(module (memory (export "memory") 1)
    (func $put (param i32) (i32.store (i32.mul (local.get 0) (i32.const 4)) (local.get 0)))
    (func (export "fill") (param i32)
        (loop $l (call $put (local.get 0)) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;

fn chain(text: &str, call: &str) -> Dir {
    let dir = Dir::with("p.wasm", text);
    dir.run(&format!("--engine native --gas-limit 100 --enable-gas-refill -o out p.wasm {call}"));
    dir
}

/// What comes of lines that are typed.
fn typed(dir: &Dir, lines: &str) -> Ran {
    std::fs::write(dir.path("typed"), lines).expect("a file");
    let mut command = dir.command("debug out");
    command.stdin(Stdio::from(File::open(dir.path("typed")).expect("a file")));
    Ran::new(command.output().expect("the runner starts"))
}

#[track_caller]
fn check(dir: &Dir, lines: &str, expected: &[&str]) {
    let ran = typed(dir, lines).code(0);
    assert_eq!(crate::util::text(ran.stdout()).lines().collect::<Vec<_>>(), expected, "{lines}");
}

#[test]
fn breakpoints_are_met_in_both_directions_by_name_number_offset_and_export() {
    let dir = chain(FILL, "fill 50");
    check(
        &dir,
        "break put\nbreak fill\nc\nc\nout\nrc\nrc\nbreaks\ndelete\nbreak 0x38\nc\nrc\nbreak 1\nc\n",
        &[
            "breakpoint 1: function 0 of instance 0",
            "breakpoint 2: function 1 of instance 0",
            "breakpoint 1: function 0 of instance 0",
            "gas 2: function 0 <put> at offset 0x31, local.get",
            "breakpoint 1: function 0 of instance 0",
            "gas 14: function 0 <put> at offset 0x31, local.get",
            "gas 19: function 1 at offset 0x44, local.get",
            "breakpoint 1: function 0 of instance 0",
            "gas 14: function 0 <put> at offset 0x31, local.get",
            "breakpoint 1: function 0 of instance 0",
            "gas 2: function 0 <put> at offset 0x31, local.get",
            "breakpoint 1: function 0 of instance 0",
            "breakpoint 2: function 1 of instance 0",
            "breakpoint 1: offset 0x38 of instance 0",
            "breakpoint 1: offset 0x38 of instance 0",
            "gas 6: function 0 <put> at offset 0x38, i32.store",
            "gas 0: function 1 at offset 0x40, local.get",
            "breakpoint 2: function 1 of instance 0",
            "breakpoint 1: offset 0x38 of instance 0",
            "gas 6: function 0 <put> at offset 0x38, i32.store",
        ],
    );
}

#[test]
fn the_last_and_the_next_writer_of_bytes_are_found_and_how_they_changed() {
    let dir = chain(FILL, "fill 50");
    check(
        &dir,
        "seek end\nwrote 80+4\nmemory 80+8\nstep\nmemory 80+8\nwrites 80+4\nwrites 76+4\nchanges 40+4\nseek end\nchanges 40+4\n",
        &[
            "gas 600: the end, finished",
            "gas 366: function 0 <put> at offset 0x38, i32.store",
            "  0x00000050  00 00 00 00 15 00 00 00                          ........",
            "gas 367: function 1 at offset 0x44, local.get",
            "  0x00000050  14 00 00 00 15 00 00 00                          ........",
            "nothing writes there",
            "gas 367: function 1 at offset 0x44, local.get",
            "gas 378: function 0 <put> at offset 0x38, i32.store",
            "no change up to here",
            "gas 600: the end, finished",
            "gas 486: 00000000 -> 0a000000",
        ],
    );
}

#[test]
fn lines_of_a_source_are_met_in_both_directions() {
    let dir = Dir::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/mean.wasm");
    std::fs::copy(sample, dir.path("mean.wasm")).expect("copied");
    dir.run("--engine native --gas-limit 4 --enable-gas-refill -o out mean.wasm mean 7 1").code(0);
    check(
        &dir,
        "seek end\nbreak mean.rs:27\nrc\nstack\nrc\nbreak mean.rs:34\nc\nrc\n",
        &[
            "gas 10: the end, finished",
            "breakpoint 1: mean.rs:28",
            "breakpoint 1: mean.rs:28",
            "gas 5: function 0 <<mean::Bin>::mean> at offset 0x46 (./mean.rs:19:9), local.get",
            "#0 function 0 <<mean::Bin>::mean> at offset 0x46 (./mean.rs:19:9), local.get",
            "#1 function 1 <mean> at offset 0x58 (./mean.rs:34:19), i32.const",
            "gas 0: function 1 <mean> at offset 0x4e (./mean.rs:34:19), local.get",
            "breakpoint 2: mean.rs:34",
            "breakpoint 1: mean.rs:28",
            "gas 5: function 0 <<mean::Bin>::mean> at offset 0x46 (./mean.rs:19:9), local.get",
            "breakpoint 2: mean.rs:34",
            "gas 0: function 1 <mean> at offset 0x4e (./mean.rs:34:19), local.get",
        ],
    );
    typed(&dir, "break mean.rs:1000\n")
        .code(2)
        .says("mean.rs:1000: there is no code of this line, nor of one after it");
}

#[test]
fn a_trap_is_gone_back_from() {
    let dir = chain(TRAP, "run");
    check(
        &dir,
        "seek trap\nwhere\nback 3\nover\nback-over\nseek start\nstack\nseek end\n",
        &[
            "gas 104: function 0 <divide> at offset 0x37, i32.div_u",
            "gas 104: function 0 <divide> at offset 0x37, i32.div_u",
            "  locals: [i32 0]",
            "  operands: [i32 7, i32 0]",
            "gas 101: function 0 <divide> at offset 0x30, br_if",
            "gas 102: function 0 <divide> at offset 0x33, i32.const",
            "gas 101: function 0 <divide> at offset 0x30, br_if",
            "gas 0: function 0 <divide> at offset 0x23, i32.const",
            "#0 function 0 <divide> at offset 0x23, i32.const",
            "gas 105: the end, trapped: integer divide by zero",
        ],
    );
}

#[test]
fn a_script_ends_where_it_goes_wrong_and_says_what_was_expected() {
    let dir = chain(FIB, "fib 10");
    for (line, says) in [
        ("jump", "jump: is no command of debug"),
        ("break nothing", "break nothing: no function has this name"),
        ("delete 1", "there is no breakpoint 1"),
        ("seek 1e9", "is beyond the run"),
        ("seek trap", "the run did not end in a trap"),
        ("memory 0+4", "memory 0 is not there"),
    ] {
        typed(&dir, &format!("{line}\nwhere\n")).code(2).says(says);
    }
    dir.run("debug nowhere").code(2).says("nowhere: no such directory");
    let before = dir.names("out");
    dir.run("debug out -x where -x quit").code(0);
    assert_eq!(dir.names("out"), before, "a debugger writes nothing");
}
