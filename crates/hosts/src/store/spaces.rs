//! The log as a space of pages.

use super::Store;
use stepmark_state::merkle::PageTree;
use stepmark_state::paged::{Number, Page, Paged};
use stepmark_state::pages::SPACE_KEY_VALUE;

impl Paged for Store {
    fn numbers(&self) -> Vec<Number> {
        if self.is_open() { vec![(SPACE_KEY_VALUE, 0)] } else { Vec::new() }
    }

    fn page_count(&self, _: Number) -> usize {
        self.log.pages()
    }

    fn marks(&mut self, _: Number) -> &mut [u8] {
        self.log.marks()
    }

    fn page(&self, _: Number, page: usize) -> Page {
        self.log.page(page)
    }

    fn set_page(&mut self, _: Number, page: usize, contents: &Page) {
        self.log.set_page(page, contents);
    }

    fn initial(&self, _: Number) -> PageTree {
        PageTree::new()
    }
}
