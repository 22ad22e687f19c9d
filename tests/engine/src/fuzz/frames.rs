//! Bytes as a state alone, behind a byte that says of which run: job, segment and all hashes are those of the run, so that
//! every change reaches the check of the state.

use stepmark_snapshot::snap::RawSnapshot;

use crate::mutate::{forge, judge, small_subjects};

pub(super) fn frames(data: &[u8]) {
    let Some((which, state)) = data.split_first() else { return };
    let Ok((state, _)) = postcard::take_from_bytes(state) else { return };
    let subjects = small_subjects();
    let honest = &subjects[usize::from(*which) % subjects.len()].raw;
    held_to_its_word(*which, forge(&RawSnapshot { state, ..honest.clone() }));
}

/// Loads a `.snap` in the place of a run's: see [`judge`].
pub(super) fn held_to_its_word(which: u8, snap: Vec<u8>) {
    let subjects = small_subjects();
    let subject = &subjects[usize::from(which) % subjects.len()];
    let mut files = subject.files.clone();
    files.insert(subject.snap_path(), snap);
    judge(subject, &files).unwrap_or_else(|error| panic!("{}: {error:#}", subject.name));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let state = |raw: &RawSnapshot| postcard::to_allocvec(&raw.state).expect("a state has a form");
    let subjects = small_subjects().iter().zip(0_u8..);
    subjects.map(|(subject, which)| [vec![which], state(&subject.raw)].concat()).collect()
}
