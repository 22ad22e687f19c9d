//! Watching which pages of memory an execution touches, to make a witness, or to keep it to those that a witness has.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stepmark_core::machine::{Access, AccessObserver, DIRTY_PAGE, Machine};
use stepmark_state::error::JobError;

/// log2 of the bytes of a page.
const PAGE_SHIFT: u32 = DIRTY_PAGE.trailing_zeros();

/// Tells which pages of memory an execution touches, or keeps it to some.
#[derive(Debug, Default)]
pub struct Touched {
    /// Only those that are there may be touched.
    is_closed: bool,
    so_far: Mutex<SoFar>,
}

#[derive(Debug, Default)]
struct SoFar {
    /// By memory and page.
    pages: BTreeSet<(u32, u64)>,
    /// Most accesses are to a page that was touched just before.
    last: Option<(u32, u64)>,
    /// The first page that was not there.
    missing: Option<(u32, u64)>,
}

impl Touched {
    /// Takes every page.
    pub fn open() -> Touched {
        Touched::default()
    }

    /// Lets no page be touched but these, by store address of the memory.
    pub fn closed(pages: BTreeSet<(u32, u64)>) -> Touched {
        Touched { is_closed: true, so_far: Mutex::new(SoFar { pages, ..SoFar::default() }) }
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pages so far.
    pub fn pages(&self) -> BTreeSet<(u32, u64)> {
        self.so_far().pages.clone()
    }

    /// Whether nothing was missing.
    ///
    /// # Errors
    /// A snapshot error that names the first page that was.
    pub fn check(&self) -> Result<(), JobError> {
        match self.so_far().missing {
            None => Ok(()),
            Some((memory, page)) => Err(JobError::snapshot(format!(
                "the segment touches page {page} of memory {memory}, which is not there"
            ))),
        }
    }
}

impl AccessObserver for Touched {
    fn before_step(&self, machine: &mut Machine) -> Result<(), JobError> {
        machine.next_accesses().into_iter().try_for_each(|access| self.touch(access))?;
        self.check()
    }

    fn after_host_call(&self) -> Result<(), JobError> {
        self.check()
    }

    fn touch(&self, access: Access) -> Result<(), JobError> {
        let Some(last) = access.length.checked_sub(1).map(|more| access.address.saturating_add(more)) else {
            return self.check();
        };
        let mut so_far = self.so_far();
        for page in access.address >> PAGE_SHIFT..=last >> PAGE_SHIFT {
            let key = (access.memory, page);
            if so_far.last == Some(key) {
                continue;
            }
            so_far.last = Some(key);
            if !self.is_closed {
                so_far.pages.insert(key);
            } else if !so_far.pages.contains(&key) {
                so_far.missing = so_far.missing.or(Some(key));
            }
        }
        drop(so_far);
        self.check()
    }
}
