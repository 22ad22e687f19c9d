//! What a command comes to, and how `--json` says it: one object on standard output, whatever happens. Its members are written
//! down in docs/json.md and docs/stepmark.schema.json.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command};
use serde_json::{Map, Value, json};

use stepmark_runner::failure::{Failure, Result, USAGE};
use stepmark_runner::terminal::{complain, print};

/// Version of the objects: it is raised when a member goes, or means something else; not when one is added.
const SCHEMA: u32 = 1;

/// The beginning of a command's object, for one that is printed piece by piece.
pub(super) fn opening(command: &str) -> String {
    format!("{{\"schema\":{SCHEMA},\"command\":\"{command}\"")
}

/// What a command comes to, if it does not fail.
pub(super) struct Reply {
    code: i32,
    /// What is not printed yet: the members of its object, with `--json`.
    members: Option<Value>,
}

impl Reply {
    /// A reply that is an object with these members.
    pub(super) fn object(code: i32, members: Value) -> Self {
        Self { code, members: Some(members) }
    }
}

/// A reply that people have read already.
impl From<i32> for Reply {
    fn from(code: i32) -> Self {
        Self { code, members: None }
    }
}

/// Which command was asked for, and in which form it answers.
#[derive(Clone)]
pub(super) struct Asked {
    command: String,
    json: bool,
}

impl Asked {
    /// As the command line says.
    pub(super) fn of(matches: &ArgMatches) -> Self {
        let is_set = |matches: &ArgMatches| matches!(matches.try_get_one::<bool>("json"), Ok(Some(true)));
        let (mut names, mut json, mut level) = (Vec::new(), is_set(matches), matches);
        while let Some((name, below)) = level.subcommand() {
            names.push(name);
            json |= is_set(below);
            level = below;
        }
        Self { command: if names.is_empty() { "run".to_owned() } else { names.join(" ") }, json }
    }

    /// As a command line says that is wrong somewhere, by those of its words that are ours: what follows a program is not.
    pub(super) fn in_spite_of(command: &Command, args: &[OsString]) -> Self {
        let (mut names, mut json, mut level) = (Vec::new(), false, command);
        let mut positionals = 0;
        let mut words = args.iter().skip(1).map(|word| word.to_string_lossy());
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            json |= word == "--json";
            if let Some(flag) = flag(level, &word) {
                if flag.get_action().takes_values() && !word.contains('=') {
                    words.next();
                }
            } else if word.starts_with('-') {
                // Nobody knows what it is.
            } else if let Some(below) = level.find_subcommand(&*word).filter(|_| positionals == 0) {
                names.push(below.get_name());
                level = below;
            } else {
                positionals += 1;
                let arg = level.get_positionals().nth(positionals - 1);
                if arg.is_some_and(Arg::is_trailing_var_arg_set) {
                    break;
                }
            }
        }
        Self { command: if names.is_empty() { "run".to_owned() } else { names.join(" ") }, json }
    }

    /// Says what came of it, and returns the exit code of the process.
    pub(super) fn report(&self, done: Result<Reply>) -> i32 {
        let done = done.and_then(|reply| {
            let members = reply.members.filter(|_| self.json);
            members.map_or(Ok(()), |members| self.say("ok", reply.code, members)).map(|()| reply.code)
        });
        done.unwrap_or_else(|failure| {
            self.say_failed(&failure);
            failure.code()
        })
    }

    /// Says that it has failed, in words and with `--json` as an object.
    pub(super) fn say_failed(&self, failure: &Failure) {
        complain(failure);
        self.say_failure(failure);
    }

    /// Says what clap has refused, which it has said in words.
    pub(super) fn report_refused(&self, text: &str) -> i32 {
        let (what, rest) = text.split_once("\n\n").unwrap_or((text, ""));
        let rest: Vec<&str> = rest.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let failure = Failure::usage(what.trim_start_matches("error: ").trim_end());
        let failure = if rest.is_empty() { failure } else { failure.help(rest.join("; ")) };
        self.say_failure(&failure);
        USAGE
    }

    fn say_failure(&self, failure: &Failure) {
        if self.json {
            let mut members = failure.details().cloned().unwrap_or_else(|| json!({}));
            members["error"] =
                json!({ "message": failure.what(), "causes": failure.causes(), "help": failure.help_text() });
            // Where standard output is closed, the exit code still tells.
            drop(self.say("error", failure.code(), members));
        }
    }

    fn say(&self, status: &str, code: i32, members: Value) -> Result<()> {
        let mut object = Map::new();
        object.insert("schema".to_owned(), SCHEMA.into());
        object.insert("command".to_owned(), self.command.as_str().into());
        object.insert("status".to_owned(), status.into());
        object.insert("exit_code".to_owned(), code.into());
        if let Value::Object(members) = members {
            for (name, member) in members {
                let is_said_twice = object.insert(name.clone(), member).is_some();
                debug_assert!(!is_said_twice, "BUG: {} says {name} twice", self.command);
            }
        }
        print(&Value::Object(object).to_string())
    }
}

/// The flag of a command that a word is, if it is one.
fn flag<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.strip_prefix('-')?.split('=').next()?;
    command.get_arguments().find(|arg| match name.strip_prefix('-') {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| name == short.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::help;

    fn asked(line: &str) -> (String, bool) {
        let args: Vec<OsString> = std::iter::once("stepmark").chain(line.split_whitespace()).map(Into::into).collect();
        let mut command = help::command();
        command.build();
        let Asked { command, json } = Asked::in_spite_of(&command, &args);
        (command, json)
    }

    #[test]
    fn a_wrong_command_line_answers_as_an_object_where_one_of_our_flags_says_so() {
        for (line, command, json) in [
            ("verify --json", "verify", true),
            ("verify a b c d --json", "verify", true),
            ("inspect out --json --no-such-flag", "inspect", true),
            ("--json --no-such-flag a.wasm", "run", true),
            ("--json", "run", true),
            ("store get --json a.db", "store get", true),
            ("freeze --json a.frozen", "freeze", true),
            // What follows a program is its own, and a flag's value is none of our flags.
            ("--engine jit a.wasm --json", "run", false),
            ("run --engine jit a.wasm --json", "run", false),
            ("freeze a.frozen --engine jit a.wasm --json", "freeze", false),
            ("verify --report --json", "verify", false),
            ("verify -- --json", "verify", false),
            ("bench --rounds x a.wasm verify --json", "bench", false),
        ] {
            assert_eq!(asked(line), (command.to_owned(), json), "{line}");
        }
    }
}
