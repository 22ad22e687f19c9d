//! Who answers what a run asks of the outside: nobody, the records of the run itself, or a store.

use std::path::{Path, PathBuf};

use stepmark_hosts::outside::{Answer, Question, decode_calls};

use crate::engine::{Budget, Event, Node};
use crate::failure::{Failure, Result};
use crate::foreign::{self, Kind};

/// Who answers.
pub trait Outside {
    /// The answer to what `node` asks.
    ///
    /// # Errors
    /// It is not known.
    fn answer(&mut self, question: &Question, node: &mut dyn Node) -> Result<Answer>;
}

/// What a question asks for, in words.
pub fn asked(question: &Question) -> String {
    match question {
        Question::Call { module, name, .. } => format!("the function {module}.{name}"),
        _ => "the key-value store".to_owned(),
    }
}

/// Runs a node as [`Node::run`] does, with everything answered that it asks.
///
/// # Errors
/// Those of the node, and of who answers.
pub fn run(node: &mut dyn Node, mut budget: Budget, outside: &mut dyn Outside) -> Result<Event> {
    loop {
        let before = node.progress()?.gas_total;
        let event = node.run(budget)?;
        if event != Event::Question {
            return Ok(event);
        }
        budget.gas = budget.gas.saturating_sub(node.progress()?.gas_total.saturating_sub(before));
        let question = node.question()?.ok_or_else(|| Failure::data("the node asks, but says not what"))?;
        let answer = outside.answer(&question, node)?;
        node.answer(&answer)?;
    }
}

/// Answers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Outside for Nobody {
    fn answer(&mut self, question: &Question, _: &mut dyn Node) -> Result<Answer> {
        let failure = Failure::usage(format!("the program uses {}, and nobody here answers for it", asked(question)));
        Err(match question {
            Question::Call { .. } => failure.help("embed the node to serve functions of your own"),
            _ => failure.help("give the store with --store FILE"),
        })
    }
}

/// The answers that a run recorded, segment by segment, beside its snapshots.
#[derive(Clone, Debug)]
pub struct Replay {
    dir: PathBuf,
    /// They are those of the pause.
    paused: bool,
    /// A segment's id and its answers.
    segment: Option<(u64, Vec<Answer>)>,
}

impl Replay {
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
        let bytes = foreign::read_within(&self.dir, name, Kind::Calls)?;
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

impl Outside for Replay {
    fn answer(&mut self, question: &Question, node: &mut dyn Node) -> Result<Answer> {
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
