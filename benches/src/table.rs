//! What is printed: a row for each program, then what the engines are and what they come to.

use std::time::Duration;

use crate::engines::{Absent, Engine};
use crate::figures::{BASE, Results, Row};
use crate::targets::TARGETS;

/// Width of a program's name and of a column.
const NAME: usize = 24;
const COLUMN: usize = 9;

/// The line over the table.
pub fn heading(engines: &[Engine]) -> String {
    let mut line = format!("{:<NAME$}", format!("{BASE} = 1"));
    for engine in engines {
        line += &format!("{:>width$}", engine.key, width = width(engine.key));
    }
    line
}

fn width(key: &str) -> usize {
    COLUMN.max(key.len() + 2)
}

/// The ratios of one program; a dash where there is none, said below.
pub fn row(results: &Results, row: &Row) -> String {
    let mut line = format!("{:<NAME$}", row.program);
    for key in &results.keys {
        let ratio = results.ratio(row, key, BASE).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        line += &format!("{ratio:>width$}", width = width(key));
    }
    if let Some(base) = results.least(row, BASE) {
        let short = if results.is_short(row) { ": too short to count" } else { "" };
        line += &format!("   {BASE}: {:.1?}{short}", Duration::from_secs_f64(base));
    }
    for (key, times) in results.keys.iter().zip(&row.times) {
        if let Err(why) = times {
            line += &format!("\n    {key}: {why}");
        }
    }
    line
}

/// Means of all engines, and who was absent.
pub fn summary(results: &Results, engines: &[Engine], absent: &[Absent]) -> String {
    let mut text = format!("{:<18}{:>8}{:>16}{:>10}  programs\n", "engine", "mean", "min .. max", "noise");
    for engine in engines {
        let Some(mean) = results.mean(engine.key, BASE) else { continue };
        let range = format!("{:.2} .. {:.2}", mean.min, mean.max);
        let noise = results.noise(engine.key).unwrap_or(0.0) * 100.0;
        text += &format!(
            "{:<18}{:>8.3}{range:>16}{noise:>8.1} %  {:<9} {}\n",
            engine.key, mean.mean, mean.programs, engine.title
        );
    }
    for engine in absent {
        text += &format!("absent: {}: {}\n", engine.key, engine.why);
    }
    text
}

/// The promises and what became of them.
pub fn targets(results: &Results) -> String {
    let mut text = format!("{:<66}{:>8}{:>8}{:>10}\n", "promise", "must", "reach", "measured");
    for target in &TARGETS {
        let measured = target.measured(results);
        text += &format!(
            "{:<66}{:>8}{:>8}{:>10}  {}\n",
            target.what,
            target.show(target.must),
            target.reach.map_or("-".to_owned(), |reach| target.show(reach)),
            measured.map_or("-".to_owned(), |measured| target.show(measured)),
            target.verdict(measured).name()
        );
    }
    text
}
