//! The files of a job that a snapshot describes, and the node's command lines that start it again or go on from a snapshot.
//! The snapshot says everything; only the contents of the files have to be found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stepmark_session::spec::{JobSpec, ResumeFrom, SnapshotName};
use stepmark_snapshot::job::{Job, ModuleRef};
use stepmark_state::shown::Shown;

use crate::chain::ChainFiles;
use crate::claimed_job::is_built_in;
use crate::failure::{Failure, Result};
use crate::foreign::{Foreign, ForeignKind};
use crate::job::search::{self, FileSearch};
use crate::node::supply::Supply;
use crate::terminal::quoted;

/// Where files of a job are, if they are not found by their names and hashes.
#[derive(Clone, Debug, Default)]
pub struct GivenFiles {
    /// Linked modules, name and path.
    pub modules: Vec<(String, PathBuf)>,
    /// Standard input.
    pub stdin: Option<String>,
    /// Input files, path as the program sees it and path here; of two for one the first counts.
    pub inputs: Vec<(String, String)>,
    /// Contracts, name and path.
    pub contracts: Vec<(String, PathBuf)>,
}

/// Paths of all files of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFiles {
    /// The program.
    pub program: String,
    /// Linked modules, name and path.
    pub modules: Vec<(String, String)>,
    /// Standard input.
    pub stdin: Option<String>,
    /// Input files, path as the program sees it and path here.
    pub inputs: Vec<(String, String)>,
    /// Contracts that can be called, name and path.
    pub contracts: Vec<(String, String)>,
}

/// The files of a job as far as they are there.
#[derive(Clone, Debug)]
pub struct FoundFiles {
    /// Those that are there.
    pub files: JobFiles,
    /// What is not, in the words of who needs it.
    pub missing: Vec<Failure>,
}

impl FoundFiles {
    /// Takes what was found, or what was not.
    fn take<T>(&mut self, found: Result<T>) -> Option<T> {
        found.map_err(|failure| self.missing.push(failure)).ok()
    }
}

impl JobFiles {
    /// The files of `job`: those that are given, and the rest by name and hash in `dir`, beside it, and in the working
    /// directory.
    ///
    /// # Errors
    /// Exit code 65 that says which one is missing, or that `program` is not the job's.
    pub fn find(job: &Job, program: Option<&str>, given: &GivenFiles, dir: &Path) -> Result<Self> {
        let FoundFiles { files, missing } = Self::find_present(job, program, given, dir)?;
        missing.into_iter().next().map_or(Ok(files), Err)
    }

    /// As [`find`](Self::find), for who can do with some of them.
    ///
    /// # Errors
    /// Exit code 65 that says that one that is given is not the job's.
    pub fn find_present(job: &Job, program: Option<&str>, given: &GivenFiles, dir: &Path) -> Result<FoundFiles> {
        let search = FileSearch::around(dir);
        let mut found = FoundFiles { files: Self::default(), missing: Vec::new() };
        let program = match program {
            Some(path) => {
                let what = format!("the program {}", Shown(&job.program.name));
                Some(expect_hash(path, ForeignKind::Module, &job.program.hash, &what)?)
            }
            None => found.take(search.module(&job.program, &job.program.name, "--program FILE")),
        };
        found.files.program = program.unwrap_or_default();
        found.files.modules = find_modules(&job.modules, &given.modules, "--preload", &search, &mut found)?;
        found.files.contracts = find_modules(&job.contracts, &given.contracts, "--contract", &search, &mut found)?;
        found.files.inputs = find_inputs(job, given, &search, &mut found)?;
        found.files.stdin = match (&given.stdin, &job.stdin) {
            (None, Some(stdin)) => found.take(search.stdin(stdin.size, &stdin.hash)),
            (Some(given), Some(stdin)) => {
                Some(expect_hash(given, ForeignKind::Input, &stdin.hash, "the standard input")?)
            }
            (Some(given), None) => {
                let what = format!("{given}: was given as standard input, but the run of the snapshots had none");
                return Err(Failure::data(what).help("leave --stdin out"));
            }
            (None, None) => None,
        };
        Ok(found)
    }
}

