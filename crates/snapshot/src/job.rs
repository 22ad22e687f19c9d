//! The job: everything that decides the result of a run but the gas limit. Every snapshot carries it whole, so that a
//! chain explains itself, and its hash ties the files of a chain together.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use serde::{Deserialize, Serialize};

use stepmark_state::encoding::{bounded, not_ascending};
use stepmark_state::error::JobError;
use stepmark_state::host_type::HostType;
use stepmark_state::limits::Limits;
use stepmark_state::schedule_names::check_schedule_name;

/// Version of the meaning of a job, raised when the same job would give another result.
pub const JOB_VERSION: u32 = 2;

/// Items that any list of a job can have: a bound for the memory that decoding takes, and far above what anybody has.
pub const MAX_LIST: usize = 1 << 18;

/// Context string of the job hash (BLAKE3's key derivation mode).
pub const JOB_DOMAIN: &str = "guest-interp 2026 job v1";

/// A wasm file that takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleRef {
    /// File name of the program; the name under which a linked module is imported.
    pub name: String,
    /// BLAKE3 of its bytes.
    pub hash: [u8; 32],
    /// Its bytes.
    pub size: u64,
}

/// What the program reads as standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stdin {
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the bytes.
    pub hash: [u8; 32],
}

/// A file that the program finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Path as the program sees it.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the bytes.
    pub hash: [u8; 32],
}

/// The table of gas costs, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRef {
    /// Its name, as in the receipt.
    pub name: String,
    /// Its hash, as in the receipt.
    pub hash: [u8; 32],
    /// Its canonical text.
    pub bytes: Vec<u8>,
}

impl ScheduleRef {
    /// Whether it is the schedule of this name and hash.
    pub fn is(&self, name: &str, hash: [u8; 32]) -> bool {
        (self.name.as_str(), self.hash) == (name, hash)
    }
}

/// A function of the embedder's that the program can import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFunction {
    /// Module that it is imported from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// Parameter types.
    pub params: Vec<HostType>,
    /// Result types.
    pub results: Vec<HostType>,
}

impl JobFunction {
    /// Reads `module.name(i32,i64)->(f64)`.
    ///
    /// # Errors
    /// A usage error that shows the form.
    pub fn parse(text: &str) -> Result<Self, JobError> {
        let form = || JobError::usage(format!("'{text}' is not of the form MODULE.NAME(i32,i64)->(f64)"));
        let (left, results) = text.rsplit_once("->").ok_or_else(form)?;
        let (path, params) = left.split_at_checked(left.rfind('(').ok_or_else(form)?).ok_or_else(form)?;
        let (module, name) = path.split_once('.').ok_or_else(form)?;
        let types = |list: &str| {
            let inner = list.strip_prefix('(')?.strip_suffix(')')?;
            if inner.is_empty() { Some(Vec::new()) } else { inner.split(',').map(HostType::from_name).collect() }
        };
        match (types(params), types(results)) {
            (Some(params), Some(results)) if !module.is_empty() && !name.is_empty() => {
                Ok(Self { module: module.to_owned(), name: name.to_owned(), params, results })
            }
            _ => Err(form()),
        }
    }

    /// What [`parse`](Self::parse) reads.
    pub fn text(&self) -> String {
        let types = |list: &[HostType]| {
            let names: Vec<&str> = list.iter().map(|ty| ty.name()).collect();
            names.join(",")
        };
        format!("{}.{}({})->({})", self.module, self.name, types(&self.params), types(&self.results))
    }
}

