//! Counts under the key `counter`. Arguments: none to add 1, `add N` to add N, `reset` to begin again. The result is
//! the new number, 8 bytes, the lowest first; so is the value. It uses the interface of module `env`.
#![no_std]

use contract_sdk::{contract, fail, number, storage_delete, storage_read, storage_write, words};

const KEY: &[u8] = b"counter";

contract_sdk::entry!(run);

fn run() {
    let args = contract::args();
    let by = match words(&args)[..] {
        [] => Some(1),
        [b"add", by] => number(by),
        [b"reset"] => return reset(),
        _ => None,
    };
    let by = by.unwrap_or_else(|| fail(b"counter: bad arguments"));
    let number = value().checked_add(by).unwrap_or_else(|| fail(b"counter: overflow"));
    storage_write(KEY, &number.to_le_bytes());
    contract::set_result(&number.to_le_bytes());
}

fn reset() {
    storage_delete(KEY);
    contract::set_result(&value().to_le_bytes());
}

fn value() -> u64 {
    let Some(value) = storage_read(KEY) else { return 0 };
    value.try_into().map_or_else(|_| fail(b"counter: the value is not 8 bytes"), u64::from_le_bytes)
}
