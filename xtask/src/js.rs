//! `cargo xtask js`: the JavaScript client as a package. It is packed with the module and the compiler of this build, installed from the
//! file, type-checked, and used as a stranger would.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use node_tests::node_js;
use serde_json::{Value, json};

/// What checks the types.
const TYPESCRIPT: [&str; 2] = ["typescript@5.9.3", "@types/node@20.19.0"];
/// A program that uses the types.
const TYPED: &str = r"import { Stepmark, joined, type Job, type Result } from 'stepmark';
import { load, run } from 'stepmark/node';

const stepmark: Stepmark = await load();
const job: Job = await run(stepmark, ['p.wasm'], { tier: 'auto', answer: async () => ({ kind: 'returned', results: [1n] }) });
for await (const event of job.events({ gas: 1n })) {
  if (event === 'snapshot') for (const { name, parts } of job.files()) console.log(name, joined(parts).length);
  // @ts-expect-error pauses are not handed out
  if (event === 'paused') break;
}
const result: Result | null = job.result();
if (result?.outcome.kind === 'trapped') console.log(result.outcome.backtrace[0].name);
// @ts-expect-error there is no such tier
await stepmark.start([], { tier: 'fast' });
";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the types, whose checker is downloaded
    #[arg(long)]
    without_types: bool,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<std::path::PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    if node_js::version()?.is_none() {
        println!("js: not run: {}=1", node_js::LEAVE_OUT);
        return Ok(true);
    }
    let dir = tempfile::tempdir()?;
    let (package, user) = (dir.path().join("package"), dir.path().join("user"));
    node_js::client_package(&package)?;
    fs::create_dir(&user)?;
    fs::write(user.join("package.json"), json!({ "private": true, "type": "module" }).to_string())?;
    let packed = npm(&package, &["pack", "--json", "--pack-destination", ".."])?;
    let packed: Value = serde_json::from_str(&packed).context("npm pack")?;
    let file = packed[0]["filename"].as_str().context("npm pack names no file")?;
    let (bytes, files) = (packed[0]["size"].as_u64().unwrap_or(0), packed[0]["entryCount"].as_u64().unwrap_or(0));
    npm(&user, &["install", "--offline", "--no-audit", "--no-fund", &format!("../{file}")])?;
    let types = if args.without_types { "types not checked" } else { typed(&user)? };
    let checks = used(&user)?;
    let figure = format!("js: a package of {files} files, {bytes} bytes; installed, {types}, {checks} checks passed");
    if let Some(path) = &args.json {
        let table = json!({ "files": files, "bytes": bytes, "types": types, "checks": checks });
        fs::write(path, format!("{table:#}\n")).with_context(|| path.display().to_string())?;
    }
    println!("{figure}");
    Ok(checks > 0)
}

/// Checks the types of a program that uses the package.
fn typed(user: &Path) -> Result<&'static str> {
    npm(user, &[&["install", "--no-audit", "--no-fund", "--save-dev"][..], &TYPESCRIPT].concat())?;
    fs::write(user.join("typed.ts"), TYPED)?;
    let options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "typed.ts"];
    output(Command::new("node").arg("node_modules/typescript/bin/tsc").args(options).current_dir(user))?;
    Ok("types checked")
}

/// Uses the package; how many checks passed.
fn used(user: &Path) -> Result<u64> {
    let script = crate::workspace().join("tests/js/packed.mjs");
    fs::copy(&script, user.join("packed.mjs"))?;
    let wasmfiles = crate::workspace().join("wasmfiles").canonicalize()?;
    let said = output(Command::new("node").arg("packed.mjs").arg(wasmfiles).current_dir(user))?;
    print!("{said}");
    let last: Value = serde_json::from_str(said.lines().last().unwrap_or_default())?;
    last["checks"].as_u64().context("it says nothing of its checks")
}

fn npm(dir: &Path, args: &[&str]) -> Result<String> {
    output(Command::new("npm").args(args).current_dir(dir))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}
