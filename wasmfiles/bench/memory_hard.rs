//! A memory-hard function in the manner of Argon2: 512 blocks of 1 KiB, each filled from the one before and from one that
//! the data chooses. n blocks are filled.
mod common;

const BLOCKS: usize = 512;
const WORDS: usize = 128;
type Block = [u64; WORDS];

#[unsafe(no_mangle)]
pub extern "C" fn run(n: i32) -> i64 {
    let mut numbers = common::Numbers::new(3);
    let mut memory: Vec<Block> = vec![[0; WORDS]; BLOCKS];
    for block in &mut memory[..2] {
        block.fill_with(|| numbers.next());
    }
    let mut last = 1;
    for step in 0..n.max(0) as usize {
        let reference = ((memory[last][0] as u32).wrapping_mul(0x9e37_79b1) as usize) % (step + 2).min(BLOCKS);
        let next = (last + 1) % BLOCKS;
        let block = fill(&memory[last], &memory[reference]);
        for (word, new) in memory[next].iter_mut().zip(block) {
            *word ^= new;
        }
        last = next;
    }
    memory[last].iter().fold(0, |sum, &word| common::mix(sum, word)) as i64
}

fn fill(previous: &Block, reference: &Block) -> Block {
    let both: Block = std::array::from_fn(|i| previous[i] ^ reference[i]);
    let mut mixed = both;
    for row in 0..8 {
        permute(&mut mixed, |i| row * 16 + i);
    }
    for column in 0..8 {
        permute(&mut mixed, |i| i / 2 * 16 + column * 2 + i % 2);
    }
    std::array::from_fn(|i| both[i] ^ mixed[i])
}

/// The round of BLAKE2b on 16 words, with multiplications: columns, then diagonals.
fn permute(block: &mut Block, index: impl Fn(usize) -> usize) {
    let mut v: [u64; 16] = std::array::from_fn(|i| block[index(i)]);
    for i in 0..4 {
        quarter(&mut v, i, 4 + i, 8 + i, 12 + i);
    }
    for i in 0..4 {
        quarter(&mut v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
    }
    for (i, word) in v.into_iter().enumerate() {
        block[index(i)] = word;
    }
}

fn quarter(v: &mut [u64; 16], a: usize, b: usize, c: usize, d: usize) {
    for (turn_d, turn_b) in [(32, 24), (16, 63)] {
        v[a] = add(v[a], v[b]);
        v[d] = (v[d] ^ v[a]).rotate_right(turn_d);
        v[c] = add(v[c], v[d]);
        v[b] = (v[b] ^ v[c]).rotate_right(turn_b);
    }
}

fn add(x: u64, y: u64) -> u64 {
    let product = (x & 0xffff_ffff).wrapping_mul(y & 0xffff_ffff);
    x.wrapping_add(y).wrapping_add(product.wrapping_mul(2))
}
