//! The node's library, linked into this program.

use anyhow::{Result, bail};
use guest_interp::error::Error;
use guest_interp::session::{Budget, Event, Session};

use super::Load;
use super::node::{Job, Node};

struct Native(Session);

impl Node for Native {
    fn load(&mut self, argv: &[String]) -> Result<()> {
        self.0 = Session::new(argv).map_err(text)?;
        Ok(())
    }

    fn want(&mut self) -> Result<Option<String>> {
        self.0.want().map_err(text)
    }

    fn give(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.give(bytes).and_then(|()| self.0.give_end(true)).map_err(text)
    }

    fn run(&mut self) -> Result<bool> {
        match self.0.run(Budget::UNLIMITED).map_err(text)? {
            Event::Finished => Ok(true),
            Event::Output => Ok(false),
            event => bail!("the node stopped with {event:?}"),
        }
    }

    fn take_file(&mut self) -> Result<Vec<u8>> {
        let (mut file, mut chunk) = (Vec::new(), Vec::new());
        while self.0.take_chunk(&mut chunk).map_err(text)? {
            file.extend_from_slice(&chunk);
        }
        Ok(file)
    }
}

fn text(error: Error) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

/// Programs in this library.
pub fn load() -> Load {
    Box::new(|program| {
        let nothing = Session::new(&["program.wasm".to_owned()]).map_err(text)?;
        Ok(Box::new(Job::new(Native(nothing), program)))
    })
}
