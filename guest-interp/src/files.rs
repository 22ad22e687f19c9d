//! Files of the command face, and the only place of the node that opens any. Reading is bounded and in chunks; writing
//! replaces a file at once or not at all; and an output directory is made ready without ever touching what is not ours.
//!
//! What cannot be done portably inside WASI is left to the host runner: syncing directories and locking them.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use stepmark_snapshot::{FileKind, PREFIX_LEN, Prefix};
use stepmark_state::error::JobError;

/// Bytes that are read or written at a time.
pub const CHUNK: usize = 64 << 10;

/// Files that describe the end of a run.
const RESULTS: [&str; 4] = ["result.txt", "receipt.json", "rwset.json", "rwset.bin"];
/// Stems of snapshots outside the chain.
const ASIDE: [&str; 2] = ["paused", "final"];
/// Files of a snapshot, after its id.
const EXTENSIONS: [&str; 3] = [".snap", ".bin", ".calls"];
/// What stands for the first `.bin` files of a chain that was merged.
const BASE: &str = "base.bin";

/// Reads the regular file `path` and gives it to `each` in order, in chunks of at most [`CHUNK`] bytes. Returns its
/// length, or `None` when there is no such file.
///
/// # Errors
/// It is not a regular file, longer than `most` bytes, or cannot be read; or `each` failed.
pub fn read(
    path: &str,
    most: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<(), JobError>,
) -> Result<Option<u64>, JobError> {
    let failed = |error: &io::Error| JobError::io(format!("cannot read '{path}': {error}"));
    let Some(mut file) = open(Path::new(path))? else { return Ok(None) };
    let too_long = || JobError::io(format!("cannot read '{path}': longer than {most} bytes"));
    // Known before anything of it is read: a file may have no bottom.
    if length(&mut file).map_err(|error| failed(&error))? > most {
        return Err(too_long());
    }
    let mut buffer = vec![0; CHUNK];
    let mut total = 0u64;
    loop {
        let len = match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(total)),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(&error)),
        };
        total = total.saturating_add(len as u64);
        if total > most {
            return Err(too_long());
        }
        each(buffer.get(..len).unwrap_or_default())?;
    }
}

/// The length of a file that has just been opened. It is found by going to its end: what a host says of a file's size may lie at another
/// place than the one that preview 1 has for it (WAMR of 2020).
fn length(file: &mut File) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    Ok(length)
}

/// Opens a regular file; `None` when there is none. Anything else (a directory, a pipe) is refused, before opening it could
/// block and again once it is open.
fn open(path: &Path) -> Result<Option<File>, JobError> {
    let failed = |error: &io::Error| JobError::io(format!("cannot read '{}': {error}", path.display()));
    let irregular = || JobError::io(format!("cannot read '{}': not a regular file", path.display()));
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(irregular()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if metadata.is_file() { Ok(Some(file)) } else { Err(irregular()) }
}

/// A file that is being written under its temporary name.
#[derive(Debug)]
pub struct TemporaryFile {
    file: File,
    path: PathBuf,
}

impl TemporaryFile {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// The bytes cannot be written, all of them.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        self.file.write_all(bytes).map_err(|error| cannot_write(&self.path, &error))
    }
}

#[cold]
fn cannot_write(path: &Path, error: &io::Error) -> JobError {
    JobError::io(format!("cannot write '{}': {error}", path.display()))
}

