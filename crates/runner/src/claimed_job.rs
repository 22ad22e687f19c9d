//! A job in the words of whoever claims something about it: what `verify` shows, and what a receipt says of its job.

use serde::Serialize;
use stepmark_core::gas::Schedule;
use stepmark_core::module::UNKNOWN_IMPORTS;
use stepmark_snapshot::job::{Job, JobFunction, ModuleRef, ScheduleRef};
use stepmark_state::encoding::hex;
use stepmark_state::limits::Limits;

/// What a receipt calls the job that it says.
pub(crate) const JOB: &str = "job";
/// Members that the first receipts with a job did not have.
pub(crate) const LATER: [&str; 2] = ["preopens", "functions"];

/// A file that a claim names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimedFile {
    /// Its name or path as the job has it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub hash: String,
}

impl ClaimedFile {
    /// In words.
    pub fn words(&self) -> String {
        format!("{}, {} bytes, BLAKE3 {}", word(&self.name), self.size, self.hash)
    }
}

/// Limits that the job names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimedLimits {
    /// Bytes of memory.
    pub memory: u64,
    /// Frames of calls.
    pub call_depth: u64,
    /// Bytes of files.
    pub files: u64,
    /// Slots of exceptions.
    pub exceptions: u64,
}

impl From<Limits> for ClaimedLimits {
    fn from(limits: Limits) -> Self {
        Self {
            memory: limits.memory_bytes,
            call_depth: limits.call_depth.into(),
            files: limits.file_bytes,
            exceptions: limits.exception_slots.into(),
        }
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimedJob {
    /// The program.
    pub program: ClaimedFile,
    /// Modules that it imports from.
    pub modules: Vec<ClaimedFile>,
    /// Contracts that it can call.
    pub contracts: Vec<ClaimedFile>,
    /// The export that was called; none for a command.
    pub entry: Option<String>,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment, `NAME=VALUE`.
    pub env: Vec<String>,
    /// Standard input; none is an empty one.
    pub stdin: Option<ClaimedFile>,
    /// Input files.
    pub inputs: Vec<ClaimedFile>,
    /// Directories that were open to the program from the start.
    pub preopens: Vec<String>,
    /// Functions of whoever embedded the engine, with their types: what they answer comes from outside.
    pub functions: Vec<String>,
    /// What a contract was called with, in hexadecimal.
    pub call_data: String,
    /// Who called it.
    pub caller: String,
    /// Version of the store that it began with.
    pub store: Option<u64>,
    /// Seed of the random source.
    pub seed: u64,
    /// Nanoseconds of the program's clocks for each unit of gas.
    pub clock_rate: u64,
    /// Name and hash of the gas schedule.
    pub schedule: ClaimedFile,
    /// Features that were turned off.
    pub features_off: Vec<String>,
    /// What imported functions did that nothing provided: `trap` or `zero`; none where there were none.
    pub stub_imports: Option<&'static str>,
    /// What the program may have at most.
    pub limits: ClaimedLimits,
}

impl ClaimedJob {
    /// What a job says of itself.
    pub fn of(job: &Job) -> Self {
        let (stubs, features): (Vec<_>, Vec<_>) = job.features.iter().partition(|(name, _)| name == UNKNOWN_IMPORTS);
        let off = features.into_iter().filter(|(_, on)| !on).map(|(name, _)| name.clone());
        Self {
            program: module(&job.program),
            modules: job.modules.iter().map(module).collect(),
            contracts: job.contracts.iter().map(module).collect(),
            entry: job.entry.clone(),
            args: job.args.clone(),
            env: job.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            stdin: job.stdin.as_ref().map(|stdin| file("stdin", stdin.size, &stdin.hash)),
            inputs: job.inputs.iter().map(|input| file(&input.path, input.size, &input.hash)).collect(),
            preopens: job.preopens.clone(),
            functions: job.functions.iter().map(JobFunction::text).collect(),
            call_data: hex(&job.call_data),
            caller: job.caller.clone(),
            store: job.store,
            seed: job.seed,
            clock_rate: job.clock_rate,
            schedule: file(&job.schedule.name, job.schedule.bytes.len() as u64, &job.schedule.hash),
            features_off: off.collect(),
            stub_imports: stubs.first().map(|(_, zeros)| if *zeros { "zero" } else { "trap" }),
            limits: job.limits.into(),
        }
    }

    /// The entry and its arguments, with a space between two; what is not a plain word is in quotes.
    pub fn call(&self) -> String {
        self.entry.iter().chain(&self.args).map(|text| word(text)).collect::<Vec<_>>().join(" ")
    }

    /// It in words, each part with its name; what is as it is by default is left out.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let of = |name: &'static str, files: &[ClaimedFile]| -> Vec<(&'static str, String)> {
            files.iter().map(|file| (name, file.words())).collect()
        };
        let mut lines = vec![("program", self.program.words())];
        lines.extend(of("module", &self.modules));
        lines.extend(of("contract", &self.contracts));
        lines.push(("call", if self.call().is_empty() { "(no arguments)".to_owned() } else { self.call() }));
        lines.extend(self.env.iter().map(|variable| ("env", word(variable))));
        lines.extend(self.stdin.iter().map(|stdin| ("stdin", format!("{} bytes, BLAKE3 {}", stdin.size, stdin.hash))));
        lines.extend(of("input", &self.inputs));
        lines.extend(self.preopens.iter().map(|directory| ("open", word(directory))));
        lines.extend(self.functions.iter().map(|function| ("function", word(function))));
        let when = |show: bool, name, text: String| show.then_some((name, text));
        let ClaimedLimits { memory, call_depth, files, exceptions } = self.limits;
        let limits = format!("memory {memory}, call depth {call_depth}, files {files}, exceptions {exceptions}");
        lines.extend(
            [
                when(!self.call_data.is_empty(), "call data", format!("0x{}", self.call_data)),
                when(!self.caller.is_empty(), "caller", word(&self.caller)),
                self.store.map(|version| ("store", format!("version {version}"))),
                when(self.seed != 0, "seed", self.seed.to_string()),
                when(self.clock_rate != 1, "clock", format!("{} ns a unit of gas", self.clock_rate)),
                when(!self.features_off.is_empty(), "off", self.features_off.join(", ")),
                self.stub_imports.map(|what| ("stubs", what.to_owned())),
                when(self.limits != Limits::default().into(), "limits", limits),
            ]
            .into_iter()
            .flatten(),
        );
        lines.push(("schedule", format!("{}, BLAKE3 {}", word(&self.schedule.name), self.schedule.hash)));
        lines
    }
}

/// Whether a schedule is one of ours.
pub fn is_built_in(schedule: &ScheduleRef) -> bool {
    Schedule::builtin(&schedule.name).is_some_and(|known| known.hash() == schedule.hash)
}

fn module(module: &ModuleRef) -> ClaimedFile {
    file(&module.name, module.size, &module.hash)
}

fn file(name: &str, size: u64, hash: &[u8; 32]) -> ClaimedFile {
    ClaimedFile { name: name.to_owned(), size, hash: hex(hash) }
}

/// A text of the prover's as one word: what is not plain is in quotes, so that it cannot be taken for what stands beside it.
fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._/-+=:@%".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { format!("{text:?}") }
}
