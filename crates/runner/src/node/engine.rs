//! The node as the runner drives it, whether it runs as wasm or natively. The runner hands over the files that the node
//! asks for, lets it run slice by slice, and takes away the files that it has ready; it never looks inside.

use std::fmt;
use std::time::Duration;

use crate::failure::Result;
use crate::interrupt::Interrupt;
use stepmark_hosts::external::{ExternalCall, ExternalReply};

use stepmark_session::output_file::OutputFile;
use stepmark_session::report::RunResult;
use stepmark_session::spec::JobSpec;
pub use stepmark_session::{Budget, Event, Progress};

/// Which code runs the program in the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// The module's interpreter.
    #[default]
    Register,
    /// Compiled code from the beginning, and the interpreter where there is none.
    Compiled,
    /// The interpreter, and compiled code once the program has run for a while.
    Auto,
}

/// How the node runs. Both ways give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded wasm, in wasmtime, with no imports: what everybody else can run too. Compiled code works in its memory.
    Wasm(TierChoice),
    /// The module's library linked natively: faster, for trying things out.
    Native,
}

impl fmt::Display for TierChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Register => "register",
            Self::Compiled => "compiled",
            Self::Auto => "auto",
        })
    }
}

impl Engine {
    /// Which code runs the program.
    pub fn tier(self) -> TierChoice {
        match self {
            Self::Wasm(tier) => tier,
            Self::Native => TierChoice::Register,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wasm(_) => "wasm",
            Self::Native => "native",
        })
    }
}

/// What compiled code has done in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompiledWork {
    /// Functions that are compiled.
    pub funcs: u64,
    /// Gas that it charged.
    pub gas: u64,
    /// How often it was entered.
    pub turns: u64,
    /// How often it was left before its function returned.
    pub left: u64,
    /// Bytes of the companions that were compiled.
    pub bytes: u64,
    /// Time from the first thing that was done to compile to the last.
    pub compiling: Duration,
}

/// A node: the calls of the session (docs/guest-abi.md), in the order load, want and give, run and take.
pub trait ModuleSession: Deliver {
    /// Starts a job.
    ///
    /// # Errors
    /// Exit code 2 when it is none; so do all calls when no job is loaded.
    fn load(&mut self, job: &JobSpec) -> Result<()>;

    /// Path, as the arguments have it, of the next file that the job needs; none when it is ready to run.
    ///
    /// # Errors
    /// When what was given so far is bad: the program, a snapshot, a schedule.
    fn want(&mut self) -> Result<Option<String>>;

    /// Gives the next bytes of the wanted file.
    ///
    /// # Errors
    /// When they are bad already.
    fn give(&mut self, chunk: &[u8]) -> Result<()>;

    /// Ends the wanted file: complete, or not there.
    ///
    /// # Errors
    /// When the file is bad, or was needed and is not there.
    fn give_end(&mut self, found: bool) -> Result<()>;

    /// What will ask it to stop: where it waits for something else than the program, it looks there.
    fn heed(&mut self, _stop: &Interrupt) {}

    /// Runs until something is to be done, for at most `budget`.
    ///
    /// # Errors
    /// When the job cannot go on; never for what the program does.
    fn run(&mut self, budget: Budget) -> Result<Event>;

    /// What the run asks of the outside, after [`Event::Question`]; it goes on with the [`answer`](Self::answer).
    ///
    /// # Errors
    /// When the engine fails.
    fn question(&mut self) -> Result<Option<ExternalCall>>;

    /// Answers the question.
    ///
    /// # Errors
    /// Exit code 2 when nothing was asked, or the answer does not fit.
    fn answer(&mut self, answer: &ExternalReply) -> Result<()>;

    /// So many bytes at an address in the memory of the instance whose call asks.
    ///
    /// # Errors
    /// Exit code 2 when any of them lies outside.
    fn asking_memory(&mut self, address: u64, length: u32) -> Result<Vec<u8>>;

    /// Size in bytes of the memory of the instance whose call asks.
    ///
    /// # Errors
    /// When the engine fails.
    fn asking_memory_size(&mut self) -> Result<u64>;

