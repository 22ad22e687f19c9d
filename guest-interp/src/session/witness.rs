//! Witnesses of a run's next segment: which pages it touches, the witness made of them, and a run that starts from one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Session;
use super::contents::Contents;
use crate::error::Error;
use crate::snapshot::SPACE_MEMORY;
use crate::snapshot::merkle::{PageTree, siblings};
use crate::snapshot::paged::{Number, Paged};
use crate::snapshot::snap::RawSnapshot;
use crate::witness::{Touched, Witness};

impl Session {
    /// Tells from now on which pages of memory the program touches.
    pub fn watch_pages(&mut self) -> Arc<Touched> {
        let touched = Arc::new(Touched::open());
        if let Some(running) = &mut self.running {
            running.machine.set_watch(touched.clone());
        }
        touched
    }

    /// The witness of a segment that starts here, from this snapshot, and touches these pages (memory and page). Tables and
    /// files are in it whole.
    ///
    /// # Errors
    /// A usage error if the run has not begun, or not from a snapshot of a chain.
    pub fn witness(
        &mut self,
        snap: Vec<u8>,
        snapshot: RawSnapshot,
        touched: &BTreeSet<(u32, u64)>,
    ) -> Result<Witness, Error> {
        let Some(running) = self.running.as_deref_mut().filter(|running| running.start_id > 0) else {
            return Err(Error::usage("a witness is of a segment that starts from a snapshot"));
        };
        if running.asks_outside() {
            return Err(Error::usage("a witness cannot be made of a run with a store or functions of the embedder's"));
        }
        let mut trees: BTreeMap<Number, PageTree> = BTreeMap::new();
        let mut pages: BTreeMap<Number, BTreeMap<_, _>> = BTreeMap::new();
        let spaces = std::mem::take(&mut running.spaces);
        let contents = running.contents();
        for number in contents.numbers() {
            let count = contents.page_count(number) as u64;
            let here = |page: &u64| number.0 != SPACE_MEMORY || touched.contains(&(number.1, *page));
            let beyond = touched.range((number.1, count)..=(number.1, u64::MAX)).map(|(_, page)| *page);
            let beyond = beyond.filter(|_| number.0 == SPACE_MEMORY);
            let found = (0..count).filter(here).map(|page| (page, contents.page(number, page as usize)));
            // Pages that the memory grows by are zero.
            let found = found.chain(beyond.map(|page| (page, [0; crate::snapshot::PAGE])));
            pages.insert(number, found.collect());
        }
        running.spaces = spaces;
        let mut hashes = BTreeMap::new();
        for (number, pages) in &pages {
            let tree =
                trees.entry(*number).or_insert_with(|| running.spaces.tree(*number).cloned().unwrap_or_default());
            tree.root();
            let indices: Vec<u64> = pages.keys().copied().collect();
            let of = |(level, index): (usize, u64)| tree.node(level, index);
            hashes.insert(*number, siblings(&indices).into_iter().map(of).collect());
        }
        Ok(Witness { snapshot, snap, pages, hashes })
    }

    /// Gives the pages of a witness in place of the `.bin` files that are wanted. From now on the program can touch no other
    /// page: what it comes to counts only if [`Touched::check`] says so in the end.
    ///
    /// # Errors
    /// A usage error if no `.bin` is wanted; a snapshot error if the pages are not those that the snapshot commits to.
    pub fn give_witness(&mut self, witness: &Witness) -> Result<Arc<Touched>, Error> {
        let Some(running) = self.running.as_deref_mut().filter(|_| self.loading.snapshot.is_some()) else {
            return Err(Error::usage("no .bin is wanted"));
        };
        let mut spaces = std::mem::take(&mut running.spaces);
        let mut contents = running.contents();
        for number in contents.numbers() {
            let hashes = witness.hashes.get(&number).map(Vec::as_slice).unwrap_or_default();
            let pages = witness.pages.get(&number);
            let pages: Vec<_> = pages.into_iter().flatten().collect();
            let tree =
                spaces.tree(number).ok_or_else(|| Error::snapshot("witness: a space that is not the program's"))?;
            *tree = PageTree::new();
            let indices: Vec<u64> = pages.iter().map(|(page, _)| **page).collect();
            for ((level, index), hash) in siblings(&indices).into_iter().zip(hashes) {
                tree.set_node(level, index, *hash);
            }
            for (page, page_contents) in pages {
                place(&mut contents, tree, number, *page, page_contents)?;
            }
        }
        let present = witness.pages.iter().filter(|((kind, _), _)| *kind == SPACE_MEMORY);
        let present = present.flat_map(|((_, memory), pages)| pages.keys().map(|page| (*memory, *page))).collect();
        let touched = Arc::new(Touched::closed(present));
        running.spaces = spaces;
        running.previous_bin = running.resumed_bin;
        running.machine.set_watch(touched.clone());
        self.loading.pages_are_there();
        Ok(touched)
    }
}

/// Puts a page into its space and its tree; what lies beyond the end, where a memory will have grown to, must be zero.
fn place(
    contents: &mut Contents<'_>,
    tree: &mut PageTree,
    number: Number,
    page: u64,
    page_contents: &crate::snapshot::paged::Page,
) -> Result<(), Error> {
    if page < contents.page_count(number) as u64 {
        contents.set_page(number, page as usize, page_contents);
    } else if !crate::snapshot::is_zero(page_contents) {
        return Err(Error::snapshot(format!(
            "witness: page {page} of space {number:?} is beyond its end and not zero"
        )));
    }
    tree.place_leaf(page, crate::snapshot::merkle::page_hash(page_contents));
    Ok(())
}
