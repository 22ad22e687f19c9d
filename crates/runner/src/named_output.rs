//! Files that the user names for something to be written: each replaces nothing but a file of its own kind.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::archive;
use crate::chain::durable::{Name, check_folder, check_no_device, replace};
use crate::failure::{Failure, Result};
use crate::foreign::{Foreign, ForeignKind};
use crate::node::embedded_module::{COMPILER_WASM, NODE_WASM};

/// Bytes that tell what a file is.
const TELLING: u64 = 1024;

/// What is written to a file that the user has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// A page with verdicts.
    Page,
    /// A picture of stacks.
    Picture,
    /// Lines of stacks.
    Stacks,
    /// The archive of a chain or a dispute.
    Archive,
    /// Our own module.
    Module,
    /// Our own compiler.
    Compiler,
    /// A file that begins with these bytes.
    Magic([u8; 8]),
}

impl OutputKind {
    /// Whether a file that begins so is one of this kind, which may be replaced by another one.
    fn can_be(self, first: &[u8]) -> bool {
        let has = |text: &[u8]| first.windows(text.len()).any(|window| window == text);
        match self {
            Self::Page => has(b"<title>Verification of "),
            Self::Picture => has(b"<svg") && has(b"Flame graph stack visualization"),
            Self::Stacks => are_stacks(first),
            Self::Archive => {
                // The mark of a tar archive; the name of the first file is what it begins with, up to a 0.
                let name = first.split(|byte| *byte == 0).next().unwrap_or_default();
                first.get(257..262) == Some(b"ustar") && std::str::from_utf8(name).is_ok_and(archive::is_ours)
            }
            Self::Module => NODE_WASM.starts_with(first),
            Self::Compiler => COMPILER_WASM.starts_with(first),
            Self::Magic(magic) => first.starts_with(&magic),
        }
    }
}

/// Whether the whole lines of a text are names with `;` between and a number, as those of stacks are, which all begin with one function.
fn are_stacks(text: &[u8]) -> bool {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &text[..end]);
    let is_number = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    let is_stack =
        |line: &[u8]| line.rsplit(|byte| *byte == b' ').next().is_some_and(is_number) && line.contains(&b' ');
    let root =
        |line: &'_ [u8]| line.iter().position(|byte| matches!(byte, b';' | b' ')).map(|end| line[..end].to_vec());
    let lines = || whole.split(|byte| *byte == b'\n');
    let first = lines().next().and_then(root);
    !whole.is_empty() && lines().all(|line| is_stack(line) && root(line) == first)
}

/// Writes a file that the user has named, whole or not at all.
///
/// # Errors
/// Those of [`check_output`], and exit code 74 when it cannot be written.
pub fn write_output(path: &Path, kind: OutputKind, contents: &[u8]) -> Result<()> {
    check_output(path, kind)?;
    replace(path, contents)
}

/// The check of a file that may be named.
///
/// # Errors
/// Those of [`check_output`].
pub fn check_output_if_named(path: Option<&Path>, kind: OutputKind) -> Result<()> {
    path.map_or(Ok(()), |path| check_output(path, kind))
}

/// Checks that a file of this kind would replace nothing but an earlier one: neither a file of a chain, nor a program, nor
/// anything else that somebody may miss. Of a link only the link is replaced.
///
/// # Errors
/// Exit code 2 when there is something else at `path`; 74 when it cannot be looked at, or is no file.
pub fn check_output(path: &Path, kind: OutputKind) -> Result<()> {
    check_no_device(path)?;
    check_folder(path)?;
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Ok(());
    }
    let Some(mut file) = Foreign::find_named(path, ForeignKind::Delivered)? else { return Ok(()) };
    let mut found = Vec::new();
    let read = Read::by_ref(&mut file).take(TELLING).read_to_end(&mut found);
    read.map_err(|error| Failure::io(path, &error))?;
    let is_of_chain = path.file_name().and_then(|name| name.to_str()).and_then(Name::parse).is_some();
    if !is_of_chain && (found.is_empty() || kind.can_be(&found)) {
        return Ok(());
    }
    let what = if is_of_chain { "a file of a chain" } else { "a file of another kind" };
    let failure = Failure::usage(format!("{}: {what} is there, and would be replaced", path.display()));
    Err(failure.help("choose another name, or move it away"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_user_names_replaces_only_one_of_its_kind() {
        let temporary = tempfile::tempdir().expect("a directory");
        let at = |name: &str| temporary.path().join(name);
        let archive = |name: &str| {
            let mut bytes = [0; 512];
            bytes[..name.len()].copy_from_slice(name.as_bytes());
            bytes[257..262].copy_from_slice(b"ustar");
            bytes.to_vec()
        };
        let magic = OutputKind::Magic(*b"WITNESS1");
        let (ours, theirs) = (archive("1.bin"), archive("a/letter"));
        let there: [(&str, Option<OutputKind>, &[u8]); 13] = [
            ("page", Some(OutputKind::Page), b"<!doctype html><title>Verification of out</title>"),
            ("letter", None, b"<html><title>Dear</title>"),
            ("picture", Some(OutputKind::Picture), b"<?xml?><svg><!--Flame graph stack visualization.-->"),
            ("drawing", None, b"<?xml?><svg>"),
            ("stacks", Some(OutputKind::Stacks), b"main;f 10\nmain 2\nmai"),
            ("source", None, b"int main() {\n  return 1\n}\n"),
            ("table", None, b"1.0 2\n3.5 4\n"),
            ("archive", Some(OutputKind::Archive), &ours),
            ("backup", None, &theirs),
            ("module", Some(OutputKind::Module), NODE_WASM),
            ("program", None, b"\0asm\x01\0\0\0 of somebody"),
            ("witness", Some(magic), b"WITNESS1 and more"),
            ("1.snap", None, b"WITNESS1"),
        ];
        let kinds = there.iter().filter_map(|(_, kind, _)| *kind);
        for (name, of, bytes) in &there {
            fs::write(at(name), bytes).expect("a file");
            let replaced: Vec<OutputKind> =
                kinds.clone().filter(|kind| check_output(&at(name), *kind).is_ok()).collect();
            let expected: Vec<OutputKind> = of.iter().copied().collect();
            assert_eq!(replaced, expected, "{name}");
        }
        assert_eq!(check_output(&at("absent"), magic), Ok(()));
        let missing = check_output(&at("no/absent"), magic).expect_err("no directory");
        assert_eq!((missing.code(), missing.what().ends_with("no: no such directory")), (2, true));
        assert_eq!(check_output(&at("1.snap"), magic).expect_err("of a chain").code(), 2);
    }
}
