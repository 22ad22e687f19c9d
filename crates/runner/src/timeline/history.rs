//! How a value came to be what it is: its changes, one by one.

use stepmark_state::pages::PAGE;
use stepmark_tools::lookouts::{ChangeLookout, ValueChange, Watched};
use stepmark_tools::moment::Moment;
use stepmark_tools::scan::ScanBounds;

use super::Timeline;
use super::course::MemoryPages;
use super::playback::Playback;
use crate::failure::Result;

/// Gas of a stretch that is looked at at once.
const STRETCH: u64 = 1 << 20;

impl Timeline {
    /// The changes of a value by instructions from `from` on and before `to`, ascending, at most `most` of them. It stays where
    /// it is.
    ///
    /// # Errors
    /// Exit code 2 for what is outside the chain, 65 where the chain does not lead there.
    pub fn history(&mut self, watched: Watched, from: Moment, to: Moment, most: usize) -> Result<Vec<ValueChange>> {
        let to = to.min(Moment { steps: u64::MAX, ..self.end()? });
        let mut changes: Vec<ValueChange> = Vec::new();
        let (mut run, mut length) = (self.reach(from, &[])?, STRETCH);
        let pages = pages_of(watched);
        while changes.len() < most && run.moment() < to && !run.is_ended() {
            let segment = self.course.segment_to(run.moment())?;
            let ends = self.course.ends(segment).unwrap_or(u64::MAX);
            let until = run.moment().gas.saturating_add(length).min(ends).min(to.gas);
            let start = run.fork()?;
            if run_over(&mut run, pages.as_ref(), until)? {
                let keep = most - changes.len();
                let bounds = ScanBounds { after: None, before: to, keep, is_first: true };
                let scanner = start.scan(ChangeLookout::new(watched), bounds, Moment::last_at_gas(until))?;
                changes.extend(scanner.ask(ChangeLookout::take).into_iter().filter(|c| c.moment < to).take(keep));
            } else if start.moment() == run.moment() {
                // An instruction that is dearer than a stretch fits a longer one.
                length = length.saturating_mul(4);
            }
            if until == to.gas {
                break;
            }
            if until == ends {
                let Some(next) = self.enter(run, segment + 1)? else { break };
                run = next;
            }
        }
        Ok(changes)
    }
}

/// Goes on to `until`, and tells whether a value in these pages, or one that is in none, may have changed on the way.
fn run_over(run: &mut Playback, pages: Option<&MemoryPages>, until: u64) -> Result<bool> {
    let from = run.moment();
    if let Some(pages) = pages {
        run.take_marks(pages.space(), pages.pages.clone())?;
    }
    run.go(Moment::last_at_gas(until))?;
    match pages {
        Some(pages) => run.take_marks(pages.space(), pages.pages.clone()),
        None => Ok(run.moment() > from || run.is_ended()),
    }
}

/// The pages that a value is in, if it is in memory.
fn pages_of(watched: Watched) -> Option<MemoryPages> {
    let Watched::Memory(range) = watched else { return None };
    let last = range.address.saturating_add(range.length.saturating_sub(1));
    Some(MemoryPages::new(range.memory, range.address / PAGE as u64..=last / PAGE as u64))
}
