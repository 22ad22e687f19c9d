//! What a chain claims, in the words of its own files: which program was called how, how far it came, how it ended and with
//! which result. It is shown before the verdict, so that a reader sees what is valid; nothing of it is believed before that.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use stepmark_session::spec::SnapshotName;
use stepmark_snapshot::job::Job;
use stepmark_state::encoding::hex;

use crate::chain::ChainFiles;
use crate::chain::durable::{self, Name, PAUSE};
use crate::chain::snapshot_ref::SnapshotRef;
use crate::claimed_job::{ClaimedFile, ClaimedJob};
use crate::failure::{Failure, Result};
use crate::foreign::{self, Foreign, ForeignKind};
use crate::job::search::file_hash;
use crate::store::decode_set;

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

/// What a chain claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// The job.
    #[serde(flatten)]
    pub job: ClaimedJob,
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
    /// What a contract returned, in hexadecimal after `0x`, or as text where it is some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<String>,
    /// What the outside answered, taken on trust: the records together, and a hash of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<ClaimedFile>,
    /// Hash of the last `.snap`, to which everything before it is tied.
    pub head: String,
    /// Hash of the job, in which everything of it is.
    pub job_hash: String,
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
        let paused = || SnapshotRef::new(&chain.dir, SnapshotName::Paused).read().ok().map(|raw| raw.state.gas_total);
        let paused = if ended == ClaimedEnd::Paused { paused() } else { None };
        let gas = said["gas_used"].as_u64().or(paused).or(last.map(|(_, link)| link.gas_total));
        Self {
            snapshots,
            gas: gas.unwrap_or(0),
            ended,
            result: result(said, ended),
            stdout: stream("stdout", &said["stdout"]),
            stderr: stream("stderr", &said["stderr"]),
            files: said["files"].as_array().into_iter().flatten().filter_map(left_behind).collect(),
            returned: if ended == ClaimedEnd::Finished { returned(chain) } else { None },
            answers: answers(chain, to),
            head: last.map(|(_, link)| hex(&link.hash)).unwrap_or_default(),
            job_hash: hex(&job.job_hash()),
            job: ClaimedJob::of(job),
        }
    }

    /// The claim in words, each with its name; what is as it is by default is left out.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = self.job.lines();
        let plural = if self.snapshots == 1 { "" } else { "s" };
        lines.push(("length", format!("{} snapshot{plural}, {} gas", self.snapshots, self.gas)));
        lines.push(("ended", self.ended.words().to_owned()));
        lines.extend(self.result.iter().map(|result| ("result", result.clone())));
        lines.extend(self.returned.iter().map(|returned| ("returned", returned.clone())));
        let written = |stream: &&ClaimedFile| stream.size > 0;
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let shown = stream.as_ref().filter(written);
            lines.extend(shown.map(|stream| (name, format!("{} bytes, hash {}", stream.size, stream.hash))));
        }
        lines.extend(self.files.iter().map(|file| ("left file", file.words())));
        lines.extend(self.answers.iter().map(|ClaimedFile { name, size, hash }| {
            ("answers", format!("{name} from outside, {size} bytes, BLAKE3 of their hashes {hash}"))
        }));
        lines.extend((!self.head.is_empty()).then(|| ("head", self.head.clone())));
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
    /// What stood beside the claim that they were taken from: no member of a claim may.
    pub beside: Vec<String>,
}

