//! What came of faults: how many there were of each kind, and which of them went wrong.

use std::collections::BTreeMap;

use anyhow::Result;

/// Counts of faults.
#[derive(Debug, Default)]
pub struct Figures {
    /// Faults by their kind.
    pub kinds: BTreeMap<&'static str, usize>,
    /// Those after which a message or the directory was not as it must be.
    pub wrong: Vec<String>,
}

impl Figures {
    /// Counts a fault.
    pub fn count(&mut self, kind: &'static str, verdict: Result<()>) {
        *self.kinds.entry(kind).or_default() += 1;
        if let Err(error) = verdict {
            self.wrong.push(format!("{kind}: {error:#}"));
        }
    }

    /// All faults.
    pub fn places(&self) -> usize {
        self.kinds.values().sum()
    }
}
