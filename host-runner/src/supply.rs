//! Where the files come from that a node asks for. A run from the command line asks for paths as the user typed them; who
//! rebuilds a run from its snapshots gives the node names of its own, and says here what they stand for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::Node;
use crate::failure::{Failure, INTERRUPTED, IO, Result};
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
    let Some(mut file) = open(path)? else { return node.give_end(false) };
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

/// Opens a regular file; none where there is nothing. Anything else is refused: a pipe in place of a snapshot's file would
/// keep us waiting, deaf to Ctrl-C.
fn open(path: &Path) -> Result<Option<File>> {
    let file = fs::metadata(path).and_then(|found| if found.is_file() { File::open(path).map(Some) } else { Ok(None) });
    match file {
        Ok(Some(file)) => Ok(Some(file)),
        Ok(None) => Err(Failure::new(IO, format!("{}: not a regular file", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_and_what_is_not_there_is_none() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        assert!(open(&temporary.path().join("1.bin")).expect("nothing").is_none());
        let mut irregular = vec![temporary.path().to_path_buf()];
        if cfg!(unix) {
            irregular.push(PathBuf::from("/dev/zero"));
        }
        for path in irregular {
            let failure = open(&path).expect_err("refused");
            assert_eq!((failure.code(), failure.what()), (IO, &*format!("{}: not a regular file", path.display())));
        }
    }
}
