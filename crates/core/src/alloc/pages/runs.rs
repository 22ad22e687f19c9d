//! Which pages of 64 KiB are whose: the free ones, by number, and where new ones come from. Plain numbers, no memory, so
//! that it is the same natively, where it is tested.

/// Free runs that are remembered. The node holds some tens of large blocks, and runs that touch become one; beyond this
/// the smallest one is forgotten, which costs memory and nothing else.
const MOST: usize = 64;

/// The linear memory that pages are taken from.
pub(super) trait PageSource {
    /// Pages that there are.
    fn end(&self) -> usize;
    /// Adds so many at the end; false if there are no more.
    fn grow(&mut self, pages: usize) -> bool;
}

/// Pages that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRun {
    /// The first of them.
    pub(super) start: usize,
    /// How many.
    pub(super) pages: usize,
}

impl PageRun {
    const NONE: Self = Self { start: 0, pages: 0 };

    fn end(self) -> usize {
        self.start + self.pages
    }
}

/// Pages that were handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The first of them.
    pub(super) start: usize,
    /// The first of those that nobody has had before, and that are zero.
    pub(super) fresh: usize,
}

/// The free runs, in order, no two touching.
#[derive(Debug)]
pub(super) struct FreeRuns {
    runs: [PageRun; MOST],
    count: usize,
}

impl FreeRuns {
    pub(super) const fn new() -> Self {
        Self { runs: [PageRun::NONE; MOST], count: 0 }
    }

    /// The free runs.
    pub(super) fn runs(&self) -> &[PageRun] {
        self.runs.get(..self.count).unwrap_or_default()
    }

    /// So many pages: of the first free run that has them, else at the end, where a free run may be part of them.
    pub(super) fn take(&mut self, memory: &mut impl PageSource, pages: usize) -> Option<Taken> {
        if let Some(at) = self.runs().iter().position(|run| run.pages >= pages) {
            let start = self.shorten(at, pages);
            return Some(Taken { start, fresh: start + pages });
        }
        let end = memory.end();
        let start = self.runs().last().filter(|run| run.end() == end).map_or(end, |run| run.start);
        self.extend(memory, start, pages).map(|fresh| Taken { start, fresh })
    }

    /// So many more pages right behind a block that ends before page `end`; the first of them that nobody has had before.
    /// None, and nothing changed, where those are not free.
    pub(super) fn extend(&mut self, memory: &mut impl PageSource, end: usize, more: usize) -> Option<usize> {
        let at = self.runs().iter().position(|run| run.start == end);
        let free = at.and_then(|at| self.runs().get(at).copied()).unwrap_or(PageRun { start: end, pages: 0 });
        if free.pages < more && (free.end() != memory.end() || !memory.grow(more - free.pages)) {
            return None;
        }
        if let Some(at) = at {
            self.shorten(at, more.min(free.pages));
        }
        Some(free.end().min(end + more))
    }

    /// Takes the first pages of a run; where they are.
    fn shorten(&mut self, at: usize, pages: usize) -> usize {
        let Some(run) = self.runs.get_mut(at) else { return 0 };
        let start = run.start;
        *run = PageRun { start: start + pages, pages: run.pages - pages };
        if run.pages == 0 {
            self.remove(at);
        }
        start
    }

    /// Takes a run back.
    pub(super) fn give(&mut self, run: PageRun) {
        let PageRun { mut start, mut pages } = run;
        if pages == 0 {
            return;
        }
        let mut at = self.runs().iter().position(|free| free.start > start).unwrap_or(self.count);
        if let Some(after) = self.runs().get(at).copied().filter(|free| free.start == start + pages) {
            pages += after.pages;
            self.remove(at);
        }
        let before = at.checked_sub(1).and_then(|index| self.runs().get(index).copied());
        if let Some(before) = before.filter(|free| free.end() == start) {
            at -= 1;
            start = before.start;
            pages += before.pages;
            self.remove(at);
        }
        self.insert(at, PageRun { start, pages });
    }

    fn insert(&mut self, mut at: usize, run: PageRun) {
        if self.count == MOST {
            let smallest = (0..MOST).min_by_key(|index| self.runs[*index].pages).unwrap_or(0);
            if self.runs[smallest].pages >= run.pages {
                return;
            }
            self.remove(smallest);
            at -= usize::from(smallest < at);
        }
        self.runs.copy_within(at..self.count, at + 1);
        self.runs[at] = run;
        self.count += 1;
    }

