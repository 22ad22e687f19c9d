//! Witnesses: of segments of programs that between them have every kind of space, and touch it in every way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use stepmark_runner::ask::witness::{self, Successor};
use stepmark_runner::bounds::Bounds;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{DATA, Failure};
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_runner::state::LoadedState;
use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_snapshot::witness::{Growth, Witness, contents};
use stepmark_state::merkle::{PageTree, empty_root, siblings};
use stepmark_state::paged::Page;
use stepmark_state::pages::PAGE;
use stepmark_state::pages::{SPACE_KEY_VALUE, SpaceId};
use tempfile::TempDir;

use super::parts::{Part, variants};
use super::{Omission, Proof, Statement, Verdict};
use crate::mutate;
use crate::session::{Drive, Files, Job, program};

/// Memories of both widths, one of no pages, copies between them, growth, bulk and lane operators, tables of no elements.
const MEMORIES: &str = r#"(module
  (memory $a 2 40) (memory $b i64 1 9) (memory $z 0 2) (data (memory $a) (i32.const 70000) "active") (data $d "passive")
  (table $t 0 9 funcref) (table $full 2 externref)
  (func (export "run") (param $n i32) (result i64) (local $v v128)
    (loop $l
      (i32.store $a (i32.mul (local.get $n) (i32.const 4090)) (local.get $n))
      (i64.store $b (i64.const 5000) (i64.load32_u $a (i32.const 70000)))
      (memory.copy $b $a (i64.const 8000) (i32.const 3000) (i32.const 600))
      (memory.fill $a (i32.const 90000) (local.get $n) (i32.const 5))
      (memory.init $a $d (i32.const 12286) (i32.const 1) (i32.const 5))
      (local.set $v (v128.load8_lane $b 3 (i64.const 8190) (local.get $v)))
      (v128.store16_lane $a 2 (i32.const 16383) (local.get $v))
      (if (i32.and (local.get $n) (i32.const 1)) (then
        (i32.store8 $a (i32.mul (memory.grow $a (i32.const 1)) (i32.const 65536)) (i32.const 1))
        (drop (memory.grow $z (i32.const 1)))
        (drop (table.grow $t (ref.null func) (i32.const 1)))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.load $b (i64.const 8000))))"#;

/// The table of a call decides the result; it was changed in an earlier segment, and so was an element of a file's pages.
const TABLES: &str = r#"(module (type $t (func (result i32)))
  (memory 1) (table 2 20 funcref) (table $e 3 exnref) (tag $x (param i32)) (elem (i32.const 0) $a) (elem declare func $b)
  (elem $p func $a $b)
  (func $a (result i32) (i32.const 1)) (func $b (result i32) (i32.const 2))
  (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (table.set 0 (i32.const 0) (ref.func $b))
    (table.init 0 $p (i32.const 1) (i32.const 0) (i32.const 1))
    (table.set $e (i32.const 1)
      (block $c (result exnref) (try_table (catch_all_ref $c) (throw $x (i32.const 7))) (unreachable)))
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (call_indirect (type $t) (i32.and (local.get $n) (i32.const 1)))))
      (i32.store (i32.const 0) (local.get $sum))
      (drop (table.grow 0 (ref.func $a) (i32.const 1)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (block $c (result i32 exnref)
      (try_table (catch_ref $x $c) (throw_ref (table.get $e (i32.const 1)))) (unreachable))
    (drop) (i32.add (local.get $sum))))"#;