    /// Makes the files of a pause ready to be taken.
    ///
    /// # Errors
    /// When the job has finished.
    fn encode_pause(&mut self) -> Result<()>;

    /// The next file to be written into the output directory.
    ///
    /// # Errors
    /// When the engine fails.
    fn next_file(&mut self) -> Result<Option<OutputFile>>;

    /// Replaces the contents of `chunk` by the next bytes of that file; false when it is complete.
    ///
    /// # Errors
    /// When the engine fails.
    fn take_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool>;

    /// All the rest of that file.
    ///
    /// # Errors
    /// When the engine fails.
    fn take_all(&mut self) -> Result<Vec<u8>> {
        let (mut all, mut chunk) = (Vec::new(), Vec::new());
        while self.take_chunk(&mut chunk)? {
            all.append(&mut chunk);
        }
        Ok(all)
    }

    /// Throws away the rest of that file, which may be longer than memory.
    ///
    /// # Errors
    /// When the engine fails.
    fn drop_file(&mut self) -> Result<()> {
        let mut chunk = Vec::new();
        while self.take_chunk(&mut chunk)? {}
        Ok(())
    }

    /// Throws away what the program has written.
    ///
    /// # Errors
    /// When the engine fails.
    fn drop_output(&mut self) -> Result<()> {
        [1, 2].into_iter().try_for_each(|fd| self.take_output(fd).map(drop))
    }

    /// What the program has written to descriptor `fd` (1 or 2) and nobody has taken yet.
    ///
    /// # Errors
    /// When the engine fails.
    fn take_output(&mut self, fd: u32) -> Result<Vec<u8>>;

    /// What the run came to; none while it has not ended.
    ///
    /// # Errors
    /// When the engine fails, and exit code 65 from a module of an older release, which does not say.
    fn result(&mut self) -> Result<Option<RunResult>>;

    /// Exit code of the run, by the table of docs/cli.md.
    ///
    /// # Errors
    /// When the engine fails.
    fn exit_code(&mut self) -> Result<i32>;

    /// The output directory that the arguments name, or the default.
    ///
    /// # Errors
    /// When the engine fails.
    fn output_dir(&mut self) -> Result<String>;

    /// The snapshot that the run started from, 0 for the beginning.
    ///
    /// # Errors
    /// When the engine fails.
    fn start_id(&mut self) -> Result<u64>;

    /// Hash of everything that decides the result but the gas limit.
    ///
    /// # Errors
    /// When the engine fails.
    fn job_hash(&mut self) -> Result<[u8; 32]>;

    /// Where the run stands.
    ///
    /// # Errors
    /// When the engine fails.
    fn progress(&mut self) -> Result<Progress>;

    /// The next warning for the user.
    ///
    /// # Errors
    /// When the engine fails.
    fn take_message(&mut self) -> Result<Option<String>>;

    /// Keeps a record, from now on, of the clock and random answers that the program gets.
    ///
    /// # Errors
    /// When the engine fails.
    fn record_answers(&mut self) -> Result<()>;

    /// What compiled code has done so far.
    fn compiled_work(&self) -> CompiledWork {
        CompiledWork::default()
    }

    /// The recorded answers since the last call.
    ///
    /// # Errors
    /// When the engine fails.
    fn take_answers(&mut self) -> Result<Vec<u8>>;
}

/// What a program leaves behind, file by file.
pub trait Deliver {
    /// Path of the next file that the program leaves behind; none when there are no more, or when it has not ended normally.
    ///
    /// # Errors
    /// When the engine fails.
    fn deliver_name(&mut self) -> Result<Option<String>>;

    /// Position, among the names given so far, of an earlier one of the same file; none if this is its first.
    ///
    /// # Errors
    /// When the engine fails.
    fn deliver_link(&mut self) -> Result<Option<usize>>;

    /// Replaces the contents of `chunk` by the next bytes of that file; false when it is complete.
    ///
    /// # Errors
    /// When the engine fails.
    fn deliver_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool>;
}
