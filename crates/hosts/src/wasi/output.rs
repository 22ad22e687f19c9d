//! What a program has written to standard output or error: the bytes that wait for the embedder, and a running hash that
//! survives a snapshot. BLAKE3's own state cannot be saved, so the hash is a chain over fixed blocks:
//! ```text
//! h(0) = 32 zero bytes;  h(i+1) = keyed(h(i) || block i)  for each whole block of 4096 bytes
//! hash = keyed(h(n) || the last partial block || total length as u64, little-endian)
//! ```
//! where keyed is BLAKE3's keyed hash under [`KEY`]. It depends on the bytes alone, not on how they were split into writes.

use serde::{Deserialize, Serialize};

/// Bytes in a block of the hash chain: one page, small enough to keep a partial one in the state.
pub const BLOCK: usize = 4096;

/// Key of the hash chain, so that its values mean nothing elsewhere.
pub const KEY: &[u8; 32] = b"guest-interp output hash chain 1";

/// The running hash of a stream of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputHash {
    length: u64,
    chain: [u8; 32],
    partial: Vec<u8>,
}

impl OutputHash {
    /// Adds `bytes` to the stream.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        while !bytes.is_empty() {
            if self.partial.is_empty()
                && let Some((block, rest)) = bytes.split_at_checked(BLOCK)
            {
                self.chain_on(block);
                bytes = rest;
                continue;
            }
            let room = BLOCK.saturating_sub(self.partial.len()).min(bytes.len());
            let Some((head, tail)) = bytes.split_at_checked(room) else { return };
            self.partial.extend_from_slice(head);
            bytes = tail;
            if self.partial.len() == BLOCK {
                let block = std::mem::take(&mut self.partial);
                self.chain_on(&block);
            }
        }
    }

    /// Hashes a whole block. In one piece, which is several times faster than in two.
    fn chain_on(&mut self, block: &[u8]) {
        self.chain = *blake3::keyed_hash(KEY, &[&self.chain, block].concat()).as_bytes();
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Hash of the bytes so far; the stream may go on.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(KEY);
        hasher.update(&self.chain).update(&self.partial).update(&self.length.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    /// Whether some stream leads to this state, as far as that can be seen: the partial block holds what the length
    /// says, and a stream shorter than a block has hashed none.
    pub(super) fn is_consistent(&self) -> bool {
        let block = BLOCK as u64;
        self.length.checked_rem(block) == u64::try_from(self.partial.len()).ok()
            && (self.length >= block || self.chain == [0; 32])
    }
}

/// An output stream: its running hash, which is state, and the bytes not yet taken, which are not.
#[derive(Clone, Debug, Default)]
pub(super) struct OutputStream {
    pub(super) hash: OutputHash,
    pub pending: Vec<u8>,
}

impl OutputStream {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.pending.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> OutputHash {
        let mut hash = OutputHash::default();
        hash.update(bytes);
        hash
    }

    #[test]
    fn the_definition_holds_at_the_edges_of_a_block() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let mut chain = [0u8; 32];
            let blocks = bytes.chunks_exact(BLOCK);
            let rest = blocks.remainder().to_vec();
            for block in blocks {
                chain = *blake3::keyed_hash(KEY, &[&chain[..], block].concat()).as_bytes();
            }
            let last = [&chain[..], &rest, &(length as u64).to_le_bytes()].concat();
            assert_eq!(whole(&bytes).hash(), *blake3::keyed_hash(KEY, &last).as_bytes(), "{length} bytes");
            assert!(whole(&bytes).is_consistent());
        }
    }

    proptest! {
        #[test]
        fn the_hash_does_not_depend_on_how_writes_are_split(
            bytes in proptest::collection::vec(any::<u8>(), 0..20_000),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut split = OutputHash::default();
            for pair in cuts.windows(2) {
                split.update(&bytes[pair[0]..pair[1]]);
            }
            prop_assert_eq!(split.clone(), whole(&bytes));
            prop_assert_eq!(split.hash(), whole(&bytes).hash());
        }
    }
}
