//! The specification's test suite holds whole, whichever engine runs and wherever it pauses. `cargo xtask spec` prints the
//! figures.

use node_tests::spec::{Config, Suite, run_suite};

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
