//! Keeps balances, each under the key `balance/NAME` in 8 bytes, the lowest first. Arguments:
//!
//! | | result |
//! | --- | --- |
//! | `mint TO AMOUNT` | the new balance of TO |
//! | `burn FROM AMOUNT` | the new balance of FROM; its key is deleted at 0 |
//! | `transfer FROM TO AMOUNT` | the new balance of FROM |
//! | `balance WHO` | the balance, 0 without a key |
//! | `total` | the sum of all balances |
//!
//! It decides before it writes, so that one that cannot be done has written nothing when it traps. A transfer writes
//! twice: in between, what was taken has not arrived.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;

use contract_sdk::{contract, fail, number, store, words};

const PREFIX: &[u8] = b"balance/";

/// What comes after every key with the prefix: its last byte is one more.
const AFTER_PREFIX: &[u8] = b"balance0";

contract_sdk::entry!(run);

fn run() {
    let args = contract::args();
    let result = match words(&args)[..] {
        [b"mint", to, amount] => mint(to, parse_amount(amount)),
        [b"burn", from, amount] => burn(from, parse_amount(amount)),
        [b"transfer", from, to, amount] => transfer(from, to, parse_amount(amount)),
        [b"balance", who] => balance(who),
        [b"total"] => total(),
        _ => fail(b"token: bad arguments"),
    };
    contract::set_result(&result.to_le_bytes());
}

fn mint(to: &[u8], amount: u64) -> u64 {
    let credited = credit(balance(to), amount);
    store::put(&key(to), &credited.to_le_bytes());
    credited
}

fn burn(from: &[u8], amount: u64) -> u64 {
    let left = debit(balance(from), amount);
    match left {
        0 => store::delete(&key(from)),
        _ => store::put(&key(from), &left.to_le_bytes()),
    }
    left
}

fn transfer(from: &[u8], to: &[u8], amount: u64) -> u64 {
    let left = debit(balance(from), amount);
    let credited = credit(if from == to { left } else { balance(to) }, amount);
    store::put(&key(from), &left.to_le_bytes());
    store::put(&key(to), &credited.to_le_bytes());
    if from == to { credited } else { left }
}

fn balance(who: &[u8]) -> u64 {
    store::get(&key(who)).map_or(0, decode)
}

fn total() -> u64 {
    store::iterate(PREFIX, Some(AFTER_PREFIX)).fold(0, |sum, (_, value)| credit(sum, decode(value)))
}

fn key(name: &[u8]) -> Vec<u8> {
    [PREFIX, name].concat()
}

fn decode(value: Vec<u8>) -> u64 {
    value.try_into().map_or_else(|_| fail(b"token: a balance is not 8 bytes"), u64::from_le_bytes)
}

fn parse_amount(word: &[u8]) -> u64 {
    number(word).unwrap_or_else(|| fail(b"token: bad amount"))
}

fn credit(balance: u64, amount: u64) -> u64 {
    balance.checked_add(amount).unwrap_or_else(|| fail(b"token: overflow"))
}

fn debit(balance: u64, amount: u64) -> u64 {
    balance.checked_sub(amount).unwrap_or_else(|| fail(b"token: insufficient balance"))
}
