//! Stores that are damaged, in use, or of the first version.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use stepmark_runner::store::Database;

use crate::util::Dir;
use crate::{MOST_MEMORY, meet, most_memory};

type Entries = Vec<(Vec<u8>, u64, Vec<u8>)>;

/// What a store holds.
fn list(path: &Path) -> Result<Entries, stepmark_runner::failure::Failure> {
    let list = Database::open(path, false)?.view()?.list(&[], None, usize::MAX)?;
    Ok(list.into_iter().map(|(key, found)| (key, found.version, found.value)).collect())
}

/// A store of some pages, changed a few times.
fn store(path: &Path) -> Entries {
    let database = Database::open(path, true).expect("made");
    for round in 0..3u8 {
        let entry = |key: u8| (vec![b'k', key], Some(vec![key ^ round; 100]));
        let writes: Vec<_> = (round * 10..round * 10 + 60).map(entry).collect();
        database.put(&writes).expect("written");
    }
    drop(database);
    list(path).expect("honest")
}

/// Numbers that look like chance and are the same each time.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

#[test]
fn a_damaged_store_is_an_error_that_names_it_or_holds_what_it_held() {
    let dir = Dir::new();
    let path = dir.path("s.redb");
    let expected = store(&path);
    let whole = fs::read(&path).expect("readable");
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut random = numbers();
    let (mut refused, mut same) = (0, 0);
    for case in 0..400 {
        let mut bytes = whole.clone();
        match case % 4 {
            // The first page, of which little is covered by checksums.
            0 => bytes[random(320)] ^= 1 << random(8),
            1 => bytes[used[random(used.len())]] ^= 1 << random(8),
            2 => bytes[used[random(used.len())]] = random(256) as u8,
            _ => {
                let (from, to) = (random(whole.len() - 64), used[random(used.len())].min(whole.len() - 64));
                bytes.copy_within(from..from + 64, to);
            }
        }
        let damaged = dir.path("damaged.redb");
        fs::write(&damaged, &bytes).expect("written");
        match list(&damaged) {
            Ok(found) => {
                // The bit that names the last commit: see the test of what is said then.
                let is_before = bytes[9] ^ whole[9] == 1;
                assert!(found == expected || is_before, "case {case} lists something else");
                same += 1;
            }
            Err(failure) => {
                assert!(failure.code() == 74 && failure.what().contains("damaged.redb: "), "case {case}: {failure}");
                refused += 1;
            }
        }
    }
    println!("{refused} refused, {same} the same");
    assert!(refused > 100 && same > 20, "{refused} refused, {same} the same");
}

#[test]
fn a_store_that_makes_the_database_panic_is_74_and_nobody_sees_a_panic() {
    let dir = Dir::new();
    let path = dir.path("s.redb");
    store(&path);
    fs::create_dir(dir.path("aside")).expect("a directory");
    let whole = fs::read(&path).expect("readable");
    let mut damaged = whole.clone();
    // Everything but the first page.
    damaged[4096..].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(&path, damaged).expect("written");
    for line in ["store list s.redb", "store get s.redb k", "store put s.redb k v", "store export s.redb out"] {
        let met = meet(&mut dir.command(line), &dir.path("aside"));
        assert_eq!(met.code, Some(74), "{line}: {}", met.stderr);
        assert!(
            met.stderr.starts_with("error: s.redb: ") && !met.stderr.contains("panicked"),
            "{line}: {}",
            met.stderr
        );
    }
    assert!(!dir.path("out").exists() && most_memory() < MOST_MEMORY);
}

#[test]
fn a_command_that_is_killed_leaves_a_store_that_opens_with_what_was_committed() {
    let dir = Dir::new();
    store(&dir.path("s.redb"));
    let count = || {
        let listed = dir.run("store list s.redb").code(0).stdout().to_vec();
        String::from_utf8(listed).expect("text").lines().count()
    };
    let (mut before, mut killed) = (count(), 0);
    // In 60 of these, an earlier version lost about 15 stores while it wrote, and 6 while it read.
    for number in 0..60 {
        for line in [format!("store put s.redb key{number} 0x01"), "store list s.redb".to_owned()] {
            let mut child = dir.command(&line).spawn().expect("starts");
            thread::sleep(Duration::from_micros(500 + 97 * number));
            child.kill().expect("killed, or has ended");
            killed += usize::from(!child.wait().expect("a child of ours").success());
        }
        let now = count();
        assert!(now == before || now == before + 1, "{number}: {before} lines, then {now}");
        before = now;
    }
    println!("{killed} of 120 commands were killed");
}

