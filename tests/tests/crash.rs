//! What a crash, a power loss or a full disk leaves: the quick essentials of `cargo xtask crash`.

use node_tests::crash::disk::Op;
use node_tests::crash::job::{Judge, Promise};
use node_tests::crash::node::CommandFace;
#[cfg(unix)]
use node_tests::crash::planted;
use node_tests::crash::report::Figures;
use node_tests::crash::{host_faults, kill, node_faults, power};
use node_tests::session::Files;

#[test]
fn power_lost_after_any_operation_loses_nothing_that_was_reported() {
    let figures = power::run(300, 0).unwrap();
    println!("{} images", figures.images);
    assert_eq!(figures.lost, Vec::<String>::new());
    assert!(figures.images > 200, "{}", figures.images);
}

#[test]
fn what_is_lost_is_noticed() {
    let mut judge = Judge::new().unwrap();
    let whole = judge.whole();
    let mut expect = |change: fn(&mut Files), promise: Promise, lost: &str| {
        let mut files = whole.clone();
        change(&mut files);
        let verdict = judge.judge(&files, promise).map_err(|error| format!("{error:#}"));
        assert_eq!(verdict.err().as_deref(), (!lost.is_empty()).then_some(lost));
    };
    let highest = Promise { id: 4, finished: true };
    expect(|_| (), highest, "");
    let half = |files: &mut Files| files.get_mut("2.bin").unwrap().truncate(100);
    expect(half, highest, "half-written: [\"2.bin\"]");
    let without = |files: &mut Files| drop(files.remove("2.bin"));
    expect(without, highest, "from Some(\"4\"): error: out/2.bin: no such file");
    let shorter = |files: &mut Files| files.retain(|name, _| !name.starts_with(['4', 'r']));
    expect(shorter, highest, "snapshot 4 was reported, the highest is 3");
    expect(shorter, Promise { id: 3, finished: true }, "the end was reported, there is no result.txt");
    expect(shorter, Promise { id: 3, finished: false }, "");
    let claims = |files: &mut Files| files.retain(|name, _| !name.starts_with('4'));
    expect(claims, Promise::default(), "result.txt tells of snapshot 4, which is not there");
}

#[test]
fn a_runner_that_syncs_no_files_or_no_directory_would_lose_something() {
    for left_out in [|op: &Op| matches!(op, Op::SyncFile(..)), |op: &Op| matches!(op, Op::Sync)] {
        let mut judge = Judge::new().unwrap();
        let first = power::scenarios(&mut judge).unwrap().remove(0).without(left_out);
        let mut lost = Vec::new();
        first.every_prefix(&mut judge, &mut lost);
        assert!(!lost.is_empty());
    }
}

#[test]
fn removals_that_are_not_synced_in_stages_would_lose_something() {
    for stage in [0, 1] {
        let mut judge = Judge::new().unwrap();
        let scenarios = power::scenarios(&mut judge).unwrap();
        let mut over = scenarios.into_iter().find(|scenario| scenario.name == "over an older run").unwrap();
        let syncs = over.log.iter().enumerate().filter(|(_, op)| **op == Op::Sync);
        let sync = syncs.map(|(number, _)| number).nth(stage).unwrap();
        over.log.remove(sync);
        let mut lost = Vec::new();
        over.every_prefix(&mut judge, &mut lost);
        assert!(!lost.is_empty(), "stage {stage}");
    }
}

#[test]
fn a_node_that_stops_anywhere_in_a_save_leaves_the_old_or_the_new_snapshot() {
    let figures = kill::run(20_000).unwrap();
    println!("{figures:?}");
    assert_eq!(figures.lost, Vec::<String>::new());
    assert!(figures.calls > 30 && figures.directories > 20, "{figures:?}");
}

#[test]
fn every_refused_operation_of_the_host_runner_is_named_and_loses_nothing() {
    let mut figures = Figures::default();
    host_faults::run(&mut figures).unwrap();
    println!("{:?}", figures.kinds);
    assert_eq!(figures.wrong, Vec::<String>::new());
    assert!(figures.places() > 300, "{}", figures.places());
}

#[test]
fn every_refused_call_of_the_node_is_named_and_loses_nothing() {
    let mut figures = Figures::default();
    node_faults::run(&CommandFace::new().unwrap(), &mut figures).unwrap();
    println!("{:?}", figures.kinds);
    assert_eq!(figures.wrong, Vec::<String>::new());
    assert!(figures.places() > 300, "{}", figures.places());
}

#[cfg(unix)]
#[test]
fn what_is_planted_in_place_of_a_file_is_refused_or_replaced_and_never_followed() {
    let mut figures = Figures::default();
    planted::run(&CommandFace::new().unwrap(), &mut figures).unwrap();
    println!("{:?}", figures.kinds);
    assert_eq!(figures.wrong, Vec::<String>::new());
    assert_eq!(figures.places(), 126);
}
