//! The files of a folder, as data: regular files below it, and no way to leave it. No link is followed.

use std::fs;
use std::io::{Read, Take};
use std::path::Path;

use stepmark_runner::foreign::{Foreign, ForeignKind};

/// Files that are listed at most.
const MOST_FILES: usize = 1 << 20;
/// Folders within each other that are looked into.
const DEEPEST: usize = 32;

/// A file that is handed out.
pub(super) struct ServedFile(Foreign);

impl ServedFile {
    /// Its length when it was opened.
    pub(super) fn length(&self) -> u64 {
        self.0.length()
    }

    /// As many of its bytes.
    pub(super) fn take_announced(self) -> Take<impl Read> {
        let length = self.length();
        self.0.take(length)
    }
}

/// The regular file of this name below a folder, if there is one that may be read.
pub(super) fn open(folder: &Path, name: &str) -> Option<ServedFile> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0', ':']);
    if !name.split('/').all(is_plain) {
        return None;
    }
    Foreign::find_within(folder, name, ForeignKind::Delivered).ok().flatten().map(ServedFile)
}

/// The names of all regular files below a folder, as a JSON list.
pub(super) fn list(folder: &Path) -> String {
    let mut names = Vec::new();
    collect(folder, "", DEEPEST, &mut names);
    names.sort();
    serde_json::Value::from(names).to_string()
}

/// Adds the names below a folder, whose own name ends with a slash or is empty. What cannot be looked into has none.
fn collect(folder: &Path, within: &str, deepest: usize, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
        let name = format!("{within}{name}");
        if names.len() >= MOST_FILES {
            return;
        }
        if kind.is_file() {
            names.push(name);
        } else if kind.is_dir() && deepest > 0 {
            collect(&entry.path(), &format!("{name}/"), deepest.saturating_sub(1), names);
        }
    }
}
