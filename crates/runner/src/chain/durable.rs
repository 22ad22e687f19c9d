//! The output directory, natively: what a WASI runtime cannot promise, this module does. One run at a time holds the
//! directory's lock; files of another job are refused by name before anything changes; every file is written to a
//! temporary name, synced, renamed and made durable by syncing the directory, so that a crash or a loss of power at any
//! moment leaves a directory that a run can be resumed from.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs::{self, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::{PREFIX_LEN, Prefix};

use crate::chain::disk::{Disk, NameKind, NewFile, SystemDirectory};
use crate::chain::snapshots_in_words;
use crate::claimed_job::JOB;
use crate::failure::{Failure, IO, Result};
use crate::foreign::{self, ForeignKind};
use crate::strict;
use crate::terminal::quoted;

/// What stands for the first `.bin` files of a merged chain.
pub const BASE: &str = "base.bin";
/// Names of a pause, the part that decides first: without it the others mean nothing.
pub(crate) const PAUSE: [&str; 4] = ["paused.snap", "paused.bin", "paused.calls", PAUSE_NOTE];
/// How the run that was paused was to go on: what the runner knows, and the state does not say.
pub(crate) const PAUSE_NOTE: &str = "paused.json";
/// Names of a state at the end.
pub(crate) const FINAL: [&str; 3] = ["final.snap", "final.bin", "final.calls"];
/// What tells of a run.
pub(crate) const RECEIPT: &str = "receipt.json";
/// Names that the end of a run leaves.
const RESULTS: [&str; 4] = [RECEIPT, "result.txt", "rwset.bin", "rwset.json"];
/// Ending of a file that is still being written.
const TEMPORARY: &str = ".tmp";

/// An output directory that this process alone writes to, until it is dropped.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
    disk: Box<dyn Disk>,
    /// Files of an older run, which go as soon as there is something to write.
    stale: RefCell<Vec<(Name, String)>>,
}

/// What the runner knows about a name in the output directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// `{id}.calls`, before the `.snap` of the same id in this order.
    Calls(u64),
    /// `{id}.bin`, before the `.snap` of the same id in this order.
    Bin(u64),
    /// `{id}.snap`
    Snap(u64),
    /// `paused.snap`, or a file that belongs to it.
    Pause,
    /// `base.bin`
    Base,
    /// `final.snap` or `final.bin`
    Final,
    /// `result.txt` or `receipt.json`
    Result,
    /// What a crash left of one of the others.
    Temporary,
}

impl Name {
    /// What `name` is; none for a file that is not ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if PAUSE.contains(&name) {
            return Some(Self::Pause);
        }
        if FINAL.contains(&name) {
            return Some(Self::Final);
        }
        if RESULTS.contains(&name) {
            return Some(Self::Result);
        }
        if name == BASE {
            return Some(Self::Base);
        }
        if let Some(inner) = name.strip_suffix(TEMPORARY) {
            return Self::parse(inner.strip_prefix('.').unwrap_or(inner)).map(|_| Self::Temporary);
        }
        let (id, ending) = name.split_once('.')?;
        let number: u64 = id.parse().ok().filter(|number| *number > 0)?;
        match ending {
            _ if number.to_string() != id => None,
            "bin" => Some(Self::Bin(number)),
            "snap" => Some(Self::Snap(number)),
            "calls" => Some(Self::Calls(number)),
            _ => None,
        }
    }

    /// What the file of this name below a chain's directory is taken for; none for a name that is not ours.
    pub(crate) fn kind_of(name: &str) -> Option<foreign::ForeignKind> {
        let kind = match Self::parse(name)? {
            Self::Calls(_) => ForeignKind::Calls,
            Self::Bin(_) | Self::Base => ForeignKind::Bin,
            Self::Snap(_) => ForeignKind::Snap,
            Self::Pause | Self::Final => match name.rsplit('.').next() {
                Some("snap") => ForeignKind::Snap,
                Some("bin") => ForeignKind::Bin,
                Some("json") => ForeignKind::Text,
                _ => ForeignKind::Calls,
            },
            Self::Result if name.ends_with(".bin") => ForeignKind::ReadWriteSet,
            Self::Result => ForeignKind::Text,
            Self::Temporary => return None,
        };
        Some(kind)
    }

    /// The snapshot's id, for the files of the chain.
    fn id(self) -> Option<u64> {
        match self {
            Self::Calls(id) | Self::Bin(id) | Self::Snap(id) => Some(id),
            _ => None,
        }
    }
}

