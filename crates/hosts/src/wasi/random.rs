//! The random source: BLAKE3 as an extendable output of the job's seed. The state is the number of bytes given out, so
//! the stream goes on exactly where a snapshot left it, whatever the sizes of the requests were.

use crate::wasi::calls::Args;
use crate::wasi::{Answer, Wasi, in_bounds, store};
use stepmark_core::host::GuestMemory;

/// Keeps the stream apart from every other use of the seed.
const CONTEXT: &str = "guest-interp wasi random_get v1";

/// Bytes made at a time.
const CHUNK: usize = 4096;

/// The stream, readable at any position.
#[derive(Clone)]
pub(super) struct RandomBytes(blake3::OutputReader);

impl RandomBytes {
    pub(super) fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new_derive_key(CONTEXT).update(&seed.to_le_bytes()).finalize_xof())
    }
}

impl Wasi {
    /// `random_get(buffer, length)`.
    pub(super) fn random_get(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
        let (mut at, mut left) = (args.ptr(0), args.ptr(1));
        in_bounds(memory, at, left)?;
        self.answers.random(args.u32(1));
        let mut chunk = [0; CHUNK];
        self.random.0.set_position(self.state.random);
        while left > 0 {
            let length = left.min(CHUNK as u64);
            let Some(bytes) = usize::try_from(length).ok().and_then(|length| chunk.get_mut(..length)) else { break };
            self.random.0.fill(bytes);
            store(memory, at, bytes)?;
            self.answers.random_bytes(bytes);
            at = at.saturating_add(length);
            left = left.saturating_sub(length);
        }
        self.state.random = self.random.0.position();
        Ok(())
    }
}
