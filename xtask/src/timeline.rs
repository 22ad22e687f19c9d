//! `cargo xtask timeline`: moments of chains that a timeline seeks, steps back to, and finds the last writers of memory at, each
//! beside plain execution from the start of the job; and how long that takes on a chain with segments of 10^8 gas.

mod plain;
mod times;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use stepmark_core::machine::Budget;
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_runner::node::driver::take_files;
use stepmark_runner::node::engine::{Event, ModuleSession};
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::supply::Supply;
use stepmark_runner::timeline::{CHECKPOINT_BYTES, SeekTarget, Timeline};
use stepmark_session::spec::JobSpec;
use tempfile::TempDir;

use self::plain::{PlainRun, PlainWrites};

/// Programs with their entries and arguments, and the gas limit of their segments.
const SAMPLES: [(&str, &[&str], u64); 8] = [
    ("fib32.wasm", &["fib", "18"], 20_000),
    ("sha256.wasm", &["4096"], 150_000),
    ("rust_std.wasm", &["42", "a", "b", "a"], 200_000),
    ("exit_code.wasm", &["42"], 200),
    ("grow_table_trap.wasm", &["trap", "2"], 5),
    ("bench/hash_map.wasm", &["run", "8"], 150_000),
    ("bench/sort.wasm", &["run", "1"], 500_000),
    ("bench/memory_copies.wasm", &["run", "1"], 300_000),
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Moments that are sought in all, and as many steps back; a quarter as many last writers
    #[arg(long, default_value_t = 200)]
    seeks: u64,
    /// Segments of 10^8 gas of the chain that is measured; 0 measures nothing
    #[arg(long, default_value_t = 10)]
    segments: u64,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut random = Random(0x5e_ed0f_7133);
    let mut counts = Counts::default();
    let per_sample = args.seeks.div_ceil(SAMPLES.len() as u64);
    for (program, words, limit) in SAMPLES {
        let before = counts.differences;
        let chain = SampleChain::new(program, words, limit, u64::MAX).with_context(|| program.to_owned())?;
        chain.compare(per_sample, &mut random, &mut counts).with_context(|| program.to_owned())?;
        println!("{program:<28}{per_sample} moments: {} differences", counts.differences - before);
    }
    let times = if args.segments > 0 { Some(times::measure(args.segments, &mut random)?) } else { None };
    let Counts { seeks, backs, writers, differences } = counts;
    let mut figure = format!(
        "timeline: {seeks} seeks, {backs} steps back, {writers} last writers of {} programs, {differences} differences",
        SAMPLES.len()
    );
    if let Some(times) = &times {
        figure.push_str(&format!("; {times}"));
    }
    if let Some(path) = &args.json {
        let object = json!({ "figure": figure, "seeks": seeks, "backs": backs, "writers": writers, "differences": differences,
            "times": times.as_ref().map(times::Times::object) });
        std::fs::write(path, format!("{object:#}\n")).with_context(|| path.display().to_string())?;
    }
    println!("{figure}");
    Ok(differences == 0 && times.is_none_or(|times| times.are_short()))
}

/// What was compared.
#[derive(Debug, Default)]
struct Counts {
    seeks: u64,
    backs: u64,
    writers: u64,
    differences: u64,
}

impl Counts {
    fn check(&mut self, what: &str, is_same: bool) {
        if !is_same {
            println!("differs: {what}");
            self.differences += 1;
        }
    }
}

/// Random numbers, the same in every run.
struct Random(u64);

impl Random {
    /// A number below `end`; 0 where that is 0.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.checked_rem(end).unwrap_or(0)
    }
}

/// A chain in a directory of its own.
struct SampleChain {
    dir: TempDir,
    job: JobSpec,
    /// Gas of the run, or up to where it was stopped.
    gas: u64,
}

impl SampleChain {
    /// Runs a program of wasmfiles natively, with a snapshot after every `limit` gas, to its end or to so many snapshots.
    fn new(program: &str, words: &[&str], limit: u64, snapshots: u64) -> Result<Self> {
        let program = crate::workspace().join("wasmfiles").join(program);
        let job = JobSpec {
            program: program.display().to_string(),
            positionals: words.iter().map(|word| (*word).to_owned()).collect(),
            gas_limit: Some(limit),
            gas_refill: true,
            ..JobSpec::default()
        };
        let mut chain = Self { dir: tempfile::tempdir()?, job, gas: 0 };
        let mut node = chain.start()?;
        loop {
            let event = node.run(Budget::UNLIMITED)?;
            node.drop_output()?;
            for (file, bytes) in take_files(&mut node)? {
                std::fs::write(chain.dir.path().join(file.to_string()), bytes)?;
            }
            chain.gas = node.progress()?.gas_total;
            match event {
                Event::Finished => return Ok(chain),
                Event::Snapshot(id) if id == snapshots => return Ok(chain),
                _ => {}
            }
        }
    }

    /// The job, ready to run from its start.
    fn start(&self) -> Result<NativeNode> {
        let mut node = NativeNode::new();
        node.load(&JobSpec { keep_final: true, ..self.job.clone() })?;
        Supply::default().feed(&mut node, &Interrupt::new())?;
        Ok(node)
    }

    fn timeline(&self) -> Result<Timeline> {
        let chain = ChainFiles::open(self.dir.path())?;
        let job = chain.job.clone().context("the chain has no snapshot")?;
        let files = JobFiles::find(&job, Some(&self.job.program), &GivenFiles::default(), Path::new("."))?;
        Ok(Timeline::open(&chain, &Rerun::new(job, &files, self.dir.path()), CHECKPOINT_BYTES)?)
    }

    /// Compares random moments, the moments before them, and last writers there.
    fn compare(&self, moments: u64, random: &mut Random, counts: &mut Counts) -> Result<()> {
        let mut timeline = self.timeline()?;
        let writes = PlainWrites::record(self, random)?;
        for number in 0..moments {
            let gas = random.below(self.gas + 1);
            let found = timeline.seek(SeekTarget::Gas(gas))?;
            let plain = PlainRun::to(self, gas)?;
            counts.check(&format!("the state at gas {gas}"), plain.is(&mut timeline)?);
            counts.seeks += 1;
            if number % 4 == 0 && !writes.ranges().is_empty() {
                let which = random.below(writes.ranges().len() as u64) as usize;
                let writer = timeline.last_write(writes.ranges()[which], found)?;
                let expected = writes.last(which, found.gas);
                let what =
                    format!("the last write to {:?} before {found}: {writer:?}, {expected:?}", writes.ranges()[which]);
                counts.check(&what, writer.map(|moment| moment.gas) == expected);
                counts.writers += 1;
            }
            ensure!(timeline.moment() == found, "a search has moved the timeline");
            if found.gas > 0 {
                timeline.back(1)?;
                // The last state that less gas comes to.
                let before = PlainRun::to(self, found.gas - 1)?;
                counts.check(&format!("the state before {found}"), before.is(&mut timeline)?);
                counts.backs += 1;
            }
        }
        Ok(())
    }
}
