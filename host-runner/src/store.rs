//! A key-value store in an embedded database, with a version that counts commits. Runs read it as it was when they began,
//! undisturbed by others; committing one checks that all it has read is still so, and writes in the same transaction.

use std::path::Path;
use std::sync::Arc;

use guest_interp::host::outside::{Answer, MAX_KEY, MAX_VALUE, Question, Versioned};
use guest_interp::host::store::{Export, RangeRead, ReadWriteSet};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use crate::engine::Node;
use crate::failure::{CONFLICT, Failure, IO, Result};
use crate::flags::JobFlags;
use crate::outside::{Nobody, Outside, asked};

/// Version and value by key.
const ENTRIES: TableDefinition<'_, &[u8], (u64, &[u8])> = TableDefinition::new("entries");
/// Under the empty name: how often the store was changed.
const VERSION: TableDefinition<'_, &str, u64> = TableDefinition::new("version");

/// A store.
pub struct Database {
    database: Arc<redb::Database>,
    name: String,
}

/// A store as it was at one moment.
pub struct View {
    entries: redb::ReadOnlyTable<&'static [u8], (u64, &'static [u8])>,
    version: u64,
    name: String,
    /// Open as long as somebody looks.
    _database: Arc<redb::Database>,
}

/// What is to be written: keys, and values or none where they go.
type Writes<'a> = &'a [(Vec<u8>, Option<Vec<u8>>)];

impl Database {
    /// Opens a store; an empty one is made where there is no file, if `create` says so.
    ///
    /// # Errors
    /// Exit code 2 when there is none, 65 when the file is no store, 74 when it cannot be used, or is in use.
    pub fn open(path: &Path, create: bool) -> Result<Self> {
        let name = path.display().to_string();
        if !create && !path.exists() {
            return Err(Failure::usage(format!("{name}: no such store")).help("make one with: host-runner store put"));
        }
        let database = redb::Database::create(path).map_err(|error| failed(&name, &error))?;
        let store = Self { database: Arc::new(database), name };
        store.change(|_, _| Ok(false))?;
        Ok(store)
    }

    /// The store as it is now; what is committed later does not change it.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn view(&self) -> Result<View> {
        let failed = |error: &dyn std::fmt::Display| failed(&self.name, error);
        let read = self.database.begin_read().map_err(|error| failed(&error))?;
        let versions = read.open_table(VERSION).map_err(|error| failed(&error))?;
        let version = versions.get("").map_err(|error| failed(&error))?.map_or(0, |version| version.value());
        let entries = read.open_table(ENTRIES).map_err(|error| failed(&error))?;
        Ok(View { entries, version, name: self.name.clone(), _database: self.database.clone() })
    }

    /// Checks that all that a run has read is still so, and writes what it wrote; the new version. Where it wrote nothing,
    /// the version stays.
    ///
    /// # Errors
    /// Exit code 76, with nothing written: a conflict, which names the key or range. 74 when it cannot be written.
    pub fn commit(&self, set: &ReadWriteSet) -> Result<u64> {
        self.write(&set.writes, |entries| check(entries, set, &self.name))
    }

    /// Sets keys, or removes them where there is no value; the new version.
    ///
    /// # Errors
    /// Exit code 2 for a key or value that is too long, 74 when it cannot be written.
    pub fn put(&self, writes: Writes<'_>) -> Result<u64> {
        for (key, value) in writes {
            let length = value.as_ref().map_or(0, Vec::len);
            if key.len() > MAX_KEY || length > MAX_VALUE {
                let (key, most) = (ReadWriteSet::shown(key), format!("at most {MAX_KEY} and {MAX_VALUE} bytes"));
                return Err(Failure::usage(format!("key {key}: it or its value is too long, {most}")));
            }
        }
        self.write(writes, |_| Ok(()))
    }

    fn write(&self, writes: Writes<'_>, check: impl FnOnce(&Entries<'_>) -> Result<()>) -> Result<u64> {
        self.change(|entries, version| {
            check(entries)?;
            for (key, value) in writes {
                let written = match value {
                    Some(value) => entries.insert(key.as_slice(), (version, value.as_slice())).map(drop),
                    None => entries.remove(key.as_slice()).map(drop),
                };
                written.map_err(|error| failed(&self.name, &error))?;
            }
            Ok(!writes.is_empty())
        })
    }

    /// One transaction: `change` gets the entries and the version that comes next, and says if there was a change. The
    /// version after it.
    fn change(&self, change: impl FnOnce(&mut Entries<'_>, u64) -> Result<bool>) -> Result<u64> {
        let failed = |error: &dyn std::fmt::Display| failed(&self.name, error);
        let transaction = self.database.begin_write().map_err(|error| failed(&error))?;
        let version = {
            let mut versions = transaction.open_table(VERSION).map_err(|error| failed(&error))?;
            let mut entries = transaction.open_table(ENTRIES).map_err(|error| failed(&error))?;
            let version = versions.get("").map_err(|error| failed(&error))?.map_or(0, |version| version.value());
            let next = version.saturating_add(1);
            if change(&mut entries, next)? {
                versions.insert("", next).map_err(|error| failed(&error))?;
                next
            } else {
                version
            }
        };
        transaction.commit().map_err(|error| failed(&error))?;
        Ok(version)
    }
}

