//! The files that a program leaves behind, handed out once it has ended normally: their paths and contents for whoever puts
//! them somewhere, their hashes for the receipt.

use std::collections::BTreeMap;

use super::files::CHUNK;
use super::{Running, Session};
use crate::report::{FileReport, MAX_FILES, RunOutcome};
use stepmark_hosts::wasi::{LeftFile, LeftFiles, Wasi};

/// How far the files have been handed out.
#[derive(Clone)]
pub(super) struct Delivering {
    walk: LeftFiles,
    /// The file under way, and how much of it was taken.
    file: Option<(LeftFile, u64)>,
    /// Position of the first name of each file among all names, and how many have been given.
    first: BTreeMap<u32, u32>,
    names: u32,
}

impl Session {
    /// Path, without a leading slash, of the next file that the program leaves behind; `None` when there are no more, and
    /// when the program has not ended or not ended normally. Names are the program's own: whoever makes files of them
    /// must see to it that they stay where they should. One that is longer than any path can be stands for a file, or a
    /// directory of files, that cannot be delivered.
    pub fn deliver_name(&mut self) -> Option<String> {
        let running = self.running.as_deref_mut().filter(|running| running.has_ended_normally())?;
        let wasi = &running.wasi;
        let start = || Delivering { walk: wasi.left_files(), file: None, first: BTreeMap::new(), names: 0 };
        let delivering = running.delivery.get_or_insert_with(start);
        delivering.file = wasi.next_left(&mut delivering.walk).map(|file| (file, 0));
        let (file, _) = delivering.file.as_ref()?;
        delivering.first.entry(file.node).or_insert(delivering.names);
        delivering.names += 1;
        Some(file.path.clone())
    }

    /// Position, among the names that [`deliver_name`](Self::deliver_name) gave, of an earlier one of the same file; `None` if
    /// the present name is its first. A program pays once for what a file holds, however many names it gives it: so its
    /// contents need be taken and written only once.
    pub fn deliver_link(&self) -> Option<u32> {
        let delivering = self.running.as_deref()?.delivery.as_ref()?;
        let (file, _) = delivering.file.as_ref()?;
        delivering.first.get(&file.node).copied().filter(|first| first + 1 < delivering.names)
    }

    /// Replaces `out` by the next bytes of the file that [`deliver_name`](Self::deliver_name) named; `false`, with nothing, at its end.
    pub fn deliver_chunk(&mut self, out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(running) = self.running.as_deref_mut() else { return false };
        let Some((file, at)) = running.delivery.as_mut().and_then(|d| d.file.as_mut()) else { return false };
        while out.len() < CHUNK {
            let bytes = running.wasi.left_bytes(file, *at, (CHUNK - out.len()) as u64);
            if bytes.is_empty() {
                break;
            }
            out.extend_from_slice(bytes);
            *at += bytes.len() as u64;
        }
        !out.is_empty()
    }
}

impl Running {
    fn has_ended_normally(&self) -> bool {
        matches!(self.outcome, Some(RunOutcome::Finished | RunOutcome::Exited(_)))
    }

    /// Hashes on what the program leaves behind, about so many bytes of it; whether nothing is left to be hashed.
    pub(super) fn hash_left_files(&mut self, most: u64) -> bool {
        if !self.has_ended_normally() {
            return true;
        }
        let wasi = &self.wasi;
        self.left.get_or_insert_with(|| LeftReport::new(wasi.left_files())).hash_on(wasi, most)
    }
}

/// What the receipt says of the files that a program leaves behind, as far as they are hashed: the first [`MAX_FILES`] of those
/// that a path can name, and how many there are beside them. A file is hashed once, however many names it has.
#[derive(Clone)]
pub(super) struct LeftReport {
    walk: LeftFiles,
    under_way: Option<(LeftFile, blake3::Hasher)>,
    /// By number of the file.
    hashes: BTreeMap<u32, [u8; 32]>,
    pub(super) files: Vec<FileReport>,
    pub(super) omitted: u64,
}

impl LeftReport {
    fn new(walk: LeftFiles) -> Self {
        Self { walk, under_way: None, hashes: BTreeMap::new(), files: Vec::new(), omitted: 0 }
    }

    fn hash_on(&mut self, wasi: &Wasi, most: u64) -> bool {
        let mut hashed = 0;
        loop {
            let Some((file, mut hasher)) = self.under_way.take().or_else(|| self.next(wasi)) else { return true };
            while hasher.count() < file.length {
                if hashed >= most {
                    self.under_way = Some((file, hasher));
                    return false;
                }
                let bytes = wasi.left_bytes(&file, hasher.count(), CHUNK as u64);
                hasher.update(bytes);
                hashed += bytes.len() as u64;
            }
            let hash = *hasher.finalize().as_bytes();
            self.hashes.insert(file.node, hash);
            self.files.push(FileReport { path: file.path, bytes: file.length, hash });
        }
    }

    /// The next file that is to be hashed. Other names of one that is hashed already are entered on the way to it.
    fn next(&mut self, wasi: &Wasi) -> Option<(LeftFile, blake3::Hasher)> {
        loop {
            let file = wasi.next_left(&mut self.walk)?;
            if file.is_beyond_paths() {
                continue;
            }
            if self.files.len() == MAX_FILES {
                self.omitted += 1;
                continue;
            }
            match self.hashes.get(&file.node) {
                Some(hash) => self.files.push(FileReport { path: file.path, bytes: file.length, hash: *hash }),
                None => return Some((file, blake3::Hasher::new())),
            }
        }
    }
}
