//! `cargo xtask apps`: real programs, each beside wasmtime, and each chain made again from every one of its snapshots.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use node_tests::apps::{self, App, Figures, SEGMENTS};
use node_tests::program_files::sha256;
use node_tests::runner;
use serde_json::{Value, json};
use stepmark_runner::node::engine::ModuleSession;
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::sandbox::WasmNode;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only programs whose name contains this
    #[arg(long)]
    app: Option<String>,
    /// In the node's wasm too, on wasmtime
    #[arg(long)]
    node: bool,
    /// Segments that each chain has at least
    #[arg(long, default_value_t = SEGMENTS)]
    segments: usize,
    /// Rebuild the programs from their sources, which are fetched, and compare bytes
    #[arg(long)]
    rebuild: bool,
    /// Write what was found to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

fn start(engine: &str) -> Result<Box<dyn ModuleSession>> {
    Ok(match engine {
        "native" => Box::new(NativeNode::new()),
        _ => Box::new(WasmNode::new(runner::node_module())?),
    })
}

fn row(app: &App, engine: &str, figures: &Result<Figures>, seconds: f64) -> Value {
    let outcome = match figures {
        Ok(found) => json!({ "gas": found.gas, "segments": found.segments, "restored": found.restored,
            "chain_bytes": found.bytes, "written_bytes": found.written, "hash": found.hash }),
        Err(error) => json!({ "failed": format!("{error:#}") }),
    };
    json!({ "app": app.name, "engine": engine, "outcome": outcome, "seconds": seconds })
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let wanted = |app: &App| args.app.as_ref().is_none_or(|part| app.name.contains(part.as_str()));
    let apps: Vec<App> = apps::all()?.into_iter().filter(wanted).collect();
    ensure!(!apps.is_empty(), "no such program");
    let engines: &[&str] = if args.node { &["native", "wasm"] } else { &["native"] };
    println!(
        "{:<16}{:<8}{:>10}{:>10}{:>10}{:>14}{:>9}",
        "program", "engine", "M gas", "segments", "restored", "chain", "time"
    );
    let (mut ran, mut waiting, mut failures, mut segments, mut restored) = (0, 0, 0, 0, 0);
    let mut rows = Vec::new();
    for app in &apps {
        if let Some(feature) = &app.waits_for {
            println!("{:<16}skipped: waits for {feature}", app.name);
            waiting += 1;
            rows.push(json!({ "app": app.name, "skipped": feature }));
            continue;
        }
        ran += 1;
        let mut first: Option<String> = None;
        for engine in engines {
            let began = Instant::now();
            let figures = app.check(|| start(engine), args.segments);
            let seconds = began.elapsed().as_secs_f64();
            rows.push(row(app, engine, &figures, seconds));
            match figures {
                Ok(found) => {
                    segments += found.segments;
                    restored += found.restored;
                    let (gas, chain) = (found.gas / 1_000_000, format!("{} KiB", found.bytes / 1024));
                    let counts = format!("{gas:>10}{:>10}{:>10}{chain:>14}", found.segments, found.restored);
                    println!("{:<16}{engine:<8}{counts}{seconds:>7.1} s", app.name);
                    if first.get_or_insert_with(|| found.hash.clone()) != &found.hash {
                        println!("{:<16}{engine:<8}failed: its chain is not that of {}", app.name, engines[0]);
                        failures += 1;
                    }
                }
                Err(error) => {
                    failures += 1;
                    println!("{:<16}{engine:<8}failed: {error:#}", app.name);
                }
            }
        }
    }
    if args.rebuild {
        failures += rebuild(&apps)?;
    }
    let waits = if waiting > 0 { format!(", {waiting} waiting") } else { String::new() };
    let figure =
        format!("apps: {ran} programs, {segments} segments, {restored} restored and equal, {failures} failures{waits}");
    if let Some(file) = &args.json {
        let object = json!({ "figure": figure, "programs": rows });
        std::fs::write(file, serde_json::to_string_pretty(&object)?).with_context(|| file.display().to_string())?;
    }
    println!("{figure}");
    Ok(failures == 0 && ran > 0)
}

/// Builds everything into a temporary directory; how many of `apps` are not the files that are checked in.
fn rebuild(apps: &[App]) -> Result<usize> {
    let dir = tempfile::tempdir()?;
    let output = Command::new("bash").arg(apps::directory().join("build.sh")).arg(dir.path()).output()?;
    ensure!(output.status.success(), "build.sh failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let mut different = 0;
    // What lies elsewhere is built elsewhere.
    for app in apps.iter().filter(|app| !app.file.contains('/')) {
        let bytes = std::fs::read(dir.path().join(&app.file)).with_context(|| app.file.clone())?;
        let same = sha256(&bytes) == app.sha256;
        println!("{:<16}rebuilt: {}", app.name, if same { "same" } else { "differs" });
        different += usize::from(!same);
    }
    Ok(different)
}
