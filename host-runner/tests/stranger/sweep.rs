//! Every file that a command reads, in every state that a stranger can leave it in, for every command that reads it: it ends
//! soon, takes little memory, says what is wrong with which file, and changes nothing. What each says is in `table.txt`;
//! `BLESS=1` writes it anew.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::util::{Dir, FIB};
use crate::{MOST_MEMORY, meet, most_memory};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stranger/table.txt");

/// What stands in the place of a file.
const STATES: [&str; 11] =
    ["absent", "empty", "text", "directory", "FIFO", "socket", "device", "loop", "link out", "8 GiB", "no permission"];

/// Who runs a command that has no permission: root has every one.
const NOBODY: u32 = 65_534;

/// Commands, and the files that they read, of the directory that `fixture` makes.
const READS: [(&str, &str); 37] = [
    (
        "verify fib.wasm out --engine native --jobs 1",
        "fib.wasm out/1.snap out/2.snap out/1.bin out/2.bin out/receipt.json out/result.txt",
    ),
    ("verify fib.wasm merged --engine native --jobs 1 --from 2", "merged/base.bin merged/2.snap merged/3.bin"),
    (
        "verify token.wasm answers --engine native --jobs 1",
        "answers/1.calls answers/2.calls answers/rwset.bin answers/rwset.json",
    ),
    (
        "verify files.wasm kept --engine native --jobs 1 --delivered left",
        "left/db/copy left/db/table1 kept/receipt.json input.txt",
    ),
    ("executor out@2 fib.wasm --engine native", "out/2.snap out/1.bin fib.wasm"),
    ("bench fib.wasm fib 5", "fib.wasm"),
    (
        "--engine native --store s.redb --no-commit --contract c=module.wasm --call-data 0x00 --snapshot-output new token.wasm invoke",
        "module.wasm token.wasm",
    ),
    ("inspect out@2", "out/2.snap out/1.bin out/2.bin out/fib.wasm"),
    ("inspect out", "out/3.snap"),
    ("debug out -x c", "out/2.snap out/2.bin out/receipt.json out/fib.wasm"),
    ("inspect out@final", "out/final.snap out/final.bin"),
    ("inspect paused", "paused/paused.snap paused/paused.bin"),
    ("inspect merged@2", "merged/base.bin"),
    ("diff out@1 out@2", "out/1.snap out/2.bin"),
    ("resume out@2 --engine native --enable-gas-refill --snapshot-output new", "out/2.snap out/1.bin"),
    ("resume paused --engine native --enable-gas-refill", "paused/paused.snap paused/paused.bin"),
    ("resume answers@1 --engine native --store s.redb --no-commit --snapshot-output new", "answers/1.snap s.redb"),
    (
        "--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20",
        "fib.wasm out/1.snap out/2.bin out/result.txt out/final.snap",
    ),
    ("--engine native --gas-schedule prices --snapshot-output new fib.wasm fib 5", "prices"),
    ("--engine native --stdin input --snapshot-output new fib.wasm fib 5", "input"),
    ("--engine native --file data=input --snapshot-output new fib.wasm fib 5", "input"),
    ("--engine native --preload m=module.wasm --snapshot-output new fib.wasm fib 5", "module.wasm"),
    ("estimate fib.wasm", "fib.wasm"),
    ("estimate --gas-schedule prices fib.wasm", "prices"),
    ("profile fib.wasm fib 5", "fib.wasm"),
    ("reference fib.wasm fib 5", "fib.wasm"),
    ("reference --stdin input fib.wasm fib 5", "input"),
    ("bisect fib.wasm out false --engine native", "out/2.snap false/2.snap false/1.bin"),
    ("witness out@1 fib.wasm -o new.witness", "out/1.snap out/1.bin"),
    ("check-witness segment.witness fib.wasm --expect out/2.snap", "segment.witness out/2.snap"),
    ("merge out --to 2", "out/1.bin out/3.snap"),
    ("prune out --keep-last 2", "out/2.bin"),
    ("export out -o new.tar", "out/2.snap out/2.bin out/receipt.json out/final.bin"),
    ("import chain.tar new", "chain.tar"),
    ("check-bundle dispute.tar --engine native", "dispute.tar"),
    ("store list s.redb", "s.redb"),
    ("store commit s.redb answers/rwset.bin", "answers/rwset.bin s.redb"),
];

/// Commands that start the node as wasm, in which a good file is another test's.
const FROZEN: [(&str, &str); 2] =
    [("thaw node.frozen", "node.frozen"), ("freeze node.frozen --after 10 fib.wasm fib 20", "node.frozen")];

