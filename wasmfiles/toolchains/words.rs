//! `words [ROUNDS [fail]]`: counts the words of standard input, computes for ROUNDS rounds, then fails if told to.

use std::io::Read;

fn compute(mut x: u64, rounds: u64) -> u64 {
    for _ in 0..rounds {
        x = (x ^ (x >> 29)).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    }
    x >> 33
}

#[inline(never)]
fn element(table: &[i32], index: usize) -> i32 {
    table[index]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("standard input is text");
    let words = text.split_whitespace().count() as u64;
    println!("{words} words");
    let rounds = args.first().map_or(0, |rounds| rounds.parse().expect("ROUNDS is a number"));
    println!("{rounds} rounds: {}", compute(words, rounds));
    if args.get(1).is_some_and(|word| word == "fail") {
        println!("{}", element(&[1, 2, 3], 7));
    }
}
