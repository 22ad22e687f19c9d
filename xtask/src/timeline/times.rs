//! How long a timeline takes on a long chain.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use stepmark_runner::timeline::{MemoryRange, SeekTarget};

use super::{Random, SampleChain};

/// Gas of a segment of the chain that is measured.
const SEGMENT: u64 = 100_000_000;
/// Most time that each may take, half of the times.
const SEEK: Duration = Duration::from_millis(500);
/// For one step back, once there.
const BACK: Duration = Duration::from_millis(100);
/// For the last writer of an address.
const WRITER: Duration = Duration::from_secs(5);
/// Times that each is measured.
const ROUNDS: usize = 11;

/// Times, ascending.
pub(super) struct Times {
    segments: u64,
    seek: Vec<Duration>,
    back: Vec<Duration>,
    writer: Vec<Duration>,
}

/// Makes a chain of so many segments and measures on it.
pub(super) fn measure(segments: u64, random: &mut Random) -> Result<Times> {
    let chain = SampleChain::new("bench/hash_map.wasm", &["run", "100000000"], SEGMENT, segments)?;
    let mut times = Times { segments, seek: Vec::new(), back: Vec::new(), writer: Vec::new() };
    let mut timeline = chain.timeline()?;
    for _ in 0..ROUNDS {
        let gas = random.below(chain.gas);
        times.seek.push(timed(|| Ok(timeline.seek(SeekTarget::Gas(gas))?))?);
        times.back.push(timed(|| Ok(timeline.back(1)?))?);
        // Its data lie between the stack and the end of what it has allocated.
        let range = MemoryRange { memory: 0, address: (1 << 20) + 8 * random.below(8 << 10), length: 8 };
        let before = timeline.moment();
        times.writer.push(timed(|| Ok(timeline.last_write(range, before)?))?);
    }
    for times in [&mut times.seek, &mut times.back, &mut times.writer] {
        times.sort();
    }
    Ok(times)
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}

impl Times {
    fn rows(&self) -> [(&'static str, &[Duration], Duration); 3] {
        [("seek", &self.seek, SEEK), ("one step back", &self.back, BACK), ("last writer", &self.writer, WRITER)]
    }

    /// Whether each takes no longer than it may, half of the times.
    pub(super) fn are_short(&self) -> bool {
        self.rows().iter().all(|(_, times, most)| median(times) <= *most)
    }

    /// Milliseconds, by what was done.
    pub(super) fn object(&self) -> Value {
        let row = |(name, times, most): (&str, &[Duration], Duration)| {
            json!({ "what": name, "median_ms": median(times).as_millis() as u64,
                "longest_ms": times.last().map(|time| time.as_millis() as u64), "most_ms": most.as_millis() as u64 })
        };
        json!({ "segments": self.segments, "segment_gas": SEGMENT, "rows": self.rows().map(row) })
    }
}

fn median(times: &[Duration]) -> Duration {
    times.get(times.len() / 2).copied().unwrap_or_default()
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |(name, times, _): (&str, &[Duration], Duration)| {
            let longest = times.last().copied().unwrap_or_default();
            format!("{name} {} ms (longest {} ms)", median(times).as_millis(), longest.as_millis())
        };
        write!(f, "{} segments of 10^8 gas: {}", self.segments, self.rows().map(row).join(", "))
    }
}
