//! The walk-through of the reference node's description as it stands there: make two directories, run with refill, copy
//! what is needed, empty the output directory, resume from the middle without refill and with refill into that same
//! directory, and compare bytes. Through this runner with both engines, and through the node's bare command face under
//! the WASI of Node.js.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::util::{Dir, Ran};

/// Set to 1, this leaves out the tests that need Node.js, where there is none.
const LEAVE_OUT_NODE_JS: &str = "WITHOUT_NODE_JS";

/// What runs the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Runner(&'static str),
    NodeJs,
}

/// A program of the walk-through.
struct Walk {
    /// Flags of all three runs.
    flags: &'static str,
    /// Program and arguments.
    program: &'static str,
    /// The snapshot to resume from.
    middle: u64,
    /// The highest snapshot.
    last: u64,
    /// Third line of `result.txt`.
    values: &'static str,
    /// What the program prints.
    stdout: &'static str,
}

/// With the limit that gives ten snapshots under the default schedule.
const MATRIX: Walk = Walk {
    flags: "--gas-limit 2200000",
    program: "./wasmfiles/matrix_multiplication_cpp_100.wasm run",
    middle: 4,
    last: 10,
    values: "32835000\n",
    stdout: "",
};
/// The description's own command, under the schedule of its node. Its build of the program came to 10 snapshots, ours,
/// by another compiler, comes to 5: one after the one to resume from, as many as the commands need.
const MATRIX_AS_DESCRIBED: Walk = Walk { flags: "--gas-limit 10000000 --gas-schedule seed-ordinal", last: 5, ..MATRIX };
const FIB: Walk = Walk {
    flags: "--gas-limit 1000000",
    program: "./wasmfiles/fib32.wasm fib 27",
    middle: 2,
    last: 5,
    values: "196418\n",
    stdout: "",
};
const SHA256: Walk = Walk {
    flags: "--gas-limit 1000000",
    program: "./wasmfiles/sha256.wasm 65536",
    middle: 6,
    last: 13,
    values: "",
    stdout: "4b640d85ab3ba30fd02c9fc9db4a8928f416322ad27022ea58a65aaee68a4df2\n",
};

#[test]
fn matrix_multiplication_by_the_walk_through() {
    walk_everywhere(&MATRIX);
}

#[test]
fn matrix_multiplication_with_the_limit_and_the_schedule_of_the_description() {
    walk_everywhere(&MATRIX_AS_DESCRIBED);
}

#[test]
fn fib_27_by_the_walk_through() {
    walk_everywhere(&FIB);
}

#[test]
fn sha256_of_65536_bytes_by_the_walk_through() {
    walk_everywhere(&SHA256);
}

#[test]
fn fib_and_sha256_under_the_schedule_of_the_description() {
    walk_everywhere(&Walk { flags: "--gas-limit 1000000 --gas-schedule seed-ordinal", middle: 4, last: 8, ..FIB });
    walk_everywhere(&Walk { flags: "--gas-limit 1000000 --gas-schedule seed-ordinal", middle: 14, last: 30, ..SHA256 });
}

/// Walks through every face, and compares what they wrote.
fn walk_everywhere(walk: &Walk) {
    let faces = [Face::Runner("wasm"), Face::Runner("native"), Face::NodeJs];
    let ready = faces.into_iter().filter(|face| *face != Face::NodeJs || has_node_js());
    let mut all = ready.map(|face| (face, walk_through(walk, face)));
    let (_, first) = all.next().expect("a face");
    for (face, dir) in all {
        for name in first.names("input") {
            let [left, right] = [&first, &dir].map(|dir| dir.read(&format!("input/{name}")));
            assert!(left == right, "{name} differs in {face:?}");
        }
        assert_eq!(first.names("input"), dir.names("input"), "{face:?}");
    }
}

