//! What a crash, a power loss or a full disk leaves: the quick essentials of `cargo xtask crash`.

use node_tests::crash::disk::Op;
use node_tests::crash::job::Judge;
use node_tests::crash::node::CommandFace;
#[cfg(unix)]
use node_tests::crash::planted;
use node_tests::crash::report::Figures;
use node_tests::crash::{host_faults, kill, node_faults, power};

#[test]
fn power_lost_after_any_operation_loses_nothing_that_was_reported() {
    let figures = power::run(300, 0).unwrap();
    println!("{} images", figures.images);
    assert_eq!(figures.lost, Vec::<String>::new());
    assert!(figures.images > 200, "{}", figures.images);
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
fn a_node_that_stops_anywhere_in_a_save_leaves_the_old_or_the_new_snapshot() {
    let figures = kill::run(5_000).unwrap();
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
