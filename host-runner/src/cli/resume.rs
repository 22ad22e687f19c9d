//! `resume`: go on from a directory without retyping anything. The snapshot carries the whole job; the files that it names
//! are looked for beside the directory and recognised by their hashes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use guest_interp::job::Job;
use guest_interp::snapshot::snap;

use crate::cli::{OutputArgs, run};
use crate::engine::Engine;
use crate::failure::{Failure, Result};
use crate::flags::{ConfigFlags, InputFlags, JobFlags};

/// Arguments of `resume`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// Directory of the chain, and the snapshot to start from: a number or "paused" [default: the pause if there is one,
    /// else the highest]
    #[arg(value_name = "DIR[@ID]")]
    from: String,
    /// Gas of a segment from here on [default: what the snapshot's own segment had]
    #[arg(long, value_name = "N")]
    gas_limit: Option<String>,
    /// Refill the gas after each snapshot, and go on until the program ends
    #[arg(long)]
    enable_gas_refill: bool,
    /// Directory for what is written [default: DIR]
    #[arg(long, value_name = "DIR")]
    snapshot_output: Option<String>,
    /// The program's file [default: looked for by name in DIR, beside DIR and in the working directory]
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    /// How the node runs: as wasm in wasmtime, or the same code natively
    #[arg(long, value_enum, default_value_t = Engine::Wasm)]
    engine: Engine,
    /// A linked module's file, where it is not found by its hash
    #[arg(long, value_name = "NAME=FILE")]
    preload: Vec<String>,
    /// The standard input's file
    #[arg(long, value_name = "FILE")]
    stdin: Option<String>,
    /// An input file, where it is not found by its name and hash
    #[arg(long, value_name = "GUESTPATH=HOSTFILE")]
    file: Vec<String>,
    /// A directory of input files
    #[arg(long, value_name = "HOST::GUEST")]
    dir: Vec<String>,
    /// Directory for the files that the program leaves behind, when it ends normally
    #[arg(long, value_name = "DIR")]
    deliver: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn execute(args: &ResumeArgs) -> Result<i32> {
    run::execute(&run_args(args)?)
}

/// The command line of `run` that goes on from there.
fn run_args(args: &ResumeArgs) -> Result<run::RunArgs> {
    let (dir, id) = start(&args.from)?;
    let job = read_job(&Path::new(&dir).join(format!("{id}.snap")))?;
    let search = Search::around(Path::new(&dir));
    let program = match &args.program {
        Some(program) => program.clone(),
        None => search.required(&job.program.name, &job.program.hash, "--program FILE")?,
    };
    Ok(run::RunArgs {
        job: JobFlags {
            snapshot_output: args.snapshot_output.clone().or_else(|| Some(dir.clone())),
            snapshot_input: Some(dir),
            snapshot_id: Some(id),
            gas_limit: args.gas_limit.clone(),
            enable_gas_refill: args.enable_gas_refill,
            config: ConfigFlags { inputs: inputs(args, &job, &search)?, ..ConfigFlags::default() },
        },
        engine: args.engine,
        check_reference: false,
        deliver: args.deliver.clone(),
        output: args.output,
        words: vec![program],
    })
}

/// The flags for the job's files: those given, and the rest as found by name and hash.
fn inputs(args: &ResumeArgs, job: &Job, search: &Search) -> Result<InputFlags> {
    let mut flags = InputFlags {
        preload: args.preload.clone(),
        file: args.file.clone(),
        dir: args.dir.clone(),
        stdin: args.stdin.clone(),
        ..InputFlags::default()
    };
    let given_modules = flags.preloads()?;
    for module in &job.modules {
        if !given_modules.iter().any(|(name, _)| *name == module.name) {
            let help = format!("--preload {}=FILE", module.name);
            let file = search.required(&format!("{}.wasm", module.name), &module.hash, &help)?;
            flags.preload.push(format!("{}={file}", module.name));
        }
    }
    let given_files = flags.files()?;
    for input in &job.inputs {
        if !given_files.iter().any(|(path, _)| path.trim_start_matches('/') == input.path.trim_start_matches('/')) {
            let help = format!("--file {}=FILE", input.path);
            let file = search.required(input.path.trim_start_matches('/'), &input.hash, &help)?;
            flags.file.push(format!("{}={file}", input.path));
        }
    }
    if let (None, Some(stdin)) = (&flags.stdin, &job.stdin) {
        flags.stdin = Some(search.required("stdin", &stdin.hash, "--stdin FILE")?);
    }
    Ok(flags)
}

