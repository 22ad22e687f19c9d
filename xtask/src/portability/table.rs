//! What came out, a row for each runtime: on the terminal, as Markdown, as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use node_tests::runner::Ended;
use node_tests::runtimes::Runtime;
use node_tests::same_everywhere::{Job, Place};
use serde_json::json;

/// Digits of a hash in the table.
const SHOWN: usize = 16;

/// What the native library gives, by job.
pub(super) type Reference = BTreeMap<&'static str, (Ended, blake3::Hash)>;

/// Where jobs run.
pub(super) enum Ground {
    /// In this process, or by a script beside it.
    Place(Place),
    /// The command face in a process of the runtime.
    Runtime { runtime: Runtime, exit_codes: bool },
}

impl Ground {
    pub(super) fn run(&self, job: &Job, node: &Path) -> Result<Ended> {
        match self {
            Self::Place(place) => job.run(*place, node),
            Self::Runtime { runtime, exit_codes } => job.run_in(runtime, *exit_codes),
        }
    }
}

/// What a job came to.
pub(super) enum Run {
    Ended { hash: blake3::Hash, snapshots: usize, differences: Vec<String> },
    Failed(String),
}

/// A runtime and what came out in it.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) version: String,
    pub(super) ground: Ground,
    /// Whether the node's own test finds it good enough.
    pub(super) selftest: Option<bool>,
    pub(super) start: Option<Duration>,
    pub(super) peak: Option<u64>,
    /// By job.
    pub(super) runs: BTreeMap<&'static str, Run>,
}

impl Row {
    pub(super) fn new(name: &'static str, version: &str, ground: Ground) -> Self {
        Self {
            name,
            version: version.to_owned(),
            ground,
            selftest: None,
            start: None,
            peak: None,
            runs: BTreeMap::new(),
        }
    }

    pub(super) fn is_slow(&self) -> bool {
        matches!(&self.ground, Ground::Runtime { runtime, .. } if runtime.slow)
    }

    /// How many jobs gave what they give natively.
    pub(super) fn same(&self) -> usize {
        let same = |run: &&Run| matches!(run, Run::Ended { differences, .. } if differences.is_empty());
        self.runs.values().filter(same).count()
    }

    /// Over the results of its jobs.
    fn hash(&self) -> String {
        hash(self.runs.iter().filter_map(|(job, run)| match run {
            Run::Ended { hash, .. } => Some((*job, hash)),
            Run::Failed(_) => None,
        }))
    }

    /// Over the native results of the same jobs.
    fn native_hash(&self, reference: &Reference) -> String {
        hash(self.runs.keys().filter_map(|job| Some((*job, &reference.get(job)?.1))))
    }

    /// Name, version, and what is to be known about it.
    fn title(&self) -> String {
        let lost = matches!(&self.ground, Ground::Runtime { exit_codes: false, .. });
        format!("{}{}", self.name, if lost { " (ends with 0 whatever the node's exit code)" } else { "" })
    }

    fn selftest(&self) -> &'static str {
        match self.selftest {
            Some(true) => "good",
            Some(false) => "not good",
            None => "-",
        }
    }

    fn start(&self) -> String {
        self.start.map_or_else(|| "-".to_owned(), |start| format!("{} ms", start.as_millis()))
    }

    fn peak(&self) -> String {
        self.peak.map_or_else(|| "-".to_owned(), |peak| format!("{} MiB", peak >> 20))
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let runs: BTreeMap<_, _> = self
            .runs
            .iter()
            .map(|(job, run)| {
                let run = match run {
                    Run::Ended { hash, snapshots, differences } => {
                        json!({ "hash": hash.to_string(), "snapshots": snapshots, "differences": differences })
                    }
                    Run::Failed(why) => json!({ "failed": why }),
                };
                (job, run)
            })
            .collect();
        json!({
            "name": self.name, "version": self.version, "runs": runs,
            "start_ms": self.start.map(|start| start.as_secs_f64() * 1000.0), "peak_bytes": self.peak,
            "selftest": self.selftest, "exit_codes": !matches!(&self.ground, Ground::Runtime { exit_codes: false, .. }),
        })
    }
}

/// First digits of the hash over the results of jobs.
fn hash<'a>(results: impl Iterator<Item = (&'a str, &'a blake3::Hash)>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (job, hash) in results {
        hasher.update(job.as_bytes()).update(&[0]).update(hash.as_bytes());
    }
    hasher.finalize().to_hex()[..SHOWN].to_owned()
}

pub(super) fn print(rows: &[Row], reference: &Reference) {
    println!(
        "{:<26}{:<18}{:<10}{:<18}{:<18}{:<10}{:<9}peak",
        "runtime", "version", "the same", "hash", "native hash", "selftest", "start"
    );
    for row in rows {
        let same = format!("{} of {}", row.same(), row.runs.len());
        let (hash, native) = (row.hash(), row.native_hash(reference));
        let (selftest, start, peak) = (row.selftest(), row.start(), row.peak());
        println!("{:<26}{:<18}{same:<10}{hash:<18}{native:<18}{selftest:<10}{start:<9}{peak}", row.name, row.version);
    }
    for row in rows {
        for (job, run) in &row.runs {
            match run {
                Run::Ended { differences, .. } if differences.is_empty() => {}
                Run::Ended { differences, .. } => println!("{job} in {} differs: {differences:?}", row.name),
                Run::Failed(why) => println!("failed: {why}"),
            }
        }
    }
}

pub(super) fn markdown(rows: &[Row], reference: &Reference) -> String {
    let all = hash(reference.iter().map(|(job, (_, hash))| (*job, hash)));
    let mut text = format!("The native library, {} jobs: `{all}`.\n\n", reference.len());
    text.push_str("| runtime | version | the same | hash | native hash | selftest | start | peak |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for row in rows {
        let (same, hash, native) = (row.same(), row.hash(), row.native_hash(reference));
        let counts = format!("{same} of {}", row.runs.len());
        let (title, version, selftest) = (row.title(), &row.version, row.selftest());
        let (start, peak) = (row.start(), row.peak());
        writeln!(text, "| {title} | {version} | {counts} | `{hash}` | `{native}` | {selftest} | {start} | {peak} |")
            .expect("a string takes everything");
    }
    text
}
