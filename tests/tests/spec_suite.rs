//! The specification's test suite holds whole, whichever engine runs and wherever it pauses. `cargo xtask spec` prints the
//! figures.

use node_tests::spec::{Config, Suite, assertions_of, run_suite};

fn assert_whole(suite: Suite, config: Config) -> u64 {
    let score = run_suite(suite, config);
    assert_eq!(score.failures, Vec::<String>::new(), "{suite:?} {config:?}");
    assert_eq!((score.assertions, score.passed), (suite.assertions(), suite.assertions()));
    score.gas
}

#[test]
fn version_1_holds_on_both_engines_for_the_same_gas() {
    assert_eq!(assert_whole(Suite::V1, Config::Fast), assert_whole(Suite::V1, Config::Stepper));
}

#[test]
fn version_2_holds_on_both_engines_for_the_same_gas() {
    assert_eq!(assert_whole(Suite::V2, Config::Fast), assert_whole(Suite::V2, Config::Stepper));
}

#[test]
fn version_2_holds_with_a_pause_after_every_unit_of_gas_and_after_every_seventh() {
    assert_eq!(assert_whole(Suite::V2, Config::Sliced(1)), assert_whole(Suite::V2, Config::Sliced(7)));
}

#[test]
fn vectors_hold_on_both_engines_for_the_same_gas() {
    assert_eq!(assert_whole(Suite::Simd, Config::Fast), assert_whole(Suite::Simd, Config::Stepper));
}

#[test]
fn version_3_holds_on_both_engines_for_the_same_gas() {
    assert_eq!(assert_whole(Suite::V3, Config::Fast), assert_whole(Suite::V3, Config::Stepper));
}

#[test]
fn vectors_hold_with_a_pause_after_every_unit_of_gas_and_each_of_the_first_between_two_machines() {
    let restored = Config::Restored { every: 7, most: 40 };
    assert_eq!(assert_whole(Suite::Simd, Config::Sliced(1)), assert_whole(Suite::Simd, restored));
}

#[test]
fn version_3_holds_with_pauses() {
    assert_whole(Suite::V3, Config::Sliced(101));
}

#[test]
fn the_editions_have_as_many_assertions_as_their_files() {
    for suite in Suite::ALL {
        let files = suite.files();
        let sum: u64 = files.iter().map(|file| assertions_of(file).unwrap()).sum();
        assert_eq!(sum, suite.assertions(), "{} files of {}", files.len(), suite.name());
    }
    let left_out: Vec<_> =
        Suite::V3.left_out().iter().map(|f| (f.name().to_owned(), assertions_of(f).unwrap())).collect();
    assert_eq!(left_out, [("ref_null.wast".to_owned(), 32), ("type-rec.wast".to_owned(), 15)]);
}