/// Files given, made, written, cut and removed; standard input and output.
const FILES: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $cut (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "in.txt") (data (i32.const 110) "out.txt") (data (i32.const 120) "gone")
  (data (i32.const 0) "\00\02\00\00\10\00\00\00")
  (func $path (param $name i32) (param $length i32) (param $how i32) (result i32)
    (drop (call $open (i32.const 3) (i32.const 0) (local.get $name) (local.get $length) (local.get $how)
      (i64.const 0x400046) (i64.const 0) (i32.const 0) (i32.const 16)))
    (i32.load (i32.const 16)))
  (func (export "_start") (local $n i32) (local $fd i32)
    (loop $l
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 20)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
      (local.set $fd (call $path (i32.const 100) (i32.const 6) (i32.const 0)))
      (drop (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 20)))
      (drop (call $pwrite (local.get $fd) (i32.const 0) (i32.const 1) (i64.const 4090) (i32.const 20)))
      (drop (call $close (local.get $fd)))
      (local.set $fd (call $path (i32.const 110) (i32.const 7) (i32.const 1)))
      (drop (call $pwrite (local.get $fd) (i32.const 0) (i32.const 1)
        (i64.extend_i32_u (i32.mul (local.get $n) (i32.const 3000))) (i32.const 20)))
      (if (i32.eq (local.get $n) (i32.const 3)) (then (drop (call $cut (local.get $fd) (i64.const 100)))))
      (drop (call $close (local.get $fd)))
      (local.set $fd (call $path (i32.const 120) (i32.const 4) (i32.const 1)))
      (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 20)))
      (drop (call $close (local.get $fd)))
      (if (i32.and (local.get $n) (i32.const 1))
        (then (drop (call $unlink (i32.const 3) (i32.const 120) (i32.const 4)))))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 8))))))"#;

/// A memory and a table that two instances share.
const LIB: &str = r#"(module
  (memory (export "memory") 1 4) (table (export "table") 2 funcref) (global (export "n") (mut i32) (i32.const 3))
  (func (export "put") (param i32) (i32.store (local.get 0) (local.get 0)))
  (func $f (result i32) (i32.const 40)) (func (export "set") (table.set (i32.const 1) (ref.func $f)))
  (elem declare func $f))"#;
const SHARING: &str = r#"(module (type $t (func (result i32)))
  (import "lib" "memory" (memory 1 4)) (import "lib" "table" (table 2 funcref)) (import "lib" "n" (global $n (mut i32)))
  (import "lib" "put" (func $put (param i32))) (import "lib" "set" (func $set))
  (memory $own 1)
  (func (export "run") (param $i i32) (result i32)
    (call $set)
    (loop $l
      (call $put (i32.mul (local.get $i) (i32.const 4000)))
      (i32.store $own (i32.const 9000) (i32.load (i32.const 8000)))
      (global.set $n (i32.add (global.get $n) (local.get $i)))
      (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i32.add (global.get $n) (i32.add (i32.load $own (i32.const 9000)) (call_indirect (type $t) (i32.const 1))))))"#;

/// The programs: name, job, and the gas limit of a segment.
pub(super) fn programs() -> Result<Vec<(String, Job, u64)>> {
    let job = |text: &str, call: &str| Job::new(program(text), "--max-memory 8388608", call);
    let mut sharing = program(SHARING);
    sharing.extend(program(LIB).into_values().map(|lib| ("lib.wasm".to_owned(), lib)));
    let sharing = Job::new(sharing, "--max-memory 8388608 --preload lib=lib.wasm", "program.wasm run 9");
    let mut files = program(FILES);
    files.insert("in.txt".to_owned(), b"some input. ".repeat(500));
    files.insert("stdin".to_owned(), b"standard input ".repeat(20));
    let files = Job::new(files, "--file in.txt=in.txt --stdin stdin", "program.wasm");
    let mut all = Vec::new();
    for (name, job) in [
        ("memories", job(MEMORIES, "program.wasm run 24")),
        ("tables", job(TABLES, "program.wasm run 16")),
        ("files", files),
        ("shared memory", sharing),
    ] {
        let whole = job.start("", Drive::WHOLE).map_err(|e| anyhow!("{name}: {e}"))?;
        all.push((name.to_owned(), job, whole.gas / 6 + 1));
    }
    // Sample programs, those with references, exceptions and vectors, and linked modules.
    let chains = mutate::subjects().into_iter().filter(|subject| !subject.raw.segment.paused);
    let alone = chains.filter(|subject| subject.raw.job.store.is_none());
    all.extend(alone.map(|subject| (subject.name, subject.job, subject.raw.segment.limit)));
    Ok(all)
}

