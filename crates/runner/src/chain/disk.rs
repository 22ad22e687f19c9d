//! The file operations that the output directory rests on, one by one and behind a trait: `durable` decides which follow
//! each other, and tests put a disk in their place that fails, or loses power, after any of them.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::foreign::{Foreign, ForeignKind as FileKind};

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// Nothing.
    Nothing,
    /// A directory, not a link to one.
    Directory,
    /// A regular file.
    File,
    /// A pipe, a device, or a link to anything.
    Other,
}

/// One directory and the plain names in it.
pub trait Disk: fmt::Debug {
    /// Takes the directory's lock, until the disk is dropped.
    ///
    /// # Errors
    /// Somebody else holds it, or the system refuses.
    fn lock(&self) -> Result<(), TryLockError>;

    /// All names that are text.
    ///
    /// # Errors
    /// The system's.
    fn names(&self) -> io::Result<Vec<String>>;

    /// What stands at `name`.
    ///
    /// # Errors
    /// The system's, but not that there is nothing.
    fn look(&self, name: &str) -> io::Result<NameKind>;

    /// The first bytes of the file `name`: `most` of them, or all when it is shorter.
    ///
    /// # Errors
    /// The system's.
    fn first_bytes(&self, name: &str, most: u64) -> io::Result<Vec<u8>>;

    /// Creates the file `name`, which is not there, not even as a link.
    ///
    /// # Errors
    /// The system's.
    fn create_new(&self, name: &str) -> io::Result<Box<dyn NewFile>>;

    /// Makes the directory `name`, whose files are then called `name/...` here.
    ///
    /// # Errors
    /// The system's.
    fn make_directory(&self, name: &str) -> io::Result<()>;

    /// Gives what is called `from` the name `to`, at once. What stood there is gone; a link is replaced, not followed.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes the file or link `name`.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes names durable: creations, renames and removals so far.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self) -> io::Result<()>;
}

/// A file that was created.
pub trait NewFile: fmt::Debug {
    /// Appends all of `bytes`.
    ///
    /// # Errors
    /// The system's; some of the bytes may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the contents durable.
    ///
    /// # Errors
    /// The system's.
    fn sync(&mut self) -> io::Result<()>;
}

/// Creates a directory, and those that it is in, where they are absent.
///
/// # Errors
/// Something else has the name, or the system refuses.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            io::Error::new(error.kind(), "is no directory, and files are to be written into it")
        }
        _ => error,
    })
}

/// A directory of the system.
#[derive(Debug)]
pub struct SystemDirectory {
    path: PathBuf,
    /// The directory itself: for its lock and to sync its names.
    handle: File,
}

impl SystemDirectory {
    /// Opens the directory; where it is absent it is created, durably.
    ///
    /// # Errors
    /// It cannot be created, or is no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
        create_directory(path)?;
        // A power loss may else take the directory away, with everything that was synced in it.
        missing.into_iter().filter_map(Path::parent).try_for_each(sync_names)?;
        Ok(Self { path: path.to_path_buf(), handle: open_directory(path)? })
    }
}

impl Disk for SystemDirectory {
    fn lock(&self) -> Result<(), TryLockError> {
        self.handle.try_lock()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn look(&self, name: &str) -> io::Result<NameKind> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(NameKind::Nothing),
            Err(error) => Err(error),
            Ok(found) if found.is_dir() => Ok(NameKind::Directory),
            Ok(found) if found.is_file() => Ok(NameKind::File),
            Ok(_) => Ok(NameKind::Other),
        }
    }

    fn first_bytes(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file =
            Foreign::within(&self.path, name, FileKind::Bin).map_err(|failure| io::Error::other(failure.what()))?;
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[expect(clippy::disallowed_methods, reason = "a new file, to write it")]
    fn create_new(&self, name: &str) -> io::Result<Box<dyn NewFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.path.join(name))?;
        Ok(Box::new(file))
    }

    fn make_directory(&self, name: &str) -> io::Result<()> {
        fs::create_dir(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        sync_directory(&self.handle)
    }
}

impl NewFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// What carries the lock: the directory itself, so that no extra file appears in it.
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "a directory, to lock and to sync it")]
fn open_directory(path: &Path) -> io::Result<File> {
    let directory = File::open(path)?;
    if directory.metadata()?.is_dir() { Ok(directory) } else { Err(ErrorKind::NotADirectory.into()) }
}

/// What carries the lock where directories cannot be opened: a file in it.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "a file of ours, to lock it")]
fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path.join(".lock"))
}

/// Makes the names in the directory at `path` durable; empty is the working directory.
#[cfg(unix)]
fn sync_names(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    sync_directory(&open_directory(path)?)
}

/// Elsewhere the system orders directory changes by itself.
#[cfg(not(unix))]
fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_directory(directory: &File) -> io::Result<()> {
    match directory.sync_all() {
        // Some file systems cannot sync a directory; they keep no promise that we could ask for.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// Elsewhere the system orders directory changes by itself.
#[cfg(not(unix))]
fn sync_directory(_: &File) -> io::Result<()> {
    Ok(())
}
