//! What a test asks of a changed snapshot: how loading it ends.

use stepmark_snapshot::bin::{BinHeader, BinWriter};
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_state::pages::PAGE;

use super::{Subject, forge, roots};
use crate::session::{Files, OUT, load, with};

/// What loading these files ends with: the error, or nothing.
pub fn loaded(subject: &Subject, files: &Files) -> String {
    let result = load(&with(subject.job.inputs.clone(), files), &subject.resume_argv());
    result.err().map_or_else(|| "loaded".to_owned(), |e| e.message().to_owned())
}

/// What loading the subject with this `.snap` ends with.
pub fn with_snap(subject: &Subject, snap: Vec<u8>) -> String {
    let mut files = subject.files.clone();
    files.insert(subject.snap_path(), snap);
    loaded(subject, &files)
}

/// What loading the subject with this change ends with.
pub fn changed(subject: &Subject, change: impl FnOnce(&mut RawSnapshot)) -> String {
    let mut raw = subject.raw.clone();
    change(&mut raw);
    with_snap(subject, forge(&raw))
}

/// What loading the subject ends with if its `.bin` holds only the first page of this space, which begins with these
/// elements of eight bytes; all hashes are right.
///
/// # Panics
/// If the subject is the first of its chain, or needs host functions.
pub fn with_elements(subject: &Subject, kind: u8, index: u32, elements: &[u64]) -> String {
    let id = subject.raw.segment.id;
    let previous = *subject.files[&format!("{OUT}/{}.bin", id - 1)].last_chunk::<32>().expect("a hash");
    let header = BinHeader { base: false, paused: false, id, job_hash: subject.raw.job.job_hash(), previous };
    let mut page = [0; PAGE];
    for (place, element) in page.chunks_exact_mut(8).zip(elements) {
        place.copy_from_slice(&element.to_le_bytes());
    }
    let mut files = subject.files.clone();
    let mut bytes = Vec::new();
    let mut writer = BinWriter::new(&header, &mut bytes);
    writer.space(kind, index, 1, &mut bytes);
    writer.page(0, &page, &mut bytes);
    let mut raw = subject.raw.clone();
    raw.segment.bin = writer.finish(&mut bytes);
    files.insert(subject.bin_path(), bytes);
    raw.state.spaces = roots(subject, &files).expect("a subject that stands alone");
    files.insert(subject.snap_path(), forge(&raw));
    loaded(subject, &files)
}

/// Compares all at once, so that a change of wording shows whole.
///
/// # Panics
/// If any is not what was expected.
pub fn assert_all(found: Vec<(&str, String)>) {
    let wrong: Vec<_> = found.iter().filter(|(expected, found)| found != expected).collect();
    assert!(wrong.is_empty(), "(expected, found): {wrong:#?}");
}