/// The witnesses: of each program those of two segments, the last one among them, or of all its segments.
///
/// # Errors
/// A program does not run as it should.
pub fn proofs(all: bool) -> Result<Vec<Box<dyn Proof>>> {
    let mut proofs: Vec<Box<dyn Proof>> = Vec::new();
    for (name, job, limit) in programs()? {
        let refilled = format!("--enable-gas-refill --gas-limit {limit}");
        let run = job.start(&refilled, Drive::WHOLE).map_err(|e| anyhow!("{name}: {e}"))?;
        ensure!(run.id > 0, "{name}: no snapshot");
        let dir = Arc::new(tempfile::tempdir()?);
        for (path, bytes) in job.inputs.iter().chain(&run.files) {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
            fs::write(path, bytes)?;
        }
        // A checker finds linked modules by the names under which they are linked.
        for (name, file) in job.flags.iter().filter_map(|flag| flag.split_once('=')) {
            if let Some(module) = job.inputs.get(file).filter(|_| file.ends_with(".wasm")) {
                fs::write(dir.path().join(format!("{name}.wasm")), module)?;
            }
        }
        let program = dir.path().join(&job.call[0]).display().to_string();
        for id in (1..=run.id).filter(|id| all || *id == run.id || *id == run.id / 2) {
            let proof =
                WitnessProof::new(&name, &dir, &program, id).with_context(|| format!("{name}, segment {id}"))?;
            ensure!(proof.leads_to(&run.files, id)?, "{name}, segment {id}: does not lead to what the run came to");
            proofs.push(Box::new(proof));
        }
    }
    Ok(proofs)
}

/// An honest witness, and the state that it is of.
struct WitnessProof {
    name: String,
    bytes: Vec<u8>,
    witness: Witness,
    files: JobFiles,
    /// All pages of the state, and the trees above them.
    state: BTreeMap<SpaceId, (Vec<Page>, PageTree)>,
    /// Where the job's files are.
    _dir: Arc<TempDir>,
}

/// The pages that a witness is to have.
type Sets = BTreeMap<SpaceId, BTreeMap<u64, Page>>;

impl WitnessProof {
    fn new(name: &str, dir: &Arc<TempDir>, program: &str, id: u64) -> Result<Self> {
        let place = SnapshotRef::new(dir.path().join("out"), SnapshotName::Number(id));
        let bytes = witness::make(&place, Some(program), &GivenFiles::default()).map_err(failed)?.bytes;
        let witness = Witness::decode(&bytes)?;
        let job = &witness.snapshot.job;
        let files = JobFiles::find(job, Some(program), &GivenFiles::default(), &place.dir).map_err(failed)?;
        let rerun = Rerun::new(job.clone(), &files, &place.dir);
        let mut loaded = LoadedState::restore(witness.snapshot.clone(), &rerun, place.id).map_err(failed)?;
        let mut state = BTreeMap::new();
        for space in &witness.snapshot.state.spaces {
            let number = space.id();
            let pages: Vec<Page> = (0..space.pages).map(|page| loaded.session_mut().page(number, page)).collect();
            let mut tree = PageTree::new();
            for (index, page) in (0..).zip(&pages) {
                tree.update(index, page);
            }
            ensure!(tree.root() == space.root, "{number:?}: the state has another root");
            state.insert(number, (pages, tree));
        }
        Ok(Self { name: format!("{name}, segment {id}"), bytes, witness, files, state, _dir: dir.clone() })
    }

