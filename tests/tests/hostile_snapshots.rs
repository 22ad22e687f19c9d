//! x
use node_tests::mutate::{Figures, case, subjects};

#[test]
fn changed_snapshots_are_refused_or_mean_what_they_say() {
    std::panic::set_hook(Box::new(|_| ()));
    let subjects = subjects();
    let mut figures = Figures::default();
    for number in 0..4_000 {
        case(&subjects, 0, number, &mut figures);
    }
    for f in figures.failures.iter().take(40) {
        println!("{}", f.chars().take(600).collect::<String>());
    }
    println!(
        "{} {} {} {} acc {} fail {}",
        figures.cases,
        figures.fields,
        figures.bytes,
        figures.pages,
        figures.accepted,
        figures.failures.len()
    );
}
