//! The `.snap` file: job, segment and state, each in postcard, behind a header that states their lengths and before a
//! BLAKE3 hash of it all. Decoding gives a [`RawSnapshot`]: well-formed and canonical, but of a hostile author until it has
//! been checked against the program.

use serde::{Serialize, de::DeserializeOwned};

use crate::job::Job;
use crate::{FileKind, PREFIX_LEN, Prefix};
use stepmark_state::canonical::{RunState, SegmentRecord};
use stepmark_state::encoding::take;
use stepmark_state::error::JobError;

/// Bytes of the header: the prefix and the three lengths.
pub const HEADER_LEN: usize = PREFIX_LEN + 3 * 8;
/// Bytes of the hash at the end.
const TRAILER_LEN: usize = 32;

/// Bytes of a job: arguments, file names and a schedule of some hundred lines stay far below. An empty string takes one
/// byte in the file and 24 in memory, which bounds a decoded job by 400 MB.
pub const MAX_JOB: u64 = 16 << 20;
/// Bytes of a segment.
pub const MAX_SEGMENT: u64 = 128;
/// Bytes of a state: 8 Mi stack slots of the default limits take at most 10 bytes each. A value takes at least one byte
/// in the file and 8 in memory, which bounds a decoded state by 2 GiB and what the bounds of its lists allow.
pub const MAX_STATE: u64 = 256 << 20;
/// Bytes of a whole `.snap`: a reader needs to take no more than this from a file.
pub const MAX_SNAP: u64 = HEADER_LEN as u64 + MAX_JOB + MAX_SEGMENT + MAX_STATE + TRAILER_LEN as u64;

/// The sections in the order of the file, with their bounds.
const SECTIONS: [(&str, u64); 3] = [("job", MAX_JOB), ("segment", MAX_SEGMENT), ("state", MAX_STATE)];

/// A decoded `.snap`: only data, not yet checked against the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSnapshot {
    /// The job.
    pub job: Job,
    /// The segment that ends here.
    pub segment: SegmentRecord,
    /// The state.
    pub state: RunState,
    /// The hash of the file.
    pub hash: [u8; 32],
}

/// The bytes of a `.snap`, and its hash.
///
/// # Errors
/// What is given is not canonical or too large, so that no reader would take it.
pub fn encode(job: &Job, segment: &SegmentRecord, state: &RunState) -> Result<(Vec<u8>, [u8; 32]), JobError> {
    job.check()?;
    segment.check()?;
    state.check()?;
    let sections = [section(job)?, section(segment)?, section(state)?];
    let prefix = Prefix { file: FileKind::Snap, paused: segment.paused, id: segment.id, job_hash: job.job_hash() };
    let mut bytes = prefix.encode().to_vec();
    for (section, (name, most)) in sections.iter().zip(SECTIONS) {
        let len = section.len() as u64;
        if len > most {
            return Err(JobError::resource(format!("snapshot: the {name} takes {len} bytes, at most {most} fit")));
        }
        bytes.extend_from_slice(&len.to_le_bytes());
    }
    for section in &sections {
        bytes.extend_from_slice(section);
    }
    let hash = *blake3::hash(&bytes).as_bytes();
    bytes.extend_from_slice(&hash);
    Ok((bytes, hash))
}

/// Job hash and snapshot id of the file that starts with `first` (at least [`PREFIX_LEN`] bytes, of a `.snap` or a `.bin`),
/// to tell a foreign job's files without reading them whole.
///
/// # Errors
/// This is not the start of a snapshot file of this version.
pub fn peek_job_hash(first: &[u8]) -> Result<([u8; 32], u64), JobError> {
    Prefix::decode(first).map(|prefix| (prefix.job_hash, prefix.id))
}

/// Reads a `.snap`. The memory taken is bounded by the bounds of the sections and, for lists of values, by eight times the
/// length of the file.
///
/// # Errors
/// The bytes are damaged, cut, too long, of another version, or not the canonical encoding of what they say.
pub fn decode(bytes: &[u8]) -> Result<RawSnapshot, JobError> {
    let prefix = Prefix::decode(bytes)?;
    if prefix.file != FileKind::Snap {
        return Err(JobError::snapshot("a .bin file, expected a .snap file at byte 0"));
    }
    let lengths = lengths(bytes)?;
    let body = bytes.get(..bytes.len().saturating_sub(TRAILER_LEN)).unwrap_or_default();
    let hash = *blake3::hash(body).as_bytes();
    if bytes.last_chunk::<TRAILER_LEN>() != Some(&hash) {
        let at = body.len();
        return Err(JobError::snapshot(format!(
            "the contents do not have the hash that the trailer names at byte {at}"
        )));
    }
    let mut rest = body.get(HEADER_LEN..).unwrap_or_default();
    let mut next = |index: usize| -> Result<&[u8], JobError> {
        let (section, after) = lengths
            .get(index)
            .and_then(|len| rest.split_at_checked(*len))
            .ok_or_else(|| JobError::snapshot(format!("cut short at byte {}", bytes.len())))?;
        rest = after;
        Ok(section)
    };
    let job: Job = parse("job", next(0)?)?;
    let segment: SegmentRecord = parse("segment", next(1)?)?;
    let state: RunState = parse("state", next(2)?)?;
    check(&prefix, &job, &segment, &state)?;
    Ok(RawSnapshot { job, segment, state, hash })
}

