//! Runs every engine on one program. The engines take turns, so that whatever else the machine does falls on all of
//! them; the first round is not timed, for most engines translate a function when it is first called.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::engines::{Engine, Loaded, Run};
use crate::program::{Answer, Program};

/// What an engine made of a program: its times, or why it has none.
pub type Times = std::result::Result<Vec<Duration>, String>;

/// How often to run.
pub struct Rounds {
    /// Timed rounds.
    pub count: u32,
    /// An engine that has spent this much on a program sits out the rounds that are left.
    pub limit: Duration,
}

/// An engine in the course of the rounds.
struct Entrant {
    loaded: Box<dyn Loaded>,
    times: Vec<Duration>,
    spent: Duration,
}

impl Entrant {
    fn run(&mut self) -> Result<Run> {
        let run = guarded(|| self.loaded.run())?;
        self.spent += run.time;
        Ok(run)
    }
}

/// Times of each engine, in their order.
pub fn measure(program: &Program, engines: &[Engine], rounds: &Rounds) -> Vec<Times> {
    let mut entrants: Vec<Result<Entrant>> = engines.iter().map(|engine| load(engine, program)).collect();
    let answers: Vec<Option<Answer>> = entrants.iter_mut().map(first_round).collect();
    let Some(right) = program.answer.or_else(|| agreed(engines, &answers)) else {
        return entrants.into_iter().map(|entrant| entrant.map(|e| e.times).map_err(text)).collect();
    };
    for (entrant, answer) in entrants.iter_mut().zip(&answers) {
        check(entrant, *answer, right);
    }
    for round in 0..rounds.count as usize {
        // Each round begins with another engine: who follows whom also matters.
        for place in 0..entrants.len() {
            let place = (place + round) % engines.len();
            timed_round(&mut entrants[place], right, rounds.limit);
        }
    }
    entrants.into_iter().map(|entrant| entrant.map(|e| e.times).map_err(text)).collect()
}

fn load(engine: &Engine, program: &Program) -> Result<Entrant> {
    let loaded = guarded(|| (engine.load)(program))?;
    Ok(Entrant { loaded, times: Vec::new(), spent: Duration::ZERO })
}

/// The answer of the untimed round; an engine that fails is out.
fn first_round(entrant: &mut Result<Entrant>) -> Option<Answer> {
    let run = entrant.as_mut().ok()?.run();
    match run {
        Ok(run) => Some(run.answer),
        Err(error) => {
            *entrant = Err(error);
            None
        }
    }
}

fn timed_round(entrant: &mut Result<Entrant>, right: Answer, limit: Duration) {
    let Ok(engine) = entrant else { return };
    if engine.spent > limit && !engine.times.is_empty() {
        return;
    }
    match engine.run() {
        Ok(run) => {
            engine.times.push(run.time);
            check(entrant, Some(run.answer), right);
        }
        Err(error) => *entrant = Err(error),
    }
}

/// A wrong answer disqualifies.
fn check(entrant: &mut Result<Entrant>, answer: Option<Answer>, right: Answer) {
    if let Some(answer) = answer.filter(|answer| *answer != right) {
        *entrant = Err(anyhow!("{WRONG}: {answer} instead of {right}"));
    }
}

/// The engine that is right where nobody has listed an answer.
const REFERENCE: &str = "wasmtime";

/// How the reason begins why an engine that computes wrongly is out.
pub const WRONG: &str = "wrong answer";

/// The answer of wasmtime, or else of most engines.
fn agreed(engines: &[Engine], answers: &[Option<Answer>]) -> Option<Answer> {
    let reference = engines.iter().position(|engine| engine.key == REFERENCE);
    if let Some(answer) = reference.and_then(|place| answers[place]) {
        return Some(answer);
    }
    let votes = |answer: &Answer| answers.iter().flatten().filter(|other| *other == answer).count();
    answers.iter().flatten().copied().max_by_key(votes)
}

/// A peer that panics is out like one that fails.
fn guarded<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(action)).unwrap_or_else(|_| Err(anyhow!("panicked")))
}

/// One line: of an error with a backtrace of the program, only its cause.
fn text(error: anyhow::Error) -> String {
    let text = format!("{error:#}");
    if text.contains('\n') { error.root_cause().to_string() } else { text }
}