/// Files that are there beside those of the chain, for every command that lists it.
const BESIDE: [&str; 5] = [
    "out/18446744073709551615.snap",
    "out/18446744073709551615.bin",
    "out/18446744073709551615.calls",
    "out/5000000000.snap",
    "out/30000000.snap",
];
const LISTS: [&str; 9] = [
    "verify fib.wasm out --engine native --jobs 1",
    "inspect out",
    "debug out -x c",
    "resume out --engine native --enable-gas-refill",
    "--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20",
    "bisect fib.wasm out false --engine native",
    "merge out",
    "prune out",
    "export out -o new.tar",
];

/// Honest files of every kind.
pub(crate) fn fixture() -> Dir {
    let dir = Dir::with("fib.wasm", FIB);
    dir.add("module.wasm", "(module)");
    dir.sample("contracts/token.wasm");
    fs::write(dir.path("input"), "text").expect("written");
    fs::write(dir.path("prices"), stepmark_core::gas::Schedule::default().text()).expect("written");
    let chain = "--engine native --gas-limit 50000 --enable-gas-refill";
    for name in ["out", "merged"] {
        dir.run(&format!("{chain} --keep-final --snapshot-output {name} fib.wasm fib 20")).code(0);
    }
    fs::copy(dir.path("fib.wasm"), dir.path("out/fib.wasm")).expect("copied");
    dir.run("merge merged --to 2").code(0);
    dir.run("store put s.redb balance/alice 0x6400000000000000").code(0);
    let data = "0x7472616e7366657220616c69636520626f62203330";
    dir.run(&format!("--engine native --gas-limit 5000 --enable-gas-refill --store s.redb --no-commit --call-data {data} --snapshot-output answers token.wasm invoke")).code(0);
    dir.sample("wasi/files.wasm");
    fs::write(dir.path("input.txt"), "some text\n").expect("written");
    dir.run(&format!("{chain} --file /data/input.txt=input.txt --deliver left --snapshot-output kept files.wasm"))
        .code(0);
    pause(&dir);
    dispute(&dir);
    dir.run("witness out@1 fib.wasm -o segment.witness").code(0);
    dir.run("export out -o chain.tar").code(0);
    dir
}

/// A directory with a pause after snapshot 2.
fn pause(dir: &Dir) {
    use std::io::Write;
    fs::create_dir(dir.path("paused")).expect("a directory");
    for name in ["1.snap", "1.bin", "2.snap", "2.bin"] {
        fs::copy(dir.path(&format!("out/{name}")), dir.path(&format!("paused/{name}"))).expect("copied");
    }
    let mut command = dir.command("executor out@2 fib.wasm --engine native");
    let mut child =
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().expect("starts");
    child.stdin.take().expect("a pipe").write_all(b"state 1000 all paused\nquit\n").expect("written");
    assert!(child.wait().expect("a child of ours").success());
}

/// The bundle of a dispute between `out` and a chain whose second snapshot is forged.
fn dispute(dir: &Dir) {
    use stepmark_snapshot::snap;
    fs::create_dir(dir.path("false")).expect("a directory");
    for name in ["1.snap", "1.bin", "2.bin"] {
        fs::copy(dir.path(&format!("out/{name}")), dir.path(&format!("false/{name}"))).expect("copied");
    }
    let mut raw = snap::decode(&dir.read("out/2.snap")).expect("a snapshot");
    raw.state.frames[0].locals[0] ^= 1;
    let (bytes, _) = snap::encode(&raw.job, &raw.segment, &raw.state).expect("encodes");
    fs::write(dir.path("false/2.snap"), bytes).expect("written");
    dir.run("bisect fib.wasm out false --engine native --bundle dispute.tar").code(1);
}

/// Puts a state in the place of a file; `honest` is a directory with the files as they were.
pub(crate) fn put(state: &str, path: &Path, honest: &Path) {
    if fs::symlink_metadata(path).is_ok() {
        fs::remove_file(path).expect("removed");
    }
    match state {
        "absent" => {}
        "empty" => fs::write(path, "").expect("written"),
        "text" => {
            fs::write(path, "something else, and longer than any header that there is: ".repeat(9)).expect("written")
        }
        "directory" => fs::create_dir(path).expect("made"),
        "FIFO" => mkfifo(path, Mode::S_IRWXU).expect("made"),
        "socket" => drop(UnixListener::bind(path).expect("bound")),
        "device" => symlink("/dev/zero", path).expect("made"),
        "loop" => symlink(path, path).expect("made"),
        "link out" => symlink(honest, path).expect("made"),
        "8 GiB" => File::create(path).and_then(|file| file.set_len(8 << 30)).expect("made"),
        "no permission" => {
            fs::copy(honest, path).expect("copied");
            fs::set_permissions(path, fs::Permissions::from_mode(0o0)).expect("set");
        }
        other => panic!("{other}"),
    }
}

