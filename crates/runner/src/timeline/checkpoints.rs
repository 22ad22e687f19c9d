//! Runs at moments that somebody may come back to, kept in memory as far as a byte budget goes.

use stepmark_tools::moment::Moment;

use super::playback::Playback;
use crate::failure::Result;

/// Runs by their moments. Which was not used for longest goes first.
pub(super) struct Checkpoints {
    kept: Vec<Checkpoint>,
    /// Bytes that all of them may take.
    budget: u64,
    /// Counts uses.
    now: u64,
}

struct Checkpoint {
    playback: Playback,
    bytes: u64,
    used: u64,
}

impl Checkpoints {
    /// None yet, for at most so many bytes.
    pub(super) fn new(budget: u64) -> Self {
        Self { kept: Vec::new(), budget, now: 0 }
    }

    /// Bytes of those that are kept, about.
    pub(super) fn bytes(&self) -> u64 {
        self.kept.iter().map(|checkpoint| checkpoint.bytes).sum()
    }

    /// Keeps a run, unless there is one at its moment, it has ended, or it alone is too large.
    pub(super) fn keep(&mut self, mut playback: Playback) {
        let bytes = playback.bytes();
        let is_there = self.kept.iter().any(|kept| kept.playback.moment() == playback.moment());
        if is_there || playback.is_ended() || bytes > self.budget {
            return;
        }
        while self.bytes() + bytes > self.budget {
            let oldest = self.kept.iter().enumerate().min_by_key(|(_, checkpoint)| checkpoint.used);
            let Some((oldest, _)) = oldest else { return };
            self.kept.swap_remove(oldest);
        }
        self.now += 1;
        self.kept.push(Checkpoint { playback, bytes, used: self.now });
    }

    /// A copy of the last run that is not after `to`, not before `from`, and in a segment of this gas limit.
    ///
    /// # Errors
    /// It cannot be copied.
    pub(super) fn nearest(&mut self, from: Moment, to: Moment, limit: u64) -> Result<Option<Playback>> {
        let fits = |checkpoint: &&mut Checkpoint| {
            let run = &checkpoint.playback;
            (from..=to).contains(&run.moment()) && run.limit().is_ok_and(|own| own == limit)
        };
        let best = self.kept.iter_mut().filter(fits).max_by_key(|checkpoint| checkpoint.playback.moment());
        let Some(best) = best else { return Ok(None) };
        self.now += 1;
        best.used = self.now;
        best.playback.fork().map(Some)
    }
}