    /// Does checking it give what the chain has.
    fn leads_to(&self, chain: &Files, id: u64) -> Result<bool> {
        let closed = self.witness.close()?;
        Ok(match witness::check(&closed, &self.files, &Bounds::default()).map_err(failed)?.next {
            Successor::Snapshot { snap, .. } => chain.get(&format!("out/{}.snap", id + 1)) == Some(&snap),
            Successor::End { result, receipt } => {
                let of = |name: &str| chain.get(&format!("out/{name}"));
                of("result.txt").is_some_and(|text| *text == result.as_bytes())
                    && same_result(of("receipt.json"), &receipt)?
            }
        })
    }

    fn honest(&self) -> Sets {
        let of = |pages: &stepmark_snapshot::witness::SpacePages| {
            pages.iter().map(|(i, page)| (*i, *contents(page))).collect()
        };
        self.witness.pages.iter().map(|(number, pages)| (*number, of(pages))).collect()
    }

    /// The parts of a witness with these pages, and the subtrees that are really beside them.
    fn parts(&self, sets: &Sets, snapshot: Option<&RawSnapshot>) -> Vec<Part> {
        let snap = snapshot.map_or_else(|| self.witness.snap.clone(), mutate::forge);
        let lengths = snap.get(56..80).unwrap_or_default();
        let job = 80 + u64::from_le_bytes(lengths[..8].try_into().unwrap_or_default()) as usize;
        let mut parts = vec![
            Part::new("magic", stepmark_snapshot::witness::MAGIC),
            Part::new("version", stepmark_snapshot::VERSION.to_le_bytes()),
            Part::new("length", (snap.len() as u64).to_le_bytes()),
            Part::new("job", &snap[..job]),
            Part::new("state", &snap[job..snap.len() - 32]),
        ];
        let header = self.bin_header();
        parts.extend([Part::new("bin", &header[..56]), Part::new("previous", &header[56..])]);
        for (SpaceId { kind, index }, pages) in sets.iter().filter(|(_, pages)| !pages.is_empty()) {
            parts.push(Part::new("space", [&[*kind][..], &index.to_le_bytes()].concat()));
            parts.push(Part::new("count", (pages.len() as u64).to_le_bytes()));
            parts.extend(pages.iter().map(|(index, page)| Part::new("page", page_bytes(*index, page))));
        }
        parts.push(Part::new("end", [0u8]));
        for (number, (_, tree)) in &self.state {
            let indices: Vec<u64> = sets.get(number).into_iter().flatten().map(|(index, _)| *index).collect();
            let beside = siblings(&indices).into_iter().map(|(level, index)| tree.node(level, index));
            parts.extend(beside.map(|hash| Part::new("hash", hash)));
        }
        parts
    }

    /// Prefix and predecessor of the pages.
    fn bin_header(&self) -> Vec<u8> {
        let at = 20 + self.witness.snap.len();
        self.bytes[at..at + 88].to_vec()
    }

