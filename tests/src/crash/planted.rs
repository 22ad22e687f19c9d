//! Things that nobody should have put there: links, pipes and directories in place of each file, files of a crash long
//! ago, a chain with a file missing, exchanged or of another chain. They are refused by name or replaced; what a link
//! points to is never touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use stepmark_runner::chain::durable::OutputDir;
use stepmark_runner::failure::Failure;
use stepmark_runner::interrupt::Interrupt;

use super::job::{self, Judge, LIMIT, Listener, Promise};
use super::node::{CommandFace, PLENTY};
use super::report::Figures;
use crate::session::{Files, OUT};

/// Names of ours: some of each kind.
const NAMES: [&str; 11] = [
    "1.bin",
    "1.snap",
    "paused.bin",
    "paused.snap",
    "result.txt",
    "receipt.json",
    ".1.bin.tmp",
    ".1.snap.tmp",
    ".paused.snap.tmp",
    ".result.txt.tmp",
    ".receipt.json.tmp",
];
/// What links point to.
const VICTIM: &str = "precious";

/// A thing to plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Link,
    DanglingLink,
    Pipe,
    Directory,
    /// Bytes of nobody, as a crash leaves them.
    Bytes,
}

impl Thing {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Link, "planted link"),
        (Self::DanglingLink, "planted link to nowhere"),
        (Self::Pipe, "planted pipe"),
        (Self::Directory, "planted directory"),
        (Self::Bytes, "stale file"),
    ];

    fn plant(self, at: &Path, victim: &Path) -> Result<()> {
        match self {
            Self::Link => symlink(victim, at)?,
            Self::DanglingLink => symlink("nowhere", at)?,
            Self::Pipe => ensure!(Command::new("mkfifo").arg(at).status()?.success(), "mkfifo"),
            Self::Directory => fs::create_dir(at)?,
            Self::Bytes => fs::write(at, "half a fi")?,
        }
        Ok(())
    }
}

/// Who meets it.
#[derive(Clone, Copy)]
enum Face<'a> {
    Host,
    Node(&'a CommandFace),
}

/// Exit code and message; none when all went well.
type Ended = Option<(i32, String)>;

impl Face<'_> {
    fn run(self, dir: &Path, argv: &[String]) -> Result<Ended> {
        match self {
            Self::Host => {
                let mut listener = Listener { reported: &mut |_| (), stop_after: None, stop: Interrupt::new() };
                let out = OutputDir::open(&dir.join(OUT))?;
                let Err(error) = job::host_run(argv, dir, &out, &mut listener) else { return Ok(None) };
                let failure = error.downcast::<Failure>()?;
                let what = failure.what().replace(&format!("{}/", dir.display()), "");
                Ok(Some((failure.code(), what)))
            }
            Self::Node(node) => {
                let ran = node.run(dir, argv, PLENTY, None)?;
                let code = ran.code.context("stopped")?;
                let message = ran.stderr.trim_start_matches("error: ").trim_end().to_owned();
                Ok((code != 0).then_some((code, message)))
            }
        }
    }

    /// What it says to a thing in place of a file.
    fn verdict(self, thing: Thing, name: &str) -> Ended {
        let is_snapshot = matches!(name, "1.bin" | "1.snap" | "paused.bin" | "paused.snap");
        let refused = |code: i32, message: String| Some((code, message));
        match (self, thing) {
            (Self::Host, Thing::Directory) => {
                refused(74, format!("out/{name}: is a directory where a file is to be written"))
            }
            // A link is replaced like what is no file: the host runner follows none.
            (Self::Host, Thing::Bytes) if is_snapshot => {
                refused(65, format!("out/{name}: the output directory holds a file that is not Stepmark's"))
            }
            (Self::Node(_), Thing::Directory | Thing::Pipe) if is_snapshot => {
                refused(74, format!("cannot read 'out/{name}': not a regular file"))
            }
            (Self::Node(_), Thing::Directory) => {
                refused(74, format!("cannot remove 'out/{name}': Is a directory (os error 31)"))
            }
            (Self::Node(_), Thing::Link) if is_snapshot => {
                refused(74, format!("cannot read 'out/{name}': Operation not permitted (os error 63)"))
            }
            (Self::Node(_), Thing::Bytes) if is_snapshot => refused(
                2,
                format!(
                    "'out/{name}' is not a snapshot file of Stepmark (no snapshot file: unknown magic at byte 0): \
                     choose another output directory or remove it; nothing was changed"
                ),
            ),
            _ => None,
        }
    }
}

