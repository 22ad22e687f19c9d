//! The standard library's hash map with a hasher of our own: insertions, look-ups, removals and growth. n rounds of 500
//! operations.
mod common;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

#[derive(Default)]
struct Multiply(u64);

impl Hasher for Multiply {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = common::mix(self.0, value);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut numbers = common::Numbers::new(8);
    let mut sum = 0;
    let mut map = HashMap::<u64, u32, BuildHasherDefault<Multiply>>::default();
    for round in 0..n {
        // Every 16 rounds the map starts again, and so grows again.
        if round % 16 == 0 {
            map = HashMap::default();
        }
        for _ in 0..100 {
            *map.entry(numbers.below(1500).into()).or_insert(0) += 1;
        }
        for _ in 0..300 {
            let found = map.get(&numbers.below(2000).into());
            sum = common::mix(sum, found.map_or(0, |&count| u64::from(count)));
        }
        for _ in 0..100 {
            sum ^= map.remove(&numbers.below(4000).into()).map_or(0, u64::from);
        }
        sum = common::mix(sum, map.len() as u64);
    }
    // The order of a map is its own affair.
    map.iter().fold(sum, |sum, (key, count)| sum.wrapping_add(common::mix(*key, u64::from(*count)))) as i64
}
