//! From times to figures: ratios of minima, geometric means over programs, spread.

use std::time::Duration;

use crate::measure::Times;

/// The engine that all others are compared with.
pub const BASE: &str = "wasmi2";

/// Seconds that the base has to take for a program, if the program is to count: shorter ones are only checked.
const SHORTEST: f64 = 0.0005;

/// Everything that was measured.
pub struct Results {
    /// Keys of the engines, in the order of `times` within a row.
    pub keys: Vec<&'static str>,
    pub rows: Vec<Row>,
}

/// One program.
pub struct Row {
    pub program: String,
    pub times: Vec<Times>,
}

/// A ratio over several programs.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    /// Geometric mean.
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    pub programs: usize,
}

impl Results {
    /// Minimum of an engine on a program, in seconds.
    pub fn least(&self, row: &Row, key: &str) -> Option<f64> {
        let place = self.keys.iter().position(|k| *k == key)?;
        least(row.times.get(place)?.as_ref().ok()?)
    }

    /// How many times as long as `base` an engine takes for a program.
    pub fn ratio(&self, row: &Row, key: &str, base: &str) -> Option<f64> {
        Some(self.least(row, key)? / self.least(row, base)?)
    }

    /// The same over all programs that both have run.
    pub fn mean(&self, key: &str, base: &str) -> Option<Mean> {
        let rows = self.rows.iter().filter(|row| !self.is_short(row));
        let ratios: Vec<f64> = rows.filter_map(|row| self.ratio(row, key, base)).collect();
        Mean::of(&ratios)
    }

    /// Whether a program is too short to count.
    pub fn is_short(&self, row: &Row) -> bool {
        self.least(row, BASE).is_some_and(|seconds| seconds < SHORTEST)
    }

    /// How many programs an engine could not run, or ran wrongly.
    pub fn failures(&self, key: &str) -> usize {
        let Some(place) = self.keys.iter().position(|k| *k == key) else { return 0 };
        let failed = |row: &Row| row.times.get(place).is_some_and(Result::is_err);
        self.rows.iter().filter(|row| failed(row)).count()
    }

    /// By how much the median is above the minimum, as a geometric mean over the programs: the noise of this run.
    pub fn noise(&self, key: &str) -> Option<f64> {
        let place = self.keys.iter().position(|k| *k == key)?;
        let times = self.rows.iter().filter_map(|row| row.times.get(place)?.as_ref().ok());
        let ratios: Vec<f64> = times.filter_map(|times| Some(median(times)? / least(times)?)).collect();
        Mean::of(&ratios).map(|mean| mean.mean - 1.0)
    }
}

impl Mean {
    fn of(ratios: &[f64]) -> Option<Self> {
        let logs: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
        let mean = (logs / ratios.len() as f64).exp();
        let min = ratios.iter().copied().reduce(f64::min)?;
        let max = ratios.iter().copied().reduce(f64::max)?;
        Some(Self { mean, min, max, programs: ratios.len() })
    }
}

/// None also where nothing is left after the start of an engine is taken off.
fn least(times: &[Duration]) -> Option<f64> {
    times.iter().min().filter(|time| !time.is_zero()).map(Duration::as_secs_f64)
}

/// Median of an engine's times on a program, in seconds.
pub fn median(times: &[Duration]) -> Option<f64> {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).map(Duration::as_secs_f64)
}
