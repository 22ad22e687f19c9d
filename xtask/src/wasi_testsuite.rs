//! `cargo xtask wasi-testsuite DIR`: a folder of prebuilt preview 1 programs, each against its expectation.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use node_tests::wasi_suite;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder with NAME.wasm and, where it has one, NAME.json [default: wasmfiles/wasi]
    folder: Option<PathBuf>,
    /// File that names the programs to leave out, each with the reason [default: tests/wasi-skips.toml]
    #[arg(long)]
    skips: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let workspace = crate::workspace();
    let folder = args.folder.clone().unwrap_or_else(|| workspace.join("wasmfiles/wasi"));
    let skips = args.skips.clone().unwrap_or_else(|| workspace.join("tests/wasi-skips.toml"));
    let skips = std::fs::read_to_string(&skips).with_context(|| skips.display().to_string())?;
    let skips: BTreeMap<String, String> = toml::from_str(&skips)?;
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for program in wasi_suite::programs(&folder)? {
        let name = &program.name;
        if let Some(reason) = skips.get(name) {
            println!("skipped {name}: {reason}");
            skipped += 1;
        } else if let Err(error) = program.check() {
            println!("failed  {name}: {error:#}");
            failed += 1;
        } else {
            println!("passed  {name}");
            passed += 1;
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(failed == 0 && passed > 0)
}