#[test]
fn a_store_that_names_an_older_commit_than_its_last_is_shown_with_a_warning() {
    let dir = Dir::new();
    let path = dir.path("s.redb");
    store(&path);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[9] ^= 1;
    fs::write(&path, bytes).expect("written");
    let warning = "s.redb shows an older commit than the last that was written";
    let ran = dir.run("store list s.redb");
    assert!(ran.stderr().contains(warning), "{}", ran.stderr());
}

#[test]
fn a_store_that_claims_terabytes_is_refused_and_stays_as_it_is() {
    let dir = Dir::new();
    let path = dir.path("s.redb");
    store(&path);
    fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(4 << 40)).expect("longer");
    let met = meet(&mut dir.command("store list s.redb"), &dir.path(""));
    assert_eq!(met.code, Some(74), "{}", met.stderr);
    assert!(met.stderr.contains("of which the disk holds next to nothing"), "{}", met.stderr);
}

#[test]
fn an_export_never_takes_the_place_of_a_store() {
    let dir = Dir::new();
    store(&dir.path("s.redb"));
    dir.run("store export s.redb s.redb").code(2).says("s.redb is a store, and the export would replace it");
    dir.run("store list s.redb").code(0);
}

#[test]
fn a_store_of_the_first_version_becomes_one_of_the_second_with_the_same_entries() {
    let dir = Dir::new();
    let path = dir.path("s.redb");
    let entries: redb::TableDefinition<'_, &[u8], (u64, &[u8])> = redb::TableDefinition::new("entries");
    let version: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("version");
    let database = redb::Database::create(&path).expect("made");
    let write = database.begin_write().expect("begun");
    write.open_table(entries).expect("made").insert(&b"a"[..], (1, &b"one"[..])).expect("written");
    write.open_table(entries).expect("made").insert(&b"b"[..], (3, &b""[..])).expect("written");
    write.open_table(version).expect("made").insert("", 3).expect("written");
    write.commit().expect("committed");
    drop(database);
    let listed = "'a' version 1 'one'\n'b' version 3 0x\nversion 3\n";
    for _ in 0..2 {
        let ran = dir.run("store list s.redb").code(0);
        assert_eq!(String::from_utf8_lossy(ran.stdout()), listed);
    }
    dir.run("store put s.redb c three").code(0);
    assert_eq!(list(&path).expect("whole").len(), 3);
    // One of them is taken out behind our back.
    let database = redb::Database::create(&path).expect("opens");
    let write = database.begin_write().expect("begun");
    let sealed: redb::TableDefinition<'_, &[u8], (u64, &[u8])> = redb::TableDefinition::new("sealed-entries");
    write.open_table(sealed).expect("there").remove(&b"b"[..]).expect("removed");
    write.commit().expect("committed");
    drop(database);
    dir.run("store get s.redb b").code(74).says("s.redb: damaged: its entries do not have the sum");
}

#[test]
fn processes_wait_for_each_other_and_all_of_them_succeed() {
    let dir = Dir::new();
    thread::scope(|scope| {
        for process in 0..8 {
            let dir = &dir;
            scope.spawn(move || {
                for put in 0..20 {
                    dir.run(&format!("store put s.redb {process}-{put} v --wait 60")).code(0);
                }
            });
        }
    });
    let listed = dir.run("store list s.redb").code(0);
    assert_eq!(listed.stdout().iter().filter(|byte| **byte == b'\n').count(), 161);
    assert!(listed.stdout().ends_with(b"version 160\n"));
}

#[test]
fn who_does_not_wait_is_told_what_to_do_and_who_waits_what_for() {
    let dir = Dir::new();
    let held = Database::open(&dir.path("s.redb"), true).expect("made");
    dir.run("store put s.redb k v --wait 0")
        .code(74)
        .says("s.redb: is in use by another process")
        .says("--wait SECONDS");
    let waiting =
        dir.command("store put s.redb k v --wait 60").stderr(std::process::Stdio::piped()).spawn().expect("starts");
    thread::sleep(std::time::Duration::from_millis(1500));
    drop(held);
    let waited = waiting.wait_with_output().expect("a child of ours");
    assert!(waited.status.success());
    let said = String::from_utf8_lossy(&waited.stderr).into_owned();
    assert_eq!(said, "waiting for s.redb, which is in use by another process (--wait 0 does not wait)\n");
}