/// What becomes of snapshots of this job that a run would write anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// The run is refused.
    Refuse,
    /// They are moved into a directory of their own.
    MoveAside,
    /// They are removed, as soon as there is something to write.
    Remove,
}

/// What to do about a directory that holds something else.
const MOVE_AWAY: &str = "choose another --snapshot-output, or move that directory's files away";

impl OutputDir {
    /// Creates the directory if it is absent and takes its lock.
    ///
    /// # Errors
    /// Exit code 74 when it cannot be created, is no directory, or another run holds the lock.
    pub fn open(path: &Path) -> Result<Self> {
        let directory = SystemDirectory::open(path).map_err(|error| Failure::io(path, &error))?;
        Self::on(path, Box::new(directory))
    }

    /// Takes the lock of a directory that is called `path` in messages.
    ///
    /// # Errors
    /// Exit code 74 when another run holds the lock.
    pub fn on(path: &Path, disk: Box<dyn Disk>) -> Result<Self> {
        match disk.lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), disk, stale: RefCell::default() }),
            Err(TryLockError::WouldBlock) => {
                let what = format!("{}: another run is writing to this directory", path.display());
                Err(Failure::new(IO, what).help("wait until it ends, or choose another --snapshot-output"))
            }
            Err(TryLockError::Error(error)) => Err(Failure::io(path, &error).caused_by("the lock of the directory")),
        }
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory ready for a run of the job with hash `job` that starts from snapshot `start_id` (0: the
    /// beginning): files of an older run of the same job that this one will write anew are removed, results first, as soon as
    /// there is something to write; a run that is refused before has changed nothing. With `keep_pause` the pause stays,
    /// because the run starts from it; [`retire_pause`](Self::retire_pause) ends it.
    ///
    /// What can be restored has been paid for, and `replace` says what becomes of it; what was done is returned, in words.
    ///
    /// # Errors
    /// Exit code 2 when snapshots would go that must not; 65 when a file belongs to another job, or is no snapshot; 74
    /// when one is a directory. Nothing has been changed then.
    pub fn prepare(&self, job: &[u8; 32], start_id: u64, keep_pause: bool, replace: Replace) -> Result<Option<String>> {
        let found = self.list()?;
        let mut base = 0;
        for (kind, name) in &found {
            let id = self.check(*kind, name, job)?;
            if *kind == Name::Base {
                base = id;
            }
        }
        let is_stale = |kind: &Name| match kind {
            Name::Calls(id) | Name::Bin(id) | Name::Snap(id) => *id > start_id,
            Name::Base => base > start_id,
            Name::Pause => !keep_pause,
            Name::Final | Name::Result | Name::Temporary => true,
        };
        let stale: Vec<(Name, String)> = found.into_iter().filter(|(kind, _)| is_stale(kind)).collect();
        let (Some(paid), dir) = (paid_for(&stale), self.path.display()) else {
            *self.stale.borrow_mut() = stale;
            return Ok(None);
        };
        match replace {
            Replace::Refuse => {
                let what = format!("{dir}: holds {paid} of this job, which this run would remove");
                let first = match stale.iter().any(|(kind, _)| *kind == Name::Final) {
                    // After it there is nothing to go on with.
                    true => format!("look at it (stepmark inspect {}@final)", quoted(&dir.to_string())),
                    false => format!("go on after the last one (stepmark resume {})", quoted(&dir.to_string())),
                };
                Err(Failure::usage(what).help(format!("{first}, choose another --snapshot-output, or say --overwrite")))
            }
            Replace::MoveAside => {
                let place = self.path.join(self.move_aside(&stale)?);
                Ok(Some(format!("{paid} of an earlier run in {dir} are in {} now", place.display())))
            }
            Replace::Remove => {
                *self.stale.borrow_mut() = stale;
                Ok(Some(format!("--overwrite: {paid} of {dir} make room for this run's")))
            }
        }
    }

    /// Refuses to go on with a run that has ended here, by its receipt: what follows would take the place of its end.
    ///
    /// # Errors
    /// Exit code 2; 74 when the receipt cannot be read.
    pub fn check_not_ended(&self) -> Result<()> {
        let files: Vec<(Name, String)> = self.list()?.into_iter().collect();
        let outcome = &self.receipt(&files)?["result"]["outcome"];
        if !outcome.as_str().is_some_and(|outcome| ["finished", "exited"].contains(&outcome)) {
            return Ok(());
        }
        let what = format!("{}: the run has ended, and going on would write its end anew", self.path.display());
        let help = "verify it, choose another --snapshot-output, keep the state at the end too (--keep-final), or say --overwrite";
        Err(Failure::usage(what).help(help))
    }

    /// The receipt among these files, as JSON; nothing of one that is not there or is none.
    fn receipt(&self, files: &[(Name, String)]) -> Result<Value> {
        let Some((_, name)) = files.iter().find(|(_, name)| name == RECEIPT) else { return Ok(Value::Null) };
        if self.refuse_directory(name)? != NameKind::File {
            return Ok(Value::Null);
        }
        let bytes = self.disk.first_bytes(name, ForeignKind::Text.most()).map_err(|error| self.failed(name, &error))?;
        Ok(strict::parse(&bytes).unwrap_or_default())
    }

    /// Removes what [`prepare`](Self::prepare) found to be of an older run; done by whatever writes or removes first.
    ///
    /// # Errors
    /// Exit code 74 when a file cannot be removed.
    fn remove_stale(&self) -> Result<()> {
        let stale = self.stale.take();
        self.remove_all(stale.iter().map(|(kind, name)| (*kind, &**name)).collect())
    }

    /// Moves the chain of another job that is in the directory into a directory in it, `earlier-N`, and returns its name: so
    /// a run from the start finds room, and nothing is lost. Without snapshots it is the receipt that says whose result there
    /// is: one that does not say what `described` gives, the job in a receipt's words, is another's, or a file that is not ours. Nothing
    /// happens where a snapshot is of the job with hash `job`, and where they are of several jobs:
    /// [`prepare`](Self::prepare) says what is wrong then.
    ///
    /// # Errors
    /// Exit code 74 when the system refuses; what was not moved has its name still, and the next run moves it.
    pub fn set_aside(&self, job: &[u8; 32], described: &mut dyn FnMut() -> Result<Value>) -> Result<Option<String>> {
        let found = self.list()?;
        let mut other = None;
        for (kind, name) in &found {
            let Ok(prefix) = self.prefix(*kind, name) else { return Ok(None) };
            let Some(found) = prefix.map(|prefix| prefix.job_hash) else { continue };
            // At the first file already where the chain is this job's: `prepare` reads them all again.
            if found == *job || *other.get_or_insert(found) != found {
                return Ok(None);
            }
        }
        let found: Vec<(Name, String)> = found.into_iter().collect();
        let has_results = found.iter().any(|(kind, _)| *kind == Name::Result);
        if other.is_some() || (has_results && self.receipt(&found)?[JOB] != described()?) {
            return self.move_aside(&found).map(Some);
        }
        Ok(None)
    }

    /// Moves files into a new directory in this one, and returns its name.
    fn move_aside(&self, files: &[(Name, String)]) -> Result<String> {
        let place = self.free_name()?;
        self.disk.make_directory(&place).map_err(|error| self.failed(&place, &error))?;
        let kept = files.iter().filter(|(kind, _)| *kind != Name::Temporary);
        for (_, name) in in_order_of_removal(kept.map(|(kind, name)| (*kind, &**name)).collect()) {
            self.disk.rename(name, &format!("{place}/{name}")).map_err(|error| self.failed(name, &error))?;
        }
        self.sync()?;
        Ok(place)
    }

    /// A name for a directory that nothing has.
    fn free_name(&self) -> Result<String> {
        for number in 1..u32::MAX {
            let name = format!("earlier-{number}");
            if self.disk.look(&name).map_err(|error| self.failed(&name, &error))? == NameKind::Nothing {
                return Ok(name);
            }
        }
        Err(Failure::new(IO, format!("{}: no name is left for an earlier chain", self.path.display())))
    }

    /// Starts to write the file `name`. It appears, whole, when it is committed.
    ///
    /// # Errors
    /// Exit code 74 when the name is none of those that a node writes, or the file cannot be created.
    pub fn create(&self, name: &str) -> Result<PendingFile<'_>> {
        // A frozen node of somebody else's may name anything.
        if Name::parse(name).is_none_or(|kind| kind == Name::Temporary) {
            let what = format!("the module named an output file {name:?}, expected a snapshot's or a result's name");
            return Err(Failure::new(IO, what));
        }
        self.refuse_directory(name)?;
        self.remove_stale()?;
        let temporary = format!(".{name}{TEMPORARY}");
        // create_new follows no link: what stands at the temporary name was never ours to write through.
        let file = match self.disk.create_new(&temporary) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.disk.remove(&temporary).and_then(|()| self.disk.create_new(&temporary))
            }
            other => other,
        };
        let file = file.map_err(|error| self.failed(&temporary, &error))?;
        Ok(PendingFile { dir: self, file, temporary, target: name.to_owned(), size: 0, committed: false })
    }

    /// Removes the pause, once what follows it is safe on disk (or before another one replaces it).
    ///
    /// # Errors
    /// Exit code 74 when a file cannot be removed.
    pub fn retire_pause(&self) -> Result<()> {
        self.remove_stale()?;
        self.remove_all(PAUSE.map(|name| (Name::Pause, name)).to_vec())
    }

    /// Removes a file, durably.
    ///
    /// # Errors
    /// Exit code 74 when it cannot be removed.
    pub fn delete(&self, name: &str) -> Result<()> {
        let kind = Name::parse(name).unwrap_or(Name::Temporary);
        self.remove_all(vec![(kind, name)])
    }

    /// Our files in the directory, in order.
    fn list(&self) -> Result<BTreeSet<(Name, String)>> {
        let names = self.disk.names().map_err(|error| Failure::io(&self.path, &error))?;
        Ok(ours(names))
    }

    /// Refuses `name` when it is a directory or does not belong to `job`; the id that it says, 0 where it says none.
    fn check(&self, kind: Name, name: &str, job: &[u8; 32]) -> Result<u64> {
        match self.prefix(kind, name)? {
            None => Ok(0),
            Some(prefix) if prefix.job_hash == *job => Ok(prefix.id),
            Some(_) => {
                let path = self.path.join(name);
                let what = format!("{}: belongs to another job and would be overwritten", path.display());
                Err(Failure::data(what).help(MOVE_AWAY))
            }
        }
    }

    /// What the file `name` says of itself; none where it is of a kind that says nothing.
    fn prefix(&self, kind: Name, name: &str) -> Result<Option<Prefix>> {
        let found = self.refuse_directory(name)?;
        // A link to nowhere, or to something that is no file, says nothing about a job; it is replaced, not followed.
        if found != NameKind::File || matches!(kind, Name::Result | Name::Temporary) || name == PAUSE_NOTE {
            return Ok(None);
        }
        let path = self.path.join(name);
        let limit = u64::try_from(PREFIX_LEN).unwrap_or(u64::MAX);
        let first = self.disk.first_bytes(name, limit).map_err(|error| self.failed(name, &error))?;
        let prefix = Prefix::decode(&first).map_err(|error| {
            let what = format!("{}: the output directory holds a file that is not Stepmark's", path.display());
            Failure::data(what).caused_by(error).help(MOVE_AWAY)
        })?;
        Ok(Some(prefix))
    }

    /// What stands at `name`, where that is no directory.
    fn refuse_directory(&self, name: &str) -> Result<NameKind> {
        match self.disk.look(name).map_err(|error| self.failed(name, &error))? {
            NameKind::Directory => Err(directory_in_the_way(&self.path.join(name))),
            other => Ok(other),
        }
    }

    /// Removes files, stage by stage. Each is durable before the next begins: a power loss may keep any of the removals
    /// that were not, whatever their order.
    fn remove_all(&self, doomed: Vec<(Name, &str)>) -> Result<()> {
        for stage in in_order_of_removal(doomed).chunk_by(|a, b| removal_stage(a.0, a.1) == removal_stage(b.0, b.1)) {
            stage.iter().try_for_each(|(_, name)| self.remove(name))?;
            self.sync()?;
        }
        Ok(())
    }

    /// Removes the file or link `name`, if it is there.
    fn remove(&self, name: &str) -> Result<()> {
        match self.disk.remove(name) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed(name, &error)),
            _ => Ok(()),
        }
    }

    /// Makes names durable: creations, renames and removals so far.
    fn sync(&self) -> Result<()> {
        self.disk.sync().map_err(|error| Failure::io(&self.path, &error))
    }

    #[cold]
    fn failed(&self, name: &str, error: &io::Error) -> Failure {
        Failure::io(&self.path.join(name), error)
    }
}

