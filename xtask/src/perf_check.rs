//! `cargo xtask perf-check`: the instructions that the node takes for each benchmark program, natively and as wasm, beside
//! the counts that are checked in. Unlike times, they are the same in each run, also on a busy machine. Counted is a whole
//! job at the quick size, from loading the program to handing out the receipt.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use node_tests::benchmarks::{self, Benchmark};
use node_tests::programs;
use node_tests::reactor::{ExposedNode, Reactor};
use node_tests::runner::{self, Ended};
use serde::Deserialize;
use serde_json::json;
use stepmark_runner::node::embedded_module::NODE_WASM;

/// Growth of a count that is still good, in percent.
const ALLOWED: u64 = 5;
const BASELINE: &str = "xtask/perf-baseline.toml";
const BASELINE_HEAD: &str = "\
# Instructions that the node takes for each benchmark program at its quick size: native on x86-64 (callgrind), and as wasm
# (fuel of wasmtime). Written by `cargo xtask perf-check --bless`.
";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Make the counts of this run those that are checked in
    #[arg(long, conflicts_with = "program")]
    bless: bool,
    /// Only programs whose name contains this
    #[arg(long)]
    program: Option<String>,
    /// Write the counts to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Instructions of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    native: u64,
    wasm: u64,
}

/// Counts by the name of the program.
type Baseline = BTreeMap<String, Counts>;

/// A program measured.
struct Row {
    name: String,
    gas: u64,
    now: Counts,
    before: Option<Counts>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let baseline = if args.bless { read_baseline().unwrap_or_default() } else { read_baseline()? };
    let mut all = benchmarks::all()?;
    all.extend(benchmarks::extensions()?);
    let unknown: Vec<_> = baseline.keys().filter(|name| all.iter().all(|b| b.name() != *name)).cloned().collect();
    all.retain(|benchmark| args.program.as_ref().is_none_or(|part| benchmark.name().contains(part.as_str())));
    ensure!(!all.is_empty(), "no such program");

    let native = Native::build()?;
    let node = ExposedNode::counting(NODE_WASM)?;
    let mut rows = Vec::new();
    for benchmark in &all {
        let name = benchmark.name().to_owned();
        let (wasm, gas) = count_wasm(&node, benchmark).with_context(|| format!("{name} as wasm"))?;
        let native = native.count(benchmark).with_context(|| format!("{name} natively"))?;
        let before = baseline.get(&name).copied();
        let row = Row { name, gas, now: Counts { native, wasm }, before };
        println!("{}", row.line());
        rows.push(row);
    }
    for name in &unknown {
        println!("{name}: in {BASELINE}, but no benchmark program");
    }
    let good = args.bless || (unknown.is_empty() && rows.iter().all(Row::is_good));
    let figure = figure(&rows);
    if args.bless {
        let file = crate::workspace().join(BASELINE);
        std::fs::write(&file, baseline_text(&rows)).context(BASELINE)?;
        println!("written to {BASELINE}");
    }
    if let Some(file) = &args.json {
        let programs: Vec<_> = rows.iter().map(Row::json).collect();
        let object = json!({ "figure": figure, "good": good, "programs": programs });
        std::fs::write(file, serde_json::to_string_pretty(&object)?).with_context(|| file.display().to_string())?;
    }
    println!("{figure}");
    Ok(good)
}

fn read_baseline() -> Result<Baseline> {
    let text = std::fs::read_to_string(crate::workspace().join(BASELINE));
    let text = text.with_context(|| format!("{BASELINE}: --bless writes it"))?;
    toml::from_str(&text).context(BASELINE)
}

fn baseline_text(rows: &[Row]) -> String {
    let sorted: BTreeMap<_, _> = rows.iter().map(|row| (&row.name, row.now)).collect();
    let mut text = BASELINE_HEAD.to_owned();
    for (name, Counts { native, wasm }) in sorted {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name} = {{ native = {}, wasm = {} }}", grouped(native), grouped(wasm));
    }
    text
}

/// The digits in groups of three, as TOML allows them.
fn grouped(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{}_{:03}", grouped(number / 1000), number % 1000) }
}

/// Growth in percent.
fn growth(now: u64, before: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}

impl Row {
    /// The larger growth of the two counts.
    fn worst(&self) -> Option<f64> {
        let before = self.before?;
        Some(growth(self.now.native, before.native).max(growth(self.now.wasm, before.wasm)))
    }

    fn is_good(&self) -> bool {
        let within = |now: u64, before: u64| now.saturating_mul(100) <= before.saturating_mul(100 + ALLOWED);
        self.before.is_some_and(|before| within(self.now.native, before.native) && within(self.now.wasm, before.wasm))
    }

    fn line(&self) -> String {
        let count = |now: u64, before: Option<u64>| {
            let growth = before.map_or_else(String::new, |before| format!("{:+.2} %", growth(now, before)));
            format!("{:>7.1} M {:>5.1} per gas {growth:>9}", now as f64 / 1e6, now as f64 / self.gas as f64)
        };
        let verdict = match self.before {
            None => "  new",
            Some(_) if self.is_good() => "",
            Some(_) => "  SLOWER",
        };
        let native = count(self.now.native, self.before.map(|before| before.native));
        let wasm = count(self.now.wasm, self.before.map(|before| before.wasm));
        format!("{:<22} native {native}   wasm {wasm}{verdict}", self.name)
    }

    fn json(&self) -> serde_json::Value {
        let counts = |counts: Counts| json!({ "native": counts.native, "wasm": counts.wasm });
        json!({
            "program": self.name, "gas": self.gas, "now": counts(self.now), "before": self.before.map(counts),
            "good": self.is_good(),
        })
    }
}

