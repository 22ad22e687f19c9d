//! What an execution came to, in numbers. All but the times depends on the job and on where its segments end, and on
//! nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use stepmark_hosts::external::{ExternalCall, ExternalReply};
pub use stepmark_tools::profile::InstructionCounts;

/// How long things took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Parsing, linking, restoring.
    pub setting_up: Duration,
    /// Running, with the host functions' own time.
    pub running: Duration,
}

/// What compiled code has done in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompiledMetrics {
    /// Functions that are compiled.
    pub functions: u64,
    /// Gas that they charged; the interpreter charged the rest.
    pub gas: u64,
    /// How often compiled code was entered.
    pub turns: u64,
    /// Bytes of the companions that were compiled.
    pub bytes: u64,
    /// Time from the first thing that was done to compile to the last.
    pub compiling: Duration,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metrics {
    /// Gas charged, less what was given back.
    pub gas_used: u64,
    /// Gas that host functions charged beside their calls, by what for.
    pub charges: BTreeMap<String, u64>,
    /// Gas that host functions gave back.
    pub refunds: u64,
    /// Segments that came to their end: snapshots, and the last one.
    pub segments: u64,
    /// Pages of 4 KiB in the `.bin` files of all snapshots.
    pub dirty_pages: u64,
    /// Calls of the embedder's functions, by `module.name`. Those of the system interface are not among them.
    pub host_calls: BTreeMap<String, u64>,
    /// Questions about the store.
    pub store_reads: u64,
    /// Instructions of a run by class, once it has ended, where [`Config::statistics`](crate::Config::statistics) asks for
    /// them. Live calls are not counted, and the node as wasm and the reference count none.
    pub instructions: Option<InstructionCounts>,
    /// Not among what is determined.
    #[serde(skip)]
    pub times: Times,
    /// Likewise: the [`ProgramTier`](crate::ProgramTier) and the machine decide it.
    #[serde(skip)]
    pub compiled: CompiledMetrics,
}

impl Metrics {
    /// All but the times and what compiled code has done: equal for equal jobs.
    ///
    /// ```
    /// use node_sdk::Metrics;
    ///
    /// let mut slow = Metrics { gas_used: 5, ..Metrics::default() };
    /// slow.times.running = std::time::Duration::from_secs(1);
    /// assert_ne!(slow, Metrics { gas_used: 5, ..Metrics::default() });
    /// assert_eq!(slow.determined(), Metrics { gas_used: 5, ..Metrics::default() });
    /// ```
    #[must_use]
    pub fn determined(&self) -> Self {
        Self { times: Times::default(), compiled: CompiledMetrics::default(), ..self.clone() }
    }

    /// As JSON: `determined`, `times` in nanoseconds, and `compiled`.
    ///
    /// ```
    /// let json = node_sdk::Metrics::default().to_json();
    /// assert!(json.starts_with(r#"{"determined":{"gas_used":0,"#), "{json}");
    /// assert!(json.contains(r#""times":{"setting_up":0,"running":0},"compiled":{"functions":0,"#), "{json}");
    /// ```
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Nanoseconds {
            setting_up: u128,
            running: u128,
        }
        #[derive(Serialize)]
        struct Compiled {
            functions: u64,
            gas: u64,
            turns: u64,
            bytes: u64,
            compiling: u128,
        }
        #[derive(Serialize)]
        struct Whole<'a> {
            determined: &'a Metrics,
            times: Nanoseconds,
            compiled: Compiled,
        }
        let Times { setting_up, running } = self.times;
        let times = Nanoseconds { setting_up: setting_up.as_nanos(), running: running.as_nanos() };
        let CompiledMetrics { functions, gas, turns, bytes, compiling } = self.compiled;
        let compiled = Compiled { functions, gas, turns, bytes, compiling: compiling.as_nanos() };
        json(&Whole { determined: self, times, compiled })
    }

    /// Counts what was asked and answered.
    pub(crate) fn note(&mut self, question: &ExternalCall, answer: &ExternalReply) {
        let ExternalCall::Call { module, name, .. } = question else {
            self.store_reads = self.store_reads.saturating_add(1);
            return;
        };
        let (charges, refund) = match answer {
            ExternalReply::Returned { charges, refund, .. } => (charges, *refund),
            ExternalReply::Failed { charges, .. } => (charges, 0),
            // The call is not made: it comes again in the next segment.
            _ => return,
        };
        add(&mut self.host_calls, &format!("{module}.{name}"), 1);
        for charge in charges {
            add(&mut self.charges, &charge.descriptor, charge.amount);
        }
        self.refunds = self.refunds.saturating_add(refund);
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, amount: u64) {
    let count = counts.entry(name.to_owned()).or_default();
    *count = count.saturating_add(amount);
}

/// One line of JSON.
pub(crate) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value);
    text.unwrap_or_else(|error| unreachable!("BUG: strings, numbers and maps by string are always JSON: {error}"))
}