/// What of these files can be restored, in words; none if nothing can: a `.bin` without its `.snap` is what a crash left.
fn paid_for(files: &[(Name, String)]) -> Option<String> {
    let snapshots = files.iter().filter_map(|(kind, _)| match kind {
        Name::Snap(id) => Some(*id),
        _ => None,
    });
    let snapshots: Vec<u64> = snapshots.collect();
    let mut parts = if snapshots.is_empty() { Vec::new() } else { vec![snapshots_in_words(&snapshots)] };
    let others =
        [("paused.snap", "a pause"), ("final.snap", "the state at the end"), (BASE, "the base of a merged chain")];
    let is_there = |name: &str| files.iter().any(|(_, file)| file == name);
    parts.extend(others.into_iter().filter(|(name, _)| is_there(name)).map(|(_, what)| what.to_owned()));
    let last = parts.pop()?;
    Some(if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) })
}

/// A file that is being written and does not exist under its name yet. Dropped without a commit, it leaves nothing.
#[derive(Debug)]
pub struct PendingFile<'a> {
    dir: &'a OutputDir,
    file: Box<dyn NewFile>,
    temporary: String,
    target: String,
    size: u64,
    committed: bool,
}

impl PendingFile<'_> {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// Exit code 74 when they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.append(bytes).map_err(|error| self.dir.failed(&self.temporary, &error))?;
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Gives the file its name, durably, and returns its size in bytes. A link of that name is replaced, not followed.
    ///
    /// # Errors
    /// Exit code 74 when it cannot be synced or renamed.
    pub fn commit(mut self) -> Result<u64> {
        let disk = &self.dir.disk;
        self.file.sync().map_err(|error| self.dir.failed(&self.temporary, &error))?;
        disk.rename(&self.temporary, &self.target).map_err(|error| self.dir.failed(&self.target, &error))?;
        self.committed = true;
        self.dir.sync()?;
        Ok(self.size)
    }
}

