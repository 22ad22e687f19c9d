//! A key-value store in an embedded database, with a version that counts commits. Runs read it as it was when they began,
//! undisturbed by others; committing one checks that all it has read is still so, and writes in the same transaction.
//!
//! The second version of its tables: entries carry a checksum and the store their sum (`seal`). A store of the first version,
//! which had neither, becomes one of the second when it is opened.

mod file;
mod seal;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle, WriteTransaction};
use stepmark_hosts::external::{ExternalCall, ExternalReply, MAX_KEY, MAX_VALUE, Versioned};
pub use stepmark_hosts::store::ReadWriteSet;
use stepmark_hosts::store::{RangeRead, StoreExport};
use stepmark_session::spec::JobSpec;

use crate::failure::{CONFLICT, Failure, Result};
use crate::foreign::{self, ForeignKind};
use crate::node::engine::ModuleSession;
use crate::node::external::{Nobody, Responder, asked};

use file::{Held, damaged, failed, guarded};
use seal::Sum;

pub use file::{WAIT, is_store};

/// Version, and value with its checksum, by key.
const ENTRIES: TableDefinition<'_, &[u8], (u64, &[u8])> = TableDefinition::new("sealed-entries");
/// Entries without checksums, in a store of the first version.
const BARE_ENTRIES: TableDefinition<'_, &[u8], (u64, &[u8])> = TableDefinition::new("entries");
/// Under the empty name: how often the store was changed.
const VERSION: TableDefinition<'_, &str, u64> = TableDefinition::new("version");
/// Under the empty name: the sum of the entries.
const SUM: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("sum");

/// Bytes up to which all entries of a store are looked at whenever it is opened. Of a larger one those that are read, and
/// all when it is listed or exported.
const CHECKED_AT_ONCE: u64 = 64 << 20;

/// A store.
pub struct Database {
    held: Arc<Held>,
    name: String,
}

/// A store as it was at one moment.
pub struct DatabaseView {
    entries: redb::ReadOnlyTable<&'static [u8], (u64, &'static [u8])>,
    version: u64,
    sum: Sum,
    name: String,
    /// Open as long as somebody looks.
    _held: Arc<Held>,
}

/// What is to be written: keys, and values or none where they go.
type Writes<'a> = &'a [(Vec<u8>, Option<Vec<u8>>)];

impl Database {
    /// Opens a store; an empty one is made where there is no file, if `create` says so.
    ///
    /// # Errors
    /// Exit code 2 when there is none, 74 when the file is no store, is damaged, cannot be used, or is in use for longer
    /// than [`WAIT`].
    pub fn open(path: &Path, create: bool) -> Result<Self> {
        Self::open_within(path, create, WAIT)
    }