/// Plants everything everywhere, and mixes chains.
///
/// # Errors
/// If the system does not let us.
pub fn run(node: &CommandFace, figures: &mut Figures) -> Result<()> {
    let mut judge = Judge::new()?;
    for (face, who) in [(Face::Host, "host runner"), (Face::Node(node), "node")] {
        for (thing, kind) in Thing::ALL {
            for name in NAMES {
                let verdict = planted(face, thing, name, &mut judge);
                figures.count(kind, verdict.with_context(|| format!("{who}, {name}")));
            }
        }
        for (kind, files, code, message) in mixed(&judge)? {
            let verdict = refused(face, &files, code, &message);
            figures.count(kind, verdict.with_context(|| format!("{who}, {message}")));
        }
    }
    Ok(())
}

/// A first run beside a thing.
fn planted(face: Face<'_>, thing: Thing, name: &str, judge: &mut Judge) -> Result<()> {
    let dir = job::directory(&Files::new())?;
    let outside = job::scratch()?;
    let (at, victim) = (dir.path().join(OUT).join(name), outside.path().join("victim"));
    fs::write(&victim, VICTIM)?;
    thing.plant(&at, &victim)?;
    let (ended, expected) = (face.run(dir.path(), &job::from_start(LIMIT))?, face.verdict(thing, name));
    ensure!(ended == expected, "{ended:?}, expected {expected:?}");
    ensure!(fs::read(&victim)? == VICTIM.as_bytes(), "the file outside has changed");
    let files = job::contents(&dir.path().join(OUT))?;
    if expected.is_some() {
        let others: Vec<&String> = files.keys().filter(|other| *other != name).collect();
        ensure!(others.is_empty() && fs::symlink_metadata(&at).is_ok(), "something was changed: {others:?}");
        return Ok(());
    }
    ensure!(fs::read_dir(dir.path().join(OUT))?.count() == files.len(), "the thing is still there");
    judge.judge(&files, Promise { id: 0, finished: true })
}

/// Chains in which a file is missing, exchanged or of another chain: kind, files, exit code and message.
fn mixed(judge: &Judge) -> Result<Vec<(&'static str, Files, i32, String)>> {
    let (whole, older) = (judge.whole(), judge.older());
    let change = |name: &str, bytes: Option<&Vec<u8>>| {
        let mut files = whole.clone();
        match bytes {
            Some(bytes) => files.insert(name.to_owned(), bytes.clone()),
            None => files.remove(name),
        };
        files
    };
    let of_two = "does not follow the .bin before it: files of two chains are mixed";
    let mut swapped = change("1.bin", whole.get("2.bin"));
    swapped.insert("2.bin".to_owned(), whole.get("1.bin").context("no 1.bin")?.clone());
    Ok(vec![
        ("missing file", change("1.bin", None), 65, "out/1.bin: no such file, nor a base.bin".to_owned()),
        ("missing file", change("2.bin", None), 65, "out/2.bin: no such file".to_owned()),
        ("missing file", change("3.bin", None), 65, "out/3.bin: no such file".to_owned()),
        ("missing file", change("3.snap", None), 65, "out/3.snap: no such file".to_owned()),
        ("mixed chains", change("1.bin", older.get("1.bin")), 65, format!("out/2.bin: {of_two}")),
        ("mixed chains", change("2.bin", older.get("2.bin")), 65, format!("out/2.bin: {of_two}")),
        ("mixed chains", change("3.bin", older.get("3.bin")), 65, format!("out/3.bin: {of_two}")),
        ("mixed chains", swapped, 65, "out/1.bin: is of snapshot 2, expected 1".to_owned()),
    ])
}

/// A run from snapshot 3 of such a chain, after which every file is as it was.
fn refused(face: Face<'_>, files: &Files, code: i32, message: &str) -> Result<()> {
    let dir = job::directory(files)?;
    let ended = face.run(dir.path(), &job::from_snapshot("3"))?;
    ensure!(ended == Some((code, message.to_owned())), "{ended:?}, expected {code}");
    ensure!(job::contents(&dir.path().join(OUT))? == *files, "a file has changed");
    Ok(())
}
