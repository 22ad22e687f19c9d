//! Wasmtime, running the program directly: what the node is checked against. It counts nothing and writes no snapshots.

use std::path::{Path, PathBuf};

use stepmark_runner::reference::{self, ReferenceEnd};
use tempfile::TempDir;

use crate::error::Error;
use crate::executor::{Capabilities, Ended, Execution, Executor, ExecutorJob, check, no_job};
use crate::metrics::Metrics;
use crate::setup::NamedFile;

/// The reference executor.
#[derive(Default)]
pub struct ReferenceExecutor {
    /// The job, and the directory with its files.
    job: Option<(reference::ReferenceJob, TempDir)>,
    metrics: Metrics,
}

impl ReferenceExecutor {
    /// An executor without a job.
    pub fn new() -> Self {
        Self::default()
    }
}

fn io(error: &std::io::Error) -> Error {
    Error::Node(format!("the reference's files: {error}"))
}

impl Executor for ReferenceExecutor {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { metering: false, snapshots: false, host_functions: false }
    }

    fn initialise(&mut self, job: &ExecutorJob) -> Result<(), Error> {
        self.shut_down()?;
        check(self.name(), self.capabilities(), job)?;
        let directory = tempfile::tempdir().map_err(|error| io(&error))?;
        let job = reference_job(job, directory.path())?;
        self.job = Some((job, directory));
        self.metrics = Metrics::default();
        Ok(())
    }

    fn execute(&mut self) -> Result<Execution, Error> {
        let (job, _directory) = self.job.take().ok_or_else(|| no_job("reference"))?;
        let outcome = reference::run(job).map_err(|failure| Error::Node(failure.what().to_owned()))?;
        self.metrics.times.running = outcome.time;
        let ended = match outcome.end {
            ReferenceEnd::Returned => Ended::Returned,
            ReferenceEnd::Exited(code) => Ended::Exited(code),
            ReferenceEnd::Trapped(trap) => Ended::Trapped(trap),
        };
        let reference::ReferenceOutcome { values, stdout, stderr, .. } = outcome;
        let values = values.iter().map(ToString::to_string).collect();
        Ok(Execution { ended, values, stdout, stderr, segments: Vec::new() })
    }

    fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    fn shut_down(&mut self) -> Result<(), Error> {
        match self.job.take() {
            Some((_, directory)) => directory.close().map_err(|error| io(&error)),
            None => Ok(()),
        }
    }
}

/// The job, with its files under numbers in `directory`.
fn reference_job(job: &ExecutorJob, directory: &Path) -> Result<reference::ReferenceJob, Error> {
    let setup = &job.program.setup;
    // A command sees the name of its file.
    std::fs::create_dir(directory.join("program")).map_err(|error| io(&error))?;
    let write = |name: String, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).map(|()| path).map_err(|error| io(&error))
    };
    let named = |kind: &str, files: &[NamedFile]| {
        let file =
            |(number, (name, bytes)): (usize, &NamedFile)| Ok((name.clone(), write(format!("{kind}{number}"), bytes)?));
        files.iter().enumerate().map(file).collect::<Result<Vec<(String, PathBuf)>, Error>>()
    };
    let root = || if setup.inputs.is_empty() { Vec::new() } else { vec!["/".to_owned()] };
    Ok(reference::ReferenceJob {
        words: setup.entry(job.entry.as_deref(), &job.args)?.words,
        program: write(format!("program/{}", setup.name), setup.program.as_deref().unwrap_or_default())?,
        env: stepmark_snapshot::job::last_wins(setup.env.clone()),
        stdin: setup.stdin.as_ref().map(|bytes| write("stdin".to_owned(), bytes)).transpose()?,
        files: named("file", &setup.inputs)?,
        preopens: if setup.preopens.is_empty() { root() } else { setup.preopens.clone() },
        preload: named("module", &setup.modules)?,
        limits: *setup.config.limits(),
        canonical_nans: true,
        unknown_imports: setup.config.features()?.unknown_imports(),
        piped: None,
        answers: None,
    })
}
