//! Where a job's files are: a snapshot names them and knows their hashes, so that nobody has to say again where they came from.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use stepmark_snapshot::job::ModuleRef;
use stepmark_state::shown::Shown;

use crate::came_from;
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

/// Lengths of the files that were looked at, and hashes of those that were read, and whether for a module: a job may name one file many times, and it is read once.
type Hashes = BTreeMap<(PathBuf, bool), (Option<u64>, Option<Option<[u8; 32]>>)>;

/// Most modules of other names in a folder that are looked at.
const MOST_OTHERS: usize = 64;

/// A file that is looked for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    name: &'a str,
    size: u64,
    hash: &'a [u8; 32],
    kind: ForeignKind,
}

/// Where a job's files are looked for.
pub(crate) struct FileSearch {
    folders: Vec<Folder>,
    hashes: RefCell<Hashes>,
}

struct Folder {
    path: PathBuf,
    /// It came with the chain: no link in it is followed.
    is_foreign: bool,
    /// Modules in it may be text, which takes long to assemble: not in what may have come with a chain.
    has_text: bool,
    /// Modules of other names are looked at too: not in a folder that a receipt names.
    has_others: bool,
}

impl Folder {
    fn open(&self, name: &str, kind: ForeignKind) -> Result<Foreign> {
        match (self.is_foreign, self.has_text) {
            (true, _) => Foreign::within(&self.path, name, kind),
            (false, true) => Foreign::named(&self.path.join(name), kind),
            (false, false) => Foreign::named_binary(&self.path.join(name), kind),
        }
    }

    /// Names of the modules in it, whatever they are called.
    fn modules(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.ends_with(".wasm") || (self.has_text && name.ends_with(".wat")));
        names.sort();
        names.truncate(MOST_OTHERS);
        names
    }
}

impl FileSearch {
    /// In `dir`, in what an import left there, beside it, in the working directory, and where the run had them. Beside a directory that a
    /// run has named itself is where its folder lies.
    pub(crate) fn around(dir: &Path) -> Self {
        let beside = dir.canonicalize().ok().and_then(|dir| dir.parent().map(Path::to_path_buf));
        // A chain that was moved aside has its files where it lay.
        let aside = beside.as_ref().map(|beside| beside.join(FILES));
        let foreign = [dir.to_path_buf(), dir.join(FILES)].into_iter().chain(aside);
        // The folder itself may be a link that leads out of what came with the chain.
        let is_link = |path: &PathBuf| path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        let foreign = foreign.filter(|path| path == dir || !is_link(path));
        let foreign = foreign.map(|path| Folder { path, is_foreign: true, has_text: false, has_others: true });
        let around = beside.as_deref().filter(|beside| beside.file_name().is_some_and(|name| name == OWN));
        let around = around.and_then(Path::parent).map(Path::to_path_buf);
        let own = [PathBuf::from(".")].into_iter().chain(beside).chain(around);
        let own =
            own.map(|path| Folder { has_text: path == Path::new("."), path, is_foreign: false, has_others: true });
        let named = came_from::read(dir).into_iter();
        let named = named.map(|path| Folder { path, is_foreign: true, has_text: false, has_others: false });
        Self { folders: foreign.chain(own).chain(named).collect(), hashes: RefCell::default() }
    }

    /// Whether a file in a folder is the one that is wanted: of another length it is not read.
    fn is_it(&self, folder: &Folder, name: &str, wanted: Wanted<'_>) -> bool {
        let mut hashes = self.hashes.borrow_mut();
        let place = (folder.path.join(name), wanted.kind == ForeignKind::Module);
        let length = || folder.open(name, wanted.kind).ok().map(|file| file.length());
        let (size, hash) = hashes.entry(place).or_insert_with(|| (length(), None));
        // A file may say that it is shorter than it is.
        let mut read = || folder.open(name, wanted.kind).and_then(|file| hash_of(file, wanted.size)).ok().flatten();
        *size == Some(wanted.size) && hash.get_or_insert_with(&mut read).as_ref() == Some(wanted.hash)
    }

