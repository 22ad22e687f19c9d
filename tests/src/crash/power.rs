//! Power loss: what a disk can hold when power is lost after any operation of a save, by the least that a disk promises.
//! Contents that were not synced may be missing, torn, zeros or garbage; a change of a name since the directory was synced
//! has happened or not, whatever happened to other names.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use stepmark_runner::chain::durable::OutputDir;
use stepmark_runner::interrupt::Interrupt;

use super::disk::{Model, Op};
use super::job::{self, Judge, LIMIT, Listener, OLDER_LIMIT, Promise};
use crate::generate::Rng;
use crate::session::{Files, OUT};

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;
/// Combinations of name changes that are all tried; of more, each change alone and all but each.
const MOST_COMBINATIONS: usize = 64;

/// A save that power is lost in.
pub struct Scenario {
    /// What it is.
    pub name: &'static str,
    /// What the directory holds at first, durably.
    initial: Files,
    /// The record of the undisturbed run.
    pub log: Vec<Op>,
    /// What holds from the beginning.
    promise: Promise,
}

/// How a scenario runs.
struct Plan<'a> {
    name: &'static str,
    initial: &'a Files,
    argv: Vec<String>,
    start: u64,
    stop_after: Option<u64>,
    stop_at_once: bool,
}

/// The scenarios: a first run, one over the files of an older run, one from the middle of a chain, pauses.
///
/// # Errors
/// If one of them does not run undisturbed.
pub fn scenarios(judge: &mut Judge) -> Result<Vec<Scenario>> {
    let (nothing, whole, older) = (Files::new(), judge.whole(), judge.older());
    let plan = |name, initial, argv, start| Plan { name, initial, argv, start, stop_after: None, stop_at_once: false };
    let mut all = Vec::new();
    let mut add = |plan: Plan<'_>| {
        let (scenario, left) = record(plan)?;
        judge.allow(&left);
        all.push(scenario);
        Ok::<Files, anyhow::Error>(left)
    };
    add(plan("a first run", &nothing, job::from_start(LIMIT), 0))?;
    add(plan("over an older run", &older, job::from_start(LIMIT), 0))?;
    add(plan("over a run with more snapshots", &whole, job::from_start(OLDER_LIMIT), 0))?;
    add(plan("from a snapshot", &whole, job::from_snapshot("1"), 1))?;
    let pausing = plan("a pause", &nothing, job::from_start(LIMIT), 0);
    let paused = add(Plan { stop_after: Some(2), ..pausing })?;
    add(plan("from a pause", &paused, job::from_snapshot("paused"), 2))?;
    let again = plan("a pause that replaces another", &paused, job::from_snapshot("paused"), 2);
    add(Plan { stop_at_once: true, ..again })?;
    add(plan("from a snapshot before a pause", &paused, job::from_snapshot("1"), 1))?;
    Ok(all)
}

