//! Copies of a run at one moment, for those who go back to it; and which pages a run has written. Nothing of this is in the
//! portable module.

use super::{Session, load};
use stepmark_state::paged::Paged;
use stepmark_state::pages::SpaceId;

impl Session {
    /// A second run in the state of this one; none before all files are given, or while files wait to be taken.
    pub fn copied(&self) -> Option<Session> {
        let running = self.running.clone().filter(|_| self.files.is_empty())?;
        let loading = load::Loading::default();
        Some(Session {
            spec: self.spec.clone(),
            loading,
            running: Some(running),
            files: Default::default(),
            messages: Default::default(),
        })
    }

    /// Bytes of all paged contents: most of what a [copy](Self::copied) takes.
    pub fn paged_bytes(&mut self) -> u64 {
        let Some(running) = self.running.as_deref_mut() else { return 0 };
        let contents = running.contents();
        let pages: usize = contents.numbers().into_iter().map(|number| contents.page_count(number)).sum();
        pages as u64 * stepmark_state::pages::PAGE as u64
    }

    /// Whether any of these pages of a space was marked as written since the last call, or since the last snapshot; all marks
    /// are cleared. A run that makes files must not be asked: they would lack those pages.
    pub fn take_marks(&mut self, number: SpaceId, pages: std::ops::RangeInclusive<u64>) -> bool {
        let Some(running) = self.running.as_deref_mut() else { return false };
        let mut contents = running.contents();
        let mut is_marked = false;
        for space in contents.numbers() {
            let marks = contents.marks(space);
            let is_wanted = |page: usize| space == number && pages.contains(&(page as u64));
            is_marked |= marks.iter().enumerate().any(|(page, mark)| *mark != 0 && is_wanted(page));
            marks.fill(0);
        }
        is_marked
    }
}
