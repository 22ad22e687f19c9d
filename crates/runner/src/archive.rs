//! A chain as one file: a tar archive, so that everybody can look into it, with the files of the chain and those of the job.
//! Who imports one trusts nothing of it: only regular files of plain names are taken, none larger than its kind may be,
//! nothing is written outside, links are not made, and the chain must hang together. What the archive says about itself is
//! compared with a bound, or with the bytes that are there, before anything is allocated or written for it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use tar::{Archive, Builder, Entry, EntryType, Header};

use crate::chain;
use crate::chain::disk::{Disk, SystemDirectory};
use crate::chain::durable::{self, Name};
use crate::failure::{Failure, INTERRUPTED, IO, Result};
use crate::foreign::{Foreign, ForeignKind};
use crate::interrupt::Interrupt;
use crate::job::rerun::JobFiles;
use crate::job::search::FILES;
use crate::node::deliver;

/// Name of a program in an archive whose own name is none that every system has.
const PROGRAM: &str = "program.wasm";

/// Name of the verdict in a bundle.
pub(crate) const DISPUTE: &str = "dispute.json";

/// Adds files to an archive. Equal files make equal archives: no times, users or modes of theirs are in it.
pub struct Writer {
    builder: Builder<tempfile::NamedTempFile>,
    target: PathBuf,
}

impl Writer {
    /// An archive that will be at `target`, whole or not at all.
    ///
    /// # Errors
    /// Exit code 74 when it cannot be created.
    pub fn create(target: &Path) -> Result<Self> {
        durable::check_no_device(target)?;
        durable::check_folder(target)?;
        let file = durable::temporary_beside(target).map_err(|error| Failure::io(target, &error))?;
        Ok(Self { builder: Builder::new(file), target: target.to_path_buf() })
    }

    /// Adds the file of the job at `path` under `name`.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn file(&mut self, name: &str, path: &Path) -> Result<()> {
        self.add(name, Foreign::named(path, ForeignKind::Input)?)
    }

    /// Adds a module of the job: where it is text, what it is assembled to.
    fn module(&mut self, name: &str, path: &str) -> Result<()> {
        self.add(name, Foreign::named(Path::new(path), ForeignKind::Module)?)
    }

    fn add(&mut self, name: &str, mut file: Foreign) -> Result<()> {
        check_name(name)?;
        let size = file.length();
        let added = self.builder.append_data(&mut header(size), name, (&mut file).take(size));
        added.map_err(|error| Failure::io(file.path(), &error))
    }

    /// Adds bytes under `name`.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.builder.append_data(&mut header(size), name, bytes).map_err(|error| Failure::io(&self.target, &error))
    }

    /// Adds the files of a chain in `dir` that `wanted` picks by name, below `folder` (with a slash at its end, or empty).
    ///
    /// # Errors
    /// Exit code 74.
    pub fn chain(&mut self, folder: &str, dir: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        for name in durable::names_in(dir)?.into_iter().filter(|name| wanted(name)) {
            let kind = Name::kind_of(&name).unwrap_or(ForeignKind::Input);
            if kind == ForeignKind::Bin {
                // Larger than what it says it is made of, it would be copied to its end.
                chain::check_bin(dir, &name)?;
            }
            self.add(&format!("{folder}{name}"), Foreign::within(dir, &name, kind)?)?;
        }
        Ok(())
    }

    /// Adds the files of a job.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn job(&mut self, program: &str, files: &JobFiles) -> Result<()> {
        // A program is found by its hash under any name.
        let program = if deliver::check_name(program).is_ok() { program } else { PROGRAM };
        self.module(&format!("{FILES}/{program}"), &files.program)?;
        // Contracts too are looked for by their names; one that is linked under the same name is the same file, or is not found.
        let linked: BTreeSet<&str> = files.modules.iter().map(|(name, _)| name.as_str()).collect();
        let contracts = files.contracts.iter().filter(|(name, _)| !linked.contains(name.as_str()));
        for (name, path) in files.modules.iter().chain(contracts) {
            self.module(&format!("{FILES}/{name}.wasm"), path)?;
        }
        for (name, path) in &files.inputs {
            self.file(&format!("{FILES}/{}", name.trim_start_matches('/')), Path::new(path))?;
        }
        files.stdin.iter().try_for_each(|path| self.file(&format!("{FILES}/stdin"), Path::new(path)))
    }

    /// Ends the archive and puts it into its place; its size.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn finish(self) -> Result<u64> {
        let failed = |error: io::Error| Failure::io(&self.target, &error);
        let mut file = self.builder.into_inner().map_err(failed)?;
        let size = file.flush().and_then(|()| file.as_file().sync_all()).and_then(|()| file.as_file().metadata());
        let size = size.map_err(failed)?.len();
        file.persist(&self.target).map_err(|error| Failure::io(&self.target, &error.error))?;
        Ok(size)
    }
}

