//! Folders among the system's temporary files, for what a command needs while it runs. They go with it, also when a signal ends it;
//! what a command that was killed left there, a later one removes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::archive;
use crate::chain::disk::{Disk, SystemDirectory};
use crate::failure::{Failure, Result};

/// Begins the name of each.
const PREFIX: &str = "stepmark-scratch-";

/// Nobody is about to lock one that is so old.
const OLD: Duration = Duration::from_secs(3600);

/// Those that there are.
static THERE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Such a folder. It is locked as long as it is used, and goes when this is dropped.
#[derive(Debug)]
pub(crate) struct ScratchFolder {
    folder: tempfile::TempDir,
    _lock: SystemDirectory,
}

impl ScratchFolder {
    /// A new one, in the place of those that nobody uses any more.
    ///
    /// # Errors
    /// Exit code 74 when the system refuses it.
    pub(crate) fn create() -> Result<Self> {
        let place = std::env::temp_dir();
        let failed = |error: std::io::Error| Failure::io(&place, &error);
        remove_old(&place, OLD);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&place).map_err(failed)?;
        let lock = SystemDirectory::open(folder.path()).map_err(failed)?;
        // Where directories cannot be locked, age alone tells.
        drop(lock.lock());
        THERE.lock().unwrap_or_else(PoisonError::into_inner).push(folder.path().to_path_buf());
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        THERE.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| path != self.folder.path());
    }
}

/// Removes all of this process, which is about to end without dropping anything.
pub fn remove_all() {
    for path in THERE.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // Somebody may be writing there still: what cannot be removed now, a later command removes.
        drop(fs::remove_dir_all(path));
    }
}

/// Removes those in `place` that a killed command has left so long ago.
fn remove_old(place: &Path, age: Duration) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let found = entry.metadata().ok().filter(fs::Metadata::is_dir);
        let changed = found.and_then(|found| found.modified().ok());
        let is_old = changed.is_some_and(|then| SystemTime::now().duration_since(then).is_ok_and(|since| since >= age));
        let path = entry.path();
        let is_free = || SystemDirectory::open(&path).is_ok_and(|directory| directory.lock().is_ok());
        if is_old && archive::holds_only_ours(&path).unwrap_or(false) && is_free() {
            drop(fs::remove_dir_all(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_command_left_goes_and_what_is_used_or_somebody_elses_stays() {
        let place = tempfile::tempdir().expect("a directory");
        let folder = |name: &str, file: &str| {
            let path = place.path().join(name);
            fs::create_dir_all(&path).expect("created");
            fs::write(path.join(file), "").expect("written");
            path
        };
        let [left, other, named] = [
            folder("stepmark-scratch-left", "1.snap"),
            folder("stepmark-scratch-other", "thesis.txt"),
            folder("else", "1.snap"),
        ];
        #[cfg(unix)]
        std::os::unix::fs::symlink(named.join("1.snap"), folder("stepmark-scratch-link", "2.snap").join("1.snap"))
            .expect("a link");
        let used = folder("stepmark-scratch-used", "1.snap");
        let lock = SystemDirectory::open(&used).expect("opened");
        assert!(lock.lock().is_ok());
        remove_old(place.path(), OLD);
        assert!(left.exists(), "its command may be about to lock it");
        remove_old(place.path(), Duration::ZERO);
        assert_eq!([&left, &other, &named, &used].map(|path| path.exists()), [false, true, true, true]);
        assert!(
            cfg!(not(unix)) || place.path().join("stepmark-scratch-link/1.snap").is_symlink(),
            "no command makes links"
        );
    }
}