    /// Opens the store at `path`, waiting so long for one that is in use.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_within(path: &Path, create: bool, wait: Duration) -> Result<Self> {
        let name = path.display().to_string();
        if !create && !path.exists() {
            return Err(Failure::usage(format!("{name}: no such store")).help("make one with: stepmark store put"));
        }
        let mut held = file::open(path, create, wait)?;
        if guarded(&name, || is_bare(&held, &name))? {
            // Nothing else says of it that it is whole.
            held.check_pages()?;
        }
        let store = Self { held: Arc::new(held), name };
        store.change(|_, _| Ok(false))?;
        if path.metadata().is_ok_and(|found| found.len() <= CHECKED_AT_ONCE) {
            store.view()?.check()?;
        }
        Ok(store)
    }

    /// The store as it is now; what is committed later does not change it.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn view(&self) -> Result<DatabaseView> {
        let failed = |error: &dyn std::fmt::Display| failed(&self.name, error);
        guarded(&self.name, || {
            let read = self.held.database()?.begin_read().map_err(|error| failed(&error))?;
            let versions = read.open_table(VERSION).map_err(|error| failed(&error))?;
            let version = versions.get("").map_err(|error| failed(&error))?.map_or(0, |version| version.value());
            let sums = read.open_table(SUM).map_err(|error| failed(&error))?;
            let sum = kept_sum(&sums, version, &self.name)?;
            let entries = read.open_table(ENTRIES).map_err(|error| failed(&error))?;
            Ok(DatabaseView { entries, version, sum, name: self.name.clone(), _held: self.held.clone() })
        })
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

    fn write(&self, writes: Writes<'_>, check: impl FnOnce(&EntryTable<'_>) -> Result<()>) -> Result<u64> {
        self.change(|tables, version| {
            check(&tables.entries)?;
            writes.iter().try_for_each(|(key, value)| tables.write(key, version, value.as_deref(), &self.name))?;
            Ok(!writes.is_empty())
        })
    }

    /// One transaction: `change` gets the tables and the version that comes next, and says if there was a change. The
    /// version after it.
    fn change(&self, change: impl FnOnce(&mut Tables<'_>, u64) -> Result<bool>) -> Result<u64> {
        let failed = |error: &dyn std::fmt::Display| failed(&self.name, error);
        guarded(&self.name, || {
            let mut transaction = self.held.database()?.begin_write().map_err(|error| failed(&error))?;
            // Of one that was cut short nothing is left, and a damaged one is not taken for one that was.
            transaction.set_two_phase_commit(true);
            let (version, has_changed) = self.change_in(&transaction, change)?;
            let done = if has_changed { transaction.commit().map_err(|error| failed(&error)) } else { Ok(()) };
            done.map(|()| version)
        })
    }

    fn change_in(
        &self,
        transaction: &WriteTransaction,
        change: impl FnOnce(&mut Tables<'_>, u64) -> Result<bool>,
    ) -> Result<(u64, bool)> {
        let failed = |error: &dyn std::fmt::Display| failed(&self.name, error);
        let mut versions = transaction.open_table(VERSION).map_err(|error| failed(&error))?;
        let kept = versions.get("").map_err(|error| failed(&error))?.map(|version| version.value());
        let mut version = kept.unwrap_or(0);
        let mut sums = transaction.open_table(SUM).map_err(|error| failed(&error))?;
        let entries = transaction.open_table(ENTRIES).map_err(|error| failed(&error))?;
        let is_new = sums.is_empty().map_err(|error| failed(&error))?;
        let sum = if is_new { Sum::default() } else { kept_sum(&sums, version, &self.name)? };
        let mut tables = Tables { entries, sum };
        if is_new {
            self.take_over(transaction, &mut tables)?;
        }
        let next = version.checked_add(1).ok_or_else(|| damaged(&self.name, "its version is the last one"))?;
        let has_changed = change(&mut tables, next)?;
        if has_changed {
            version = next;
        }
        if has_changed || is_new {
            versions.insert("", version).map_err(|error| failed(&error))?;
            sums.insert("", tables.sum.encode(version).as_slice()).map_err(|error| failed(&error))?;
        }
        Ok((version, has_changed || is_new))
    }

    /// Seals the entries of a store of the first version.
    fn take_over(&self, transaction: &WriteTransaction, tables: &mut Tables<'_>) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| failed(&self.name, error);
        let bare = transaction.open_table(BARE_ENTRIES).map_err(|error| failed(&error))?;
        for entry in bare.iter().map_err(|error| failed(&error))? {
            let (key, found) = entry.map_err(|error| failed(&error))?;
            let (version, value) = found.value();
            tables.write(key.value(), version, Some(value), &self.name)?;
        }
        drop(bare);
        transaction.delete_table(BARE_ENTRIES).map(drop).map_err(|error| failed(&error))
    }
}

/// Whether a store is of the first version.
fn is_bare(held: &Held, name: &str) -> Result<bool> {
    let read = held.database()?.begin_read().map_err(|error| failed(name, &error))?;
    let mut tables = read.list_tables().map_err(|error| failed(name, &error))?;
    Ok(tables.any(|table| table.name() == BARE_ENTRIES.name()))
}

/// The sum that a store says its entries have.
fn kept_sum(sums: &impl ReadableTable<&'static str, &'static [u8]>, version: u64, name: &str) -> Result<Sum> {
    let kept = sums.get("").map_err(|error| failed(name, &error))?;
    let sum = kept.and_then(|kept| Sum::decode(version, kept.value()));
    sum.ok_or_else(|| damaged(name, "the sum of its entries is not there"))
}

/// The entries, and the sum that is kept of them.
struct Tables<'a> {
    entries: EntryTable<'a>,
    sum: Sum,
}

impl Tables<'_> {
    /// Sets a key, or removes it where there is no value.
    fn write(&mut self, key: &[u8], version: u64, value: Option<&[u8]>, name: &str) -> Result<()> {
        let failed = |error: redb::StorageError| failed(name, &error);
        let before = self.entries.remove(key).map_err(failed)?.map(|found| {
            let (version, kept) = found.value();
            seal::unsealed(key, version, kept).map(|(_, seal)| seal).ok_or_else(|| changed(name, key))
        });
        if let Some(seal) = before.transpose()? {
            self.sum.remove(seal);
        }
        if let Some(value) = value {
            self.sum.add(seal::seal(key, version, value));
            self.entries.insert(key, (version, seal::sealed(key, version, value).as_slice())).map_err(failed)?;
        }
        Ok(())
    }
}

fn changed(name: &str, key: &[u8]) -> Failure {
    damaged(name, &format!("key {} does not have its checksum", ReadWriteSet::shown(key)))
}

/// The reads and writes that a run has left in its `rwset.bin`.
///
/// # Errors
/// Exit code 65 for a file that is none, 74 for one that cannot be read.
pub fn read_set(path: &Path) -> Result<ReadWriteSet> {
    decode_set(&foreign::read(path, ForeignKind::ReadWriteSet)?, &path.display().to_string())
}

/// As [`read_set`], from the bytes of a file that is called `name` in messages.
///
/// # Errors
/// Exit code 65 for what is none.
pub fn decode_set(bytes: &[u8], name: &str) -> Result<ReadWriteSet> {
    ReadWriteSet::decode(bytes).ok_or_else(|| Failure::data(format!("{name}: is no rwset.bin")))
}