impl Drop for PendingFile<'_> {
    fn drop(&mut self) {
        if !self.committed {
            // The next run removes what cannot be removed now.
            drop(self.dir.disk.remove(&self.temporary));
        }
    }
}

/// Replaces the file at `path`, anywhere, by `contents`: whole or not at all. A link there is replaced, not followed.
///
/// # Errors
/// Exit code 74 when it cannot be written.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    replace_with(path, |file| file.write_all(contents))
}

/// Checks that there is a directory for a file.
///
/// # Errors
/// Exit code 2 if not.
pub(crate) fn check_folder(path: &Path) -> Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        Some(folder) => Err(Failure::usage(format!("{}: no such directory", folder.display()))),
        None => Ok(()),
    }
}

/// Whether what is at `path`, and what a link there leads to, is a file or nothing: a directory, device, pipe or socket is
/// never replaced by a file.
///
/// # Errors
/// Exit code 74 when it is something else.
pub fn check_no_device(path: &Path) -> Result<()> {
    let found = [fs::symlink_metadata(path), fs::metadata(path)];
    for found in found.into_iter().flatten() {
        if found.is_dir() {
            return Err(directory_in_the_way(path));
        }
        if !found.is_file() && !found.is_symlink() {
            let what = format!("{}: is a device, pipe or socket where a file is to be written", path.display());
            return Err(Failure::new(IO, what));
        }
    }
    Ok(())
}

