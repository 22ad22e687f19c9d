//! What the command face needs of the host's files, in a folder of its own: each operation by itself, then a job's files
//! through the functions that a run uses.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::golden;
use super::{Check, Report};
use crate::files;
use stepmark_state::error::JobError;

/// The folder that is made and removed.
pub(super) const FOLDER: &str = "guest-interp-selftest";

/// Length of the longest name that is tried for it.
const LONGEST: usize = FOLDER.len() + 9;
/// Bytes in the middle of a file that is written in parts, and of all of it.
const LONG: usize = 100_000;
const LENGTH: u64 = 100_011;

/// Whether the host has opened this directory.
pub(super) fn is_open(dir: &str) -> bool {
    fs::metadata(dir).is_ok_and(|found| found.is_dir())
}

pub(super) fn check(report: &mut Report<'_>, dir: &str) {
    let folder = Path::new(dir).join(free_name(dir));
    let made = fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()));
    let is_made = made.is_ok();
    report.check("a directory is made", made);
    if !is_made {
        return;
    }
    let [a, b] = ["a", "b"].map(|name| folder.join(name));
    report.check("a file that is not there is not found", absent(&a));
    report.check("a file is made, written in parts, synced and read", written(&a));
    report.check("a file that is there is not made again", exclusive(&a));
    report.check("a file takes the place of another at once", renamed(&a, &b));
    report.check("a file is removed", removed(&b));
    report.check("a job's files are written, found again and removed", job(&folder.join("job")));
    report.check("a directory is removed", fs::remove_dir(&folder).map_err(said));
}

/// A name that is not taken: one that was stopped in the middle may have left its folder.
fn free_name(dir: &str) -> String {
    let mut name = FOLDER.to_owned();
    while name.len() < LONGEST && fs::symlink_metadata(Path::new(dir).join(&name)).is_ok() {
        name.push('-');
    }
    name
}

fn absent(path: &Path) -> Check {
    let errors = [fs::metadata(path).err(), fs::File::open(path).err(), fs::remove_file(path).err()];
    holds("the error says so", errors.iter().all(|error| is(error, ErrorKind::NotFound)))
}

fn written(path: &Path) -> Check {
    let parts: [&[u8]; 3] = [b"first ", &vec![7; LONG], b" last"];
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(said)?;
    parts.into_iter().try_for_each(|part| file.write_all(part)).map_err(said)?;
    file.sync_all().map_err(said)?;
    drop(file);
    let found = fs::metadata(path).map_err(said)?;
    holds("its kind and length", found.is_file() && found.len() == LENGTH)?;
    holds("its contents", read(path)? == parts.concat())
}

fn exclusive(path: &Path) -> Check {
    let error = OpenOptions::new().write(true).create_new(true).open(path).err();
    holds("the error says so", is(&error, ErrorKind::AlreadyExists))
}

fn renamed(from: &Path, to: &Path) -> Check {
    drop(fs::File::create(to).map_err(said)?);
    fs::rename(from, to).map_err(said)?;
    holds("the length is the other's", fs::metadata(to).map_err(said)?.len() == LENGTH)?;
    holds("the other name is gone", fs::metadata(from).is_err())
}

fn removed(path: &Path) -> Check {
    fs::remove_file(path).map_err(said)?;
    holds("it is gone", fs::metadata(path).is_err())
}

/// The contents, as a run reads its files.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let each = &mut |chunk: &[u8]| {
        bytes.extend_from_slice(chunk);
        Ok(())
    };
    let found = files::read(path.to_str().unwrap_or_default(), u64::MAX, each);
    found.map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn said(error: io::Error) -> String {
    error.to_string()
}

fn is(error: &Option<io::Error>, kind: ErrorKind) -> bool {
    error.as_ref().is_some_and(|error| error.kind() == kind)
}

fn holds(what: &str, it_does: bool) -> Check {
    if it_does { Ok(()) } else { Err(format!("not so: {what}")) }
}

/// The known job's files as a run writes them, read back, and found by name when the directory is used again.
fn job(dir: &Path) -> Check {
    let golden = golden::run()?;
    let dir = dir.to_str().ok_or("the name is no text")?;
    let said = |error: JobError| error.to_string();
    files::prepare_output(dir, &golden.job_hash, 0).map_err(said)?;
    for (name, bytes) in &golden.files {
        files::replace(dir, name, |file| file.write(bytes)).map_err(said)?;
    }
    for (name, bytes) in &golden.files {
        holds(name, read(&Path::new(dir).join(name))? == *bytes)?;
    }
    files::prepare_output(dir, &golden.job_hash, 0).map_err(said)?;
    let gone = |(name, _): &(String, _)| fs::metadata(Path::new(dir).join(name)).is_err();
    holds("files of the same job are gone", golden.files.iter().all(gone))?;
    fs::remove_dir(dir).map_err(self::said)
}
