//! The node linked natively: each call goes straight to the session of the same library that the wasm is built from.

use stepmark_hosts::external::{ExternalCall, ExternalReply};
use stepmark_session::output_file::OutputFile;
use stepmark_session::report::RunResult;
use stepmark_session::spec::JobSpec;
use stepmark_session::{Session, SessionMode};
use stepmark_state::error::JobError;

use crate::failure::Result;
use crate::node::engine::{Budget, Deliver, Event, ModuleSession, Progress};

/// A node in this process.
#[derive(Default)]
pub struct NativeNode {
    session: Option<Session>,
    mode: SessionMode,
}

impl NativeNode {
    /// A node without a job.
    pub fn new() -> Self {
        Self::default()
    }

    /// A node that restores states of runs that have ended too.
    pub fn to_look_at() -> Self {
        Self { mode: SessionMode::Inspect, ..Self::default() }
    }

    /// The run that was loaded.
    pub fn into_session(self) -> Option<Session> {
        self.session
    }

    /// The run that was loaded, to watch it while this node runs it.
    pub fn session_mut(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// A second node with the run in the same state; none before all files are given, or while files wait to be taken.
    pub fn copied(&self) -> Option<Self> {
        Some(Self { session: Some(self.session.as_ref()?.copied()?), mode: self.mode })
    }

    /// The run that was loaded, to look at.
    pub fn loaded(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    fn session(&mut self) -> std::result::Result<&mut Session, JobError> {
        self.session.as_mut().ok_or_else(|| JobError::usage("no job is loaded"))
    }
}

impl ModuleSession for NativeNode {
    fn load(&mut self, job: &JobSpec) -> Result<()> {
        self.session = Some(Session::with(job.clone(), self.mode, None));
        Ok(())
    }

    fn want(&mut self) -> Result<Option<String>> {
        Ok(self.session()?.want()?)
    }

    fn give(&mut self, chunk: &[u8]) -> Result<()> {
        Ok(self.session()?.give(chunk)?)
    }

    fn give_end(&mut self, found: bool) -> Result<()> {
        Ok(self.session()?.give_end(found)?)
    }

    fn run(&mut self, budget: Budget) -> Result<Event> {
        Ok(self.session()?.run(budget)?)
    }

    fn question(&mut self) -> Result<Option<ExternalCall>> {
        Ok(self.session()?.question().cloned())
    }

    fn answer(&mut self, answer: &ExternalReply) -> Result<()> {
        Ok(self.session()?.answer(answer.clone())?)
    }

    fn asking_memory(&mut self, address: u64, length: u32) -> Result<Vec<u8>> {
        let found = self.session()?.asking_memory(address, length.into());
        let outside = || JobError::usage(format!("{length} bytes at {address:#x} are outside the memory"));
        Ok(found.ok_or_else(outside)?)
    }

    fn asking_memory_size(&mut self) -> Result<u64> {
        Ok(self.session()?.asking_memory_size())
    }

    fn encode_pause(&mut self) -> Result<()> {
        Ok(self.session()?.encode_pause()?)
    }

    fn next_file(&mut self) -> Result<Option<OutputFile>> {
        Ok(self.session()?.next_file())
    }

    fn take_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool> {
        Ok(self.session()?.take_chunk(chunk)?)
    }

    fn take_output(&mut self, fd: u32) -> Result<Vec<u8>> {
        Ok(self.session()?.take_output(fd))
    }

    fn result(&mut self) -> Result<Option<RunResult>> {
        Ok(self.session()?.result())
    }

    fn exit_code(&mut self) -> Result<i32> {
        Ok(self.session()?.exit_code())
    }

    fn output_dir(&mut self) -> Result<String> {
        Ok(self.session()?.output_dir().to_owned())
    }

    fn start_id(&mut self) -> Result<u64> {
        Ok(self.session()?.start_id())
    }

    fn job_hash(&mut self) -> Result<[u8; 32]> {
        Ok(self.session()?.job_hash())
    }

    fn progress(&mut self) -> Result<Progress> {
        Ok(self.session()?.progress())
    }

    fn take_message(&mut self) -> Result<Option<String>> {
        Ok(self.session()?.take_message())
    }

    fn record_answers(&mut self) -> Result<()> {
        self.session()?.record_answers(true);
        Ok(())
    }

    fn take_answers(&mut self) -> Result<Vec<u8>> {
        Ok(self.session()?.take_answers())
    }
}

impl Deliver for NativeNode {
    fn deliver_name(&mut self) -> Result<Option<String>> {
        Ok(self.session()?.deliver_name())
    }

    fn deliver_link(&mut self) -> Result<Option<usize>> {
        Ok(self.session()?.deliver_link().map(|position| position as usize))
    }

    fn deliver_chunk(&mut self, chunk: &mut Vec<u8>) -> Result<bool> {
        Ok(self.session()?.deliver_chunk(chunk))
    }
}
