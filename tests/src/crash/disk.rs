//! A directory in memory that records every operation, and fails where it is told to. `power` makes of the record what a
//! disk can hold after power is lost.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::TryLockError;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use stepmark_runner::chain::disk::{Disk, NameKind, NewFile};

use crate::session::Files;

/// What was done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The lock was asked for.
    Lock,
    /// All names were.
    List,
    /// It was asked what stands at a name.
    Look(String),
    /// The first bytes of a file were read.
    Read(String),
    /// A file was created: its name and its number.
    Create(String, usize),
    /// Bytes were appended to a file: its name, its number and the bytes.
    Write(String, usize, Vec<u8>),
    /// A file was synced.
    SyncFile(String, usize),
    /// A directory was made.
    MakeDirectory(String),
    /// A file was renamed.
    Rename(String, String),
    /// A name was removed.
    Remove(String),
    /// The directory was synced.
    Sync,
    /// Not of the disk: the runner said that this snapshot is written.
    Reported(u64),
    /// Not of the disk: the runner ended, its results written.
    Finished,
}

impl Op {
    /// The file that a message on its failure is to name; none for the directory.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Look(name) | Self::Read(name) | Self::Create(name, _) | Self::Write(name, ..) => Some(name),
            Self::SyncFile(name, _) | Self::Rename(_, name) | Self::Remove(name) | Self::MakeDirectory(name) => {
                Some(name)
            }
            _ => None,
        }
    }
}

/// A fault: what the system says, and when.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The operation that fails, from 0.
    pub at: usize,
    /// The system's error number; none for a write that stops half-way.
    pub errno: Option<i32>,
    /// All that change something fail from then on, as on a disk that stays full.
    pub lasting: bool,
}

/// The directory. Copies are the same one.
#[derive(Clone, Debug, Default)]
pub struct Model(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, usize>,
    directories: BTreeSet<String>,
    contents: Vec<Vec<u8>>,
    log: Vec<Op>,
    fault: Option<Fault>,
}

impl Model {
    /// A directory that holds `files`, durably, by name.
    pub fn new(files: &Files, fault: Option<Fault>) -> Self {
        let names = files.keys().cloned().zip(0..).collect();
        let contents = files.values().cloned().collect();
        Self(Rc::new(RefCell::new(State { names, contents, fault, ..State::default() })))
    }

    /// What it holds while the power is on.
    pub fn files(&self) -> Files {
        let state = self.0.borrow();
        let content = |file: &usize| state.contents.get(*file).cloned().unwrap_or_default();
        state.names.iter().map(|(name, file)| (name.clone(), content(file))).collect()
    }

    /// What was done.
    pub fn log(&self) -> Vec<Op> {
        self.0.borrow().log.clone()
    }

    /// Adds a remark of the runner to the record.
    pub fn remark(&self, op: Op) {
        self.0.borrow_mut().log.push(op);
    }
}

impl State {
    /// Records an operation, which the fault may forbid.
    fn step(&mut self, op: Op) -> io::Result<()> {
        let number = self.log.len();
        let read_only = matches!(op, Op::Lock | Op::List | Op::Look(_) | Op::Read(_));
        let hit = |fault: &Fault| number == fault.at || fault.lasting && !read_only && number > fault.at;
        let failure = self.fault.filter(hit).map(|fault| match fault.errno {
            Some(errno) => io::Error::from_raw_os_error(errno),
            // What the standard library says when the system takes no more bytes.
            None => io::Error::new(ErrorKind::WriteZero, "failed to write whole buffer"),
        });
        self.log.push(op);
        failure.map_or(Ok(()), Err)
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::Error::from_raw_os_error(ENOENT))
    }
}

/// No such file or directory.
const ENOENT: i32 = 2;
/// File exists.
const EEXIST: i32 = 17;

impl Disk for Model {
    fn lock(&self) -> Result<(), TryLockError> {
        self.0.borrow_mut().step(Op::Lock).map_err(TryLockError::Error)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut state = self.0.borrow_mut();
        state.step(Op::List)?;
        Ok(state.names.keys().cloned().collect())
    }

    fn look(&self, name: &str) -> io::Result<NameKind> {
        let mut state = self.0.borrow_mut();
        state.step(Op::Look(name.to_owned()))?;
        Ok(match (state.names.contains_key(name), state.directories.contains(name)) {
            (true, _) => NameKind::File,
            (false, true) => NameKind::Directory,
            (false, false) => NameKind::Nothing,
        })
    }

    fn first_bytes(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut state = self.0.borrow_mut();
        state.step(Op::Read(name.to_owned()))?;
        let bytes = state.contents.get(state.file(name)?).map(Vec::as_slice).unwrap_or_default();
        let len = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(bytes.get(..len).unwrap_or_default().to_vec())
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn NewFile>> {
        let mut state = self.0.borrow_mut();
        let file = state.contents.len();
        state.step(Op::Create(name.to_owned(), file))?;
        if state.names.contains_key(name) {
            return Err(io::Error::from_raw_os_error(EEXIST));
        }
        state.contents.push(Vec::new());
        state.names.insert(name.to_owned(), file);
        Ok(Box::new(Open { model: self.clone(), name: name.to_owned(), file }))
    }

    fn make_directory(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step(Op::MakeDirectory(name.to_owned()))?;
        if state.directories.insert(name.to_owned()) { Ok(()) } else { Err(io::Error::from_raw_os_error(EEXIST)) }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step(Op::Rename(from.to_owned(), to.to_owned()))?;
        let file = state.file(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.step(Op::Remove(name.to_owned()))?;
        state.file(name)?;
        state.names.remove(name);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.borrow_mut().step(Op::Sync)
    }
}

/// A file that was created in the directory.
#[derive(Debug)]
struct Open {
    model: Model,
    name: String,
    file: usize,
}

impl NewFile for Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.model.0.borrow_mut();
        let done = state.step(Op::Write(self.name.clone(), self.file, bytes.to_vec()));
        // A write that fails may have got half-way all the same.
        let written = if done.is_ok() { bytes.len() } else { bytes.len() / 2 };
        if let Some(content) = state.contents.get_mut(self.file) {
            content.extend_from_slice(bytes.get(..written).unwrap_or_default());
        }
        done
    }

    fn sync(&mut self) -> io::Result<()> {
        self.model.0.borrow_mut().step(Op::SyncFile(self.name.clone(), self.file))
    }
}
