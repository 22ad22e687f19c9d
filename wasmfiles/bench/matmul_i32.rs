//! Products of 40x40 matrices of i32, row by column: nested loops with two strides. n products.
mod common;

use common::{Numbers, mix};

const SIZE: usize = 40;
type Matrix = [[i32; SIZE]; SIZE];

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut numbers = Numbers::new(1);
    let factor = random(&mut numbers);
    let (mut product, mut next) = (random(&mut numbers), [[0; SIZE]; SIZE]);
    let mut sum = 0;
    for _ in 0..n {
        multiply(&product, &factor, &mut next);
        std::mem::swap(&mut product, &mut next);
        sum = mix(sum, (0..SIZE).map(|i| product[i][i] as u64).fold(0, u64::wrapping_add));
    }
    product.iter().flatten().fold(sum, |sum, &x| mix(sum, x as u64)) as i64
}

fn random(numbers: &mut Numbers) -> Matrix {
    std::array::from_fn(|_| std::array::from_fn(|_| numbers.next() as i32))
}

#[inline(never)]
fn multiply(a: &Matrix, b: &Matrix, product: &mut Matrix) {
    for i in 0..SIZE {
        for j in 0..SIZE {
            product[i][j] = (0..SIZE).fold(0, |sum: i32, k| sum.wrapping_add(a[i][k].wrapping_mul(b[k][j])));
        }
    }
}
