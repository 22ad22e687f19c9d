//! What a chain claims, in the words of its own files: which program was called how, how far it came, how it ended and with
//! which result. It is shown before the verdict, so that a reader sees what is valid; nothing of it is believed before that.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use stepmark_core::module::UNKNOWN_IMPORTS;
use stepmark_snapshot::job::{Job, ModuleRef};
use stepmark_state::encoding::hex;
use stepmark_state::limits::Limits;

use crate::chain::ChainFiles;
use crate::chain::durable::PAUSE;
use crate::failure::{Failure, Result};
use crate::foreign;

/// A file that the job names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimedFile {
    /// Its name or path as the job has it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of its bytes, in hexadecimal.
    pub hash: String,
}

/// How a run ended, by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimedEnd {
    /// The entry returned.
    Finished,
    /// The program ended itself.
    Exited,
    /// It trapped.
    Trapped,
    /// It stopped at the gas limit.
    GasLimit,
    /// It was interrupted, with its state in a pause.
    Paused,
    /// Nothing says.
    Unknown,
    /// Only a part was asked for: how the run ended is not looked at.
    NotAsked,
}

impl ClaimedEnd {
    /// Whether the program has ended: nothing more can follow.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Exited | Self::Trapped)
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Exited => "exited",
            Self::Trapped => "trapped",
            Self::GasLimit => "stopped at the gas limit",
            Self::Paused => "paused",
            Self::Unknown => "nothing says how",
            Self::NotAsked => "not looked at",
        }
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

/// What a chain claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
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
    /// Snapshots of the chain.
    pub snapshots: u64,
    /// Gas that the program took up to the last thing that the chain claims.
    pub gas: u64,
    /// How the run ended.
    pub ended: ClaimedEnd,
    /// What it returned, its exit code, or why it trapped; none while it has not ended.
    pub result: Option<String>,
    /// Standard output: bytes and hash.
    pub stdout: Option<ClaimedFile>,
    /// Standard error.
    pub stderr: Option<ClaimedFile>,
    /// Files that the program left behind.
    pub files: Vec<ClaimedFile>,
    /// Hash of the last `.snap`, to which everything before it is tied.
    pub head: String,
}

/// Members of a claim that are about the run, not about the job.
const OF_THE_RUN: [&str; 8] = ["snapshots", "gas", "ended", "result", "stdout", "stderr", "files", "head"];

/// What a job is, in the members of a claim: what a receipt says of it.
pub fn job_object(job: &Job) -> Value {
    let mut object = serde_json::to_value(Claim::of_job(job)).unwrap_or_default();
    if let Some(members) = object.as_object_mut() {
        members.retain(|name, _| !OF_THE_RUN.contains(&name.as_str()));
    }
    object
}

impl Claim {
    /// What the files of a chain say up to snapshot `to`, or of all of it. A receipt that cannot be read claims nothing: the
    /// verification names it. Where only a part is verified, what comes after it is not claimed.
    pub fn of(chain: &ChainFiles, job: &Job, to: Option<u64>) -> Self {
        let receipt = if to.is_none() { chain.reports.receipt() } else { Value::Null };
        let said = &receipt["result"];
        let ended = if to.is_none() { end(chain, said) } else { ClaimedEnd::NotAsked };
        let snapshots = to.unwrap_or_else(|| chain.last());
        let last = chain.links.range(..=snapshots).next_back();
        let gas = said["gas_used"].as_u64().or(last.map(|(_, link)| link.gas_total));
        Self {
            snapshots,
            gas: gas.unwrap_or(0),
            ended,
            result: result(said, ended),
            stdout: stream("stdout", &said["stdout"]),
            stderr: stream("stderr", &said["stderr"]),
            files: said["files"].as_array().into_iter().flatten().filter_map(left_behind).collect(),
            head: last.map(|(_, link)| hex(&link.hash)).unwrap_or_default(),
            ..Self::of_job(job)
        }
    }