/// Directory and snapshot of `DIR[@ID]`. An `@` that is no part of an id belongs to the directory.
fn start(from: &str) -> Result<(String, String)> {
    let is_id = |id: &str| id == "paused" || (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
    match from.rsplit_once('@') {
        Some((dir, id)) if is_id(id) && !Path::new(from).is_dir() => Ok((dir.to_owned(), id.to_owned())),
        _ => Ok((from.to_owned(), latest(Path::new(from))?)),
    }
}

/// The pause of a directory, else its highest snapshot.
fn latest(dir: &Path) -> Result<String> {
    if dir.join("paused.snap").is_file() {
        return Ok("paused".to_owned());
    }
    let failed = |error: io::Error| Failure::io(dir, &error);
    let mut highest = None;
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".snap")).and_then(|id| id.parse::<u64>().ok());
        highest = highest.max(id);
    }
    let none = || Failure::data(format!("{}: holds no snapshot to resume from", dir.display()));
    highest.map(|id| id.to_string()).ok_or_else(none)
}

/// The job that a snapshot carries.
fn read_job(path: &Path) -> Result<Job> {
    let size = fs::metadata(path).map_err(|error| Failure::io(path, &error))?.len();
    if size > snap::MAX_SNAP {
        let limit = snap::MAX_SNAP;
        return Err(Failure::data(format!("{}: {size} bytes, a snapshot has at most {limit}", path.display())));
    }
    let bytes = fs::read(path).map_err(|error| Failure::io(path, &error))?;
    let raw = snap::decode(&bytes);
    raw.map(|raw| raw.job).map_err(|error| Failure::data(format!("{}: {}", path.display(), error.message())))
}

/// Where a job's files are looked for.
struct Search {
    folders: Vec<PathBuf>,
}

impl Search {
    /// In `dir`, beside it, and in the working directory.
    fn around(dir: &Path) -> Self {
        let beside = dir.canonicalize().ok().and_then(|dir| dir.parent().map(Path::to_path_buf));
        let folders = [Some(dir.to_path_buf()), beside, Some(PathBuf::from("."))];
        Self { folders: folders.into_iter().flatten().collect() }
    }

    /// The file called `name` (or the last part of it) with hash `hash`. Names come from the snapshot, so only plain paths
    /// below the folders are tried; the hash decides.
    fn find(&self, name: &str, hash: &[u8; 32]) -> Option<String> {
        let plain = |name: &&str| name.split(['/', '\\']).all(|part| !matches!(part, "" | "." | ".."));
        let last = name.rsplit(['/', '\\']).next();
        let names: Vec<&str> = [Some(name), last].into_iter().flatten().filter(plain).collect();
        let candidates = self.folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        let mut matching = candidates.filter(|path| file_hash(path).is_ok_and(|found| found == *hash));
        matching.next().and_then(|path| path.to_str().map(str::to_owned))
    }

    fn required(&self, name: &str, hash: &[u8; 32], flag: &str) -> Result<String> {
        self.find(name, hash).ok_or_else(|| {
            let hash = blake3::Hash::from_bytes(*hash).to_hex();
            let folders: Vec<String> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
            Failure::data(format!("the snapshot needs {name} with BLAKE3 hash {hash}, which was not found"))
                .caused_by(format!("looked in {}", folders.join(", ")))
                .help(format!("give it with {flag}"))
        })
    }
}

/// BLAKE3 hash of a regular file.
fn file_hash(path: &Path) -> io::Result<[u8; 32]> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_id_the_pause_comes_first_and_then_the_highest() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let dir = temporary.path().to_str().expect("UTF-8").to_owned();
        assert_eq!(start(&dir).expect_err("empty").code(), 65);
        for name in ["2.snap", "10.snap", "9.bin", "x.snap"] {
            fs::write(temporary.path().join(name), "").expect("a file");
        }
        assert_eq!(start(&dir).expect("found"), (dir.clone(), "10".into()));
        assert_eq!(start(&format!("{dir}@2")).expect("given"), (dir.clone(), "2".into()));
        fs::write(temporary.path().join("paused.snap"), "").expect("a file");
        assert_eq!(start(&dir).expect("found"), (dir, "paused".into()));
    }

    #[test]
    fn files_are_recognised_by_their_hash() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let dir = temporary.path().join("output");
        fs::create_dir_all(dir.join("sub")).expect("directories");
        fs::write(dir.join("a.wasm"), "other").expect("a file");
        fs::write(temporary.path().join("a.wasm"), "wanted").expect("a file");
        let search = Search::around(&dir);
        let wanted = *blake3::hash(b"wanted").as_bytes();
        let found = search.find("deep/a.wasm", &wanted).expect("beside the directory");
        assert!(same_file(&found, &temporary.path().join("a.wasm")));
        assert_eq!(search.find("../a.wasm", blake3::hash(b"third").as_bytes()), None);
        let failure = search.required("b.wasm", &wanted, "--program FILE").expect_err("absent");
        assert!(failure.to_string().contains("help: give it with --program FILE"), "{failure}");
    }

    fn same_file(a: &str, b: &Path) -> bool {
        Path::new(a).canonicalize().ok() == b.canonicalize().ok()
    }
}
