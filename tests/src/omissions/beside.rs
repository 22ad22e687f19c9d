//! What lies beside the segments of a chain: the pause, the base, the state at the end, answers from outside, and what a run
//! has read and written of the store.

use anyhow::{Context, Result, anyhow, ensure};
use stepmark_hosts::external::decode_calls;
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::chain::durable::OutputDir;
use stepmark_runner::compact;
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_snapshot::PREFIX_LEN;
use stepmark_snapshot::snap::decode;

use super::folder::{Changed, Folder, bin_parts, by_name, fields, sealed, snap_parts};
use super::parts::{Part, variants};
use super::{Proof, witness};
use crate::mutate::{answer_to, forge, small_subjects};
use crate::session::{Drive, End, Files, Job, load, pause, run, run_answered};

/// Programs of the witnesses whose states are small and have every kind of space.
const QUICK: [&str; 1] = ["tables"];
const ALL: [&str; 3] = ["tables", "files", "shared memory"];

/// Makes the folder of a chain, of these files.
type Make = fn(String, Job, Files, u64) -> Result<Folder>;

fn of_each(all: bool, make: Make) -> Result<Vec<Box<dyn Proof>>> {
    let wanted = if all { &ALL[..] } else { &QUICK[..] };
    let mut proofs: Vec<Box<dyn Proof>> = Vec::new();
    for (name, job, limit) in witness::programs()?.into_iter().filter(|(name, ..)| wanted.contains(&name.as_str())) {
        let flags = format!("--enable-gas-refill --keep-final --gas-limit {limit}");
        let run = job.start(&flags, Drive::WHOLE).map_err(|error| anyhow!("{name}: {error}"))?;
        ensure!(run.id > 3 && run.end == End::Finished, "{name}: {} snapshots, {:?}", run.id, run.end);
        proofs.push(Box::new(make(name.clone(), job, by_name(&run.files), limit).with_context(|| name)?));
    }
    Ok(proofs)
}

/// Every pause with something left out.
///
/// # Errors
/// A program does not run as it should.
pub fn pauses(all: bool) -> Result<Vec<Box<dyn Proof>>> {
    of_each(all, |name, job, mut files, limit| {
        let argv = job.argv(&format!("--enable-gas-refill --gas-limit {limit}"));
        let mut session = load(&job.inputs, &argv)?;
        run(&mut session, Drive { gas: limit * 5 / 2, ..Drive::WHOLE });
        files.extend(by_name(&pause(&mut session)?));
        let changes = state_changes(&files, "paused", "2")?;
        Folder::new(name, job, files, &["paused.snap", "paused.bin"], &["paused"], changes)
    })
}

/// Every state at the end with something left out.
///
/// # Errors
/// A program does not run as it should.
pub fn ends(all: bool) -> Result<Vec<Box<dyn Proof>>> {
    of_each(all, |name, job, files, _| {
        let changes = state_changes(&files, "final", "3")?;
        Folder::new(name, job, files, &["final.snap", "final.bin"], &[], changes)
    })
}

/// What is done to a state outside of the chain. `other` is a snapshot of it.
fn state_changes(files: &Files, stem: &str, other: &str) -> Result<Vec<Changed>> {
    let (snap_name, bin_name) = (format!("{stem}.snap"), format!("{stem}.bin"));
    let (snap, bin) = (files[&snap_name].clone(), files[&bin_name].clone());
    let raw = decode(&snap)?;
    let mut found = Vec::new();
    let mut add = |what: String, snap: Option<&[u8]>, bin: Option<&[u8]>| {
        let both = [(&snap_name, snap), (&bin_name, bin)].into_iter();
        let there = both.filter_map(|(name, bytes)| Some((name.clone(), bytes?.to_vec())));
        found.push((what, there.collect()));
    };
    for (what, parts) in variants(bin_parts(&bin)) {
        let bin = sealed(&parts);
        add(format!(".bin: {what}"), Some(&snap), Some(&bin));
        let mut raw = raw.clone();
        raw.segment.bin = bin.last_chunk().copied().unwrap_or_default();
        add(format!(".bin and its hash: {what}"), Some(&forge(&raw)), Some(&bin));
    }
    for (what, parts) in variants(snap_parts(&snap)) {
        add(format!(".snap: {what}"), Some(&sealed(&parts)), Some(&bin));
    }
    for (what, snap) in fields(&raw) {
        add(format!(".snap: {what}"), Some(&snap), Some(&bin));
    }
    let [other_snap, other_bin] = ["snap", "bin"].map(|ending| files[&format!("{other}.{ending}")].clone());
    add("no .snap".to_owned(), None, Some(&bin));
    add("no .bin".to_owned(), Some(&snap), None);
    add("neither".to_owned(), None, None);
    add("another .snap".to_owned(), Some(&other_snap), Some(&bin));
    add("another .bin".to_owned(), Some(&snap), Some(&other_bin));
    add("both are another's".to_owned(), Some(&other_snap), Some(&other_bin));
    Ok(found)
}

/// Every base with something left out.
///
/// # Errors
/// A program does not run as it should, or its chain cannot be merged.
pub fn bases(all: bool) -> Result<Vec<Box<dyn Proof>>> {
    of_each(all, |name, job, files, _| {
        let merged = merge(&job, &files)?;
        let base = merged["base.bin"].clone();
        let one = |bytes: Vec<u8>| Files::from([("base.bin".to_owned(), bytes)]);
        let all = variants(bin_parts(&base)).map(|(what, parts)| (what, one(sealed(&parts))));
        let others = ["1.bin", "2.bin", "3.bin"].map(|name| (format!("is {name}"), one(files[name].clone())));
        let changes = all.chain(others).chain([("no base".to_owned(), Files::new())]).collect();
        Folder::new(name, job, merged, &["base.bin"], &["2", "3"], changes)
    })
}

