//! Bytes as `rwset.bin`: what is accepted is encoded again as it is, and its JSON is JSON.

use stepmark_hosts::store::{RangeRead, ReadWriteSet};
use stepmark_session::report::rwset_json;

pub(super) fn rwset(data: &[u8]) {
    let Some(set) = ReadWriteSet::decode(data) else { return };
    assert!(set.encode() == data, "decoding and encoding changes an accepted file");
    let json = rwset_json(&set);
    let parsed = serde_json::from_str::<serde_json::Value>(&json);
    assert!(parsed.is_ok_and(|value| value.is_object()), "no JSON object: {json}");
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let set = ReadWriteSet {
        version: 3,
        reads: vec![(b"a".to_vec(), 2), (b"\"\\\x1b".to_vec(), 0)],
        ranges: vec![
            RangeRead { from: b"a".to_vec(), to: Some(b"b".to_vec()) },
            RangeRead { from: vec![0xff], to: None },
        ],
        writes: vec![(b"a".to_vec(), Some(b"value".to_vec())), (vec![0x80, 0], None)],
        result: b"done".to_vec(),
    };
    vec![ReadWriteSet::default().encode(), set.encode()]
}
