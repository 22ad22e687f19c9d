//! Two executors of one segment, one of which goes wrong once: the instruction after which they part is found, in about as
//! many questions as the segment's gas has binary digits.

use std::fs;
use std::path::Path;

use node_tests::session::{Drive, Job, program};
use stepmark_runner::bisect::{ExecutorProcess, SegmentQuestion, diverge, recheck, write_executors};
use stepmark_runner::bounds::Bounds;
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_runner::node::engine::Engine;
use stepmark_session::spec::SnapshotName;

/// Local 0 counts down from a million.
const PROGRAM: &str = "(module (memory 1) (func $run (export \"run\") (param $n i32) (result i32)
    (loop $l
      (i32.store (i32.const 64) (local.get $n))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.load (i32.const 64))))";
/// Gas of a segment.
const GAS: u64 = 1_000_000;

/// A chain of the program in a directory.
fn chain(dir: &Path) -> (ChainFiles, Rerun, JobFiles, String) {
    let file = dir.join("program.wasm");
    let inputs = program(PROGRAM);
    fs::write(&file, &inputs["program.wasm"]).expect("written");
    let job = Job::new(inputs, "", "program.wasm run 1000000");
    let run = job.start(&format!("--gas-limit {GAS} --enable-gas-refill"), Drive::WHOLE).expect("runs");
    for (path, bytes) in &run.files {
        let name = path.rsplit('/').next().expect("a name");
        fs::write(dir.join(name), bytes).expect("written");
    }
    let chain = ChainFiles::open(dir).expect("opens");
    let program = file.display().to_string();
    let job = chain.job.clone().expect("a job");
    let files = JobFiles::find(&job, Some(&program), &GivenFiles::default(), dir).expect("found");
    let rerun = Rerun::new(job, &files, dir);
    (chain, rerun, files, program)
}

fn executor(name: &str, fault: u64, dir: &Path, id: &str, program: &str) -> ExecutorProcess {
    let command = format!("{} {fault} {} {id} {program}", env!("CARGO_BIN_EXE_faulty_executor"), dir.display());
    ExecutorProcess::start(name, &command).expect("starts")
}

#[test]
fn the_first_instruction_that_differs_is_found_and_named() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = temporary.path();
    let (chain, rerun, files, program) = chain(dir);
    let place = SnapshotRef::new(dir, SnapshotName::Number(2));
    // Not between the subtraction and the `local.tee`, which would undo the change.
    for fault in [1, 333_336, GAS - 1] {
        let question = SegmentQuestion { rerun: &rerun, place: &place, gas: GAS, engine: Engine::Native };
        let mut honest = executor("left", u64::MAX, dir, "2", &program);
        let mut faulty = executor("right", fault, dir, "2", &program);
        let found = diverge(&question, &mut honest, &mut faulty).expect("decides").expect("they part");
        assert_eq!((found.agreed.gas, found.parted.gas), (fault - 1, fault));
        assert_eq!((&found.own_hash, found.left.len()), (&found.left_hash, 0));
        let [difference] = found.right.as_slice() else { panic!("one difference: {:?}", found.right) };
        assert_eq!(difference.what, "frame 0 (outermost is 0): local 0");
        assert!(found.place.starts_with("function 0 <run> at offset "), "{}", found.place);
        assert!(found.questions <= 26, "{} questions for {GAS} gas", found.questions);
        // What was found can be decided again from one file.
        let bundle = dir.join("dispute.tar");
        write_executors(&bundle, &chain, 2, &files, &found).expect("written");
        let again = recheck(&bundle, Engine::Native, &Bounds::default()).expect("decides");
        assert!(again.confirmed && again.right == "left", "{again:?}");
        let mut bytes = fs::read(&bundle).expect("read");
        let at = bytes.windows(12).position(|window| window == b"\"right_hash\"").expect("there") + 16;
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        fs::write(&bundle, bytes).expect("written");
        assert!(recheck(&bundle, Engine::Native, &Bounds::default()).expect("decides").right == "left");
    }
}

#[test]
fn executors_that_do_the_same_agree_also_beyond_the_end() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = temporary.path();
    let (chain, rerun, _, program) = chain(dir);
    let id = (chain.last() - 1).to_string();
    let place = SnapshotRef::new(dir, id.parse().expect("an id"));
    // The program ends long before: a state that has ended stays what it is.
    let question = SegmentQuestion { rerun: &rerun, place: &place, gas: 100 * GAS, engine: Engine::Native };
    let mut left = executor("left", u64::MAX, dir, &id, &program);
    let mut right = executor("right", u64::MAX, dir, &id, &program);
    assert!(diverge(&question, &mut left, &mut right).expect("decides").is_none());
    let (hash, halted) = left.hash(stepmark_runner::bisect::Position { gas: 5, steps: 0 }).expect("answers");
    assert!(!halted && hash.len() == 64);
    assert!(left.hash(stepmark_runner::bisect::Position { gas: 100 * GAS, steps: 0 }).expect("answers").1);
}
