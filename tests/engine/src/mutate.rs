//! Hostile snapshots: real ones with a field or some bytes changed and all hashes repaired. Loading one must end with the
//! state that it says or with an error, never with a panic; what was accepted must be encoded again as it was, must run,
//! and what it runs to must be accepted in its turn.

mod by_format;
mod change;
pub mod module;
mod subject;
mod verdict;

use anyhow::{Context, Result, ensure};
use stepmark_session::{Budget, Event, Session};
use stepmark_snapshot::snap;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_snapshot::{FileKind, Prefix};

use crate::generate::Rng;
use crate::panic_guard::caught;
use crate::session::{Files, OUT, load, pause, with};

pub use change::{change_bytes, change_field, change_pages, roots};
pub use subject::{Subject, answer_to, contracts_job, small_subjects, subjects};
pub use verdict::{assert_all, changed, loaded, with_elements, with_snap};

/// Gas that an accepted snapshot is run for.
const RUN: u64 = 10_000;

/// The bytes of a `.snap` that says this, canonical or not, with all its hashes right.
///
/// # Panics
/// Never: serialising into memory does not fail.
pub fn forge(raw: &RawSnapshot) -> Vec<u8> {
    let prefix =
        Prefix { file: FileKind::Snap, paused: raw.segment.paused, id: raw.segment.id, job_hash: raw.job.job_hash() };
    let sections = [
        postcard::to_allocvec(&raw.job).expect("a job has a form"),
        postcard::to_allocvec(&raw.segment).expect("a segment has a form"),
        postcard::to_allocvec(&raw.state).expect("a state has a form"),
    ];
    let mut bytes = prefix.encode().to_vec();
    for section in &sections {
        bytes.extend((section.len() as u64).to_le_bytes());
    }
    bytes.extend(sections.concat());
    seal(bytes)
}

/// Appends the hash that either file ends with.
pub fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = *blake3::hash(&bytes).as_bytes();
    bytes.extend(hash);
    bytes
}

/// How a case ended, when it ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An error.
    Refused,
    /// It was loaded, encoded again as it was, and has run.
    Accepted,
}

/// Counts of cases.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Cases.
    pub cases: u64,
    /// Cases with a field changed.
    pub fields: u64,
    /// Cases with bytes changed.
    pub bytes: u64,
    /// Cases with pages changed.
    pub pages: u64,
    /// Cases that were accepted.
    pub accepted: u64,
    /// What went wrong, with the number of the case.
    pub failures: Vec<String>,
}

impl Figures {
    /// Adds another count.
    pub fn add(&mut self, other: Figures) {
        self.cases += other.cases;
        self.fields += other.fields;
        self.bytes += other.bytes;
        self.pages += other.pages;
        self.accepted += other.accepted;
        self.failures.extend(other.failures);
    }
}

/// Runs case `number` of a seed on one of the subjects, counting it.
pub fn case(subjects: &[Subject], seed: u64, number: u64, figures: &mut Figures) {
    let mut rng = Rng::new(seed.wrapping_mul(0x1_0000_0001) ^ number);
    let subject = &subjects[rng.below(subjects.len())];
    figures.cases += 1;
    let (what, files) = match rng.below(10) {
        0..6 => {
            figures.fields += 1;
            change_field(subject, &mut rng)
        }
        6..9 => {
            figures.bytes += 1;
            change_bytes(subject, &mut rng)
        }
        _ => {
            figures.pages += 1;
            change_pages(subject, &mut rng)
        }
    };
    match judge(subject, &files) {
        Ok(Verdict::Accepted) => figures.accepted += 1,
        Ok(Verdict::Refused) => {}
        Err(error) => figures.failures.push(format!("case {number} ({}, {what}): {error:#}", subject.name)),
    }
}

/// Loads a changed snapshot and, if that is accepted, holds it to its word.
///
/// # Errors
/// What went wrong: a panic, an endless run, a state that is not the one in the file.
pub fn judge(subject: &Subject, files: &Files) -> Result<Verdict> {
    let inputs = with(subject.job.inputs.clone(), files);
    let argv = subject.resume_argv();
    let Some(mut session) = caught(|| Ok(load(&inputs, &argv).ok())).context("loading")? else {
        return Ok(Verdict::Refused);
    };
    let accepted = files.get(&subject.snap_path()).context("no snapshot")?;
    caught(|| {
        encoded_again(&mut session, accepted)?;
        run_on(&mut session, subject, files)
    })?;
    Ok(Verdict::Accepted)
}

/// A pause before anything has run gives the state that was loaded.
fn encoded_again(session: &mut Session, accepted: &[u8]) -> Result<()> {
    let files = pause(session).context("encoded at once")?;
    let again = &files[&format!("{OUT}/paused.snap")];
    let (was, is) = (snap::decode(accepted)?, snap::decode(again)?);
    ensure!(was.state == is.state, "the state is encoded as {:?}, it was {:?}", is.state, was.state);
    ensure!(!was.segment.paused || again == accepted, "a paused snapshot is encoded differently: {:?}", is.segment);
    Ok(())
}

/// Runs for a while; what it comes to is accepted again.
fn run_on(session: &mut Session, subject: &Subject, chain: &Files) -> Result<()> {
    let start = session.progress().gas_total;
    let mut gas = RUN;
    let mut files = Files::new();
    for _ in 0..200 {
        let before = session.progress().gas_total;
        let event = session.run(Budget { gas, steps: 100_000 });
        session.take_output(1);
        let Ok(event) = event else { return Ok(()) };
        if event == Event::Question && subject::answer(session).is_err() {
            return Ok(());
        }
        crate::session::take_files(session, &mut files).context("files of the run")?;
        let after = session.progress().gas_total;
        if event == Event::Finished {
            return Ok(());
        }
        if event == Event::Paused && after == before {
            ensure!(gas < u64::MAX, "no budget makes it go on");
            gas = gas.saturating_mul(1 << 8);
        }
        if after.saturating_sub(start) >= RUN - 500 {
            break;
        }
    }
    // Nothing to pause: it has ended.
    let Ok(paused) = pause(session) else { return Ok(()) };
    let inputs = with(with(with(subject.job.inputs.clone(), chain), &files), &paused);
    load(&inputs, &subject.paused_argv()).context("what it ran to is refused")?;
    Ok(())
}