    /// What a forger who knows the whole state would try: each set of pages with the hashes that belong to it.
    fn forgeries(&self) -> Vec<(String, Vec<Part>)> {
        let honest = self.honest();
        let mut found = Vec::new();
        let mut with = |what: String, sets: Sets| found.push((what, self.parts(&sets, None)));
        let growth = Growth::new(&self.witness.snapshot);
        for (number, (all, _)) in &self.state {
            let pages = honest.get(number).cloned().unwrap_or_default();
            let mut set = |what: String, change: &dyn Fn(&mut BTreeMap<u64, Page>)| {
                let mut sets = honest.clone();
                change(sets.entry(*number).or_default());
                with(format!("{number:?} {what}"), sets);
            };
            set("has no pages".to_owned(), &|pages| pages.clear());
            set("has only its first page".to_owned(), &|pages| pages.retain(|index, _| *index == 0));
            for (index, page) in &pages {
                set(format!("has no page {index}"), &|pages| remove(pages, *index));
                let next = pages.range(index + 1..).next().or(pages.first_key_value()).map_or(*page, |(_, page)| *page);
                set(format!("page {index} is another's"), &|pages| put(pages, *index, next));
                set(format!("page {index} is zero"), &|pages| put(pages, *index, [0; PAGE]));
                for byte in [0, 100, PAGE - 1] {
                    let mut changed = *page;
                    changed[byte] ^= 1;
                    set(format!("page {index}, byte {byte} is changed"), &|pages| put(pages, *index, changed));
                }
                set(format!("page {index} is one further"), &|pages| {
                    remove(pages, *index);
                    add(pages, index + 1, *page);
                });
                if let Some(more) = all.get(*index as usize + 1) {
                    set(format!("has page {} too", index + 1), &|pages| add(pages, index + 1, *more));
                }
            }
            let (count, most) = (all.len() as u64, growth.most(all.len() as u64));
            for beyond in [count, count + 1, most - 1, most, most + 1, 1 << 33, (1 << 36) - 1] {
                set(format!("has a zero page {beyond}"), &|pages| add(pages, beyond, [0; PAGE]));
                set(format!("has a page {beyond} of ones"), &|pages| put(pages, beyond, [1; PAGE]));
            }
            for (other, pages) in honest.iter().filter(|(other, _)| *other != number) {
                set(format!("has the pages of {other:?}"), &|own| own.clone_from(pages));
            }
        }
        let stranger =
            honest.last_key_value().map(|(id, pages)| (SpaceId { index: id.index + 1, ..*id }, pages.clone()));
        for (number, pages) in
            stranger.into_iter().chain([(SpaceId::new(SPACE_KEY_VALUE, 0), BTreeMap::from([(0, [1; PAGE])]))])
        {
            let mut sets = honest.clone();
            sets.insert(number, pages);
            with(format!("{number:?} is there too"), sets);
        }
        with("there are no pages".to_owned(), Sets::new());
        found
    }

    /// Other states, their hashes repaired: statements of another `.snap`, if any.
    fn other_states(&self) -> Vec<(String, Vec<Part>)> {
        let mut found = Vec::new();
        let honest = self.honest();
        let raw = &self.witness.snapshot;
        for (at, space) in raw.state.spaces.iter().enumerate() {
            let number = space.id();
            let mut other = |what: &str, sets: &Sets, change: &dyn Fn(&mut RawSnapshot)| {
                let mut raw = raw.clone();
                change(&mut raw);
                found.push((format!("{number:?} {what}"), self.parts(sets, Some(&raw))));
            };
            let mut without = honest.clone();
            without.remove(&number);
            other("is not in the state", &without, &|raw| {
                raw.state.spaces.remove(at);
            });
            other("is not in the state, its pages are", &honest, &|raw| {
                raw.state.spaces.remove(at);
            });
            other("is empty in the state", &without, &|raw| raw.state.spaces[at].root = empty_root());
            other("is a page shorter", &honest, &|raw| raw.state.spaces[at].pages = space.pages.saturating_sub(1));
            other("is a page longer", &honest, &|raw| raw.state.spaces[at].pages += 1);
            other("has no pages", &without, &|raw| raw.state.spaces[at].pages = 0);
        }
        found.push(("the state waits for an answer".to_owned(), {
            let mut raw = raw.clone();
            raw.state.awaiting = true;
            self.parts(&honest, Some(&raw))
        }));
        found
    }
}

