//! Answers what a run asks of the outside: calls of the linker's functions, and reads of the store. A run that is
//! executed again is answered from its record instead.

use std::collections::VecDeque;
use std::sync::Arc;

use stepmark_core::host::GuestMemory;
use stepmark_hosts::external::{ExternalCall, ExternalReply};
use stepmark_session::{Live, Session};

use crate::caller::{Asking, Caller, GasView};
use crate::error::Error;
use crate::linker::Linker;
use crate::metrics::Metrics;
use crate::store::StoreSource;

impl Asking for Session {
    fn memory_size(&mut self) -> u64 {
        self.asking_memory_size()
    }

    fn read(&mut self, address: u64, length: u64) -> Option<Vec<u8>> {
        self.asking_memory(address, length)
    }

    fn gas(&self) -> (u64, u64) {
        let progress = self.progress();
        (progress.segment_gas, progress.gas_limit)
    }
}

impl Asking for Live {
    fn memory_size(&mut self) -> u64 {
        self.asking_memory().map_or(0, |memory| memory.size())
    }

    fn read(&mut self, address: u64, length: u64) -> Option<Vec<u8>> {
        self.asking_memory()?.read(address, length).map(<[u8]>::to_vec)
    }

    fn gas(&self) -> (u64, u64) {
        (self.gas_limit().saturating_sub(self.gas_left()), self.gas_limit())
    }
}

/// Where answers come from.
#[derive(Clone)]
pub(crate) enum Server {
    /// From the embedder.
    Embedder {
        /// Its functions.
        linker: Arc<Linker>,
        /// Its store.
        store: Option<Arc<dyn StoreSource>>,
    },
    /// From the record of an earlier execution.
    Record(VecDeque<ExternalReply>),
}

impl Server {
    /// The answer to `question`.
    ///
    /// # Errors
    /// The store's own; a snapshot error if the record has no more answers.
    pub(crate) fn answer(
        &mut self,
        question: &ExternalCall,
        asking: &mut dyn Asking,
        metrics: &mut Metrics,
    ) -> Result<ExternalReply, Error> {
        let answer = match self {
            Self::Record(answers) => answers
                .pop_front()
                .ok_or_else(|| Error::Snapshot("the record has no answer left to what is asked".to_owned()))?,
            Self::Embedder { linker, store } => from_embedder(linker, store.as_deref(), question, asking)?,
        };
        metrics.note(question, &answer);
        Ok(answer)
    }
}

fn from_embedder(
    linker: &Linker,
    store: Option<&dyn StoreSource>,
    question: &ExternalCall,
    asking: &mut dyn Asking,
) -> Result<ExternalReply, Error> {
    let store = || store.ok_or_else(|| Error::usage("the program has a store, but nobody serves it"));
    match question {
        ExternalCall::Call { module, name, args, remaining } => {
            let (consumed, limit) = asking.gas();
            let mut caller = Caller::new(asking, GasView { consumed, limit, remaining: *remaining });
            let called = linker.call((module, name), args, &mut caller);
            let result = called.ok_or_else(|| Error::usage(format!("nobody serves the function {module}.{name}")))?;
            Ok(caller.answer(result))
        }
        ExternalCall::Get { key } => Ok(ExternalReply::Value(store()?.get(key)?)),
        ExternalCall::Next { from, limit } => Ok(ExternalReply::Entry(store()?.next(from, limit.as_deref())?)),
    }
}
