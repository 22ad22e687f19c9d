//! A chain as one file: a tar archive, so that everybody can look into it, with the files of the chain and those of the job.
//! Who imports one trusts nothing of it: only plain names are taken, nothing is written outside, links are not made, and
//! the chain must hang together.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use tar::{Archive, Builder, EntryType, Header};

use crate::deliver;
use crate::durable;
use crate::failure::{Failure, IO, Result};
use crate::job_files::JobFiles;
use crate::search::FILES;

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
        let file = durable::temporary_beside(target).map_err(|error| Failure::io(target, &error))?;
        Ok(Self { builder: Builder::new(file), target: target.to_path_buf() })
    }

    /// Adds the file at `path` under `name`.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn file(&mut self, name: &str, path: &Path) -> Result<()> {
        let failed = |error: io::Error| Failure::io(path, &error);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        self.builder.append_data(&mut header(size), name, file.take(size)).map_err(failed)
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
            self.file(&format!("{folder}{name}"), &dir.join(&name))?;
        }
        Ok(())
    }

    /// Adds the files of a job.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn job(&mut self, program: &str, files: &JobFiles) -> Result<()> {
        self.file(&format!("{FILES}/{program}"), Path::new(&files.program))?;
        for (name, path) in &files.modules {
            self.file(&format!("{FILES}/{name}.wasm"), Path::new(path))?;
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

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header
}

/// Unpacks an archive into `directory`, which must be empty.
///
/// # Errors
/// Exit code 65 for what is no archive of ours, 74 for what cannot be written.
pub fn unpack(archive: &Path, directory: &Path) -> Result<()> {
    let file = File::open(archive).map_err(|error| Failure::io(archive, &error))?;
    let bad = |error: io::Error| Failure::data(format!("{}: no archive that can be read: {error}", archive.display()));
    let mut names = BTreeSet::new();
    let mut tar = Archive::new(file);
    for entry in tar.entries().map_err(bad)? {
        let mut entry = entry.map_err(bad)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let plain = entry.header().entry_type() == EntryType::Regular && deliver::check_name(&name).is_ok();
        if !plain || !names.insert(name.clone()) {
            let what = format!("{}: the entry {name:?} is no regular file of a plain name, once", archive.display());
            return Err(Failure::data(what).help("nothing was imported"));
        }
        let path = directory.join(&name);
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::Other => bad(error),
            _ => Failure::new(IO, format!("{}: {error}", path.display())),
        };
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
        let mut out = File::create_new(&path).map_err(failed)?;
        let (size, copied) = (entry.size(), io::copy(&mut entry, &mut out).map_err(failed)?);
        if copied != size {
            return Err(Failure::data(format!("{}: cut short in {name}", archive.display())));
        }
        out.sync_all().map_err(failed)?;
    }
    Ok(())
}

/// Unpacks an archive into a new directory, which appears when `check` finds nothing wrong with it.
///
/// # Errors
/// As those of [`unpack`] and of `check`; exit code 74 when there is something at `directory` already.
pub fn import(archive: &Path, directory: &Path, check: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let is_free = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    if !is_free {
        let failure = Failure::new(IO, format!("{}: there is something already", directory.display()));
        return Err(failure.help("name a directory that is empty or not there"));
    }
    let folder = directory.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: io::Error| Failure::io(directory, &error);
    fs::create_dir_all(folder).map_err(failed)?;
    let staged = tempfile::Builder::new().prefix(".import-").tempdir_in(folder).map_err(failed)?;
    unpack(archive, staged.path())?;
    check(staged.path())?;
    fs::rename(staged.keep(), directory).map_err(failed)
}
