//! `cargo xtask omissions`: every proof of a corpus with each of its parts dropped, repeated, moved and replaced in turn. Each
//! must be refused or say what the honest one says.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use node_tests::omissions::{Figures, KINDS, Omission, Verdict, sweep};
use serde_json::json;

use crate::evidence;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only proofs of this kind
    #[arg(long)]
    kind: Option<String>,
    /// All proofs of the corpus, where the quick form takes some of each program
    #[arg(long)]
    all: bool,
    /// Write some of what was judged to this directory, with a list of the verdicts, for another checker
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Of how many that were judged one is written
    #[arg(long, default_value_t = 1)]
    keep_every: u64,
    /// Of how many omissions one is judged
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the figures to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let wanted = |kind: &str| args.kind.as_deref().is_none_or(|wanted| wanted == kind);
    let kinds: Vec<_> = KINDS.iter().filter(|(kind, _)| wanted(kind)).collect();
    let names: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    ensure!(!kinds.is_empty(), "--kind {}: expected one of {}", args.kind.as_deref().unwrap_or(""), names.join(", "));
    let start = Instant::now();
    let mut total = Figures::default();
    let mut rows = Vec::new();
    let kept = args.keep.as_deref().map(|dir| Kept::new(dir, args.keep_every)).transpose()?;
    for (kind, make) in kinds {
        let begun = Instant::now();
        let mut figures = Figures::default();
        let seen = |omission: &Omission, verdict: &Result<Verdict>| {
            kept.iter().for_each(|kept| kept.take(kind, omission, verdict));
        };
        let proofs = make(args.all).with_context(|| (*kind).to_owned())?;
        // Panics are counted as failures; their traces would drown the figures.
        std::panic::set_hook(Box::new(|_| ()));
        let swept = proofs
            .iter()
            .try_for_each(|proof| sweep(&**proof, args.every, args.threads, &seen).map(|one| figures.add(one)));
        drop(std::panic::take_hook());
        swept?;
        figures.failures.iter().take(20).for_each(|line| println!("{kind}: {line}"));
        eprintln!("{kind}: {:.0} s", begun.elapsed().as_secs_f64());
        rows.push((*kind, figures.clone()));
        total.add(figures);
    }
    kept.map_or(Ok(()), Kept::finish)?;
    let row = |name: &str, f: &Figures| {
        let failures = f.failures.len();
        format!("| {name} | {} | {} | {} | {} | {} | {failures} |", f.proofs, f.omissions, f.refused, f.same, f.others)
    };
    let head = "| kind | proofs | omissions | refused | same result | of another subject | failures |\n| --- | --- | --- | --- | --- | --- | --- |";
    let table = std::iter::once(head.to_owned()).chain(rows.iter().map(|(kind, f)| row(kind, f)));
    let table = table.collect::<Vec<_>>().join("\n");
    println!("{table}");
    if let Some(path) = &args.json {
        let of = |f: &Figures| {
            json!({ "proofs": f.proofs, "omissions": f.omissions, "refused": f.refused, "same": f.same,
                    "others": f.others, "failures": f.failures })
        };
        let kinds: serde_json::Map<_, _> = rows.iter().map(|(kind, f)| ((*kind).to_owned(), of(f))).collect();
        let text = format!("{:#}\n", json!({ "kinds": kinds, "total": of(&total) }));
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    let Figures { proofs, omissions, refused, same, others, failures } = &total;
    let figure = format!(
        "omissions: {proofs} proofs, {omissions} omissions in {:.0} s: {refused} refused, {same} with the honest result, \
         {others} of another subject, {} failures",
        start.elapsed().as_secs_f64(),
        failures.len()
    );
    println!("{figure}");
    if args.evidence {
        evidence::record("Omissions", &evidence::command_line(), &table, &figure)?;
    }
    Ok(failures.is_empty())
}

/// Files of what was judged, and their list: name, `says` or `refused`, and why, between tabs.
struct Kept {
    dir: PathBuf,
    every: u64,
    /// How many came by, the lines of the list, what could not be written.
    state: Mutex<(u64, String, std::io::Result<()>)>,
}

impl Kept {
    fn new(dir: &Path, every: u64) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        Ok(Self { dir: dir.to_owned(), every: every.max(1), state: Mutex::new((0, String::new(), Ok(()))) })
    }

    fn take(&self, kind: &str, omission: &Omission, verdict: &Result<Verdict>) {
        let (said, why) = match verdict {
            Ok(Verdict::Refused(why)) => ("refused", why.as_str()),
            Ok(Verdict::Says(_)) => ("says", omission.what.as_str()),
            Err(_) => return,
        };
        let Ok(mut state) = self.state.lock() else { return };
        let (number, lines, written) = &mut *state;
        if number.is_multiple_of(self.every) && written.is_ok() {
            let name = format!("{kind}-{number}");
            *lines += &format!("{name}\t{said}\t{}\n", why.replace(['\n', '\t', '\r'], " "));
            *written = std::fs::write(self.dir.join(name), &omission.bytes);
        }
        *number += 1;
    }

    fn finish(self) -> Result<()> {
        let (_, lines, written) = self.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        written.with_context(|| self.dir.display().to_string())?;
        std::fs::write(self.dir.join("list"), lines).with_context(|| self.dir.display().to_string())
    }
}