type EntryTable<'a> = redb::Table<'a, &'static [u8], (u64, &'static [u8])>;

fn conflict(name: &str, what: &str) -> Failure {
    Failure::new(CONFLICT, format!("{name}: conflict: {what}; nothing was written"))
        .help("run it again on the store as it is now")
}

/// Whether all that was read is still so.
fn check(entries: &EntryTable<'_>, set: &ReadWriteSet, name: &str) -> Result<()> {
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

/// Whether a range that was read holds no other keys than those that were read.
fn check_range(entries: &EntryTable<'_>, range: &RangeRead, set: &ReadWriteSet, name: &str) -> Result<()> {
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

impl DatabaseView {
    /// How often the store had been changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What it holds for a key.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn get(&self, key: &[u8]) -> Result<Option<Versioned>> {
        guarded(&self.name, || {
            let found = self.entries.get(key).map_err(|error| failed(&self.name, &error))?;
            found.map(|found| self.versioned(key, found.value()).map(|(found, _)| found)).transpose()
        })
    }

    /// Looks at every entry, and that none is missing.
    ///
    /// # Errors
    /// Exit code 74.
    fn check(&self) -> Result<()> {
        self.each(&[], &mut |_, _| true)
    }

    /// Gives the entries from `from` on to `each`, as long as it wants more. Where it wants all there are, none is missing.
    fn each(&self, from: &[u8], each: &mut dyn FnMut(&[u8], Versioned) -> bool) -> Result<()> {
        let failed = |error: redb::StorageError| failed(&self.name, &error);
        guarded(&self.name, || {
            let mut sum = Sum::default();
            for entry in self.entries.range(from..).map_err(failed)? {
                let (key, found) = entry.map_err(failed)?;
                let (found, seal) = self.versioned(key.value(), found.value())?;
                sum.add(seal);
                if !each(key.value(), found) {
                    return Ok(());
                }
            }
            if from.is_empty() && sum != self.sum {
                return Err(damaged(&self.name, "its entries do not have the sum that it says they have"));
            }
            Ok(())
        })
    }

    fn versioned(&self, key: &[u8], (version, kept): (u64, &[u8])) -> Result<(Versioned, [u8; seal::SEAL])> {
        let (value, seal) = seal::unsealed(key, version, kept).ok_or_else(|| changed(&self.name, key))?;
        Ok((Versioned { version, value: value.to_vec() }, seal))
    }

    /// Its entries from `from` on, below `limit` where there is one, at most `most` of them.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn list(&self, from: &[u8], limit: Option<&[u8]>, most: usize) -> Result<Vec<(Vec<u8>, Versioned)>> {
        let mut list = Vec::new();
        self.each(from, &mut |key, found| {
            let is_wanted = list.len() < most && limit.is_none_or(|limit| key < limit);
            if is_wanted {
                list.push((key.to_vec(), found));
            }
            is_wanted
        })?;
        Ok(list)
    }

    /// Everything, as a file that the node itself reads.
    ///
    /// # Errors
    /// Exit code 74.
    pub fn export(&self) -> Result<StoreExport> {
        Ok(StoreExport { version: self.version, entries: self.list(&[], None, usize::MAX)? })
    }
}

/// The store that a run was given, if any.
#[derive(Default)]
pub struct RunStore {
    /// The database, to commit to.
    pub database: Option<Database>,
    view: Option<DatabaseView>,
}

impl RunStore {
    /// Opens the store at `path`, waiting so many seconds for another process, if there is a path; where the run begins from the
    /// start, the job is told its version. On resume the snapshot says at which version the run began.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn of(path: Option<&Path>, wait: Option<u64>, job: &mut JobSpec) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let wait = wait.map_or(WAIT, Duration::from_secs);
        let database = Database::open_within(path, true, wait)?;
        let view = database.view()?;
        if job.resume.is_none() {
            job.store_version = Some(view.version());
        }
        Ok(Self { database: Some(database), view: Some(view) })
    }
}

impl Responder for RunStore {
    fn answer(&mut self, question: &ExternalCall, node: &mut dyn ModuleSession) -> Result<ExternalReply> {
        match &mut self.view {
            Some(view) => view.answer(question, node),
            None => Nobody.answer(question, node),
        }
    }
}

impl Responder for DatabaseView {
    fn answer(&mut self, question: &ExternalCall, _: &mut dyn ModuleSession) -> Result<ExternalReply> {
        match question {
            ExternalCall::Get { key } => self.get(key).map(ExternalReply::Value),
            ExternalCall::Next { from, limit } => {
                let found = self.list(from, limit.as_deref(), 1)?;
                Ok(ExternalReply::Entry(found.into_iter().next()))
            }
            ExternalCall::Call { .. } => {
                Err(Failure::usage(format!("the program uses {}, which no store answers", asked(question))))
            }
        }
    }
}
