//! Disputes of two chains as bundles, and chains as archives: what `check-bundle` and `import` with `verify` make of them when
//! any file in them is dropped, repeated, moved, replaced or changed, its own hash repaired.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use stepmark_runner::archive::{self, Writer};
use stepmark_runner::bisect;
use stepmark_runner::bounds::Bounds;
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::failure::Failure;
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_runner::node::engine::Engine;
use stepmark_runner::verify;
use stepmark_snapshot::snap;

use super::parts::{Part, variants};
use super::{Omission, Proof, Statement, Verdict};
use crate::session::{Drive, Job, program};

/// Local 0 counts down; memory follows it.
const PROGRAM: &str = "(module (memory 1) (func (export \"run\") (param $n i32) (result i32)
    (loop $l
      (i32.store (i32.const 64) (local.get $n))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.load (i32.const 64))))";
/// Gas of a segment.
const GAS: u64 = 500;
/// Bytes of a block of an archive.
const BLOCK: usize = 512;

/// The bundles.
///
/// # Errors
/// One cannot be made.
pub fn bundles(_: bool) -> Result<Vec<Box<dyn Proof>>> {
    let temporary = tempfile::tempdir()?;
    let [out, forged] = ["out", "forged"].map(|name| temporary.path().join(name));
    let (a, rerun, files) = chain(&out)?;
    fs::create_dir(&forged)?;
    for name in ["1.snap", "1.bin", "2.bin"] {
        fs::copy(out.join(name), forged.join(name))?;
    }
    let mut raw = snap::decode(&fs::read(out.join("2.snap"))?)?;
    raw.state.frames[0].locals[0] ^= 1;
    fs::write(forged.join("2.snap"), snap::encode(&raw.job, &raw.segment, &raw.state)?.0)?;
    let b = ChainFiles::open(&forged)?;
    let mut proofs: Vec<Box<dyn Proof>> = Vec::new();
    for (name, chains) in [("the first is right", [&a, &b]), ("the second is right", [&b, &a])] {
        let path = temporary.path().join("dispute.tar");
        let reruns = chains.map(|chain| Rerun::new(rerun.job().clone(), &files, &chain.dir));
        let parting = bisect::part(chains[0], chains[1], [&reruns[0], &reruns[1]], Engine::Native, &Bounds::default())?;
        let parting = parting.context("the chains part")?;
        bisect::write_chains(&path, chains, &files, &parting)?;
        proofs.push(Box::new(Tar { name, bytes: fs::read(&path)?, judge: judge_bundle }));
    }
    Ok(proofs)
}

/// The archives.
///
/// # Errors
/// One cannot be made.
pub fn archives(_: bool) -> Result<Vec<Box<dyn Proof>>> {
    let temporary = tempfile::tempdir()?;
    let (chain, rerun, files) = chain(&temporary.path().join("out"))?;
    let path = temporary.path().join("chain.tar");
    let mut writer = Writer::create(&path)?;
    writer.chain("", &chain.dir, &|_| true)?;
    writer.job(&rerun.job().program.name, &files)?;
    writer.finish()?;
    Ok(vec![Box::new(Tar { name: "a chain and its end", bytes: fs::read(&path)?, judge: judge_archive })])
}

/// A chain of the program in a directory, with its end.
fn chain(dir: &Path) -> Result<(ChainFiles, Rerun, JobFiles)> {
    fs::create_dir(dir)?;
    let inputs = program(PROGRAM);
    let file = dir.with_extension("wasm");
    fs::write(&file, &inputs["program.wasm"])?;
    let job = Job::new(inputs, "", "program.wasm run 300");
    let run = job.start(&format!("--gas-limit {GAS} --enable-gas-refill"), Drive::WHOLE)?;
    for (path, bytes) in &run.files {
        fs::write(dir.join(path.rsplit('/').next().unwrap_or(path)), bytes)?;
    }
    let chain = ChainFiles::open(dir)?;
    ensure!(chain.last() > 2 && chain.faults.is_empty(), "a chain of some snapshots: {:?}", chain.faults);
    let job = chain.job.clone().context("a job")?;
    let files = JobFiles::find(&job, file.to_str(), &GivenFiles::default(), dir)?;
    let rerun = Rerun::new(job, &files, dir);
    Ok((chain, rerun, files))
}

/// An archive that is judged as a whole.
struct Tar {
    name: &'static str,
    bytes: Vec<u8>,
    judge: fn(&Path) -> Result<Verdict>,
}

impl Proof for Tar {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn omissions(&self) -> Box<dyn Iterator<Item = Omission> + Send + '_> {
        let parts = entries(&self.bytes).into_iter().map(|(name, contents)| {
            let sort = [".snap", ".bin"].into_iter().find(|ending| name.ends_with(ending)).unwrap_or("file");
            Part::new(sort, [name.as_bytes(), &[0], &contents].concat())
        });
        let variants = variants(parts.collect());
        // A name that no archive can have is no omission.
        Box::new(variants.filter_map(|(what, parts)| Some(Omission { what, bytes: join(&parts)? })))
    }

    fn judge(&self, bytes: &[u8]) -> Result<Verdict> {
        let temporary = tempfile::tempdir()?;
        let path = temporary.path().join("proof.tar");
        fs::write(&path, bytes)?;
        (self.judge)(&path)
    }
}

/// A refusal, where it has the code of one.
pub(super) fn refused(failure: &Failure) -> Result<Verdict> {
    ensure!(matches!(failure.code(), 65 | 74), "exit code {}: {failure}", failure.code());
    Ok(Verdict::Refused(failure.to_string()))
}

