//! The node as a library: deterministic, metered execution of WebAssembly programs, with host functions of the
//! embedder's, snapshots of any moment, and contracts over a key-value store.
//!
//! A program is described once, with [`Vm::builder`], and used in two ways. A [`Vm`] is *live*: its functions are
//! called one after the other, and its memory stays from call to call. A [`Run`] is one execution from an entry to its
//! end, cut into [`Segment`]s by the gas limit; each leaves a snapshot from which anybody can go on, and a record of
//! what came from outside, so that anybody can execute the segment again and compare bytes. [`Contexts`] are many runs
//! of contracts at once.
//!
//! ```
//! use node_sdk::{Caller, HostError, Linker, Value, Vm};
//!
//! # let wat = r#"(module (import "env" "add" (func $add (param i32 i32) (result i32)))
//! #   (func (export "twice") (param i32) (result i32) (call $add (local.get 0) (local.get 0))))"#;
//! # let wasm = wat::parse_str(wat).unwrap();
//! let mut linker = Linker::new();
//! linker.func("env", "add", |_: &mut Caller<'_>, (a, b): (i32, i32)| Ok::<_, HostError>(a + b))?;
//! let mut vm = Vm::builder().module(wasm).linker(linker).build()?;
//! assert_eq!(vm.run_func(None, "twice", &[Value::I32(21)])?, [Value::I32(42)]);
//! # Ok::<(), node_sdk::Error>(())
//! ```

mod audit;
mod builder;
mod cache;
mod caller;
mod chain;
mod config;
mod contexts;
mod error;
pub mod executor;
mod linker;
mod memory;
mod metrics;
mod pool;
mod run;
mod serve;
mod setup;
mod store;
mod typed;
mod value;
mod vm;

pub use audit::AuditRecord;
pub use builder::VmBuilder;
pub use cache::ModuleCache;
pub use caller::{Caller, HostError};
pub use chain::{Chain, Segment, SnapshotId};
pub use config::{Config, ProgramTier};
pub use contexts::{ContextId, Contexts, Invocation};
pub use error::{Error, Signature};
pub use linker::Linker;
pub use memory::Memory;
pub use metrics::{CompiledMetrics, InstructionCounts, Metrics, Times};
pub use pool::{Pool, PooledVm};
pub use run::{End, Next, Outcome, Run};
pub use store::{Conflict, MemoryStore, StoreEntry, StoreSource};
pub use typed::{WasmNumber, WasmParams, WasmResults};
pub use value::{Value, ValueType};
pub use vm::Vm;

pub use stepmark_core::gas::{Schedule, ScheduleBuilder, Unit};
pub use stepmark_hosts::external::{Charge, ExternalCall, ExternalReply, Versioned};
pub use stepmark_hosts::store::{RangeRead, ReadWriteSet};
pub use stepmark_session::report::{FrameReport, TrapReport};
pub use stepmark_state::limits::Limits;
pub use stepmark_state::trap::Trap;
