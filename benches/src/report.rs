//! What a run leaves in files: everything as JSON, and the tables of docs/evidence.md as Markdown.

use serde_json::{Value, json};

use crate::engines::{Absent, Engine};
use crate::figures::{BASE, Results, Row, median};
use crate::targets::TARGETS;

/// Everything that was measured.
pub fn json(results: &Results, engines: &[Engine], absent: &[Absent], figure: &str) -> Value {
    json!({
        "figure": figure,
        "engines": engines.iter().map(|engine| engine_json(results, engine)).collect::<Vec<_>>(),
        "absent": absent.iter().map(|a| json!({ "engine": a.key, "why": a.why })).collect::<Vec<_>>(),
        "targets": targets_json(results),
        "programs": results.rows.iter().map(|row| row_json(results, row)).collect::<Vec<_>>(),
    })
}

fn engine_json(results: &Results, engine: &Engine) -> Value {
    let mean = results.mean(engine.key, BASE);
    let mean = mean.map(|m| json!({ "mean": m.mean, "min": m.min, "max": m.max, "programs": m.programs }));
    json!({ "engine": engine.key, "title": engine.title, "ratio": mean, "noise": results.noise(engine.key) })
}

fn targets_json(results: &Results) -> Vec<Value> {
    let target = |target: &crate::targets::Target| {
        let measured = target.measured(results);
        let verdict = target.verdict(measured).name();
        json!({
            "what": target.what, "must": target.must, "reach": target.reach,
            "measured": measured, "verdict": verdict,
        })
    };
    TARGETS.iter().map(target).collect()
}

fn row_json(results: &Results, row: &Row) -> Value {
    let mut times = serde_json::Map::new();
    for (key, outcome) in results.keys.iter().zip(&row.times) {
        let entry = match outcome {
            Ok(times) => json!({
                "least_s": results.least(row, key),
                "median_s": median(times),
                "times_s": times.iter().map(std::time::Duration::as_secs_f64).collect::<Vec<_>>(),
            }),
            Err(why) => json!({ "failed": why }),
        };
        times.insert((*key).to_owned(), entry);
    }
    json!({ "program": row.program, "times": times })
}

/// The tables of docs/evidence.md.
pub fn markdown(results: &Results, engines: &[Engine]) -> String {
    let mut text = "| promise | must | reach | measured | |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for target in &TARGETS {
        let measured = target.measured(results);
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            target.what,
            target.show(target.must),
            target.reach.map_or(String::new(), |reach| target.show(reach)),
            measured.map_or("-".to_owned(), |measured| target.show(measured)),
            target.verdict(measured).name()
        );
    }
    text += &format!("\n| engine | time over that of {BASE} | least .. most | programs |\n| --- | --- | --- | --- |\n");
    for engine in engines {
        let Some(mean) = results.mean(engine.key, BASE) else { continue };
        let (least, most) = (mean.min, mean.max);
        text += &format!("| {} | {:.2} | {least:.2} .. {most:.2} | {} |\n", engine.title, mean.mean, mean.programs);
    }
    text
}
