//! Opening what others wrote. This is the only place of the runner that opens a file to read it (`clippy.toml` keeps it so):
//! a directory, an archive or a database may come from a stranger, and a name in it may stand for a pipe that never says
//! anything, a device without an end, a link to somebody's secrets or a file without a bottom. So every file that is read
//! is regular, is no larger than its kind may be, and never keeps us waiting; and inside a directory no link is followed,
//! wherever it leads. A path that the user typed may be a link: it is the user who says what is meant.

use std::fs::{self, File};
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use stepmark_snapshot::snap::MAX_SNAP;
use stepmark_snapshot::{BASE_MAGIC, BIN_MAGIC, CALLS_MAGIC, SNAP_MAGIC};

use crate::failure::{Failure, Result};
use crate::text;

/// First bytes of the file of a frozen module.
pub(crate) const FROZEN_MAGIC: [u8; 8] = *b"NODEFRZ1";
/// Bytes of the longest one: a memory of 4 GiB, an index for each of its pages of 64 KiB, and what stands around them.
pub(crate) const FROZEN_MOST: u64 = 48 + (1 << 16) * (4 + (64 << 10)) + 32;

/// What a file is taken for, which says how large it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKind {
    /// A `.snap`.
    Snap,
    /// A `.bin` or `base.bin`; read as it is checked, never held.
    Bin,
    /// A `.calls`: recorded answers.
    Calls,
    /// `rwset.bin`: what a run read of a store and wrote to it.
    ReadWriteSet,
    /// A text that the end of a run leaves: `result.txt`, `receipt.json`, `rwset.json`.
    Text,
    /// A witness.
    Witness,
    /// A WebAssembly module: a program, a linked module, a contract.
    Module,
    /// A schedule of gas prices.
    Schedule,
    /// A file of the job: standard input, an input file.
    Input,
    /// A file that a program left behind; compared as it is read, never held.
    Delivered,
    /// An archive; unpacked as it is read, never held.
    Archive,
    /// A frozen node.
    Frozen,
    /// What a bundle says about itself.
    Dispute,
}

impl ForeignKind {
    /// Bytes of the largest file of this kind. What is held in memory is bounded by what memory there is; what passes
    /// through, by what anybody can have written in earnest.
    pub const fn most(self) -> u64 {
        match self {
            Self::Snap => MAX_SNAP,
            Self::Text => 16 << 20,
            Self::Schedule | Self::Dispute => 1 << 20,
            // As the node has it.
            Self::Calls | Self::ReadWriteSet | Self::Witness | Self::Module | Self::Input => 1 << 30,
            Self::Frozen => FROZEN_MOST,
            Self::Bin | Self::Delivered | Self::Archive => 1 << 40,
        }
    }

    /// What it is called in a message.
    const fn name(self) -> &'static str {
        match self {
            Self::Snap => "a snapshot",
            Self::Bin => "a .bin",
            Self::Calls => "a record of answers",
            Self::ReadWriteSet => "a read and write set",
            Self::Text => "a text of a run",
            Self::Witness => "a witness",
            Self::Module => "a module",
            Self::Schedule => "a schedule",
            Self::Input => "an input",
            Self::Delivered => "a file that a program left behind",
            Self::Archive => "an archive",
            Self::Frozen => "a frozen module",
            Self::Dispute => "the account of a dispute",
        }
    }

    /// What a file of this kind begins with, one of these; any bytes where there are none.
    const fn beginnings(self) -> &'static [&'static [u8]] {
        match self {
            Self::Snap => &[&SNAP_MAGIC],
            Self::Bin => &[&BIN_MAGIC, &BASE_MAGIC],
            Self::Calls => &[&CALLS_MAGIC],
            Self::Witness => &[&stepmark_snapshot::witness::MAGIC],
            Self::Module => &[b"\0asm"],
            Self::Frozen => &[&FROZEN_MAGIC],
            Self::ReadWriteSet
            | Self::Text
            | Self::Schedule
            | Self::Input
            | Self::Delivered
            | Self::Archive
            | Self::Dispute => &[],
        }
    }

    /// Whether a file that begins with `first` can be one of this kind.
    pub fn can_begin_with(self, first: &[u8]) -> bool {
        self.beginnings().is_empty() || self.beginnings().iter().any(|beginning| first.starts_with(beginning))
    }

    /// Refuses a file of `length` bytes, called `path`, if none of this kind is so long.
    ///
    /// # Errors
    /// Exit code 65.
    pub fn check_length(self, path: &Path, length: u64) -> Result<()> {
        let most = self.most();
        if length <= most {
            return Ok(());
        }
        Err(Failure::data(format!("{}: {length} bytes, {} has at most {most}", path.display(), self.name())))
    }
}