/// Replaces the file at `path`, as [`replace`], by what `write` writes.
///
/// # Errors
/// As [`replace`], also where `write` fails.
pub fn replace_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    check_no_device(path)?;
    let failed = |error: &io::Error| Failure::io(path, error);
    let mut file = temporary_beside(path).map_err(|error| failed(&error))?;
    write(&mut file).and_then(|()| file.as_file().sync_all()).map_err(|error| failed(&error))?;
    file.persist(path).map(|_| ()).map_err(|error| failed(&error.error))
}

/// Whether [`replace_with`] could write to `path` now, which may be long before it is called.
///
/// # Errors
/// Exit code 74 when it could not.
pub fn check_replaceable(path: &Path) -> Result<()> {
    check_no_device(path)?;
    temporary_beside(path).map(drop).map_err(|error| Failure::io(path, &error))
}

/// A new file beside `path` that can be put into its place, for others to read as any file.
pub(crate) fn temporary_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Names of our files in a directory, a `.bin` before the `.snap` that commits to it, without those that a crash left.
///
/// # Errors
/// Exit code 74 when it cannot be read.
pub fn names_in(dir: &Path) -> Result<Vec<String>> {
    Ok(files_in(dir)?.into_iter().filter(|(kind, _)| *kind != Name::Temporary).map(|(_, name)| name).collect())
}

