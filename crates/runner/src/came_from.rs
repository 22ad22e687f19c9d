//! In which folders the files of a run lay: what its receipt says of that, for whoever looks for them later.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::foreign::{self, ForeignKind};
use crate::strict;

/// Most folders that a receipt names, and bytes of their paths.
const MOST_NAMED: usize = 8;
const LONGEST_PATH: usize = 4096;

/// The folders in which a job's files lie, as the receipt of a run into `dir` says them: seen from there, so that they are found again
/// after all of it was moved together.
pub(crate) fn folders(files: &[PathBuf], dir: &Path) -> Vec<String> {
    let Ok(dir) = dir.canonicalize() else { return Vec::new() };
    let folder = |file: &PathBuf| file.canonicalize().ok()?.parent().map(Path::to_path_buf);
    let seen: BTreeSet<PathBuf> = files.iter().filter_map(folder).collect();
    // There it is looked for anyway.
    let seen = seen.into_iter().filter(|folder| dir != *folder && dir.parent() != Some(folder));
    seen.filter_map(|folder| seen_from(&dir, &folder)?.into_os_string().into_string().ok()).take(MOST_NAMED).collect()
}

/// The way from one absolute path to another; `None` on another drive.
fn seen_from(dir: &Path, to: &Path) -> Option<PathBuf> {
    let common = dir.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", dir.components().count() - common);
    (common > 0)
        .then(|| up.map(PathBuf::from).chain(to.components().skip(common).map(|it| it.as_os_str().into())).collect())
}

/// The folders that the receipt in `dir` names. It is a stranger's: only files of a name and a hash are looked for there, and none is reached
/// through a link.
pub(crate) fn read(dir: &Path) -> Vec<PathBuf> {
    let receipt = foreign::read_within(dir, "receipt.json", ForeignKind::Text).ok();
    let receipt = receipt.and_then(|text| strict::parse(&text).ok()).unwrap_or_default();
    let named = receipt["runner"]["folders"].as_array().into_iter().flatten().take(MOST_NAMED);
    let is_seen_from_here =
        |path: &&str| Path::new(path).is_relative() && path.len() <= LONGEST_PATH && !has_link(dir, Path::new(path));
    named.filter_map(Value::as_str).filter(is_seen_from_here).map(|path| dir.join(path)).collect()
}

/// Whether a link is on the way from `dir` to a folder.
fn has_link(dir: &Path, folder: &Path) -> bool {
    let places = folder.components().scan(dir.to_path_buf(), |place, part| {
        place.push(part);
        Some(place.clone())
    });
    places.into_iter().any(|place| place.symlink_metadata().is_ok_and(|found| found.is_symlink()))
}
