//! What the user sees. The program's standard output goes to ours as raw bytes, and nothing else does (with `--json` it
//! goes to standard error, because standard output then holds the one JSON object). Our own words go to standard error;
//! progress only when that is a terminal.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use stepmark_runner::failure::Result;
use stepmark_runner::node::engine::Progress;
use stepmark_runner::node::sink::Sink;
use stepmark_runner::terminal;

/// How much to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only, and where the state of a run is that was stopped.
    Quiet,
    /// Warnings, progress on a terminal, a closing line.
    #[default]
    Normal,
    /// Each snapshot, and what the runner does.
    Verbose,
}

/// The user's terminal, or whatever our standard streams are.
pub struct Console {
    verbosity: Verbosity,
    /// Program output belongs on standard error.
    stdout_is_taken: bool,
    bar: ProgressBar,
    /// Copies of the program's standard output and error, for a comparison.
    copies: Option<[Vec<u8>; 2]>,
    /// The program has begun a line on standard error.
    has_begun_line: Cell<bool>,
    /// The program can ask for the time, which may be what it waits for: said once, when that has taken long.
    clock: Option<Clock>,
}

/// A program's clock, and ours.
struct Clock {
    /// Nanoseconds a unit of gas.
    rate: u64,
    since: Instant,
}

/// How long nothing is said about a program's clock.
const PATIENCE: Duration = Duration::from_secs(10);

impl Clock {
    /// What the clock has come to after so much gas, for who wonders why the program takes so long.
    fn said(&self, gas: u64, elapsed: Duration) -> Option<String> {
        let shown = Duration::from_nanos(gas.saturating_mul(self.rate));
        let what = format!(
            "the program can ask for the time, which is counted in gas: its clock has moved {:.1} s in {} s ({} ns a unit of gas). \
             If it waits for a time, that comes sooner with a greater --clock-rate",
            shown.as_secs_f64(),
            elapsed.as_secs(),
            self.rate
        );
        (elapsed >= PATIENCE && shown < elapsed).then_some(what)
    }
}

impl Console {
    /// A console that says as much as `verbosity` wants; with `json`, standard output is kept for the final object.
    pub fn new(verbosity: Verbosity, json: bool) -> Self {
        let visible = verbosity > Verbosity::Quiet && terminal::is_watched();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
            bar.set_style(style);
        }
        Self { verbosity, stdout_is_taken: json, bar, copies: None, has_begun_line: Cell::new(false), clock: None }
    }

    /// Keeps a copy of what the program writes.
    pub fn keep_copies(&mut self) {
        self.copies = Some(Default::default());
    }

    /// The copies of standard output and standard error so far.
    pub fn take_copies(&mut self) -> [Vec<u8>; 2] {
        self.copies.take().unwrap_or_default()
    }

    /// Says after a while what became of the time that the program can ask for, of so many nanoseconds a unit of gas.
    pub fn watch_clock(&mut self, rate: u64) {
        self.clock = Some(Clock { rate, since: Instant::now() });
    }

    /// Ends the progress display.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// A line about the run, unless the user wants quiet.
    pub fn note(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.line(text);
        }
    }

    /// A line that even whoever wants quiet has to see.
    pub fn insist(&self, text: &str) {
        self.line(text);
    }

    /// A line of its own on standard error.
    fn line(&self, text: &str) {
        self.bar.suspend(|| {
            if self.has_begun_line.take() {
                terminal::say("");
            }
            terminal::say(text);
        });
    }
}

impl Sink for Console {
    fn output(&mut self, fd: u32, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some([stdout, stderr]) = &mut self.copies {
            if fd == 1 { stdout } else { stderr }.extend_from_slice(bytes);
        }
        let to_stdout = fd == 1 && !self.stdout_is_taken;
        if !to_stdout {
            self.has_begun_line.set(!bytes.ends_with(b"\n"));
        }
        self.bar.suspend(|| terminal::pass_on(to_stdout, bytes))
    }

    fn warning(&mut self, text: &str) {
        self.note(&format!("warning: {text}"));
    }

    fn detail(&mut self, text: &str) {
        if self.verbosity == Verbosity::Verbose {
            self.line(text);
        }
    }

    fn progress(&mut self, progress: &Progress, rate: f64) {
        let said = self.clock.as_ref().and_then(|clock| clock.said(progress.gas_total, clock.since.elapsed()));
        if let Some(what) = said {
            self.clock = None;
            self.note(&what);
        }
        if !self.bar.is_hidden() {
            let Progress { snapshot_id, gas_total, .. } = *progress;
            self.bar.set_message(format!("snapshot {snapshot_id}, {} gas, {}", amount(gas_total), per_second(rate)));
            self.bar.tick();
        }
    }
}

/// A number with a unit prefix and three digits after the point: `1.234 M`.
pub fn amount(number: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match UNITS.into_iter().find(|(unit, _)| number >= *unit) {
        Some((unit, name)) => format!("{}.{:03} {name}", number / unit, number % unit / (unit / 1000)),
        None => number.to_string(),
    }
}

/// A rate in millions, as people compare engines.
pub fn per_second(rate: f64) -> String {
    format!("{:.1} M gas/s", rate / 1e6)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stepmark_runner::node::sink::rate;

    use super::*;

    #[test]
    fn amounts_have_three_digits_after_the_point() {
        assert_eq!(amount(999), "999");
        assert_eq!(amount(1_000), "1.000 k");
        assert_eq!(amount(12_345_678), "12.345 M");
        assert_eq!(amount(u64::MAX), "18446744.073 T");
    }

    #[test]
    fn a_clock_that_is_slow_is_spoken_of_after_ten_seconds() {
        let clock = |rate| Clock { rate, since: Instant::now() };
        let seconds = Duration::from_secs;
        assert_eq!(clock(1).said(2_000_000_000, seconds(9)), None);
        assert_eq!(clock(10).said(2_000_000_000, seconds(12)), None, "it has moved by 20 s");
        let said = clock(1).said(2_500_000_000, seconds(12)).expect("it has moved by less than it took");
        assert!(said.contains("its clock has moved 2.5 s in 12 s (1 ns a unit of gas)"), "{said}");
    }

    #[test]
    fn a_rate_without_time_is_zero() {
        assert_eq!(rate(5, Duration::ZERO), 0.0);
        assert_eq!(per_second(rate(3_000_000, Duration::from_millis(500))), "6.0 M gas/s");
    }
}
