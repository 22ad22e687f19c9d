//! The engines, each in a file of its own. All of them load a program once and then run it round by round; each times its
//! own run, so that what it needs before and after is not measured.

mod chiwawa;
mod library;
mod node;
mod piped;
mod reactor;
mod tinywasm;
#[cfg(feature = "wasm3")]
mod wasm3;
mod wasmedge;
mod wasmi;
mod wasmi_in_wasm;
mod wasmtime;
mod whole;

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(not(feature = "wasm3"))]
use anyhow::bail;
use anyhow::{Context, Result, ensure};

pub use node::PROGRAM;

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
    /// The node's wasm [default: node.wasm in the folder of --built]
    #[arg(long, value_name = "FILE")]
    pub node: Option<PathBuf>,
    /// The node's library as a program [default: native-node in the folder of --built]
    #[arg(long, value_name = "FILE")]
    pub native: Option<PathBuf>,
    /// Folder with what xtask builds: the node, its variants, the native one, and wasmi as wasm
    #[arg(long, value_name = "DIR")]
    pub built: Option<PathBuf>,
    /// WasmEdge's command; benches/get-wasmedge.sh gets it
    #[arg(long, value_name = "FILE", env = "WASMEDGE")]
    pub wasmedge: Option<PathBuf>,
    /// Chiwawa's wasm, as its authors build it for wasm32-wasip1
    #[arg(long, value_name = "FILE", env = "CHIWAWA")]
    pub chiwawa: Option<PathBuf>,
    /// Measure in Node.js too: the node, compiled code in it, and V8 itself
    #[arg(long)]
    pub v8: bool,
}

impl Files {
    /// A file that xtask builds.
    fn built(&self, name: &str) -> Result<PathBuf> {
        let path = self.built.as_ref().context("no --built DIR")?.join(name);
        ensure!(path.is_file(), "{} was not built", path.display());
        Ok(path)
    }

    fn node(&self) -> Result<PathBuf> {
        self.node.clone().map_or_else(|| self.built("node.wasm"), Ok)
    }

    fn native(&self) -> Result<PathBuf> {
        self.native.clone().map_or_else(|| self.built(&format!("native-node{EXE_SUFFIX}")), Ok)
    }

    fn v8(&self) -> Result<Load> {
        ensure!(self.v8, "--v8 asks for it");
        piped::node_js(&self.node()?, None)
    }

    fn v8_compiled(&self) -> Result<Load> {
        ensure!(self.v8, "--v8 asks for it");
        piped::node_js(&self.node()?, Some(&self.built("compiler.wasm")?))
    }

    fn v8_itself(&self) -> Result<Load> {
        ensure!(self.v8, "--v8 asks for it");
        piped::v8()
    }

    fn wasmi(&self, name: &str, fuel: bool) -> Result<Load> {
        wasmi_in_wasm::load(&self.built(name)?, fuel)
    }
}

/// An engine: its key, its title, and how to get it ready.
type Entry = (&'static str, &'static str, fn(&Files) -> Result<Load>);

/// All engines, in the order of the columns.
const ENGINES: [Entry; 24] = [
    ("node", "the node as it ships, in wasmtime", |files| node::in_wasmtime(&files.node()?)),
    ("node-nogas", "the node without gas, in wasmtime", |files| {
        node::in_wasmtime(&files.built("node-without-gas.wasm")?)
    }),
    ("node-nodirty", "the node without marking pages, in wasmtime", |files| {
        node::in_wasmtime(&files.built("node-without-dirty.wasm")?)
    }),
    ("node-v8", "the node as it ships, in Node.js", Files::v8),
    ("native", "the node's library, native", |files| piped::native(&files.native()?)),
    ("compiled", "compiled code in the node, in wasmtime", |files| piped::compiled(&files.native()?)),
    ("compiled-v8", "compiled code in the node, in Node.js", Files::v8_compiled),
    ("v8", "V8 itself, in Node.js", Files::v8_itself),
    ("wasmi2", "wasmi 2, native", |_| Ok(wasmi::v2(false))),
    ("wasmi2-fuel", "wasmi 2 with fuel, native", |_| Ok(wasmi::v2(true))),
    ("wasmi1", "wasmi 1, native", |_| Ok(wasmi::v1(false))),
    ("wasmi1-fuel", "wasmi 1 with fuel, native", |_| Ok(wasmi::v1(true))),
    ("wasmi2-wt", "wasmi 2 in wasmtime", |files| files.wasmi("wasmi2.wasm", false)),
    ("wasmi2-wt-fuel", "wasmi 2 with fuel, in wasmtime", |files| files.wasmi("wasmi2.wasm", true)),
    ("wasmi1-wt", "wasmi 1 in wasmtime", |files| files.wasmi("wasmi1.wasm", false)),
    ("wasmi1-wt-fuel", "wasmi 1 with fuel, in wasmtime", |files| files.wasmi("wasmi1.wasm", true)),
    ("wasm3", "wasm3, native", |_| wasm3()),
    ("tinywasm", "tinywasm, native", |_| Ok(tinywasm::load())),
    ("wasmtime", "wasmtime: Cranelift", |_| wasmtime::cranelift()),
    ("wasmtime-fuel", "wasmtime: Cranelift with fuel", |_| wasmtime::cranelift_fuel()),
    ("wasmtime-exact", "wasmtime: Cranelift with fuel and canonical NaNs", |_| wasmtime::cranelift_exact()),
    ("pulley", "wasmtime: Pulley", |_| wasmtime::pulley()),
    ("wasmedge", "WasmEdge's interpreter, native", |files| {
        wasmedge::load(files.wasmedge.as_deref().context("no --wasmedge FILE")?)
    }),
    ("chiwawa", "Chiwawa in wasmtime", |files| chiwawa::load(files.chiwawa.as_deref().context("no --chiwawa FILE")?)),
];

/// The engines with these keys, or all: those that are here, and the others.
///
/// # Errors
/// If there is no such key.
pub fn select(keys: &[String], files: &Files) -> Result<(Vec<Engine>, Vec<Absent>)> {
    for key in keys {
        ensure!(ENGINES.iter().any(|(known, ..)| known == key), "no engine {key}");
    }
    let (mut here, mut absent) = (Vec::new(), Vec::new());
    for (key, title, prepare) in ENGINES {
        if !keys.is_empty() && !keys.iter().any(|wanted| wanted == key) {
            continue;
        }
        match prepare(files) {
            Ok(load) => here.push(Engine { key, title, load }),
            Err(error) => absent.push(Absent { key, why: format!("{error:#}") }),
        }
    }
    ensure!(!here.is_empty(), "no engine is here");
    Ok((here, absent))
}

#[cfg(feature = "wasm3")]
fn wasm3() -> Result<Load> {
    Ok(wasm3::load())
}

#[cfg(not(feature = "wasm3"))]
fn wasm3() -> Result<Load> {
    bail!("built without the feature wasm3")
}
