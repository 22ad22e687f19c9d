//! Where a job's files are: a snapshot names them and knows their hashes, so that nobody has to say again where they came from.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use stepmark_state::shown::Shown;

use crate::failure::{Failure, Result};
use crate::foreign::{Foreign, ForeignKind};

/// Folder below a chain's directory that an import puts the job's files into.
pub const FILES: &str = "files";

/// Folder of the directories of runs that nobody has named.
pub const OWN: &str = "stepmark";

/// Name in [`FILES`] of a standard input that was no file: of two jobs in one directory each has its own.
pub fn stdin_name(hash: &[u8; 32]) -> String {
    format!("stdin-{}", blake3::Hash::from_bytes(*hash).to_hex())
}

/// Name in [`FILES`] of a module that was text: whoever goes on from there needs no text.
pub fn module_name(hash: &[u8; 32]) -> String {
    format!("{}.wasm", blake3::Hash::from_bytes(*hash).to_hex())
}

/// Hashes of the files that were looked at, and whether for a module: a job may name one file many times, and it is read once.
type Hashes = BTreeMap<(PathBuf, bool), Option<[u8; 32]>>;

/// Where a job's files are looked for.
pub(crate) struct FileSearch {
    folders: Vec<Folder>,
    hashes: RefCell<Hashes>,
}

struct Folder {
    path: PathBuf,
    /// It came with the chain: no link in it is followed.
    is_foreign: bool,
}

impl Folder {
    fn open(&self, name: &str, kind: ForeignKind) -> Result<Foreign> {
        match self.is_foreign {
            true => Foreign::within(&self.path, name, kind),
            false => Foreign::named(&self.path.join(name), kind),
        }
    }
}

impl FileSearch {
    /// In `dir`, in what an import left there, beside it, and in the working directory. Beside a directory that a run has named
    /// itself is where its folder lies.
    pub(crate) fn around(dir: &Path) -> Self {
        let beside = dir.canonicalize().ok().and_then(|dir| dir.parent().map(Path::to_path_buf));
        // A chain that was moved aside has its files where it lay.
        let aside = beside.as_ref().map(|beside| beside.join(FILES));
        let foreign = [dir.to_path_buf(), dir.join(FILES)].into_iter().chain(aside);
        let foreign = foreign.map(|path| Folder { path, is_foreign: true });
        let around = beside.as_deref().filter(|beside| beside.file_name().is_some_and(|name| name == OWN));
        let around = around.and_then(Path::parent).map(Path::to_path_buf);
        let own = [PathBuf::from(".")].into_iter().chain(beside).chain(around);
        let own = own.map(|path| Folder { path, is_foreign: false });
        Self { folders: foreign.chain(own).collect(), hashes: RefCell::default() }
    }

    /// Hash of a file in a folder, if it can be read.
    fn hash(&self, folder: &Folder, name: &str, kind: ForeignKind) -> Option<[u8; 32]> {
        let mut hashes = self.hashes.borrow_mut();
        let place = (folder.path.join(name), kind == ForeignKind::Module);
        *hashes.entry(place).or_insert_with(|| folder.open(name, kind).and_then(file_hash).ok())
    }

    /// The file called `name` (or the last part of it) with hash `hash`. Names come from the snapshot, so only plain paths
    /// below the folders are tried; the hash decides.
    fn find(&self, name: &str, hash: &[u8; 32], kind: ForeignKind) -> Option<String> {
        let plain = |name: &&str| name.split(['/', '\\']).all(|part| !matches!(part, "" | "." | ".."));
        let last = name.rsplit(['/', '\\']).next();
        let kept = module_name(hash);
        let kept = Some(kept.as_str()).filter(|_| kind == ForeignKind::Module);
        let names: Vec<&str> = [Some(name), last, kept].into_iter().flatten().filter(plain).collect();
        let candidates = self.folders.iter().flat_map(|folder| names.iter().map(move |name| (folder, *name)));
        let mut matching = candidates.filter(|(folder, name)| self.hash(folder, name, kind) == Some(*hash));
        matching.next().and_then(|(folder, name)| folder.path.join(name).to_str().map(str::to_owned))
    }

