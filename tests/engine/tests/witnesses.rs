//! What a witness may leave out: of a memory the pages that the segment does not touch, and nothing else.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use engine_tests::mutate::{Subject, forge, seal};
use engine_tests::session::{Files, Job, program};
use engine_tests::witness::{executed, made, resumed, witness_of};
use stepmark_snapshot::job::{Job as SnapshotJob, JobFunction};
use stepmark_snapshot::snap;
use stepmark_snapshot::witness::{Growth, Witness, is_recorded_by_page, kept, refuse_answers};
use stepmark_state::limits::WASM_PAGE;
use stepmark_state::merkle::{PageTree, siblings};
use stepmark_state::pages::SpaceId;
use stepmark_state::pages::{PAGE, SPACE_MEMORY, SPACE_TABLE};

/// Two memories, of which the segment touches three pages and grows one; a table of three pages (1,200 elements of 8
/// bytes) whose contents decide what is called.
const PROGRAM: &str = r#"(module (type $t (func (result i32)))
  (memory $a 2 5) (memory $b 1 2) (table $t 1200 funcref) (elem declare func $one)
  (func $one (result i32) (i32.const 1))
  (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (i32.store $b (i32.const 8192) (i32.const 77))
    (table.set $t (i32.const 500) (ref.func $one))
    (loop $l
      (i32.store $a (i32.const 5000) (local.get $n))
      (i32.store $a (i32.const 16382) (i32.load $a (i32.const 5000)))
      (if (i32.eq (local.get $n) (i32.const 150)) (then (i32.store $a
        (i32.mul (memory.grow $a (i32.const 1)) (i32.const 65536)) (i32.const 1))))
      (local.set $sum (i32.add (local.get $sum) (call_indirect $t (type $t) (i32.const 500))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (local.get $sum) (i32.load $b (i32.const 8192)))))"#;

const A: SpaceId = SpaceId::new(SPACE_MEMORY, 0);
const B: SpaceId = SpaceId::new(SPACE_MEMORY, 1);
const TABLE: SpaceId = SpaceId::new(SPACE_TABLE, 0);
/// Pages of the first memory before it grows; bytes of a page are 4,096.
const PAGES: u64 = 32;
/// The most that the first memory grows to by its type.
const MOST_BY_TYPE: u64 = 5 * 16;

struct Honest {
    subject: Subject,
    witness: Witness,
    files: Files,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let job = Job::new(program(PROGRAM), "--max-memory 4194304", "program.wasm run 400");
    let whole = job.start("", engine_tests::session::Drive::WHOLE).unwrap();
    let [subject, _] = Subject::both("witness", job, whole.gas * 2 / 5, 1);
    let (witness, files) = made(&subject).unwrap();
    Honest { subject, witness, files }
});

/// What is said of a witness after its bytes were read again: nothing if it leads to what the run led to.
fn said(witness: &Witness) -> String {
    let found = Witness::decode(&witness.encode()).and_then(|witness| executed(&HONEST.subject, &witness));
    match found {
        Ok(files) if files == HONEST.files => String::new(),
        Ok(_) => "another end".to_owned(),
        Err(error) => error.message().to_owned(),
    }
}

/// The tree of a space with all its pages.
fn tree(number: SpaceId) -> PageTree {
    let mut session = resumed(&HONEST.subject).unwrap();
    let space = HONEST.witness.snapshot.state.spaces.iter().find(|space| space.id() == number).unwrap();
    let mut tree = PageTree::new();
    for page in 0..space.pages {
        tree.update(page, &session.page(number, page));
    }
    assert_eq!(tree.root(), space.root);
    tree
}

/// The honest witness with other pages of a space, and the hashes beside them as they are.
fn with(number: SpaceId, change: impl FnOnce(&mut stepmark_snapshot::witness::SpacePages)) -> Witness {
    let mut witness = HONEST.witness.clone();
    let pages = witness.pages.get_mut(&number).unwrap();
    change(pages);
    let indices: Vec<u64> = pages.keys().copied().collect();
    let tree = tree(number);
    let hashes = siblings(&indices).into_iter().map(|(level, index)| tree.node(level, index)).collect();
    witness.hashes.insert(number, hashes);
    witness
}

#[test]
fn a_witness_has_the_touched_pages_of_memories_and_all_of_tables() {
    let indices = |number| HONEST.witness.pages[&number].keys().copied().collect::<Vec<u64>>();
    assert_eq!(indices(A), [1, 3, 4, PAGES]);
    assert!(indices(B).is_empty());
    assert_eq!(indices(TABLE), [0, 1, 2]);
    assert_eq!(said(&HONEST.witness), "");
    assert!(is_recorded_by_page(SPACE_MEMORY) && !is_recorded_by_page(SPACE_TABLE));
}

