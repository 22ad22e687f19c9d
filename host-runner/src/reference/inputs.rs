//! The program's input files for the reference: copied under their guest names into a temporary folder, which is opened
//! read-only as `/`, where the node shows them too.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::failure::{Failure, IO, Result};

/// The folder; it goes when this is dropped.
pub(super) struct InputTree(TempDir);

impl InputTree {
    /// Copies `files` (guest path, host file); none when there are no files, because then nothing is open to the program.
    pub(super) fn create(files: &[(String, PathBuf)]) -> Result<Option<Self>> {
        if files.is_empty() {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("host-runner-").tempdir();
        let folder = folder.map_err(|error| Failure::new(IO, "no temporary folder").caused_by(error))?;
        for (guest, host) in files {
            let relative = guest.trim_start_matches('/');
            if relative.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return Err(Failure::usage(format!("--file {guest}: expected a path without empty, . and .. parts")));
            }
            let place = folder.path().join(relative);
            let copied = place.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::copy(host, &place));
            copied.map_err(|error| Failure::io(host, &error))?;
        }
        Ok(Some(Self(folder)))
    }

    /// Where the folder is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_under_their_guest_names_and_go_with_the_tree() {
        let source = tempfile::tempdir().expect("a temporary folder");
        let host = source.path().join("host.txt");
        fs::write(&host, "text").expect("a file");
        let tree = InputTree::create(&[("/data/deep/x".into(), host)]).expect("copies").expect("a tree");
        let place = tree.path().join("data/deep/x");
        assert_eq!(fs::read(&place).expect("readable"), b"text");
        drop(tree);
        assert!(!place.exists());
    }

    #[test]
    fn guest_paths_that_leave_the_tree_are_refused() {
        for guest in ["../x", "/a/../../x", "a//b", ""] {
            assert!(InputTree::create(&[(guest.into(), PathBuf::from("x"))]).is_err(), "{guest:?}");
        }
        assert!(InputTree::create(&[]).expect("nothing").is_none());
    }
}