/// Runs a scenario undisturbed; what it leaves.
fn record(plan: Plan<'_>) -> Result<(Scenario, Files)> {
    let dir = job::directory(plan.initial)?;
    let model = Model::new(plan.initial, None);
    let out = OutputDir::on(Path::new(OUT), Box::new(model.clone()))?;
    let stop = Interrupt::new();
    if plan.stop_at_once {
        stop.request();
    }
    let mut reported = |id| model.remark(Op::Reported(id));
    let mut listener = Listener { reported: &mut reported, stop_after: plan.stop_after, stop };
    let summary = job::host_run(&plan.argv, dir.path(), &out, &mut listener).context(plan.name)?;
    if !summary.interrupted() {
        model.remark(Op::Finished);
    }
    let promise = Promise { id: plan.start, finished: false };
    let scenario = Scenario { name: plan.name, initial: plan.initial.clone(), log: model.log(), promise };
    Ok((scenario, model.files()))
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Figures {
    /// Different images that were judged.
    pub images: usize,
    /// Those from which something was lost, and what.
    pub lost: Vec<String>,
}

/// Loses power after every operation of every scenario, and `random` times more with random parts of several writes.
///
/// # Errors
/// If a scenario does not run undisturbed.
pub fn run(random: usize, seed: u64) -> Result<Figures> {
    let mut judge = Judge::new()?;
    let scenarios = scenarios(&mut judge)?;
    let mut figures = Figures::default();
    for scenario in &scenarios {
        scenario.every_prefix(&mut judge, &mut figures.lost);
    }
    let mut rng = Rng::new(seed);
    for scenario in scenarios.iter().cycle().take(random) {
        scenario.random_image(&mut rng, &mut judge, &mut figures.lost);
    }
    figures.images = judge.judged();
    Ok(figures)
}

impl Scenario {
    /// The same save, by a runner that leaves out some operations.
    #[must_use]
    pub fn without(mut self, left_out: impl Fn(&Op) -> bool) -> Self {
        self.log.retain(|op| !left_out(op));
        self
    }

    /// Loses power after each operation, with every way that a single file or name can be hit.
    pub fn every_prefix(&self, judge: &mut Judge, lost: &mut Vec<String>) {
        let mut memory = Memory::new(&self.initial);
        let mut promise = self.promise;
        for (number, op) in self.log.iter().enumerate() {
            memory.apply(op);
            keep(&mut promise, op);
            for image in memory.images() {
                self.verdict(number, &image, promise, judge, lost);
            }
        }
    }

    /// Loses power once, where something is uncertain, with every file and name hit at random.
    fn random_image(&self, rng: &mut Rng, judge: &mut Judge, lost: &mut Vec<String>) {
        let mut memory = Memory::new(&self.initial);
        let uncertain = self.log.iter().enumerate().filter_map(|(number, op)| {
            memory.apply(op);
            memory.is_uncertain().then_some(number)
        });
        let uncertain: Vec<usize> = uncertain.collect();
        let Some(number) = uncertain.get(rng.below(uncertain.len().max(1))).copied() else { return };
        let (mut memory, mut promise) = (Memory::new(&self.initial), self.promise);
        for op in self.log.iter().take(number + 1) {
            memory.apply(op);
            keep(&mut promise, op);
        }
        self.verdict(number, &memory.random(rng), promise, judge, lost);
    }

    fn verdict(&self, number: usize, image: &Files, promise: Promise, judge: &mut Judge, lost: &mut Vec<String>) {
        if let Err(error) = judge.judge(image, promise) {
            let after = self.log.get(number).map(|op| op.subject().unwrap_or("the directory"));
            let names: Vec<&String> = image.keys().collect();
            lost.push(format!("{}, operation {number} ({after:?}): {error:#}; there are {names:?}", self.name));
        }
    }
}

/// What the runner said becomes a promise.
fn keep(promise: &mut Promise, op: &Op) {
    match op {
        Op::Reported(id) => promise.id = promise.id.max(*id),
        Op::Finished => promise.finished = true,
        _ => {}
    }
}

/// What the disk knows for certain, and what it may or may not have.
struct Memory {
    /// What a name may stand for: what was durable first, then every change since.
    names: BTreeMap<String, Vec<Option<usize>>>,
    files: Vec<Contents>,
}

#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    synced: bool,
}

/// How contents that were not synced can be hit.
#[derive(Clone, Copy, Debug)]
enum Hit {
    /// Not at all.
    Whole,
    /// The first sectors only.
    Torn(usize),
    /// The first sectors, and zeros in place of the others.
    Zeros(usize),
    /// The first sectors, and something else in place of the others.
    Garbage(usize),
    /// Up to some length, each sector by itself: as it was written, zeros or something else, as this seed decides.
    Mixed(u64),
}

