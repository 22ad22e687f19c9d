//! A verification as JSON, and as a page that needs nothing but itself.

use serde_json::{Value, json};

use crate::terminal::html as html_text;
use crate::verify::{SegmentExecutor, SegmentVerdict, Verification};

impl Verification {
    /// The object of `--json`.
    pub fn object(&self, dir: &str, executor: &SegmentExecutor) -> Value {
        json!({
            "chain": dir,
            "right": self.is_right(),
            "from": self.from,
            "segments": self.segments.iter().map(segment).collect::<Vec<_>>(),
            "same": self.count("same"),
            "differ": self.count("differs"),
            "not_compared": self.count("not compared"),
            "faults": self.faults,
            "not_covered": self.not_covered,
            "workers": self.jobs,
            "engine": executor.engine().to_string(),
            "node_blake3": executor.hash(),
            "time_ms": u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

fn segment(checked: &SegmentVerdict) -> Value {
    json!({
        "from": checked.segment.from,
        "to": checked.segment.to,
        "verdict": checked.verdict.name(),
        "details": checked.verdict.details(),
        "gas": checked.gas,
        "time_ms": u64::try_from(checked.time.as_millis()).unwrap_or(u64::MAX),
        "worker": checked.worker,
    })
}

/// The page of `--report`.
pub fn html(found: &Verification, dir: &str, executor: &SegmentExecutor) -> String {
    let verdict = if found.is_right() { "every segment is the same" } else { "not right" };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Verification of {dir}</title>\n<style>\
         body{{font:15px sans-serif;margin:2em;max-width:70em}}table{{border-collapse:collapse}}\
         td,th{{border:1px solid #ccc;padding:.2em .6em;text-align:left}}.same{{background:#dfd}}.differs{{background:#fbb}}\
         .not{{background:#fe9}}</style>\n<h1>{dir}: {verdict}</h1>\n<p>{same} of {all} segments are the same, from snapshot \
         {from}{trust}. Module {node} ({engine} engine), {jobs} workers, {seconds:.1} s.</p>\n",
        dir = html_text(dir),
        same = found.count("same"),
        all = found.segments.len(),
        from = found.from,
        trust = if found.from > 0 { ", which is taken on trust" } else { "" },
        node = executor.hash(),
        engine = executor.engine(),
        jobs = found.jobs,
        seconds = found.time.as_secs_f64(),
    );
    if !found.faults.is_empty() {
        page.push_str("<h2>Faults of the files</h2>\n<ul>\n");
        found.faults.iter().for_each(|fault| page.push_str(&format!("<li>{}</li>\n", html_text(fault))));
        page.push_str("</ul>\n");
    }
    page.push_str("<table>\n<tr><th>from</th><th>to</th><th>verdict</th><th>gas</th><th>ms</th><th>worker</th></tr>\n");
    found.segments.iter().for_each(|checked| row(&mut page, checked));
    page.push_str("</table>\n</html>\n");
    page
}

fn row(page: &mut String, checked: &SegmentVerdict) {
    let name = checked.verdict.name();
    let class = name.split(' ').next().unwrap_or_default();
    let details: String = checked.verdict.details().iter().map(|detail| format!("<br>{}", html_text(detail))).collect();
    let (from, to) = (checked.segment.from, checked.segment.target());
    let (gas, time, worker) = (checked.gas, checked.time.as_millis(), checked.worker);
    page.push_str(&format!(
        "<tr class=\"{class}\"><td>{from}</td><td>{to}</td><td>{name}{details}</td><td>{gas}</td><td>{time}</td><td>{worker}</td></tr>\n"
    ));
}
