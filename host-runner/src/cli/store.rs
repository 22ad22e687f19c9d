//! `store`: look at a key-value store, change it by hand, export it for nodes without a database, commit a run's writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use stepmark_hosts::store::ReadWriteSet;

use crate::cli::print;
use stepmark_runner::chain::durable;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::store::{Database, WAIT, is_store, read_set};
use stepmark_runner::terminal;

/// Arguments of `store`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// Wait so long for a store that another process has open; 0 fails at once
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = WAIT.as_secs())]
    wait: u64,
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
    /// Write all of it into a file that the module reads by itself (--store)
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
    let open = |store: &Path, create| Database::open_within(store, create, Duration::from_secs(args.wait));
    match &args.action {
        Action::Get { store, key } => get(&open(store, false)?, key),
        Action::Put { store, key, value } => change(&open(store, true)?, key, Some(bytes(value)?)),
        Action::Delete { store, key } => change(&open(store, false)?, key, None),
        Action::List { store } => list(&open(store, false)?),
        Action::Export { store, file } => export(&open(store, false)?, file),
        Action::Commit { store, rwset } => {
            let set = read_set(rwset)?;
            commit(&open(store, false)?, &set)
        }
    }
}

/// Text as it is, or bytes in hexadecimal after `0x`.
fn bytes(text: &str) -> Result<Vec<u8>> {
    guest_interp::args::data(text).map_err(|error| Failure::usage(error.message()))
}

fn get(store: &Database, key: &str) -> Result<i32> {
    match store.view()?.get(&bytes(key)?)? {
        None => Ok(1),
        Some(found) => terminal::pass_on(true, &found.value).map(|()| 0),
    }
}

fn change(store: &Database, key: &str, value: Option<Vec<u8>>) -> Result<i32> {
    let version = store.put(&[(bytes(key)?, value)])?;
    print(&format!("version {version}")).map(|()| 0)
}

fn list(store: &Database) -> Result<i32> {
    let view = store.view()?;
    for (key, found) in view.list(&[], None, usize::MAX)? {
        let (key, value) = (ReadWriteSet::shown(&key), ReadWriteSet::shown(&found.value));
        print(&format!("{key} version {} {value}", found.version))?;
    }
    print(&format!("version {}", view.version())).map(|()| 0)
}

fn export(store: &Database, file: &Path) -> Result<i32> {
    if is_store(file) {
        let what = format!("{} is a store, and the export would replace it", file.display());
        return Err(Failure::usage(what).help("choose another name"));
    }
    let export = store.view()?.export()?;
    durable::replace(file, &export.encode())?;
    let count = export.entries.len();
    print(&format!("{count} entries at version {} in {}", export.version, file.display())).map(|()| 0)
}

fn commit(store: &Database, set: &ReadWriteSet) -> Result<i32> {
    let version = store.commit(set)?;
    print(&format!("{} writes, version {version}", set.writes.len())).map(|()| 0)
}
