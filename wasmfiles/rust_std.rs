//! Exercises the Rust standard library on WASI preview 1.
//!
//! `rust_std [CODE | panic] [WORD...]`: prints what it was given and a few
//! computed values, then exits with CODE (0 without one), or panics.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    println!("args: {args:?}");
    println!("GREETING: {}", std::env::var("GREETING").unwrap_or_else(|e| format!("({e})")));

    // The default hasher takes its keys from random_get; the sort hides them.
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in args.iter().skip(1) {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    for (word, count) in &counts {
        println!("{word:>8} {count:03}");
    }

    let squares: HashMap<u64, u64> = (0..1000).map(|n| (n, n * n)).collect();
    println!("sum of squares: {}", squares.values().sum::<u64>());

    let floats = [0.1 + 0.2, 1.0 / 3.0, 2f64.sqrt(), -0.0, 1e21, 5e-324, f64::MAX, f64::INFINITY, f64::NAN];
    for x in floats {
        println!("{x} {x:?} {x:.3} {x:e}");
    }
    println!("{:#x} {:#010b} {:>+6} {:?}", 48879, 5, 7, "tab\té\u{1f980}");

    let mut state = 1u32;
    let mut numbers: Vec<u32> = (0..2000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        })
        .collect();
    numbers.sort_unstable();
    println!("sorted: {} min {} median {} max {}", numbers.is_sorted(), numbers[0], numbers[1000], numbers[1999]);

    let mut last = Instant::now();
    let monotonic = (0..100).all(|_| {
        let now = Instant::now();
        let ordered = now >= last;
        last = now;
        ordered
    });
    println!("monotonic: {monotonic}");
    // Only that the clock can be read: whatever it says is after 1970.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    println!("wall clock readable: {}", since.is_ok_and(|d| d >= Duration::ZERO));

    match args.first().map(String::as_str) {
        Some("panic") => panic!("asked to panic with {} words", args.len() - 1),
        Some(code) => std::process::exit(code.parse().unwrap_or(0)),
        None => {}
    }
}
