//! Names of gas schedules that are taken: a table under a built-in name is the built-in one, wherever it is read.

use crate::encoding::hex;
use crate::error::JobError;

/// Table 2 of `default`.
const DEFAULT_2: &str = "044f459607699c05c4042d2e815ae698e6ca9c916ce93e973f3683365189bf68";
/// Table 1 of `default`, which has that name in chains of before.
const DEFAULT_1: &str = "6a6ec473e0d75c2780c2bc5da8c31197113a2b56cc2719324ab59d3b7a023869";
/// The reference node's table.
const SEED_ORDINAL: &str = "2b0a76b6b7f59ff92c0d7c2c8c3f29bcd18b3b2e59bdd298803561e7df6a2bcf";

/// Hashes (BLAKE3 of the canonical text, in hexadecimal) of the tables that a built-in name stands for and has stood for, newest
/// first; none if the name is not built in.
pub fn built_in(name: &str) -> &'static [&'static str] {
    match name {
        "default" => &[DEFAULT_2, DEFAULT_1],
        "default-1" => &[DEFAULT_1],
        "seed-ordinal" => &[SEED_ORDINAL],
        _ => &[],
    }
}

/// Checks that a table with this hash may have this name. Every snapshot is asked, so nothing is read for it.
///
/// # Errors
/// A usage error: another table has the name of a built-in one.
pub fn check_schedule_name(name: &str, hash: &[u8; 32]) -> Result<(), JobError> {
    let Some(newest) = built_in(name).first() else { return Ok(()) };
    let given = hex(hash);
    if built_in(name).contains(&given.as_str()) {
        return Ok(());
    }
    Err(JobError::usage(format!(
        "gas schedule {name:?}: the built-in schedule of this name has the hash {newest}, this table has {given}"
    )))
}
