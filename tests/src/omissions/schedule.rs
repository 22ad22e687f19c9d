//! The gas schedule in a chain, which every snapshot has whole: each of its lines dropped, repeated, moved and replaced, its
//! name and its hash, with all that follows from it made right: the hash of the job, and of every file in turn.

use anyhow::{Context, Result, anyhow, ensure};
use stepmark_core::gas::Schedule;
use stepmark_snapshot::snap::decode;

use super::folder::{Changed, Folder, by_name};
use super::parts::{Part, variants};
use super::{Proof, witness};
use crate::mutate::{forge, seal};
use crate::session::{Drive, Files};

/// The chains whose schedule is in question.
///
/// # Errors
/// A program does not run as it should.
pub fn schedules(_: bool) -> Result<Vec<Box<dyn Proof>>> {
    let (name, job, _) = witness::programs()?.into_iter().find(|(name, ..)| name == "tables").context("a program")?;
    let mut proofs: Vec<Box<dyn Proof>> = Vec::new();
    for built_in in ["default", "default-1"] {
        let flags = format!("--enable-gas-refill --gas-schedule {built_in} --gas-limit");
        let gas = job.start(&format!("{flags} {}", u32::MAX), Drive::WHOLE)?.gas;
        let run = job.start(&format!("{flags} {}", gas / 4 * 3), Drive::WHOLE).map_err(|error| anyhow!("{error}"))?;
        ensure!(run.id == 1, "{name}: {} snapshots", run.id);
        let mut files = by_name(&run.files);
        // What the node says of the job at the end stands in the way of nothing that is forged here.
        files.retain(|name, _| name != "rwset.bin");
        let names: Vec<String> = files.keys().cloned().collect();
        let changes = changes(&files)?;
        let questioned: Vec<&str> = names.iter().map(String::as_str).collect();
        proofs.push(Box::new(Folder::new(built_in.to_owned(), job.clone(), files, &questioned, &[], changes)?));
    }
    Ok(proofs)
}

fn changes(files: &Files) -> Result<Vec<Changed>> {
    let honest = decode(&files["1.snap"])?.job.schedule;
    let mut found = Vec::new();
    let mut with = |what: String, name: &str, bytes: &[u8], hash: [u8; 32]| -> Result<()> {
        found.push((what, rebuilt(files, name, bytes, hash)?));
        Ok(())
    };
    let lines = honest.bytes.split_inclusive(|byte| *byte == b'\n').map(|line| Part::new("line", line)).collect();
    for (what, parts) in variants(lines) {
        let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
        let hash = *blake3::hash(&bytes).as_bytes();
        for name in [honest.name.as_str(), "own"] {
            with(format!("{what}, called {name}"), name, &bytes, hash)?;
        }
        with(format!("{what}, with the old hash"), "own", &bytes, honest.hash)?;
    }
    for name in
        ["default", "default-1", "default-2", "seed-ordinal", "own", "", "DEFAULT", "default ", "\u{1b}[2J", "a/../b"]
    {
        with(format!("called {name:?}"), name, &honest.bytes, honest.hash)?;
        if let Some(other) = Schedule::builtin(name) {
            with(format!("{name:?} whole"), name, other.text().as_bytes(), other.hash())?;
            with(format!("{name:?} with these prices"), name, &honest.bytes, *blake3::hash(&honest.bytes).as_bytes())?;
        }
    }
    Ok(found)
}

/// The files of a run with another schedule in them, every hash made right, also those in the receipt that the job decides.
fn rebuilt(files: &Files, name: &str, bytes: &[u8], hash: [u8; 32]) -> Result<Files> {
    let mut raw = decode(&files["1.snap"])?;
    let old = raw.job.job_hash();
    let old_schedule = raw.job.schedule.clone();
    raw.job.schedule.name = name.to_owned();
    raw.job.schedule.bytes = bytes.to_vec();
    raw.job.schedule.hash = hash;
    let mut bin = files["1.bin"].clone();
    bin.truncate(bin.len() - 32);
    bin[24..56].copy_from_slice(&raw.job.job_hash());
    let bin = seal(bin);
    raw.segment.bin = bin.last_chunk().copied().unwrap_or_default();
    let mut receipt = String::from_utf8(files["receipt.json"].clone())?;
    let hex = |hash: &[u8; 32]| blake3::Hash::from_bytes(*hash).to_hex().to_string();
    for (old, new) in [(hex(&old), hex(&raw.job.job_hash())), (hex(&old_schedule.hash), hex(&hash))] {
        receipt = receipt.replace(&old, &new);
    }
    receipt = receipt.replace(&format!("\"name\": \"{}\"", old_schedule.name), &format!("\"name\": {name:?}"));
    let mut all = files.clone();
    all.insert("1.snap".to_owned(), forge(&raw));
    all.insert("1.bin".to_owned(), bin);
    all.insert("receipt.json".to_owned(), receipt.into_bytes());
    Ok(all)
}