/// Refuses a name that whoever imports the archive would refuse.
fn check_name(name: &str) -> Result<()> {
    deliver::check_name(name).map_err(|_| {
        let shown = name.strip_prefix(FILES).map_or(name, |name| name.trim_start_matches('/'));
        let failure = Failure::data(format!("the job's file {shown:?} has a name that no archive may have"));
        failure
            .help("nothing was written: not every system has such names; run the job with the file under another one")
    })
}

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header
}

/// Most files of an archive: a chain of 300,000 snapshots has three each.
const MOST_FILES: u64 = 1 << 20;
/// Bytes of the longest name.
const LONGEST_NAME: u64 = 4096;

/// Unpacks an archive into `directory`, which must be empty.
///
/// # Errors
/// Exit code 65 for what is no archive of ours, 74 for what cannot be written.
pub fn unpack(archive: &Path, directory: &Path, durably: bool, stop: &Interrupt) -> Result<()> {
    unpack_if(archive, directory, durably, stop, &|_| Ok(()))
}

/// Unpacks a bundle into `directory`, which must be empty: an archive that begins with the verdict.
///
/// # Errors
/// As those of [`unpack`]; nothing is written for what does not begin so.
pub(crate) fn unpack_bundle(archive: &Path, directory: &Path, stop: &Interrupt) -> Result<()> {
    unpack_if(archive, directory, false, stop, &|name| {
        let what = format!("{}: no bundle: it begins with {name:?}, expected {DISPUTE}", archive.display());
        if name == DISPUTE { Ok(()) } else { Err(Failure::data(what)) }
    })
}

fn unpack_if(
    archive: &Path,
    directory: &Path,
    durably: bool,
    stop: &Interrupt,
    check_first: &dyn Fn(&str) -> Result<()>,
) -> Result<()> {
    let file = Foreign::named(archive, ForeignKind::Archive)?;
    let bad = |error: io::Error| not_readable(archive, &error);
    let length = file.length();
    let mut tar = Archive::new(file);
    // Raw: headers that say more about the next one, of any length they like, are entries like others then.
    let (mut long_name, mut files) = (None, 0);
    for entry in tar.entries().map_err(bad)?.raw(true) {
        let mut entry = entry.map_err(bad)?;
        let name = match entry.header().entry_type() {
            EntryType::GNULongName if long_name.is_none() => {
                long_name = Some(read_name(archive, &mut entry)?);
                continue;
            }
            _ => long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned()),
        };
        // One that is not UTF-8 would get another name here.
        let name =
            String::from_utf8(name).map_err(|error| not_plain(archive, &String::from_utf8_lossy(error.as_bytes())))?;
        files += 1;
        if files > MOST_FILES {
            return Err(Failure::data(format!("{}: more than {MOST_FILES} files", archive.display())));
        }
        let plain = entry.header().entry_type() == EntryType::Regular && deliver::check_name(&name).is_ok();
        if !plain {
            return Err(not_plain(archive, &name));
        }
        if !is_ours(&name) {
            let what =
                format!("{}: the entry {name:?} is no part of a chain, of its job or of a dispute", archive.display());
            return Err(Failure::data(what).help("nothing was imported"));
        }
        if files == 1 {
            check_first(&name)?;
        }
        let path = archive.join(&name);
        kind_of(&name).check_length(&path, entry.size())?;
        if entry.size() > length {
            return Err(Failure::data(format!("{}: cut short in {name}", archive.display())));
        }
        if stop.is_requested() {
            return Err(Failure::new(INTERRUPTED, "interrupted: nothing was imported"));
        }
        unpack_file(archive, &mut entry, &name, directory, durably)?;
    }
    Ok(())
}

fn not_readable(archive: &Path, error: &io::Error) -> Failure {
    let failure = Failure::data(format!("{}: no archive that can be read: {error}", archive.display()));
    let is_packed = |ending: &OsStr| ["gz", "tgz", "zst", "xz"].iter().any(|packed| ending == *packed);
    match archive.extension().is_some_and(is_packed) {
        true => failure.help("it is packed: unpack it to a .tar first"),
        false => failure,
    }
}

/// What an entry of this name is taken for.
fn kind_of(name: &str) -> ForeignKind {
    match name {
        DISPUTE => ForeignKind::Dispute,
        _ => Name::kind_of(in_chain(name)).unwrap_or(ForeignKind::Input),
    }
}

/// Whether an export or a bundle has entries of this name.
pub(crate) fn is_ours(name: &str) -> bool {
    let of_job = name.strip_prefix(FILES).is_some_and(|rest| rest.starts_with('/'));
    name == DISPUTE || of_job || Name::kind_of(in_chain(name)).is_some()
}

/// The name below the directory of its chain: the folders of a bundle are chains too.
fn in_chain(name: &str) -> &str {
    ["a/", "b/"].iter().find_map(|side| name.strip_prefix(side)).unwrap_or(name)
}

