//! Calls another contract. Arguments: `NAME GAS REST`, one space after each of the first two: the contract, its gas
//! limit, its arguments, which may be missing with the space before them. The result is the inner one, empty if the
//! call failed.
//!
//! Before the call it writes the name of its own caller to the key `router/before`, after it the status of the call to
//! `router/after`, a decimal digit: what a failed call wrote is undone, and only that.
#![no_std]

use contract_sdk::{contract, fail, number, store};

contract_sdk::entry!(run);

fn run() {
    let args = contract::args();
    let mut parts = args.splitn(3, |byte| *byte == b' ');
    let (Some(name), Some(gas_limit)) = (parts.next(), parts.next().and_then(number)) else {
        fail(b"router: bad arguments")
    };
    store::put(b"router/before", &contract::caller());
    let called = contract::call(name, parts.next().unwrap_or_default(), gas_limit);
    let status = called.as_ref().map_or_else(|error| *error as u8, |_| 0);
    store::put(b"router/after", &[b'0' + status]);
    contract::set_result(&called.unwrap_or_default());
}