/// The input files: those that are given, and the rest by name and hash.
fn find_inputs(
    job: &Job,
    given: &GivenFiles,
    search: &FileSearch,
    found: &mut FoundFiles,
) -> Result<Vec<(String, String)>> {
    let plain = |path: &str| path.trim_start_matches('/').to_owned();
    // The first one given counts.
    let inputs: BTreeMap<String, String> =
        given.inputs.iter().rev().map(|(path, file)| (plain(path), file.clone())).collect();
    if job.inputs.is_empty()
        && let Some(path) = inputs.keys().next()
    {
        let what = format!("{}: was given as an input file, but the run of the snapshots had none", Shown(path));
        return Err(Failure::data(what));
    }
    let mut files = Vec::new();
    for input in &job.inputs {
        let path = match inputs.get(&plain(&input.path)) {
            Some(path) => {
                let what = format!("the input file {}", Shown(&input.path));
                Some(expect_hash(path, ForeignKind::Input, &input.hash, &what)?)
            }
            // A job may have very many: without one of them the others are of no use.
            None if !found.missing.is_empty() => None,
            None => {
                let flag = format!("--file {}=FILE", quoted(&input.path));
                found.take(search.input(&plain(&input.path), input.size, &input.hash, &flag))
            }
        };
        files.extend(path.map(|path| (input.path.clone(), path)));
    }
    Ok(files)
}

/// The files of linked modules or of contracts: those that are given, and the rest by name and hash.
fn find_modules(
    wanted: &[ModuleRef],
    given: &[(String, PathBuf)],
    flag: &str,
    search: &FileSearch,
    found: &mut FoundFiles,
) -> Result<Vec<(String, String)>> {
    if let Some((name, _)) = given.iter().find(|(name, _)| wanted.iter().all(|module| module.name != *name)) {
        let what = format!("{flag} {}: the run of the snapshots has nothing of that name", Shown(name));
        return Err(Failure::data(what));
    }
    let mut files = Vec::new();
    for module in wanted {
        let path = match given.iter().find(|(name, _)| *name == module.name) {
            Some((_, path)) => {
                let what = format!("the module {}", Shown(&module.name));
                Some(expect_hash(&path.display().to_string(), ForeignKind::Module, &module.hash, &what)?)
            }
            None => {
                let flag = format!("{flag} {}=FILE", quoted(&module.name));
                found.take(search.module(module, &format!("{}.wasm", module.name), &flag))
            }
        };
        files.extend(path.map(|path| (module.name.clone(), path)));
    }
    Ok(files)
}

/// The path of a file that whoever asks has named, which must be the one that the snapshots were made with.
///
/// # Errors
/// Exit code 65 when it is another file: that is a mistake of who asks, and says nothing about the snapshots.
fn expect_hash(path: &str, kind: ForeignKind, expected: &[u8; 32], what: &str) -> Result<String> {
    let found = search::file_hash(Foreign::named(Path::new(path), kind)?)?;
    if found == *expected {
        return Ok(path.to_owned());
    }
    let [found, expected] = [found, *expected].map(|hash| blake3::Hash::from_bytes(hash).to_hex());
    let failure = Failure::data(format!("{path}: is not {what} of the snapshots"));
    Err(failure.caused_by(format!("its BLAKE3 hash is {found}, expected {expected}")))
}

/// A job that can be run again, from its start or from a snapshot in a directory.
#[derive(Clone, Debug)]
pub struct Rerun {
    job: Job,
    supply: Supply,
    /// The names that the job's files have for us.
    files: JobSpec,
    /// Directory of the chain.
    dir: String,
}

