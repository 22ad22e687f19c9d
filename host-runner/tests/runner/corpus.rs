//! Chains that earlier releases have written (tests/corpus): evidence stays evidence.

use std::fs;
use std::path::{Path, PathBuf};

use crate::util::{Dir, text};

/// Folders in a folder, sorted.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Copies the files of a folder, and of those in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

#[test]
fn chains_of_every_release_are_verified_byte_for_byte() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    let releases = folders(&corpus);
    assert!(!releases.is_empty(), "no release in {}", corpus.display());
    for release in releases {
        let dir = Dir::new();
        copy(&release, &dir.path(""));
        let chains = folders(&release);
        assert_eq!(chains.len(), 10, "{}", release.display());
        for chain in chains {
            let name = chain.file_name().expect("a name").to_str().expect("UTF-8");
            let line = dir.text(&format!("{name}/verify.txt"));
            let mut command = dir.command(&line);
            let ran = command.current_dir(dir.path(name)).output().expect("the command starts");
            let (said, complaint) = (text(&ran.stdout), text(&ran.stderr));
            let verdict = said.lines().last().unwrap_or_default();
            let expected = if verdict.starts_with("INCOMPLETE") { 75 } else { 0 };
            let is_right = verdict.starts_with("VALID") || verdict.starts_with("INCOMPLETE");
            assert!(is_right && ran.status.code() == Some(expected), "{name}: {said}{complaint}");
        }
    }
}
