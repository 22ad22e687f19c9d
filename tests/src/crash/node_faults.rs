//! Every call that the node makes about a file fails once, in every way. It says what failed, exits with 74, leaves no
//! half-written file and loses no snapshot; where it only looked whether there is something, it does without.

use anyhow::{Context, Result, ensure};

use super::job::{self, Judge, LIMIT, Promise};
use super::node::{Answer, Call, CommandFace, PLENTY, Ran};
use super::report::Figures;
use crate::session::{Files, OUT};

/// Ways to fail: kind, answer, what the node makes of it, and the functions that can answer so; all of them without.
type Refusal = (&'static str, Answer, &'static str, &'static [&'static str]);

const CHANGES: &[&str] = &["path_open", "path_create_directory", "path_rename", "fd_write"];
const READ_ONLY: &[&str] = &["path_open", "path_create_directory", "path_rename", "path_unlink_file"];
const READS: &[&str] =
    &["path_open", "path_filestat_get", "fd_filestat_get", "fd_read", "fd_readdir", "fd_write", "path_unlink_file"];
const REFUSALS: [Refusal; 7] = [
    ("full disk", Answer::Errno(51), "No space left on device (os error 51)", CHANGES),
    ("I/O error", Answer::Errno(29), "I/O error (os error 29)", READS),
    ("read-only file system", Answer::Errno(69), "Read-only file system (os error 69)", READ_ONLY),
    ("no permission", Answer::Errno(2), "Permission denied (os error 2)", READS),
    ("failed sync", Answer::Errno(29), "I/O error (os error 29)", &["fd_sync"]),
    ("failed rename", Answer::Errno(29), "I/O error (os error 29)", &["path_rename"]),
    ("short write", Answer::Nothing, "failed to write whole buffer", &["fd_write"]),
];

/// Flag of `path_open`: the file is created.
const CREATE: i32 = 1;
/// Flag of `path_open`: a directory is opened.
const DIRECTORY: i32 = 2;

/// Fails every call of a first run, of one over older files and of one from a snapshot.
///
/// # Errors
/// If one of them does not run undisturbed.
pub fn run(node: &CommandFace, figures: &mut Figures) -> Result<()> {
    let mut judge = Judge::new()?;
    let (whole, older) = (judge.whole(), judge.older());
    for (name, initial, argv, id) in [
        ("a first run", None, job::from_start(LIMIT), 0),
        ("over an older run", Some(older), job::from_start(LIMIT), 0),
        ("from a snapshot", Some(whole), job::from_snapshot("1"), 1),
    ] {
        let run = Run { node, initial, argv, promise: Promise { id, finished: false } };
        run.every_call(&mut judge, figures).context(name)?;
    }
    Ok(())
}

struct Run<'a> {
    node: &'a CommandFace,
    /// None where the directory itself is missing.
    initial: Option<Files>,
    argv: Vec<String>,
    promise: Promise,
}

impl Run<'_> {
    fn every_call(&self, judge: &mut Judge, figures: &mut Figures) -> Result<()> {
        let (whole, _) = self.with(None)?;
        ensure!(whole.code == Some(0), "exit code {:?}: {}", whole.code, whole.stderr);
        for (at, call) in whole.calls.iter().enumerate() {
            for (kind, answer, text, _) in REFUSALS.iter().filter(|refusal| refusal.3.contains(&call.function)) {
                let expected = self.message(call).map(|what| format!("error: {what}: {text}\n"));
                let verdict = self.refused((at, *answer), expected, judge);
                figures.count(kind, verdict.with_context(|| format!("node, call {at}, {call:?}")));
            }
            if call.function == "fd_write" {
                let verdict = self.refused((at, Answer::Half), None, judge);
                figures.count("half a write", verdict.with_context(|| format!("node, call {at}, {call:?}")));
            }
        }
        Ok(())
    }

    /// What the node says when a call fails; none where it does without.
    fn message(&self, call: &Call) -> Option<String> {
        let word = |at: usize| call.params.get(at).copied().unwrap_or_default();
        let target = || call.path.strip_suffix(".tmp").unwrap_or(&call.path).replace("/.", "/");
        Some(match call.function {
            "path_open" if word(4) & DIRECTORY != 0 => return None,
            "path_open" if word(4) & CREATE != 0 => format!("cannot write '{}'", target()),
            "path_create_directory" => format!("cannot create directory '{}'", call.path),
            "path_unlink_file" => format!("cannot remove '{}'", call.path),
            "path_rename" | "fd_write" | "fd_sync" => format!("cannot write '{}'", target()),
            // without following links: whether there is something
            "path_filestat_get" if word(1) == 0 || call.path == OUT => return None,
            "fd_readdir" => return None,
            _ => format!("cannot read '{}'", call.path),
        })
    }

    /// Runs with the fault: exit code, message, and what it leaves.
    fn refused(&self, fault: (usize, Answer), expected: Option<String>, judge: &mut Judge) -> Result<()> {
        let (ran, files) = self.with(Some(fault))?;
        let code = if expected.is_some() { 74 } else { 0 };
        let expected = expected.unwrap_or_default();
        let said = (ran.code, ran.stderr);
        ensure!(said == (Some(code), expected.clone()), "{said:?}, expected {:?}", (code, expected));
        ensure!(!files.keys().any(|name| name.ends_with(".tmp")), "a temporary file is left");
        judge.judge(&files, Promise { finished: code == 0, ..self.promise })
    }

    fn with(&self, fault: Option<(usize, Answer)>) -> Result<(Ran, Files)> {
        let dir = job::directory(self.initial.as_ref().unwrap_or(&Files::new()))?;
        let out = dir.path().join(OUT);
        if self.initial.is_none() {
            std::fs::remove_dir(&out)?;
        }
        let ran = self.node.run(dir.path(), &self.argv, PLENTY, fault)?;
        let files = if out.is_dir() { job::contents(&out)? } else { Files::new() };
        Ok((ran, files))
    }
}