    /// The part that is about the job.
    fn of_job(job: &Job) -> Self {
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
            call_data: hex(&job.call_data),
            caller: job.caller.clone(),
            store: job.store,
            seed: job.seed,
            clock_rate: job.clock_rate,
            schedule: file(&job.schedule.name, job.schedule.bytes.len() as u64, &job.schedule.hash),
            features_off: off.collect(),
            stub_imports: stubs.first().map(|(_, zeros)| if *zeros { "zero" } else { "trap" }),
            limits: job.limits.into(),
            snapshots: 0,
            gas: 0,
            ended: ClaimedEnd::Unknown,
            result: None,
            stdout: None,
            stderr: None,
            files: Vec::new(),
            head: String::new(),
        }
    }

    /// The entry and its arguments, with a space between two; what is not a plain word is in quotes.
    pub fn call(&self) -> String {
        self.entry.iter().chain(&self.args).map(|text| word(text)).collect::<Vec<_>>().join(" ")
    }

    /// The claim in words, each with its name; what is as it is by default is left out.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let named = |file: &ClaimedFile| format!("{}, {} bytes, BLAKE3 {}", word(&file.name), file.size, file.hash);
        let of = |name: &'static str, files: &[ClaimedFile]| -> Vec<(&'static str, String)> {
            files.iter().map(|file| (name, named(file))).collect()
        };
        let mut lines = vec![("program", named(&self.program))];
        lines.extend(of("module", &self.modules));
        lines.extend(of("contract", &self.contracts));
        lines.push(("call", if self.call().is_empty() { "(no arguments)".to_owned() } else { self.call() }));
        lines.extend(self.env.iter().map(|variable| ("env", word(variable))));
        lines.extend(self.stdin.iter().map(|stdin| ("stdin", format!("{} bytes, BLAKE3 {}", stdin.size, stdin.hash))));
        lines.extend(of("input", &self.inputs));
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
        let plural = if self.snapshots == 1 { "" } else { "s" };
        lines.push(("length", format!("{} snapshot{plural}, {} gas", self.snapshots, self.gas)));
        lines.push(("ended", self.ended.words().to_owned()));
        lines.extend(self.result.iter().map(|result| ("result", result.clone())));
        let written = |stream: &&ClaimedFile| stream.size > 0;
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let shown = stream.as_ref().filter(written);
            lines.extend(shown.map(|stream| (name, format!("{} bytes, hash {}", stream.size, stream.hash))));
        }
        lines.extend(of("left file", &self.files));
        lines.extend(when(!self.head.is_empty(), "head", self.head.clone()));
        lines
    }
}

/// What whoever verifies was promised: each part that is given must be what the chain claims.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// BLAKE3 hash of the program, in hexadecimal.
    pub program: Option<String>,
    /// The entry and its arguments, with a space between two.
    pub call: Option<String>,
    /// The result, as the claim shows it.
    pub result: Option<String>,
    /// Hash of the last snapshot, in hexadecimal.
    pub head: Option<String>,
    /// Members of a claim, as `--json` prints it.
    pub members: serde_json::Map<String, Value>,
}

impl Expected {
    /// Checks a claim against what was promised.
    ///
    /// # Errors
    /// Exit code 65 that names each part in which they differ; 2 for a member that no claim has.
    pub fn check(&self, claim: &Claim, chain: &Path) -> Result<()> {
        let call = claim.call();
        let hash = |hash: &Option<String>| hash.as_ref().map(|hash| hash.to_ascii_lowercase());
        let (program, head) = (hash(&self.program), hash(&self.head));
        let result = claim.result.clone().unwrap_or_else(|| "none".to_owned());
        // In words, and as data.
        let (mut in_words, mut as_data) = (Vec::new(), Vec::new());
        let datum = |what: &str, claimed: &Value, expected: &Value| json!({ "what": what, "claimed": claimed, "expected": expected });
        let parts = [
            ("the program's hash", &program, &claim.program.hash),
            ("the call", &self.call, &call),
            ("the result", &self.result, &result),
            ("the hash of the last snapshot", &head, &claim.head),
        ];
        for (what, expected, found) in parts {
            if let Some(expected) = expected.as_ref().filter(|expected| *expected != found) {
                in_words.push(format!("{what} is {found}, expected {expected}"));
                as_data.push(datum(what, &found.as_str().into(), &expected.as_str().into()));
            }
        }
        let claimed = serde_json::to_value(claim).unwrap_or_default();
        for (name, expected) in &self.members {
            let Some(found) = claimed.get(name) else {
                return Err(Failure::usage(format!("--claim: {name:?} is no part of a claim")));
            };
            if !agrees(found, expected) {
                in_words.push(format!("{name} is {found}, expected {expected}"));
                as_data.push(datum(name, found, expected));
            }
        }
        if in_words.is_empty() {
            return Ok(());
        }
        let details = json!({ "chain": chain.display().to_string(), "claim": claimed, "differences": as_data });
        let what = format!("{}: claims something else than was expected", chain.display());
        Err(in_words.into_iter().fold(Failure::data(what), Failure::caused_by).with_details(details))
    }
}

