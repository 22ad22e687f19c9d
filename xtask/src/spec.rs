//! `cargo xtask spec`: the specification's test suite, against the scores that are checked in.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use clap::ValueEnum;
use node_tests::runner;
use node_tests::spec::{Config, Score, Suite, assertions_of, run_suite};
use stepmark_runner::node::engine::ModuleSession;
use stepmark_runner::node::sandbox::WasmNode;

/// Failures that are printed of one suite.
const SHOWN: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which edition
    #[arg(long, value_enum, default_value = "all")]
    suite: SuiteName,
    /// How functions are run
    #[arg(long, value_enum, default_value = "fast")]
    config: ConfigName,
    /// Gas between two pauses, with --config sliced or restored
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Most restores in one call, with --config restored; after that the call only pauses
    #[arg(long, default_value_t = 700)]
    most: u64,
    /// Run the suite inside wasm: the same library and runner, built for wasm32-wasip1, on wasmtime
    #[arg(long)]
    in_node: bool,
    /// With --in-node: 2 runs that wasm as a program of the node, which runs on wasmtime; v1 takes a minute
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2), requires = "in_node")]
    depth: u8,
    /// Write the scores to this file as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum SuiteName {
    V1,
    V2,
    Simd,
    V3,
    All,
}

#[derive(Clone, Copy, ValueEnum)]
enum ConfigName {
    Fast,
    Stepper,
    Sliced,
    Restored,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let suites: &[Suite] = match args.suite {
        SuiteName::V1 => &[Suite::V1],
        SuiteName::V2 => &[Suite::V2],
        SuiteName::Simd => &[Suite::Simd],
        SuiteName::V3 => &[Suite::V3],
        SuiteName::All => &Suite::ALL,
    };
    let config = match args.config {
        ConfigName::Fast => Config::Fast,
        ConfigName::Stepper => Config::Stepper,
        ConfigName::Sliced => Config::Sliced(args.every),
        ConfigName::Restored => Config::Restored { every: args.every, most: args.most },
    };
    let scores = if args.in_node {
        let built = build_suite()?;
        let run = if args.depth == 1 { run_in_wasm } else { run_in_node_in_wasm };
        suites.iter().map(|suite| Ok((*suite, run(&built, *suite, config)?))).collect::<Result<Vec<_>>>()?
    } else {
        suites.iter().map(|suite| (*suite, run_suite(*suite, config))).collect()
    };
    if let Some(file) = &args.json {
        let rows: serde_json::Map<_, _> = scores
            .iter()
            .map(|(suite, score)| Ok((suite.name().to_owned(), serde_json::to_value(score)?)))
            .collect::<Result<_>>()?;
        std::fs::write(file, serde_json::to_string_pretty(&rows)?).with_context(|| file.display().to_string())?;
    }
    let mut good = true;
    let mut figures = Vec::new();
    let mut restores = 0;
    for (suite, score) in &scores {
        report(*suite, score)?;
        restores += score.restores;
        good &= score.others_failed == 0 && score.passed >= least(*suite)? && score.assertions == suite.assertions();
        figures.push(format!("{}: {} of {}", suite.name(), score.passed, score.assertions));
    }
    let place = match (args.in_node, args.depth) {
        (false, _) => "",
        (true, 1) => " inside wasm",
        (true, _) => " at depth 2 (a program of the node)",
    };
    let restores = if restores > 0 { format!("; {restores} restores") } else { String::new() };
    println!("spec{place} {}{restores}", figures.join(", "));
    Ok(good)
}

/// Builds the runner for wasm, as the node itself is built.
fn build_suite() -> Result<Vec<u8>> {
    let root = crate::workspace();
    let wasm =
        node_build::build_wasm(&root, &root.join("target-node"), "spec-suite", &[]).map_err(|e| anyhow!("{e}"))?;
    std::fs::read(&wasm).with_context(|| wasm.display().to_string())
}

/// Runs the built runner on wasmtime; it prints its score as JSON.
fn run_in_wasm(wasm: &[u8], suite: Suite, config: Config) -> Result<Score> {
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, wasm)?;
    let mut linker = wasmtime::Linker::new(&engine);
    wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |context| context)?;
    let stdout = wasmtime_wasi::p2::pipe::MemoryOutputPipe::new(16 << 20);
    let mut context = wasmtime_wasi::WasiCtxBuilder::new();
    context.args(&["spec-suite", suite.name(), &config.to_string()]).stdout(stdout.clone()).inherit_stderr();
    let mut store = wasmtime::Store::new(&engine, context.build_p1());
    let instance = linker.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
    Ok(serde_json::from_slice(&stdout.contents())?)
}

/// Runs the built runner as a program of the node, which runs on wasmtime.
fn run_in_node_in_wasm(wasm: &[u8], suite: Suite, config: Config) -> Result<Score> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("spec-suite.wasm"), wasm)?;
    let argv = ["spec-suite.wasm", suite.name(), &config.to_string()].map(str::to_owned);
    let mut node = WasmNode::new(runner::node_module())?;
    let ended = runner::run(&mut node, &argv, dir.path())?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.exit_code == 0, "the suite ended with {} inside the node: {stderr}", ended.exit_code);
    println!("{} at depth 2: {} gas of the node around it", suite.name(), node.progress()?.gas_total);
    Ok(serde_json::from_slice(&ended.stdout)?)
}

fn report(suite: Suite, score: &Score) -> Result<()> {
    for failure in score.failures.iter().take(SHOWN) {
        println!("{} {failure}", suite.name());
    }
    if score.failures.len() > SHOWN {
        println!("{} ... and {} more", suite.name(), score.failures.len() - SHOWN);
    }
    println!(
        "{}: {} other directives, {} failed; {} gas, {} pauses, {} restores",
        suite.name(),
        score.others,
        score.others_failed,
        score.gas,
        score.pauses,
        score.restores
    );
    for file in suite.left_out() {
        let assertions = assertions_of(&file)?;
        let (edition, name) = (file.parent(), file.name());
        println!(
            "{}: left out, as it needs garbage collection: {edition}/{name}, {assertions} assertions",
            suite.name()
        );
    }
    Ok(())
}

/// The score that is checked in.
fn least(suite: Suite) -> Result<u64> {
    let file = crate::workspace().join("tests/spec-scores.toml");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let scores: toml::Table = text.parse()?;
    let score = scores.get(suite.name()).and_then(toml::Value::as_integer).context("spec-scores.toml lacks a score")?;
    Ok(u64::try_from(score)?)
}