/// The lengths of the sections, once their sum and the length of the file agree.
fn lengths(bytes: &[u8]) -> Result<[usize; 3], JobError> {
    let mut rest = bytes.get(PREFIX_LEN..).unwrap_or_default();
    let mut total = HEADER_LEN.saturating_add(TRAILER_LEN) as u64;
    let mut lengths = [0; 3];
    for (slot, (name, most)) in lengths.iter_mut().zip(SECTIONS) {
        let len = take(&mut rest)
            .map(u64::from_le_bytes)
            .ok_or_else(|| JobError::snapshot(format!("cut short in the header at byte {}", bytes.len())))?;
        if len > most {
            return Err(JobError::snapshot(format!("the {name} claims {len} bytes, at most {most} are allowed")));
        }
        total = total.saturating_add(len);
        *slot = usize::try_from(len).unwrap_or(usize::MAX);
    }
    if total != bytes.len() as u64 {
        return Err(JobError::snapshot(format!("{} bytes, expected {total} by its header", bytes.len())));
    }
    Ok(lengths)
}

/// Checks that the parts agree with each other.
fn check(prefix: &Prefix, job: &Job, segment: &SegmentRecord, state: &RunState) -> Result<(), JobError> {
    job.check()?;
    segment.check()?;
    state.check()?;
    if job.job_hash() != prefix.job_hash {
        return Err(JobError::snapshot("the job does not have the hash that the header names at byte 24"));
    }
    if (segment.paused, segment.id) != (prefix.paused, prefix.id) {
        return Err(JobError::snapshot(format!(
            "segment of id {}, the header names id {} at byte 12",
            segment.id, prefix.id
        )));
    }
    Ok(())
}

fn section<T: Serialize>(value: &T) -> Result<Vec<u8>, JobError> {
    postcard::to_allocvec(value).map_err(|error| JobError::resource(format!("snapshot: {error}")))
}

/// The value of a section, whose bytes must be exactly its encoding.
fn parse<T: Serialize + DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, JobError> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes)
        .map_err(|error| JobError::snapshot(format!("{name}: {}", error.to_string().to_ascii_lowercase())))?;
    if !rest.is_empty() {
        return Err(JobError::snapshot(format!("{name}: {} bytes after its end", rest.len())));
    }
    // postcard accepts over-long integers, so that one value could have many encodings
    match postcard::to_io(&value, Same(bytes)) {
        Ok(Same([])) => Ok(value),
        _ => Err(JobError::snapshot(format!("{name}: not the canonical encoding"))),
    }
}

/// Compares what is written with bytes that are there; what is left is the rest of them.
struct Same<'a>(&'a [u8]);

