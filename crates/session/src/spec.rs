//! A job as it is asked for, before any file of it is read.

use std::fmt;
use std::str::FromStr;

use stepmark_snapshot::job::JobFunction;
use stepmark_state::error::JobError;

/// Gas limit of a run from the start without `--gas-limit`.
pub const DEFAULT_GAS_LIMIT: u64 = u64::MAX;
/// Directory of the snapshots without `--snapshot-output`.
pub const DEFAULT_OUTPUT: &str = "./snapshot";

/// A snapshot, by what its files are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SnapshotName {
    /// `{id}.snap`, 1 or more.
    Number(u64),
    /// `paused.snap`
    Paused,
    /// `final.snap`: a run that has ended, to look at.
    Final,
}

/// The file name without its extension.
impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(f, "{id}"),
            Self::Paused => f.write_str("paused"),
            Self::Final => f.write_str("final"),
        }
    }
}

impl FromStr for SnapshotName {
    type Err = JobError;

    /// Reads what is [displayed](fmt::Display).
    fn from_str(text: &str) -> Result<Self, JobError> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text {
            "paused" => Ok(Self::Paused),
            "final" => Ok(Self::Final),
            _ => text
                .parse()
                .ok()
                .filter(|id| is_number && *id >= 1)
                .map(Self::Number)
                .ok_or_else(|| JobError::usage(format!("'{text}' is neither a number from 1 nor 'paused'"))),
        }
    }
}

/// Where to resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeFrom {
    /// Directory of the chain, without trailing slashes.
    pub dir: String,
    /// Which snapshot.
    pub id: SnapshotName,
}

/// The flags as they were given. What is `None` was not given: it comes from the snapshot on resume, and is the default
/// otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobSpec {
    /// `--snapshot-input` and `--snapshot-id`, when both were given.
    pub resume: Option<ResumeFrom>,
    /// `--snapshot-output`, without trailing slashes.
    pub snapshot_output: Option<String>,
    /// `--gas-limit`
    pub gas_limit: Option<u64>,
    /// `--enable-gas-refill`
    pub gas_refill: bool,
    /// `--keep-final`
    pub keep_final: bool,
    /// `--gas-schedule`: a name or a file.
    pub gas_schedule: Option<String>,
    /// `--preload`: name and file, names unique.
    pub preload: Vec<(String, String)>,
    /// `--function`, names unique.
    pub functions: Vec<JobFunction>,
    /// `--store`: an export of the store, for the command face.
    pub store: Option<String>,
    /// `--store-version`
    pub store_version: Option<u64>,
    /// `--contract`: name and file, names unique.
    pub contracts: Vec<(String, String)>,
    /// `--call-data`
    pub call_data: Option<Vec<u8>>,
    /// `--caller`
    pub caller: Option<String>,
    /// `--calls`: a directory, for the command face.
    pub calls: Option<String>,
    /// `--env`: name and value, in the order given, a name possibly more than once.
    pub env: Vec<(String, String)>,
    /// `--stdin`: a file.
    pub stdin: Option<String>,
    /// `--file`: path as the program sees it and file, paths unique.
    pub files: Vec<(String, String)>,
    /// `--preopen`: directories, names unique.
    pub preopens: Vec<String>,
    /// `--feature`: name and whether it is on, names unique.
    pub features: Vec<(String, bool)>,
    /// `--max-memory`: bytes.
    pub max_memory: Option<u64>,
    /// `--max-call-depth`: frames.
    pub max_call_depth: Option<u32>,
    /// `--max-files`: bytes.
    pub max_files: Option<u64>,
    /// `--max-exceptions`: slots.
    pub max_exceptions: Option<u32>,
    /// `--clock-rate`: nanoseconds for each unit of gas.
    pub clock_rate: Option<u64>,
    /// `--seed`
    pub seed: Option<u64>,
    /// The program, as the user typed it.
    pub program: String,
    /// Everything after the program.
    pub positionals: Vec<String>,
    /// What is worth telling the user on stderr, though the run goes on.
    pub warnings: Vec<String>,
}

impl JobSpec {
    /// Directory of the results, without trailing slashes.
    pub fn output_dir(&self) -> &str {
        self.snapshot_output.as_deref().unwrap_or(DEFAULT_OUTPUT)
    }
}
