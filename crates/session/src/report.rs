//! What a run leaves behind beside its snapshots: `result.txt`, the lines of the reference node, and `receipt.json`, the
//! authority on how the run ended. The `result` object of the receipt depends on the job alone and, when the run stopped at
//! its gas limit, on where that was; `run` and `node` say how it was run and by what.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::values::ValKind;
use stepmark_hosts::store::{RangeRead, ReadWriteSet};
use stepmark_state::encoding::hex;
use stepmark_state::trap::Trap;

/// First line of `result.txt` for a trap and for a gas limit without refill.
pub const STATUS_ABNORMAL: u32 = 134;
/// Exit code of a run that stopped at its gas limit.
pub const EXIT_GAS_LIMIT: u32 = 75;
/// Frames of a wasm stack trace that a receipt shows, innermost first; an exhausted stack has tens of thousands.
pub const MAX_BACKTRACE: usize = 64;

/// Files that a receipt shows of those that a program leaves behind.
pub const MAX_FILES: usize = 4096;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunOutcome {
    /// The entry returned.
    Finished,
    /// The program asked to exit with this code.
    Exited(u32),
    /// The program trapped.
    Trapped(TrapReport),
    /// The gas limit was reached and not refilled.
    GasLimit,
}

impl RunOutcome {
    /// Its name in the receipt.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Exited(_) => "exited",
            Self::Trapped(_) => "trapped",
            Self::GasLimit => "gas-limit",
        }
    }

    /// First line of `result.txt`.
    pub fn status(&self) -> u32 {
        match self {
            Self::Finished => 0,
            Self::Exited(code) => *code,
            Self::Trapped(_) | Self::GasLimit => STATUS_ABNORMAL,
        }
    }

    /// Exit code of the host runner.
    pub fn exit_code(&self) -> u32 {
        match self {
            Self::GasLimit => EXIT_GAS_LIMIT,
            other => other.status(),
        }
    }
}

/// A value that the entry returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedValue {
    /// Its type.
    pub kind: ValKind,
    /// Its bit pattern; of a reference 0 when null.
    pub bits: u128,
}

impl std::fmt::Display for ReturnedValue {
    /// Integers and vectors unsigned, floats in the fewest digits that read back the same, `nan`, `inf`, `-inf`, `null` or `ref`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.kind, self.bits) {
            (ValKind::I32, bits) => write!(f, "{}", low(bits)),
            (ValKind::I64 | ValKind::V128, bits) => write!(f, "{bits}"),
            (ValKind::F32, bits) if f32::from_bits(low(bits)).is_nan() => f.write_str("nan"),
            (ValKind::F32, bits) => write!(f, "{}", f32::from_bits(low(bits))),
            (ValKind::F64, bits) if f64::from_bits(low64(bits)).is_nan() => f.write_str("nan"),
            (ValKind::F64, bits) => write!(f, "{}", f64::from_bits(low64(bits))),
            (ValKind::Ref, 0) => f.write_str("null"),
            (ValKind::Ref, _) => f.write_str("ref"),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "narrower values are the low part of the pattern")]
fn low(bits: u128) -> u32 {
    bits as u32
}

#[expect(clippy::cast_possible_truncation, reason = "narrower values are the low part of the pattern")]
fn low64(bits: u128) -> u64 {
    bits as u64
}

/// What a run came to, as data: what `result.txt` and the receipt say in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResult {
    /// How it ended.
    pub outcome: RunOutcome,
    /// What the entry returned; empty unless it finished.
    pub values: Vec<ReturnedValue>,
    /// Gas charged since the start of the run, less what was given back.
    pub gas_used: u64,
    /// The highest snapshot written, else the one resumed from, else 0.
    pub last_snapshot: u64,
}

impl RunResult {
    /// The values as `result.txt` prints them.
    pub fn printed_values(&self) -> Vec<String> {
        self.values.iter().map(ToString::to_string).collect()
    }

    /// The trap that ended the run, if one did.
    pub fn trap(&self) -> Option<Trap> {
        match &self.outcome {
            RunOutcome::Trapped(report) => Some(report.trap),
            RunOutcome::Finished | RunOutcome::Exited(_) | RunOutcome::GasLimit => None,
        }
    }
}

/// One frame of a wasm stack trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameReport {
    /// The instance, counted from 0 in the order of creation.
    pub instance: u32,
    /// The function's index in its module.
    pub function: u32,
    /// Its name, when the module has names.
    pub name: Option<String>,
    /// Byte offset in the module: of the trapping instruction in the innermost frame, of the next one in the others.
    pub offset: u32,
}