/// One line of the table: a command, what is wrong, and where.
#[derive(Clone, Debug)]
struct Row {
    command: &'static str,
    state: &'static str,
    file: &'static str,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (command, files) in READS.into_iter().chain(FROZEN) {
        for file in files.split_whitespace() {
            let honest = !command.starts_with("thaw") && !command.starts_with("freeze");
            // What a good node or a measurement says differs from run to run; one that cannot be read is replaced by a good one.
            let is_met = |state: &&str| match *state {
                "no permission" => !command.starts_with("freeze"),
                "link out" => honest && !command.starts_with("bench"),
                "absent" => honest,
                _ => true,
            };
            let states = STATES.into_iter().filter(is_met);
            rows.extend(states.map(|state| Row { command, state, file }));
        }
    }
    for command in LISTS {
        rows.extend(BESIDE.map(|file| Row { command, state: "beside", file }));
    }
    rows
}

/// Copies a tree of plain files and directories.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("known").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

/// Every name below a directory, with what it is and, of small files, a hash of what is in it.
fn listing(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let found = fs::symlink_metadata(&path).expect("there");
        // A database that is opened is written to, whatever comes of it; what it holds is the matter of `databases`.
        let is_compared = found.is_file() && found.len() < 1 << 20 && path.extension().is_none_or(|ext| ext != "redb");
        // Who is not root cannot read what has no permission.
        let contents = if is_compared { fs::read(&path).ok() } else { None };
        let contents = contents.map_or_else(String::new, |bytes| blake3::hash(&bytes).to_hex().to_string());
        all.insert(path.clone(), format!("{:?} {} {contents}", found.file_type(), found.len()));
        if found.is_dir() {
            all.extend(listing(&path));
        }
    }
    all
}

/// Runs a row in a copy of the fixture; what it came to, as the table has it.
fn meet_row(row: &Row, fixture: &Path, scratch: &Path) -> String {
    let (work, aside) = (scratch.join("work"), scratch.join("aside"));
    copy(fixture, &work);
    fs::create_dir_all(aside.join("tmp")).expect("made");
    let path = work.join(row.file);
    match row.state {
        "beside" => fs::write(&path, "").expect("written"),
        state => put(state, &path, &fixture.join(row.file)),
    }
    let before = listing(&work);
    let mut command = Command::new(scratch.with_file_name("stepmark"));
    command.args(row.command.split_whitespace()).current_dir(&work).env("TMPDIR", aside.join("tmp"));
    command.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
    if row.state == "no permission" && is_root() {
        give_away(scratch);
        command.uid(NOBODY).gid(NOBODY);
    }
    let met = meet(&mut command, &aside);
    let said =
        if met.stderr.is_empty() || met.code == Some(1) { [&*met.stderr, &met.stdout].concat() } else { met.stderr };
    let mut outcome =
        format!("{} {}", met.code.map_or("HANGS".to_owned(), |code| code.to_string()), shown(&said, scratch));
    // What has done its work may write; what refuses must not have.
    if matches!(met.code, None | Some(2 | 65 | 74)) && listing(&work) != before {
        outcome.push_str(" CHANGED");
    }
    fs::remove_dir_all(scratch).expect("removed");
    outcome
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("known").uid() == 0
}

/// Makes somebody else the owner of everything below a directory.
fn give_away(path: &Path) {
    let found = fs::symlink_metadata(path).expect("there");
    lchown(path, Some(NOBODY), Some(NOBODY)).expect("given away");
    if found.is_dir() {
        fs::read_dir(path).expect("a directory").for_each(|entry| give_away(&entry.expect("an entry").path()));
    }
}

