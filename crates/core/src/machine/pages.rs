//! Memories and tables as spaces of pages.

use super::Store;
use super::memory::DIRTY_PAGE;
use super::table::PAGE_ELEMENTS;
use stepmark_state::merkle::PageTree;
use stepmark_state::paged::{Page, Paged};
use stepmark_state::pages::SpaceId;
use stepmark_state::pages::{SPACE_MEMORY, SPACE_TABLE};

impl Paged for Store {
    fn numbers(&self) -> Vec<SpaceId> {
        let memories = self.memories.iter().map(|memory| SpaceId::new(SPACE_MEMORY, memory.number));
        memories.chain(self.tables.iter().map(|table| SpaceId::new(SPACE_TABLE, table.number))).collect()
    }

    fn page_count(&self, SpaceId { kind, index }: SpaceId) -> usize {
        match kind {
            SPACE_MEMORY => self.memories[self.memory_of(index)].dirty.len(),
            _ => self.tables[self.table_of(index)].dirty.len(),
        }
    }

    fn marks(&mut self, SpaceId { kind, index }: SpaceId) -> &mut [u8] {
        match kind {
            SPACE_MEMORY => {
                let address = self.memory_of(index);
                &mut self.memories[address].dirty
            }
            _ => {
                let address = self.table_of(index);
                &mut self.tables[address].dirty
            }
        }
    }

    fn page(&self, SpaceId { kind, index }: SpaceId, page: usize) -> Page {
        let mut contents = [0; DIRTY_PAGE];
        match kind {
            SPACE_MEMORY => {
                contents.copy_from_slice(&self.memories[self.memory_of(index)].bytes[page * DIRTY_PAGE..][..DIRTY_PAGE])
            }
            _ => {
                let elements = &self.tables[self.table_of(index)].elements[page * PAGE_ELEMENTS..];
                for (element, bytes) in elements.iter().zip(contents.chunks_exact_mut(8)) {
                    bytes.copy_from_slice(&element.to_le_bytes());
                }
            }
        }
        contents
    }

    fn set_page(&mut self, SpaceId { kind, index }: SpaceId, page: usize, contents: &Page) {
        match kind {
            SPACE_MEMORY => {
                let address = self.memory_of(index);
                self.memories[address].bytes[page * DIRTY_PAGE..][..DIRTY_PAGE].copy_from_slice(contents)
            }
            _ => {
                let address = self.table_of(index);
                let elements = &mut self.tables[address].elements[page * PAGE_ELEMENTS..];
                for (element, bytes) in elements.iter_mut().zip(contents.as_chunks().0) {
                    *element = u64::from_le_bytes(*bytes);
                }
            }
        }
    }

    fn initial(&self, _: SpaceId) -> PageTree {
        PageTree::new()
    }
}