impl std::io::Write for Same<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use stepmark_state::canonical::{FrameState, Phase, sample, state_hash};

    fn segment() -> SegmentRecord {
        SegmentRecord { id: 3, paused: false, limit: 100, gas_used: 99, previous_snap: [1; 32], bin: [2; 32] }
    }

    fn job() -> Job {
        Job { args: vec!["-5".into(), "x".into()], entry: Some("run".into()), ..Job::default() }
    }

    fn bytes() -> Vec<u8> {
        encode(&job(), &segment(), &sample()).unwrap().0
    }

    fn message(bytes: &[u8]) -> String {
        decode(bytes).unwrap_err().message().to_owned()
    }

    /// A file of these sections with lengths and trailer that fit, as a forger would write it.
    fn forge(prefix: &[u8], sections: [&[u8]; 3]) -> Vec<u8> {
        let mut bytes = prefix[..PREFIX_LEN].to_vec();
        for section in sections {
            bytes.extend_from_slice(&(section.len() as u64).to_le_bytes());
        }
        bytes.extend(sections.concat());
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        bytes
    }

    fn sections() -> [Vec<u8>; 3] {
        [section(&job()).unwrap(), section(&segment()).unwrap(), section(&sample()).unwrap()]
    }

    #[test]
    fn snapshots_survive_the_round_trip() {
        let (bytes, hash) = encode(&job(), &segment(), &sample()).unwrap();
        assert_eq!(decode(&bytes), Ok(RawSnapshot { job: job(), segment: segment(), state: sample(), hash }));
        assert_eq!(hash, bytes[bytes.len() - 32..]);
        assert_eq!(peek_job_hash(&bytes[..PREFIX_LEN]), Ok((job().job_hash(), 3)));
    }

    #[test]
    fn the_container_is_as_documented() {
        let [job_bytes, segment_bytes, state_bytes] = sections();
        assert_eq!(segment_bytes, [&[3, 0, 100, 99][..], &[1; 32], &[2; 32]].concat());
        let prefix = [&b"GI-SNAP\n"[..], &[3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0], &job().job_hash()].concat();
        assert_eq!(bytes(), forge(&prefix, [&job_bytes, &segment_bytes, &state_bytes]));
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = bytes();
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let bytes = bytes();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let long = [&bytes()[..], &[0]].concat();
        assert_eq!(message(&long), format!("{} bytes, expected {} by its header", long.len(), long.len() - 1));
    }

    #[test]
    fn length_bombs_are_refused_before_anything_is_decoded() {
        let mut bytes = bytes();
        bytes[PREFIX_LEN..PREFIX_LEN + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(message(&bytes), "the job claims 18446744073709551615 bytes, at most 16777216 are allowed");
    }

    #[test]
    fn bytes_after_the_end_of_a_section_are_refused() {
        for (index, name) in ["job", "segment", "state"].into_iter().enumerate() {
            let mut sections = sections();
            sections[index].push(0);
            let [a, b, c] = &sections;
            assert_eq!(message(&forge(&bytes(), [a, b, c])), format!("{name}: 1 bytes after its end"));
        }
    }

    #[test]
    fn over_long_integers_are_refused() {
        let [job, segment, state] = sections();
        let long = [&[0x83, 0x00][..], &segment[1..]].concat();
        assert_eq!(message(&forge(&bytes(), [&job, &long, &state])), "segment: not the canonical encoding");
    }

    #[test]
    fn more_frames_than_the_bound_are_refused_before_they_take_memory() {
        // phase entry, not awaiting, 2^22 + 1 frames of five zero bytes each
        let mut state = vec![2, 0, 0x81, 0x80, 0x80, 0x02];
        state.resize(state.len() + 5 * ((1 << 22) + 1) + 6, 0);
        let [job, segment, _] = sections();
        let error = message(&forge(&bytes(), [&job, &segment, &state]));
        assert!(error.starts_with("state: "), "{error}");
    }

    #[test]
    fn a_huge_length_of_a_list_is_refused() {
        let state = [2, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
        let [job, segment, _] = sections();
        let error = message(&forge(&bytes(), [&job, &segment, &state]));
        assert!(error.starts_with("state: "), "{error}");
    }

    #[test]
    fn a_header_that_contradicts_the_sections_is_refused() {
        let [job_bytes, segment_bytes, state_bytes] = sections();
        let sections: [&[u8]; 3] = [&job_bytes, &segment_bytes, &state_bytes];
        let with = |at: usize| {
            let mut prefix = bytes()[..PREFIX_LEN].to_vec();
            prefix[at] ^= 1;
            message(&forge(&prefix, sections))
        };
        assert_eq!(with(24), "the job does not have the hash that the header names at byte 24");
        assert_eq!(with(16), "segment of id 3, the header names id 2 at byte 12");
        assert_eq!(with(12), "segment of id 3, the header names id 3 at byte 12");
    }

    #[test]
    fn what_no_reader_would_take_is_not_written() {
        let late = SegmentRecord { gas_used: 101, ..segment() };
        assert!(encode(&job(), &late, &sample()).is_err());
        let large = Job { args: vec!["x".repeat(MAX_JOB as usize)], ..job() };
        let error = encode(&large, &segment(), &sample()).unwrap_err();
        assert_eq!(error.message(), "snapshot: the job takes 16777333 bytes, at most 16777216 fit");
    }

    #[test]
    fn a_bin_file_is_named_as_such() {
        let mut bytes = bytes();
        bytes[..8].copy_from_slice(&crate::BIN_MAGIC);
        assert_eq!(message(&bytes), "a .bin file, expected a .snap file at byte 0");
    }

    proptest! {
        #[test]
        fn any_state_survives_the_round_trip(
            frames in prop::collection::vec(
                (any::<u32>(), any::<u32>(), any::<u32>(), any::<Vec<u64>>(), any::<Vec<u64>>()), 0..4),
            code in any::<u32>(),
            gas_total in any::<u64>(),
        ) {
            let frames = frames.into_iter().map(|(instance, func, offset, locals, operands)| {
                FrameState { instance, func, offset, locals, operands }
            });
            let state = RunState { phase: Phase::Exited { code }, frames: frames.collect(), gas_total, ..sample() };
            let (bytes, _) = encode(&job(), &segment(), &state).unwrap();
            let found = decode(&bytes).unwrap();
            prop_assert_eq!(state_hash(&found.state), state_hash(&state));
            prop_assert_eq!(found.state, state);
        }

        #[test]
        fn what_is_accepted_is_canonical(at in any::<prop::sample::Index>(), byte in any::<u8>(), which in 0usize..3) {
            let mut sections = sections();
            let at = at.index(sections[which].len());
            sections[which][at] = byte;
            let [a, b, c] = &sections;
            let bytes = forge(&bytes(), [a, b, c]);
            if let Ok(found) = decode(&bytes) {
                prop_assert_eq!(encode(&found.job, &found.segment, &found.state).unwrap().0, bytes);
            }
        }
    }
}
