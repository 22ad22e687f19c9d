//! What a file is that somebody named as the program, where it is no WebAssembly module: said by its own name, with the next
//! step, before anything reads it as a module.

use std::io::Read;
use std::path::Path;

use stepmark_core::module::{Features, Module};
use stepmark_runner::failure::{DATA, Failure, Result};
use stepmark_runner::foreign::{self, Foreign, ForeignKind};

/// Bytes that are looked at: a tar archive says what it is at byte 257.
const HEAD: u64 = 512;
/// What every WebAssembly file begins with, and the version of a module and of a component.
const MAGIC: &[u8] = b"\0asm";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// First bytes, what a file is that begins with them, and what to do.
const KINDS: [(&[u8], &str, &str); 20] = [
    (
        COMPONENT,
        "a component",
        "Stepmark runs core modules: compile for wasm32-wasip1, or take the core module out of it",
    ),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first: gunzip FILE.gz"),
    (b"PK\x03\x04", "a zip archive", "unpack it, and name the .wasm file in it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first: unzstd FILE.zst"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it first: unxz FILE.xz"),
    (b"BZh", "compressed with bzip2", "unpack it first: bunzip2 FILE.bz2"),
    (b"%PDF", "a PDF document", "name the .wasm file"),
    (b"/*", "source code", "compile it for wasm32-wasip1"),
    (b"#include", "source code", "compile it for wasm32-wasip1"),
    (b"!<arch>\n", "a static library", "link it to a program: what the linker writes is the module"),
    (b"\x7fELF", "a program for this kind of machine (ELF)", "compile it for wasm32-wasip1"),
    (b"MZ", "a program for Windows", "compile it for wasm32-wasip1"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS", "compile it for wasm32-wasip1"),
    (b"\xca\xfe\xba\xbe", "a Java class, or a program for macOS", "compile it for wasm32-wasip1"),
    (b"BC\xc0\xde", "LLVM bitcode", "link it to a module"),
    (b"#!", "a script", "name the .wasm file that it starts"),
    (b"<!", "a web page: a download may have failed", "look at it, and download the .wasm file again"),
    (b"<html", "a web page: a download may have failed", "look at it, and download the .wasm file again"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    (b"(component", "the text of a component", "Stepmark runs core modules"),
];
/// What JavaScript that a toolchain writes beside a module, or source code of a program, has somewhere at its beginning.
const SOURCES: [&[u8]; 14] = [
    b"import ",
    b"export ",
    b"var Module",
    b"function",
    b"const ",
    b"\"use strict\"",
    b"// ",
    b"//! ",
    b"use ",
    b"fn ",
    b"package ",
    b"int ",
    b"def ",
    b"#[",
];

/// Checks that the file at `path`, if there is one, begins as a WebAssembly module, or is the text of one.
///
/// # Errors
/// Exit code 65 that says what else it is, or what is wrong with the text.
pub fn check(path: &Path) -> Result<()> {
    let file = match Foreign::named(path, ForeignKind::Module) {
        Ok(file) => file,
        Err(failure) if failure.code() == DATA => return Err(failure),
        // What cannot be opened is said where it is read.
        Err(_) => return Ok(()),
    };
    let mut head = Vec::new();
    if file.take(HEAD).read_to_end(&mut head).is_err() || head.starts_with(MODULE) {
        return Ok(());
    }
    let (what, help) = recognise(&head);
    Err(Failure::data(format!("{}: is {what}, expected a WebAssembly module", path.display())).help(help))
}

/// Whether the module at `path` is a command: what stands after it are its arguments. What cannot be read is none.
pub fn is_command(path: &Path) -> bool {
    let module = foreign::read(path, ForeignKind::Module).ok().map(|bytes| Module::parse(bytes, Features::default()));
    module.is_some_and(|module| module.is_ok_and(|module| module.export("_start").is_some()))
}

/// Checks that an export of the module at `path` can be called by name: one with a `_start` is run by that.
///
/// # Errors
/// Exit code 2 when it has one.
pub fn check_invoke(path: &Path) -> Result<()> {
    if is_command(path) {
        let what = format!("--invoke: {} has a _start, and that is what is called", path.display());
        return Err(Failure::usage(what).help("leave --invoke out: what follows the program are its arguments"));
    }
    Ok(())
}

/// What begins with these bytes, and what to do about it.
fn recognise(head: &[u8]) -> (String, &'static str) {
    let found = |what: &str, help: &'static str| (what.to_owned(), help);
    let text = head.trim_ascii_start();
    if let Some((_, what, help)) = KINDS.iter().find(|(first, ..)| head.starts_with(first) || text.starts_with(first)) {
        return found(what, help);
    }
    if head.is_empty() {
        return found("empty", "a build or a download may have failed");
    }
    if head.get(257..262) == Some(b"ustar".as_slice()) {
        return found("a tar archive", "a chain that was exported is unpacked by: stepmark import FILE.tar DIR");
    }
    if head.starts_with(MAGIC) && head.len() < MODULE.len() {
        return found("the beginning of a WebAssembly file, without the rest", "a build or a download may have failed");
    }
    if head.starts_with(MAGIC) {
        let version: Vec<String> = head.iter().skip(4).take(4).map(|byte| format!("{byte:02x}")).collect();
        return (
            format!("a WebAssembly file of version {}", version.join(" ")),
            "there are modules of version 01 00 00 00",
        );
    }
    if text.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || *byte >= 0x80) {
        return match SOURCES.iter().any(|word| text.windows(word.len()).any(|window| window == *word)) {
            true => found("source code", "name the .wasm file that is made of it, compiled for wasm32-wasip1"),
            false => found("text", "name a .wasm file, or a .wat file, which begins with (module"),
        };
    }
    let first: Vec<String> = head.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    (format!("no WebAssembly (it begins with {})", first.join(" ")), "a module begins with 00 61 73 6d 01 00 00 00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_module_is_named_for_what_it_is() {
        let mut tar = vec![b'a'; 257];
        tar.extend(b"ustar\0");
        let cases: [(&[u8], &str); 15] = [
            (b"", "empty"),
            (b"\x1f\x8b\x08\0", "compressed with gzip"),
            (b"\x7fELF\x02\x01", "a program for this kind of machine (ELF)"),
            (b"#!/bin/sh\nexec x\n", "a script"),
            (b"\n  <!DOCTYPE html><html>", "a web page: a download may have failed"),
            (b"PK\x03\x04\x14", "a zip archive"),
            (COMPONENT, "a component"),
            (b"\0asm\x02\0\0\0", "a WebAssembly file of version 02 00 00 00"),
            (b"\0asm", "the beginning of a WebAssembly file, without the rest"),
            (b"import init from './x.js';\n", "source code"),
            (b"use std::io::Read;\n\nfn main() {}\n", "source code"),
            (b"package main\n", "source code"),
            (b"hello\n", "text"),
            (b"\x00\x01\x02\x03\x04", "no WebAssembly (it begins with 00 01 02 03)"),
            (&tar, "a tar archive"),
        ];
        for (head, what) in cases {
            assert_eq!(recognise(head).0, what, "{head:?}");
        }
    }

    #[test]
    fn a_module_and_what_is_not_there_are_left_to_who_reads_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.wasm");
        assert!(check(&path).is_ok());
        std::fs::write(&path, MODULE).expect("written");
        assert!(check(&path).is_ok());
        std::fs::write(&path, "(module)").expect("written");
        assert!(check(&path).is_ok(), "text");
        std::fs::write(&path, "(component)").expect("written");
        let failure = check(&path).expect_err("no module");
        assert_eq!(failure.code(), 65);
        let what = "a.wasm: is the text of a component, expected a WebAssembly module";
        assert!(failure.what().ends_with(what), "{failure}");
    }
}