/// Bytes that decide whether the rest of a file is worth reading.
const FIRST: u64 = 4096;

/// A regular file that was opened to be read, no longer than its kind may be.
#[derive(Debug)]
pub struct Foreign {
    file: Take<File>,
    /// What is read in its place: the module that a text is.
    assembled: Option<Cursor<Vec<u8>>>,
    path: PathBuf,
    kind: ForeignKind,
    length: u64,
}

impl Foreign {
    /// Opens the file at `path`, which the user has named: it may be a link, and where a module is meant it may be text.
    ///
    /// # Errors
    /// Exit code 2 when it is not there, 74 when it cannot be opened or is no regular file, 65 when it is longer than any of its
    /// kind, or text that is no module.
    pub fn named(path: &Path, kind: ForeignKind) -> Result<Self> {
        match system::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::named(path, "file", &error)),
            opened => Self::of(path.to_path_buf(), kind, opened)?.assembled(),
        }
    }

    /// As [`named`](Self::named), where a module is none that is text.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn named_binary(path: &Path, kind: ForeignKind) -> Result<Self> {
        Self::of(path.to_path_buf(), kind, system::open(path))
    }

    /// Opens `name`, parts between slashes, below `dir`: no part of it may be a link.
    ///
    /// # Errors
    /// As [`named`](Self::named), and 74 when it is not there.
    pub fn within(dir: &Path, name: &str, kind: ForeignKind) -> Result<Self> {
        Self::of(dir.join(name), kind, system::open_within(dir, name))
    }

    /// As [`named`](Self::named); none when there is nothing.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn find_named(path: &Path, kind: ForeignKind) -> Result<Option<Self>> {
        Self::if_there(path.to_path_buf(), kind, system::open(path))?.map(Self::assembled).transpose()
    }

    /// As [`within`](Self::within); none when there is nothing.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub fn find_within(dir: &Path, name: &str, kind: ForeignKind) -> Result<Option<Self>> {
        Self::if_there(dir.join(name), kind, system::open_within(dir, name))
    }

    fn if_there(path: PathBuf, kind: ForeignKind, opened: io::Result<File>) -> Result<Option<Self>> {
        match opened {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => Self::of(path, kind, opened).map(Some),
        }
    }

    fn of(path: PathBuf, kind: ForeignKind, opened: io::Result<File>) -> Result<Self> {
        let file = opened.map_err(|error| Failure::io(&path, &error))?;
        let length = file.metadata().map_err(|error| Failure::io(&path, &error))?.len();
        kind.check_length(&path, length)?;
        Ok(Self { file: file.take(kind.most()), assembled: None, path, kind, length })
    }

    /// The file, or where a module is meant and it is text, the module that it is.
    fn assembled(mut self) -> Result<Self> {
        if self.kind != ForeignKind::Module {
            return Ok(self);
        }
        let mut bytes = Vec::new();
        self.append_to(&mut bytes, FIRST)?;
        if text::is_text(&self.path, &bytes) {
            if self.length > text::MOST {
                let what = format!("{}: {} bytes, a text has at most {}", self.path.display(), self.length, text::MOST);
                return Err(Failure::data(what));
            }
            self.append_to(&mut bytes, text::MOST)?;
            let module = text::assemble(&self.path, bytes)?;
            self.length = module.len() as u64;
            self.assembled = Some(Cursor::new(module));
            return Ok(self);
        }
        self.file.get_mut().seek(SeekFrom::Start(0)).map_err(|error| Failure::io(&self.path, &error))?;
        self.file.set_limit(self.kind.most());
        Ok(self)
    }

    /// Whether it is text, and what is read is the module.
    pub fn is_text(&self) -> bool {
        self.assembled.is_some()
    }

    /// Its length when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What tells it from every other file of this system, whatever it is called; none where the system does not say.
    pub fn identity(&self) -> Option<(u64, u64)> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let metadata = self.file.get_ref().metadata().ok()?;
            Some((metadata.dev(), metadata.ino()))
        }
        #[cfg(not(unix))]
        None
    }

    /// Its path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of its bytes; of one that does not begin as its kind does, only the first: the rest of something else is not
    /// worth reading.
    ///
    /// # Errors
    /// Exit code 74 when it cannot be read, or there is no memory for it.
    pub fn bytes(mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.append_to(&mut bytes, FIRST)?;
        if self.kind.can_begin_with(&bytes) {
            let rest = self.length.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let reserved = usize::try_from(rest).map(|rest| bytes.try_reserve_exact(rest));
            if !matches!(reserved, Ok(Ok(()))) {
                return Err(Failure::io(&self.path, &ErrorKind::OutOfMemory.into()));
            }
            self.append_to(&mut bytes, u64::MAX)?;
        }
        Ok(bytes)
    }

    fn append_to(&mut self, bytes: &mut Vec<u8>, most: u64) -> Result<()> {
        let read = self.by_ref().take(most).read_to_end(bytes);
        read.map(drop).map_err(|error| Failure::io(&self.path, &error))
    }

    /// All of its bytes as text.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), and 65 when they are no UTF-8.
    pub fn text(self) -> Result<String> {
        let path = self.path.clone();
        String::from_utf8(self.bytes()?).map_err(|_| Failure::data(format!("{}: is not UTF-8", path.display())))
    }

    /// The next bytes, into the front of `chunk`; how many there were, 0 at the end.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn read_chunk(&mut self, chunk: &mut [u8]) -> Result<usize> {
        loop {
            match self.read(chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(|error| Failure::io(&self.path, &error)),
            }
        }
    }
}

