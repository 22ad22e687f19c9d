//! One interface to everything that can execute a program: the node as wasm, the same library linked natively, and
//! wasmtime running the program directly, the reference. What an executor cannot do it says, in its [`Capabilities`]; a
//! job that asks for it is refused by name. A host changes executors by making another one, and nothing else.

mod native;
#[cfg(feature = "executors")]
mod node;
#[cfg(feature = "executors")]
mod reference;

use stepmark_state::trap::Trap;

use crate::builder::VmBuilder;
use crate::chain::Segment;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::value::Value;

pub use native::NativeExecutor;
#[cfg(feature = "executors")]
pub use node::WasmExecutor;
#[cfg(feature = "executors")]
pub use reference::ReferenceExecutor;

/// What an executor can do beside running programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It counts gas and stops at a limit.
    pub metering: bool,
    /// It writes snapshots.
    pub snapshots: bool,
    /// It serves functions of the embedder's, and a store.
    pub host_functions: bool,
}

/// A program with what it is called with.
#[derive(Clone)]
pub struct ExecutorJob {
    /// The program.
    pub program: VmBuilder,
    /// The export to call; none for a command.
    pub entry: Option<String>,
    /// With these arguments.
    pub args: Vec<Value>,
    /// Gas of a segment. None asks for no metering: the program runs on any executor.
    pub gas_limit: Option<u64>,
}

impl ExecutorJob {
    /// A call of `entry`, without a limit.
    pub fn new(program: VmBuilder, entry: Option<&str>, args: &[Value]) -> Self {
        Self { program, entry: entry.map(str::to_owned), args: args.to_vec(), gas_limit: None }
    }

    /// With `gas` for each segment.
    #[must_use]
    pub fn gas_limit(mut self, gas: u64) -> Self {
        self.gas_limit = Some(gas);
        self
    }
}

/// How an execution ended, in the words that all executors share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The entry returned, or a command exited with code 0.
    Returned,
    /// The program asked to exit with this code.
    Exited(i32),
    /// The program trapped.
    Trapped(Trap),
}

/// What an execution came to. Engines that execute the same job agree in it, but for the segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// How it ended.
    pub ended: Ended,
    /// What the entry returned, as `result.txt` has it.
    pub values: Vec<String>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The snapshots, from executors that write them.
    pub segments: Vec<Segment>,
}

/// Something that executes programs.
///
/// ```
/// use node_sdk::executor::{Ended, Executor, ExecutorJob, NativeExecutor};
/// use node_sdk::{Value, Vm};
///
/// fn run(executor: &mut dyn Executor, job: &ExecutorJob) -> Result<String, node_sdk::Error> {
///     executor.initialise(job)?;
///     let execution = executor.execute()?;
///     executor.shut_down()?;
///     assert_eq!(execution.ended, Ended::Returned);
///     Ok(execution.values.join(" "))
/// }
///
/// let wasm = wat::parse_str(r#"(module (func (export "f") (result i32) (i32.const 42)))"#).unwrap();
/// let job = ExecutorJob::new(Vm::builder().module(wasm), Some("f"), &[]);
/// assert_eq!(run(&mut NativeExecutor::new(), &job)?, "42");
/// # Ok::<(), node_sdk::Error>(())
/// ```
pub trait Executor {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Takes a job, in place of one that it has.
    ///
    /// # Errors
    /// The job is bad, or asks for what the executor cannot do.
    fn initialise(&mut self, job: &ExecutorJob) -> Result<(), Error>;

    /// Executes the job to its end, once.
    ///
    /// # Errors
    /// There is no job, or the executor fails; never for what the program does.
    fn execute(&mut self) -> Result<Execution, Error>;

    /// What was counted of the last execution.
    fn metrics(&self) -> Metrics;

    /// Gives up the job and all that the executor holds; it can be initialised again.
    ///
    /// # Errors
    /// What is held cannot be given up.
    fn shut_down(&mut self) -> Result<(), Error>;
}

/// Whether an executor with these capabilities can do a job.
///
/// # Errors
/// A usage error that names what it cannot do.
fn check(name: &str, capabilities: Capabilities, job: &ExecutorJob) -> Result<(), Error> {
    let setup = &job.program.setup;
    setup.check()?;
    let refuse = |what: &str| Err(Error::usage(format!("the executor '{name}' has no {what}, which the job asks for")));
    if job.gas_limit.is_some() && !capabilities.metering {
        return refuse("metering");
    }
    let is_served = !setup.linker.functions().is_empty() || setup.store.is_some();
    if is_served && !capabilities.host_functions {
        return refuse("host functions");
    }
    Ok(())
}

fn no_job(name: &str) -> Error {
    Error::usage(format!("the executor '{name}' has no job to execute"))
}
