//! Every input that fuzzing has kept, the seeds, and changes of both, through the oracles of the fuzz targets, on a stable
//! compiler and without coverage.

use node_tests::fuzz::{TARGETS, Target, changed, corpus, hex, parse_hex};
use node_tests::fuzz_host;
use node_tests::generate::Rng;

/// Changes of each input.
const CHANGES: usize = 6;

fn replay(target: &Target) {
    let kept = corpus(target.name).expect("the corpus can be read");
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{}: no seeds", target.name);
    let mut rng = Rng::new(17);
    for input in seeds.into_iter().chain(kept) {
        let changes = (0..CHANGES).map(|_| changed(input.clone(), &mut rng)).collect::<Vec<_>>();
        for input in std::iter::once(input).chain(changes) {
            // An oracle that fails panics; the input above its message is what to look at.
            println!("{}: {}", target.name, hex(&input));
            (target.oracle)(&input);
        }
    }
}

#[test]
fn every_kept_input_seed_and_change_of_them_passes_its_oracle() {
    TARGETS.iter().for_each(replay);
}

#[test]
fn every_kept_input_seed_and_change_of_them_passes_its_oracle_in_the_host_runner() {
    fuzz_host::TARGETS.iter().for_each(replay);
}

#[test]
fn a_line_of_a_corpus_is_hexadecimal_digits_in_pairs() {
    assert_eq!(parse_hex(&hex(&[0, 0xab, 7])).expect("digits"), [0, 0xab, 7]);
    assert_eq!(parse_hex("0").unwrap_err().to_string(), "byte 0 stands alone");
    assert_eq!(parse_hex("0g").unwrap_err().to_string(), "\"0g\" at 0");
}
