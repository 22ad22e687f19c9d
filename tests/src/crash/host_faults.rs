//! Every operation of the host runner on its directory fails once, in every way that the system may refuse it, or fails
//! from then on. The runner says what failed, by name, and the directory keeps what it had.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use stepmark_runner::chain::durable::OutputDir;
use stepmark_runner::failure::{Failure, IO};
use stepmark_runner::interrupt::Interrupt;

use super::disk::{Fault, Model, Op};
use super::job::{self, Judge, LIMIT, Listener, Promise};
use super::report::Figures;
use crate::session::{Files, OUT};

/// What the system says, and to which operations.
struct Refusal {
    kind: &'static str,
    errno: Option<i32>,
    text: &'static str,
    to: fn(&Op) -> bool,
}

const fn refusal(kind: &'static str, errno: i32, text: &'static str, to: fn(&Op) -> bool) -> Refusal {
    Refusal { kind, errno: Some(errno), text, to }
}

const REFUSALS: [Refusal; 7] = [
    refusal("full disk", 28, "No space left on device (os error 28)", |op| changes(op) && !matches!(op, Op::Remove(_))),
    refusal("I/O error", 5, "Input/output error (os error 5)", |op| !syncs(op) && !renames(op)),
    refusal("read-only file system", 30, "Read-only file system (os error 30)", |op| {
        matches!(op, Op::Create(..) | Op::MakeDirectory(_) | Op::Rename(..) | Op::Remove(_))
    }),
    refusal("no permission", 13, "Permission denied (os error 13)", |op| {
        !syncs(op) && !matches!(op, Op::Write(..) | Op::Lock)
    }),
    refusal("failed sync", 5, "Input/output error (os error 5)", syncs),
    refusal("failed rename", 5, "Input/output error (os error 5)", renames),
    Refusal {
        kind: "short write",
        errno: None,
        text: "failed to write whole buffer",
        to: |op| matches!(op, Op::Write(..)),
    },
];

fn changes(op: &Op) -> bool {
    matches!(op, Op::Create(..) | Op::MakeDirectory(_) | Op::Write(..) | Op::Rename(..) | Op::Remove(_)) || syncs(op)
}

fn syncs(op: &Op) -> bool {
    matches!(op, Op::SyncFile(..) | Op::Sync)
}

fn renames(op: &Op) -> bool {
    matches!(op, Op::Rename(..))
}

/// Refuses every operation of a first run, of one over older files and of one from a snapshot.
///
/// # Errors
/// If one of them does not run undisturbed.
pub fn run(figures: &mut Figures) -> Result<()> {
    let mut judge = Judge::new()?;
    let (whole, older) = (judge.whole(), judge.older());
    for (name, initial, argv, id) in [
        ("a first run", Files::new(), job::from_start(LIMIT), 0),
        ("over an older run", older, job::from_start(LIMIT), 0),
        ("from a snapshot", whole, job::from_snapshot("1"), 1),
    ] {
        let run = Run { initial, argv, promise: Promise { id, finished: false } };
        run.every_operation(&mut judge, figures).with_context(|| name)?;
    }
    Ok(())
}

struct Run {
    initial: Files,
    argv: Vec<String>,
    promise: Promise,
}

impl Run {
    fn every_operation(&self, judge: &mut Judge, figures: &mut Figures) -> Result<()> {
        let Ended { log, failure, .. } = self.with(None)?;
        ensure!(failure.is_none(), "{failure:?}");
        for (at, op) in log.iter().enumerate() {
            for refusal in REFUSALS.iter().filter(|refusal| (refusal.to)(op)) {
                for lasting in [false, true] {
                    let fault = Fault { at, errno: refusal.errno, lasting };
                    let verdict = self.refused(fault, op, refusal.text, judge);
                    let verdict = verdict.with_context(|| format!("host runner, operation {at}, {op:?}"));
                    figures.count(refusal.kind, verdict);
                }
            }
        }
        Ok(())
    }

    /// Runs until the fault: its message, and what it leaves.
    fn refused(&self, fault: Fault, op: &Op, text: &str, judge: &mut Judge) -> Result<()> {
        let Ended { failure, files, reported, .. } = self.with(Some(fault))?;
        let failure = failure.context("no failure")?;
        let subject = op.subject().map_or_else(|| OUT.to_owned(), |name| format!("{OUT}/{name}"));
        let expected = Failure::new(IO, format!("{subject}: {text}"));
        let expected = if *op == Op::Lock { expected.caused_by("the lock of the directory") } else { expected };
        ensure!(failure == expected, "the message is {failure:?}, expected {expected:?}");
        let left = files.keys().any(|name| name.ends_with(".tmp"));
        ensure!(fault.lasting || !left, "a temporary file is left");
        judge.judge(&files, Promise { id: self.promise.id.max(reported), ..self.promise })
    }

    fn with(&self, fault: Option<Fault>) -> Result<Ended> {
        let dir = job::directory(&self.initial)?;
        let model = Model::new(&self.initial, fault);
        let mut reported = 0;
        let mut report = |id| reported = id;
        let mut listener = Listener { reported: &mut report, stop_after: None, stop: Interrupt::new() };
        let ran = OutputDir::on(Path::new(OUT), Box::new(model.clone())).map_err(anyhow::Error::from);
        let ran = ran.and_then(|out| job::host_run(&self.argv, dir.path(), &out, &mut listener));
        let failure = ran.err().map(|error| error.downcast::<Failure>()).transpose()?;
        Ok(Ended { log: model.log(), failure, files: model.files(), reported })
    }
}

/// How a run with a fault ended.
struct Ended {
    log: Vec<Op>,
    failure: Option<Failure>,
    /// What the directory holds.
    files: Files,
    /// The highest snapshot that was reported.
    reported: u64,
}