impl Proof for WitnessProof {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn omissions(&self) -> Box<dyn Iterator<Item = Omission> + Send + '_> {
        let parts = self.parts(&self.honest(), None);
        let forged = self.forgeries().into_iter().chain(self.other_states());
        let all = variants(parts).chain(forged);
        Box::new(all.flat_map(|(what, parts)| {
            let as_it_is = Omission { bytes: join(&parts), what: what.clone() };
            [as_it_is, Omission { bytes: join(&counted(parts)), what: format!("{what}, counted again") }]
        }))
    }

    fn judge(&self, bytes: &[u8]) -> Result<Verdict> {
        let refused = |code: i32, why: String| {
            ensure!(code == DATA, "refused with exit code {code}, expected {DATA}: {why}");
            Ok(Verdict::Refused(why))
        };
        let witness = match Witness::decode(bytes) {
            Ok(witness) => witness,
            Err(error) => return refused(DATA, error.message().to_owned()),
        };
        let checked = match witness.close() {
            Ok(closed) => witness::check(&closed, &self.files, &Bounds::default()),
            Err(error) => return refused(DATA, error.message().to_owned()),
        };
        let result = match checked.map(|checked| checked.next) {
            Ok(Successor::Snapshot { snap, .. }) => snap,
            Ok(Successor::End { result, receipt }) => [result.as_bytes(), &receipt].concat(),
            Err(failure) => return refused(failure.code(), failure.what().to_owned()),
        };
        Ok(Verdict::Says(Statement { about: witness.snapshot.hash.to_vec(), result }))
    }
}

fn put(pages: &mut BTreeMap<u64, Page>, index: u64, page: Page) {
    pages.insert(index, page);
}

/// The same, where there is none.
fn add(pages: &mut BTreeMap<u64, Page>, index: u64, page: Page) {
    pages.entry(index).or_insert(page);
}

fn remove(pages: &mut BTreeMap<u64, Page>, index: u64) {
    pages.remove(&index);
}

fn failed(failure: Failure) -> anyhow::Error {
    anyhow!("{failure}")
}

/// Do two receipts say the same of the result.
fn same_result(a: Option<&Vec<u8>>, b: &[u8]) -> Result<bool> {
    let result =
        |bytes: &[u8]| Ok::<_, anyhow::Error>(serde_json::from_slice::<serde_json::Value>(bytes)?["result"].take());
    Ok(a.is_some_and(|a| result(a).ok() == result(b).ok()) && result(b)?.is_object())
}

/// A page as a `.bin` has it.
fn page_bytes(index: u64, page: &Page) -> Vec<u8> {
    let lines = page.chunks(64);
    let mask = (0..).zip(lines.clone()).fold(0u64, |mask, (bit, line)| mask | u64::from(line != [0; 64]) << bit);
    let mut bytes = [index.to_le_bytes(), mask.to_le_bytes()].concat();
    bytes.extend(lines.filter(|line| *line != [0; 64]).flatten());
    bytes
}

/// The parts with the length of the `.snap` and the counts of pages as they come to.
fn counted(mut parts: Vec<Part>) -> Vec<Part> {
    let snap =
        parts.iter().filter(|part| ["job", "state"].contains(&part.sort)).map(|part| part.bytes.len()).sum::<usize>();
    for at in 0..parts.len() {
        let pages = parts[at + 1..].iter().take_while(|part| part.sort == "page").count();
        match parts[at].sort {
            "length" => parts[at].bytes = (snap as u64 + 32).to_le_bytes().to_vec(),
            "count" => parts[at].bytes = (pages as u64).to_le_bytes().to_vec(),
            _ => {}
        }
    }
    parts
}

/// The bytes of a witness of these parts, with every hash that only says that the bytes are whole.
fn join(parts: &[Part]) -> Vec<u8> {
    let (mut out, mut snap, mut bin) = (Vec::new(), None, None);
    for part in parts {
        match part.sort {
            "job" => snap = snap.or(Some(out.len())),
            "bin" => bin = bin.or(Some(out.len())),
            _ => {}
        }
        out.extend_from_slice(&part.bytes);
        let begun = match part.sort {
            "state" => snap,
            "end" => bin,
            _ => None,
        };
        if let Some(begun) = begun {
            let hash = *blake3::hash(&out[begun..]).as_bytes();
            out.extend(hash);
        }
    }
    mutate::seal(out)
}
