//! How a module is driven: the calls of its session, natively and as wasm; the loop over them, who answers what a run asks, and
//! what the runner itself says of a run.

pub mod cache;
pub mod deliver;
pub mod drive;
pub mod driver;
pub mod dry_run;
pub mod embedded_module;
pub mod engine;
pub mod external;
pub mod frozen;
pub mod kept;
pub mod native;
pub mod output;
pub mod receipt;
pub mod runner_report;
pub mod sandbox;
pub mod self_test;
pub mod sink;
mod start;
pub mod supply;