/// The chain with its first two `.bin` merged.
fn merge(job: &Job, files: &Files) -> Result<Files> {
    let dir = tempfile::tempdir()?;
    for (name, bytes) in job.inputs.iter().chain(files) {
        std::fs::write(dir.path().join(name), bytes)?;
    }
    for (name, file) in job.flags.iter().filter_map(|flag| flag.split_once('=')) {
        if let Some(module) = job.inputs.get(file).filter(|_| file.ends_with(".wasm")) {
            std::fs::write(dir.path().join(format!("{name}.wasm")), module)?;
        }
    }
    let chain = ChainFiles::open(dir.path())?;
    let whole = chain.job.clone().context("a job")?;
    let found = JobFiles::find(&whole, None, &GivenFiles::default(), dir.path())?;
    compact::merge(&chain, &Rerun::new(whole, &found, dir.path()), &OutputDir::open(dir.path())?, 2)?;
    let mut merged = files.clone();
    merged.retain(|name, _| !["1.bin", "2.bin"].contains(&name.as_str()));
    merged.insert("base.bin".to_owned(), std::fs::read(dir.path().join("base.bin"))?);
    Ok(merged)
}

/// A run that asked for much, with its answers beside its snapshots, and what it has read and written of the store.
pub(super) fn answered() -> Result<(Job, Files)> {
    let subject = small_subjects().iter().find(|subject| subject.name == "contracts").context("a subject")?;
    let job = subject.job.clone();
    let flags = format!("--enable-gas-refill --gas-limit {}", subject.raw.segment.limit);
    let mut session = load(&job.inputs, &job.argv(&flags))?;
    let whole = run_answered(&mut session, Drive::WHOLE, &mut answer_to);
    ensure!(whole.end == End::Finished && whole.id > 1, "{:?}, {} snapshots", whole.end, whole.id);
    Ok((job, by_name(&whole.files)))
}

/// Every file of answers with something left out.
///
/// # Errors
/// The program does not run as it should.
pub fn calls(all: bool) -> Result<Vec<Box<dyn Proof>>> {
    let (job, files) = answered()?;
    let names: Vec<String> = files.keys().filter(|name| name.ends_with(".calls")).cloned().collect();
    ensure!(names.len() > 2, "{names:?}");
    let mut proofs: Vec<Box<dyn Proof>> = Vec::new();
    for (at, name) in names.iter().enumerate().take(if all { usize::MAX } else { 2 }) {
        let one = |bytes: Vec<u8>| Files::from([(name.clone(), bytes)]);
        let parts = call_parts(&files[name])?;
        let mut changes: Vec<Changed> =
            variants(parts.clone()).map(|(what, parts)| (what, one(sealed(&parts)))).collect();
        // The number of answers as it comes to.
        for (what, mut parts) in variants(parts) {
            let count = parts.iter().filter(|part| part.sort == "answer").count();
            parts.iter_mut().filter(|part| part.sort == "count").for_each(|part| part.bytes = leb(count));
            changes.push((format!("{what}, counted again"), one(sealed(&parts))));
        }
        changes.push(("not there".to_owned(), Files::new()));
        changes.push(("is another's".to_owned(), one(files[&names[(at + 1) % names.len()]].clone())));
        let folder = Folder::new(name.clone(), job.clone(), files.clone(), &[name], &[], changes)?;
        proofs.push(Box::new(folder));
    }
    Ok(proofs)
}

/// The parts of a file of answers.
fn call_parts(bytes: &[u8]) -> Result<Vec<Part>> {
    let (_, answers) = decode_calls(bytes)?;
    let mut parts = vec![Part::new("prefix", &bytes[..PREFIX_LEN]), Part::new("count", leb(answers.len()))];
    for answer in &answers {
        parts.push(Part::new("answer", postcard::to_allocvec(answer)?));
    }
    ensure!(sealed(&parts) == bytes, "the parts of a .calls file are all of it");
    Ok(parts)
}

/// A length as postcard has it.
fn leb(length: usize) -> Vec<u8> {
    postcard::to_allocvec(&(length as u64)).unwrap_or_default()
}

/// What a run has read and written of the store, with any byte of it left out, given twice, exchanged or changed.
///
/// # Errors
/// The program does not run as it should.
pub fn sets(_: bool) -> Result<Vec<Box<dyn Proof>>> {
    let (job, files) = answered()?;
    let mut proofs: Vec<Box<dyn Proof>> = Vec::new();
    for name in ["rwset.bin", "rwset.json"] {
        let one = |bytes: Vec<u8>| Files::from([(name.to_owned(), bytes)]);
        let bytes = files[name].iter().map(|byte| Part::new("byte", [*byte]));
        let all = variants(bytes.collect())
            .map(|(what, parts)| (what, one(parts.iter().flat_map(|part| part.bytes.iter().copied()).collect())));
        let changes = all.chain([("not there".to_owned(), Files::new())]).collect();
        proofs.push(Box::new(Folder::new(name.to_owned(), job.clone(), files.clone(), &[name], &[], changes)?));
    }
    Ok(proofs)
}