    fn remove(&mut self, at: usize) {
        self.runs.copy_within(at + 1..self.count, at);
        self.count -= 1;
    }
}

/// Pages of a free run that the small allocator gets at once. It asks twice where the first part does not follow what it had,
/// each time for less than half of this, and takes the second for what follows the first.
const PIECE: usize = 64;

/// What the allocator of small blocks gets, in the order of `sbrk`: long free runs are used up by it too, or what a memory
/// leaves behind when it moves would be lost to the small things that made it move.
#[derive(Debug)]
pub(super) struct Small {
    /// What it will get next.
    rest: PageRun,
}

impl Small {
    pub(super) const fn new() -> Self {
        Self { rest: PageRun::NONE }
    }

    /// The first of so many pages: behind those it got last if they are free, else of a free run of some length, else at the
    /// end. Of 0 pages, where the next would begin.
    pub(super) fn take(&mut self, free: &mut FreeRuns, memory: &mut impl PageSource, pages: usize) -> Option<usize> {
        if self.rest.pages < pages && !self.lengthen(free) {
            free.give(std::mem::replace(&mut self.rest, PageRun::NONE));
            match free.runs().iter().position(|run| run.pages >= PIECE) {
                Some(at) => self.rest = PageRun { start: free.shorten(at, PIECE), pages: PIECE },
                None => {
                    let end = memory.end();
                    return memory.grow(pages).then_some(end);
                }
            }
        }
        if pages == 0 && self.rest == PageRun::NONE {
            return Some(memory.end());
        }
        let start = self.rest.start;
        self.rest = PageRun { start: start + pages, pages: self.rest.pages.checked_sub(pages)? };
        Some(start)
    }