    /// Where a file of that name (or the last part of it) may be. Names come from the snapshot, so only plain paths below the
    /// folders are tried.
    fn places(&self, wanted: Wanted<'_>) -> Vec<(&Folder, String)> {
        let plain = |name: &&str| name.split(['/', '\\']).all(|part| !matches!(part, "" | "." | ".."));
        let last = wanted.name.rsplit(['/', '\\']).next();
        let kept = module_name(wanted.hash);
        let kept = Some(kept.as_str()).filter(|_| wanted.kind == ForeignKind::Module);
        let names: Vec<&str> = [Some(wanted.name), last, kept].into_iter().flatten().filter(plain).collect();
        self.folders.iter().flat_map(|folder| names.iter().map(move |name| (folder, (*name).to_owned()))).collect()
    }

    /// The file of that name, or a module of any; the hash decides.
    fn find(&self, wanted: Wanted<'_>) -> Option<String> {
        let mut matching = self.places(wanted).into_iter().filter(|(folder, name)| self.is_it(folder, name, wanted));
        let found = matching.next().map(|(folder, name)| folder.path.join(name));
        let is_module = wanted.kind == ForeignKind::Module;
        let found = found.or_else(|| if is_module { self.renamed(wanted) } else { None });
        found.and_then(|path| path.to_str().map(str::to_owned))
    }

    /// A module that has another name here.
    fn renamed(&self, wanted: Wanted<'_>) -> Option<PathBuf> {
        let folders = self.folders.iter().filter(|folder| folder.has_others);
        let others = folders.flat_map(|folder| folder.modules().into_iter().map(move |name| (folder, name)));
        let mut matching = others.filter(|(folder, name)| self.is_it(folder, name, wanted));
        matching.next().map(|(folder, name)| folder.path.join(name))
    }

    /// The standard input with this hash: a file of that name, or what a run has kept.
    ///
    /// # Errors
    /// Exit code 65 that says that there is none.
    pub(crate) fn stdin(&self, size: u64, hash: &[u8; 32]) -> Result<String> {
        let named = |name| Wanted { name, size, hash, kind: ForeignKind::Input };
        let kept = stdin_name(hash);
        // An import has put it there by its own name.
        self.find(named("stdin")).map_or_else(|| self.required(named(&kept), "stdin", "--stdin FILE"), Ok)
    }

    /// The input file with this hash.
    ///
    /// # Errors
    /// As those of [`stdin`](Self::stdin).
    pub(crate) fn input(&self, name: &str, size: u64, hash: &[u8; 32], flag: &str) -> Result<String> {
        self.required(Wanted { name, size, hash, kind: ForeignKind::Input }, name, flag)
    }

    /// The module with this hash, by this name or another; one in the working directory may be text.
    ///
    /// # Errors
    /// As those of [`stdin`](Self::stdin).
    pub(crate) fn module(&self, module: &ModuleRef, name: &str, flag: &str) -> Result<String> {
        self.required(Wanted { name, size: module.size, hash: &module.hash, kind: ForeignKind::Module }, name, flag)
    }

    /// The file that is wanted, which is called `name` where it is not there.
    fn required(&self, wanted: Wanted<'_>, name: &str, flag: &str) -> Result<String> {
        self.find(wanted).ok_or_else(|| {
            let hash = blake3::Hash::from_bytes(*wanted.hash).to_hex();
            let mut seen = BTreeSet::new();
            let place = |folder: &Folder| folder.path.canonicalize().unwrap_or_else(|_| folder.path.clone());
            let folders = self.folders.iter().filter(|folder| seen.insert(place(folder)));
            let shown = |path: &Path| Shown(&path.display().to_string()).to_string();
            let folders: Vec<String> = folders.map(|folder| shown(&folder.path)).collect();
            let name = Shown(name);
            let failure =
                Failure::data(format!("the snapshot needs {name} with BLAKE3 hash {hash}, which was not found"))
                    .caused_by(format!(
                        "looked in {}; what `stepmark export` makes of a chain has it",
                        folders.join(", ")
                    ));
            // It may have been changed since.
            let others = self.places(wanted).into_iter().find(|(folder, name)| folder.open(name, wanted.kind).is_ok());
            let others = others.map(|(folder, name)| folder.path.join(name));
            let others = others.map(|path| format!("{} is there, and is another file", shown(&path)));
            others.into_iter().fold(failure, Failure::caused_by).help(format!("give it with {flag}"))
        })
    }
}