/// Whether what is claimed is what was promised: of an object the members that were promised, which may be some of them.
fn agrees(claimed: &Value, promised: &Value) -> bool {
    match (claimed, promised) {
        (Value::Object(claimed), Value::Object(promised)) => {
            let is_so = |(name, promised): (&String, &Value)| {
                claimed.get(name).is_some_and(|claimed| agrees(claimed, promised))
            };
            !promised.is_empty() && promised.iter().all(is_so)
        }
        (Value::Array(claimed), Value::Array(promised)) => {
            claimed.len() == promised.len() && claimed.iter().zip(promised).all(|(a, b)| agrees(a, b))
        }
        _ => claimed == promised,
    }
}

/// A text of the prover's as one word: what is not plain is in quotes, so that it cannot be taken for what stands beside it.
fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._/-+=:@%".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { format!("{text:?}") }
}

fn file(name: &str, size: u64, hash: &[u8; 32]) -> ClaimedFile {
    ClaimedFile { name: name.to_owned(), size, hash: hex(hash) }
}

fn module(module: &ModuleRef) -> ClaimedFile {
    file(&module.name, module.size, &module.hash)
}

/// What was written, a stream or a file, as the receipt has it.
fn stream(name: &str, said: &Value) -> Option<ClaimedFile> {
    let (size, hash) = (said["bytes"].as_u64()?, said["hash"].as_str()?);
    Some(ClaimedFile { name: name.to_owned(), size, hash: hash.to_owned() })
}

/// A file that the program left behind, as the receipt has it.
fn left_behind(said: &Value) -> Option<ClaimedFile> {
    stream(said["path"].as_str()?, said)
}

/// How the run ended: as the receipt says, or without one as the files that are there show.
fn end(chain: &ChainFiles, said: &Value) -> ClaimedEnd {
    match said["outcome"].as_str() {
        Some("finished") => ClaimedEnd::Finished,
        Some("exited") => ClaimedEnd::Exited,
        Some("trapped") => ClaimedEnd::Trapped,
        Some("gas-limit") => ClaimedEnd::GasLimit,
        _ if foreign::is_there(&chain.dir, PAUSE[0]) => ClaimedEnd::Paused,
        _ => ClaimedEnd::Unknown,
    }
}

/// What the run came to, in words.
fn result(said: &Value, ended: ClaimedEnd) -> Option<String> {
    let code = &said["exit_code"];
    match ended {
        ClaimedEnd::Finished => {
            let values = said["values"].as_array().into_iter().flatten();
            let values: Vec<&str> = values.filter_map(|value| value["value"].as_str()).collect();
            Some(if values.is_empty() { format!("exit code {code}") } else { values.join(" ") })
        }
        ClaimedEnd::Exited => Some(format!("exit code {code}")),
        ClaimedEnd::Trapped => Some(said["trap"]["message"].as_str().unwrap_or("a trap").to_owned()),
        ClaimedEnd::GasLimit | ClaimedEnd::Paused | ClaimedEnd::Unknown | ClaimedEnd::NotAsked => None,
    }
}
