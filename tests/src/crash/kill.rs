//! The node stops in the middle of a save: at every instruction that the fuel can end at, and before every call that
//! concerns a file, so that no state of the directory is left out whatever the stride.

use anyhow::{Context, Result, ensure};

use super::job::{self, Judge, LIMIT, Promise};
use super::node::{Answer, CommandFace, PLENTY, Ran};
use crate::session::{Files, OUT};

/// What came of it.
#[derive(Debug, Default)]
pub struct Figures {
    /// Points at which the node was stopped by its fuel.
    pub points: u64,
    /// Instructions of the saves, each of which is a point with a stride of 1.
    pub of: u64,
    /// Calls before which the node was stopped.
    pub calls: usize,
    /// Different directories that were found.
    pub directories: usize,
    /// What was lost.
    pub lost: Vec<String>,
}

/// A stretch of a run to be stopped in.
struct Sweep {
    name: &'static str,
    initial: Files,
    argv: Vec<String>,
    promise: Promise,
    /// The function and the part of a path with which the stretch begins.
    from: (&'static str, &'static str),
    /// With which it ends; the end of the run without.
    to: Option<(&'static str, &'static str)>,
}

fn sweeps(judge: &Judge) -> Result<Vec<Sweep>> {
    let whole = judge.whole();
    let highest = whole.keys().filter(|name| name.ends_with(".snap")).count() as u64;
    ensure!(highest > 2, "{highest} snapshots");
    let before: Files = whole.into_iter().filter(|(name, _)| job::id_of(name).is_some_and(|id| id < highest)).collect();
    Ok(vec![
        Sweep {
            name: "a save beside older snapshots, and the results",
            initial: before,
            argv: job::from_snapshot(&(highest - 1).to_string()),
            promise: Promise { id: highest - 1, finished: false },
            from: ("path_open", ".bin.tmp"),
            to: None,
        },
        Sweep {
            name: "the removal of an older run's files",
            initial: judge.older(),
            argv: job::from_start(LIMIT),
            promise: Promise::default(),
            from: ("path_unlink_file", "result.txt"),
            to: Some(("path_unlink_file", ".1.bin.tmp")),
        },
    ])
}

/// Stops the node at every `stride`th instruction of each stretch.
///
/// # Errors
/// If the node fails in another way.
pub fn run(stride: u64) -> Result<Figures> {
    let (mut judge, node, mut figures) = (Judge::new()?, CommandFace::new()?, Figures::default());
    for sweep in sweeps(&judge)? {
        sweep.run(&node, stride.max(1), &mut judge, &mut figures).context(sweep.name)?;
    }
    figures.directories = judge.judged();
    Ok(figures)
}

impl Sweep {
    fn run(&self, node: &CommandFace, stride: u64, judge: &mut Judge, figures: &mut Figures) -> Result<()> {
        let whole = self.stopped(node, PLENTY, None)?.0;
        ensure!(whole.code == Some(0), "exit code {:?}: {}", whole.code, whole.stderr);
        let find = |(function, part): (&str, &str)| {
            let found = whole.calls.iter().position(|call| call.function == function && call.path.contains(part));
            found.with_context(|| format!("no {function} of {part}"))
        };
        let first = find(self.from)?;
        let last = self.to.map_or(Ok(whole.calls.len()), find)?;
        let start = whole.calls.get(first).map_or(0, |call| call.fuel);
        let end = whole.calls.get(last).map_or(whole.fuel, |call| call.fuel);
        figures.of += end - start;
        for fuel in (start..end).step_by(usize::try_from(stride)?) {
            figures.points += 1;
            self.judge(node, fuel, None, judge, figures)?;
        }
        for call in first..last {
            figures.calls += 1;
            self.judge(node, PLENTY, Some((call, Answer::Stop)), judge, figures)?;
        }
        Ok(())
    }

    fn judge(
        &self,
        node: &CommandFace,
        fuel: u64,
        fault: Option<(usize, Answer)>,
        judge: &mut Judge,
        figures: &mut Figures,
    ) -> Result<()> {
        let (ran, files) = self.stopped(node, fuel, fault)?;
        ensure!(ran.code.is_none(), "not stopped: {:?}", ran.code);
        if let Err(error) = judge.judge(&files, self.promise) {
            figures.lost.push(format!("{}, fuel {fuel}, {fault:?}: {error:#}", self.name));
        }
        Ok(())
    }

    /// The run up to there, and what it leaves.
    fn stopped(&self, node: &CommandFace, fuel: u64, fault: Option<(usize, Answer)>) -> Result<(Ran, Files)> {
        let dir = job::directory(&self.initial)?;
        let ran = node.run(dir.path(), &self.argv, fuel, fault)?;
        Ok((ran, job::contents(&dir.path().join(OUT))?))
    }
}