/// BLAKE3 hash of a regular file of so many bytes: nothing if it has others.
fn hash_of(file: Foreign, size: u64) -> Result<Option<[u8; 32]>> {
    let (mut hasher, path) = (blake3::Hasher::new(), file.path().to_path_buf());
    let read = io::copy(&mut file.take(size.saturating_add(1)), &mut hasher);
    let read = read.map_err(|error| Failure::io(&path, &error))?;
    Ok((read == size).then(|| *hasher.finalize().as_bytes()))
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
        let module = |hash| ModuleRef { name: String::new(), size: 6, hash };
        let found = search.module(&module(wanted), "deep/a.wasm", "--program FILE").expect("beside the directory");
        assert!(same_file(&found, &temporary.path().join("a.wasm")));
        let found = search.module(&module(wanted), "renamed.wasm", "--program FILE").expect("by its hash");
        assert!(same_file(&found, &temporary.path().join("a.wasm")));
        let third = module(*blake3::hash(b"third!").as_bytes());
        let changed = search.module(&third, "a.wasm", "--program FILE").expect_err("another file");
        assert!(changed.to_string().contains("a.wasm is there, and is another file"), "{changed}");
        let failure = search.module(&third, "../b.wasm", "--program FILE").expect_err("absent");
        let here = FileSearch::around(Path::new(".")).module(&third, "b.wasm", "--program FILE").expect_err("absent");
        assert_eq!(here.to_string().matches("looked in ., ./files, ").count(), 1, "{here}");
        assert!(!here.to_string().contains(", .\n"), "a folder is named twice: {here}");
        assert!(failure.to_string().contains("help: give it with --program FILE"), "{failure}");
    }

    #[test]
    fn a_standard_input_that_was_kept_and_has_changed_is_said_to_be_there() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let hash = *blake3::hash(b"wanted").as_bytes();
        fs::write(temporary.path().join(stdin_name(&hash)), "other").expect("a file");
        let failure = FileSearch::around(temporary.path()).stdin(6, &hash).expect_err("it is another");
        assert!(failure.what().contains("needs stdin with BLAKE3 hash"), "{failure}");
        assert!(failure.to_string().contains("is there, and is another file"), "{failure}");
    }

    #[test]
    fn a_file_that_many_names_lead_to_is_read_once() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        fs::write(temporary.path().join("a"), "wanted").expect("a file");
        let search = FileSearch::around(temporary.path());
        let wanted = *blake3::hash(b"wanted").as_bytes();
        let find = |name| search.input(name, 6, &wanted, "--file").ok();
        let found = find("one/a");
        fs::write(temporary.path().join("a"), "other!").expect("a file");
        assert_eq!((find("two/a"), found.is_some()), (found, true));
    }

    #[test]
    fn a_file_of_another_length_is_not_read_and_one_of_two_lengths_is_found_for_its_own() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let decoy = fs::File::create(temporary.path().join("a")).expect("a file");
        decoy.set_len(1 << 40).expect("a sparse file");
        fs::create_dir(temporary.path().join(FILES)).expect("a folder");
        fs::write(temporary.path().join(FILES).join("a"), "wanted").expect("a file");
        let search = FileSearch::around(temporary.path());
        assert!(search.input("a", 5, blake3::hash(b"other").as_bytes(), "--file").is_err());
        let found = search.input("a", 6, blake3::hash(b"wanted").as_bytes(), "--file").expect("the second one");
        assert!(same_file(&found, &temporary.path().join(FILES).join("a")));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_of_files_that_is_a_link_is_not_followed() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let [chain, outside] = ["chain", "outside"].map(|name| temporary.path().join(name));
        [&chain, &outside].into_iter().for_each(|path| fs::create_dir(path).expect("a folder"));
        fs::write(outside.join("a"), "wanted").expect("a file");
        std::os::unix::fs::symlink(&outside, chain.join(FILES)).expect("a link");
        let found = FileSearch::around(&chain).input("a", 6, blake3::hash(b"wanted").as_bytes(), "--file");
        assert!(found.is_err(), "{found:?}");
    }

    #[test]
    fn where_the_run_had_its_files_is_looked_last_and_by_name_only() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let [dir, bin] = ["jobs/out", "bin"].map(|name| temporary.path().join(name));
        [&dir, &bin].into_iter().for_each(|path| fs::create_dir_all(path).expect("a folder"));
        fs::write(bin.join("a.wasm"), "wanted").expect("a file");
        let folders = came_from::folders(&[bin.join("a.wasm"), bin.join("b"), dir.join("c")], &dir);
        assert_eq!(folders, ["../../bin"]);
        let find = |receipt: &str, name| {
            fs::write(dir.join("receipt.json"), receipt).expect("a receipt");
            let module = ModuleRef { name: String::new(), size: 6, hash: *blake3::hash(b"wanted").as_bytes() };
            FileSearch::around(&dir).module(&module, name, "--program FILE").ok()
        };
        let receipt = r#"{"runner": {"folders": ["../../bin"]}}"#;
        assert!(same_file(&find(receipt, "a.wasm").expect("it is there"), &bin.join("a.wasm")));
        assert_eq!(find(receipt, "b.wasm"), None, "of another name");
        let absolute = format!(r#"{{"runner": {{"folders": [{:?}]}}}}"#, bin.to_str().expect("UTF-8"));
        assert_eq!(find(&absolute, "a.wasm"), None);
        assert_eq!(find(r#"{"runner": {"folders": "../../bin"}}"#, "a.wasm"), None);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&bin, dir.join("link")).expect("a link");
            assert_eq!(find(r#"{"runner": {"folders": ["link"]}}"#, "a.wasm"), None);
            assert_eq!(find(r#"{"runner": {"folders": ["link/../bin"]}}"#, "a.wasm"), None);
        }
        let lines = r#"{"runner": {"folders": ["a\nerror: b"]}}"#;
        fs::write(dir.join("receipt.json"), lines).expect("a receipt");
        let failure = FileSearch::around(&dir).input("absent", 0, &[0; 32], "--file").expect_err("absent");
        assert!(!failure.to_string().contains("\nerror: b"), "{failure}");
    }

    #[test]
    fn no_more_of_a_file_is_read_than_the_one_that_is_wanted_has() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        fs::write(temporary.path().join("a"), "wanted, and more").expect("a file");
        let open = || Foreign::within(temporary.path(), "a", ForeignKind::Input).expect("it is there");
        assert_eq!(hash_of(open(), 6), Ok(None));
        assert_eq!(hash_of(open(), 16), Ok(Some(*blake3::hash(b"wanted, and more").as_bytes())));
    }

    #[test]
    fn a_name_with_a_line_feed_takes_no_line_of_its_own() {
        let search = FileSearch::around(Path::new("."));
        let failure = search.input("a\nerror: b", 0, &[0; 32], "--file").expect_err("absent");
        assert_eq!(failure.what().lines().count(), 1, "{failure}");
    }

    fn same_file(a: &str, b: &Path) -> bool {
        Path::new(a).canonicalize().ok() == b.canonicalize().ok()
    }
}