/// What `check-bundle` says: of the two claims, that the one is right.
fn judge_bundle(path: &Path) -> Result<Verdict> {
    let found = match bisect::recheck(path, Engine::Native, &Bounds::default()) {
        Err(failure) => return refused(&failure),
        Ok(found) if !found.confirmed => return Ok(Verdict::Refused("the bundle says otherwise".to_owned())),
        Ok(found) => found,
    };
    let is_claim = |name: &str| (name.starts_with("a/") || name.starts_with("b/")) && name.ends_with(".snap");
    let mut claims = entries(&fs::read(path)?);
    claims.retain(|(name, _)| is_claim(name));
    claims.sort();
    let about = claims.into_iter().flat_map(|(name, bytes)| [name.into_bytes(), bytes].concat()).collect();
    Ok(Verdict::Says(Statement { about, result: found.right.into_bytes() }))
}

/// What `import` and `verify` say: that this job ends so.
fn judge_archive(path: &Path) -> Result<Verdict> {
    let dir = path.with_extension("chain");
    let checked = archive::import(path, &dir, &Interrupt::new(), |staged| {
        let mut chain = ChainFiles::open(staged)?;
        chain.check_bins(&mut |_| Ok(()))?;
        let mut faults = chain.faults.values().flatten().chain(&chain.aside_faults).peekable();
        match faults.peek() {
            None => Ok(()),
            Some(_) => Err(faults.fold(Failure::data("no chain that hangs together"), Failure::caused_by)),
        }
    });
    if let Err(failure) = checked {
        return refused(&failure);
    }
    let found = verified(&dir)?;
    let about = match found {
        Ok(job) => job.to_vec(),
        Err(why) => return Ok(Verdict::Refused(why)),
    };
    Ok(Verdict::Says(Statement { about, result: fs::read(dir.join("result.txt"))? }))
}

/// What `verify` says of a directory that has the job's files too: the hash of the job if all is right, else what is wrong.
pub(super) fn verified(dir: &Path) -> Result<Result<[u8; 32], String>> {
    let why = |failure: &Failure| match refused(failure)? {
        Verdict::Refused(why) => Ok(Err(why)),
        Verdict::Says(_) => Ok(Err(String::new())),
    };
    let mut chain = ChainFiles::open(dir)?;
    let Some(job) = chain.job.clone() else { return Ok(Err("no snapshot".to_owned())) };
    let files = match JobFiles::find(&job, None, &GivenFiles::default(), dir) {
        Err(failure) => return why(&failure),
        Ok(files) => files,
    };
    let rerun = Rerun::new(job, &files, dir);
    let claim = verify::Claim::of(&chain, rerun.job(), None);
    let options = verify::VerifyOptions {
        executor: verify::SegmentExecutor::Own(Engine::Native),
        ..verify::VerifyOptions::default()
    };
    let found = match verify::verify(&mut chain, &rerun, claim, &options, &Interrupt::new(), &mut |_| {}) {
        Err(failure) => return why(&failure),
        Ok(found) => found,
    };
    let wrong = || {
        let segments = found.segments.iter().flat_map(|checked| checked.verdict.details());
        found.faults.iter().cloned().chain(segments).collect::<Vec<_>>().join("; ")
    };
    Ok(if found.is_right() { Ok(rerun.job().job_hash()) } else { Err(wrong()) })
}

/// Names and contents of an archive that the runner has written.
pub(super) fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = bytes;
    let mut entries = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(BLOCK).filter(|(header, _)| header[0] != 0) {
        let until = |field: &[u8]| {
            let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).trim().to_owned()
        };
        let size = usize::from_str_radix(&until(&header[124..136]), 8).unwrap_or(0).min(after.len());
        entries.push((until(&header[..100]), after[..size].to_vec()));
        rest = after.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    entries
}

/// An archive of what the parts say, each with the hash at its end repaired; none with a name that no archive can have.
fn join(parts: &[Part]) -> Option<Vec<u8>> {
    let files = parts.iter().map(|part| {
        let at = part.bytes.iter().position(|byte| *byte == 0).filter(|at| (1..100).contains(at))?;
        let (name, mut contents) = (&part.bytes[..at], part.bytes[at + 1..].to_vec());
        if let Some(body) = contents.len().checked_sub(32).filter(|_| part.sort != "file") {
            let hash = *blake3::hash(&contents[..body]).as_bytes();
            contents[body..].copy_from_slice(&hash);
        }
        Some((name, contents))
    });
    Some(archived(files.collect::<Option<Vec<_>>>()?))
}

/// An archive of these files, whatever they are called.
pub(super) fn archived<N: AsRef<[u8]>>(files: impl IntoIterator<Item = (N, Vec<u8>)>) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, mut contents) in files {
        let mut header = [0; BLOCK];
        let size = format!("{:011o}", contents.len());
        let fields: [(usize, &[u8]); 6] = [
            (0, name.as_ref()),
            (100, b"0000644"),
            (124, size.as_bytes()),
            (148, b"        "),
            (156, b"0"),
            (257, b"ustar  "),
        ];
        for (at, field) in fields {
            header[at..at + field.len()].copy_from_slice(field);
        }
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
        contents.resize(contents.len().next_multiple_of(BLOCK), 0);
        archive.extend(contents);
    }
    archive.extend([0; 2 * BLOCK]);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::omissions::sweep;

    #[test]
    fn what_is_left_out_of_a_bundle_or_an_archive_changes_no_verdict() {
        for make in [bundles, archives] {
            for proof in make(false).expect("proofs") {
                let figures = sweep(&*proof, 4, 2, &|_, _| {}).expect("the honest one is believed");
                assert!(figures.failures.is_empty(), "{:#?}", figures.failures);
                assert!(figures.refused > 100, "{figures:?}");
            }
        }
    }
}
