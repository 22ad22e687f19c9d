//! Looking at a run without changing it: for those who inspect and compare states.

use std::sync::Arc;

use super::{Running, Session};
use crate::report::{ReturnedValue, RunResult};
use stepmark_core::machine::{AccessObserver, Machine};
use stepmark_hosts::wasi::Wasi;
use stepmark_snapshot::job::Job;
use stepmark_state::paged::{Page, Paged};
use stepmark_state::pages::SpaceId;

impl Session {
    /// Tells `watch` of every step from now on, before it is made; only the stepper runs then. To be said once all files
    /// are given.
    pub fn watch(&mut self, watch: Arc<dyn AccessObserver>) {
        if let Some(running) = &mut self.running {
            running.machine.set_watch(watch);
        }
    }

    /// The job, once all files but the pages have been given.
    pub fn job(&self) -> Option<&Job> {
        self.running().map(|running| &running.job)
    }

    /// The program's machine.
    pub fn machine(&self) -> Option<&Machine> {
        self.running().map(|running| &running.machine)
    }

    /// The program's system interface.
    pub fn wasi(&self) -> Option<&Wasi> {
        self.running().map(|running| &running.wasi)
    }

    /// What the entry returned; empty unless it has.
    pub fn values(&self) -> Vec<ReturnedValue> {
        self.running().map_or_else(Vec::new, |running| running.values())
    }

    /// What the run came to; none while it has not ended.
    pub fn result(&self) -> Option<RunResult> {
        let running = self.running()?;
        Some(RunResult {
            outcome: running.outcome.clone()?,
            values: running.values(),
            gas_used: running.gas_used(),
            last_snapshot: running.id,
        })
    }

    /// Gas charged since the start of the run, less what was given back: as in the receipt.
    pub fn gas_used(&self) -> u64 {
        self.running().map_or(0, Running::gas_used)
    }

    /// PagedState of a page of a space; zeros where there is none.
    pub fn page(&mut self, number: SpaceId, page: u64) -> Page {
        let zeros = [0; stepmark_state::pages::PAGE];
        let Some(running) = self.running.as_deref_mut() else { return zeros };
        let contents = running.contents();
        let is_there = contents.numbers().contains(&number) && page < contents.page_count(number) as u64;
        if is_there { contents.page(number, page as usize) } else { zeros }
    }

    /// The pages whose contents differ from those at the start of the run, by space, both ascending; `start` is a run of the
    /// same job in state 0.
    pub fn pages_since_start(&mut self, start: &mut Session) -> Vec<(SpaceId, Vec<u64>)> {
        let (Some(here), Some(start)) = (self.running.as_deref_mut(), start.running.as_deref_mut()) else {
            return Vec::new();
        };
        let numbers = here.contents().numbers();
        let mut tree_before = |number| match start.spaces.tree(number) {
            Some(tree) => tree.clone(),
            None => here.wasi.initial(number),
        };
        let mut before: Vec<_> = numbers.into_iter().map(|number| (number, tree_before(number))).collect();
        let mut changed = Vec::new();
        for (number, before) in &mut before {
            let Some(now) = here.spaces.tree(*number) else { continue };
            let pages = now.pages().max(before.pages());
            changed
                .push((*number, (0..pages).filter(|page| now.leaf(*page) != before.leaf(*page)).collect::<Vec<_>>()));
        }
        changed.retain(|(_, pages)| !pages.is_empty());
        changed
    }

    /// The pages whose contents differ from those of another run's state, by space, both ascending.
    pub fn differing_pages(&mut self, other: &mut Session) -> Vec<(SpaceId, Vec<u64>)> {
        let (Some(a), Some(b)) = (self.running.as_deref_mut(), other.running.as_deref_mut()) else { return Vec::new() };
        let mut numbers = a.contents().numbers();
        numbers.extend(b.contents().numbers());
        numbers.sort_unstable();
        numbers.dedup();
        let mut differing = Vec::new();
        for number in numbers {
            let leaves = |tree: Option<&mut stepmark_state::merkle::PageTree>| tree.cloned().unwrap_or_default();
            let (mut a, mut b) = (leaves(a.spaces.tree(number)), leaves(b.spaces.tree(number)));
            if a.root() != b.root() {
                let pages = (0..a.pages().max(b.pages())).filter(|page| a.leaf(*page) != b.leaf(*page));
                differing.push((number, pages.collect()));
            }
        }
        differing
    }
}
