//! Folders of prebuilt preview 1 programs in the layout of the official wasi-testsuite: `NAME.wasm`, and beside it an optional
//! `NAME.json` that says how to call it and what it must do. Ours is wasmfiles/wasi; the official one can be given to
//! `cargo xtask wasi-testsuite`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use guest_interp::args;
use host_runner::flags::{ConfigFlags, InputFlags, JobFlags};
use serde::Deserialize;
use stepmark_session::spec::JobSpec;

use crate::runner::{self, Ended};

/// How a program is called, and what it must do. What a file does not say is as the suite's documentation has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expected {
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Directories beside the program that are open to it under these names.
    pub dirs: Vec<String>,
    /// The directory beside the program that it finds as `/`.
    pub root: Option<String>,
    /// Exit code.
    pub exit_code: i32,
    /// Standard output, if it is to be compared.
    pub stdout: Option<String>,
    /// Standard error, if it is to be compared.
    pub stderr: Option<String>,
}

/// A program of a suite.
#[derive(Clone, Debug)]
pub struct Program {
    /// File name without its ending.
    pub name: String,
    /// The folder, absolute.
    pub folder: PathBuf,
    /// How it is called, and what it must do.
    pub expected: Expected,
}

/// The programs of a folder, by name.
///
/// # Errors
/// If the folder or an expectation cannot be read.
pub fn programs(folder: &Path) -> Result<Vec<Program>> {
    let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
        let (Some(name), true) = (name, path.extension().is_some_and(|ending| ending == "wasm")) else { continue };
        let json = path.with_extension("json");
        let expected = if json.exists() {
            serde_json::from_slice(&std::fs::read(&json)?).with_context(|| json.display().to_string())?
        } else {
            Expected::default()
        };
        programs.push(Program { name, folder: folder.clone(), expected });
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}

impl Program {
    /// The flags for its files: every regular file of its directories, and the directories themselves.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn inputs(&self) -> Result<InputFlags> {
        let mut flags = InputFlags::default();
        let directories = self.expected.dirs.iter().map(|name| (name.as_str(), name.as_str()));
        for (host, guest) in directories.chain(self.expected.root.as_deref().map(|root| (root, "/"))) {
            let path = self.folder.join(host);
            // An empty directory does not survive in every archive.
            if path.is_dir() {
                let nested = self.expected.dirs.iter().any(|dir| host.starts_with(&format!("{dir}/")));
                if !nested {
                    flags.dir.push(format!("{}::{guest}", path.display()));
                }
            }
            flags.preopen.push(guest.to_owned());
        }
        flags.env = self.expected.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(flags)
    }

    /// The program's path and its arguments.
    pub fn words(&self) -> Vec<String> {
        let program = self.folder.join(format!("{}.wasm", self.name)).display().to_string();
        std::iter::once(program).chain(self.expected.args.iter().cloned()).collect()
    }

    /// It as a job.
    ///
    /// # Errors
    /// As [`Program::inputs`].
    pub fn job(&self) -> Result<JobSpec> {
        let config = ConfigFlags { inputs: self.inputs()?, ..ConfigFlags::default() };
        Ok(JobFlags { config, ..JobFlags::default() }.job(&self.words())?)
    }

    /// Runs it on both engines, which must agree.
    ///
    /// # Errors
    /// The node's, or that they differ.
    pub fn run(&self) -> Result<Ended> {
        let argv = args::print(&self.job()?);
        let mut ended: Option<Ended> = None;
        for (engine, mut node) in runner::nodes()? {
            let other = runner::run(node.as_mut(), &argv, &self.folder).context(engine)?;
            if let Some(first) = &ended {
                let differences = first.differences(&other)?;
                ensure!(differences.is_empty(), "the engines differ in {differences:?}");
            }
            ended = Some(other);
        }
        ended.context("no engine")
    }

    /// Runs it and compares what it did with what it must do.
    ///
    /// # Errors
    /// What is not as expected.
    pub fn check(&self) -> Result<()> {
        let ended = self.run()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&ended.stdout), text(&ended.stderr));
        let (code, expected) = (ended.exit_code, &self.expected);
        ensure!(code == expected.exit_code, "exit code {code}, expected {}\n{stdout}{stderr}", expected.exit_code);
        for (name, found, wanted) in [("stdout", stdout, &expected.stdout), ("stderr", stderr, &expected.stderr)] {
            let wanted = wanted.as_ref().unwrap_or(&found);
            ensure!(found == *wanted, "{name} {found:?}, expected {wanted:?}");
        }
        Ok(())
    }
}
