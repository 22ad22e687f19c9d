//! The node as wasm, in wasmtime: what everybody else can run too.

use std::time::Instant;

use stepmark_runner::engine::{Budget, Event, ModuleSession};
use stepmark_runner::failure::Failure;
use stepmark_runner::sandbox::WasmNode;
use stepmark_session::spec::JobSpec;

use crate::caller::Asking;
use crate::chain::Segment;
use crate::engine::{Capabilities, Ended, Execution, Executor, ExecutorJob, check, no_job};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::run::pages;
use crate::serve::Server;
use crate::setup::Setup;

/// Bytes handed to the node at a time.
const CHUNK: usize = 256 << 10;

/// The node that this crate carries, as wasm. What the program asks of the outside is handed on to the embedder.
#[derive(Default)]
pub struct WasmEngine {
    node: Option<(WasmNode, Server)>,
    metrics: Metrics,
}

impl WasmEngine {
    /// An engine without a job.
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

impl Executor for WasmEngine {
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
        execution.map_err(|failure| failed(&failure))?
    }

    fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    fn shut_down(&mut self) -> Result<(), Error> {
        self.node = None;
        Ok(())
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

/// The call that asks, in the node.
struct AskingNode<'a> {
    node: &'a mut WasmNode,
    gas: (u64, u64),
}

impl Asking for AskingNode<'_> {
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

/// Answers what the node asks.
fn serve(node: &mut WasmNode, server: &mut Server, metrics: &mut Metrics) -> Result<Result<(), Error>, Failure> {
    let Some(question) = node.question()? else { return Ok(Ok(())) };
    let progress = node.progress()?;
    let mut asking = AskingNode { node, gas: (progress.segment_gas, progress.gas_limit) };
    match server.answer(&question, &mut asking, metrics) {
        Ok(answer) => node.answer(&answer).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

fn run(node: &mut WasmNode, server: &mut Server, metrics: &mut Metrics) -> Result<Result<Execution, Error>, Failure> {
    let mut segments = Vec::new();
    let mut output = [Vec::new(), Vec::new()];
    loop {
        let event = node.run(Budget::UNLIMITED)?;
        for (fd, all) in (1..).zip(&mut output) {
            all.extend(node.take_output(fd)?);
        }
        match event {
            Event::Snapshot(id) => segments.push(segment(node, id)?),
            Event::Finished => break,
            Event::Question => {
                if let Err(error) = serve(node, server, metrics)? {
                    return Ok(Err(error));
                }
            }
            Event::Paused | Event::Output => {}
        }
    }
    metrics.segments = segments.len() as u64 + 1;
    for segment in &segments {
        match pages(&segment.bin) {
            Ok(pages) => metrics.dirty_pages += pages,
            Err(error) => return Ok(Err(error)),
        }
    }
    let (values, receipt) = reports(node)?;
    // As the receipt has it: less what was given back.
    metrics.gas_used = receipt["result"]["gas_used"].as_u64().unwrap_or_default();
    let [stdout, stderr] = output;
    let ended = ended(node.exit_code()?, &receipt);
    Ok(Ok(Execution { ended, values, stdout, stderr, segments }))
}

fn segment(node: &mut WasmNode, id: u64) -> Result<Segment, Failure> {
    let gas = node.progress()?.segment_gas;
    let mut segment = Segment { id, paused: false, gas, snap: Vec::new(), bin: Vec::new(), calls: None };
    while let Some(name) = node.take_name()? {
        let bytes = node.take_all()?;
        match name.rsplit_once('.').map(|(_, kind)| kind) {
            Some("snap") => segment.snap = bytes,
            Some("bin") => segment.bin = bytes,
            _ => segment.calls = Some(bytes),
        }
    }
    Ok(segment)
}

/// The returned values, and the receipt.
fn reports(node: &mut WasmNode) -> Result<(Vec<String>, serde_json::Value), Failure> {
    let mut values = Vec::new();
    let mut receipt = serde_json::Value::Null;
    while let Some(name) = node.take_name()? {
        let bytes = node.take_all()?;
        let text = String::from_utf8_lossy(&bytes);
        match name.as_str() {
            "result.txt" => {
                let line = text.lines().nth(2).unwrap_or_default();
                values = line.split_whitespace().map(str::to_owned).collect();
            }
            "receipt.json" => receipt = serde_json::from_str(&text).unwrap_or_default(),
            _ => {}
        }
    }
    Ok((values, receipt))
}

fn ended(code: i32, receipt: &serde_json::Value) -> Ended {
    let message = receipt["result"]["trap"]["message"].as_str();
    let trap = message.and_then(stepmark_state::trap::Trap::from_message);
    match (trap, code) {
        (Some(trap), _) => Ended::Trapped(trap),
        (None, 0) => Ended::Returned,
        (None, code) => Ended::Exited(code),
    }
}