impl Read for Foreign {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.assembled {
            Some(module) => module.read(buffer),
            None => self.file.read(buffer),
        }
    }
}

/// Whether there is a regular file called `name` in `dir` that this process may not read: that is no fault of the file.
pub fn is_forbidden(dir: &Path, name: &str) -> bool {
    let is_file = fs::symlink_metadata(dir.join(name)).is_ok_and(|found| found.is_file());
    is_file && system::open_within(dir, name).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// Bytes of the file at `path`, which the user has named.
///
/// # Errors
/// As [`Foreign::named`].
pub fn read(path: &Path, kind: ForeignKind) -> Result<Vec<u8>> {
    Foreign::named(path, kind)?.bytes()
}

/// Bytes of the file `name` below `dir`.
///
/// # Errors
/// As [`Foreign::within`].
pub fn read_within(dir: &Path, name: &str, kind: ForeignKind) -> Result<Vec<u8>> {
    Foreign::within(dir, name, kind)?.bytes()
}

/// Whether there is anything called `name` in `dir`: a file, or something that stands in the place of one.
pub fn is_there(dir: &Path, name: &str) -> bool {
    fs::symlink_metadata(dir.join(name)).is_ok()
}

/// Makes a file that is not there yet: no link is followed, and nothing is replaced.
///
/// # Errors
/// The system's; also where something of this name is there.
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub fn create_new(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// Opens a regular file to read and write it, where the user has named one; with `create` it is made where there is none.
///
/// # Errors
/// The system's, and for what is no regular file.
pub fn open_to_change(path: &Path, create: bool) -> io::Result<File> {
    system::open_to_change(path, create)
}

fn irregular() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "not a regular file")
}

