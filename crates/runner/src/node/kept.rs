//! What a program has written, kept in the receipt itself where it is short, so that a chain can be read without its program
//! being run. The `result` object has length and hash of it: whoever reads the bytes can hold them to that.

use serde_json::{Map, Value, json};
use stepmark_hosts::wasi::OutputHash;
use stepmark_state::encoding::hex;

/// Most bytes of both streams that are kept, unless somebody says otherwise.
pub const KEPT: u64 = 1 << 20;
/// Most that may be asked for: as text in JSON a byte takes up to six, and a receipt has at most 16 MiB.
pub const MOST_KEPT: u64 = 2 << 20;
/// The streams, by descriptor from 1.
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// What a run has written so far, as long as it is short enough.
#[derive(Debug)]
pub struct KeptOutput {
    streams: Option<[Vec<u8>; 2]>,
    most: u64,
}

impl KeptOutput {
    /// Keeps at most so many bytes.
    pub fn new(most: u64) -> Self {
        Self { streams: Some(Default::default()), most: most.min(MOST_KEPT) }
    }

    /// Adds what was written to descriptor `fd`, 1 or 2.
    pub(crate) fn add(&mut self, fd: u32, bytes: &[u8]) {
        let Some(streams) = &mut self.streams else { return };
        let length = streams.iter().map(Vec::len).fold(bytes.len(), usize::saturating_add);
        if u64::try_from(length).is_ok_and(|length| length <= self.most) {
            let [stdout, stderr] = streams;
            if fd == 1 { stdout } else { stderr }.extend_from_slice(bytes);
        } else {
            self.streams = None;
        }
    }

    /// The member of a receipt whose `result` object is this; none where nothing was written, or not all of it was kept: of a run
    /// that went on from a snapshot this process has seen only the rest.
    pub(crate) fn object(&self, result: &Value) -> Option<Value> {
        let streams = self.streams.as_ref()?;
        let mut object = Map::new();
        for (name, bytes) in STREAMS.iter().zip(streams) {
            let is_all = result[*name]["bytes"].as_u64() == u64::try_from(bytes.len()).ok();
            if !is_all {
                return None;
            }
            if !bytes.is_empty() {
                object.insert((*name).to_owned(), shown(bytes));
            }
        }
        Some(Value::Object(object)).filter(|_| streams.iter().any(|bytes| !bytes.is_empty()))
    }
}

/// Bytes as text, or in hexadecimal where they are none.
fn shown(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

/// The bytes that a member stands for; none where it has another form than [`shown`] gives.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    let bytes = match (value["text"].as_str(), value["hex"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(digits)) => unhex(digits)?,
        _ => return None,
    };
    Some(bytes).filter(|bytes| shown(bytes) == *value)
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4) | digit(*low)?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// What is wrong with the output that a receipt keeps, whose `result` object is this: every stream that is there must be the one
/// that was hashed.
pub(crate) fn faults(output: &Value, result: &Value) -> Vec<String> {
    let Some(members) = output.as_object() else { return vec!["receipt.json: \"output\" is no object".to_owned()] };
    let fault = |(name, value): (&String, &Value)| {
        if !STREAMS.contains(&name.as_str()) {
            return Some(format!("receipt.json: {name:?} is no part of output"));
        }
        let Some(bytes) = bytes(value) else {
            return Some(format!("receipt.json: {name:?} of output has another form than text or hexadecimal"));
        };
        let mut hash = OutputHash::default();
        hash.update(&bytes);
        let found = (Some(hash.length()), Some(hex(&hash.hash())));
        let said = &result[name.as_str()];
        let expected = (said["bytes"].as_u64(), said["hash"].as_str().map(str::to_owned));
        (found != expected).then(|| format!("receipt.json: {name:?} of output is not what the program wrote"))
    };
    members.iter().filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `result` object of a run that wrote this.
    fn result(stdout: &[u8], stderr: &[u8]) -> Value {
        let stream = |bytes: &[u8]| {
            let mut hash = OutputHash::default();
            hash.update(bytes);
            json!({ "bytes": hash.length(), "hash": hex(&hash.hash()) })
        };
        json!({ "stdout": stream(stdout), "stderr": stream(stderr) })
    }

    #[test]
    fn what_is_short_is_kept_whole_and_held_to_its_hash() {
        let mut kept = KeptOutput::new(10);
        kept.add(1, b"a\n");
        kept.add(2, b"\xff");
        let result = result(b"a\n", b"\xff");
        let object = kept.object(&result).expect("kept");
        assert_eq!(object, json!({ "stdout": { "text": "a\n" }, "stderr": { "hex": "ff" } }));
        assert_eq!(faults(&object, &result), Vec::<String>::new());
        for (change, fault) in [
            (
                json!({ "stdout": { "text": "b\n" } }),
                "receipt.json: \"stdout\" of output is not what the program wrote",
            ),
            (json!({ "stdout": { "hex": "610a" } }), "receipt.json: \"stdout\" of output has another form"),
            (json!({ "stderr": { "hex": "f" } }), "receipt.json: \"stderr\" of output has another form"),
            (json!({ "stderr": "x" }), "receipt.json: \"stderr\" of output has another form"),
            (json!({ "third": {} }), "receipt.json: \"third\" is no part of output"),
            (json!(7), "receipt.json: \"output\" is no object"),
        ] {
            let found = faults(&change, &result);
            assert!(found.len() == 1 && found[0].starts_with(fault), "{change}: {found:?}");
        }
    }

    #[test]
    fn what_is_long_or_not_all_is_not_kept() {
        let mut kept = KeptOutput::new(3);
        kept.add(1, b"abc");
        assert!(kept.object(&result(b"abc", b"")).is_some());
        assert!(kept.object(&result(b"0abc", b"")).is_none(), "the run began elsewhere");
        kept.add(2, b"d");
        assert!(kept.object(&result(b"abc", b"d")).is_none(), "too long");
        assert!(KeptOutput::new(3).object(&result(b"", b"")).is_none(), "nothing was written");
    }
}
