//! The power method on the matrix 1 / ((i + j)(i + j + 1) / 2 + i + 1): divisions and conversions. n steps at size 50.
mod common;

const SIZE: usize = 50;
type Vector = [f64; SIZE];

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut u = [1.0; SIZE];
    let mut norm = 0.0;
    for _ in 0..n {
        let v = multiply(&multiply(&u, element), |i, j| element(j, i));
        norm = dot(&v, &v).sqrt();
        u = v.map(|x| x / norm);
    }
    u.iter().fold(norm.to_bits(), |sum, x| common::mix(sum, x.to_bits())) as i64
}

fn element(i: u32, j: u32) -> f64 {
    1.0 / f64::from((i + j) * (i + j + 1) / 2 + i + 1)
}

#[inline(never)]
fn multiply(vector: &Vector, element: impl Fn(u32, u32) -> f64) -> Vector {
    std::array::from_fn(|i| (0..).zip(vector).map(|(j, x)| element(i as u32, j) * x).sum())
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
