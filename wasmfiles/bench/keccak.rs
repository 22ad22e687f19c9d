//! SHA3-256 of a message of n blocks of 136 bytes, of which byte i is i mod 251: rotations of i64 in straight line.
//! Returns the first 8 bytes of the digest, little-endian.

const RATE: usize = 136;
const ROUNDS: usize = 24;

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let constants = round_constants();
    let (mut state, mut block) = ([0; 25], [0; RATE]);
    for i in 0..n.max(0) as usize {
        block.iter_mut().enumerate().for_each(|(at, byte)| *byte = ((i * RATE + at) % 251) as u8);
        absorb(&mut state, &block, &constants);
    }
    block.fill(0);
    block[0] = 0x06;
    block[RATE - 1] = 0x80;
    absorb(&mut state, &block, &constants);
    state[0] as i64
}

/// One bit of a shift register for each bit 2^j - 1 of each round's constant.
fn round_constants() -> [u64; ROUNDS] {
    let mut register = 1_u8;
    std::array::from_fn(|_| {
        let mut constant = 0;
        for j in 0..7 {
            constant |= u64::from(register & 1) << ((1 << j) - 1);
            register = register << 1 ^ if register & 0x80 != 0 { 0x71 } else { 0 };
        }
        constant
    })
}

fn absorb(state: &mut [u64; 25], block: &[u8; RATE], constants: &[u64; ROUNDS]) {
    for (lane, bytes) in state.iter_mut().zip(block.as_chunks().0) {
        *lane ^= u64::from_le_bytes(*bytes);
    }
    for constant in constants {
        round(state, *constant);
    }
}

#[inline(never)]
fn round(a: &mut [u64; 25], constant: u64) {
    // theta
    let parity: [u64; 5] = std::array::from_fn(|x| a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20]);
    for x in 0..5 {
        let change = parity[(x + 4) % 5] ^ parity[(x + 1) % 5].rotate_left(1);
        (x..25).step_by(5).for_each(|lane| a[lane] ^= change);
    }
    // rho and pi: lane (x, y) goes to (y, 2x + 3y), turned by a triangular number
    let (mut x, mut y, mut moving) = (1, 0, a[1]);
    for step in 1..25_u32 {
        (x, y) = (y, (2 * x + 3 * y) % 5);
        let turned = moving.rotate_left(step * (step + 1) / 2 % 64);
        moving = std::mem::replace(&mut a[x + 5 * y], turned);
    }
    // chi
    for row in a.as_chunks_mut::<5>().0 {
        let old = *row;
        (0..5).for_each(|x| row[x] = old[x] ^ !old[(x + 1) % 5] & old[(x + 2) % 5]);
    }
    // iota
    a[0] ^= constant;
}
