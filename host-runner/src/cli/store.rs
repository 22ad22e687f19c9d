//! `store`: look at a key-value store, change it by hand, export it for nodes without a database, commit a run's writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use stepmark_hosts::store::ReadWriteSet;

use crate::cli::print;
use crate::cli::reply::Reply;
use crate::units;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::named_output::{OutputKind, write_output};
use stepmark_runner::store::{Database, WAIT, is_store, read_set};
use stepmark_runner::terminal;

/// Arguments of `store`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// Wait so long for a store that another process has open; 0 fails at once
    #[arg(long, global = true, value_name = "SECONDS", value_parser = units::seconds, default_value_t = WAIT.as_secs())]
    wait: u64,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
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

pub(super) fn execute(args: &StoreArgs) -> Result<Reply> {
    let open = |store: &Path, create| Database::open_within(store, create, Duration::from_secs(args.wait));
    let object = match &args.action {
        Action::Get { store, key } => return get(&open(store, false)?, key, args.json),
        Action::List { store } => return list(&open(store, false)?, args.json),
        Action::Put { store, key, value } => change(&open(store, true)?, key, Some(bytes(value)?))?,
        Action::Delete { store, key } => change(&open(store, false)?, key, None)?,
        Action::Export { store, file } => export(&open(store, false)?, file)?,
        Action::Commit { store, rwset } => {
            let set = read_set(rwset)?;
            let version = open(store, false)?.commit(&set)?;
            json!({ "version": version, "writes": set.writes.len() })
        }
    };
    if args.json {
        return Ok(Reply::object(0, object));
    }
    print(&in_words(&args.action, &object)).map(|()| 0.into())
}

fn get(store: &Database, key: &str, json: bool) -> Result<Reply> {
    let found = store.view()?.get(&bytes(key)?)?;
    let code = i32::from(found.is_none());
    if json {
        let (version, value) = found.map(|found| (found.version, ReadWriteSet::shown(&found.value))).unzip();
        return Ok(Reply::object(code, json!({ "version": version, "value": value })));
    }
    found.map_or(Ok(()), |found| terminal::pass_on(true, &found.value)).map(|()| code.into())
}

fn list(store: &Database, json: bool) -> Result<Reply> {
    let view = store.view()?;
    let entries = view.list(&[], None, usize::MAX)?.into_iter();
    let entries =
        entries.map(|(key, found)| (ReadWriteSet::shown(&key), found.version, ReadWriteSet::shown(&found.value)));
    if json {
        let entry = |(key, version, value)| json!({ "key": key, "version": version, "value": value });
        let entries: Vec<Value> = entries.map(entry).collect();
        return Ok(Reply::object(0, json!({ "version": view.version(), "entries": entries })));
    }
    for (key, version, value) in entries {
        print(&format!("{key} version {version} {value}"))?;
    }
    print(&format!("version {}", view.version())).map(|()| 0.into())
}

/// What a change, an export or a commit came to, as a line.
fn in_words(action: &Action, object: &Value) -> String {
    let version = &object["version"];
    match action {
        Action::Export { file, .. } => {
            format!("{} entries at version {version} in {}", object["entries"], file.display())
        }
        Action::Commit { .. } => format!("{} writes, version {version}", object["writes"]),
        _ => format!("version {version}"),
    }
}

/// Text as it is, or bytes in hexadecimal after `0x`.
fn bytes(text: &str) -> Result<Vec<u8>> {
    guest_interp::args::data(text).map_err(|error| Failure::usage(error.message()))
}

fn change(store: &Database, key: &str, value: Option<Vec<u8>>) -> Result<Value> {
    let version = store.put(&[(bytes(key)?, value)])?;
    Ok(json!({ "version": version }))
}

fn export(store: &Database, file: &Path) -> Result<Value> {
    if is_store(file) {
        let what = format!("{} is a store, and the export would replace it", file.display());
        return Err(Failure::usage(what).help("choose another name"));
    }
    let export = store.view()?.export()?;
    let bytes = export.encode();
    let magic = bytes.first_chunk().copied().unwrap_or_default();
    write_output(file, OutputKind::Magic(magic), &bytes)?;
    Ok(json!({ "file": file.display().to_string(), "version": export.version, "entries": export.entries.len() }))
}