impl Expected {
    /// Checks a claim against what was promised.
    ///
    /// # Errors
    /// Exit code 65 that names each part in which they differ; 2 for a member that no claim has.
    pub fn check(&self, claim: &Claim, chain: &Path) -> Result<()> {
        let call = claim.job.call();
        let hash = |hash: &Option<String>| hash.as_ref().map(|hash| hash.to_ascii_lowercase());
        let (program, head) = (hash(&self.program), hash(&self.head));
        let result = claim.result.clone().unwrap_or_else(|| "none".to_owned());
        // In words, and as data.
        for (flag, hash) in [("--expect-program", &program), ("--expect-head", &head)] {
            let is_hash = |hash: &String| hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
            if let Some(hash) = hash.as_ref().filter(|hash| !is_hash(hash)) {
                return Err(Failure::usage(format!("{flag}: {hash:?} is no hash of 64 hexadecimal digits")));
            }
        }
        let (mut in_words, mut as_data) = (Vec::new(), Vec::new());
        let datum = |what: &str, claimed: &Value, expected: &Value| json!({ "what": what, "claimed": claimed, "expected": expected });
        let parts = [
            ("the program's hash", &program, &claim.job.program.hash),
            ("the call", &self.call, &call),
            ("the result", &self.result, &result),
            ("the hash of the last snapshot", &head, &claim.head),
        ];
        for (what, expected, found) in parts {
            if let Some(expected) = expected.as_ref().filter(|expected| *expected != found) {
                in_words.push(format!("{what} is {}, expected {}", with_blanks(found), with_blanks(expected)));
                as_data.push(datum(what, &found.as_str().into(), &expected.as_str().into()));
            }
        }
        let claimed = serde_json::to_value(claim).unwrap_or_default();
        if let Some(name) = self.beside.iter().find(|name| claimed.get(name.as_str()).is_some()) {
            let failure = Failure::usage(format!("--claim: {name:?} stands beside the claim, and is a part of one"));
            return Err(failure.help("put it into the object \"claim\", or leave that object out"));
        }
        for (name, expected) in &self.members {
            let Some(found) = claimed.get(name) else {
                return Err(Failure::usage(format!("--claim: {name:?} is no part of a claim")));
            };
            each_broken(name, found, expected, &mut |name, found, expected| {
                in_words.push(format!("{name} is {found}, expected {expected}"));
                as_data.push(datum(name, found, expected));
            });
        }
        if in_words.is_empty() {
            return Ok(());
        }
        let details = json!({ "chain": chain.display().to_string(), "claim": claimed, "differences": as_data });
        let what = format!("{}: claims something else than was expected", chain.display());
        Err(in_words.into_iter().fold(Failure::data(what), Failure::caused_by).with_details(details))
    }
}

/// A text in which a blank at either end is seen.
fn with_blanks(text: &str) -> String {
    if text.trim() == text { text.to_owned() } else { format!("{text:?}") }
}

/// Gives `each` the members in which what is claimed is not what was promised, each with its path.
fn each_broken(name: &str, claimed: &Value, promised: &Value, each: &mut dyn FnMut(&str, &Value, &Value)) {
    match (claimed, promised) {
        _ if agrees(claimed, promised) => {}
        (Value::Object(claimed), Value::Object(promised)) if !promised.is_empty() => {
            for (member, promised) in promised {
                let claimed = claimed.get(member).unwrap_or(&Value::Null);
                each_broken(&format!("{name}.{member}"), claimed, promised, each);
            }
        }
        _ => each(name, claimed, promised),
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

/// Most bytes of answers that are hashed for a claim.
const MOST_READ: u64 = 64 << 20;
/// Most bytes of a read and write set that is decoded for it: in memory it takes up to thirty times as many.
const MOST_DECODED: u64 = 1 << 20;

/// What a contract returned that is not nothing, where that can be read: the verification says what is wrong with the file.
fn returned(chain: &ChainFiles) -> Option<String> {
    let file = Foreign::find_within(&chain.dir, "rwset.bin", ForeignKind::ReadWriteSet).ok()??;
    let bytes = Some(file).filter(|file| file.length() <= MOST_DECODED)?.bytes().ok()?;
    let result = decode_set(&bytes, "rwset.bin").ok()?.result;
    (!result.is_empty()).then(|| readable(&result))
}

/// Bytes for people: text, or else in hexadecimal after `0x`.
pub fn readable(bytes: &[u8]) -> String {
    as_text(bytes).map_or_else(|| format!("0x{}", hex(bytes)), str::to_owned)
}

/// Bytes as text, if they are some that can be printed.
pub fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

/// The records of answers up to snapshot `to`, or all: how many, their bytes, and BLAKE3 of their hashes in order. Of more than
/// is read for a claim there is no hash.
fn answers(chain: &ChainFiles, to: Option<u64>) -> Option<ClaimedFile> {
    let is_wanted = |kind: Name, name: &str| match kind {
        Name::Calls(id) => to.is_none_or(|to| id <= to),
        _ => to.is_none() && name.ends_with(".calls"),
    };
    let names = durable::files_in(&chain.dir).ok()?.into_iter().filter(|(kind, name)| is_wanted(*kind, name));
    let (mut count, mut size, mut hasher) = (0_u32, 0_u64, Some(blake3::Hasher::new()));
    for (_, name) in names {
        let Ok(Some(file)) = Foreign::find_within(&chain.dir, &name, ForeignKind::Calls) else { continue };
        count = count.saturating_add(1);
        size = size.saturating_add(file.length());
        let hash = if size <= MOST_READ { file_hash(file).ok() } else { None };
        hasher = hasher.zip(hash).map(|(mut hasher, hash)| {
            hasher.update(&hash);
            hasher
        });
    }
    let hash = hasher.map_or_else(|| "not computed".to_owned(), |hasher| hasher.finalize().to_hex().to_string());
    let name = if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
    (count > 0).then_some(ClaimedFile { name, size, hash })
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
