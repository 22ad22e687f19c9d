//! Where a run leaves its files: nowhere if no flag asks for files, else in the directory that is named, else in one of the
//! job's own, so that runs of different jobs never meet.

use std::path::{Path, PathBuf};

use serde_json::Value;
use stepmark_runner::chain::durable::{OutputDir, Replace};
use stepmark_runner::failure::Result;
use stepmark_runner::job::search::OWN;
use stepmark_runner::terminal;
use stepmark_session::spec::JobSpec;
use stepmark_state::encoding::hex;

use crate::flags::JobFlags;
use crate::kept;

/// What it is called where there is a file of that name, as the command itself may be.
const OTHER_FOLDER: &str = "stepmark-runs";
/// Letters of the job's hash in the name of a directory.
const LETTERS: usize = 8;
/// Directories that are tried for a state that would be lost otherwise.
const MOST_PLACES: u32 = 9;

/// Whether the flags of a run ask for files: snapshots, or what they are about.
pub(super) fn asks_for_files(flags: &JobFlags) -> bool {
    let named = [&flags.snapshot_output, &flags.snapshot_input, &flags.gas_limit];
    let of_store = flags.config.contract.no_commit;
    named.into_iter().any(Option::is_some) || flags.enable_gas_refill || flags.keep_final || of_store
}

/// The files that a job names: its modules and what they read, but not what is in the directories that are open to it.
pub(super) fn files_of(job: &JobSpec) -> Vec<PathBuf> {
    let named = job.preload.iter().chain(&job.contracts).chain(&job.files).map(|(_, path)| path);
    named.chain([&job.program]).chain(&job.stdin).chain(&job.gas_schedule).map(PathBuf::from).collect()
}

/// The directory of a job's files: the one that is named, or its own.
pub(super) fn directory(job: &JobSpec, hash: &[u8; 32]) -> String {
    let own = || {
        let is_taken = Path::new(OWN).symlink_metadata().is_ok_and(|_| !Path::new(OWN).is_dir());
        let folder = if is_taken { OTHER_FOLDER } else { OWN };
        let stem = Path::new(&job.program).file_stem().unwrap_or_default().to_string_lossy();
        let hash: String = hex(hash).chars().take(LETTERS).collect();
        format!("{folder}/{stem}-{hash}")
    };
    job.snapshot_output.clone().unwrap_or_else(own)
}

/// Makes a directory, the one at `path` or one beside it, for the state of a run that was to leave nothing: what is there
/// already is kept.
///
/// # Errors
/// Exit code 74 when none can be made.
pub(super) fn for_state(path: &str, hash: &[u8; 32], job: &JobSpec, piped: Option<&[u8]>) -> Result<OutputDir> {
    let open = |path: &str| -> Result<OutputDir> {
        let out = OutputDir::open(Path::new(path))?;
        // Whose result lies there without a snapshot is not asked: it is kept.
        let aside = out.set_aside(hash, &mut || Ok(Value::Null))?;
        let aside = aside.map(|place| format!("what was in {path} is in {path}/{place} now"));
        let aside = aside.or(out.prepare(hash, 0, false, Replace::MoveAside)?);
        aside.iter().for_each(|what| terminal::say(what));
        kept::keep(job, piped, out.path())?;
        Ok(out)
    };
    let others = (2..=MOST_PLACES).map(|number| format!("{path}-{number}"));
    open(path).or_else(|failure| others.map(|path| open(&path)).find_map(Result::ok).ok_or(failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_nobody_names_is_the_jobs_own() {
        let job = JobSpec { program: "some/where/fib.wasm".into(), ..JobSpec::default() };
        assert_eq!(directory(&job, &[0xab; 32]), "stepmark/fib-abababab");
        let named = JobSpec { snapshot_output: Some("./output".into()), ..job };
        assert_eq!(directory(&named, &[0xab; 32]), "./output");
    }
}
