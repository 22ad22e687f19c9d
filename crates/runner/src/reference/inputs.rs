//! The program's files for the reference: inputs are copied under their guest names into a temporary folder, where the
//! program may write as it may in the node's own file system. The folder goes after the run; the inputs stay as they are.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::failure::{Failure, IO, Result};
use crate::foreign::{Foreign, ForeignKind};

/// The folder; it goes when this is dropped.
pub(super) struct InputTree(TempDir);

impl InputTree {
    /// Copies `files` (guest path, host file) and makes the directories `preopens`.
    pub(super) fn create(files: &[(String, PathBuf)], preopens: &[String]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("stepmark-").tempdir();
        let tree = Self(folder.map_err(|error| Failure::new(IO, "no temporary folder").caused_by(error))?);
        for (guest, host) in files {
            let place = tree.place(guest);
            if place == tree.0.path() || has_bad_part(guest) {
                return Err(Failure::usage(format!("--file {guest}: expected a path without empty, . and .. parts")));
            }
            let mut file = Foreign::named(host, ForeignKind::Input)?;
            let made = place.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::File::create(&place));
            let copied = made.and_then(|mut made| std::io::copy(&mut file, &mut made));
            copied.map_err(|error| Failure::io(host, &error))?;
        }
        for name in preopens {
            if has_bad_part(name.trim_end_matches('/')) && tree.place(name) != tree.0.path() {
                return Err(Failure::usage(format!("--preopen {name}: expected a path without empty, . and .. parts")));
            }
            let place = tree.place(name);
            fs::create_dir_all(&place).map_err(|error| Failure::io(&place, &error))?;
        }
        Ok(tree)
    }

    /// Where a guest path is in the folder; `/` and `.` are the folder itself.
    pub(super) fn place(&self, guest: &str) -> PathBuf {
        match guest.trim_matches('/') {
            "" | "." => self.0.path().to_owned(),
            relative => self.0.path().join(relative),
        }
    }
}

fn has_bad_part(guest: &str) -> bool {
    guest.strip_prefix('/').unwrap_or(guest).split('/').any(|part| matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_under_their_guest_names_and_go_with_the_tree() {
        let source = tempfile::tempdir().expect("a temporary folder");
        let host = source.path().join("host.txt");
        fs::write(&host, "text").expect("a file");
        let tree = InputTree::create(&[("/data/deep/x".into(), host)], &["/".into(), "tmp/".into()]).expect("copies");
        let place = tree.place("/data/deep/x");
        assert!(tree.place("tmp/").is_dir() && tree.place("/").is_dir());
        assert_eq!(fs::read(&place).expect("readable"), b"text");
        drop(tree);
        assert!(!place.exists());
    }

    #[test]
    fn guest_paths_that_leave_the_tree_are_refused() {
        for guest in ["../x", "/a/../../x", "a//b", ""] {
            assert!(InputTree::create(&[(guest.into(), PathBuf::from("x"))], &[]).is_err(), "{guest:?}");
        }
        for preopen in ["../x", "a/../../x", "a//b"] {
            assert!(InputTree::create(&[], &[preopen.into()]).is_err(), "{preopen:?}");
        }
    }
}
