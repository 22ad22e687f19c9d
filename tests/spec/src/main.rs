//! Runs one edition of the suite in one configuration and prints the score as JSON: `spec-suite v1|v2|simd|v3 CONFIG
//! [FILE]...`, only the files named where there are any. It is built for wasm32-wasip1 and run on a wasm runtime by
//! `cargo xtask spec --in-node`, and run under Miri and AddressSanitizer by `cargo xtask miri` and `asan`.

use anyhow::{Context, Result, bail, ensure};
use spec_suite::{Config, Score, Suite, run_file, run_suite};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let suite = match args.next().as_deref() {
        Some("v1") => Suite::V1,
        Some("v2") => Suite::V2,
        Some("simd") => Suite::Simd,
        Some("v3") => Suite::V3,
        other => bail!("expected v1, v2, simd or v3, found {other:?}"),
    };
    let config = args.next().context("expected a configuration")?.parse()?;
    let names: Vec<String> = args.collect();
    let score = if names.is_empty() { run_suite(suite, config) } else { run_files(suite, config, &names)? };
    println!("{}", serde_json::to_string(&score)?);
    Ok(())
}

/// Runs the files of these names, without their extension.
fn run_files(suite: Suite, config: Config, names: &[String]) -> Result<Score> {
    let mut score = Score::default();
    let files = suite.files();
    for name in names {
        let file = files.iter().find(|file| file.name().trim_end_matches(".wast") == name);
        let file = file.with_context(|| format!("{} has no file {name}", suite.name()))?;
        let before = score.assertions;
        score.add(run_file(suite, config, file));
        ensure!(score.assertions > before, "{name} has no assertions");
    }
    Ok(score)
}
