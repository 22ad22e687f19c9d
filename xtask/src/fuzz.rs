//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, built with coverage by the compiler that is here (no nightly is needed,
//! only a C++ compiler for libFuzzer) and run from the inputs that are kept. Where no C++ compiler is, the same oracles get the
//! same inputs and a fixed number of changes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, bail, ensure};
use node_tests::fuzz::{TARGETS, Target, changed, corpus, corpus_path, hex};
use node_tests::fuzz_host;
use node_tests::generate::Rng;
use node_tests::panic_guard::caught;
use serde_json::json;

use crate::evidence;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How long all targets run together, instead
    #[arg(long, conflicts_with = "seconds")]
    hours: Option<u64>,
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// Also the targets that need the host runner's library, which take minutes to build
    #[arg(long)]
    host: bool,
    /// Run the target on this input only, to repeat a crash
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
    /// Keep the new inputs: the smallest set with the same coverage goes to fuzz/corpus
    #[arg(long)]
    keep: bool,
    /// Changes without coverage, as where no C++ compiler is: so many of each target
    #[arg(long)]
    plain: Option<usize>,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the figures to docs/evidence.md
    #[arg(long)]
    evidence: bool,
}

/// Coverage of every edge, with the operands of comparisons.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Targets that run at the same time.
const AT_ONCE: usize = 2;
/// Changes of each target where there is no coverage.
const PLAIN: usize = 300;
/// Bytes of the file in which the inputs of a target are kept, at most.
const MOST_KEPT: usize = 24 << 10;
/// Memory that an input may take, and time.
const LIMITS: [&str; 3] = ["-rss_limit_mb=1024", "-malloc_limit_mb=512", "-timeout=20"];

/// What a target came to.
#[derive(Clone, Debug, Default)]
struct Figures {
    name: &'static str,
    executions: u64,
    edges: u64,
    new_inputs: u64,
    /// The input that crashed, where it is kept.
    crash: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let targets = chosen(args)?;
    if let Some(input) = &args.input {
        return repeat(&targets, input);
    }
    let figures = match args.plain {
        Some(changes) => without_coverage(&targets, changes)?,
        None if !has_compiler() => {
            println!("no C++ compiler, which libFuzzer needs: the oracles run without coverage");
            without_coverage(&targets, PLAIN)?
        }
        None => with_coverage(args, &targets)?,
    };
    report(args, &figures)
}

fn chosen(args: &Args) -> Result<Vec<Target>> {
    let host = args.host || args.hours.is_some() || args.plain.is_some() || args.target.is_some();
    let all = TARGETS.iter().chain(fuzz_host::TARGETS.iter().filter(|_| host));
    let wanted = |target: &&Target| args.target.as_ref().is_none_or(|name| name == target.name);
    let targets: Vec<Target> = all.filter(wanted).copied().collect();
    ensure!(!targets.is_empty(), "no target {:?}", args.target.as_deref().unwrap_or_default());
    Ok(targets)
}

fn is_of_host(target: &Target) -> bool {
    fuzz_host::TARGETS.iter().any(|other| other.name == target.name)
}

fn repeat(targets: &[Target], input: &Path) -> Result<bool> {
    let bytes = fs::read(input).with_context(|| input.display().to_string())?;
    for target in targets {
        println!("{}: {} bytes: {}", target.name, bytes.len(), hex(&bytes));
        (target.oracle)(&bytes);
        println!("{}: nothing found", target.name);
    }
    Ok(true)
}

fn has_compiler() -> bool {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    Command::new(compiler).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Where cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::workspace().join("target"), PathBuf::from)
}

/// The directory of everything that is built and found.
fn folder() -> PathBuf {
    target_folder().join("fuzz")
}

fn without_coverage(targets: &[Target], changes: usize) -> Result<Vec<Figures>> {
    targets.iter().map(|target| plain(target, changes)).collect()
}

