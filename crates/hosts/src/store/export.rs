//! A store in a file: what it held at one version, for who has no database.

use serde::{Deserialize, Serialize};

use crate::external::{ExternalCall, ExternalReply, MAX_KEY, MAX_VALUE, Versioned, whole};
use stepmark_state::error::JobError;

/// First 8 bytes of an export.
const MAGIC: [u8; 8] = *b"GI-STORE";
/// Bytes at the end: BLAKE3 of all before.
const CHECKSUM_LEN: usize = 32;

/// What a store held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreExport {
    /// Version of the store.
    pub version: u64,
    /// Its entries, by ascending key.
    pub entries: Vec<(Vec<u8>, Versioned)>,
}

impl StoreExport {
    /// The file.
    pub fn encode(&self) -> Vec<u8> {
        let encoded = postcard::to_allocvec(self);
        let encoded = encoded.unwrap_or_else(|_| unreachable!("BUG: encoding to a vector has no way to fail"));
        let mut bytes = [&MAGIC[..], &encoded].concat();
        let checksum = *blake3::hash(&bytes).as_bytes();
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Exit code 65: it is no export, is damaged, or is not what a store can hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, JobError> {
        let Some(rest) = bytes.strip_prefix(&MAGIC) else { return Err(JobError::snapshot("is no export of a store")) };
        let split = rest.len().checked_sub(CHECKSUM_LEN).and_then(|end| rest.split_at_checked(end));
        let Some((encoded, checksum)) = split else { return Err(JobError::snapshot("cut short")) };
        let hashed = blake3::Hasher::new().update(&MAGIC).update(encoded).finalize();
        if hashed.as_bytes() != checksum {
            return Err(JobError::snapshot("damaged: the checksum at its end is not that of its contents"));
        }
        let export: Self = whole(encoded).ok_or_else(|| JobError::snapshot("malformed"))?;
        if let Some((key, _)) = stepmark_state::encoding::not_ascending(&export.entries, |(key, _)| key) {
            return Err(JobError::snapshot(format!("key {} is not in ascending order", super::shown(key))));
        }
        let impossible = |(key, found): &&(Vec<u8>, Versioned)| {
            key.len() > MAX_KEY || found.value.len() > MAX_VALUE || found.version == 0 || found.version > export.version
        };
        match export.entries.iter().find(impossible) {
            Some((key, _)) => Err(JobError::snapshot(format!("key {} has an impossible entry", super::shown(key)))),
            None => Ok(export),
        }
    }

    /// The answer to a question about the store; none to any other.
    pub fn answer(&self, question: &ExternalCall) -> Option<ExternalReply> {
        match question {
            ExternalCall::Get { key } => {
                let found = self.entries.binary_search_by(|(other, _)| other.cmp(key)).ok();
                Some(ExternalReply::Value(
                    found.and_then(|place| self.entries.get(place)).map(|(_, found)| found.clone()),
                ))
            }
            ExternalCall::Next { from, limit } => {
                let place = self.entries.partition_point(|(key, _)| key < from);
                let found = self.entries.get(place);
                let found = found.filter(|(key, _)| limit.as_ref().is_none_or(|limit| key < limit));
                Some(ExternalReply::Entry(found.cloned()))
            }
            ExternalCall::Call { .. } => None,
        }
    }
}
