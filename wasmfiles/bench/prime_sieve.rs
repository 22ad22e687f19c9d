//! The sieve of Eratosthenes, in segments of 16,384 numbers: byte stores with a stride, and a scan. n segments.
mod common;

const SEGMENT: u32 = 16 << 10;
/// Numbers up to its square, 4,096 segments, are sieved by all primes below their root.
const ROOT: u32 = 8 << 10;

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let small = small_primes();
    let mut composite = vec![false; SEGMENT as usize];
    let mut sum = 0;
    for segment in 0..n.max(0) as u32 {
        let (count, last) = sieve(&small, segment.wrapping_mul(SEGMENT), &mut composite);
        sum = common::mix(sum, u64::from(count) << 32 | u64::from(last));
    }
    sum as i64
}

fn small_primes() -> Vec<u32> {
    let mut composite = [false; ROOT as usize];
    let mut primes = Vec::new();
    for i in 2..ROOT {
        if !composite[i as usize] {
            primes.push(i);
            (i * i..ROOT).step_by(i as usize).for_each(|multiple| composite[multiple as usize] = true);
        }
    }
    primes
}

/// How many numbers from `first` on are prime, and the last of them.
fn sieve(small: &[u32], first: u32, composite: &mut [bool]) -> (u32, u32) {
    composite.fill(false);
    let end = u64::from(first) + u64::from(SEGMENT);
    for &prime in small {
        let square = u64::from(prime) * u64::from(prime);
        if square >= end {
            break;
        }
        let mut multiple = square.max(u64::from(first).div_ceil(prime.into()) * u64::from(prime)) - u64::from(first);
        while multiple < u64::from(SEGMENT) {
            composite[multiple as usize] = true;
            multiple += u64::from(prime);
        }
    }
    let (mut count, mut last) = (0, 0);
    for (number, composite) in (first..).zip(composite) {
        if !*composite && number > 1 {
            count += 1;
            last = number;
        }
    }
    (count, last)
}
