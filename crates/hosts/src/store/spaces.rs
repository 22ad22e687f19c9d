//! The log as a space of pages.

use super::KvView;
use stepmark_state::merkle::PageTree;
use stepmark_state::paged::{Page, Paged};
use stepmark_state::pages::SPACE_KEY_VALUE;
use stepmark_state::pages::SpaceId;

impl Paged for KvView {
    fn numbers(&self) -> Vec<SpaceId> {
        if self.is_open() { vec![SpaceId::new(SPACE_KEY_VALUE, 0)] } else { Vec::new() }
    }

    fn page_count(&self, _: SpaceId) -> usize {
        self.log.pages()
    }

    fn marks(&mut self, _: SpaceId) -> &mut [u8] {
        self.log.marks()
    }

    fn page(&self, _: SpaceId, page: usize) -> Page {
        self.log.page(page)
    }

    fn set_page(&mut self, _: SpaceId, page: usize, contents: &Page) {
        self.log.set_page(page, contents);
    }

    fn initial(&self, _: SpaceId) -> PageTree {
        PageTree::new()
    }
}
