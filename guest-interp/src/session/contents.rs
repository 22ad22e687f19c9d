//! All paged contents of a run as one set of spaces: the store's memories and tables, and the program's files.

use crate::host::wasi::Wasi;
use crate::runtime::Store;
use crate::snapshot::SPACE_FILE;
use crate::snapshot::merkle::PageTree;
use crate::snapshot::paged::{Number, Page, Paged};

/// The two places.
pub(super) struct Contents<'a> {
    pub(super) store: &'a mut Store,
    pub(super) files: &'a mut Wasi,
}

impl Contents<'_> {
    fn of(&self, number: Number) -> &dyn Paged {
        if number.0 == SPACE_FILE { self.files } else { self.store }
    }

    fn of_mut(&mut self, number: Number) -> &mut dyn Paged {
        if number.0 == SPACE_FILE { self.files } else { self.store }
    }
}

impl Paged for Contents<'_> {
    fn numbers(&self) -> Vec<Number> {
        let mut numbers = self.store.numbers();
        numbers.append(&mut self.files.numbers());
        numbers
    }

    fn page_count(&self, number: Number) -> usize {
        self.of(number).page_count(number)
    }

    fn marks(&mut self, number: Number) -> &mut [u8] {
        self.of_mut(number).marks(number)
    }

    fn page(&self, number: Number, page: usize) -> Page {
        self.of(number).page(number, page)
    }

    fn set_page(&mut self, number: Number, page: usize, contents: &Page) {
        self.of_mut(number).set_page(number, page, contents);
    }

    fn initial(&self, number: Number) -> PageTree {
        self.of(number).initial(number)
    }
}
