//! Delivery: the files that a program left behind go into a directory of the user's. Their names are the program's, which
//! nobody has to trust: no file is made outside the directory, and no link is followed or made there.
//!
//! All files are first written under names of our own into a folder inside the directory, so that nothing is delivered
//! that could not be delivered whole; then each is renamed to its place. A file with several names is written once, for the
//! program has paid for it once; its other names are hard links, as they were for the program.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::chain::disk::create_directory;
use crate::chain::durable::{self, Name};
use crate::failure::{Failure, INTERRUPTED, IO, Result};
use crate::interrupt::Interrupt;
use crate::node::engine::Deliver;

/// Bytes of the longest path below a directory, as the node has it.
const LONGEST: usize = 4096;

/// A file that waits in the folder.
struct StagedFile {
    from: PathBuf,
    to: String,
}

/// Takes every file that the program left behind and puts it below `directory`, which is created if it is not there. How
/// many there are; none when the program did not end normally, and then nothing is created. They replace what has their names, but the
/// files `kept` and those of chains: the names are the program's, and what it would replace is its choice.
///
/// # Errors
/// Exit code 74 for a name that is not safe on every system, for what would be replaced and may not be, for a link or file where a
/// directory must be, and for what the system refuses: on some, that a file has several names. 130 when the user stops it.
pub fn deliver(node: &mut dyn Deliver, directory: &Path, kept: &[PathBuf], stop: &Interrupt) -> Result<usize> {
    let Some(first) = node.deliver_name()? else { return Ok(0) };
    create_directory(directory).map_err(|error| Failure::io(directory, &error))?;
    let folder = tempfile::Builder::new().prefix(".delivery-").tempdir_in(directory);
    let folder = folder.map_err(|error| Failure::io(directory, &error))?;
    let mut staged = Vec::new();
    let mut next = Some(first);
    while let Some(name) = next {
        check_name(&name)?;
        let from = folder.path().join(staged.len().to_string());
        match node.deliver_link()? {
            Some(first) => link(&folder.path().join(first.to_string()), &from, &name)?,
            None => stage(node, &from, stop)?,
        }
        staged.push(StagedFile { from, to: name });
        next = node.deliver_name()?;
    }
    // What the system has no path for is known before anything is in its place.
    staged.iter().try_for_each(|file| check_path(directory, file))?;
    let kept: Vec<PathBuf> = kept.iter().filter_map(|path| path.canonicalize().ok()).collect();
    staged.iter().try_for_each(|file| check_replaced(&directory.join(&file.to), &kept))?;
    staged.iter().try_for_each(|file| place(directory, file))?;
    Ok(staged.len())
}

/// Makes `path` another name of the file at `first`.
fn link(first: &Path, path: &Path, name: &str) -> Result<()> {
    let help = || format!("the program left {name:?}, another name of a file that it left: nothing was delivered");
    fs::hard_link(first, path).map_err(|error| Failure::io(path, &error).help(help()))
}

/// Writes the contents of the file under way.
fn stage(node: &mut dyn Deliver, path: &Path, stop: &Interrupt) -> Result<()> {
    let failed = |error| Failure::io(path, &error);
    let mut file = File::create_new(path).map_err(failed)?;
    let mut chunk = Vec::new();
    while node.deliver_chunk(&mut chunk)? {
        file.write_all(&chunk).map_err(failed)?;
        if stop.is_requested() {
            let interrupted = Failure::new(INTERRUPTED, "interrupted: nothing was delivered");
            return Err(interrupted.help("the run has ended, and its result is written; only its files are not"));
        }
    }
    file.sync_all().map_err(failed)
}

/// Refuses names that mean something else than a name on some system.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.len() > LONGEST {
        // The node names no more of it than shows that it is too long.
        let start: String = name.chars().take(60).collect();
        let what = format!(
            "the program left a file {start:?}..., whose path is longer than the {LONGEST} bytes that can be delivered"
        );
        return Err(Failure::new(IO, format!("{what}: nothing was delivered")));
    }
    let is_plain = |part: &str| {
        let bad = |c: char| c.is_control() || matches!(c, '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*');
        !part.is_empty() && !part.ends_with(['.', ' ']) && !part.contains(bad) && !is_device(part)
    };
    if name.split('/').all(is_plain) {
        return Ok(());
    }
    let what = format!("the program left a file {name:?}, whose name is not safe to deliver: nothing was delivered");
    Err(Failure::new(IO, what))
}