/// Our files in a directory, in order.
pub(crate) fn files_in(dir: &Path) -> Result<BTreeSet<(Name, String)>> {
    let failed = |error: io::Error| no_chain(dir, &error);
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
    let names = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(ours(names))
}

/// Why a directory that somebody has named as a chain's cannot be read.
#[cold]
fn no_chain(dir: &Path, error: &io::Error) -> Failure {
    let shown = dir.display();
    let named = dir.to_str().and_then(|text| text.rsplit_once('@')).filter(|(dir, _)| Path::new(dir).is_dir());
    match (error.kind(), named) {
        (ErrorKind::NotFound, Some((_, id))) if id.parse::<SnapshotName>().is_err() => {
            Failure::usage(format!("{shown}: {id:?} is no snapshot: expected a number, paused or final after @"))
        }
        (ErrorKind::NotFound, Some((dir, id))) => {
            let what = format!("{shown}: names snapshot {id}, expected the directory of a chain");
            Failure::usage(what).help(format!("say {dir}"))
        }
        (ErrorKind::NotADirectory, _) => {
            let failure = Failure::usage(format!("{shown}: is a file, expected the directory of a chain"));
            match is_archive(dir) {
                true => failure.help(format!("unpack it first: stepmark import {} DIR", quoted(&shown.to_string()))),
                false => failure,
            }
        }
        _ => Failure::named(dir, "directory", error),
    }
}

/// Whether a file has the name of a tar archive, packed or not.
fn is_archive(path: &Path) -> bool {
    let endings = [".tar", ".tar.gz", ".tgz"];
    path.to_str().is_some_and(|name| endings.iter().any(|ending| name.ends_with(ending)))
}

/// The names that are ours, in order.
fn ours(names: impl IntoIterator<Item = String>) -> BTreeSet<(Name, String)> {
    names.into_iter().filter_map(|name| Some((Name::parse(&name)?, name))).collect()
}

