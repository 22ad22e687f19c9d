//! The node gives what wasmtime and wasmi give. `cargo xtask differential` runs more seeds.

use node_tests::differential::{Differential, Figures};
use node_tests::generate::linked::random_linked;
use node_tests::generate::program::random_program;
use node_tests::generate::smith_module;

#[test]
fn wasmtime_and_wasmi_give_the_same_results_traps_memories_and_globals() {
    let engines = Differential::new().unwrap();
    let mut figures = Figures::default();
    for seed in 0..150 {
        let own = wat::parse_str(random_program(seed)).unwrap();
        for (floats, bytes) in [(true, Some(own)), (true, smith_module(seed, true)), (false, smith_module(seed, false))]
        {
            let Some(bytes) = bytes else { continue };
            match engines.compare(&bytes, seed, 2) {
                Ok(one) => figures.add(&one),
                Err(error) => panic!("seed {seed}, floats {floats}: {error:#}"),
            }
        }
    }
    println!("{figures:?}");
    assert!(figures.calls >= 300 && figures.returned >= 100, "{figures:?}");
}

#[test]
fn a_module_at_which_wasmi_panics_is_compared_with_wasmtime() {
    // Its translation ends in a panic at the store.
    let own = wat::parse_str(random_program(6_047_574)).unwrap();
    let figures = Differential::new().unwrap().compare(&own, 6_047_574, 4).unwrap();
    assert_eq!(figures.wasmi_alone, 1, "{figures:?}");
    assert!(figures.calls > 0 && figures.wasmtime_only == figures.calls, "{figures:?}");
}

#[test]
fn linked_modules_give_the_same_in_wasmtime() {
    let engines = Differential::new().unwrap();
    let mut figures = Figures::default();
    for seed in 0..100 {
        match engines.compare_linked(&random_linked(seed), seed, 2) {
            Ok(one) => figures.add(&one),
            Err(error) => panic!("linked seed {seed}: {error:#}"),
        }
    }
    println!("{figures:?}");
    assert!(figures.calls >= 200 && figures.returned >= 50, "{figures:?}");
}