/// The reads and writes that a run has left in its `rwset.bin`.
///
/// # Errors
/// Exit code 65 for a file that is none, 74 for one that cannot be read.
pub fn read_set(path: &Path) -> Result<ReadWriteSet> {
    let found = std::fs::read(path).map_err(|error| Failure::io(path, &error))?;
    let set = ReadWriteSet::decode(&found);
    set.ok_or_else(|| Failure::data(format!("{}: is no rwset.bin", path.display())))
}

type Entries<'a> = redb::Table<'a, &'static [u8], (u64, &'static [u8])>;

fn failed(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(IO, format!("{name}: {error}"))
}

fn conflict(name: &str, what: &str) -> Failure {
    Failure::new(CONFLICT, format!("{name}: conflict: {what}; nothing was written"))
        .help("run it again on the store as it is now")
}

/// Is all that was read still so.
fn check(entries: &Entries<'_>, set: &ReadWriteSet, name: &str) -> Result<()> {
    for (key, version) in &set.reads {
        let found = entries.get(key.as_slice()).map_err(|error| failed(name, &error))?;
        let found = found.map_or(0, |found| found.value().0);
        if found != *version {
            let key = ReadWriteSet::shown(key);
            return Err(conflict(name, &format!("key {key} has version {found}, the run read version {version}")));
        }
    }
    set.ranges.iter().try_for_each(|range| check_range(entries, range, set, name))
}

/// Does a range that was read hold no other keys than those that were read.
fn check_range(entries: &Entries<'_>, range: &RangeRead, set: &ReadWriteSet, name: &str) -> Result<()> {
    let found = entries.range(range.from.as_slice()..).map_err(|error| failed(name, &error))?;
    for entry in found {
        let (key, _) = entry.map_err(|error| failed(name, &error))?;
        let key = key.value();
        if range.to.as_ref().is_some_and(|to| key >= to.as_slice()) {
            return Ok(());
        }
        if set.reads.binary_search_by(|(read, _)| read.as_slice().cmp(key)).is_err() {
            let key = ReadWriteSet::shown(key);
            return Err(conflict(name, &format!("key {key} is new in a range that the run read")));
        }
    }
    Ok(())
}

impl View {
    /// How often the store had been changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What it holds for a key.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn get(&self, key: &[u8]) -> Result<Option<Versioned>> {
        let found = self.entries.get(key).map_err(|error| failed(&self.name, &error))?;
        Ok(found.map(|found| versioned(found.value())))
    }

    /// Its entries from `from` on, below `limit` where there is one, at most `most` of them.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn list(&self, from: &[u8], limit: Option<&[u8]>, most: usize) -> Result<Vec<(Vec<u8>, Versioned)>> {
        let failed = |error: redb::StorageError| failed(&self.name, &error);
        let mut list = Vec::new();
        for entry in self.entries.range(from..).map_err(failed)? {
            let (key, found) = entry.map_err(failed)?;
            if list.len() >= most || limit.is_some_and(|limit| key.value() >= limit) {
                break;
            }
            list.push((key.value().to_vec(), versioned(found.value())));
        }
        Ok(list)
    }

    /// Everything, as a file that the node itself reads.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn export(&self) -> Result<Export> {
        Ok(Export { version: self.version, entries: self.list(&[], None, usize::MAX)? })
    }
}

fn versioned((version, value): (u64, &[u8])) -> Versioned {
    Versioned { version, value: value.to_vec() }
}

/// The store that a run was given, if any.
#[derive(Default)]
pub struct Given {
    /// The database, to commit to.
    pub database: Option<Database>,
    view: Option<View>,
}

impl Given {
    /// Opens the store that the flags name, if they do; where the run begins from the start, `argv` is told its version. On
    /// resume the snapshot says at which version the run began.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn of(job: &JobFlags, argv: &mut Vec<String>) -> Result<Self> {
        let Some(path) = &job.config.contract.store else { return Ok(Self::default()) };
        let database = Database::open(path, true)?;
        let view = database.view()?;
        if job.snapshot_input.is_none() {
            argv.splice(0..0, ["--store-version".to_owned(), view.version().to_string()]);
        }
        Ok(Self { database: Some(database), view: Some(view) })
    }
}

impl Outside for Given {
    fn answer(&mut self, question: &Question, node: &mut dyn Node) -> Result<Answer> {
        match &mut self.view {
            Some(view) => view.answer(question, node),
            None => Nobody.answer(question, node),
        }
    }
}

impl Outside for View {
    fn answer(&mut self, question: &Question, _: &mut dyn Node) -> Result<Answer> {
        match question {
            Question::Get { key } => self.get(key).map(Answer::Value),
            Question::Next { from, limit } => {
                let found = self.list(from, limit.as_deref(), 1)?;
                Ok(Answer::Entry(found.into_iter().next()))
            }
            Question::Call { .. } => {
                Err(Failure::usage(format!("the program uses {}, which no store answers", asked(question))))
            }
        }
    }
}
