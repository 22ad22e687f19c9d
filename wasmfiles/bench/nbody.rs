//! Five bodies that attract each other: f64 arithmetic with square roots and divisions. n steps.
mod common;

const STEP: f64 = 0.01;

#[derive(Clone, Copy)]
struct Body {
    mass: f64,
    place: [f64; 3],
    speed: [f64; 3],
}

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut bodies = system();
    for _ in 0..n {
        attract(&mut bodies);
        for body in &mut bodies {
            for (place, speed) in body.place.iter_mut().zip(body.speed) {
                *place += speed * STEP;
            }
        }
    }
    let coordinates = bodies.iter().flat_map(|body| body.place.into_iter().chain(body.speed));
    coordinates.map(f64::to_bits).fold(energy(&bodies).to_bits(), common::mix) as i64
}

/// A sun, and planets on circles that get slower and tilt as they get wider.
fn system() -> [Body; 5] {
    let mut bodies = [Body { mass: 40.0, place: [0.0; 3], speed: [0.0; 3] }; 5];
    for (i, body) in bodies.iter_mut().enumerate().skip(1) {
        let radius = i as f64 * 3.0;
        let speed = (40.0 / radius).sqrt();
        *body = Body { mass: 0.01 / i as f64, place: [radius, 0.0, 0.0], speed: [0.0, speed, 0.02 * i as f64] };
    }
    bodies
}

#[inline(never)]
fn attract(bodies: &mut [Body; 5]) {
    for i in 0..bodies.len() {
        let (done, rest) = bodies.split_at_mut(i + 1);
        let body = &mut done[i];
        for other in rest {
            let apart: [f64; 3] = std::array::from_fn(|axis| body.place[axis] - other.place[axis]);
            let square = apart.iter().map(|x| x * x).sum::<f64>();
            let pull = STEP / (square * square.sqrt());
            for axis in 0..3 {
                body.speed[axis] -= apart[axis] * other.mass * pull;
                other.speed[axis] += apart[axis] * body.mass * pull;
            }
        }
    }
}

fn energy(bodies: &[Body; 5]) -> f64 {
    bodies.iter().map(|body| 0.5 * body.mass * body.speed.iter().map(|v| v * v).sum::<f64>()).sum()
}