fn link() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "is a link, and links in a directory are not followed")
}

/// Whether this is a file that can be read without waiting.
fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

/// The parts of a name: none of them means anything else than a name.
fn parts(name: &str) -> io::Result<Vec<&str>> {
    let parts: Vec<&str> = name.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..") || part.contains('\0')) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "is not a plain name"));
    }
    Ok(parts)
}

#[cfg(unix)]
mod system {
    //! Opens so that nothing waits: what is a pipe or a device is known before it is opened, and once more after it, by
    //! the file itself.

    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};
    use rustix::io::Errno;

    use super::{irregular, link, parts, regular};

    const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);
    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    /// Opens a regular file, also through links.
    pub(super) fn open(path: &Path) -> io::Result<File> {
        let found = statat(CWD, path, AtFlags::empty())?;
        check(FileType::from_raw_mode(found.st_mode))?;
        regular(openat(CWD, path, READ, Mode::empty()).map_err(plain)?.into())
    }

    /// Opens a regular file below a directory, through no link.
    pub(super) fn open_within(dir: &Path, name: &str) -> io::Result<File> {
        let mut parts = parts(name)?;
        let last = parts.pop().unwrap_or_default();
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let mut at: OwnedFd = openat(CWD, dir, FOLDER, Mode::empty())?;
        for part in parts {
            at = openat(&at, part, FOLDER | OFlags::NOFOLLOW, Mode::empty()).map_err(no_link)?;
        }
        let found = statat(&at, last, AtFlags::SYMLINK_NOFOLLOW)?;
        check(FileType::from_raw_mode(found.st_mode))?;
        regular(openat(&at, last, READ | OFlags::NOFOLLOW, Mode::empty()).map_err(no_link)?.into())
    }

    pub(super) fn open_to_change(path: &Path, create: bool) -> io::Result<File> {
        match statat(CWD, path, AtFlags::empty()) {
            Ok(found) => check(FileType::from_raw_mode(found.st_mode))?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let create = if create { OFlags::CREATE } else { OFlags::empty() };
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY | create;
        regular(openat(CWD, path, flags, Mode::from_raw_mode(0o666)).map_err(plain)?.into())
    }

    fn check(found: FileType) -> io::Result<()> {
        match found {
            FileType::RegularFile => Ok(()),
            FileType::Symlink => Err(link()),
            _ => Err(irregular()),
        }
    }

    /// A socket, or a device that has gone.
    fn plain(error: Errno) -> io::Error {
        if error == Errno::NXIO { irregular() } else { error.into() }
    }

    fn no_link(error: Errno) -> io::Error {
        if error == Errno::LOOP { link() } else { plain(error) }
    }
}

#[cfg(not(unix))]
mod system {
    //! What the standard library offers everywhere: the kind is looked up before the file is opened and once more after.

    use std::fs::{self, File, OpenOptions};
    use std::io::{self, ErrorKind};
    use std::path::Path;

    use super::{irregular, link, parts, regular};

    pub(super) fn open(path: &Path) -> io::Result<File> {
        if !fs::metadata(path)?.is_file() {
            return Err(irregular());
        }
        regular(File::open(path)?)
    }

    pub(super) fn open_within(dir: &Path, name: &str) -> io::Result<File> {
        let mut path = dir.to_path_buf();
        for part in parts(name)? {
            path.push(part);
            if fs::symlink_metadata(&path)?.is_symlink() {
                return Err(link());
            }
        }
        open(&path)
    }

    pub(super) fn open_to_change(path: &Path, create: bool) -> io::Result<File> {
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => return Err(irregular()),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        regular(OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?)
    }
}
