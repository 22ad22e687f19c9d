//! Points of the Mandelbrot set: a short f64 loop that leaves at a data-dependent time. n points.
mod common;

const LIMIT: u32 = 300;

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut sum = 0;
    for point in 0..n.max(0) as u32 {
        // Steps that are no fraction of the side cover the square evenly for any n.
        let x = fraction(f64::from(point) * 0.754_877_666_246_692_7) * 3.0 - 2.2;
        let y = fraction(f64::from(point) * 0.569_840_290_998_053_2) * 2.4 - 1.2;
        sum = common::mix(sum, escape(x, y).into());
    }
    sum as i64
}

fn fraction(x: f64) -> f64 {
    x - x.floor()
}

fn escape(x: f64, y: f64) -> u32 {
    let (mut re, mut im) = (0.0, 0.0);
    for step in 0..LIMIT {
        let (re2, im2) = (re * re, im * im);
        if re2 + im2 > 4.0 {
            return step;
        }
        im = 2.0 * re * im + y;
        re = re2 - im2 + x;
    }
    LIMIT
}