/// Names that are devices on Windows, whatever follows them after a dot.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered = |prefix| stem.strip_prefix(prefix).is_some_and(|n: &str| matches!(n.as_bytes(), [b'1'..=b'9']));
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// Refuses a file for whose path the system says that it is too long, or otherwise no path.
fn check_path(directory: &Path, file: &StagedFile) -> Result<()> {
    let at = directory.join(&file.to);
    match fs::symlink_metadata(&at) {
        // Something else than a directory on the way is in the way, which is for the place to say.
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Failure::io(&at, &error).help("nothing was delivered"))
        }
        _ => Ok(()),
    }
}

/// Refuses to replace a file of a chain, and one of those that are kept.
fn check_replaced(at: &Path, kept: &[PathBuf]) -> Result<()> {
    if fs::symlink_metadata(at).is_ok_and(|found| !found.is_symlink()) {
        let folder = at.parent().unwrap_or(Path::new("."));
        let is_of_chain = at.file_name().and_then(|name| name.to_str()).and_then(Name::parse).is_some()
            && durable::files_in(folder)?
                .iter()
                .any(|(kind, _)| matches!(kind, Name::Snap(_) | Name::Bin(_) | Name::Base));
        let is_kept = at.canonicalize().is_ok_and(|at| kept.contains(&at));
        let what = match (is_of_chain, is_kept) {
            (true, _) => "is a file of a chain",
            (_, true) => "is a file of this job",
            _ => return Ok(()),
        };
        let failure = Failure::new(IO, format!("{}: {what}, and the program left one of that name", at.display()));
        return Err(failure.help("nothing was delivered: choose another --deliver"));
    }
    Ok(())
}

/// Renames a staged file to its place, below directories that are really directories. A link there is replaced, not followed.
fn place(directory: &Path, file: &StagedFile) -> Result<()> {
    let mut parts: Vec<&str> = file.to.split('/').collect();
    let last = parts.pop().unwrap_or_default();
    let mut at = directory.to_path_buf();
    for part in parts {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(in_the_way(&at, "is not a directory, and links are not followed")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir(&at).map_err(|error| Failure::io(&at, &error))?;
            }
            Err(error) => return Err(Failure::io(&at, &error)),
        }
    }
    at.push(last);
    if fs::symlink_metadata(&at).is_ok_and(|found| found.is_dir()) {
        return Err(in_the_way(&at, "is a directory"));
    }
    fs::rename(&file.from, &at).map_err(|error| Failure::io(&at, &error))
}