impl Memory {
    fn new(files: &Files) -> Self {
        let names = files.keys().cloned().zip((0..).map(|file| vec![Some(file)])).collect();
        let files = files.values().map(|bytes| Contents { bytes: bytes.clone(), synced: true }).collect();
        Self { names, files }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(name, file) => {
                self.files.resize_with(self.files.len().max(file + 1), Contents::default);
                self.change(name, Some(*file));
            }
            Op::Write(_, file, bytes) => {
                if let Some(contents) = self.files.get_mut(*file) {
                    contents.bytes.extend_from_slice(bytes);
                    contents.synced = false;
                }
            }
            Op::SyncFile(_, file) => self.files.get_mut(*file).into_iter().for_each(|contents| contents.synced = true),
            Op::Rename(from, to) => {
                let file = self.names.get(from).and_then(|values| *values.last()?);
                self.change(from, None);
                self.change(to, file);
            }
            Op::Remove(name) => self.change(name, None),
            Op::Sync => self.names.values_mut().for_each(|values| drop(values.drain(..values.len() - 1))),
            // Only files are followed, by their whole names.
            Op::MakeDirectory(_) => {}
            Op::Lock | Op::List | Op::Look(_) | Op::Read(_) | Op::Reported(_) | Op::Finished => {}
        }
    }

    fn change(&mut self, name: &str, value: Option<usize>) {
        let values = self.names.entry(name.to_owned()).or_insert_with(|| vec![None]);
        if values.last() != Some(&value) {
            values.push(value);
        }
    }

    fn is_uncertain(&self) -> bool {
        self.files.iter().any(|file| !file.synced && !file.bytes.is_empty()) || !self.open_names().is_empty()
    }

    /// The names whose last changes are not certain, and how many ways there are for each.
    fn open_names(&self) -> Vec<(&String, usize)> {
        self.names.iter().filter(|(_, values)| values.len() > 1).map(|(name, values)| (name, values.len())).collect()
    }

    /// All images with every combination of names, then with every single file hit in every way.
    fn images(&self) -> Vec<Files> {
        let mut images: Vec<Files> =
            combinations(&self.open_names()).iter().map(|chosen| self.image(chosen, |_| Hit::Whole)).collect();
        for (number, contents) in self.files.iter().enumerate().filter(|(_, contents)| !contents.synced) {
            let sectors = contents.bytes.len().div_ceil(SECTOR);
            let hits = (0..sectors).flat_map(|keep| [Hit::Torn(keep), Hit::Zeros(keep), Hit::Garbage(keep)]);
            let hit = |hit| self.image(&BTreeMap::new(), |file| if file == number { hit } else { Hit::Whole });
            images.extend(hits.map(hit));
        }
        images
    }

    fn random(&self, rng: &mut Rng) -> Files {
        let chosen = self.open_names().into_iter().map(|(name, ways)| (name.clone(), rng.below(ways))).collect();
        let seed = rng.bits();
        self.image(&chosen, |file| Hit::Mixed(seed.wrapping_add(file as u64)))
    }

    /// The image in which names stand for the chosen one of what they may stand for, the newest where none is chosen.
    fn image(&self, chosen: &BTreeMap<String, usize>, hit: impl Fn(usize) -> Hit) -> Files {
        let mut image = Files::new();
        for (name, values) in &self.names {
            let choice = chosen.get(name).copied().unwrap_or(values.len() - 1);
            let file = values.get(choice).copied().flatten();
            if let Some((file, contents)) = file.and_then(|file| Some((file, self.files.get(file)?))) {
                let hit = if contents.synced { Hit::Whole } else { hit(file) };
                image.insert(name.clone(), hit.of(&contents.bytes));
            }
        }
        image
    }
}

impl Hit {
    fn of(self, bytes: &[u8]) -> Vec<u8> {
        let (keep, rest) = match self {
            Self::Whole => return bytes.to_vec(),
            Self::Torn(keep) => (keep, None),
            Self::Zeros(keep) => (keep, Some(0)),
            Self::Garbage(keep) => (keep, Some(0xa5)),
            Self::Mixed(seed) => return mixed(bytes, &mut Rng::new(seed)),
        };
        let mut hit = bytes.get(..keep * SECTOR).unwrap_or(bytes).to_vec();
        if let Some(rest) = rest {
            hit.resize(bytes.len(), rest);
        }
        hit
    }
}

fn mixed(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut hit = bytes.get(..rng.below(bytes.len() + 1)).unwrap_or(bytes).to_vec();
    for sector in hit.chunks_mut(SECTOR) {
        match rng.below(3) {
            0 => sector.fill(0),
            1 => sector.iter_mut().for_each(|byte| *byte = rng.bits().to_le_bytes()[0]),
            _ => {}
        }
    }
    hit
}

/// Every way to choose for all names; where these are too many, those that differ from the newest, or from the oldest, in
/// one name.
fn combinations(names: &[(&String, usize)]) -> Vec<BTreeMap<String, usize>> {
    let ways = names.iter().map(|(_, ways)| *ways).try_fold(1usize, usize::checked_mul).unwrap_or(usize::MAX);
    if ways <= MOST_COMBINATIONS {
        return names.iter().fold(vec![BTreeMap::new()], |all, (name, ways)| {
            let with = |choice| all.iter().map(move |chosen: &BTreeMap<_, _>| with(chosen, name, choice));
            (0..*ways).flat_map(with).collect()
        });
    }
    let oldest: BTreeMap<String, usize> = names.iter().map(|(name, _)| ((*name).clone(), 0)).collect();
    let single = names.iter().flat_map(|(name, ways)| {
        (0..*ways).flat_map(|choice| [with(&BTreeMap::new(), name, choice), with(&oldest, name, choice)])
    });
    single.collect()
}

fn with(chosen: &BTreeMap<String, usize>, name: &str, choice: usize) -> BTreeMap<String, usize> {
    let mut chosen = chosen.clone();
    chosen.insert(name.to_owned(), choice);
    chosen
}
