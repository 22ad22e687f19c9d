//! Bytes as a frozen node: the size of its memory, how many pages are said to follow, and for each its number and the byte
//! that it is full of. What is accepted is written again as it is.

use sha2::{Digest, Sha256};
use stepmark_runner::node::frozen::{Frozen, PAGE, encode};

/// Pages that a file here has at most: each is of 64 KiB.
const MOST: usize = 8;
/// Memories of more pages are not made again.
const MOST_MEMORY: u32 = 64;

pub(super) fn frozen(data: &[u8]) {
    let _ = Frozen::decode(data);
    let Some((numbers, records)) = data.split_at_checked(8) else { return };
    let mut file = [b"NODEFRZ1".as_slice(), &[7; 32], numbers].concat();
    for record in records.chunks_exact(5).take(MOST) {
        file.extend_from_slice(&record[..4]);
        file.extend(std::iter::repeat_n(record[4], PAGE));
    }
    let checksum = Sha256::digest(&file);
    file.extend_from_slice(&checksum);
    let Ok(found) = Frozen::decode(&file) else { return };
    if found.size > MOST_MEMORY {
        return;
    }
    let mut memory = vec![0; found.size as usize * PAGE];
    for (index, page) in &found.pages {
        let start = *index as usize * PAGE;
        memory[start..start + PAGE].copy_from_slice(page);
    }
    let mut again = Vec::new();
    encode(&found.node, &memory, &mut again).expect("it fits");
    assert!(again == file, "reading and writing changes an accepted file");
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let file = |size: u32, pages: &[(u32, u8)]| {
        let count = pages.len() as u32;
        let records = pages.iter().flat_map(|(index, fill)| [&index.to_le_bytes()[..], &[*fill]].concat());
        [size.to_le_bytes(), count.to_le_bytes()].concat().into_iter().chain(records).collect()
    };
    vec![file(0, &[]), file(5, &[(0, 1), (3, 255)]), file(60, &[(59, 9)])]
}