impl Rerun {
    /// The job with these files, whose snapshots are in `dir`. The node gets names of our own for the files: those of a user's
    /// paths have nothing to do with the job.
    pub fn new(job: Job, files: &JobFiles, dir: &Path) -> Self {
        // As the node has it, so that the names of snapshots are known whatever the user typed.
        let dir = match dir.display().to_string().trim_end_matches('/') {
            "" => if dir.has_root() { "/" } else { "." }.to_owned(),
            dir => dir.to_owned(),
        };
        // Whatever the directory is called, none of its files has a name of ours.
        let mut own = "job_".to_owned();
        while dir.starts_with(&own) {
            own.push('_');
        }
        let mut supply = Supply::default();
        // What the program is called is part of the job.
        let program = format!("{own}program/{}", job.program.name);
        supply.module(&program, &files.program);
        let mut named = |kind: &str, files: &[(String, String)]| -> Vec<(String, String)> {
            let names = (0..).zip(files).map(|(number, (name, path))| {
                let ours = format!("{own}{kind}/{number}");
                if kind == "input" {
                    supply.file(&ours, path)
                } else {
                    supply.module(&ours, path)
                }
                (name.clone(), ours)
            });
            names.collect()
        };
        let (preload, inputs) = (named("module", &files.modules), named("input", &files.inputs));
        let contracts = named("contract", &files.contracts);
        let stdin = files.stdin.as_ref().map(|path| {
            let ours = format!("{own}stdin");
            supply.file(&ours, path);
            ours
        });
        let gas_schedule = (!is_built_in(&job.schedule)).then(|| {
            let name = format!("{own}schedule/{}", job.schedule.name);
            supply.bytes(&name, job.schedule.bytes.clone());
            name
        });
        let files = JobSpec { preload, files: inputs, contracts, stdin, gas_schedule, program, ..JobSpec::default() };
        supply.chain(&dir);
        Self { job, supply, files, dir }
    }

    /// Lets these bytes be the `.snap` of snapshot `id`.
    pub fn snap(&mut self, id: SnapshotName, bytes: Vec<u8>) {
        self.supply.bytes(format!("{}/{id}.snap", self.dir), bytes);
    }

    /// The job with the `.snap` of snapshot `id` as it was when the chain was opened; 0 is the start, which has none.
    ///
    /// # Errors
    /// As those of [`ChainFiles::snap_again`].
    pub fn as_opened(&self, chain: &ChainFiles, id: u64) -> Result<Self> {
        let mut rerun = self.clone();
        if id > 0 {
            rerun.snap(SnapshotName::Number(id), chain.snap_again(id)?);
        }
        Ok(rerun)
    }

    /// Lets these bytes be the `.bin` of snapshot `id`.
    pub fn bin(&mut self, id: SnapshotName, bytes: Vec<u8>) {
        self.supply.bytes(format!("{}/{id}.bin", self.dir), bytes);
    }

    /// This rerun, with a chain whose first `.bin` is not there, so that its base is used.
    pub fn without_first_bin(&self) -> Self {
        let mut rerun = self.clone();
        rerun.supply.absent(format!("{}/1.bin", self.dir));
        rerun
    }

    /// The job.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Directory of the chain.
    pub fn dir(&self) -> &Path {
        Path::new(&self.dir)
    }

    /// What the names in the command lines stand for.
    pub fn supply(&self) -> &Supply {
        &self.supply
    }

    /// The job from snapshot `id` of the chain on, 0 for the start.
    pub fn from(&self, id: u64, limit: u64, refill: bool) -> JobSpec {
        match id {
            0 => self.from_start(limit, refill),
            _ => self.from_snapshot(SnapshotName::Number(id), Some(limit), refill),
        }
    }

    /// The job from its start.
    pub fn from_start(&self, limit: u64, refill: bool) -> JobSpec {
        let Job { entry, args, env, preopens, schedule, features, limits, functions, .. } = self.job.clone();
        let files = self.files.clone();
        JobSpec {
            gas_limit: Some(limit),
            gas_refill: refill,
            gas_schedule: files.gas_schedule.or(Some(schedule.name)),
            functions,
            store_version: self.job.store,
            call_data: Some(self.job.call_data.clone()).filter(|data| !data.is_empty()),
            caller: Some(self.job.caller.clone()).filter(|caller| !caller.is_empty()),
            env,
            preopens,
            features,
            max_memory: Some(limits.memory_bytes),
            max_call_depth: Some(limits.call_depth),
            max_files: Some(limits.file_bytes),
            max_exceptions: Some(limits.exception_slots),
            clock_rate: Some(self.job.clock_rate),
            seed: Some(self.job.seed),
            positionals: entry.into_iter().chain(args).collect(),
            ..files
        }
    }

    /// The job from a snapshot on, with the snapshot's own limit where none is given.
    pub fn from_snapshot(&self, id: SnapshotName, limit: Option<u64>, refill: bool) -> JobSpec {
        let resume = Some(ResumeFrom { dir: self.dir.clone(), id });
        JobSpec { resume, gas_limit: limit, gas_refill: refill, ..self.files.clone() }
    }
}
