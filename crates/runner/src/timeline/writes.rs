//! Who wrote to a range of memory. A segment whose `.bin` has no page of the range is passed over: it has left the range as it
//! found it. In the others the marks of pages say which stretches can be left out, and only the rest is looked at instruction by
//! instruction.

use stepmark_state::pages::PAGE;
use stepmark_tools::lookouts::{MemoryRange, WriteLookout};
use stepmark_tools::moment::Moment;
use stepmark_tools::scan::ScanBounds;

use super::Timeline;
use super::course::{Course, MemoryPages};
use super::playback::Playback;
use crate::failure::{Failure, Result};

/// Gas of a stretch that is looked at at once.
const SCANNED: u64 = 1 << 19;
/// Parts into which a longer stretch is divided.
const PARTS: u64 = 16;
/// Segments that are searched at once.
const THREADS: usize = 2;

impl Timeline {
    /// The moment of the last instruction before `before` that wrote to a range, in the last segment that changed a page of it;
    /// none if there is none. It stays where it is.
    ///
    /// # Errors
    /// Exit code 2 for a range without bytes, 65 where the chain does not lead there.
    pub fn last_write(&mut self, range: MemoryRange, before: Moment) -> Result<Option<Moment>> {
        let search = WriteSearch::new(range)?;
        let before = match before > self.moment() {
            true => before.min(Moment { steps: u64::MAX, ..self.end()? }),
            false => before,
        };
        let segment = self.course.segment_before(before);
        let run = self.reach(self.course.begins(segment), &[])?;
        if let Some(moment) = search.last(&run, before, before)? {
            return Ok(Some(moment));
        }
        let mut candidates = Vec::new();
        for segment in (0..segment).rev() {
            if self.course.may_change(segment, &search.pages)? {
                candidates.push(segment);
                if candidates.len() == THREADS {
                    if let Some(moment) = search.last_of(&self.course, &candidates)? {
                        return Ok(Some(moment));
                    }
                    candidates.clear();
                }
            }
        }
        search.last_of(&self.course, &candidates)
    }

    /// The moment of the first instruction after `after` that writes to a range, by the same rule; none if there is none. It
    /// stays where it is.
    ///
    /// # Errors
    /// As those of [`last_write`](Self::last_write).
    pub fn next_write(&mut self, range: MemoryRange, after: Moment) -> Result<Option<Moment>> {
        let search = WriteSearch::new(range)?;
        let end = self.end()?;
        if after >= end {
            return Ok(None);
        }
        let first = self.course.segment_to(after)?;
        for segment in first..self.course.starts().len() {
            let run = match segment == first {
                true => self.reach(after, &[])?,
                false if self.course.may_change(segment, &search.pages)? => self.course.open(segment)?,
                false => continue,
            };
            let until = Moment::last_at_gas(self.course.ends(segment).unwrap_or(end.gas));
            if let Some(moment) = search.first(run, until, after)? {
                return Ok(Some(moment));
            }
        }
        Ok(None)
    }
}

/// A search for writes to a range.
struct WriteSearch {
    range: MemoryRange,
    pages: MemoryPages,
}

impl WriteSearch {
    fn new(range: MemoryRange) -> Result<Self> {
        let last = range.length.checked_sub(1).and_then(|more| range.address.checked_add(more));
        let Some(last) = last else { return Err(Failure::usage("a range of memory has a byte or more")) };
        let page = |address: u64| address / PAGE as u64;
        Ok(Self { range, pages: MemoryPages::new(range.memory, page(range.address)..=page(last)) })
    }

    /// The last write in any of these segments, which are given last one first, searched at once.
    fn last_of(&self, course: &Course, segments: &[usize]) -> Result<Option<Moment>> {
        let search = |segment: usize| {
            let until = Moment::last_at_gas(course.ends(segment).unwrap_or(0));
            self.last(&course.open(segment)?, until, Moment { steps: u64::MAX, ..until })
        };
        let found: Vec<Result<Option<Moment>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = segments.iter().map(|segment| scope.spawn(move || search(*segment))).collect();
            let lost = || Err(Failure::data("a search has failed"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
        });
        let mut last = None;
        for found in found {
            last = last.max(found?);
        }
        Ok(last)
    }

    /// The last write from a run to `until` that is before `before`.
    fn last(&self, run: &Playback, until: Moment, before: Moment) -> Result<Option<Moment>> {
        let from = run.moment();
        let span = until.gas.saturating_sub(from.gas);
        if span <= SCANNED {
            let bounds = ScanBounds { after: None, before, keep: 1, is_first: false };
            return Ok(run.fork()?.scan(WriteLookout::new(self.range), bounds, until)?.found().pop());
        }
        let mut marked = Vec::new();
        let mut marking = run.fork()?;
        self.take_marks(&mut marking)?;
        for part in 1..=PARTS {
            let start = marking.moment();
            marking.go(part_end(from, until, part))?;
            if self.take_marks(&mut marking)? {
                marked.push((start, marking.moment()));
            }
        }
        for (start, end) in marked.into_iter().rev() {
            let mut run = run.fork()?;
            if start > from {
                run.go(start)?;
            }
            if let Some(moment) = self.last(&run, end, before)? {
                return Ok(Some(moment));
            }
        }
        Ok(None)
    }

    /// The first write from a run to `until` that is after `after`.
    fn first(&self, mut run: Playback, until: Moment, after: Moment) -> Result<Option<Moment>> {
        let from = run.moment();
        if until.gas.saturating_sub(from.gas) <= SCANNED {
            let before = Moment { steps: u64::MAX, ..until };
            let bounds = ScanBounds { after: Some(after), before, keep: 1, is_first: true };
            return Ok(run.scan(WriteLookout::new(self.range), bounds, until)?.found().pop());
        }
        self.take_marks(&mut run)?;
        for part in 1..=PARTS {
            let start = run.fork()?;
            run.go(part_end(from, until, part))?;
            if self.take_marks(&mut run)?
                && let Some(moment) = self.first(start, run.moment(), after)?
            {
                return Ok(Some(moment));
            }
        }
        Ok(None)
    }

    fn take_marks(&self, run: &mut Playback) -> Result<bool> {
        run.take_marks(self.pages.space(), self.pages.pages.clone())
    }
}

/// Where a part of a stretch ends.
fn part_end(from: Moment, until: Moment, part: u64) -> Moment {
    match part {
        PARTS => until,
        part => Moment::last_at_gas(from.gas + (until.gas - from.gas) / PARTS * part),
    }
}
