//! The node's library, native, in a process of its own: it is built with the flags of the project, which the peers must
//! not get. Each line of standard input is a request, each line of standard output its answer, both JSON. The timing is
//! in here, so that the pipe is not in it.

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use stepmark_session::{Budget, Event, Session};
use stepmark_state::error::JobError;

fn main() -> Result<()> {
    let mut native = Native::default();
    for line in stdin().lock().lines() {
        let answer = match native.answer(&serde_json::from_str(&line?)?) {
            Ok(value) => json!({ "value": value }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        writeln!(stdout(), "{answer}")?;
    }
    Ok(())
}

#[derive(Default)]
struct Native {
    session: Option<Session>,
    stdout: Vec<u8>,
}

impl Native {
    fn answer(&mut self, request: &Value) -> Result<Value> {
        match request["call"].as_str() {
            Some("load") => self.load(&request["argv"]),
            Some("run") => self.run(),
            Some("stdout") => {
                let rest = self.session()?.take_output(1);
                self.stdout.extend(rest);
                Ok(self.stdout.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
            }
            Some("exit_code") => Ok(self.session()?.exit_code().into()),
            Some("result") => self.result(),
            _ => bail!("unknown request {request}"),
        }
    }

    fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().context("no job is loaded")
    }

    /// Starts a job; its files are in the working directory.
    fn load(&mut self, argv: &Value) -> Result<Value> {
        let argv: Vec<String> = serde_json::from_value(argv.clone())?;
        self.stdout.clear();
        let session = self.session.insert(guest_interp::args::session(&argv).map_err(text)?);
        while let Some(path) = session.want().map_err(text)? {
            let contents = std::fs::read(&path).context(path)?;
            session.give(&contents).and_then(|()| session.give_end(true)).map_err(text)?;
        }
        Ok(Value::Null)
    }

    /// Runs the job to its end; nanoseconds.
    fn run(&mut self) -> Result<Value> {
        let session = self.session.as_mut().context("no job is loaded")?;
        let start = Instant::now();
        loop {
            match session.run(Budget::UNLIMITED).map_err(text)? {
                Event::Finished => return Ok(u64::try_from(start.elapsed().as_nanos())?.into()),
                Event::Output => self.stdout.extend(session.take_output(1)),
                event => bail!("the node stopped with {event:?}"),
            }
            // Not looked at, but it must not fill up.
            session.take_output(2);
        }
    }

    /// The text of `result.txt`.
    fn result(&mut self) -> Result<Value> {
        let (mut file, mut chunk) = (Vec::new(), Vec::new());
        while self.session()?.take_chunk(&mut chunk).map_err(text)? {
            file.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8(file)?.into())
    }
}

fn text(error: JobError) -> anyhow::Error {
    anyhow!("{error}")
}
