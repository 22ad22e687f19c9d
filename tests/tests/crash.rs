//! What a crash, a power loss or a full disk leaves: the quick essentials of `cargo xtask crash`.

use node_tests::crash::disk::Op;
use node_tests::crash::job::Judge;
use node_tests::crash::power;

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