/// Everything that decides the result of a run but the gas limit, which belongs to a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// [`JOB_VERSION`].
    pub version: u32,
    /// The program; its name is the file name alone, without the path.
    pub program: ModuleRef,
    /// Modules that the program can import from, in the order in which they are linked.
    #[serde(deserialize_with = "bounded::<_, _, MAX_LIST>")]
    pub modules: Vec<ModuleRef>,
    /// The export to call; none for a WASI command.
    pub entry: Option<String>,
    /// Arguments as they were given: of the export, or of the WASI command without `argv[0]`.
    #[serde(deserialize_with = "bounded::<_, _, MAX_LIST>")]
    pub args: Vec<String>,
    /// What a WASI command sees as `argv[0]`.
    pub argv0: String,
    /// Environment in the order given, each name once (see [`last_wins`]).
    #[serde(deserialize_with = "bounded::<_, _, MAX_LIST>")]
    pub env: Vec<(String, String)>,
    /// Standard input; none is an empty one.
    pub stdin: Option<Stdin>,
    /// Input files by ascending path.
    #[serde(deserialize_with = "bounded::<_, _, MAX_LIST>")]
    pub inputs: Vec<Input>,
    /// Directories that are open to the program from the start, in the order of their descriptors.
    #[serde(deserialize_with = "bounded::<_, _, MAX_LIST>")]
    pub preopens: Vec<String>,
    /// The gas schedule.
    pub schedule: ScheduleRef,
    /// WebAssembly features by ascending name, and whether they are on.
    #[serde(deserialize_with = "bounded::<_, _, MAX_LIST>")]
    pub features: Vec<(String, bool)>,
    /// Limits that the program can meet.
    pub limits: Limits,
    /// Nanoseconds that the program's clocks advance for each unit of gas.
    pub clock_rate: u64,
    /// Seed of the program's random source.
    pub seed: u64,
    /// Functions of the embedder's, in the order of their declaration.
    #[serde(deserialize_with = "bounded::<_, _, MAX_LIST>")]
    pub functions: Vec<JobFunction>,
    /// Version of the key-value store when the run began, if the program has one.
    pub store: Option<u64>,
    /// Contracts that can be called by name, in the order given.
    #[serde(deserialize_with = "bounded::<_, _, MAX_LIST>")]
    pub contracts: Vec<ModuleRef>,
    /// What the outermost contract is called with.
    pub call_data: Vec<u8>,
    /// Who calls it.
    pub caller: String,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            version: JOB_VERSION,
            program: ModuleRef::default(),
            modules: Vec::new(),
            entry: None,
            args: Vec::new(),
            argv0: String::new(),
            env: Vec::new(),
            stdin: None,
            inputs: Vec::new(),
            preopens: Vec::new(),
            schedule: ScheduleRef::default(),
            features: Vec::new(),
            limits: Limits::default(),
            clock_rate: 1,
            seed: 0,
            functions: Vec::new(),
            store: None,
            contracts: Vec::new(),
            call_data: Vec::new(),
            caller: String::new(),
        }
    }
}

impl Job {
    /// The hash that names this job in every file of its chain: BLAKE3 in key derivation mode, context [`JOB_DOMAIN`],
    /// over the postcard encoding.
    pub fn job_hash(&self) -> [u8; 32] {
        stepmark_state::encoding::hash_encoded(JOB_DOMAIN, self)
    }

    /// Checks that this is the one form of the job: what has an order is in it, and no name comes twice.
    ///
    /// # Errors
    /// Another version, inputs or features out of order, a variable given twice, a NUL in a string that the program reads,
    /// a schedule under the name of another, built-in one.
    pub fn check(&self) -> Result<(), JobError> {
        if self.version != JOB_VERSION {
            return Err(JobError::snapshot(format!("job: version {}, expected {JOB_VERSION}", self.version)));
        }
        if let Some(input) = not_ascending(&self.inputs, |input| &input.path) {
            return Err(JobError::snapshot(format!("job: input '{}' is not in ascending order", input.path)));
        }
        if let Some((name, _)) = not_ascending(&self.features, |(name, _)| name) {
            return Err(JobError::snapshot(format!("job: feature '{name}' is not in ascending order")));
        }
        let mut names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(name) = not_ascending(&names, |name| name) {
            return Err(JobError::snapshot(format!("job: variable '{name}' is given twice")));
        }
        let pairs = self.env.iter().flat_map(|(name, value)| [name, value]);
        if let Some(text) =
            self.args.iter().chain([&self.argv0]).chain(&self.preopens).chain(pairs).find(|text| text.contains('\0'))
        {
            return Err(JobError::snapshot(format!("job: NUL in {text:?}")));
        }
        self.check_lists()?;
        check_schedule_name(&self.schedule.name, &self.schedule.hash)
            .map_err(|error| JobError::snapshot(error.message()).context("job"))
    }

    /// Checks that no list is longer than a snapshot's may be.
    fn check_lists(&self) -> Result<(), JobError> {
        let lists = [
            ("modules", self.modules.len()),
            ("arguments", self.args.len()),
            ("variables", self.env.len()),
            ("input files", self.inputs.len()),
            ("directories", self.preopens.len()),
            ("features", self.features.len()),
            ("functions", self.functions.len()),
            ("contracts", self.contracts.len()),
        ];
        match lists.iter().find(|(_, length)| *length > MAX_LIST) {
            Some((what, length)) => Err(JobError::snapshot(format!("job: {length} {what}, at most {MAX_LIST}"))),
            None => Ok(()),
        }
    }
}

