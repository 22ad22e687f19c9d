//! All paged contents of a run as one set of spaces: the machine's memories and tables, the program's files, and the log of
//! the key-value store.

use stepmark_core::machine::Store;
use stepmark_hosts::store;
use stepmark_hosts::wasi::Wasi;
use stepmark_state::merkle::PageTree;
use stepmark_state::paged::{Page, Paged};
use stepmark_state::pages::SpaceId;
use stepmark_state::pages::{SPACE_FILE, SPACE_KEY_VALUE};

/// The three places.
pub(super) struct PagedState<'a> {
    pub(super) store: &'a mut Store,
    pub(super) files: &'a mut Wasi,
    pub(super) log: &'a mut store::KvView,
}

impl PagedState<'_> {
    fn of(&self, number: SpaceId) -> &dyn Paged {
        match number.kind {
            SPACE_FILE => self.files,
            SPACE_KEY_VALUE => self.log,
            _ => self.store,
        }
    }

    fn of_mut(&mut self, number: SpaceId) -> &mut dyn Paged {
        match number.kind {
            SPACE_FILE => self.files,
            SPACE_KEY_VALUE => self.log,
            _ => self.store,
        }
    }
}

impl Paged for PagedState<'_> {
    fn numbers(&self) -> Vec<SpaceId> {
        let mut numbers = self.store.numbers();
        numbers.append(&mut self.files.numbers());
        numbers.append(&mut self.log.numbers());
        numbers
    }

    fn page_count(&self, number: SpaceId) -> usize {
        self.of(number).page_count(number)
    }

    fn marks(&mut self, number: SpaceId) -> &mut [u8] {
        self.of_mut(number).marks(number)
    }

    fn page(&self, number: SpaceId, page: usize) -> Page {
        self.of(number).page(number, page)
    }

    fn set_page(&mut self, number: SpaceId, page: usize, contents: &Page) {
        self.of_mut(number).set_page(number, page, contents);
    }

    fn initial(&self, number: SpaceId) -> PageTree {
        self.of(number).initial(number)
    }
}
