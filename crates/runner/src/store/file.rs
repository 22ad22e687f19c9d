//! The database's file. It may be anybody's, damaged, or in use: it is opened as all files of others are, waited for as
//! long as the user wants, and what the database makes of it stays behind one border.
//!
//! The database trusts its file: some damaged ones it takes for bugs of its own, and panics. That is caught here, and only
//! here, so that a file is an error like others (exit code 74) that names it. What it says may be nonsense without a
//! panic too: so the entries have a checksum of ours ([`seal`](super::seal)).

use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use redb::DatabaseError;
use redb::backends::FileBackend;

use crate::failure::{Failure, IO, Result};
use crate::foreign::{self, Foreign, ForeignKind};
use crate::terminal;

/// Bytes that the database may keep in memory.
const CACHE: usize = 64 << 20;
/// How long nobody is told that we wait.
const SILENT: Duration = Duration::from_secs(1);
/// Between two attempts to open a file that is in use.
const PAUSE: Duration = Duration::from_millis(10);
/// How long to wait for a store that is in use, where the user says nothing.
pub const WAIT: Duration = Duration::from_secs(10);

/// The database, open. What it does when it is closed stays behind the border too.
pub(super) struct Held(Option<redb::Database>, String);

impl Held {
    pub(super) fn database(&self) -> Result<&redb::Database> {
        self.0.as_ref().ok_or_else(|| damaged(&self.1, "it is closed"))
    }

    /// Checks the database's own checksums of its pages.
    pub(super) fn check_pages(&mut self) -> Result<()> {
        let (database, name) = (&mut self.0, &self.1);
        guarded(name, || match database.as_mut().map(redb::Database::check_integrity) {
            Some(Ok(true)) => Ok(()),
            Some(Err(error)) => Err(failed(name, &error)),
            _ => Err(damaged(name, "its pages do not have their checksums")),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let database = self.0.take();
        drop(guarded(&self.1, || {
            drop(database);
            Ok(())
        }));
    }
}

/// Opens the file; with `create` an empty store is made where there is none. One that is in use is waited for.
pub(super) fn open(path: &Path, create: bool, wait: Duration) -> Result<Held> {
    let name = path.display().to_string();
    let began = Instant::now();
    let mut told = false;
    loop {
        match open_once(path, &name, create)? {
            Some(database) => return Ok(Held(Some(database), name)),
            None if began.elapsed() >= wait => {
                let failure = Failure::new(IO, format!("{name}: is in use by another process"));
                let seconds = wait.as_secs();
                let help = format!("wait until it ends; waited {seconds} s, --wait SECONDS waits longer");
                return Err(failure.help(help));
            }
            None if !told && began.elapsed() >= SILENT => {
                terminal::say(&format!(
                    "waiting for {name}, which is in use by another process (--wait 0 does not wait)"
                ));
                told = true;
            }
            None => thread::sleep(PAUSE),
        }
    }
}

/// Opens the file; none when it is in use.
fn open_once(path: &Path, name: &str, create: bool) -> Result<Option<redb::Database>> {
    let file = foreign::open_to_change(path, create).map_err(|error| Failure::io(path, &error))?;
    let found = file.metadata().map_err(|error| Failure::io(path, &error))?;
    let length = found.len();
    if is_hollow(&found) {
        return Err(damaged(name, &format!("{length} bytes, of which the disk holds next to nothing")));
    }
    if length == 0 && !create {
        return Err(Failure::new(IO, format!("{name}: is empty, no store")));
    }
    if length > 0 && !check_slots(&file, path)? {
        return Ok(None);
    }
    guarded(name, || {
        let mut builder = redb::Builder::new();
        builder.set_cache_size(CACHE);
        match FileBackend::new(file).and_then(|file| builder.create_with_backend(file)) {
            Ok(database) => Ok(Some(database)),
            Err(DatabaseError::DatabaseAlreadyOpen) => Ok(None),
            Err(error) => Err(failed(name, &error)),
        }
    })
}

/// Bytes from which on a file may be no longer than so many times what the disk holds of it: opening a database sets up all
/// of the length that its head claims.
const LONG: u64 = 1 << 30;
const MOST_SPARSE: u64 = 64;

/// Whether a file claims a length that nobody can have written.
fn is_hollow(found: &fs::Metadata) -> bool {
    #[cfg(unix)]
    let held = std::os::unix::fs::MetadataExt::blocks(found).saturating_mul(512);
    #[cfg(not(unix))]
    let held = found.len();
    found.len() > LONG && held.saturating_mul(MOST_SPARSE) < found.len()
}

/// Returns whether there is a store at `path`, or a file that once was one.
pub fn is_store(path: &Path) -> bool {
    const MAGIC: &[u8; 4] = b"redb";
    let mut first = [0; MAGIC.len()];
    Foreign::named(path, ForeignKind::Input)
        .is_ok_and(|mut file| file.read_exact(&mut first).is_ok() && first == *MAGIC)
}

/// Warns where the commit that the file's first bytes name as the last one is not the later of the two that are there. Either a
/// command was killed before it had named what it wrote, and another one has closed the file since; or the bit in that one
/// byte, which nothing covers, was flipped, and the store is shown as it was before. Nobody can tell which. A file that was not
/// closed says so in the same byte: there the database looks for the last whole commit itself. False when the file is in use.
fn check_slots(mut file: &File, path: &Path) -> Result<bool> {
    /// Where the file says which slot is the last one, where the slots begin, and where in one is its number.
    const WHICH: usize = 9;
    const NOT_CLOSED: u8 = 2;
    const SLOTS: [usize; 2] = [64, 192];
    const NUMBER: usize = 104;
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(Failure::io(path, &error)),
    }
    let mut first = [0; 320];
    // The database says what is wrong with a shorter file.
    let read = file.read_exact(&mut first);
    file.unlock().map_err(|error| Failure::io(path, &error))?;
    if read.is_err() {
        return Ok(true);
    }
    let number = |slot: usize| {
        let at = SLOTS.get(slot).map_or(0, |slot| slot.saturating_add(NUMBER));
        first.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let flags = first.get(WHICH).copied().unwrap_or(0);
    let last = usize::from(flags & 1 == 1);
    if flags & NOT_CLOSED == 0 && number(last) < number(1 - last) {
        let what =
            "shows an older commit than the last that was written: a command was killed then, or the file is damaged";
        terminal::say(&format!("warning: {} {what}", path.display()));
    }
    Ok(true)
}

thread_local! {
    /// Whether a panic of this thread is caught below.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls the database. A panic of it is an error about its file, and nobody sees it as a panic.
pub(super) fn guarded<T>(name: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |found| {
            if !GUARDED.get() {
                before(found);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    // What the panic has left half done is not looked at again: every caller gives the store up.
    let done = panic::catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    done.unwrap_or_else(|_| Err(damaged(name, "the database cannot make sense of it")))
}

/// The file cannot be read as what it is.
pub(super) fn damaged(name: &str, what: &str) -> Failure {
    Failure::new(IO, format!("{name}: damaged: {what}")).help("take a copy of it from before, or an export")
}

pub(super) fn failed(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(IO, format!("{name}: {error}"))
}