#[test]
fn a_witness_of_more_pages_of_a_memory_leads_to_the_same() {
    let every: BTreeSet<(u32, u64)> = (0..PAGES).map(|page| (0, page)).chain([(1, 2), (0, PAGES)]).collect();
    let more = witness_of(&HONEST.subject, HONEST.witness.snapshot.clone(), &every).unwrap();
    assert_eq!(more.pages[&A].len() as u64, PAGES + 1);
    assert_eq!(more.pages[&B].keys().copied().collect::<Vec<u64>>(), [2]);
    assert_eq!(said(&more), "");
    assert_eq!(said(&with(A, |pages| drop(pages.insert(PAGES + 1, None)))), "");
}

#[test]
fn a_page_of_a_memory_that_is_left_out_and_touched_is_missing_and_one_of_a_table_is_refused() {
    let without = |number, page| said(&with(number, |pages| drop(pages.remove(&page).unwrap())));
    for page in [1, 3, 4, PAGES] {
        assert_eq!(without(A, page), format!("the segment touches page {page} of memory 0, which is not there"));
    }
    for page in 0..3 {
        let expected = format!("witness: page {page} of table 0 is not there, expected all 3 of it");
        assert_eq!(without(TABLE, page), expected);
    }
    let none = said(&with(TABLE, |pages| pages.clear()));
    assert_eq!(none, "witness: page 0 of table 0 is not there, expected all 3 of it");
}

#[test]
fn pages_and_hashes_are_those_that_the_snap_commits_to() {
    let changed = |number, page: u64| {
        said(&with(number, |pages| {
            let mut contents = *stepmark_snapshot::witness::contents(&pages[&page]);
            contents[9] ^= 1;
            pages.insert(page, kept(&contents));
        }))
    };
    let root = |name: &str| format!("witness: the contents of {name} do not have the root that the .snap commits to");
    assert_eq!(changed(A, 1), root("memory 0"));
    assert_eq!(changed(TABLE, 2), root("table 0"));
    let mut witness = HONEST.witness.clone();
    witness.hashes.get_mut(&B).unwrap()[0][0] ^= 1;
    assert_eq!(said(&witness), root("memory 1"));
}

#[test]
fn pages_beyond_the_end_are_zero_and_below_the_greatest_size() {
    let beyond = |page: u64, contents: Option<[u8; PAGE]>| {
        said(&with(A, |pages| drop(pages.insert(page, contents.map(Box::new)))))
    };
    let end = |page| format!("page {page} of memory 0 is beyond its end, at page 32, and not zero");
    assert_eq!(beyond(PAGES, Some([1; PAGE])), format!("witness: {}", end(PAGES)));
    assert_eq!(beyond(MOST_BY_TYPE - 1, None), "");
    let by_type = format!("witness: memory 0 grows to 80 pages: there is no page {MOST_BY_TYPE}");
    assert_eq!(beyond(MOST_BY_TYPE, None), by_type);
    // The job allows 4 MiB in all: 1,024 pages, of which the other memory has 16.
    let most = Growth::new(&HONEST.witness.snapshot).most(PAGES);
    assert_eq!(most, 1024 - 16);
    let by_job = format!("witness: memory 0 has 32 pages and at most {most}: there is no page {most}");
    assert_eq!(beyond(most, None), by_job);
    assert_eq!(beyond(most - 1, None), format!("witness: memory 0 grows to 80 pages: there is no page {}", most - 1));
    let table = said(&with(TABLE, |pages| drop(pages.insert(3, None))));
    assert_eq!(table, "witness: table 0 has 3 pages and at most 3: there is no page 3");
}

#[test]
fn memories_grow_by_whole_pages_within_the_limit_of_all_of_them() {
    let most = |limit: u64, pages: u64| {
        let mut raw = HONEST.witness.snapshot.clone();
        raw.job.limits.memory_bytes = limit;
        Growth::new(&raw).most(pages)
    };
    // 32 and 16 pages of 4 KiB are there.
    assert_eq!(most(48 * 4096, 32), 32);
    assert_eq!(most(48 * 4096 + WASM_PAGE - 1, 32), 32);
    assert_eq!(most(48 * 4096 + WASM_PAGE, 32), 48);
    assert_eq!(most(48 * 4096 + 2 * WASM_PAGE + 5, 16), 48);
    assert_eq!(most(0, 32), 32);
}

/// A state whose hashes were made to fit is refused for what it leaves out, wherever it stands.
#[test]
fn what_lies_beyond_the_end_of_a_space_is_zero() {
    let mut witness = HONEST.witness.clone();
    let mut raw = witness.snapshot.clone();
    let space = raw.state.spaces.iter_mut().find(|space| space.id() == B).unwrap();
    // The memory is said to be a page of 64 KiB shorter: its contents are then beyond its end.
    space.pages = 0;
    witness.snap = forge(&raw);
    witness.snapshot = snap::decode(&witness.snap).unwrap();
    let refused = witness.close().unwrap_err();
    assert_eq!(refused.message(), "witness: memory 1 is not zero beyond its end, at page 0");
}