fn figure(rows: &[Row]) -> String {
    let sum = |pick: fn(&Counts) -> u64| rows.iter().map(|row| pick(&row.now)).sum::<u64>() as f64 / 1e6;
    let counts = format!(
        "{} programs, {:.1} M instructions natively and {:.1} M as wasm",
        rows.len(),
        sum(|c| c.native),
        sum(|c| c.wasm)
    );
    let known = rows.iter().filter_map(|row| Some((row.worst()?, row)));
    let worst = known.max_by(|a, b| a.0.total_cmp(&b.0));
    let worst =
        worst.map_or_else(String::new, |(growth, row)| format!("; largest growth {growth:+.2} % ({})", row.name));
    let (slower, new) = (
        rows.iter().filter(|row| row.before.is_some() && !row.is_good()).count(),
        rows.iter().filter(|row| row.before.is_none()).count(),
    );
    format!("perf-check: {counts}{worst}; {slower} above +{ALLOWED} %, {new} without a baseline")
}

/// The job: the node's arguments.
fn argv(benchmark: &Benchmark) -> [String; 3] {
    [benchmark.file.clone(), "run".to_owned(), benchmark.quick.n.to_string()]
}

/// That `result.txt` has the result that Node computed.
fn check_result(benchmark: &Benchmark, text: &str) -> Result<()> {
    let (wanted, found) = (benchmark.quick.result.as_str(), text.lines().nth(2));
    ensure!(found == Some(wanted), "result.txt {text:?}, expected {wanted}");
    Ok(())
}

/// Instructions and gas of a job of the node as it ships.
fn count_wasm(node: &ExposedNode, benchmark: &Benchmark) -> Result<(u64, u64)> {
    let (mut reactor, mut ended) = (Reactor::new(node, false)?, Ended::default());
    let file = programs::directory().join(benchmark.path());
    runner::load(&mut reactor, &argv(benchmark), file.parent().context("a file is in a folder")?)?;
    runner::finish(&mut reactor, u64::MAX, &mut ended)?;
    let counted = reactor.instructions()?;
    check_result(benchmark, &String::from_utf8_lossy(ended.files.get("result.txt").context("no result.txt")?))?;
    let result = ended.result()?;
    Ok((counted, result["gas_used"].as_u64().context("a receipt without gas")?))
}

/// The node's command, built natively as for a release.
struct Native {
    binary: PathBuf,
}

impl Native {
    fn build() -> Result<Self> {
        ensure!(cfg!(all(target_arch = "x86_64", target_os = "linux")), "native counts are those of x86-64 Linux");
        match Command::new("valgrind").arg("--version").output() {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("valgrind, which counts native instructions, is not installed (Debian: apt-get install valgrind)")
            }
            Err(error) => return Err(error).context("valgrind"),
        }
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--locked", "--package", "guest-interp", "--bin", "guest-interp"]);
        cargo.args(["--message-format", "json-render-diagnostics"]).current_dir(crate::workspace());
        let output = cargo.stderr(Stdio::inherit()).output().context("cargo")?;
        ensure!(output.status.success(), "guest-interp does not build natively");
        let binary = String::from_utf8_lossy(&output.stdout).lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            message["executable"].as_str().map(PathBuf::from)
        });
        Ok(Self { binary: binary.context("cargo names no executable")? })
    }

    fn count(&self, benchmark: &Benchmark) -> Result<u64> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join(&benchmark.file), programs::bytes(&benchmark.path())?)?;
        // Nothing of the caller's environment reaches the job: it would be counted.
        let mut valgrind = Command::new("valgrind");
        valgrind.current_dir(dir.path()).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        valgrind.args(["--command-line-only=yes", "--tool=callgrind", "--callgrind-out-file=counts"]);
        valgrind.arg(&self.binary).args(["--snapshot-output", "out"]).args(argv(benchmark));
        let output = valgrind.output().context("valgrind")?;
        let log = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "valgrind or the node failed ({}):\n{log}", output.status);
        check_result(benchmark, &read(dir.path(), "out/result.txt")?)?;
        let counts = read(dir.path(), "counts")?;
        let total =
            counts.lines().find_map(|line| line.strip_prefix("totals: ")).context("callgrind gives no totals")?;
        total.trim().parse().with_context(|| format!("callgrind: totals {total:?}"))
    }
}

fn read(dir: &Path, file: &str) -> Result<String> {
    std::fs::read_to_string(dir.join(file)).with_context(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, now: u64, before: Option<u64>) -> Row {
        let counts = |native| Counts { native, wasm: 2000 };
        Row { name: name.to_owned(), gas: 100, now: counts(now), before: before.map(counts) }
    }

    #[test]
    fn growth_above_five_percent_and_a_missing_baseline_are_bad() {
        assert!(row("same", 1000, Some(1000)).is_good());
        assert!(row("faster", 1, Some(1000)).is_good());
        assert!(row("at the limit", 1050, Some(1000)).is_good());
        assert!(!row("slower", 1051, Some(1000)).is_good());
        assert!(!row("new", 1000, None).is_good());
    }

    #[test]
    fn a_written_baseline_is_read_back_sorted() {
        let text = baseline_text(&[row("b", 1_234_567, None), row("a", 1000, None)]);
        assert!(text.ends_with("a = { native = 1_000, wasm = 2_000 }\nb = { native = 1_234_567, wasm = 2_000 }\n"));
        let read: Baseline = toml::from_str(&text).unwrap();
        assert_eq!(read["b"], Counts { native: 1_234_567, wasm: 2000 });
    }
}
