//! A proof as a list of parts, and every list that differs from it by one part. Whoever joins the parts again repairs
//! lengths and hashes, as a forger does.

use stepmark_state::pages::PAGE;

/// A piece of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Parts of one sort can stand for each other.
    pub sort: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Part {
    /// A part.
    pub fn new(sort: &'static str, bytes: impl Into<Vec<u8>>) -> Part {
        Part { sort, bytes: bytes.into() }
    }
}

/// Longest part of which every byte is changed in turn; of longer ones the head, and a bit in each of so many places.
const SHORT: usize = 600;
const HEAD: usize = 80;
const PLACES: usize = 16;

/// Every list with one part dropped, repeated, moved behind the next one, or replaced: by another of its sort, by zeros, by
/// itself with a bit flipped.
pub fn variants(parts: Vec<Part>) -> impl Iterator<Item = (String, Vec<Part>)> + Send {
    (0..parts.len()).flat_map(move |at| {
        let parts = parts.clone();
        changes(&parts, at).into_iter().map(move |change| (said(&parts, at, &change), change.made(&parts, at)))
    })
}

/// One change of one part.
#[derive(Clone, Copy, Debug)]
enum Change {
    Drop,
    Repeat,
    Move,
    /// By the part at this place.
    Replace(usize),
    Zeros,
    /// The bit at this byte.
    Flip(usize),
}

fn changes(parts: &[Part], at: usize) -> Vec<Change> {
    let part = &parts[at];
    let mut changes = vec![Change::Drop, Change::Repeat, Change::Zeros];
    if at + 1 < parts.len() {
        changes.push(Change::Move);
    }
    // The next of its sort, round about.
    let others = (at + 1..parts.len()).chain(0..at);
    changes.extend(others.filter(|other| parts[*other].sort == part.sort).take(1).map(Change::Replace));
    let length = part.bytes.len();
    let is_flipped = |byte: &usize| match part.sort {
        // Of a hash one bit is as good as any, and the contents of a page are hashed.
        "hash" => *byte == 0,
        "page" => *byte < 16 || byte % (PAGE / PLACES) == 16,
        "state" => length <= 4_000 || byte.is_multiple_of(length / 1_000),
        _ => length <= SHORT || *byte < HEAD || byte.is_multiple_of(length / PLACES),
    };
    changes.extend((0..length).filter(is_flipped).map(Change::Flip));
    changes
}

impl Change {
    fn made(self, parts: &[Part], at: usize) -> Vec<Part> {
        let mut parts = parts.to_vec();
        match self {
            Change::Drop => drop(parts.remove(at)),
            Change::Repeat => parts.insert(at, parts[at].clone()),
            Change::Move => parts.swap(at, at + 1),
            Change::Replace(other) => parts[at] = parts[other].clone(),
            Change::Zeros => parts[at].bytes.fill(0),
            Change::Flip(byte) => parts[at].bytes[byte] ^= 1 << (byte % 8),
        }
        parts
    }
}

fn said(parts: &[Part], at: usize, change: &Change) -> String {
    let of = parts[..at].iter().filter(|part| part.sort == parts[at].sort).count();
    format!("{} {of} (part {at}): {change:?}", parts[at].sort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_dropped_repeated_moved_and_replaced_in_turn() {
        let parts = vec![Part::new("a", [1u8]), Part::new("b", [2u8]), Part::new("a", [3u8])];
        let shown: Vec<String> = variants(parts)
            .map(|(what, parts)| {
                let bytes: Vec<String> = parts.iter().flat_map(|part| &part.bytes).map(u8::to_string).collect();
                format!("{what} gives {}", bytes.join(" "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "a 0 (part 0): Drop gives 2 3",
                "a 0 (part 0): Repeat gives 1 1 2 3",
                "a 0 (part 0): Zeros gives 0 2 3",
                "a 0 (part 0): Move gives 2 1 3",
                "a 0 (part 0): Replace(2) gives 3 2 3",
                "a 0 (part 0): Flip(0) gives 0 2 3",
                "b 0 (part 1): Drop gives 1 3",
                "b 0 (part 1): Repeat gives 1 2 2 3",
                "b 0 (part 1): Zeros gives 1 0 3",
                "b 0 (part 1): Move gives 1 3 2",
                "b 0 (part 1): Flip(0) gives 1 3 3",
                "a 1 (part 2): Drop gives 1 2",
                "a 1 (part 2): Repeat gives 1 2 3 3",
                "a 1 (part 2): Zeros gives 1 2 0",
                "a 1 (part 2): Replace(0) gives 1 2 1",
                "a 1 (part 2): Flip(0) gives 1 2 2",
            ]
        );
    }
}
