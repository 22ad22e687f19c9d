//! The second way: a job run from its start, with a budget of gas, or watched at every instruction.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use stepmark_core::code::Op;
use stepmark_core::machine::{Access, AccessObserver, Budget, Machine};
use stepmark_runner::node::driver::take_files;
use stepmark_runner::node::engine::{Event, ModuleSession};
use stepmark_runner::timeline::{MemoryRange, Timeline};
use stepmark_session::output_file::OutputFile;
use stepmark_snapshot::snap;
use stepmark_state::canonical::state_hash;
use stepmark_state::error::JobError;

use super::{Random, SampleChain};

/// Where a run from the start came to.
pub(super) struct PlainRun {
    gas: u64,
    hash: [u8; 32],
}

impl PlainRun {
    /// Runs a job from its start to the last moment with at most so much gas.
    pub(super) fn to(chain: &SampleChain, gas: u64) -> Result<Self> {
        let mut node = chain.start()?;
        let has_ended = loop {
            let left = gas - node.progress()?.gas_total;
            let event = node.run(Budget { gas: left, steps: u64::MAX })?;
            node.drop_output()?;
            match event {
                Event::Finished => break true,
                Event::Paused => break false,
                Event::Snapshot(_) | Event::Output | Event::Question => drop(take_files(&mut node)?),
            }
        };
        if !has_ended {
            node.encode_pause()?;
        }
        let files = take_files(&mut node)?;
        let state = files.iter().find(|(file, _)| matches!(file, OutputFile::Snap(_)));
        let state = snap::decode(state.context("no state")?.1)?.state;
        Ok(Self { gas: node.progress()?.gas_total, hash: state_hash(&state) })
    }

    /// Whether a timeline is in the same state.
    pub(super) fn is(&self, timeline: &mut Timeline) -> Result<bool> {
        Ok(timeline.moment().gas == self.gas && state_hash(&timeline.state()?.state) == self.hash)
    }
}

/// All writes of a run to some ranges of memory 0, and which segments changed their pages.
pub(super) struct PlainWrites {
    ranges: Vec<MemoryRange>,
    /// Gas before the writes, by range, ascending.
    writes: Vec<Vec<u64>>,
    /// Gas of the start of the run, of the snapshots, and where no run ends.
    bounds: Vec<u64>,
    /// By range, the segments that changed a page of it.
    changed: Vec<BTreeSet<usize>>,
}

impl PlainWrites {
    /// Ranges at random, of which some are written to, with their writes in a run that is watched at every instruction.
    pub(super) fn record(chain: &SampleChain, random: &mut Random) -> Result<Self> {
        let files = stepmark_runner::chain::ChainFiles::open(chain.dir.path())?;
        let mut bounds = vec![0];
        bounds.extend(files.links.values().map(|link| link.gas_total));
        let mut node = chain.start()?;
        let session = node.session_mut().context("no run")?;
        let machine = session.machine().context("no machine")?;
        let size = machine.store.memories.first().map_or(0, |memory| memory.bytes().len() as u64);
        let anywhere = watch(chain, Watch::anywhere())?.seen;
        let mut ranges = Vec::new();
        for number in 0..if size > 64 { 6 } else { 0 } {
            let written = anywhere.get(random.below(anywhere.len() as u64) as usize).copied();
            let address = written.filter(|_| number < 5).unwrap_or_else(|| random.below(size - 32));
            ranges.push(MemoryRange { memory: 0, address, length: 1 + random.below(16) });
        }
        let Watch { writes, pages, .. } = watch(chain, Watch::of(&ranges, &bounds))?;
        let changed = pages.iter().map(|pages| {
            let differs = |segment: &usize| pages.get(*segment) != pages.get(segment + 1);
            (0..bounds.len() - 1).filter(differs).collect::<BTreeSet<usize>>()
        });
        Ok(Self { ranges, writes, changed: changed.collect(), bounds })
    }

    pub(super) fn ranges(&self) -> &[MemoryRange] {
        &self.ranges
    }

    /// Gas before the last write to a range before `gas`, in the segment that leads there or the last one that changed a page.
    pub(super) fn last(&self, range: usize, gas: u64) -> Option<u64> {
        let own = self.bounds.iter().rposition(|bound| *bound < gas).unwrap_or(0);
        (0..=own).rev().filter(|segment| *segment == own || self.changed[range].contains(segment)).find_map(|segment| {
            let end = self.bounds.get(segment + 1).copied().unwrap_or(u64::MAX).min(gas);
            let is_in = |write: &&u64| (self.bounds[segment]..end).contains(write);
            self.writes[range].iter().rev().find(is_in).copied()
        })
    }
}

