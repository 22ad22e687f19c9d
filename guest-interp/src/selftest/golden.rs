//! A job in memory whose files are known, as one run and gone on with from the middle.

use super::{Check, Report};
use crate::args;
use stepmark_session::{Budget, Event, Session};
use stepmark_state::error::JobError;

/// `golden.wat` as a binary.
const PROGRAM: &[u8] = include_bytes!("golden.wasm");
/// Name of the program and of the directory in the job; neither is on a disk.
const NAME: &str = "golden.wasm";
const DIR: &str = "golden";
/// BLAKE3 of the files of the job.
const EXPECTED: &str = "71afe53260580dc44cb53756d7be368469f4e85479d2643925715ac0467a1b87";
/// The snapshot in the middle.
const MIDDLE: u64 = 2;

/// Names and contents, in the order in which they were written.
pub(super) type NamedFiles = Vec<(String, Vec<u8>)>;

/// What a run leaves behind.
#[derive(Clone, Default)]
pub(super) struct Golden {
    /// All but the receipt, which names the version.
    pub(super) files: NamedFiles,
    pub(super) job_hash: [u8; 32],
}

pub(super) fn check(report: &mut Report<'_>) {
    let whole = run();
    report.check("a job gives the known files", whole.as_ref().map_err(String::clone).and_then(known));
    if let Ok(whole) = whole {
        report.check("going on from a snapshot gives the same files", from_the_middle(&whole.files));
    }
}

/// The job from the beginning.
pub(super) fn run() -> Result<Golden, String> {
    job(&["--gas-limit", "30000", "--enable-gas-refill"], &NamedFiles::new()).map_err(|error| error.to_string())
}

fn known(golden: &Golden) -> Check {
    let (found, count) = (hash(&golden.files), golden.files.len());
    if found == EXPECTED { Ok(()) } else { Err(format!("{count} files with hash {found}, expected {EXPECTED}")) }
}

fn from_the_middle(whole: &NamedFiles) -> Check {
    let id = MIDDLE.to_string();
    let flags = ["--snapshot-input", DIR, "--snapshot-id", &id, "--enable-gas-refill"];
    let rest = job(&flags, whole).map_err(|error| error.to_string())?.files;
    match whole.ends_with(&rest) && rest.len() > 4 {
        true => Ok(()),
        false => Err(format!("{} files, not the last ones of all", rest.len())),
    }
}

/// Runs the program with these flags.
fn job(flags: &[&str], chain: &NamedFiles) -> Result<Golden, JobError> {
    let rest = ["--snapshot-output", DIR, NAME, "run", "30"];
    let argv: Vec<String> = flags.iter().chain(&rest).map(|word| (*word).to_owned()).collect();
    let mut session = args::session(&argv)?;
    while let Some(path) = session.want()? {
        let name = path.rsplit('/').next().unwrap_or_default();
        let found = || chain.iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes.as_slice());
        let bytes = if name == NAME { Some(PROGRAM) } else { found() };
        session.give(bytes.unwrap_or_default())?;
        session.give_end(bytes.is_some())?;
    }
    let mut files = NamedFiles::new();
    let mut event = Event::Paused;
    while event != Event::Finished {
        // In slices, as a host does that wants to look up now and then.
        event = session.run(Budget { gas: 7_000, steps: u64::MAX })?;
        take(&mut session, &mut files)?;
    }
    files.retain(|(name, _)| name != "receipt.json");
    Ok(Golden { files, job_hash: session.job_hash() })
}

fn take(session: &mut Session, files: &mut NamedFiles) -> Result<(), JobError> {
    let mut chunk = Vec::new();
    while let Some(next) = session.next_file() {
        let mut file = Vec::new();
        while session.take_chunk(&mut chunk)? {
            file.append(&mut chunk);
        }
        files.push((next.to_string(), file));
    }
    Ok(())
}

/// Of the names and contents, with their lengths.
fn hash(files: &NamedFiles) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in files {
        for part in [name.as_bytes(), bytes] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;
    use stepmark_core::gas::Schedule;

    #[test]
    fn the_binary_is_that_of_the_text() {
        assert_eq!(wat::parse_str(include_str!("golden.wat")).unwrap(), PROGRAM);
    }

    /// BLAKE3 of the files of the job when `default` was the first of its tables.
    const UNDER_THE_FIRST_TABLE: &str = "0dcf3f5ad99393cafbfb6af41a3137cf1aa059dd43277e5ed5d1c2e01c65e660";

    #[test]
    fn chains_that_carry_the_first_table_as_default_are_made_and_gone_on_with_as_they_were() {
        let first = Schedule::builtin("default-1").unwrap();
        let table = vec![("default".to_owned(), first.text().as_bytes().to_vec())];
        let flags = ["--gas-limit", "30000", "--enable-gas-refill", "--gas-schedule", "tables/default"];
        let chain = job(&flags, &table).unwrap().files;
        assert_eq!(hash(&chain), UNDER_THE_FIRST_TABLE);
        let middle = ["--snapshot-input", DIR, "--snapshot-id", "2", "--enable-gas-refill"];
        for name in [&[][..], &["--gas-schedule", "default"]] {
            let rest = job(&[&middle[..], name].concat(), &chain).unwrap().files;
            assert!(chain.ends_with(&rest) && rest.len() > 4, "{name:?}");
        }
    }

    #[test]
    fn the_job_has_several_snapshots_and_ends_normally() {
        let files = run().unwrap().files;
        assert!(files.iter().any(|(name, _)| name == "4.snap"), "{} files", files.len());
        let (_, result) = files.iter().find(|(name, _)| name == "result.txt").unwrap();
        let result = String::from_utf8(result.clone()).unwrap();
        assert!(result.starts_with("0\n"), "{result}");
        assert!(result.contains("nan"), "{result}");
    }
}
