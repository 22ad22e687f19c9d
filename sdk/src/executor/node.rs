//! The node as wasm, in wasmtime: what everybody else can run too.

use std::time::Instant;

use stepmark_hosts::external::{ExternalCall, ExternalReply};
use stepmark_runner::failure::Failure;
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::node::driver::{self, Driver, Ready};
use stepmark_runner::node::engine::{ModuleSession, TierChoice};
use stepmark_runner::node::external::Responder;
use stepmark_runner::node::sandbox::WasmNode;
use stepmark_session::spec::JobSpec;

use crate::caller::Asking;
use crate::chain::Segment;
use crate::config::ProgramTier;
use crate::error::Error;
use crate::executor::{Capabilities, Ended, Execution, Executor, ExecutorJob, check, no_job};
use crate::metrics::{CompiledMetrics, Metrics};
use crate::run::pages;
use crate::serve::Server;
use crate::setup::Setup;

/// Bytes handed to the node at a time.
const CHUNK: usize = 256 << 10;

/// The node that this crate carries, as wasm. What the program asks of the outside is handed on to the embedder.
#[derive(Default)]
pub struct WasmExecutor {
    node: Option<(WasmNode, Server)>,
    metrics: Metrics,
}

impl WasmExecutor {
    /// An executor without a job.
    pub fn new() -> Self {
        Self::default()
    }
}

fn failed(failure: &Failure) -> Error {
    let message = failure.what().to_owned();
    match failure.code() {
        stepmark_runner::failure::USAGE => Error::Usage(message),
        stepmark_runner::failure::DATA => Error::Module(message),
        _ => Error::Node(message),
    }
}

impl Executor for WasmExecutor {
    fn name(&self) -> &'static str {
        "wasm"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { metering: true, snapshots: true, host_functions: true }
    }

    fn initialise(&mut self, job: &ExecutorJob) -> Result<(), Error> {
        self.shut_down()?;
        check(self.name(), self.capabilities(), job)?;
        let began = Instant::now();
        let setup = &job.program.setup;
        let entry = setup.entry(job.entry.as_deref(), &job.args)?;
        let spec = JobSpec { gas_limit: job.gas_limit, gas_refill: true, ..setup.options(&entry) };
        let mut node = WasmNode::embedded().map_err(|failure| failed(&failure))?;
        node.set_tier(choice(setup.config.chosen_tier())).map_err(|failure| failed(&failure))?;
        give(&mut node, &spec, setup).map_err(|failure| failed(&failure))?;
        self.metrics = Metrics::default();
        self.metrics.times.setting_up = began.elapsed();
        self.node = Some((node, setup.server()));
        Ok(())
    }

    fn execute(&mut self) -> Result<Execution, Error> {
        let (mut node, mut server) = self.node.take().ok_or_else(|| no_job("wasm"))?;
        let began = Instant::now();
        let execution = run(&mut node, &mut server, &mut self.metrics);
        self.metrics.times.running = began.elapsed();
        let work = node.compiled_work();
        let (functions, gas, turns, bytes, compiling) = (work.funcs, work.gas, work.turns, work.bytes, work.compiling);
        self.metrics.compiled = CompiledMetrics { functions, gas, turns, bytes, compiling };
        execution
    }

    fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    fn shut_down(&mut self) -> Result<(), Error> {
        self.node = None;
        Ok(())
    }
}

fn choice(tier: ProgramTier) -> TierChoice {
    match tier {
        ProgramTier::Register => TierChoice::Register,
        ProgramTier::Auto => TierChoice::Auto,
        ProgramTier::Compiled => TierChoice::Compiled,
    }
}

fn give(node: &mut WasmNode, job: &JobSpec, setup: &Setup) -> Result<(), Failure> {
    node.load(job)?;
    while let Some(path) = node.want()? {
        let found = setup.file(&path, None);
        for chunk in found.into_iter().flat_map(|bytes| bytes.chunks(CHUNK)) {
            node.give(chunk)?;
        }
        node.give_end(found.is_some())?;
    }
    Ok(())
}

/// The call that asks, in the module.
struct AskingModule<'a> {
    node: &'a mut dyn ModuleSession,
    gas: (u64, u64),
}

impl Asking for AskingModule<'_> {
    fn memory_size(&mut self) -> u64 {
        self.node.asking_memory_size().unwrap_or(0)
    }

    fn read(&mut self, address: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let at = address.checked_add(bytes.len() as u64)?;
            let part = (length - bytes.len() as u64).min(CHUNK as u64);
            bytes.append(&mut self.node.asking_memory(at, u32::try_from(part).ok()?).ok()?);
        }
        let inside = address.checked_add(length).is_some_and(|end| end <= self.memory_size());
        inside.then_some(bytes)
    }

    fn gas(&self) -> (u64, u64) {
        self.gas
    }
}

/// Answers what the module asks; what the embedder failed with is kept as it is.
struct Serving<'a> {
    server: &'a mut Server,
    metrics: &'a mut Metrics,
    error: Option<Error>,
}

impl Responder for Serving<'_> {
    fn answer(&mut self, question: &ExternalCall, node: &mut dyn ModuleSession) -> Result<ExternalReply, Failure> {
        let progress = node.progress()?;
        let mut asking = AskingModule { node, gas: (progress.segment_gas, progress.gas_limit) };
        self.server.answer(question, &mut asking, self.metrics).map_err(|error| {
            let failure = Failure::data(error.to_string());
            self.error = Some(error);
            failure
        })
    }
}

fn run(node: &mut WasmNode, server: &mut Server, metrics: &mut Metrics) -> Result<Execution, Error> {
    let mut output = [Vec::new(), Vec::new()];
    let mut serving = Serving { server, metrics, error: None };
    let segments = segments(node, &mut serving, &mut output);
    let error = serving.error.take();
    let segments = segments.map_err(|failure| error.unwrap_or_else(|| failed(&failure)))?;
    metrics.segments = (segments.len() as u64).saturating_add(1);
    for segment in &segments {
        metrics.dirty_pages = metrics.dirty_pages.saturating_add(pages(&segment.bin)?);
    }
    let result = node.result().map_err(|failure| failed(&failure))?;
    let result = result.ok_or_else(|| Error::Node("the run has ended and come to nothing".to_owned()))?;
    metrics.gas_used = result.gas_used;
    let [stdout, stderr] = output;
    let code = node.exit_code().map_err(|failure| failed(&failure))?;
    let ended = match (result.trap(), code) {
        (Some(trap), _) => Ended::Trapped(trap),
        (None, 0) => Ended::Returned,
        (None, code) => Ended::Exited(code),
    };
    Ok(Execution { ended, values: result.printed_values(), stdout, stderr, segments })
}

/// Runs to the end; the snapshots on the way.
fn segments(
    node: &mut WasmNode,
    serving: &mut Serving<'_>,
    output: &mut [Vec<u8>; 2],
) -> Result<Vec<Segment>, Failure> {
    let mut segments = Vec::new();
    let stop = Interrupt::new();
    let mut driver = Driver::new(node, serving, &stop);
    loop {
        let ready = driver.run(&mut |node| {
            for (fd, all) in (1..).zip(output.iter_mut()) {
                all.extend(node.take_output(fd)?);
            }
            Ok(())
        })?;
        let Ready::Snapshot(id) = ready else { break };
        let gas = driver.node.progress()?.segment_gas;
        let mut files = driver::take_files(driver.node)?;
        let segment = Segment::of(id, false, gas, &mut files);
        segments.push(segment.map_err(|error| Failure::data(error.to_string()))?);
    }
    driver::drop_files(node)?;
    Ok(segments)
}