/// What is noted of a run.
#[derive(Debug, Default)]
struct Watch {
    ranges: Vec<MemoryRange>,
    bounds: Vec<u64>,
    writes: Vec<Vec<u64>>,
    /// By range, the contents of its pages at each bound so far.
    pages: Vec<Vec<Vec<u8>>>,
    /// Addresses that were written to, every hundredth.
    seen: Vec<u64>,
    stores: u64,
    /// The bytes of the ranges before a host call that was about to be made, and the gas then.
    host_call: Option<(u64, Vec<Vec<u8>>)>,
}

impl Watch {
    fn anywhere() -> Self {
        Self::default()
    }

    fn of(ranges: &[MemoryRange], bounds: &[u64]) -> Self {
        let (writes, pages) = (vec![Vec::new(); ranges.len()], vec![Vec::new(); ranges.len()]);
        Self { ranges: ranges.to_vec(), bounds: bounds.to_vec(), writes, pages, ..Self::default() }
    }

    fn look(&mut self, machine: &mut Machine) {
        let (gas, Some(instr)) = (machine.gas_total(), machine.current_instr()) else { return };
        if let Some((before_gas, before)) = self.host_call.take().filter(|(before, _)| *before < gas) {
            let now = self.contents(machine);
            for (range, _) in before.iter().zip(&now).enumerate().filter(|(_, (before, now))| before != now) {
                self.writes[range].push(before_gas);
            }
        }
        while self.pages.first().is_some_and(|pages| self.bounds.get(pages.len()).is_some_and(|bound| *bound <= gas)) {
            let pages: Vec<Vec<u8>> = self.ranges.iter().map(|range| whole_pages(range, machine)).collect();
            self.pages.iter_mut().zip(pages).for_each(|(all, page)| all.push(page));
        }
        let is_bulk = matches!(instr.op, Op::MemoryFill | Op::MemoryCopy | Op::MemoryInit);
        if is_bulk || instr.op.mnemonic().contains("store") {
            if let Some(Access { memory: 0, address, length }) = machine.next_accesses().first().copied() {
                self.stored(gas, address, length);
            }
        } else if machine.host_callee(instr).is_some() {
            self.host_call = Some((gas, self.contents(machine)));
        }
    }

    fn stored(&mut self, gas: u64, address: u64, length: u64) {
        self.stores += 1;
        if self.stores % 100 == 1 {
            self.seen.push(address);
        }
        for (range, writes) in self.ranges.iter().zip(&mut self.writes) {
            if range.address < address + length && address < range.address + range.length {
                writes.push(gas);
            }
        }
    }

    fn contents(&self, machine: &Machine) -> Vec<Vec<u8>> {
        self.ranges.iter().map(|range| range.bytes(machine).unwrap_or_default().to_vec()).collect()
    }
}

/// The pages of 4 KiB that a range is in.
fn whole_pages(range: &MemoryRange, machine: &Machine) -> Vec<u8> {
    let (first, last) = (range.address / 4096, (range.address + range.length - 1) / 4096);
    let pages = MemoryRange { memory: range.memory, address: first * 4096, length: (last - first + 1) * 4096 };
    pages.bytes(machine).unwrap_or_default().to_vec()
}

#[derive(Debug)]
struct Watcher(Mutex<Watch>);

impl AccessObserver for Watcher {
    fn before_step(&self, machine: &mut Machine) -> Result<(), JobError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).look(machine);
        Ok(())
    }

    fn touch(&self, _: Access) -> Result<(), JobError> {
        Ok(())
    }
}

/// Runs a job from its start to its end, and notes.
fn watch(chain: &SampleChain, watch: Watch) -> Result<Watch> {
    let mut node = chain.start()?;
    let watcher = Arc::new(Watcher(Mutex::new(watch)));
    node.session_mut().context("no run")?.watch(watcher.clone());
    while node.run(Budget::UNLIMITED)? != Event::Finished {
        node.drop_output()?;
        drop(take_files(&mut node)?);
    }
    Ok(std::mem::take(&mut *watcher.0.lock().unwrap_or_else(PoisonError::into_inner)))
}
