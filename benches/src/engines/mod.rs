//! The engines, each in a file of its own. All of them load a program once and then run it round by round; each times its
//! own run, so that what it needs before and after is not measured.

mod library;
mod native;
mod node;
mod reactor;
mod wasmi;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::program::{Answer, Program};

/// A run that ended.
pub struct Run {
    pub time: Duration,
    pub answer: Answer,
}

/// A program in an engine.
pub trait Loaded {
    /// Runs it once, from its beginning.
    fn run(&mut self) -> Result<Run>;
}

type Load = Box<dyn Fn(&Program) -> Result<Box<dyn Loaded>>>;

/// An engine that is here.
pub struct Engine {
    /// By which options, columns and targets name it.
    pub key: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Reads and validates a program.
    pub load: Load,
}

/// An engine that is not here.
pub struct Absent {
    pub key: &'static str,
    pub why: String,
}

/// What the engines need that is not compiled in.
#[derive(clap::Args)]
pub struct Files {
    /// The node's wasm [default: the one in the folder of --built]
    #[arg(long, value_name = "FILE")]
    pub node: Option<PathBuf>,
}

/// All engines, those that are here first.
pub fn all(files: &Files) -> (Vec<Engine>, Vec<Absent>) {
    let candidates = [
        ("node", "the node as it ships, in wasmtime", node::in_wasmtime(files.node.as_deref())),
        ("native", "the same library, native", Ok(native::load())),
        ("wasmi2", "wasmi 2", Ok(wasmi::v2(false))),
        ("wasmi2-fuel", "wasmi 2 with fuel", Ok(wasmi::v2(true))),
        ("wasmi1", "wasmi 1", Ok(wasmi::v1(false))),
        ("wasmi1-fuel", "wasmi 1 with fuel", Ok(wasmi::v1(true))),
    ];
    let (mut here, mut absent) = (Vec::new(), Vec::new());
    for (key, title, load) in candidates {
        match load {
            Ok(load) => here.push(Engine { key, title, load }),
            Err(error) => absent.push(Absent { key, why: format!("{error:#}") }),
        }
    }
    (here, absent)
}
