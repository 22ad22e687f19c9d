//! The node in a process of its own: the library, native, and with the word `compiled` the embedded wasm with compiled code. It is built with
//! the flags of the project, which the peers must not get. Each line of standard input is a request, each line of standard output its
//! answer, both JSON. The timing is in here, so that the pipe is not in it.

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use stepmark_runner::failure::Failure;
use stepmark_runner::node::engine::{Budget, Event, ModuleSession, TierChoice};
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::node::sandbox::WasmNode;

fn main() -> Result<()> {
    let mut node =
        Measured { is_compiled: std::env::args().nth(1).is_some_and(|word| word == "compiled"), ..Measured::default() };
    for line in stdin().lock().lines() {
        let answer = match node.answer(&serde_json::from_str(&line?)?) {
            Ok(value) => json!({ "value": value }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        writeln!(stdout(), "{answer}")?;
    }
    Ok(())
}

#[derive(Default)]
struct Measured {
    is_compiled: bool,
    node: Option<Box<dyn ModuleSession>>,
    stdout: Vec<u8>,
}

impl Measured {
    fn answer(&mut self, request: &Value) -> Result<Value> {
        match request["call"].as_str() {
            Some("load") => self.load(&request["argv"]),
            Some("run") => self.run(),
            Some("stdout") => {
                let rest = self.node()?.take_output(1).map_err(text)?;
                self.stdout.extend(rest);
                Ok(self.stdout.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
            }
            Some("exit_code") => Ok(self.node()?.exit_code().map_err(text)?.into()),
            Some("result") => self.result(),
            _ => bail!("unknown request {request}"),
        }
    }

    fn node(&mut self) -> Result<&mut (dyn ModuleSession + 'static)> {
        self.node.as_deref_mut().context("no job is loaded")
    }

    /// Starts a job; its files are in the working directory.
    fn load(&mut self, argv: &Value) -> Result<Value> {
        let argv: Vec<String> = serde_json::from_value(argv.clone())?;
        self.stdout.clear();
        let node = self.node.insert(new_node(self.is_compiled).map_err(text)?);
        node.load(&guest_interp::args::job(&argv)?).map_err(text)?;
        while let Some(path) = node.want().map_err(text)? {
            let contents = std::fs::read(&path).context(path)?;
            node.give(&contents).and_then(|()| node.give_end(true)).map_err(text)?;
        }
        Ok(Value::Null)
    }

    /// Runs the job to its end; nanoseconds.
    fn run(&mut self) -> Result<Value> {
        let node = self.node.as_deref_mut().context("no job is loaded")?;
        if self.is_compiled {
            // It compiles before the program's first instruction.
            node.run(Budget { gas: 0, steps: 0 }).map_err(text)?;
        }
        let start = Instant::now();
        loop {
            match node.run(Budget::UNLIMITED).map_err(text)? {
                Event::Finished => return Ok(u64::try_from(start.elapsed().as_nanos())?.into()),
                Event::Output => self.stdout.extend(node.take_output(1).map_err(text)?),
                event => bail!("the node stopped with {event:?}"),
            }
            // Not looked at, but it must not fill up.
            node.take_output(2).map_err(text)?;
        }
    }

    /// The text of `result.txt`.
    fn result(&mut self) -> Result<Value> {
        let node = self.node()?;
        node.next_file().map_err(text)?.context("no result")?;
        let file = node.take_all().map_err(text)?;
        Ok(String::from_utf8(file)?.into())
    }
}

fn new_node(is_compiled: bool) -> Result<Box<dyn ModuleSession>, Failure> {
    if !is_compiled {
        return Ok(Box::new(NativeNode::new()));
    }
    let mut node = WasmNode::embedded()?;
    node.set_tier(TierChoice::Compiled)?;
    Ok(Box::new(node))
}

fn text(failure: Failure) -> anyhow::Error {
    anyhow!("{}", failure.what())
}
