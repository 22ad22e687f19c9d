//! `store`: look at a key-value store, change it by hand, export it for nodes without a database, commit a run's writes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use guest_interp::host::store::ReadWriteSet;

use crate::cli::print;
use crate::failure::{Failure, IO, Result};
use crate::store::{Database, read_set};

/// Arguments of `store`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StoreArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Print the value of a key, exactly; nothing and exit code 1 where there is none
    Get {
        /// The store's file
        store: PathBuf,
        /// The key: text, or bytes in hexadecimal after 0x
        key: String,
    },
    /// Set a key; the store is made if it is absent
    Put {
        /// The store's file
        store: PathBuf,
        /// The key: text, or bytes in hexadecimal after 0x
        key: String,
        /// The value: text, or bytes in hexadecimal after 0x
        value: String,
    },
    /// Remove a key
    Delete {
        /// The store's file
        store: PathBuf,
        /// The key: text, or bytes in hexadecimal after 0x
        key: String,
    },
    /// Print every key with its version and value, and the version of the store
    List {
        /// The store's file
        store: PathBuf,
    },
    /// Write all of it into a file that the node reads by itself (--store)
    Export {
        /// The store's file
        store: PathBuf,
        /// The file to be written
        file: PathBuf,
    },
    /// Check what a run has read (its rwset.bin) and write what it wrote, in one transaction
    Commit {
        /// The store's file
        store: PathBuf,
        /// rwset.bin of the run
        rwset: PathBuf,
    },
}

pub(super) fn execute(args: &StoreArgs) -> Result<i32> {
    match &args.action {
        Action::Get { store, key } => get(store, key),
        Action::Put { store, key, value } => change(&Database::open(store, true)?, key, Some(bytes(value)?)),
        Action::Delete { store, key } => change(&Database::open(store, false)?, key, None),
        Action::List { store } => list(store),
        Action::Export { store, file } => export(store, file),
        Action::Commit { store, rwset } => commit(store, rwset),
    }
}

/// Text as it is, or bytes in hexadecimal after `0x`.
fn bytes(text: &str) -> Result<Vec<u8>> {
    guest_interp::args::data(text).map_err(|error| Failure::usage(error.message()))
}

fn get(store: &Path, key: &str) -> Result<i32> {
    match Database::open(store, false)?.view()?.get(&bytes(key)?)? {
        None => Ok(1),
        Some(found) => {
            let mut stdout = std::io::stdout().lock();
            let written = stdout.write_all(&found.value).and_then(|()| stdout.flush());
            written.map(|()| 0).map_err(|error| Failure::new(IO, format!("standard output: {error}")))
        }
    }
}

fn change(store: &Database, key: &str, value: Option<Vec<u8>>) -> Result<i32> {
    let version = store.put(&[(bytes(key)?, value)])?;
    print(&format!("version {version}")).map(|()| 0)
}

fn list(store: &Path) -> Result<i32> {
    let view = Database::open(store, false)?.view()?;
    for (key, found) in view.list(&[], None, usize::MAX)? {
        let (key, value) = (ReadWriteSet::shown(&key), ReadWriteSet::shown(&found.value));
        print(&format!("{key} version {} {value}", found.version))?;
    }
    print(&format!("version {}", view.version())).map(|()| 0)
}

fn export(store: &Path, file: &Path) -> Result<i32> {
    let export = Database::open(store, false)?.view()?.export()?;
    fs::write(file, export.encode()).map_err(|error| Failure::io(file, &error))?;
    let count = export.entries.len();
    print(&format!("{count} entries at version {} in {}", export.version, file.display())).map(|()| 0)
}

fn commit(store: &Path, rwset: &Path) -> Result<i32> {
    let set = read_set(rwset)?;
    let version = Database::open(store, false)?.commit(&set)?;
    print(&format!("{} writes, version {version}", set.writes.len())).map(|()| 0)
}
