//! Figures beside their targets.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

/// What a figure must come to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// No target: said because the others are judged by it.
    None,
}

/// A figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub target: Target,
    pub met: bool,
    /// What was measured, with sizes.
    pub what: String,
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, target: Target, what: String) -> Self {
        let met = match target {
            Target::AtLeast(least) => value >= least,
            Target::AtMost(most) => value <= most,
            Target::None => true,
        };
        Self { name: name.into(), value, unit, target, met, what }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, unit, .. } = self;
        let target = match self.target {
            Target::AtLeast(least) => format!(">= {least} {unit}"),
            Target::AtMost(most) => format!("<= {} {unit}", (most * 100.0).round() / 100.0),
            Target::None => String::new(),
        };
        let verdict = match (self.target, self.met) {
            (Target::None, _) => "",
            (_, true) => "met",
            (_, false) => "SHORT",
        };
        write!(f, "{name:<42} {value:>10.2} {unit:<5} {target:<16} {verdict:<6} {}", self.what)
    }
}

/// The median time of `rounds` runs of `work`, each of which times the part that counts.
pub fn median(rounds: u32, mut work: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    Ok(middle((0..rounds).map(|_| work()).collect::<Result<Vec<_>>>()?))
}

/// The median of times, of which there is at least one.
pub fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// How long `work` takes.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed()))
}

/// 10^6 bytes a second.
pub fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