/// What was said, in one line, without what differs from run to run.
pub(crate) fn shown(said: &str, scratch: &Path) -> String {
    let said = said.replace(&scratch.display().to_string(), "").trim_end().replace('\n', " / ");
    let words = said.split(' ').map(|word| {
        let digits = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let is_hash = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_time = word.split_once('.').is_some_and(|(a, b)| {
            [a, b].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        });
        match (is_hash, is_time) {
            (true, _) => word.replace(digits, "HASH"),
            (_, true) => "T".to_owned(),
            _ if word.contains("/aside/tmp/") => {
                word.split("/aside/tmp/").next().unwrap_or_default().to_owned() + "TMP"
            }
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn no_file_of_a_strangers_makes_a_command_wait_swell_or_change_anything() {
    let fixture = fixture();
    freeze(&fixture);
    let rows = rows();
    let scratch = Dir::new();
    // Others must get to where they work, and to the program.
    fs::set_permissions(scratch.path(""), fs::Permissions::from_mode(0o755)).expect("set");
    fs::copy(env!("CARGO_BIN_EXE_stepmark"), scratch.path("stepmark")).expect("copied");
    let (next, met) = (Mutex::new(rows.iter().enumerate()), Mutex::new(BTreeMap::new()));
    let largest = most_memory();
    assert!(largest < MOST_MEMORY, "honest files take {largest} KiB");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((number, row)) = next.lock().expect("whole").next() else { return };
                    let outcome = meet_row(row, fixture.path("").as_path(), &scratch.path(&number.to_string()));
                    assert!(most_memory() < MOST_MEMORY, "{row:?}: {} KiB, {outcome}", most_memory());
                    met.lock().expect("whole").insert(number, outcome);
                }
            });
        }
    });
    let met = met.into_inner().expect("whole");
    let table = table(&rows, &met);
    if std::env::var_os("BLESS").is_some() {
        fs::write(TABLE, &table).expect("written");
    }
    for bad in ["HANGS", "CHANGED", "101 "] {
        let found: Vec<&str> = table.lines().filter(|line| line.contains(bad)).collect();
        assert!(found.is_empty(), "{bad}: {found:#?}");
    }
    println!("{} commands and files, at most {} KiB", rows.len(), most_memory());
    let expected = fs::read_to_string(TABLE).unwrap_or_default();
    let differ = expected.lines().zip(table.lines()).find(|(expected, found)| expected != found);
    assert!(expected == table, "the table differs (BLESS=1 writes it anew): expected | found: {differ:#?}");
}

/// A frozen node of a run that is half done.
pub(crate) fn freeze(dir: &Dir) {
    let line = "freeze node.frozen --after 50000 --gas-limit 50000 --enable-gas-refill --snapshot-output frozen fib.wasm fib 20";
    let (code, said) = detached(&dir.path(""), line);
    assert!(code == 0 && dir.path("node.frozen").exists(), "{said}");
}

/// Runs a command in `dir` as a process that is no child of ours: compiling the node takes more memory than anything here.
/// Its exit code and what it said on standard error.
pub(crate) fn detached(dir: &Path, line: &str) -> (i32, String) {
    let mut command = Command::new("sh");
    let line = format!("(\"$0\" {line} >.out 2>.said; echo $? >.code; mv .code .done) &");
    command.args(["-c", &line, env!("CARGO_BIN_EXE_stepmark")]).current_dir(dir);
    command.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
    assert!(command.status().expect("starts").success());
    let done = dir.join(".done");
    while !done.exists() {
        thread::sleep(std::time::Duration::from_millis(20));
    }
    let code = fs::read_to_string(&done).expect("readable").trim().parse().expect("a number");
    let said = fs::read_to_string(dir.join(".said")).expect("readable");
    [".done", ".said", ".out"].iter().for_each(|name| fs::remove_file(dir.join(name)).expect("removed"));
    (code, said)
}

/// The table: for each command and file, the outcomes with the states that come to them.
fn table(rows: &[Row], met: &BTreeMap<usize, String>) -> String {
    /// Outcomes, each with the states that come to it.
    type Outcomes<'a> = Vec<(&'a str, Vec<&'a str>)>;
    let mut grouped: Vec<((&str, &str), Outcomes<'_>)> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let of = (row.command, row.file);
        if grouped.last().is_none_or(|(last, _)| *last != of) {
            grouped.push((of, Vec::new()));
        }
        let outcomes = &mut grouped.last_mut().expect("pushed").1;
        let outcome = met[&number].as_str();
        match outcomes.iter_mut().find(|(found, _)| *found == outcome) {
            Some((_, states)) => states.push(row.state),
            None => outcomes.push((outcome, vec![row.state])),
        }
    }
    let (mut text, mut last) = (String::new(), "");
    for ((command, file), outcomes) in grouped {
        if command != last {
            text.push_str(&format!("{command}\n"));
            last = command;
        }
        text.push_str(&format!("  {file}\n"));
        for (outcome, states) in outcomes {
            text.push_str(&format!("    {}: {outcome}\n", states.join(", ")));
        }
    }
    text
}