    /// The standard input with this hash: a file of that name, or what a run has kept.
    ///
    /// # Errors
    /// Exit code 65 that says that there is none.
    pub(crate) fn stdin(&self, hash: &[u8; 32]) -> Result<String> {
        self.find(&stdin_name(hash), hash, ForeignKind::Input)
            .map_or_else(|| self.input("stdin", hash, "--stdin FILE"), Ok)
    }

    /// The input file with this hash.
    ///
    /// # Errors
    /// As those of [`stdin`](Self::stdin).
    pub(crate) fn input(&self, name: &str, hash: &[u8; 32], flag: &str) -> Result<String> {
        self.required(name, hash, flag, ForeignKind::Input)
    }

    /// The module with this hash; one of the user's own may be text.
    ///
    /// # Errors
    /// As those of [`stdin`](Self::stdin).
    pub(crate) fn module(&self, name: &str, hash: &[u8; 32], flag: &str) -> Result<String> {
        self.required(name, hash, flag, ForeignKind::Module)
    }

    fn required(&self, name: &str, hash: &[u8; 32], flag: &str, kind: ForeignKind) -> Result<String> {
        self.find(name, hash, kind).ok_or_else(|| {
            let hash = blake3::Hash::from_bytes(*hash).to_hex();
            let mut seen = BTreeSet::new();
            let place = |folder: &Folder| folder.path.canonicalize().unwrap_or_else(|_| folder.path.clone());
            let folders = self.folders.iter().filter(|folder| seen.insert(place(folder)));
            let folders: Vec<String> = folders.map(|folder| folder.path.display().to_string()).collect();
            let name = Shown(name);
            Failure::data(format!("the snapshot needs {name} with BLAKE3 hash {hash}, which was not found"))
                .caused_by(format!("looked in {}", folders.join(", ")))
                .help(format!("give it with {flag}"))
        })
    }
}

/// BLAKE3 hash of a regular file.
pub(crate) fn file_hash(mut file: Foreign) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut file, &mut hasher).map_err(|error| Failure::io(file.path(), &error))?;
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_recognised_by_their_hash() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let dir = temporary.path().join("output");
        fs::create_dir_all(dir.join("sub")).expect("directories");
        fs::write(dir.join("a.wasm"), "other").expect("a file");
        fs::write(temporary.path().join("a.wasm"), "wanted").expect("a file");
        let search = FileSearch::around(&dir);
        let wanted = *blake3::hash(b"wanted").as_bytes();
        let found = search.find("deep/a.wasm", &wanted, ForeignKind::Module).expect("beside the directory");
        assert!(same_file(&found, &temporary.path().join("a.wasm")));
        assert_eq!(search.find("../a.wasm", blake3::hash(b"third").as_bytes(), ForeignKind::Module), None);
        let failure = search.module("b.wasm", &wanted, "--program FILE").expect_err("absent");
        let here = FileSearch::around(Path::new(".")).module("b.wasm", &wanted, "--program FILE").expect_err("absent");
        assert_eq!(here.to_string().matches("looked in ., ./files, ").count(), 1, "{here}");
        assert!(!here.to_string().contains(", .\n"), "a folder is named twice: {here}");
        assert!(failure.to_string().contains("help: give it with --program FILE"), "{failure}");
    }

    #[test]
    fn a_file_that_many_names_lead_to_is_read_once() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        fs::write(temporary.path().join("a"), "wanted").expect("a file");
        let search = FileSearch::around(temporary.path());
        let wanted = *blake3::hash(b"wanted").as_bytes();
        let found = search.find("one/a", &wanted, ForeignKind::Input);
        fs::write(temporary.path().join("a"), "other").expect("a file");
        assert_eq!((search.find("two/a", &wanted, ForeignKind::Input), found.is_some()), (found, true));
    }

    #[test]
    fn a_name_with_a_line_feed_takes_no_line_of_its_own() {
        let search = FileSearch::around(Path::new("."));
        let failure = search.input("a\nerror: b", &[0; 32], "--file").expect_err("absent");
        assert_eq!(failure.what().lines().count(), 1, "{failure}");
    }

    fn same_file(a: &str, b: &Path) -> bool {
        Path::new(a).canonicalize().ok() == b.canonicalize().ok()
    }
}
