//! `doctor`: what this machine has for a run, on one screen, and whether anything is missing.

use std::env;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::print;
use crate::cli::reply::Reply;
use stepmark_runner::bounds;
use stepmark_runner::failure::{Failure, IO, MISMATCH, Result};
use stepmark_runner::node::cache::{self, CacheFolder};
use stepmark_runner::node::embedded_module;
use stepmark_runner::node::self_test::{self, SelfTest};
use stepmark_runner::terminal;
use stepmark_runner::this_machine::{self, MachineMemory};
use stepmark_snapshot::job::Job;

/// Arguments of `doctor`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was looked at.
struct Diagnosis {
    memory: MachineMemory,
    /// Where compiled code is kept, or why it is not.
    cache: std::result::Result<CacheFolder, String>,
    /// Bytes that are free in the place for temporary files, if the system says so; or why no file can be made there.
    temporary: Result<Option<u64>>,
    /// In wasmtime, and natively.
    tests: [(&'static str, Result<SelfTest>); 2],
}

pub(super) fn execute(args: &DoctorArgs) -> Result<Reply> {
    let found = Diagnosis::new();
    let wrong = found.wrong();
    let code = if wrong.is_empty() { 0 } else { MISMATCH };
    if args.json {
        return Ok(Reply::object(code, found.object(&wrong)));
    }
    for (name, text) in found.lines() {
        print(&format!("{name:<10} {text}"))?;
    }
    if wrong.is_empty() {
        print("ready")?;
    }
    wrong.iter().try_for_each(|wrong| print(&format!("NOT ready: {wrong}")))?;
    Ok(code.into())
}

impl Diagnosis {
    fn new() -> Self {
        let folder = tempfile::tempdir().map_err(|error| Failure::io(&env::temp_dir(), &error));
        let in_folder = |test: &dyn Fn(&Path) -> Result<SelfTest>| match &folder {
            Ok(folder) => test(folder.path()),
            Err(failure) => Err(Failure::new(IO, "not tried: it needs a place for files").caused_by(failure.what())),
        };
        let tests =
            [("wasm", in_folder(&self_test::in_wasmtime)), ("native", in_folder(&|dir| Ok(self_test::natively(dir))))];
        let temporary = folder.as_ref().map(|folder| this_machine::free_space(folder.path())).map_err(Clone::clone);
        // Looked at last: the test has compiled the module.
        Self { memory: MachineMemory::now(), cache: cache::look(), temporary, tests }
    }

    /// What is wrong, and what to do about it.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Err(failure) = &self.temporary {
            wrong.push(format!("no temporary file can be made in {}: set TMPDIR", failure.what()));
        }
        for (name, test) in &self.tests {
            match test {
                Ok(test) if test.passed => {}
                Ok(test) => {
                    let failed = if test.failed.is_empty() { test.verdict.clone() } else { test.failed.join("; ") };
                    wrong.push(format!("the self test ({name}) has failed: {failed}; report it with this screen"));
                }
                Err(failure) => wrong.push(format!("the self test ({name}): {}", failure.what())),
            }
        }
        wrong
    }

    /// The screen, each line with its name.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let Diagnosis { memory, .. } = self;
        let size = embedded_module::NODE_WASM.len();
        let known = |bytes: Option<u64>| bytes.map_or_else(|| "not known".to_owned(), mebibytes);
        let limit =
            memory.limit.map_or_else(String::new, |limit| format!(", this process may have {}", mebibytes(limit)));
        let needed = bounds::memory_of(&Job::default());
        let enough = match memory.usable().filter(|usable| *usable < needed) {
            Some(_) => format!(
                "; a job with default limits may take {}: --max-memory and --max-files make it less",
                mebibytes(needed)
            ),
            None => String::new(),
        };
        let cache = match &self.cache {
            Ok(CacheFolder { path, bytes }) => format!("{}, {}", path.display(), mebibytes(*bytes)),
            Err(why) => format!("none, the module is compiled for every run: {why}"),
        };
        let temporary = match &self.temporary {
            Ok(free) => format!("{}, {} free", env::temp_dir().display(), known(*free)),
            Err(failure) => failure.what().to_owned(),
        };
        let mut lines = vec![
            (
                "version",
                format!("stepmark {}, wasmtime {}", embedded_module::VERSION, embedded_module::WASMTIME_VERSION),
            ),
            ("module", format!("BLAKE3 {}, {size} bytes", embedded_module::node_hash())),
            ("system", format!("{} {}", env::consts::OS, env::consts::ARCH)),
            ("cores", this_machine::cores().to_string()),
            ("memory", format!("{}, {} available{limit}{enough}", known(memory.total), known(memory.available))),
            ("cache", cache),
            ("temporary", temporary),
            ("terminal", if terminal::is_watched() { "yes: progress is shown" } else { "no: no progress" }.to_owned()),
        ];
        lines.extend(self.tests.iter().map(|(name, test)| {
            let text = test.as_ref().map_or_else(|failure| failure.what().to_owned(), |test| test.verdict.clone());
            ("self test", format!("{name}: {text}"))
        }));
        lines
    }

    fn object(&self, wrong: &[String]) -> Value {
        let test = |test: &Result<SelfTest>| match test {
            Ok(SelfTest { passed, verdict, failed }) => {
                json!({ "passed": passed, "verdict": verdict, "failed": failed })
            }
            Err(failure) => json!({ "passed": false, "verdict": failure.what(), "failed": [] }),
        };
        let [wasm, native] = self.tests.each_ref().map(|(_, of)| test(of));
        let Diagnosis { memory: MachineMemory { total, available, limit }, .. } = self;
        json!({
            "ready": wrong.is_empty(),
            "wrong": wrong,
            "version": embedded_module::VERSION,
            "wasmtime": embedded_module::WASMTIME_VERSION,
            "module": { "blake3": embedded_module::node_hash(), "bytes": embedded_module::NODE_WASM.len() },
            "system": format!("{} {}", env::consts::OS, env::consts::ARCH),
            "cores": this_machine::cores(),
            "memory": { "total": total, "available": available, "limit": limit },
            "cache": self.cache.as_ref().ok().map(|CacheFolder { path, bytes }| {
                json!({ "folder": path.display().to_string(), "bytes": bytes })
            }),
            "temporary": env::temp_dir().display().to_string(),
            "terminal": terminal::is_watched(),
            "self_test": { "wasm": wasm, "native": native },
        })
    }
}

/// Bytes, as people compare machines.
fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