fn not_plain(archive: &Path, name: &str) -> Failure {
    let what = format!("{}: the entry {name:?} is no regular file of a plain name, once", archive.display());
    Failure::data(what).help("nothing was imported")
}

/// The name of the next entry, where it does not fit into a header.
fn read_name(archive: &Path, entry: &mut Entry<'_, Foreign>) -> Result<Vec<u8>> {
    let size = entry.size();
    if size > LONGEST_NAME {
        let what = format!("{}: a name of {size} bytes, at most {LONGEST_NAME} are allowed", archive.display());
        return Err(Failure::data(what).help("nothing was imported"));
    }
    let mut name = Vec::new();
    entry.read_to_end(&mut name).map_err(|error| Failure::io(archive, &error))?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn unpack_file(
    archive: &Path,
    entry: &mut Entry<'_, Foreign>,
    name: &str,
    directory: &Path,
    durably: bool,
) -> Result<()> {
    let path = directory.join(name);
    let cut_short = || Failure::data(format!("{}: cut short in {name}", archive.display()));
    let failed = |error: io::Error| Failure::io(&path, &error);
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| match error.kind() {
        // An entry before has the name of a folder of this one.
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => not_plain(archive, name),
        _ => failed(error),
    })?;
    let mut out = match File::create_new(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(not_plain(archive, name)),
        created => created.map_err(failed)?,
    };
    let mut first = [0; 8];
    let (size, kind) = (entry.size(), kind_of(name));
    let most = usize::try_from(size).map_or(first.len(), |size| size.min(first.len()));
    let first = first.get_mut(..most).unwrap_or_default();
    entry.read_exact(first).map_err(|_| cut_short())?;
    // The rest of something else is not worth writing.
    if !kind.can_begin_with(first) {
        let what = format!("{}: the entry {name:?} is not what its name says", archive.display());
        return Err(Failure::data(what).help("nothing was imported"));
    }
    out.write_all(first).map_err(failed)?;
    let copied = io::copy(entry, &mut out).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::Other => cut_short().caused_by(error),
        _ => failed(error),
    })?;
    if copied.saturating_add(most as u64) != size {
        return Err(cut_short());
    }
    if durably { out.sync_all().map_err(failed) } else { Ok(()) }
}

/// Unpacks an archive into a new directory, which appears when `check` finds nothing wrong with it. Until then it is beside
/// its place, under a name that says whose it is: an import that was killed leaves it there, and the next one of that name
/// removes it.
///
/// # Errors
/// As those of [`unpack`] and of `check`; exit code 74 when there is something at `directory` already.
pub fn import(
    archive: &Path,
    directory: &Path,
    stop: &Interrupt,
    check: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let is_free = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    if !is_free {
        let failure = Failure::new(IO, format!("{}: there is something already", directory.display()));
        return Err(failure.help("name a directory that is empty or not there"));
    }
    let staged = StagedImport::create(directory)?;
    unpack(archive, &staged.path, true, stop)?;
    check(&staged.path).map_err(|failure| failure.renamed(&staged.path, directory))?;
    staged.place(directory)
}

/// Whether a killed import may have left all that is in a directory: anything else, links too, is somebody's who uses this name.
pub(crate) fn holds_only_ours(directory: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let kind = entry.file_type()?;
        let is_left = match kind.is_dir() {
            true => [FILES, "a", "b"].contains(&name.as_str()),
            false => kind.is_file() && is_ours(&name),
        };
        if !is_left {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A folder beside the directory of an import, which nobody else writes to. It goes when this is dropped.
struct StagedImport {
    path: PathBuf,
    folder: SystemDirectory,
}

impl StagedImport {
    fn create(directory: &Path) -> Result<Self> {
        let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| Failure::usage(format!("{}: names no directory", directory.display())))?;
        let path = directory.with_file_name(format!(".{name}.import"));
        let failed = |error: io::Error| Failure::io(&path, &error);
        let in_the_way = || Failure::new(IO, format!("{}: is in the way of the import", path.display()));
        // A link would lead the import, and the removal of what it left, elsewhere.
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_dir()) {
            return Err(in_the_way());
        }
        let folder = SystemDirectory::open(&path).map_err(failed)?;
        match folder.lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let what = format!("{}: another import is writing to this directory", path.display());
                return Err(Failure::new(IO, what).help("wait until it ends, or choose another directory"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if !holds_only_ours(&path).map_err(failed)? {
            return Err(in_the_way());
        }
        let staged = Self { path: path.clone(), folder };
        staged.empty().map_err(failed)?;
        Ok(staged)
    }

    /// Removes what a killed import has left.
    fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        Ok(())
    }

    /// Gives it its place.
    fn place(mut self, directory: &Path) -> Result<()> {
        let placed = self.folder.sync().and_then(|()| fs::rename(&self.path, directory));
        placed.map_err(|error| Failure::io(directory, &error))?;
        // What may have this name from now on is another import's.
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for StagedImport {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // What cannot be removed now, the next import removes.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}
