//! A verification as JSON, and as a page that needs nothing but itself.

use serde_json::{Value, json};

use crate::node::engine::TierChoice;
use crate::node::runner_report::nanoseconds;
use crate::terminal::html as html_text;
use crate::verify::{Conclusion, SegmentExecutor, SegmentVerdict, Verification};

impl Verification {
    /// The object of `--json`.
    pub fn object(&self, dir: &str, executor: &SegmentExecutor) -> Value {
        json!({
            "chain": dir,
            "verdict": self.conclusion().name(),
            "claim": self.claim,
            "from": self.from,
            "up_to": self.to,
            "segments": self.segments.iter().map(segment).collect::<Vec<_>>(),
            "same": self.count("same"),
            "differ": self.count("differs"),
            "not_compared": self.count("not compared"),
            "given_up": self.count("given up").saturating_add(usize::from(self.given_up.is_some())),
            "faults": self.faults,
            "not_covered": self.not_covered,
            "workers": self.jobs,
            "engine": executor.engine().to_string(),
            "tier": executor.engine().tier().to_string(),
            "node_blake3": executor.hash(),
            "time_ns": nanoseconds(self.time),
        })
    }
}

impl Verification {
    /// The verdict in words, with the part that it is about.
    pub fn verdict(&self) -> String {
        let from = if self.from == 0 { String::new() } else { format!(" from snapshot {}", self.from) };
        let to = self.to.map_or_else(String::new, |id| format!(" up to snapshot {id}"));
        format!("{}{from}{to}", self.conclusion().name().to_uppercase())
    }

    /// What the verdict proves and what it takes on trust, in two sentences.
    pub fn proves(&self, executor: &SegmentExecutor) -> String {
        let proved = match self.conclusion() {
            Conclusion::Valid => "the program, executed again, gave every byte of the claim",
            Conclusion::Incomplete => "the program, executed again, gave every byte so far, but has not ended",
            Conclusion::Invalid => "nothing: something differs, or could not be compared",
            Conclusion::Undecided => "nothing: executing all of it would take more than was allowed",
        };
        let from = if self.from == 0 { String::new() } else { format!("snapshot {}, ", self.from) };
        let to = self.to.map_or_else(String::new, |id| format!(" up to snapshot {id}"));
        let answers = if self.claim.answers.is_some() { "the answers from outside, " } else { "" };
        let module = match executor {
            SegmentExecutor::Own(_) => "this build of Stepmark".to_owned(),
            SegmentExecutor::File { .. } => format!("the module {}", executor.hash()),
        };
        let compiled = match executor.engine().tier() {
            TierChoice::Register => "",
            TierChoice::Auto | TierChoice::Compiled => ", which compiled the program",
        };
        format!("Proved: {proved}{to}. On trust: {from}{answers}this machine, {module} and its wasmtime{compiled}.")
    }
}

fn segment(checked: &SegmentVerdict) -> Value {
    json!({
        "from": checked.segment.from,
        "to": checked.segment.to,
        "verdict": checked.verdict.name(),
        "details": checked.verdict.details(),
        "gas": checked.gas,
        "time_ns": nanoseconds(checked.time),
        "worker": checked.worker,
    })
}

/// The page of `--report`.
pub fn html(found: &Verification, dir: &str, executor: &SegmentExecutor) -> String {
    let verdict = found.verdict();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Verification of {dir}</title>\n<style>\
         body{{font:15px sans-serif;margin:2em;max-width:70em}}table{{border-collapse:collapse}}\
         td,th{{border:1px solid #ccc;padding:.2em .6em;text-align:left}}.same{{background:#dfd}}.differs{{background:#fbb}}\
         .not{{background:#fe9}}</style>\n<h1>{dir}: {verdict}</h1>\n<p>{same} of {all} segments are the same, from snapshot \
         {from}{trust}. Module {node} ({engine} engine, {tier} tier), {jobs} workers, {seconds:.1} s.</p>\n",
        dir = html_text(dir),
        same = found.count("same"),
        all = found.segments.len(),
        from = found.from,
        trust = if found.from > 0 { ", which is taken on trust" } else { "" },
        node = executor.hash(),
        engine = executor.engine(),
        tier = executor.engine().tier(),
        jobs = found.jobs,
        seconds = found.time.as_secs_f64(),
    );
    page.push_str("<h2>The claim</h2>\n<table>\n");
    for (name, text) in found.claim.lines() {
        page.push_str(&format!("<tr><th>{name}</th><td>{}</td></tr>\n", html_text(&text)));
    }
    page.push_str(&format!("</table>\n<p>{}</p>\n<h2>The segments</h2>\n", html_text(&found.proves(executor))));
    if !found.faults.is_empty() {
        page.push_str("<h2>Faults of the files</h2>\n<ul>\n");
        found.faults.iter().for_each(|fault| page.push_str(&format!("<li>{}</li>\n", html_text(fault))));
        page.push_str("</ul>\n");
    }
    if !found.not_covered.is_empty() {
        page.push_str("<h2>Not covered, and read by nothing</h2>\n<ul>\n");
        found.not_covered.iter().for_each(|name| page.push_str(&format!("<li>{}</li>\n", html_text(name))));
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
