//! How much of the machine a program takes that has much memory and uses little of it.

use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

/// Pages of 64 KiB in 1 GiB, and of 4 KiB in 1 MiB.
const GIB: u32 = 16_384;
const TOUCHED: u32 = 256;

/// A program of one page, of 1 GiB from the start, and one that grows to 1 GiB at once and in steps of 1 MiB, without a
/// declared maximum. Each writes to 256 pages of 4 KiB, 1 MiB in all, as far apart as its memory allows; the first one to
/// one page.
pub const PROGRAMS: [&str; 4] = ["small.wasm", "declared.wasm", "grown.wasm", "grown_in_steps.wasm"];

/// A directory with the programs.
///
/// # Errors
/// If they cannot be written.
pub fn directory() -> Result<TempDir> {
    let dir = tempfile::tempdir()?;
    let apart = u64::from(GIB) * 65_536 / u64::from(TOUCHED);
    let step = "(loop $grow (drop (memory.grow (i32.const 16)))
        (br_if $grow (i32.lt_u (memory.size) (i32.const 16369))))";
    let grow = format!("(drop (memory.grow (i32.const {})))", GIB - 1);
    for (name, pages, grow, apart) in [
        (PROGRAMS[0], 1, "", 0),
        (PROGRAMS[1], GIB, "", apart),
        (PROGRAMS[2], 1, grow.as_str(), apart),
        (PROGRAMS[3], 16, step, apart),
    ] {
        write(dir.path(), name, pages, grow, apart)?;
    }
    Ok(dir)
}

fn write(dir: &Path, name: &str, pages: u32, grow: &str, apart: u64) -> Result<()> {
    let text = format!(
        r#"(module (memory {pages})
            (func (export "run") (result i32) (local $page i32)
                {grow}
                (loop $touch
                    (i32.store (i32.mul (local.get $page) (i32.const {apart})) (i32.const 7))
                    (local.set $page (i32.add (local.get $page) (i32.const 1)))
                    (br_if $touch (i32.lt_u (local.get $page) (i32.const {TOUCHED}))))
                (memory.size)))"#
    );
    Ok(std::fs::write(dir.join(name), wat::parse_str(text)?)?)
}

/// Arguments of the node for a program.
pub fn argv(program: &str) -> Vec<String> {
    ["--snapshot-output", "out", program, "run"].map(str::to_owned).to_vec()
}