/// A trap and where it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrapReport {
    /// Why.
    pub trap: Trap,
    /// What a host function said beyond that, for [`Trap::HostError`].
    pub detail: Option<String>,
    /// The call stack, innermost first.
    pub backtrace: Vec<FrameReport>,
}

/// What a stream carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// Bytes.
    pub bytes: u64,
    /// BLAKE3 of them.
    pub hash: [u8; 32],
}

/// A file that the program leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Its path from the root, without a leading slash.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its contents.
    pub hash: [u8; 32],
}

/// Everything that a receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How the run ended.
    pub outcome: RunOutcome,
    /// What the entry returned; empty unless it finished.
    pub values: Vec<ReturnedValue>,
    /// Gas used since the start of the run.
    pub gas_used: u64,
    /// Name of the gas schedule.
    pub schedule_name: String,
    /// Hash of the gas schedule.
    pub schedule_hash: [u8; 32],
    /// The program's standard output since the start of the run.
    pub stdout: StreamReport,
    /// The program's standard error since the start of the run.
    pub stderr: StreamReport,
    /// The files that the program leaves behind, if it ended normally; at most [`MAX_FILES`].
    pub files: Vec<FileReport>,
    /// How many there are beside those.
    pub omitted_files: u64,
    /// Hash of the job.
    pub job_hash: [u8; 32],
    /// Hash of the program.
    pub program_hash: [u8; 32],
    /// Hash of the final state.
    pub state_hash: [u8; 32],
    /// The highest snapshot written, else the one resumed from, else 0. Not part of `result`: it depends on the limit.
    pub last_snapshot: u64,
    /// Limit of the last segment.
    pub gas_limit: u64,
    /// Version of the node.
    pub version: String,
}

impl Receipt {
    /// The text of `result.txt`: status, snapshot id, and the values if there are any.
    pub fn result_text(&self) -> String {
        result_text(self.outcome.status(), self.last_snapshot, &self.values)
    }

    /// The text of `receipt.json`.
    pub fn json(&self) -> String {
        let run = [("last_snapshot", number(self.last_snapshot)), ("gas_limit", number(self.gas_limit))];
        let node = [("version", text(&self.version))];
        let mut out = String::new();
        object([("result", self.result()), ("run", object(run)), ("node", object(node))]).write(&mut out, 0);
        out.push('\n');
        out
    }

    fn result(&self) -> Json {
        let schedule = [("name", text(&self.schedule_name)), ("hash", hash(&self.schedule_hash))];
        let trap = match &self.outcome {
            RunOutcome::Trapped(report) => trap(report),
            _ => Json::Null,
        };
        object([
            ("outcome", text(self.outcome.name())),
            ("exit_code", number(self.outcome.exit_code())),
            ("values", Json::Array(self.values.iter().map(value).collect())),
            ("gas_used", number(self.gas_used)),
            ("schedule", object(schedule)),
            ("trap", trap),
            ("stdout", stream(&self.stdout)),
            ("stderr", stream(&self.stderr)),
            ("files", Json::Array(self.files.iter().map(file).collect())),
            ("omitted_files", number(self.omitted_files)),
            ("job_hash", hash(&self.job_hash)),
            ("program_hash", hash(&self.program_hash)),
            ("state_hash", hash(&self.state_hash)),
        ])
    }
}

/// The text of `rwset.json`: keys and values in hexadecimal.
pub fn rwset_json(set: &ReadWriteSet) -> String {
    let bytes = |bytes: &[u8]| Json::Text(stepmark_state::encoding::hex(bytes));
    let optional = |found: Option<&Vec<u8>>| found.map_or(Json::Null, |found| bytes(found));
    let read = |(key, version): &(Vec<u8>, u64)| object([("key", bytes(key)), ("version", number(*version))]);
    let range = |range: &RangeRead| object([("from", bytes(&range.from)), ("to", optional(range.to.as_ref()))]);
    let write =
        |(key, value): &(Vec<u8>, Option<Vec<u8>>)| object([("key", bytes(key)), ("value", optional(value.as_ref()))]);
    let mut out = String::new();
    let json = object([
        ("version", number(set.version)),
        ("reads", Json::Array(set.reads.iter().map(read).collect())),
        ("ranges", Json::Array(set.ranges.iter().map(range).collect())),
        ("writes", Json::Array(set.writes.iter().map(write).collect())),
        ("result", bytes(&set.result)),
    ]);
    json.write(&mut out, 0);
    out.push('\n');
    out
}

/// The text of `result.txt`: `status`, snapshot `id`, and `values`, if any, separated by spaces.
pub fn result_text(status: u32, id: u64, values: &[ReturnedValue]) -> String {
    let mut text = format!("{status}\n{id}\n");
    if !values.is_empty() {
        let values: Vec<String> = values.iter().map(ReturnedValue::to_string).collect();
        text.push_str(&values.join(" "));
        text.push('\n');
    }
    text
}