/// Variables with each name once: a later value takes the place of an earlier one, as in a shell.
pub fn last_wins(given: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::with_capacity(given.len());
    let mut places = std::collections::BTreeMap::new();
    for (name, value) in given {
        let place = *places.entry(name.clone()).or_insert(env.len());
        match env.get_mut(place) {
            Some(old) => old.1 = value,
            None => env.push((name, value)),
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn input(path: &str) -> Input {
        Input { path: path.to_owned(), size: 0, hash: [0; 32] }
    }

    fn message(job: &Job) -> String {
        job.check().unwrap_err().message().to_owned()
    }

    #[test]
    fn a_list_longer_than_any_job_has_is_refused_when_made_and_when_read() {
        let job = |arguments: usize| Job { args: vec![String::new(); arguments], ..Job::default() };
        let read = |job: &Job| {
            let bytes = postcard::to_allocvec(job).unwrap();
            postcard::from_bytes::<Job>(&bytes).is_ok()
        };
        assert!(job(MAX_LIST).check().is_ok() && read(&job(MAX_LIST)));
        assert_eq!(message(&job(MAX_LIST + 1)), "job: 262145 arguments, at most 262144");
        assert!(!read(&job(MAX_LIST + 1)));
    }

    #[test]
    fn every_field_counts_in_the_hash() {
        let module = ModuleRef { name: "m".into(), hash: [1; 32], size: 1 };
        let function = JobFunction::parse("a.b()->()").unwrap();
        let base = Job::default();
        let jobs = [
            base.clone(),
            Job { version: 3, ..base.clone() },
            Job { program: module.clone(), ..base.clone() },
            Job { modules: vec![module.clone()], ..base.clone() },
            Job { contracts: vec![module], ..base.clone() },
            Job { functions: vec![function], ..base.clone() },
            Job { store: Some(0), ..base.clone() },
            Job { call_data: b"a".to_vec(), ..base.clone() },
            Job { caller: "a".into(), ..base.clone() },
            Job { entry: Some(String::new()), ..base.clone() },
            Job { args: vec![String::new()], ..base.clone() },
            Job { argv0: "a".into(), ..base.clone() },
            Job { env: vec![pair("a", "b")], ..base.clone() },
            Job { stdin: Some(Stdin { size: 0, hash: [0; 32] }), ..base.clone() },
            Job { inputs: vec![input("a")], ..base.clone() },
            Job { preopens: vec!["/".into()], ..base.clone() },
            Job { schedule: ScheduleRef { name: "d".into(), ..ScheduleRef::default() }, ..base.clone() },
            Job { features: vec![("simd".into(), true)], ..base.clone() },
            Job { limits: Limits { call_depth: 1, ..Limits::default() }, ..base.clone() },
            Job { clock_rate: 2, ..base.clone() },
            Job { seed: 1, ..base },
        ];
        let hashes: std::collections::BTreeSet<_> = jobs.iter().map(Job::job_hash).collect();
        assert_eq!(hashes.len(), jobs.len());
    }

    #[test]
    fn the_hash_is_derived_from_the_postcard_bytes() {
        let job = Job::default();
        let bytes = postcard::to_allocvec(&job).unwrap();
        assert_eq!(job.job_hash(), blake3::derive_key("guest-interp 2026 job v1", &bytes));
    }

    #[test]
    fn the_last_value_of_a_variable_wins_in_the_place_of_the_first() {
        let given = vec![pair("a", "1"), pair("b", "2"), pair("a", "3")];
        assert_eq!(last_wins(given), [pair("a", "3"), pair("b", "2")]);
    }

    #[test]
    fn declared_functions_read_as_they_are_written() {
        for text in ["env.add(i32,i64)->(f32,f64)", "a.b.c()->()", "m.f((i32)->()"] {
            assert_eq!(JobFunction::parse(text).map(|function| function.text()), Ok(text.to_owned()));
        }
        for text in ["", "f(i32)->()", ".f()->()", "m.()->()", "m.f(i32)", "m.f(v128)->()", "m.f(i32,)->()", "m.f->()"]
        {
            let message = format!("'{text}' is not of the form MODULE.NAME(i32,i64)->(f64)");
            assert_eq!(JobFunction::parse(text).unwrap_err().message(), message);
        }
    }

    #[test]
    fn other_forms_of_a_job_are_refused() {
        assert_eq!(Job::default().check(), Ok(()));
        let base = Job::default;
        assert_eq!(message(&Job { version: 9, ..base() }), "job: version 9, expected 2");
        let inputs = vec![input("b"), input("a")];
        assert_eq!(message(&Job { inputs, ..base() }), "job: input 'a' is not in ascending order");
        let features = vec![("a".into(), true), ("a".into(), true)];
        assert_eq!(message(&Job { features, ..base() }), "job: feature 'a' is not in ascending order");
        let env = vec![pair("x", "1"), pair("a", "1"), pair("x", "2")];
        assert_eq!(message(&Job { env, ..base() }), "job: variable 'x' is given twice");
        assert_eq!(message(&Job { args: vec!["a\0b".into()], ..base() }), "job: NUL in \"a\\0b\"");
        let schedule = ScheduleRef { name: "default".into(), ..ScheduleRef::default() };
        let said = message(&Job { schedule, ..base() });
        assert!(said.starts_with("job: gas schedule \"default\": the built-in schedule of this name has"), "{said}");
    }
}
