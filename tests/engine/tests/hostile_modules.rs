//! No module makes the node panic, however its bytes were changed. `cargo xtask mutate --what module` runs more cases.

use engine_tests::mutate::module::{Figures, case, samples};
use stepmark_core::module::{Features, Module};

#[test]
fn changed_modules_are_refused_or_run_alike_on_both_engines() {
    let samples = samples().unwrap();
    let mut figures = Figures::default();
    for number in 0..2_000 {
        case(&samples, 0, number, &mut figures);
    }
    println!("{figures:?}");
    assert!(figures.failures.is_empty(), "{:#?}", figures.failures);
    assert!(figures.accepted >= 200 && figures.ran >= 150 && figures.functions >= 2_000, "{figures:?}");
}

#[test]
fn an_import_of_an_exact_function_is_refused_by_the_name_of_what_it_needs() {
    let mut bytes = wat::parse_str("(module (type (func)) (import \"m\" \"f\" (func (type 0))))").unwrap();
    let kind = bytes.windows(5).position(|w| w == [1, b'm', 1, b'f', 0]).unwrap() + 4;
    bytes[kind] = 0x20;
    let error = Module::parse(bytes, Features::default()).unwrap_err();
    assert!(error.to_string().contains("exact type needs custom descriptors"), "{error}");
}