/// A JSON value whose objects keep the order of their members.
enum Json {
    Null,
    Number(u64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

fn number(number: impl Into<u64>) -> Json {
    Json::Number(number.into())
}

fn text(text: &str) -> Json {
    Json::Text(text.to_owned())
}

fn hash(hash: &[u8; 32]) -> Json {
    Json::Text(hex(hash))
}

fn object<const N: usize>(members: [(&'static str, Json); N]) -> Json {
    Json::Object(members.into())
}

fn stream(stream: &StreamReport) -> Json {
    object([("bytes", number(stream.bytes)), ("hash", hash(&stream.hash))])
}

fn file(file: &FileReport) -> Json {
    object([("path", text(&file.path)), ("bytes", number(file.bytes)), ("hash", hash(&file.hash))])
}

/// The value as text, because a JSON number is not exact for 64 bits everywhere, and the bits, because NaNs differ.
fn value(value: &ReturnedValue) -> Json {
    let bits = format!("{:#x}", value.bits);
    object([("type", text(value.kind.name())), ("value", text(&value.to_string())), ("bits", Json::Text(bits))])
}

fn trap(report: &TrapReport) -> Json {
    let innermost = report.backtrace.first();
    let frames = report.backtrace.iter().take(MAX_BACKTRACE).map(frame);
    let omitted = report.backtrace.len().saturating_sub(MAX_BACKTRACE) as u64;
    object([
        ("message", text(report.trap.message())),
        ("detail", report.detail.as_deref().map_or(Json::Null, text)),
        ("function", innermost.map_or(Json::Null, name)),
        ("offset", innermost.map_or(Json::Null, |frame| number(frame.offset))),
        ("backtrace", Json::Array(frames.collect())),
        ("omitted_frames", Json::Number(omitted)),
    ])
}

fn name(frame: &FrameReport) -> Json {
    frame.name.as_deref().map_or(Json::Null, text)
}

fn frame(frame: &FrameReport) -> Json {
    object([
        ("instance", number(frame.instance)),
        ("index", number(frame.function)),
        ("function", name(frame)),
        ("offset", number(frame.offset)),
    ])
}

impl Json {
    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Number(number) => {
                // writing to a String cannot fail
                let _ = write!(out, "{number}");
            }
            Self::Text(text) => quote(text, out),
            Self::Array(items) => list(out, depth, ['[', ']'], items, |item, out, depth| item.write(out, depth)),
            Self::Object(members) => list(out, depth, ['{', '}'], members, |(key, value), out, depth| {
                quote(key, out);
                out.push_str(": ");
                value.write(out, depth);
            }),
        }
    }
}

/// The items of an array or object, one to a line.
fn list<T>(out: &mut String, depth: usize, ends: [char; 2], items: &[T], write: impl Fn(&T, &mut String, usize)) {
    let [open, close] = ends;
    let inner = depth.saturating_add(1);
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(inner));
        write(item, out, inner);
    }
    if !items.is_empty() {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(close);
}

/// A JSON string. Names come from the program, so everything that could break a line or a terminal is escaped.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other.is_control() || matches!(other, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: ValKind, bits: u64) -> ReturnedValue {
        ReturnedValue { kind, bits: bits.into() }
    }

    fn receipt(outcome: RunOutcome) -> Receipt {
        Receipt {
            outcome,
            values: vec![],
            gas_used: 12,
            schedule_name: "default".into(),
            schedule_hash: [1; 32],
            stdout: StreamReport { bytes: 3, hash: [2; 32] },
            stderr: StreamReport { bytes: 0, hash: [3; 32] },
            files: vec![FileReport { path: "a/c".to_owned(), bytes: 2, hash: [6; 32] }],
            omitted_files: 0,
            job_hash: [4; 32],
            program_hash: [5; 32],
            state_hash: [6; 32],
            last_snapshot: 10,
            gas_limit: u64::MAX,
            version: "0.1.0".into(),
        }
    }

    #[test]
    fn result_txt_has_the_lines_of_the_reference_node() {
        let finished = Receipt { values: vec![value(ValKind::I32, 32_835_000)], ..receipt(RunOutcome::Finished) };
        assert_eq!(finished.result_text(), "0\n10\n32835000\n");
        assert_eq!(receipt(RunOutcome::Finished).result_text(), "0\n10\n");
        assert_eq!(receipt(RunOutcome::Exited(0)).result_text(), "0\n10\n");
        assert_eq!(receipt(RunOutcome::Exited(200)).result_text(), "200\n10\n");
        assert_eq!(receipt(RunOutcome::GasLimit).result_text(), "134\n10\n");
        let trap = TrapReport { trap: Trap::Unreachable, detail: None, backtrace: vec![] };
        assert_eq!(receipt(RunOutcome::Trapped(trap)).result_text(), "134\n10\n");
        let several = [value(ValKind::I64, u64::MAX), value(ValKind::F64, 1.5f64.to_bits())];
        assert_eq!(result_text(0, 0, &several), "0\n0\n18446744073709551615 1.5\n");
    }

    #[test]
    fn values_are_unsigned_or_shortest() {
        use ValKind::{F32, F64, I32, I64, Ref};
        let table = [
            (I32, 0xffff_ffff, "4294967295"),
            (I64, 1 << 63, "9223372036854775808"),
            (F32, 0x3dcc_cccd, "0.1"),
            (F32, 0x7fc0_0000, "nan"),
            (F32, 0xff80_0000, "-inf"),
            (F64, 0x8000_0000_0000_0000, "-0"),
            (F64, 0x7ff8_0000_0000_0001, "nan"),
            (F64, 0x7ff0_0000_0000_0000, "inf"),
            (F64, 0x3ff0_0000_0000_0000, "1"),
            (Ref, 0, "null"),
            (Ref, 1, "ref"),
        ];
        for (kind, bits, text) in table {
            assert_eq!(value(kind, bits).to_string(), text);
        }
    }

    #[test]
    fn a_receipt_of_a_finished_run_reads_so() {
        let receipt = Receipt { values: vec![value(ValKind::I32, 7)], ..receipt(RunOutcome::Finished) };
        let expected = r#"{
  "result": {
    "outcome": "finished",
    "exit_code": 0,
    "values": [
      {
        "type": "i32",
        "value": "7",
        "bits": "0x7"
      }
    ],
    "gas_used": 12,
    "schedule": {
      "name": "default",
      "hash": "<01>"
    },
    "trap": null,
    "stdout": {
      "bytes": 3,
      "hash": "<02>"
    },
    "stderr": {
      "bytes": 0,
      "hash": "<03>"
    },
    "files": [
      {
        "path": "a/c",
        "bytes": 2,
        "hash": "<06>"
      }
    ],
    "omitted_files": 0,
    "job_hash": "<04>",
    "program_hash": "<05>",
    "state_hash": "<06>"
  },
  "run": {
    "last_snapshot": 10,
    "gas_limit": 18446744073709551615
  },
  "node": {
    "version": "0.1.0"
  }
}
"#;
        let expected = (1..=6).fold(expected.to_owned(), |text, byte| {
            text.replace(&format!("<0{byte}>"), &format!("0{byte}").repeat(32))
        });
        assert_eq!(receipt.json(), expected);
    }

    #[test]
    fn a_trap_shows_the_innermost_frames() {
        let frame = |function: u32| FrameReport {
            instance: 0,
            function,
            name: (function == 0).then(|| "ma\"in\u{1b}".to_owned()),
            offset: function + 100,
        };
        let trap = TrapReport {
            trap: Trap::CallStackExhausted,
            detail: None,
            backtrace: (0..MAX_BACKTRACE as u32 + 5).map(frame).collect(),
        };
        let json = receipt(RunOutcome::Trapped(trap)).json();
        let head = "    \"trap\": {\n      \"message\": \"call stack exhausted\",\n      \"detail\": null,\n      \
                    \"function\": \"ma\\\"in\\u001b\",\n      \"offset\": 100,\n      \"backtrace\": [\n        {\n          \
                    \"instance\": 0,\n          \"index\": 0,\n          \"function\": \"ma\\\"in\\u001b\",\n          \
                    \"offset\": 100\n        },\n";
        assert!(json.contains(head), "{json}");
        assert!(json.contains("\"omitted_frames\": 5\n"));
        assert_eq!(json.matches("\"index\": ").count(), MAX_BACKTRACE);
    }

    #[test]
    fn exit_codes_are_those_of_the_host_runner() {
        assert_eq!(receipt(RunOutcome::GasLimit).outcome.exit_code(), 75);
        assert_eq!(RunOutcome::Exited(3).exit_code(), 3);
        assert!(receipt(RunOutcome::GasLimit).json().contains("\"outcome\": \"gas-limit\",\n    \"exit_code\": 75,"));
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        quote("a\"\\\n\r\t\u{0}\u{7f}\u{2028}é", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\n\\r\\t\\u0000\\u007f\\u2028é\"");
        let mut empty = String::new();
        Json::Array(vec![]).write(&mut empty, 3);
        assert_eq!(empty, "[]");
    }
}