fn in_the_way(path: &Path, why: &str) -> Failure {
    Failure::new(IO, format!("{}: {why}: the program's file cannot be delivered there", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::durable::tests::names;

    /// A node whose program left these files; the contents under way, and the names given.
    struct Left(Vec<(&'static str, &'static str)>, Option<&'static str>, Vec<&'static str>);

    /// Contents that begin so are another name of the file that was named at this position.
    const LINK: &str = "link to ";

    impl Deliver for Left {
        fn deliver_name(&mut self) -> Result<Option<String>> {
            if self.0.is_empty() {
                return Ok(None);
            }
            let (name, contents) = self.0.remove(0);
            self.1 = Some(contents);
            self.2.push(name);
            Ok(Some(name.to_owned()))
        }

        fn deliver_link(&mut self) -> Result<Option<usize>> {
            let first = self.1.and_then(|contents| contents.strip_prefix(LINK));
            Ok(first.and_then(|first| self.2.iter().position(|name| *name == first)))
        }

        fn deliver_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool> {
            let contents = self.1.take().unwrap_or_default();
            *chunk = contents.as_bytes().to_vec();
            Ok(!contents.is_empty())
        }
    }

    #[test]
    fn a_path_that_no_system_or_no_node_has_is_named_and_nothing_is_delivered() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let directory = temporary.path().join("out");
        let deep: &'static str = "d/".repeat(2040).leak();
        let file = |length: usize| -> &'static str { format!("{deep}{}", "f".repeat(length - deep.len())).leak() };
        for (name, what) in [
            (file(4096), "File name too long"),
            (file(4097), "whose path is longer than the 4096 bytes that can be delivered: nothing was delivered"),
            (&*"n".repeat(256).leak(), "File name too long"),
        ] {
            let failure = delivered(&directory, &[("a", "1"), (name, "2")]).expect_err("too long");
            assert_eq!(failure.code(), 74);
            assert!(failure.what().contains(what) && failure.what().contains(&name[..60]), "{failure}");
            assert!(names(&directory).is_empty(), "{:?}", names(&directory));
        }
    }

    fn delivered(directory: &Path, files: &[(&'static str, &'static str)]) -> Result<usize> {
        let mut left = Left(files.to_vec(), None, Vec::new());
        deliver(&mut left, directory, &[directory.join("program.wasm")], &Interrupt::new())
    }

    #[test]
    fn neither_a_file_of_a_chain_nor_one_of_the_job_is_replaced() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let (directory, chain) = (temporary.path(), temporary.path().join("chain"));
        fs::create_dir(&chain).expect("a directory");
        for name in ["program.wasm", "result.txt", "chain/1.snap", "chain/1.bin", "chain/receipt.json"] {
            fs::write(directory.join(name), "precious").expect("a file");
        }
        for name in ["program.wasm", "chain/1.snap", "chain/1.bin", "chain/receipt.json"] {
            let failure = delivered(directory, &[("new", "1"), (name, "2")]).expect_err(name);
            assert_eq!(failure.code(), 74);
            assert!(failure.what().contains("and the program left one of that name"), "{failure}");
            assert_eq!(fs::read(directory.join(name)).expect("readable"), b"precious", "{name}");
            assert!(!directory.join("new").exists());
        }
        assert_eq!(delivered(directory, &[("result.txt", "2"), ("chain/2.snap", "3")]).expect("no chain's"), 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_several_names_is_written_once() {
        use std::os::unix::fs::MetadataExt;
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let files = [("a", "1"), ("b/c", "link to a"), ("d", "2"), ("e", "link to a")];
        assert_eq!(delivered(temporary.path(), &files).expect("delivers"), 4);
        let metadata = |name| fs::metadata(temporary.path().join(name)).expect("is there");
        assert_eq!(["a", "b/c", "e"].map(|name| metadata(name).ino()), [metadata("a").ino(); 3]);
        assert_eq!([metadata("a").nlink(), metadata("d").nlink()], [3, 1]);
        assert_eq!(fs::read(temporary.path().join("b/c")).expect("readable"), b"1");
        // They are delivered anew: what was there under the same names stays as it is elsewhere.
        fs::hard_link(temporary.path().join("a"), temporary.path().join("kept")).expect("a link");
        assert_eq!(delivered(temporary.path(), &[("a", "3"), ("e", "link to a")]).expect("delivers"), 2);
        assert_eq!(fs::read(temporary.path().join("kept")).expect("readable"), b"1");
        assert_eq!(fs::read(temporary.path().join("e")).expect("readable"), b"3");
    }

    #[test]
    fn files_come_to_their_places_and_replace_what_was_there() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let directory = temporary.path().join("new/out");
        assert_eq!(delivered(&directory, &[("a", "1"), ("b/c/d", "2"), ("empty", "")]).expect("delivers"), 3);
        assert_eq!(names(&directory), ["a", "b", "empty"]);
        assert_eq!(delivered(&directory, &[("b/c/d", "3")]).expect("delivers"), 1);
        assert_eq!(fs::read(directory.join("b/c/d")).expect("readable"), b"3");
        assert_eq!(fs::read(directory.join("a")).expect("readable"), b"1");
    }

    #[test]
    fn without_files_nothing_is_made() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(delivered(&temporary.path().join("new"), &[]).expect("delivers"), 0);
        assert_eq!(names(temporary.path()), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_is_not_safe_keeps_everything_back() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        for name in [
            "../x",
            "/etc/x",
            "a/../../x",
            "..",
            ".",
            "",
            "a//b",
            "a\\..\\x",
            "c:x",
            "a\nb",
            "x.",
            "x ",
            "nul.txt",
            "Com1",
            "a?",
            "a*",
        ] {
            let failure = delivered(temporary.path(), &[("good", "1"), (name, "2")]).expect_err(name);
            assert_eq!(failure.code(), 74, "{name:?}");
            assert_eq!(names(temporary.path()), Vec::<String>::new(), "{name:?}");
        }
        assert!(delivered(temporary.path(), &[("com10", ""), (".hidden", ""), ("a.b.c", ""), ("COMA", "")]).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn links_in_the_directory_are_neither_followed_nor_kept() {
        use std::os::unix::fs::symlink;
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let outside = tempfile::tempdir().expect("a temporary directory");
        fs::write(outside.path().join("victim"), "precious").expect("a file");
        symlink(outside.path(), temporary.path().join("dir")).expect("a link");
        symlink(outside.path().join("victim"), temporary.path().join("file")).expect("a link");
        let failure = delivered(temporary.path(), &[("dir/victim", "2")]).expect_err("a link on the way");
        assert!(failure.what().contains("is not a directory, and links are not followed"), "{failure}");
        delivered(temporary.path(), &[("file", "2")]).expect("the link is replaced");
        assert_eq!(fs::read(temporary.path().join("file")).expect("readable"), b"2");
        assert_eq!(fs::read(outside.path().join("victim")).expect("readable"), b"precious");
        assert_eq!(names(outside.path()), ["victim"]);
    }
}
