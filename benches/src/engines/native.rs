//! The node's library, linked into this program.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use guest_interp::error::Error;
use guest_interp::session::{Budget, Event, Session};

use super::Load;
use super::node::{Job, Node, PROGRAM};

struct Native {
    session: Session,
    stdout: Vec<u8>,
}

impl Native {
    fn new(argv: &[String]) -> Result<Self> {
        Ok(Self { session: Session::new(argv).map_err(text)?, stdout: Vec::new() })
    }
}

impl Node for Native {
    fn load(&mut self, argv: &[String]) -> Result<()> {
        *self = Self::new(argv)?;
        Ok(())
    }

    fn want(&mut self) -> Result<Option<String>> {
        self.session.want().map_err(text)
    }

    fn give(&mut self, bytes: &[u8]) -> Result<()> {
        self.session.give(bytes).and_then(|()| self.session.give_end(true)).map_err(text)
    }

    fn run(&mut self) -> Result<Duration> {
        let start = Instant::now();
        loop {
            match self.session.run(Budget::UNLIMITED).map_err(text)? {
                Event::Finished => return Ok(start.elapsed()),
                Event::Output => self.stdout.extend(self.session.take_output(1)),
                event => bail!("the node stopped with {event:?}"),
            }
            // Not looked at, but it must not fill up.
            self.session.take_output(2);
        }
    }

    fn take_stdout(&mut self) -> Result<Vec<u8>> {
        self.stdout.extend(self.session.take_output(1));
        Ok(std::mem::take(&mut self.stdout))
    }

    fn exit_code(&mut self) -> Result<i32> {
        Ok(self.session.exit_code())
    }

    fn take_result(&mut self) -> Result<String> {
        let (mut file, mut chunk) = (Vec::new(), Vec::new());
        while self.session.take_chunk(&mut chunk).map_err(text)? {
            file.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8(file)?)
    }
}

fn text(error: Error) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

/// Programs in this library.
pub fn load() -> Load {
    Box::new(|program| Ok(Box::new(Job::new(Native::new(&[PROGRAM.to_owned()])?, program))))
}
