//! Witnesses of a run's next segment: which pages it touches, the witness made of them, and a run that starts from one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Session;
use super::paged_state::PagedState;
use crate::touched::Touched;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_snapshot::witness::{
    ClosedWitness, SpacePages, Witness, contents, is_recorded_by_page, kept, refuse_answers,
};
use stepmark_state::error::JobError;
use stepmark_state::merkle::siblings;
use stepmark_state::paged::{Page, Paged};
use stepmark_state::pages::SpaceId;

impl Session {
    /// Tells from now on which pages of memory the program touches.
    pub fn watch_pages(&mut self) -> Arc<Touched> {
        let touched = Arc::new(Touched::open());
        if let Some(running) = &mut self.running {
            running.machine.set_watch(touched.clone());
        }
        touched
    }

    /// The witness of a segment that starts here, from this snapshot, and touches these pages (memory and page). All but
    /// memories is in it whole.
    ///
    /// # Errors
    /// A usage error if the run has not begun, or not from a snapshot of a chain, or asks for answers from outside.
    pub fn witness(
        &mut self,
        snap: Vec<u8>,
        snapshot: RawSnapshot,
        touched: &BTreeSet<(u32, u64)>,
    ) -> Result<Witness, JobError> {
        let Some(running) = self.running.as_deref_mut().filter(|running| running.start_id > 0) else {
            return Err(JobError::usage("a witness is of a segment that starts from a snapshot"));
        };
        refuse_answers(&running.job)?;
        let mut spaces = std::mem::take(&mut running.spaces);
        let all = running.contents();
        let mut witness = Witness { snapshot, snap, pages: BTreeMap::new(), hashes: BTreeMap::new() };
        for number in all.numbers() {
            let pages = pages_of(&all, number, touched);
            let mut tree = spaces.tree(number).cloned().unwrap_or_default();
            tree.root();
            let indices: Vec<u64> = pages.keys().copied().collect();
            let of = |(level, index): (usize, u64)| tree.node(level, index);
            witness.hashes.insert(number, siblings(&indices).into_iter().map(of).collect());
            witness.pages.insert(number, pages);
        }
        running.spaces = spaces;
        witness.close()?;
        Ok(witness)
    }

    /// Gives the pages of a witness in place of the `.bin` files that are wanted. From now on the program can touch no other
    /// page of a memory: the run ends with an error if it does.
    ///
    /// # Errors
    /// A usage error if no `.bin` is wanted, or those of another snapshot; a snapshot error if the witness does not fit the
    /// program.
    pub fn give_witness(&mut self, witness: &ClosedWitness<'_>) -> Result<Arc<Touched>, JobError> {
        let wanted = self.loading.snapshot.as_ref().map(|snapshot| snapshot.hash);
        let Some(running) = self.running.as_deref_mut().filter(|_| wanted == Some(witness.snapshot().hash)) else {
            return Err(JobError::usage("no .bin of the snapshot in the witness is wanted"));
        };
        let mut spaces = std::mem::take(&mut running.spaces);
        let mut all = running.contents();
        let found: Vec<_> = all.numbers().into_iter().map(|number| (number, all.page_count(number) as u64)).collect();
        if !witness.spaces().eq(found.iter().copied()) {
            return Err(JobError::snapshot("witness: the spaces of its state are not those of the program"));
        }
        for (number, count) in found {
            // What is beyond the end is zero, as it is without anybody's doing.
            for (index, page) in witness.pages(number).take_while(|(index, _)| *index < count) {
                place(&mut all, number, index, contents(page))?;
            }
            if let Some(tree) = spaces.tree(number) {
                *tree = witness.tree(number, count);
            }
        }
        running.spaces = spaces;
        let store = &running.machine.store;
        for memory in &store.memories {
            witness.check_growth(memory.number, memory.max_pages())?;
        }
        let touched = Arc::new(Touched::closed(witness.touchable(|memory| store.memory_of(memory) as u32)));
        running.previous_bin = running.resumed_bin;
        running.machine.set_watch(touched.clone());
        self.loading.pages_are_there();
        Ok(touched)
    }
}

/// The pages of a space that a witness has.
fn pages_of(all: &PagedState<'_>, number: SpaceId, touched: &BTreeSet<(u32, u64)>) -> SpacePages {
    let count = all.page_count(number) as u64;
    let page = |index: u64| (index, kept(&all.page(number, index as usize)));
    if !is_recorded_by_page(number.kind) {
        return (0..count).map(page).collect();
    }
    let address = all.store.memory_of(number.index) as u32;
    let touched = touched.range((address, 0)..=(address, u64::MAX)).map(|(_, index)| *index);
    // Pages that the memory grows by are zero.
    touched.map(|index| if index < count { page(index) } else { (index, None) }).collect()
}

/// Puts a page into its space. State 0 and zeros are there already.
fn place(all: &mut PagedState<'_>, number: SpaceId, index: u64, page: &Page) -> Result<(), JobError> {
    if all.page(number, index as usize) == *page {
        return Ok(());
    }
    all.set_page(number, index as usize, page);
    // What is beyond the last element of a table is read as zeros.
    if all.page(number, index as usize) != *page {
        let (kind, space) = (stepmark_state::pages::space_name(number.kind).unwrap_or("space"), number.index);
        return Err(JobError::snapshot(format!("witness: page {index} of {kind} {space} has contents beyond the end")));
    }
    Ok(())
}
