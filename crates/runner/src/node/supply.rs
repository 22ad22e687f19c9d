//! Where the files come from that a node asks for. A run from the command line asks for paths as the user typed them; who
//! rebuilds a run from its snapshots gives the node names of its own, and says here what they stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use stepmark_session::spec::JobSpec;

use crate::chain::durable::Name;
use crate::failure::{Failure, INTERRUPTED, Result};
use crate::foreign::{Foreign, ForeignKind};
use crate::interrupt::Interrupt;
use crate::node::engine::ModuleSession;

/// Bytes read from a file at a time.
const CHUNK: usize = 256 << 10;

/// What a name stands for.
#[derive(Clone, Debug)]
enum FileSource {
    File(PathBuf),
    Module(PathBuf),
    Bytes(Arc<[u8]>),
    Absent,
}

/// What the names stand for that a node asks for; any other is a path of the host.
#[derive(Clone, Debug, Default)]
pub struct Supply {
    names: BTreeMap<String, FileSource>,
    /// Directory of the chain that the run goes on from: nobody has to trust what is in it.
    chain: Option<String>,
}

impl Supply {
    /// Lets the names below `dir` be those of a chain: whoever wrote it, no link in it is followed.
    pub fn chain(&mut self, dir: impl Into<String>) {
        self.chain = Some(dir.into());
    }

    /// Lets `name` stand for the file at `path`.
    pub fn file(&mut self, name: impl Into<String>, path: impl Into<PathBuf>) {
        self.names.insert(name.into(), FileSource::File(path.into()));
    }

    /// Lets `name` stand for the module at `path`, which may be text.
    pub fn module(&mut self, name: impl Into<String>, path: impl Into<PathBuf>) {
        self.names.insert(name.into(), FileSource::Module(path.into()));
    }

    /// Lets the names of a job's modules stand for modules at these paths, unless they stand for something already.
    pub fn modules_of(&mut self, job: &JobSpec) {
        for path in modules(job) {
            self.names.entry(path.to_owned()).or_insert_with(|| FileSource::Module(path.into()));
        }
    }

    /// The job with other names for inputs that are modules of it too: as an input, text is what it is.
    pub fn with_inputs_apart(job: &JobSpec) -> JobSpec {
        let modules: BTreeSet<&str> = modules(job).collect();
        let apart = |path: &String| {
            let mut name = path.clone();
            while modules.contains(name.as_str()) {
                name = format!("{}{name}", if name.starts_with('/') { "/." } else { "./" });
            }
            name
        };
        let files = job.files.iter().map(|(guest, path)| (guest.clone(), apart(path))).collect();
        JobSpec { files, stdin: job.stdin.as_ref().map(apart), ..job.clone() }
    }

    /// Lets `name` stand for these bytes.
    pub fn bytes(&mut self, name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) {
        self.names.insert(name.into(), FileSource::Bytes(bytes.into()));
    }

    /// Lets there be no file of this name.
    pub fn absent(&mut self, name: impl Into<String>) {
        self.names.insert(name.into(), FileSource::Absent);
    }

    fn source(&self, name: &str) -> FileSource {
        self.names.get(name).cloned().unwrap_or_else(|| FileSource::File(PathBuf::from(name)))
    }

    /// Opens what a name stands for; none where there is nothing.
    fn open(&self, name: &str, path: PathBuf) -> Result<Option<Foreign>> {
        let in_chain = self.chain.as_ref().and_then(|dir| {
            let file = name.strip_prefix(dir.as_str())?.strip_prefix('/')?;
            Some((dir, file, Name::kind_of(file)?))
        });
        match in_chain {
            Some((dir, file, kind)) => Foreign::find_within(dir.as_ref(), file, kind),
            None => Foreign::find_named(&path, ForeignKind::Input),
        }
    }

    /// Gives the node every file that it asks for.
    ///
    /// # Errors
    /// The node's, exit code 74 for a file that cannot be read, 130 when the user stops it.
    pub fn feed(&self, node: &mut dyn ModuleSession, stop: &Interrupt) -> Result<()> {
        self.feed_until(node, stop, &|_| false)
    }

    /// Gives the node the files that it asks for, up to the first name for which `is_last` holds: that file is still wanted then.
    ///
    /// # Errors
    /// As those of [`feed`](Self::feed).
    pub fn feed_until(
        &self,
        node: &mut dyn ModuleSession,
        stop: &Interrupt,
        is_last: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        while let Some(name) = node.want()? {
            if is_last(&name) {
                break;
            }
            match self.source(&name) {
                FileSource::File(path) => match self.open(&name, path)? {
                    Some(file) => give_file(node, file, &mut chunk, stop)?,
                    None => node.give_end(false)?,
                },
                FileSource::Module(path) => match Foreign::find_named(&path, ForeignKind::Module)? {
                    Some(file) => give_file(node, file, &mut chunk, stop)?,
                    None => node.give_end(false)?,
                },
                FileSource::Absent => node.give_end(false)?,
                FileSource::Bytes(bytes) => {
                    bytes.chunks(CHUNK).try_for_each(|chunk| node.give(chunk))?;
                    node.give_end(true)?;
                }
            }
        }
        Ok(())
    }
}

/// Paths of a job's modules.
fn modules(job: &JobSpec) -> impl Iterator<Item = &str> {
    let linked = job.preload.iter().chain(&job.contracts).map(|(_, path)| path);
    std::iter::once(&job.program).chain(linked).map(String::as_str)
}

/// Gives the node the contents of a file, chunk by chunk.
fn give_file(node: &mut dyn ModuleSession, mut file: Foreign, chunk: &mut [u8], stop: &Interrupt) -> Result<()> {
    loop {
        if stop.is_requested() {
            return Err(Failure::new(INTERRUPTED, "interrupted while loading: nothing was written"));
        }
        let length = file.read_chunk(chunk)?;
        match chunk.get(..length) {
            Some([]) | None => return node.give_end(true),
            Some(bytes) => node.give(bytes)?,
        }
    }
}
