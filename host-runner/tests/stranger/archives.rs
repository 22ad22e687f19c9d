//! Archives that claim more than they hold, and imports that were killed.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tar::{EntryType, Header};

use crate::util::{Dir, FIB};
use crate::{MOST_MEMORY, MOST_TIME, meet, most_memory};

/// Writes an archive that begins with these entries, whose contents are as long as `there` says and all zeros.
fn archive(path: &Path, entries: &[(EntryType, &str, u64, u64)]) {
    let mut file = File::create(path).expect("made");
    let mut length = 0;
    for (kind, name, claimed, there) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(*claimed);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(length)).expect("sought");
        file.write_all(header.as_bytes()).expect("written");
        length += 512 + there.next_multiple_of(512);
        file.set_len(length).expect("set");
    }
}

#[test]
fn an_archive_is_believed_no_length_that_nothing_bears_out() {
    let dir = Dir::new();
    fs::create_dir(dir.path("aside")).expect("a directory");
    const GIB: u64 = 1 << 30;
    let plain = "is no regular file of a plain name, once";
    let regular = EntryType::Regular;
    for (entries, what) in [
        (vec![(EntryType::XHeader, "pax", 4 * GIB, 4 * GIB)], plain),
        (vec![(EntryType::XGlobalHeader, "pax", 4 * GIB, 4 * GIB)], plain),
        (vec![(EntryType::GNULongName, "././@LongLink", 4 * GIB, 4 * GIB)], "a name of 4294967296 bytes, at most 4096"),
        (vec![(EntryType::GNULongLink, "././@LongLink", 4 * GIB, 4 * GIB)], plain),
        (vec![(EntryType::GNUSparse, "1.bin", 4 * GIB, 512)], plain),
        (vec![(EntryType::GNULongName, "a", 2, 2), (EntryType::GNULongName, "b", 2, 2)], plain),
        (vec![(regular, "1.snap", 8 * GIB, 8 * GIB)], "1.snap: 8589934592 bytes, a snapshot has at most"),
        (vec![(regular, "files/x", 2 * GIB, 2 * GIB)], "files/x: 2147483648 bytes, an input has at most"),
        (vec![(regular, "receipt.json", GIB, GIB)], "receipt.json: 1073741824 bytes, a text of a run has at most"),
        (
            vec![(regular, "dispute.json", GIB, GIB)],
            "dispute.json: 1073741824 bytes, the account of a dispute has at most",
        ),
        (vec![(regular, "a/7.bin", 8 * GIB, 8 * GIB)], "the entry \"a/7.bin\" is not what its name says"),
        (vec![(regular, "files/x", GIB, 512)], "cut short in files/x"),
        (vec![(regular, "files/x", 512, 512), (regular, "files/x", 512, 512)], plain),
        (vec![(regular, "files/x", 512, 512), (regular, "files/x/y", 512, 512)], plain),
        (vec![(regular, "a/b/x.bin", 0, 0)], "the entry \"a/b/x.bin\" is no part of a chain"),
        (vec![(regular, "run.sh", 512, 512)], "the entry \"run.sh\" is no part of a chain, of its job or of a dispute"),
        (vec![(regular, ".1.snap.tmp", 512, 512)], "the entry \".1.snap.tmp\" is no part of a chain"),
        (vec![(regular, "files", 512, 512)], "the entry \"files\" is no part of a chain"),
    ] {
        archive(&dir.path("bad.tar"), &entries);
        for line in ["import bad.tar new", "check-bundle bad.tar --engine native"] {
            let met = meet(&mut dir.command(line), &dir.path("aside"));
            // Unpacked by the same code, if it begins as a bundle does.
            let is_none = line.starts_with("check-bundle") && met.stderr.contains("no bundle: it begins with");
            let is_said = is_none || met.stderr.contains(what);
            assert!(met.code == Some(65) && is_said, "{entries:?}, {line}: {}", met.stderr);
            assert!(most_memory() < MOST_MEMORY, "{entries:?}: {} KiB", most_memory());
            assert_eq!(dir.names(""), ["aside", "bad.tar"], "{entries:?}");
        }
    }
}

#[test]
fn an_entry_whose_name_is_not_utf8_does_not_get_another_one() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    dir.run("export out -o chain.tar").code(0);
    let mut bytes = fs::read(dir.path("chain.tar")).expect("read");
    bytes.truncate(bytes.len() - 1024);
    let mut header = Header::new_gnu();
    header.set_size(0);
    header.as_old_mut().name[..9].copy_from_slice(b"files/a\xff\xfe");
    header.set_cksum();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 1024]);
    fs::write(dir.path("chain.tar"), bytes).expect("written");
    dir.run("import chain.tar new").code(65).says("is no regular file of a plain name, once");
    assert!(!dir.path("new").exists());
}

#[test]
fn names_that_do_not_fit_into_a_header_are_carried_all_the_same() {
    let long = format!("{}.wasm", "n".repeat(150));
    let dir = Dir::with(&long, FIB);
    dir.run(&format!("--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output out {long} fib 20"))
        .code(0);
    dir.run("export out -o chain.tar").code(0);
    dir.run("import chain.tar new").code(0);
    assert_eq!(dir.names("new/files"), [long.as_str()]);
    dir.run(&format!("verify new/files/{long} new --engine native")).code(0);
}

#[test]
fn what_a_killed_import_has_left_the_next_one_removes() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    dir.run("export out -o good.tar").code(0);
    // Each of so many files is made durable by itself, which gives us time.
    let names: Vec<String> = (0..20_000).map(|number| format!("files/{number}")).collect();
    let entries: Vec<_> = names.iter().map(|name| (EntryType::Regular, name.as_str(), 1, 1)).collect();
    archive(&dir.path("long.tar"), &entries);
    let mut child = dir.command("import long.tar new").spawn().expect("starts");
    let began = Instant::now();
    while !dir.path(".new.import/files/1").exists() {
        assert!(began.elapsed() < MOST_TIME, "it does not begin");
        thread::sleep(Duration::from_millis(1));
    }
    // Two at once do not get into each other's way.
    dir.run("import good.tar new").code(74).says("another import is writing to this directory");
    child.kill().expect("killed");
    child.wait().expect("a child of ours");
    assert!(!dir.path("new").exists() && dir.path(".new.import/files/1").exists());
    dir.run("import good.tar new").code(0);
    assert!(!dir.path(".new.import").exists() && !dir.path("new/files/1").exists());
    dir.run("verify new/files/fib.wasm new --engine native").code(0);
    // What is in its place is nobody's to remove.
    fs::create_dir(dir.path("victim")).expect("a directory");
    fs::write(dir.path("victim/precious"), "").expect("written");
    std::os::unix::fs::symlink(dir.path("victim"), dir.path(".again.import")).expect("a link");
    dir.run("import good.tar again").code(74).says(".again.import: is in the way of the import");
    assert!(dir.path("victim/precious").exists());
    fs::create_dir(dir.path(".mine.import")).expect("a directory");
    fs::write(dir.path(".mine.import/notes"), "").expect("written");
    dir.run("import good.tar mine").code(74).says(".mine.import: is in the way of the import");
    assert!(dir.path(".mine.import/notes").exists());
}
