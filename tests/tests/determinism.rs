//! Every operator gives the same bytes everywhere.

use node_tests::determinism::{KNOWN, compare};

#[test]
fn every_operator_gives_the_same_bytes_in_every_place_at_special_values() {
    let figures = compare().unwrap();
    let shown: Vec<_> = figures.differences.iter().take(20).collect();
    assert!(figures.differences.is_empty(), "{} differences: {shown:#?}", figures.differences.len());
    println!("{figures:?}");
    assert!(figures.operators >= 420 && figures.results >= 1_000_000, "{figures:?}");
    assert!(figures.canonical >= 10_000 && figures.moved >= 10_000 && figures.traps >= 100, "{figures:?}");
    assert_eq!(figures.known.len(), KNOWN.len(), "{:?}", figures.known);
}