/// Writes `dir/name` through `write`, so that a crash at any moment leaves the old file or the new one, whole: a temporary
/// file beside it, synced, then renamed over it. After an error the old file is still there and the temporary one is not.
///
/// # Errors
/// `name` is not a plain file name, the directory does not let us, or `write` failed.
pub fn replace(
    dir: &str,
    name: &str,
    write: impl FnOnce(&mut TemporaryFile) -> Result<(), JobError>,
) -> Result<(), JobError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(JobError::io(format!("cannot write {name:?}: not a plain file name")));
    }
    let path = Path::new(dir).join(name);
    let temporary = Path::new(dir).join(temporary_name(name));
    remove(&temporary)?;
    let result = write_new(&path, &temporary, write);
    if result.is_err() {
        // the error that came first is the one to report
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn temporary_name(name: &str) -> String {
    format!(".{name}.tmp")
}

fn write_new(
    path: &Path,
    temporary: &Path,
    write: impl FnOnce(&mut TemporaryFile) -> Result<(), JobError>,
) -> Result<(), JobError> {
    let failed = |error| cannot_write(path, &error);
    let file = OpenOptions::new().write(true).create_new(true).open(temporary).map_err(failed)?;
    let mut output = TemporaryFile { file, path: path.to_owned() };
    write(&mut output)?;
    output.file.sync_all().map_err(failed)?;
    drop(output);
    fs::rename(temporary, path).map_err(failed)
}

/// Removes a file, which need not be there.
fn remove(path: &Path) -> Result<(), JobError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(JobError::io(format!("cannot remove '{}': {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Makes `dir` ready for a run of the job `job_hash` that starts from snapshot `start_id` (0: from the start): creates it,
/// and removes what an older run of the same job left there beyond `start_id`, its result, its paused snapshot and its
/// temporary files. Snapshots up to `start_id` stay.
///
/// Files are found by their names, upwards from `start_id + 1`, and in addition by listing the directory where the host can
/// do that; some cannot.
///
/// # Errors
/// A snapshot file there is not of this job: it is named, and nothing was changed. Or the directory cannot be used.
pub fn prepare_output(dir: &str, job_hash: &[u8; 32], start_id: u64) -> Result<(), JobError> {
    let dir = Path::new(dir);
    if !fs::metadata(dir).is_ok_and(|metadata| metadata.is_dir()) {
        fs::create_dir_all(dir)
            .map_err(|error| JobError::io(format!("cannot create directory '{}': {error}", dir.display())))?;
    }
    let (mut ids, temporaries) = listed(dir);
    ids.extend([1, start_id].iter().filter(|id| **id != 0));
    probe(dir, start_id, &mut ids);
    let stems = || ids.iter().map(u64::to_string).chain(ASIDE.map(str::to_owned));
    let base = dir.join(BASE);
    let stale_base = check_ours(&base, FileKind::Base, job_hash)?.is_some_and(|id| id > start_id);
    for stem in stems() {
        check_ours(&dir.join(format!("{stem}.snap")), FileKind::Snap, job_hash)?;
        check_ours(&dir.join(format!("{stem}.bin")), FileKind::Bin, job_hash)?;
        check_ours(&dir.join(format!("{stem}.calls")), FileKind::Calls, job_hash)?;
    }
    // the result first, so that it never tells of snapshots that are gone; a .snap before the .bin that it needs
    for name in RESULTS {
        remove(&dir.join(name))?;
    }
    let older = ids.iter().rev().filter(|id| **id > start_id).map(u64::to_string);
    for stem in ASIDE.map(str::to_owned).into_iter().chain(older) {
        remove(&dir.join(format!("{stem}.snap")))?;
        remove(&dir.join(format!("{stem}.bin")))?;
        remove(&dir.join(format!("{stem}.calls")))?;
    }
    if stale_base {
        remove(&base)?;
    }
    let names = stems().flat_map(|stem| EXTENSIONS.map(|extension| format!("{stem}{extension}")));
    let known = names.chain(RESULTS.map(str::to_owned)).chain([BASE.to_owned()]).map(|name| temporary_name(&name));
    for name in known.chain(temporaries) {
        remove(&dir.join(name))?;
    }
    Ok(())
}

/// Adds the ids above `start_id`, without a gap, of which there is a file.
fn probe(dir: &Path, start_id: u64, ids: &mut BTreeSet<u64>) {
    let there = |name: String| fs::symlink_metadata(dir.join(name)).is_ok();
    let mut next = start_id.checked_add(1);
    while let Some(id) = next {
        // a crash can have left nothing but the temporary file of the next one
        ids.insert(id);
        let is_there = there(format!("{id}.snap")) || there(format!("{id}.bin"));
        next = id.checked_add(1).filter(|_| is_there);
    }
}

/// Snapshot ids and temporary files of ours, as far as the host can list the directory.
fn listed(dir: &Path) -> (BTreeSet<u64>, BTreeSet<String>) {
    let mut ids = BTreeSet::new();
    let mut temporaries = BTreeSet::new();
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        ids.extend(snapshot_id(&name));
        let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
        if inner.is_some_and(is_ours) {
            temporaries.insert(name);
        }
    }
    (ids, temporaries)
}

/// Whether the node writes files of this name.
fn is_ours(name: &str) -> bool {
    let aside = || ASIDE.iter().any(|stem| name.strip_prefix(stem).is_some_and(|rest| EXTENSIONS.contains(&rest)));
    RESULTS.contains(&name) || name == BASE || aside() || snapshot_id(name).is_some()
}

/// The id in `{id}.snap`, `{id}.bin` or `{id}.calls`.
fn snapshot_id(name: &str) -> Option<u64> {
    let stem = EXTENSIONS.iter().find_map(|extension| name.strip_suffix(extension))?;
    let id: u64 = stem.parse().ok().filter(|id| *id > 0)?;
    (id.to_string() == stem).then_some(id)
}

/// Refuses a file that is there and is not of the job; the snapshot id of one that is.
fn check_ours(path: &Path, kind: FileKind, job_hash: &[u8; 32]) -> Result<Option<u64>, JobError> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut first = Vec::with_capacity(PREFIX_LEN);
    file.take(PREFIX_LEN as u64)
        .read_to_end(&mut first)
        .map_err(|error| JobError::io(format!("cannot read '{}': {error}", path.display())))?;
    let refused = |what: &str| {
        let path = path.display();
        JobError::usage(format!("'{path}' {what}: choose another output directory or remove it; nothing was changed"))
    };
    match Prefix::decode(&first) {
        Ok(prefix) if prefix.file == kind && prefix.job_hash == *job_hash => Ok(Some(prefix.id)),
        Ok(prefix) if prefix.file == kind => Err(refused("belongs to another job")),
        Ok(_) => Err(refused("is not what its name says")),
        Err(error) => Err(refused(&format!("is not a snapshot file of Stepmark ({error})"))),
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A directory of one test, removed with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name = format!("guest-interp-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).to_str().unwrap().to_owned()
        }

        fn put(&self, name: &str, bytes: &[u8]) {
            fs::write(self.0.join(name), bytes).unwrap();
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> =
                fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        /// Both files of a snapshot of `job`.
        fn snapshot(&self, stem: &str, job: u8) {
            let id = stem.parse().unwrap_or(3);
            let paused = stem == "paused";
            for (file, extension) in [(FileKind::Snap, "snap"), (FileKind::Bin, "bin")] {
                let prefix = Prefix { file, paused, id, job_hash: [job; 32] };
                self.put(&format!("{stem}.{extension}"), &prefix.encode());
            }
        }

        fn prepare(&self, start_id: u64) -> Result<(), String> {
            prepare_output(self.0.to_str().unwrap(), &[1; 32], start_id)
                .map_err(|error| error.message().replace(&format!("{}/", self.0.display()), ""))
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn read_all(path: &str, most: u64) -> Result<Option<Vec<u8>>, JobError> {
        let mut bytes = Vec::new();
        let len = read(path, most, &mut |chunk| {
            assert!(!chunk.is_empty() && chunk.len() <= CHUNK);
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        assert_eq!(len.unwrap_or(0), bytes.len() as u64);
        Ok(len.map(|_| bytes))
    }

    #[test]
    fn files_are_read_whole_up_to_the_bound() {
        let dir = Dir::new();
        let bytes: Vec<u8> = (0..200_000u32).map(|index| index as u8).collect();
        dir.put("a", &bytes);
        dir.put("empty", &[]);
        assert_eq!(read_all(&dir.path("a"), 200_000), Ok(Some(bytes)));
        assert_eq!(read_all(&dir.path("empty"), 0), Ok(Some(vec![])));
        assert_eq!(read_all(&dir.path("b"), 200_000), Ok(None));
        let error = read_all(&dir.path("a"), 199_999).unwrap_err();
        assert!(error.message().ends_with("longer than 199999 bytes"), "{error}");
        assert_eq!(error.exit_code(), 74);
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused() {
        let dir = Dir::new();
        let error = read_all(&dir.path("."), 10).unwrap_err();
        assert!(error.message().ends_with("not a regular file"), "{error}");
        #[cfg(unix)]
        assert!(read_all("/dev/zero", 10).unwrap_err().message().ends_with("not a regular file"));
    }

    #[test]
    fn an_error_of_the_receiver_stops_the_reading() {
        let dir = Dir::new();
        dir.put("a", b"x");
        let refuse = &mut |_: &[u8]| Err(JobError::program("no"));
        assert_eq!(read(&dir.path("a"), 10, refuse), Err(JobError::program("no")));
    }

    fn replace_with(dir: &Dir, name: &str, bytes: &[u8]) -> Result<(), JobError> {
        replace(dir.0.to_str().unwrap(), name, |output| output.write(bytes))
    }

    #[test]
    fn files_are_replaced_and_stale_temporaries_with_them() {
        let dir = Dir::new();
        dir.put("1.snap", b"old");
        dir.put(".1.snap.tmp", b"stale");
        replace_with(&dir, "1.snap", b"new").unwrap();
        assert_eq!(fs::read(dir.0.join("1.snap")).unwrap(), b"new");
        assert_eq!(dir.names(), ["1.snap"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = Dir::new();
        dir.put("1.snap", b"old");
        let result = replace(dir.0.to_str().unwrap(), "1.snap", |output| {
            output.write(b"half")?;
            Err(JobError::resource("no more"))
        });
        assert_eq!(result, Err(JobError::resource("no more")));
        assert_eq!(fs::read(dir.0.join("1.snap")).unwrap(), b"old");
        assert_eq!(dir.names(), ["1.snap"]);
    }

    #[test]
    fn a_name_that_is_taken_by_a_directory_is_refused() {
        let dir = Dir::new();
        fs::create_dir(dir.0.join("1.snap")).unwrap();
        assert!(replace_with(&dir, "1.snap", b"x").unwrap_err().message().starts_with("cannot write "));
        assert_eq!(dir.names(), ["1.snap"]);
    }

    #[test]
    fn only_plain_names_are_written() {
        let dir = Dir::new();
        for name in ["", ".", "..", "../x", "a/b", "a\\b", "/x", ".x", "a\0", "a b", "c:d"] {
            assert!(
                replace_with(&dir, name, b"").unwrap_err().message().ends_with("not a plain file name"),
                "{name:?}"
            );
        }
        assert!(replace("/nowhere/at/all", "x", |_| Ok(())).is_err());
        assert_eq!(dir.names(), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_replaced_and_what_it_names_is_not() {
        let dir = Dir::new();
        dir.put("target", b"old");
        for name in ["result.txt", ".result.txt.tmp"] {
            std::os::unix::fs::symlink(dir.0.join("target"), dir.0.join(name)).unwrap();
        }
        replace_with(&dir, "result.txt", b"new").unwrap();
        assert_eq!(fs::read(dir.0.join("target")).unwrap(), b"old");
        assert!(fs::symlink_metadata(dir.0.join("result.txt")).unwrap().is_file());
    }

    #[test]
    fn a_missing_directory_is_created() {
        let dir = Dir::new();
        prepare_output(&dir.path("a/b"), &[1; 32], 0).unwrap();
        assert!(dir.0.join("a/b").is_dir());
        dir.put("file", b"");
        assert!(prepare_output(&dir.path("file"), &[1; 32], 0).is_err());
    }

    #[test]
    fn an_older_run_is_removed_beyond_the_start() {
        let dir = Dir::new();
        for stem in ["1", "2", "3", "4", "9", "paused"] {
            dir.snapshot(stem, 1);
        }
        for name in ["result.txt", "receipt.json", ".5.snap.tmp", ".2.bin.tmp", ".paused.snap.tmp", ".77.bin.tmp"] {
            dir.put(name, b"");
        }
        for name in ["notes.txt", ".other.tmp", "01.snap", "x.bin"] {
            dir.put(name, b"mine");
        }
        let mine = [".other.tmp", "01.snap", "notes.txt", "x.bin"];
        dir.prepare(2).unwrap();
        assert_eq!(
            dir.names(),
            [&[".other.tmp", "01.snap", "1.bin", "1.snap", "2.bin", "2.snap"][..], &mine[2..]].concat()
        );
        dir.prepare(0).unwrap();
        assert_eq!(dir.names(), mine);
    }

    #[test]
    fn a_bin_without_its_snap_is_removed_too() {
        let dir = Dir::new();
        dir.snapshot("1", 1);
        fs::remove_file(dir.0.join("1.snap")).unwrap();
        dir.prepare(0).unwrap();
        assert_eq!(dir.names(), [""; 0]);
    }

    #[test]
    fn a_foreign_file_is_named_and_nothing_is_changed() {
        for stem in ["1", "2", "3", "9", "paused"] {
            let dir = Dir::new();
            for ours in ["1", "2", "3"] {
                dir.snapshot(ours, 1);
            }
            dir.put("result.txt", b"");
            dir.snapshot(stem, 2);
            let before = dir.names();
            let end = "belongs to another job: choose another output directory or remove it; nothing was changed";
            assert_eq!(dir.prepare(1), Err(format!("'{stem}.snap' {end}")));
            assert_eq!(dir.names(), before);
        }
    }

    #[test]
    fn a_file_of_our_name_that_is_no_snapshot_is_refused() {
        let dir = Dir::new();
        dir.put("2.snap", b"my notes, in which nobody has any business at all, really");
        assert!(
            dir.prepare(1).unwrap_err().starts_with("'2.snap' is not a snapshot file of Stepmark (no snapshot file")
        );
        dir.snapshot("2", 1);
        fs::rename(dir.0.join("2.bin"), dir.0.join("2.snap")).unwrap();
        assert!(dir.prepare(1).unwrap_err().starts_with("'2.snap' is not what its name says"));
        fs::remove_file(dir.0.join("2.snap")).unwrap();
        fs::create_dir(dir.0.join("2.snap")).unwrap();
        assert!(dir.prepare(1).unwrap_err().contains("not a regular file"));
    }
}
