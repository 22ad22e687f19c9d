//! `cargo xtask determinism`: every operator on special values, in every place where the node runs, and in wasmtime itself.

use anyhow::Result;
use node_tests::determinism::compare;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Differences that are listed
    #[arg(long, default_value_t = 50)]
    list: usize,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let figures = compare()?;
    figures.differences.iter().take(args.list).for_each(|line| println!("{line}"));
    for (name, count) in &figures.known {
        println!("{name}: another choice than wasmtime's in {count} results");
    }
    println!(
        "determinism: {} operators, {} results each in {} places ({}), {} traps, {} canonical NaNs and no other, {} moved \
         values unchanged, {} differences",
        figures.operators,
        figures.results,
        figures.places.len(),
        figures.places.join(", "),
        figures.traps,
        figures.canonical,
        figures.moved,
        figures.differences.len()
    );
    Ok(figures.differences.is_empty())
}