fn plain(target: &Target, changes: usize) -> Result<Figures> {
    let inputs = [(target.seeds)(), corpus(target.name)?].concat();
    let mut figures = Figures { name: target.name, ..Figures::default() };
    let mut rng = Rng::new(changes as u64);
    let changed = (0..changes).map(|_| changed(inputs[rng.below(inputs.len())].clone(), &mut rng)).collect::<Vec<_>>();
    for input in inputs.iter().chain(&changed) {
        figures.executions += 1;
        let found = caught(|| {
            (target.oracle)(input);
            Ok(())
        });
        if let Err(error) = found {
            println!("{}: {error:#}", target.name);
            let path = folder().join(format!("crash-{}-{}", target.name, &blake3::hash(input).to_hex()[..16]));
            fs::create_dir_all(folder())?;
            fs::write(&path, input).with_context(|| path.display().to_string())?;
            figures.crash = Some(path);
            break;
        }
    }
    Ok(figures)
}

fn with_coverage(args: &Args, targets: &[Target]) -> Result<Vec<Figures>> {
    let binaries = build(targets.iter().any(is_of_host), targets)?;
    let seconds = match args.hours {
        Some(hours) => hours.saturating_mul(3600) * AT_ONCE as u64 / targets.len() as u64,
        None => args.seconds,
    };
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let figures = fuzz(&binaries.join(target.name), target, seconds)?;
            if args.keep {
                keep(&binaries.join(target.name), target)?;
            }
            all.lock().map_err(|_| anyhow!("a worker panicked"))?.push(figures);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a worker panicked"))?)
    })?;
    let mut all = all.into_inner().map_err(|_| anyhow!("a worker panicked"))?;
    all.sort_by_key(|figures: &Figures| targets.iter().position(|target| target.name == figures.name));
    Ok(all)
}

/// Builds the targets; the directory of their binaries. The platform is named, so that build scripts and macros, which run
/// while building, are not covered.
fn build(host: bool, targets: &[Target]) -> Result<PathBuf> {
    let platform = platform()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(crate::workspace().join("fuzz/Cargo.toml"));
    cargo.args(["--target", &platform, "--target-dir"]).arg(folder());
    for target in targets {
        cargo.args(["--bin", target.name]);
    }
    if host {
        cargo.args(["--features", "host"]);
    }
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", COVERAGE);
    ensure!(cargo.status().context("cargo does not start")?.success(), "the fuzz targets do not build");
    Ok(folder().join(platform).join("debug"))
}

/// This machine, as the compiler calls it.
pub(crate) fn platform() -> Result<String> {
    let version = Command::new("rustc").arg("-vV").output().context("rustc")?;
    let text = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it compiles for")
}

/// The directory of a target's inputs, to which seeds and kept inputs are added as files.
fn inputs(target: &Target) -> Result<PathBuf> {
    let dir = folder().join("corpus").join(target.name);
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    for input in (target.seeds)().into_iter().chain(corpus(target.name)?) {
        let path = dir.join(&blake3::hash(&input).to_hex()[..32]);
        fs::write(&path, &input).with_context(|| path.display().to_string())?;
    }
    Ok(dir)
}

