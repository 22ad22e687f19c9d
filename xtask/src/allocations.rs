//! `cargo xtask allocations`: the n-th allocation fails while a program is loaded, run, resumed and verified natively, and inside
//! wasm the node's memory ends at every page.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;
use node_tests::allocations::{Failing, sizes_of_memory, sweep, to_the_default_limits};
use serde_json::json;
use stepmark_runner::memory::Bounded;

use crate::evidence;

#[global_allocator]
static MEMORY: Bounded<Failing> = Bounded(Failing::new());

#[derive(clap::Args)]
pub(crate) struct Args {
    /// From one allocation that fails to the next; 1 for all
    #[arg(long, default_value_t = 40)]
    stride: u64,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Write the table to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

#[derive(clap::Args)]
pub(crate) struct ChildArgs {
    /// Number of the allocation from which they fail, 0 for none
    from: u64,
    /// Command line of the host runner
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    argv: Vec<OsString>,
}

/// The host runner in this process, with allocations that fail.
pub(crate) fn child(args: &ChildArgs) -> ! {
    MEMORY.0.fail_from(if args.from == 0 { u64::MAX } else { args.from });
    let code = host_runner::cli::execute(std::iter::once("stepmark".into()).chain(args.argv.iter().cloned()));
    let count = MEMORY.0.count();
    MEMORY.0.fail_from(0);
    eprintln!("allocations: {count}");
    std::process::exit(code)
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let own = std::env::current_exe()?;
    let child = |from: u64, argv: &str| {
        let mut command = Command::new(&own);
        command.args(["allocations-child", &from.to_string()]).args(argv.split(' '));
        command
    };
    let mut figures = sweep(&child, args.stride.max(1))?;
    let sizes = sizes_of_memory()?;
    let mut table = "| what | allocations | made to fail |\n| --- | --: | --: |\n".to_owned();
    for (name, count, failed) in &figures.rows {
        table.push_str(&format!("| {name} | {count} | {failed} |\n"));
    }
    table.push_str("\n| inside wasm | sizes of memory that are not enough |\n| --- | --: |\n");
    for (name, refused, otherwise) in &sizes {
        table.push_str(&format!("| {name} | {refused} |\n"));
        figures.wrong.extend(otherwise.iter().map(|said| format!("{name}, inside wasm, {said}")));
    }
    let whole = to_the_default_limits();
    if !matches!(whole, Ok(1)) {
        figures.wrong.push(format!("a memory and a file to the default limits, inside wasm: {whole:?}"));
    }
    table.push_str(
        "\nA program whose memory and file grow in turns to the default limits runs to its end inside wasm.\n",
    );
    print!("{table}");
    for wrong in figures.wrong.iter().take(20) {
        println!("{wrong}");
    }
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{:#}\n", json!({ "rows": figures.rows, "wrong": figures.wrong })))?;
    }
    let failed: u64 = figures.rows.iter().map(|(.., failed)| failed).sum();
    let wrong = figures.wrong.len();
    let refused: usize = sizes.iter().map(|(_, refused, _)| refused).sum();
    let figure = format!(
        "allocations: {failed} made to fail natively, {refused} sizes of memory not enough inside wasm, {wrong} ended otherwise \
         than by saying so"
    );
    println!("{figure}");
    if args.evidence {
        evidence::record("Allocations that fail", &evidence::command_line(), &table, &figure)?;
    }
    Ok(wrong == 0 && failed > 0)
}
