//! What a run read of the store and what it wants to write: all that is needed to commit it, or to refuse that.

use serde::{Deserialize, Serialize};

use super::KvView;
use super::keys::shown;

/// A range of keys that was read in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RangeRead {
    /// The first key looked for.
    pub from: Vec<u8>,
    /// The first key not looked at; none if the range goes to the end of all keys.
    pub to: Option<Vec<u8>>,
}

/// The reads and writes of a run. Keys ascend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadWriteSet {
    /// Version of the store when the run began.
    pub version: u64,
    /// Every key that was read and the version that was found, 0 where there was none.
    pub reads: Vec<(Vec<u8>, u64)>,
    /// Every range that was read: it must still hold the keys among the reads that lie in it, and no others.
    pub ranges: Vec<RangeRead>,
    /// Every key that was written: its value, or none where it was deleted. Empty unless the run ended normally.
    pub writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// What the contract has set as its result.
    pub result: Vec<u8>,
}

impl KvView {
    /// The reads and writes so far; `committed` tells if the writes are to count.
    pub fn read_write_set(&self, committed: bool) -> ReadWriteSet {
        let keys = &self.keys.keys;
        let value = |written: &super::keys::Written| written.map(|span| self.log.get(span).to_vec());
        let writes = keys.iter().filter(|_| committed);
        let mut ranges: Vec<_> = self.covered().map(|(from, to)| RangeRead { from, to }).collect();
        ranges.sort_unstable();
        ranges.dedup();
        ReadWriteSet {
            version: self.version.unwrap_or(0),
            reads: keys.iter().filter_map(|(key, known)| Some((key.clone(), known.seen?.version))).collect(),
            ranges,
            writes: writes.filter_map(|(key, known)| Some((key.clone(), value(known.written.as_ref()?)))).collect(),
            result: self.result().to_vec(),
        }
    }
}

impl ReadWriteSet {
    /// The bytes of `rwset.bin`.
    pub fn encode(&self) -> Vec<u8> {
        let encoded = postcard::to_allocvec(self);
        encoded.unwrap_or_else(|_| unreachable!("BUG: encoding to a vector has no way to fail"))
    }

    /// Reads `rwset.bin`; none if that is not what `bytes` are.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        crate::external::whole(bytes)
    }

    /// A key in messages: text where it is printable, hexadecimal otherwise.
    pub fn shown(key: &[u8]) -> String {
        shown(key)
    }
}