fn fuzz(binary: &Path, target: &Target, seconds: u64) -> Result<Figures> {
    let dir = inputs(target)?;
    let crash = format!("{}/crash-{}-", folder().display(), target.name);
    let mut command = Command::new(binary);
    command.args(LIMITS).arg(format!("-max_total_time={}", seconds.max(1))).arg(format!("-artifact_prefix={crash}"));
    let output = command.args(["-print_final_stats=1", "-reload=0"]).arg(&dir).output();
    let output = output.with_context(|| binary.display().to_string())?;
    let log = String::from_utf8_lossy(&output.stderr);
    let figures = read_log(target.name, &log);
    if output.status.success() {
        return Ok(figures);
    }
    println!("{}", log.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n"));
    let Some(path) = figures.crash.clone() else { bail!("{} ended with {}", target.name, output.status) };
    println!("repeat it: cargo xtask fuzz --target {} --input {}", target.name, path.display());
    Ok(figures)
}

/// What libFuzzer says.
fn read_log(name: &'static str, log: &str) -> Figures {
    let after = |line: &str, mark: &str| line.split_once(mark)?.1.split_whitespace().next()?.parse::<u64>().ok();
    let last = |mark: &str| log.lines().filter_map(|line| after(line, mark)).next_back().unwrap_or(0);
    let written = log.lines().find_map(|line| line.split_once("Test unit written to "));
    Figures {
        name,
        executions: last("stat::number_of_executed_units:"),
        edges: last(" cov: "),
        new_inputs: last("stat::new_units_added:"),
        crash: written.map(|(_, path)| PathBuf::from(path)),
    }
}

/// Keeps the smallest inputs that together have the coverage of all, up to [`MOST_KEPT`]. Seeds are not kept: they are made.
fn keep(binary: &Path, target: &Target) -> Result<()> {
    let least = folder().join("least").join(target.name);
    match fs::remove_dir_all(&least) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&least)?,
    }
    let mut command = Command::new(binary);
    let merged = command.args(LIMITS).arg("-merge=1").arg(&least).arg(inputs(target)?).output()?;
    ensure!(merged.status.success(), "{}: {}", target.name, String::from_utf8_lossy(&merged.stderr));
    let seeds = (target.seeds)();
    let files = fs::read_dir(&least)?.map(|entry| Ok(fs::read(entry?.path())?)).collect::<Result<Vec<_>>>()?;
    let mut kept: Vec<Vec<u8>> = files.into_iter().filter(|input| !seeds.contains(input)).collect();
    kept.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let mut text = String::new();
    for input in &kept {
        let line = format!("{}\n", hex(input));
        if !input.is_empty() && text.len() + line.len() <= MOST_KEPT {
            text.push_str(&line);
        }
    }
    let path = corpus_path(target.name);
    fs::write(&path, text).with_context(|| path.display().to_string())
}

fn report(args: &Args, all: &[Figures]) -> Result<bool> {
    let mut table =
        "| target | executions | edges | new inputs | crashes |\n| --- | ---: | ---: | ---: | ---: |\n".to_owned();
    for Figures { name, executions, edges, new_inputs, crash } in all {
        let crashes = u64::from(crash.is_some());
        println!("{name}: {executions} executions, {edges} edges, {new_inputs} new inputs, {crashes} crashes");
        table.push_str(&format!("| {name} | {executions} | {edges} | {new_inputs} | {crashes} |\n"));
    }
    let sum = |of: fn(&Figures) -> u64| all.iter().map(of).sum::<u64>();
    let crashes = sum(|figures| u64::from(figures.crash.is_some()));
    let (executions, edges) = (sum(|figures| figures.executions), sum(|figures| figures.edges));
    let new_inputs = sum(|figures| figures.new_inputs);
    if let Some(path) = &args.json {
        let rows = all.iter().map(|figures| {
            let Figures { name, executions, edges, new_inputs, crash } = figures;
            json!({ "target": name, "executions": executions, "edges": edges, "new_inputs": new_inputs, "crash": crash })
        });
        let rows = json!({ "targets": rows.collect::<Vec<_>>(), "executions": executions, "crashes": crashes });
        fs::write(path, format!("{rows:#}\n")).with_context(|| path.display().to_string())?;
    }
    let idle = all.iter().filter(|figures| figures.executions == 0).count();
    let figure = format!(
        "fuzz: {} targets, {executions} executions, {edges} edges, {new_inputs} new inputs, {crashes} crashes",
        all.len()
    );
    println!("{figure}");
    if args.evidence {
        evidence::record("Fuzzing with coverage", &evidence::command_line(), &table, &figure)?;
    }
    Ok(crashes == 0 && idle == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_edges_new_inputs_and_a_crash_are_read_from_the_log() {
        let log = "#2 INITED cov: 5 ft: 6 corp: 1/1b\n#9 NEW    cov: 12 ft: 20 corp: 2/2b\n\
                   artifact_prefix='x/'; Test unit written to x/crash-1\n\
                   stat::number_of_executed_units: 1234\nstat::new_units_added:          7\n";
        let figures = read_log("snap", log);
        assert_eq!((figures.executions, figures.edges, figures.new_inputs), (1234, 12, 7));
        assert_eq!(figures.crash, Some(PathBuf::from("x/crash-1")));
    }
}
