//! Many invocations of contracts at once, each a context of its own: arguments, caller, what it read and wrote, gas,
//! result. A context is made, invoked once, asked, and released; the store is changed by whoever commits what it wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepmark_hosts::store::ReadWriteSet;

use crate::audit::AuditRecord;
use crate::builder::VmBuilder;
use crate::config::Config;
use crate::error::Error;
use crate::linker::Linker;
use crate::metrics::Metrics;
use crate::run::{End, Next, Run};
use crate::setup::{EntryCall, Setup};
use crate::store::StoreSource;

/// Number of a context, from 1. It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(u64);

impl ContextId {
    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "context {}", self.0)
    }
}

/// What an invocation came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// How it ended.
    pub end: End,
    /// What the contract set as its result.
    pub result: Vec<u8>,
    /// Gas charged, less what was given back.
    pub gas_used: u64,
    /// What it wrote to standard error: the lines of its debug calls.
    pub stderr: Vec<u8>,
    /// What was counted.
    pub metrics: Metrics,
    /// The line for the books.
    pub audit: AuditRecord,
}

enum ContextState {
    Ready(Box<Run>),
    Done(Box<(Invocation, ReadWriteSet)>),
    /// The node or the store failed: there is no result.
    Failed(Error),
}

type SharedContext = Arc<Mutex<ContextState>>;

/// Invocations of contracts over one store, from any number of threads.
///
/// ```
/// use std::sync::Arc;
/// use node_sdk::{Config, Contexts, MemoryStore, StoreSource};
///
/// # let counter = wat::parse_str(r#"(module
/// #   (import "store" "get" (func $get (param i32 i32 i32 i32) (result i64)))
/// #   (import "store" "put" (func $put (param i32 i32 i32 i32)))
/// #   (memory (export "memory") 1) (data (i32.const 0) "n")
/// #   (func (export "invoke")
/// #     (drop (call $get (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1)))
/// #     (i32.store8 (i32.const 8) (i32.add (i32.load8_u (i32.const 8)) (i32.const 1)))
/// #     (call $put (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1))))"#).unwrap();
/// let store = Arc::new(MemoryStore::new());
/// let mut contexts = Contexts::new(Config::new(), store.clone());
/// contexts.add_contract("counter", counter)?;
/// let first = contexts.new_context("counter", b"", "alice", 10_000)?;
/// let second = contexts.new_context("counter", b"", "bob", 10_000)?;
/// contexts.invoke(first)?;
/// contexts.invoke(second)?;
/// // Both have read the key as it was in the beginning: only one of them can be committed.
/// assert_eq!(store.commit(&contexts.read_write_set(first)?), Ok(1));
/// assert!(store.commit(&contexts.read_write_set(second)?).is_err());
/// contexts.release(first)?;
/// contexts.release(second)?;
/// assert_eq!(store.get(b"n")?.unwrap().value, [1]);
/// # Ok::<(), node_sdk::Error>(())
/// ```
pub struct Contexts {
    setup: Setup,
    store: Arc<dyn StoreSource>,
    live: Mutex<BTreeMap<ContextId, SharedContext>>,
    last: AtomicU64,
}

impl Contexts {
    /// No contract and no context.
    pub fn new(config: Config, store: Arc<dyn StoreSource>) -> Self {
        let setup = VmBuilder::new().config(config).setup;
        Self { setup, store, live: Mutex::default(), last: AtomicU64::new(0) }
    }

    /// The functions that contracts can import beside the node's.
    pub fn set_linker(&mut self, linker: impl Into<Arc<Linker>>) {
        self.setup.linker = linker.into();
    }

    /// Adds a contract under a name, by which it is invoked, and called by others.
    ///
    /// # Errors
    /// There is one of this name, or it cannot be a name.
    pub fn add_contract(&mut self, name: &str, wasm: impl Into<Arc<[u8]>>) -> Result<(), Error> {
        if name.is_empty() || name.contains('/') || self.setup.contracts.iter().any(|(known, _)| known == name) {
            return Err(Error::usage(format!("'{name}' is no name for a new contract: empty, taken, or with a slash")));
        }
        self.setup.contracts.push((name.to_owned(), wasm.into()));
        Ok(())
    }