/// Whether two paths are the same directory, however they are written; false when one is not there.
pub fn same_directory(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// When a file goes: a result must not outlive the snapshots that it tells of, and a `.snap` not the `.bin` files that it
/// needs, its own and those before.
fn removal_stage(kind: Name, name: &str) -> u8 {
    match kind {
        Name::Result | Name::Temporary => 0,
        // A state at the end needs the whole chain.
        Name::Final => 0,
        Name::Snap(_) => 1,
        Name::Pause if name.ends_with(".snap") => 1,
        Name::Calls(_) | Name::Bin(_) | Name::Base | Name::Pause => 2,
    }
}

/// Sorts files so that none goes before one that needs it.
fn in_order_of_removal(mut files: Vec<(Name, &str)>) -> Vec<(Name, &str)> {
    files.sort_by_key(|(kind, name)| (removal_stage(*kind, name), Reverse(kind.id())));
    files
}

#[cold]
fn directory_in_the_way(path: &Path) -> Failure {
    Failure::new(IO, format!("{}: is a directory where a file is to be written", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use stepmark_snapshot::FileKind;
    use tempfile::TempDir;

    const JOB: [u8; 32] = [7; 32];

    fn directory() -> TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    /// Puts snapshot files of `job` for ids 1..=last into `dir`.
    fn chain(dir: &Path, job: [u8; 32], last: u64) {
        for id in 1..=last {
            for (file, ending) in [(FileKind::Bin, "bin"), (FileKind::Snap, "snap")] {
                let prefix = Prefix { file, paused: false, id, job_hash: job };
                fs::write(dir.join(format!("{id}.{ending}")), prefix.encode()).expect("a file");
            }
        }
    }

    /// What is in a directory, in order.
    pub(crate) fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_missing_directory_is_created_and_stays_empty() {
        let temporary = directory();
        let path = temporary.path().join("a").join("b");
        let out = OutputDir::open(&path).expect("it is created");
        out.prepare(&JOB, 0, false, Replace::Remove).expect("nothing to do");
        assert!(names(&path).is_empty());
    }

    #[test]
    fn a_second_writer_is_refused_until_the_first_has_gone() {
        let temporary = directory();
        let first = OutputDir::open(temporary.path()).expect("the first");
        let failure = OutputDir::open(temporary.path()).expect_err("the second");
        assert_eq!(failure.code(), 74);
        assert!(failure.what().contains("another run is writing"), "{failure}");
        drop(first);
        OutputDir::open(temporary.path()).expect("after the first");
    }

    #[test]
    fn files_after_the_start_are_removed_and_others_kept() {
        let temporary = directory();
        chain(temporary.path(), JOB, 11);
        for name in ["result.txt", "receipt.json", ".12.bin.tmp", "13.snap.tmp", "notes.txt", "010.snap", "x.bin"] {
            fs::write(temporary.path().join(name), "old").expect("a file");
        }
        let out = OutputDir::open(temporary.path()).expect("opens");
        out.prepare(&JOB, 2, false, Replace::Remove).expect("same job");
        assert_eq!(names(temporary.path()).len(), 29, "nothing is removed before there is something to write");
        let mut first = out.create("3.bin").expect("created");
        first.write(b"whole").expect("written");
        drop(first);
        let kept = ["010.snap", "1.bin", "1.snap", "2.bin", "2.snap", "notes.txt", "x.bin"];
        assert_eq!(names(temporary.path()), kept);
    }

    #[test]
    fn a_foreign_job_is_refused_by_name_before_anything_changes() {
        let temporary = directory();
        chain(temporary.path(), JOB, 3);
        chain(temporary.path(), [8; 32], 2);
        fs::write(temporary.path().join("result.txt"), "old").expect("a file");
        let before = names(temporary.path());
        let out = OutputDir::open(temporary.path()).expect("opens");
        let failure = out.prepare(&JOB, 0, false, Replace::Remove).expect_err("a foreign job");
        assert_eq!(failure.code(), 65);
        assert!(failure.what().contains("1.bin: belongs to another job"), "{failure}");
        assert_eq!(names(temporary.path()), before);
    }

    #[test]
    fn a_chain_of_another_job_is_set_aside_whole_and_one_of_this_job_or_of_several_is_not() {
        let temporary = directory();
        let dir = temporary.path();
        chain(dir, [8; 32], 2);
        let mut nobody = || Ok(Value::Null);
        fs::write(dir.join("result.txt"), "old").expect("a file");
        fs::write(dir.join("notes.txt"), "mine").expect("a file");
        let out = OutputDir::open(dir).expect("opens");
        assert_eq!(out.set_aside(&[8; 32], &mut nobody).expect("the same job"), None);
        assert_eq!(out.set_aside(&JOB, &mut nobody).expect("moved"), Some("earlier-1".to_owned()));
        assert_eq!(names(dir), ["earlier-1", "notes.txt"]);
        assert_eq!(names(&dir.join("earlier-1")), ["1.bin", "1.snap", "2.bin", "2.snap", "result.txt"]);
        assert_eq!(out.set_aside(&JOB, &mut nobody).expect("nothing there"), None);
        chain(dir, [9; 32], 1);
        assert_eq!(out.set_aside(&JOB, &mut nobody).expect("moved"), Some("earlier-2".to_owned()));
        chain(dir, JOB, 2);
        chain(dir, [9; 32], 1);
        assert_eq!(out.set_aside(&[1; 32], &mut nobody).expect("two jobs"), None);
    }

    #[test]
    fn a_result_without_snapshots_is_set_aside_unless_its_receipt_says_the_same_job() {
        let temporary = directory();
        let dir = temporary.path();
        fs::write(dir.join(RECEIPT), "{\"result\": {}, \"job\": {\"seed\": 1}}").expect("a file");
        fs::write(dir.join("result.txt"), "old").expect("a file");
        let out = OutputDir::open(dir).expect("opens");
        let same = &mut || Ok(serde_json::json!({ "seed": 1 }));
        assert_eq!(out.set_aside(&JOB, same).expect("the same job"), None);
        let other = &mut || Ok(serde_json::json!({ "seed": 2 }));
        assert_eq!(out.set_aside(&JOB, other).expect("moved"), Some("earlier-1".to_owned()));
        assert_eq!(names(&dir.join("earlier-1")), [RECEIPT, "result.txt"]);
        fs::write(dir.join(RECEIPT), "mine").expect("a file");
        assert_eq!(out.set_aside(&JOB, other).expect("moved"), Some("earlier-2".to_owned()));
    }

    #[test]
    fn going_on_in_a_directory_where_the_run_has_ended_is_refused() {
        let temporary = directory();
        let out = OutputDir::open(temporary.path()).expect("opens");
        assert_eq!(out.check_not_ended(), Ok(()));
        for (outcome, is_refused) in [("finished", true), ("exited", true), ("trapped", false), ("gas-limit", false)] {
            let receipt = format!("{{\"result\": {{\"outcome\": \"{outcome}\"}}}}");
            fs::write(temporary.path().join(RECEIPT), receipt).expect("a file");
            assert_eq!(out.check_not_ended().is_err_and(|failure| failure.code() == 2), is_refused, "{outcome}");
        }
    }

    #[test]
    fn a_file_that_is_no_snapshot_is_refused_by_name() {
        let temporary = directory();
        fs::write(temporary.path().join("4.snap"), "something else").expect("a file");
        let out = OutputDir::open(temporary.path()).expect("opens");
        let failure = out.prepare(&JOB, 0, false, Replace::Remove).expect_err("not ours");
        assert!(failure.what().contains("4.snap"), "{failure}");
    }

    #[test]
    fn a_directory_under_a_name_of_ours_is_refused_by_name() {
        let temporary = directory();
        fs::create_dir(temporary.path().join("result.txt")).expect("a directory");
        let out = OutputDir::open(temporary.path()).expect("opens");
        assert!(out.prepare(&JOB, 0, false, Replace::Remove).expect_err("a directory").what().contains("result.txt"));
        assert!(out.create("result.txt").expect_err("a directory").what().contains("result.txt"));
    }

    #[test]
    fn a_pause_is_kept_only_for_the_run_that_starts_from_it() {
        let temporary = directory();
        for (file, name) in [(FileKind::Bin, "paused.bin"), (FileKind::Snap, "paused.snap")] {
            let prefix = Prefix { file, paused: true, id: 0, job_hash: JOB };
            fs::write(temporary.path().join(name), prefix.encode()).expect("a file");
        }
        let out = OutputDir::open(temporary.path()).expect("opens");
        out.prepare(&JOB, 0, true, Replace::Remove).expect("same job");
        assert_eq!(names(temporary.path()), ["paused.bin", "paused.snap"]);
        out.retire_pause().expect("removed");
        assert!(names(temporary.path()).is_empty());
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let temporary = directory();
        let out = OutputDir::open(temporary.path()).expect("opens");
        let mut pending = out.create("1.bin").expect("created");
        pending.write(b"half").expect("written");
        assert_eq!(names(temporary.path()), [".1.bin.tmp"]);
        drop(pending);
        assert!(names(temporary.path()).is_empty());
        let mut pending = out.create("1.bin").expect("created");
        pending.write(b"who").expect("written");
        pending.write(b"le").expect("written");
        assert_eq!(pending.commit().expect("committed"), 5);
        assert_eq!(fs::read(temporary.path().join("1.bin")).expect("readable"), b"whole");
    }

    #[test]
    fn names_that_no_node_writes_are_refused() {
        let temporary = directory();
        let out = OutputDir::open(temporary.path()).expect("opens");
        for name in ["", ".", "..", "../x", "a/b", "/etc/x", ".hidden", "a\\b", "c:x", "authorized_keys", ".1.snap.tmp"]
        {
            assert!(out.create(name).is_err(), "{name:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_replaced_and_its_target_untouched() {
        let temporary = directory();
        let outside = directory();
        let victim = outside.path().join("victim");
        fs::write(&victim, "precious").expect("a file");
        for name in ["result.txt", ".1.bin.tmp", "1.bin"] {
            std::os::unix::fs::symlink(&victim, temporary.path().join(name)).expect("a link");
        }
        let out = OutputDir::open(temporary.path()).expect("opens");
        let mut pending = out.create("1.bin").expect("created");
        pending.write(b"new").expect("written");
        pending.commit().expect("committed");
        let mut pending = out.create("result.txt").expect("created");
        pending.write(b"new").expect("written");
        pending.commit().expect("committed");
        assert_eq!(fs::read(&victim).expect("readable"), b"precious");
        assert_eq!(fs::read(temporary.path().join("1.bin")).expect("readable"), b"new");
    }

    #[test]
    fn removal_goes_from_results_over_snaps_to_bins() {
        let mut names = ["2.bin", "paused.bin", "2.snap", "10.snap", "result.txt", "paused.snap"];
        names.sort_by_key(|name| removal_stage(Name::parse(name).expect("ours"), name));
        assert_eq!(names, ["result.txt", "2.snap", "10.snap", "paused.snap", "2.bin", "paused.bin"]);
    }
}