#[test]
fn spaces_are_those_of_the_state() {
    let mut more = HONEST.witness.clone();
    more.pages.insert(SpaceId::new(SPACE_TABLE, 1), more.pages[&TABLE].clone());
    assert_eq!(more.close().unwrap_err().message(), "witness: table 1 is not in the state");
    let mut more = HONEST.witness.clone();
    more.hashes.insert(SpaceId::new(SPACE_MEMORY, 2), Vec::new());
    assert_eq!(more.close().unwrap_err().message(), "witness: memory 2 is not in the state");
    let mut less = HONEST.witness.clone();
    less.hashes.remove(&A);
    assert_eq!(less.close().unwrap_err().message(), "witness: the hashes of memory 0 are not there");
    // All hashes fit a state without a space, but the program has it.
    let mut raw = HONEST.witness.snapshot.clone();
    raw.state.spaces.retain(|space| space.id() != B);
    let mut witness = HONEST.witness.clone();
    witness.pages.remove(&B);
    witness.hashes.remove(&B);
    witness.snap = forge(&raw);
    witness.snapshot = snap::decode(&witness.snap).unwrap();
    assert_ne!(said(&witness), "");
}

#[test]
fn a_job_or_state_with_answers_from_outside_has_no_witness() {
    let asks = |change: fn(&mut SnapshotJob)| {
        let mut job = HONEST.witness.snapshot.job.clone();
        change(&mut job);
        refuse_answers(&job).map_or_else(|error| error.message().to_owned(), |()| String::new())
    };
    let refused = |what: &str| format!("witness: the job has {what}: there is no witness of answers from outside");
    assert_eq!(asks(|_| ()), "");
    assert_eq!(asks(|job| job.store = Some(3)), refused("a key-value store"));
    let function = |job: &mut SnapshotJob| job.functions.push(JobFunction::parse("m.f()->()").unwrap());
    assert_eq!(asks(function), refused("functions of the embedder's"));
    assert_eq!(asks(|job| job.contracts.push(job.program.clone())), refused("contracts"));
    let mut witness = HONEST.witness.clone();
    witness.snapshot.job.store = Some(3);
    assert_eq!(witness.close().unwrap_err().message(), refused("a key-value store"));
    let mut witness = HONEST.witness.clone();
    witness.snapshot.state.awaiting = true;
    assert_eq!(witness.close().unwrap_err().message(), "witness: the state waits for an answer from outside");
}

/// What is said of the bytes of a witness, its last hash repaired, after a change.
fn decoded(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = HONEST.witness.encode();
    bytes.truncate(bytes.len() - 32);
    change(&mut bytes);
    Witness::decode(&seal(bytes)).map_or_else(|error| error.message().to_owned(), |_| String::new())
}

#[test]
fn a_file_that_is_no_witness_is_refused_by_what_is_wrong() {
    let snap = HONEST.witness.snap.len();
    assert_eq!(decoded(|_| ()), "");
    assert_eq!(decoded(|bytes| bytes[0] = b'g'), "witness: no witness: unknown magic at byte 0");
    assert_eq!(decoded(|bytes| bytes.clear()), "witness: no witness: unknown magic at byte 0");
    assert!(decoded(|bytes| bytes[8] ^= 1).starts_with("witness: expected format version"));
    for length in [0, 19, 20 + snap - 1, snap + 20 - 100] {
        let found = decoded(|bytes| bytes.truncate(length));
        assert!(found.starts_with("witness: "), "{length}: {found}");
    }
    assert_eq!(decoded(|bytes| bytes.truncate(20 + snap)), "witness: cut short in the pages");
    assert_eq!(decoded(|bytes| bytes.truncate(bytes.len() - 32)), "witness: cut short in the hashes");
    assert_eq!(decoded(|bytes| bytes.push(0)), "witness: not in canonical form");
    let huge = decoded(|bytes| bytes[12..20].copy_from_slice(&u64::MAX.to_le_bytes()));
    assert_eq!(huge, "witness: cut short in the .snap");
    let bytes = HONEST.witness.encode();
    let short = |end: usize| Witness::decode(&bytes[..end]).unwrap_err().message().to_owned();
    assert_eq!(short(31), "witness: cut short");
    assert_eq!(short(bytes.len() - 1), "witness: its hash does not match: damaged");
}

#[test]
fn the_pages_are_those_of_the_snapshot_that_follows() {
    let mut other = HONEST.witness.clone();
    other.snapshot.segment.bin[0] ^= 1;
    let refused = Witness::decode(&other.encode()).unwrap_err();
    assert_eq!(refused.message(), "witness: the pages are not of this snapshot");
}

#[test]
fn a_pause_has_no_witness() {
    let mut raw = HONEST.witness.snapshot.clone();
    raw.segment.paused = true;
    let mut witness = HONEST.witness.clone();
    witness.snap = forge(&raw);
    let refused = Witness::decode(&witness.encode()).map(drop).unwrap_err();
    assert_eq!(refused.message(), "witness: of a paused snapshot, expected one of a chain");
}