    /// Prepares an invocation of `contract` with `args` by `caller`: it sees the store as it is now.
    ///
    /// # Errors
    /// There is no such contract, or it is bad or does not link.
    pub fn new_context(&self, contract: &str, args: &[u8], caller: &str, gas_limit: u64) -> Result<ContextId, Error> {
        let found = self.setup.contracts.iter().find(|(name, _)| name == contract);
        let (name, wasm) = found.ok_or_else(|| Error::ModuleNotFound {
            name: contract.to_owned(),
            known: self.setup.contracts.iter().map(|(name, _)| name.clone()).collect(),
        })?;
        let setup = Setup {
            // Contracts that it calls see it under the name without the ending.
            name: format!("{name}.wasm"),
            program: Some(wasm.clone()),
            call_data: Some(args.to_vec()),
            caller: Some(caller.to_owned()),
            store: Some((self.store.version(), self.store.clone())),
            ..self.setup.clone()
        };
        setup.check()?;
        let run = Run::start_once(&setup, &EntryCall { words: vec!["invoke".to_owned()] }, gas_limit)?;
        let id = ContextId(self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1));
        self.live().insert(id, Arc::new(Mutex::new(ContextState::Ready(Box::new(run)))));
        Ok(id)
    }

    /// Runs a context to its end. Others can be invoked at the same time.
    ///
    /// # Errors
    /// There is no such context, it was invoked before, or the node or the store fails. What the contract does is no
    /// error: see [`result`](Self::result).
    pub fn invoke(&self, id: ContextId) -> Result<(), Error> {
        let context = self.context(id)?;
        let mut state = lock(&context);
        let ContextState::Ready(run) = &mut *state else {
            return Err(Error::usage(format!("{id} was invoked before")));
        };
        let done = complete(run);
        let failed = done.as_ref().err().cloned();
        *state = done.map_or_else(ContextState::Failed, |done| ContextState::Done(Box::new(done)));
        failed.map_or(Ok(()), Err)
    }

    /// What an invocation came to.
    ///
    /// # Errors
    /// There is no such context, or it was not invoked, or the node or the store failed.
    pub fn result(&self, id: ContextId) -> Result<Invocation, Error> {
        self.done(id, |(invocation, _)| invocation.clone())
    }

    /// What an invocation read, and what it wants to write: nothing unless it ended normally.
    ///
    /// # Errors
    /// As those of [`result`](Self::result).
    pub fn read_write_set(&self, id: ContextId) -> Result<ReadWriteSet, Error> {
        self.done(id, |(_, set)| set.clone())
    }

    /// Forgets a context and all that it holds. One that is being invoked runs to its end for nobody.
    ///
    /// # Errors
    /// There is no such context.
    pub fn release(&self, id: ContextId) -> Result<(), Error> {
        self.live().remove(&id).map(drop).ok_or_else(|| unknown(id))
    }

    /// The contexts that were not released, in the order in which they were made.
    pub fn contexts(&self) -> Vec<ContextId> {
        self.live().keys().copied().collect()
    }

    fn done<T>(&self, id: ContextId, pick: impl FnOnce(&(Invocation, ReadWriteSet)) -> T) -> Result<T, Error> {
        let context = self.context(id)?;
        match &*lock(&context) {
            ContextState::Done(done) => Ok(pick(done)),
            ContextState::Failed(error) => Err(error.clone()),
            ContextState::Ready(_) => Err(Error::usage(format!("{id} was not invoked"))),
        }
    }

    fn context(&self, id: ContextId) -> Result<SharedContext, Error> {
        self.live().get(&id).cloned().ok_or_else(|| unknown(id))
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<ContextId, SharedContext>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(context: &SharedContext) -> MutexGuard<'_, ContextState> {
    context.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown(id: ContextId) -> Error {
    Error::usage(format!("there is no {id}"))
}

fn complete(run: &mut Run) -> Result<(Invocation, ReadWriteSet), Error> {
    // At the gas limit a snapshot comes first, which nobody goes on from.
    let outcome = loop {
        if let Next::Finished(outcome) = run.next()? {
            break outcome;
        }
    };
    let set = outcome.files.get("rwset.bin").and_then(|bytes| ReadWriteSet::decode(bytes));
    let set = set.ok_or_else(|| Error::Node("the run left no read and write set".to_owned()))?;
    let invocation = Invocation {
        end: outcome.end,
        result: set.result.clone(),
        gas_used: outcome.gas_used,
        stderr: run.take_stderr(),
        metrics: run.metrics().clone(),
        audit: outcome.audit,
    };
    Ok((invocation, set))
}