    /// Adds what is free right behind the rest.
    fn lengthen(&mut self, free: &mut FreeRuns) -> bool {
        let end = self.rest.end();
        let at =
            free.runs().iter().position(|run| self.rest != PageRun::NONE && run.start == end && run.pages >= PIECE);
        if let Some(at) = at {
            free.shorten(at, PIECE);
            self.rest.pages += PIECE;
        }
        at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A memory of at most `most` pages.
    struct Fake {
        end: usize,
        most: usize,
    }

    impl PageSource for Fake {
        fn end(&self) -> usize {
            self.end
        }

        fn grow(&mut self, pages: usize) -> bool {
            let fits = self.end + pages <= self.most;
            self.end += if fits { pages } else { 0 };
            fits
        }
    }

    #[test]
    fn small_blocks_use_long_free_runs_up_in_the_order_of_their_pages_and_then_the_end() {
        let (mut free, mut memory, mut small) = (FreeRuns::new(), Fake { end: 300, most: 320 }, Small::new());
        let mut take = |free: &mut FreeRuns, pages| small.take(free, &mut memory, pages);
        assert_eq!([0, 1, 0, 2].map(|pages| take(&mut free, pages)), [300, 300, 301, 301].map(Some));
        free.give(run(10, 63));
        assert_eq!(take(&mut free, 1), Some(303), "a short run is left to large blocks");
        free.give(run(100, 130));
        assert_eq!([60, 17, 0, 40].map(|pages| take(&mut free, pages)), [100, 160, 177, 177].map(Some));
        assert_eq!(free.runs(), [run(10, 63), run(228, 2)]);
        assert_eq!([11, 1, 16, 1].map(|pages| take(&mut free, pages)), [Some(217), Some(304), None, Some(305)]);
        assert_eq!(free.runs(), [run(10, 63), run(228, 2)]);
    }

    fn run(start: usize, pages: usize) -> PageRun {
        PageRun { start, pages }
    }

    #[test]
    fn a_block_comes_from_the_first_free_run_that_is_long_enough_else_from_the_end() {
        let (mut free, mut memory) = (FreeRuns::new(), Fake { end: 10, most: 100 });
        assert_eq!(free.take(&mut memory, 5), Some(Taken { start: 10, fresh: 10 }));
        assert_eq!(free.take(&mut memory, 5), Some(Taken { start: 15, fresh: 15 }));
        free.give(run(10, 5));
        assert_eq!(free.take(&mut memory, 3), Some(Taken { start: 10, fresh: 13 }));
        assert_eq!(free.take(&mut memory, 3), Some(Taken { start: 20, fresh: 20 }));
        assert_eq!((free.runs(), memory.end), (&[run(13, 2)][..], 23));
    }

    #[test]
    fn a_free_run_at_the_end_is_the_beginning_of_what_does_not_fit_it() {
        let (mut free, mut memory) = (FreeRuns::new(), Fake { end: 10, most: 100 });
        free.give(run(6, 4));
        assert_eq!(free.take(&mut memory, 7), Some(Taken { start: 6, fresh: 10 }));
        assert_eq!((free.runs(), memory.end), (&[][..], 13));
    }

    #[test]
    fn a_block_grows_in_place_into_free_pages_and_over_the_end_but_not_over_others() {
        let (mut free, mut memory) = (FreeRuns::new(), Fake { end: 10, most: 20 });
        free.give(run(4, 2));
        assert_eq!(free.extend(&mut memory, 4, 1), Some(5));
        assert_eq!(free.extend(&mut memory, 5, 2), None, "page 6 is somebody's");
        free.give(run(8, 2));
        assert_eq!(free.extend(&mut memory, 8, 5), Some(10));
        assert_eq!(free.extend(&mut memory, 13, 7), Some(13));
        assert_eq!(free.extend(&mut memory, 20, 1), None, "there are 20 pages at most");
        assert_eq!((free.runs(), memory.end), (&[run(5, 1)][..], 20));
    }

    #[test]
    fn free_runs_that_touch_become_one() {
        let mut free = FreeRuns::new();
        for start in [0, 4, 2] {
            free.give(run(start, 2));
        }
        assert_eq!(free.runs(), [run(0, 6)]);
    }

    #[test]
    fn beyond_as_many_runs_as_are_remembered_the_smallest_is_forgotten() {
        let mut free = FreeRuns::new();
        for index in 0..MOST {
            free.give(run(index * 10, if index == 7 { 1 } else { 2 }));
        }
        free.give(run(1000, 1));
        assert!(free.runs().contains(&run(70, 1)));
        free.give(run(1005, 3));
        assert_eq!(free.runs().last(), Some(&run(1005, 3)));
        assert!(!free.runs().contains(&run(70, 1)));
    }

    proptest! {
        #[test]
        fn no_page_is_handed_out_twice_and_none_is_lost(steps in prop::collection::vec((0..4, 1..6usize, any::<prop::sample::Index>()), 1..60)) {
            let (mut free, mut memory) = (FreeRuns::new(), Fake { end: 3, most: 60 });
            let mut blocks: Vec<PageRun> = Vec::new();
            let mut had = vec![true; 3];
            // Pages of somebody else's.
            let mut others = 3;
            for (what, pages, index) in steps {
                had.resize(memory.end, true);
                let picked = (!blocks.is_empty()).then(|| index.index(blocks.len()));
                match (what, picked) {
                    (0, Some(at)) => free.give(blocks.swap_remove(at)),
                    (1, Some(at)) => {
                        if let Some(fresh) = free.extend(&mut memory, blocks[at].end(), pages) {
                            had.resize(memory.end, false);
                            let block = &mut blocks[at];
                            block.pages += pages;
                            prop_assert!(had[fresh..block.end()].iter().all(|had| !had));
                            had[block.start..block.end()].fill(true);
                        }
                    }
                    (2, _) => others += usize::from(memory.grow(1)),
                    _ => {
                        if let Some(Taken { start, fresh }) = free.take(&mut memory, pages) {
                            had.resize(memory.end, false);
                            prop_assert!(had[fresh..start + pages].iter().all(|had| !had));
                            had[start..start + pages].fill(true);
                            blocks.push(run(start, pages));
                        }
                    }
                }
                let mut all: Vec<PageRun> = blocks.iter().chain(free.runs()).copied().collect();
                all.sort_by_key(|run| run.start);
                prop_assert!(all.windows(2).all(|pair| pair[0].end() <= pair[1].start), "{all:?}");
                prop_assert!(all.last().is_none_or(|run| run.end() <= memory.end));
                prop_assert_eq!(all.iter().map(|run| run.pages).sum::<usize>() + others, memory.end);
                let free = free.runs();
                prop_assert!(free.windows(2).all(|pair| pair[0].end() < pair[1].start), "{free:?}");
            }
        }
    }
}
