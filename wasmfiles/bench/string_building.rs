//! Text made and taken apart with the standard library: formatting, splitting, changing case, joining; many short-lived
//! allocations. n rounds.
mod common;

use std::fmt::Write;

use common::{Numbers, mix};

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut numbers = Numbers::new(10);
    let mut sum = 0;
    for round in 0..n {
        let table = table(round, &mut numbers);
        let words: Vec<String> = table.split_whitespace().map(turned).collect();
        let line = words.join("-");
        sum = line.bytes().fold(sum, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        sum = mix(sum, line.matches("x4").count() as u64);
    }
    sum as i64
}

fn table(round: i32, numbers: &mut Numbers) -> String {
    let mut text = String::new();
    for row in 0..8 {
        let number = numbers.below(1 << 20);
        writeln!(text, "{round:>6} {row} {number:#x} {:.2}", f64::from(number) / 128.0).expect("memory takes all");
        text += &format!("{:08b}|{}\n", number & 255, ["north", "été", "süd", "ouest"][row % 4]);
    }
    text
}

fn turned(word: &str) -> String {
    if word.len() % 2 == 0 { word.to_uppercase() } else { word.chars().rev().collect() }
}
