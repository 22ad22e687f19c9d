//! Who answers what a run asks of the outside: nobody, the records of the run itself, or a store.

use std::path::{Path, PathBuf};

use stepmark_hosts::external::{ExternalCall, ExternalReply, decode_calls};

use crate::failure::{Failure, Result};
use crate::foreign::{self, ForeignKind};
use crate::node::engine::{Budget, Event, ModuleSession};

/// Who answers.
pub trait Responder {
    /// The answer to what `node` asks.
    ///
    /// # Errors
    /// It is not known.
    fn answer(&mut self, question: &ExternalCall, node: &mut dyn ModuleSession) -> Result<ExternalReply>;
}

/// What a question asks for, in words.
pub fn asked(question: &ExternalCall) -> String {
    match question {
        ExternalCall::Call { module, name, .. } => format!("the function {module}.{name}"),
        _ => "the key-value store".to_owned(),
    }
}

/// Runs a node as [`ModuleSession::run`] does, with everything answered that it asks.
///
/// # Errors
/// Those of the node, and of who answers.
pub fn run(node: &mut dyn ModuleSession, mut budget: Budget, responder: &mut dyn Responder) -> Result<Event> {
    loop {
        let before = node.progress()?.gas_total;
        let event = node.run(budget)?;
        if event != Event::Question {
            return Ok(event);
        }
        budget.gas = budget.gas.saturating_sub(node.progress()?.gas_total.saturating_sub(before));
        let question = node.question()?.ok_or_else(|| Failure::data("the module asks, but says not what"))?;
        let answer = responder.answer(&question, node)?;
        node.answer(&answer)?;
    }
}

/// Answers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Responder for Nobody {
    fn answer(&mut self, question: &ExternalCall, _: &mut dyn ModuleSession) -> Result<ExternalReply> {
        let failure = Failure::usage(format!("the program uses {}, and nobody here answers for it", asked(question)));
        Err(match question {
            ExternalCall::Call { .. } => failure.help("embed Stepmark to serve functions of your own"),
            _ => failure.help("give the store with --store FILE"),
        })
    }
}

/// The answers that a run recorded, segment by segment, beside its snapshots.
#[derive(Clone, Debug)]
pub struct RecordedReplies {
    dir: PathBuf,
    /// They are those of the pause.
    paused: bool,
    /// A segment's id and its answers.
    segment: Option<(u64, Vec<ExternalReply>)>,
}

impl RecordedReplies {
    /// The answers in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), paused: false, segment: None }
    }

    /// The answers up to the pause in `dir`.
    pub fn of_pause(dir: &Path) -> Self {
        Self { paused: true, ..Self::new(dir) }
    }

    /// Where the answers of segment `id` are.
    fn path(&self, id: u64) -> PathBuf {
        self.dir.join(if self.paused { "paused.calls".to_owned() } else { format!("{id}.calls") })
    }

    fn load(&mut self, id: u64, job_hash: [u8; 32]) -> Result<()> {
        let path = self.path(id);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let bytes = foreign::read_within(&self.dir, name, ForeignKind::Calls)?;
        let refused = |what: &str| Failure::data(format!("{}: {what}", path.display()));
        let (prefix, answers) = decode_calls(&bytes).map_err(|error| refused(error.message()))?;
        // Those of a pause have the id of the snapshot before it.
        let named = if self.paused { id.saturating_sub(1) } else { id };
        if (prefix.id, prefix.paused, prefix.job_hash) != (named, self.paused, job_hash) {
            return Err(refused("is of another segment or another job"));
        }
        self.segment = Some((id, answers));
        Ok(())
    }
}

impl Responder for RecordedReplies {
    fn answer(&mut self, question: &ExternalCall, node: &mut dyn ModuleSession) -> Result<ExternalReply> {
        let progress = node.progress()?;
        let id = progress.snapshot_id.saturating_add(1);
        if self.segment.as_ref().is_none_or(|(of, _)| *of != id) {
            self.load(id, node.job_hash()?)?;
        }
        let answers = self.segment.as_ref().map_or(&[][..], |(_, answers)| answers);
        let found = usize::try_from(progress.answers).ok().and_then(|at| answers.get(at)).cloned();
        found.ok_or_else(|| {
            let path = self.path(id);
            let (path, asked) = (path.display(), asked(question));
            Failure::data(format!("{path}: has {} answers, but the run asks {asked} once more", answers.len()))
        })
    }
}
