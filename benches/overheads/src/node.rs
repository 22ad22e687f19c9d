//! The node in its two forms, as the host runner drives it: the library linked natively, and the wasm file in wasmtime.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use stepmark_runner::node::embedded_module::NODE_WASM;
use stepmark_runner::node::engine::{Budget, Event, ModuleSession};
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::sandbox::{NodeModule, WasmNode};

/// Where the node runs.
#[derive(Clone)]
pub enum Place {
    Native,
    Wasm(NodeModule),
}

impl Place {
    /// The node's wasm, compiled or from the cache.
    pub fn wasm() -> Result<Place> {
        Ok(Place::Wasm(NodeModule::compile(NODE_WASM)?))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Place::Native => "native",
            Place::Wasm(_) => "wasm",
        }
    }

    /// A node without a job.
    pub fn node(&self) -> Result<Box<dyn ModuleSession>> {
        Ok(match self {
            Place::Native => Box::new(NativeNode::new()),
            Place::Wasm(module) => Box::new(WasmNode::new(module)?),
        })
    }
}

/// Files by path, as the node asks for them.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Starts a job, and gives every file that is wanted.
pub fn load(node: &mut dyn ModuleSession, argv: &[&str], files: &Files) -> Result<()> {
    load_until(node, argv, files, |_| false)?;
    Ok(())
}

/// The same, up to the first file that `stop` names: returns before giving that one.
pub fn load_until(
    node: &mut dyn ModuleSession,
    argv: &[&str],
    files: &Files,
    stop: impl Fn(&str) -> bool,
) -> Result<()> {
    let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
    node.load(&guest_interp::args::job(&argv)?)?;
    give(node, files, stop)
}

/// Gives every file that is wanted, up to the first that `stop` names.
pub fn give(node: &mut dyn ModuleSession, files: &Files, stop: impl Fn(&str) -> bool) -> Result<()> {
    while let Some(path) = node.want()? {
        if stop(&path) {
            break;
        }
        node.give(files.get(&path).with_context(|| format!("the node wants {path}"))?)?;
        node.give_end(true)?;
    }
    Ok(())
}

/// Runs slice by slice until something else than output or a pause comes, telling `paused` of each pause.
pub fn run_on(
    node: &mut dyn ModuleSession,
    slice: u64,
    mut paused: impl FnMut(&mut dyn ModuleSession) -> Result<()>,
) -> Result<Event> {
    loop {
        match node.run(Budget { gas: slice, steps: u64::MAX })? {
            Event::Output => {
                for fd in [1, 2] {
                    node.take_output(fd)?;
                }
            }
            Event::Paused => paused(node)?,
            event => return Ok(event),
        }
    }
}

/// Takes all files that are ready.
pub fn take(node: &mut dyn ModuleSession) -> Result<Files> {
    let (mut files, mut chunk) = (Files::new(), Vec::new());
    while let Some(next) = node.next_file()? {
        let file = files.entry(next.to_string()).or_default();
        while node.take_chunk(&mut chunk)? {
            file.extend_from_slice(&chunk);
        }
    }
    Ok(files)
}
