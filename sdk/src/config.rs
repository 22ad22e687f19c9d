//! What holds for every program of an embedder: language features, limits, the price of everything.

use stepmark_core::gas::Schedule;
use stepmark_core::module::Features;
use stepmark_state::canonical::{MAX_EXCEPTIONS, MAX_FRAMES};
use stepmark_state::limits::Limits;

use crate::error::Error;

/// Which code runs a program in the module as wasm. It decides nothing about results and snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgramTier {
    /// The module's interpreter.
    #[default]
    Register,
    /// The interpreter, and compiled code once the program has run for a while.
    Auto,
    /// Compiled code from the beginning, and the interpreter where there is none.
    Compiled,
}

/// Settings of programs. All of them but [`statistics`](Self::statistics), the [tier](Self::tier) and the gas limit belong to the job: another
/// value is another job, with another hash.
///
/// ```
/// use node_sdk::{Config, Schedule};
///
/// let schedule = Schedule::builder("mine").otherwise(2).build()?;
/// let config = Config::new().feature("simd", false).max_call_depth(1000).schedule(schedule).gas_limit(1_000_000);
/// assert_eq!(config.limits().call_depth, 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    features: Vec<(String, bool)>,
    limits: Limits,
    schedule: Schedule,
    gas_limit: u64,
    statistics: bool,
    tier: ProgramTier,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            features: Vec::new(),
            limits: Limits::default(),
            schedule: Schedule::default(),
            gas_limit: u64::MAX,
            statistics: false,
            tier: ProgramTier::default(),
        }
    }
}

impl Config {
    /// All features that the node has, its default limits and schedule, and no gas limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Turns a language feature on or off, by the name that docs/language.md has for it.
    #[must_use]
    pub fn feature(mut self, name: &str, on: bool) -> Self {
        self.features.retain(|(known, _)| known != name);
        self.features.push((name.to_owned(), on));
        self
    }

    /// Bytes of all memories together.
    #[must_use]
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.limits.memory_bytes = bytes;
        self
    }

    /// Frames of the call stack.
    #[must_use]
    pub fn max_call_depth(mut self, frames: u32) -> Self {
        self.limits.call_depth = frames;
        self
    }

    /// Bytes of all files that the program writes to, and of what it keeps of the store.
    #[must_use]
    pub fn max_files(mut self, bytes: u64) -> Self {
        self.limits.file_bytes = bytes;
        self
    }

    /// Slots of exceptions that are held by reference.
    #[must_use]
    pub fn max_exceptions(mut self, slots: u32) -> Self {
        self.limits.exception_slots = slots;
        self
    }

    /// What everything costs.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Gas of a live program, from its start until [`Vm::set_gas`](crate::Vm::set_gas) gives it other. Runs have their
    /// own.
    #[must_use]
    pub fn gas_limit(mut self, gas: u64) -> Self {
        self.gas_limit = gas;
        self
    }

    /// Asks for counts of instructions by class, which cost time. Off by default.
    #[must_use]
    pub fn statistics(mut self, on: bool) -> Self {
        self.statistics = on;
        self
    }

    /// Asks for a tier where the program runs in the module as wasm ([`WasmExecutor`](crate::executor::WasmExecutor)). The
    /// library linked natively, which runs live programs, contracts and [`NativeExecutor`](crate::executor::NativeExecutor)'s, has the
    /// interpreter only.
    ///
    /// ```
    /// use node_sdk::{Config, ProgramTier};
    ///
    /// assert_eq!(Config::new().tier(ProgramTier::Auto).chosen_tier(), ProgramTier::Auto);
    /// ```
    #[must_use]
    pub fn tier(mut self, tier: ProgramTier) -> Self {
        self.tier = tier;
        self
    }

    /// The tier that was asked for.
    pub fn chosen_tier(&self) -> ProgramTier {
        self.tier
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn gas_schedule(&self) -> &Schedule {
        &self.schedule
    }

    pub(crate) fn gas(&self) -> u64 {
        self.gas_limit
    }

    /// Whether instructions are to be counted by class.
    pub fn counts_instructions(&self) -> bool {
        self.statistics
    }

    pub(crate) fn feature_list(&self) -> &[(String, bool)] {
        &self.features
    }

    /// The features.
    ///
    /// # Errors
    /// A usage error if one of the names is unknown.
    pub(crate) fn features(&self) -> Result<Features, Error> {
        let mut features = Features::default();
        for (name, on) in &self.features {
            features.set(name, *on)?;
        }
        Ok(features)
    }

    /// # Errors
    /// A usage error if a limit is one that no state could be written under.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Limits { call_depth, exception_slots, .. } = self.limits;
        if call_depth == 0 || u64::from(call_depth) > MAX_FRAMES as u64 {
            return Err(Error::usage(format!("the call depth is {call_depth}, wanted 1 to {MAX_FRAMES}")));
        }
        if u64::from(exception_slots) > MAX_EXCEPTIONS as u64 {
            return Err(Error::usage(format!(
                "{exception_slots} slots of exceptions, wanted at most {MAX_EXCEPTIONS}"
            )));
        }
        self.features().map(drop)
    }
}
