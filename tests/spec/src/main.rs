//! Runs one edition of the suite in one configuration and prints the score as JSON: `spec-suite v1|v2|simd|v3 CONFIG`. It is built
//! for wasm32-wasip1 and run on a wasm runtime by `cargo xtask spec --in-node`.

use anyhow::{Context, Result, bail};
use spec_suite::{Suite, run_suite};

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
    println!("{}", serde_json::to_string(&run_suite(suite, config))?);
    Ok(())
}
