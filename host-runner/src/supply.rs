//! Where the files come from that a node asks for. A run from the command line asks for paths as the user typed them; who
//! rebuilds a run from its snapshots gives the node names of its own, and says here what they stand for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::Node;
use crate::failure::{Failure, INTERRUPTED, Result};
use crate::interrupt::Stop;

/// Bytes read from a file at a time.
const CHUNK: usize = 256 << 10;

/// What a name stands for.
#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    Bytes(Arc<[u8]>),
    Absent,
}

/// What the names stand for that a node asks for; any other is a path of the host.
#[derive(Clone, Debug, Default)]
pub struct Supply {
    names: BTreeMap<String, Source>,
}

impl Supply {
    /// Lets `name` stand for the file at `path`.
    pub fn file(&mut self, name: impl Into<String>, path: impl Into<PathBuf>) {
        self.names.insert(name.into(), Source::File(path.into()));
    }

    /// Lets `name` stand for these bytes.
    pub fn bytes(&mut self, name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) {
        self.names.insert(name.into(), Source::Bytes(bytes.into()));
    }

    /// Lets there be no file of this name.
    pub fn absent(&mut self, name: impl Into<String>) {
        self.names.insert(name.into(), Source::Absent);
    }

    fn source(&self, name: &str) -> Source {
        self.names.get(name).cloned().unwrap_or_else(|| Source::File(PathBuf::from(name)))
    }

    /// Gives the node every file that it asks for.
    ///
    /// # Errors
    /// The node's, exit code 74 for a file that cannot be read, 130 when the user stops it.
    pub fn feed(&self, node: &mut dyn Node, stop: &Stop) -> Result<()> {
        self.feed_until(node, stop, &|_| false)
    }

    /// The same, up to the first name for which `is_last` holds: that file is still wanted then.
    ///
    /// # Errors
    /// As those of [`feed`](Self::feed).
    pub fn feed_until(&self, node: &mut dyn Node, stop: &Stop, is_last: &dyn Fn(&str) -> bool) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        while let Some(name) = node.want()? {
            if is_last(&name) {
                break;
            }
            match self.source(&name) {
                Source::File(path) => give_file(node, &path, &mut chunk, stop)?,
                Source::Absent => node.give_end(false)?,
                Source::Bytes(bytes) => {
                    bytes.chunks(CHUNK).try_for_each(|chunk| node.give(chunk))?;
                    node.give_end(true)?;
                }
            }
        }
        Ok(())
    }
}

/// Gives the node the contents of the file at `path`, chunk by chunk.
fn give_file(node: &mut dyn Node, path: &Path, chunk: &mut [u8], stop: &Stop) -> Result<()> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return node.give_end(false),
        Err(error) => return Err(Failure::io(path, &error)),
    };
    loop {
        if stop.is_requested() {
            return Err(Failure::new(INTERRUPTED, "interrupted while loading: nothing was written"));
        }
        let length = match file.read(chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other.map_err(|error| Failure::io(path, &error))?,
        };
        match chunk.get(..length) {
            Some([]) | None => return node.give_end(true),
            Some(bytes) => node.give(bytes)?,
        }
    }
}
