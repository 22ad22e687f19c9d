//! Bytes as a tar archive, of a chain or of a dispute: what is unpacked are regular files inside the directory, no more bytes
//! than the archive has, and an import whose check fails leaves nothing behind.

use std::fs;
use std::path::Path;

use stepmark_runner::archive::{Writer, import, unpack};
use stepmark_runner::bisect::recheck;
use stepmark_runner::bounds::Bounds;
use stepmark_runner::failure::Failure;
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::node::engine::Engine;

/// Bytes of all files below a directory.
fn size_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry"));
    let size = |entry: fs::DirEntry| {
        let metadata = entry.path().symlink_metadata().expect("an entry is there");
        assert!(metadata.is_dir() || metadata.is_file(), "{} is neither file nor directory", entry.path().display());
        if metadata.is_dir() { size_below(&entry.path()) } else { metadata.len() }
    };
    entries.map(size).sum()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry"));
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub(super) fn archive(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let [file, inside, imported] = ["archive", "inside", "imported"].map(|name| folder.path().join(name));
    fs::write(&file, data).expect("a file");
    fs::create_dir(&inside).expect("a directory");
    let unpacked = unpack(&file, &inside, false, &Interrupt::new()).is_ok();
    assert!(size_below(&inside) <= data.len() as u64, "more bytes than the archive has");
    let refused = import(&file, &imported, &Interrupt::new(), |_| Err(Failure::data("no chain")));
    assert!(refused.is_err(), "imported though the check fails");
    assert_eq!(names(folder.path()), ["archive", "inside"], "something lies beside");
    // Neither has a snapshot of a program: it is refused before anything runs.
    let verdict = if unpacked { recheck(&file, Engine::Native, &Bounds::default()) } else { return };
    assert!(verdict.is_err(), "decided without a program: {verdict:?}");
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let dispute = r#"{"kind":"chains","id":1,"limit":10,"snap_hash":"00","right":"a"}"#;
    let made = |files: &[(&str, &[u8])]| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("archive");
        let mut writer = Writer::create(&path).expect("an archive");
        files.iter().for_each(|(name, bytes)| writer.bytes(name, bytes).expect("an entry"));
        writer.finish().expect("a file");
        fs::read(path).expect("the archive")
    };
    vec![
        made(&[("1.snap", b"GI-SNAP\n"), ("a/1.snap", b"GI-SNAP\n"), ("dispute.json", dispute.as_bytes())]),
        made(&[("files/program.wasm", b"\0asm\x01\0\0\0")]),
    ]
}
