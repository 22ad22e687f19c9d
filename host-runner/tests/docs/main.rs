//! The pages as their readers meet them: command lines are run, links are followed.
// Tests make what strangers would have made, and look at what came of it.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]
// Readers have the usual commands of Linux beside ours: cmp, sed, timeout.
#![cfg(target_os = "linux")]

mod command_lines;
mod links;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Returns the folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in the workspace").to_owned()
}

/// Returns the names of all pages, from the root: those at the top, and those in docs.
fn pages() -> Vec<String> {
    let mut names: Vec<String> = ["", "docs/"]
        .into_iter()
        .flat_map(|folder| {
            let entries = fs::read_dir(root().join(folder)).expect("a folder");
            entries.map(move |entry| format!("{folder}{}", entry.expect("an entry").file_name().display()))
        })
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.sort();
    names
}

fn text(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// A fenced block of a page.
struct Fenced {
    /// What stands behind the fence: a language, and more after commas.
    info: String,
    /// The lines between the fences, counted from 0.
    lines: Range<usize>,
}

/// Returns the fenced blocks of a page in their order.
fn fenced(text: &str) -> Vec<Fenced> {
    let mut fences = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("```"));
    let mut found = Vec::new();
    while let Some((first, info)) = fences.next() {
        let (last, _) = fences.next().unwrap_or_else(|| panic!("the block of line {} has no end", first + 1));
        found.push(Fenced { info: info.trim_start_matches([' ', '`']).to_owned(), lines: first + 1..last });
    }
    found
}