fn walk_through(walk: &Walk, face: Face) -> Dir {
    let Walk { flags, program, middle, last, values, stdout } = walk;
    let (dir, next) = (Dir::new(), middle + 1);
    let file = program.split_whitespace().next().expect("a program");
    fs::create_dir(dir.path("wasmfiles")).expect("a directory");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file), dir.path(file)).expect("a sample program");

    // mkdir ./input; mkdir ./output; run with refill
    fs::create_dir(dir.path("input")).expect("a directory");
    fs::create_dir(dir.path("output")).expect("a directory");
    let line = format!("{flags} --snapshot-output ./output --enable-gas-refill {program}");
    let ran = face.run(&dir, &line).code(0);
    // The command prints what the entry returns; the bare module leaves that to the file.
    let printed = if matches!(face, Face::Runner(_)) { *values } else { "" };
    assert_eq!(String::from_utf8_lossy(ran.stdout()), format!("{stdout}{printed}"), "{face:?}");
    assert_eq!(dir.text("output/result.txt"), format!("0\n{last}\n{values}"), "{face:?}");
    let files = ["bin", "snap"].iter().flat_map(|kind| (1..=*last).map(move |id| format!("{id}.{kind}")));
    let mut files: Vec<String> = files.chain(["receipt.json".to_owned(), "result.txt".to_owned()]).collect();
    files.sort();
    assert_eq!(shown(&dir), files, "{face:?}");

    // cp 1.bin ... M.bin M.snap ../input; cp N.bin N.snap result.txt ../input; rm ./output/*
    let copied = (1..=next).map(|id| format!("{id}.bin"));
    for name in copied.chain([format!("{middle}.snap"), format!("{next}.snap"), "result.txt".to_owned()]) {
        fs::copy(dir.path("output").join(&name), dir.path("input").join(&name)).expect("a copy");
    }
    shown(&dir).iter().for_each(|name| fs::remove_file(dir.path("output").join(name)).expect("removed"));

    // resume without refill; diff ./output/N.snap ./input/N.snap; diff ./output/N.bin ./input/N.bin
    let resume = format!("{flags} --snapshot-input ./input --snapshot-id {middle} --snapshot-output ./output");
    face.run(&dir, &format!("{resume} {program}")).code(75);
    for name in [format!("{next}.snap"), format!("{next}.bin")] {
        let [old, new] = ["input", "output"].map(|place| dir.read(&format!("{place}/{name}")));
        assert!(old == new, "{name} differs from the first run ({face:?})");
    }
    assert_eq!(dir.text("output/result.txt"), format!("134\n{next}\n"), "{face:?}");

    // resume with refill, into the same directory; diff ./output/result.txt ./input/result.txt
    face.run(&dir, &format!("{resume} --enable-gas-refill {program}")).code(0);
    assert_eq!(dir.read("output/result.txt"), dir.read("input/result.txt"), "{face:?}");
    dir
}

/// What `*` stands for in `./output`.
fn shown(dir: &Dir) -> Vec<String> {
    dir.names("output").into_iter().filter(|name| !name.starts_with('.')).collect()
}

impl Face {
    fn run(self, dir: &Dir, line: &str) -> Ran {
        match self {
            Self::Runner(engine) => dir.run(&format!("--engine {engine} {line}")),
            Self::NodeJs => {
                let wasm = dir.path("guest-interp.wasm");
                if !wasm.exists() {
                    dir.run("export-node guest-interp.wasm").code(0);
                }
                let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/js/run-node.mjs");
                let mut command = Command::new("node");
                command.arg("--no-warnings").arg(script).arg(wasm).arg(dir.path("")).args(line.split_whitespace());
                Ran::new(command.output().expect("Node.js starts"))
            }
        }
    }
}

/// Whether there is a Node.js to use: there has to be one of version 20 or later, or somebody said to leave it out.
fn has_node_js() -> bool {
    if std::env::var_os(LEAVE_OUT_NODE_JS).is_some_and(|value| value == "1") {
        eprintln!("skipped: Node.js ({LEAVE_OUT_NODE_JS}=1)");
        return false;
    }
    let advice = format!("Node.js 20 or later has to be in PATH; {LEAVE_OUT_NODE_JS}=1 leaves these tests out");
    let output = Command::new("node").arg("--version").output().unwrap_or_else(|error| panic!("{error}: {advice}"));
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|text| text.parse().ok());
    assert!(major.is_some_and(|major: u32| major >= 20), "found {version}: {advice}");
    true
}
