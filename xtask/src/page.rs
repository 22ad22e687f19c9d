//! `cargo xtask page`: the page in `web/` in a browser, as a static host has it, and held to the command: the same verdict on chains honest and
//! forged, the same bytes of a run, the policy in force, accessible, small.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use node_tests::node_js;
use serde_json::{Value, json};

/// What drives the browser, what looks for faults of accessibility, and what checks the types.
const TOOLS: [&str; 3] = ["playwright-core@1.65.1", "axe-core@4.14.1", "typescript@5.9.3"];
/// Of the forged chains every so many-th, unless all are wanted.
const EVERY: u32 = 3;
/// The built-in example: a program, and how it is run.
const EXAMPLE: (&str, &str) = ("sha256.wasm", "--gas-limit 2500000 --enable-gas-refill");

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Verify every forged chain
    #[arg(long)]
    all: bool,
    /// The browser: Chromium
    #[arg(long, value_name = "PROGRAM", default_value = "chromium")]
    browser: PathBuf,
    /// A folder whose node_modules has playwright-core, axe-core and typescript [default: they are installed by npm]
    #[arg(long, value_name = "DIR")]
    tools: Option<PathBuf>,
    /// Write pictures of the page into this folder
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Write the built-in example anew, and check nothing
    #[arg(long)]
    bless: bool,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    if args.bless {
        return bless();
    }
    if node_js::version()?.is_none() {
        println!("page: not run: {}=1", node_js::LEAVE_OUT);
        return Ok(true);
    }
    let browser = program(&args.browser)?;
    let dir = tempfile::tempdir()?;
    let site = dir.path().join("site");
    lay_out(&site)?;
    let tools = args.tools.clone().map_or_else(|| install(&dir.path().join("tools")), Ok)?;
    let faults = type_faults(&site, &tools)?;
    faults.iter().for_each(|fault| println!("{fault}"));
    let given = json!({
        "site": site,
        "stepmark": command()?,
        "module": site.join("stepmark/stepmark.wasm"),
        "wasmfiles": crate::workspace().join("wasmfiles").canonicalize()?,
        "tools": tools,
        "browser": browser,
        "every": if args.all { 1 } else { EVERY },
        "pictures": args.pictures,
    });
    let found = drive(&given)?;
    if let Some(path) = &args.json {
        fs::write(path, format!("{found:#}\n")).with_context(|| path.display().to_string())?;
    }
    let short = found["short"].as_array().context("it says nothing of what fell short")?.len();
    println!(
        "page: {} chains with the verdict of the command, {} checks passed, {short} fell short; page and module {} bytes; {} faults of types",
        found["same"],
        found["checks"],
        found["bytes"],
        faults.len()
    );
    Ok(short == 0 && faults.is_empty())
}

/// The command of this build, in a process of this one.
fn command() -> Result<[PathBuf; 3]> {
    // Of its allocations none fails.
    Ok([std::env::current_exe()?, "allocations-child".into(), "0".into()])
}

/// Runs the command in a directory.
fn stepmark(dir: &Path, argv: &str) -> Result<()> {
    let [own, child, from] = command()?;
    let status = Command::new(own).args([child, from]).args(argv.split(' ')).current_dir(dir).status()?;
    ensure!(status.success(), "stepmark {argv}: {status}");
    Ok(())
}

/// The program of this name or path.
fn program(name: &Path) -> Result<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&folders).map(|folder| folder.join(name));
    let found = places.find(|path| path.is_file());
    found
        .with_context(|| format!("{}: there is no such browser: install it, or name it with --browser", name.display()))
}

/// Lays the page out as a static host has it: `web/`, and in it the client with the module and the compiler.
fn lay_out(site: &Path) -> Result<()> {
    copy(&crate::workspace().join("web"), site)?;
    node_js::client_package(&site.join("stepmark"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

fn install(tools: &Path) -> Result<PathBuf> {
    fs::create_dir(tools)?;
    fs::write(tools.join("package.json"), json!({ "private": true }).to_string())?;
    let options = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"];
    let status = Command::new("npm").args(options).args(TOOLS).current_dir(tools).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "npm install: {status}");
    Ok(tools.to_path_buf())
}

/// What is wrong with the types that the page's comments name.
fn type_faults(site: &Path, tools: &Path) -> Result<Vec<String>> {
    let options = json!({
        "noEmit": true, "allowJs": true, "checkJs": true, "target": "es2024", "lib": ["es2024", "dom", "dom.iterable"], "module": "esnext", "moduleResolution": "bundler",
        "types": []
    });
    // The client has types of its own, which `cargo xtask js` checks.
    let (include, exclude) = ([site.join("**/*.js")], [site.join("stepmark")]);
    let project = json!({ "compilerOptions": options, "include": include, "exclude": exclude });
    // Beside the page, which is served as it is.
    let file = site.with_file_name("tsconfig.json");
    fs::write(&file, project.to_string())?;
    let mut command = Command::new("node");
    let output =
        command.arg(tools.join("node_modules/typescript/bin/tsc")).arg("-p").arg(&file).current_dir(site).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let faults = said.lines().filter(|line| line.contains(": error ") && !line.starts_with("stepmark/"));
    Ok(faults.map(str::to_owned).collect())
}

/// Drives the page; what the last line says.
fn drive(given: &Value) -> Result<Value> {
    let script = crate::workspace().join("tests/js/page/drive.mjs");
    let mut command = Command::new("node");
    let output = command.arg(script).arg(given.to_string()).stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{said}");
    serde_json::from_str(said.lines().last().unwrap_or_default()).context("the page could not be driven")
}

/// Writes the built-in example anew: its receipt names the module that this build has.
fn bless() -> Result<bool> {
    let (dir, (program, flags)) = (tempfile::tempdir()?, EXAMPLE);
    fs::copy(crate::workspace().join("wasmfiles").join(program), dir.path().join(program))?;
    stepmark(dir.path(), &format!("run {flags} --snapshot-output example {program} 100000"))?;
    stepmark(dir.path(), &format!("export example -o example.tar --program {program}"))?;
    let bytes = fs::copy(dir.path().join("example.tar"), crate::workspace().join("web/example.tar"))?;
    println!("page: web/example.tar has {bytes} bytes");
    Ok(true)
}
