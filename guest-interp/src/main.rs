//! The node's command face: the flags of the library, files through the WASI directories that the runtime opened, and
//! nothing that needs more than plain WASI. The host runner does the same with progress, locks and recorded job lines;
//! embedders use the exported functions of [`reactor`] instead and never call `_start`.

#[cfg(target_arch = "wasm32")]
mod reactor;

mod source;

use std::io::{self, Write};

use guest_interp::args;
use guest_interp::args::ModuleCommand;
use guest_interp::files;
use guest_interp::selftest;
use source::ReplySource;
use stepmark_session::report::RunOutcome;
use stepmark_session::{Budget, Event, Session};
use stepmark_state::error::JobError;
use stepmark_state::shown::ShownLines;

/// Exit code for a trap where a runtime may turn codes from 126 up into 1.
const TRAP_UNDER_WASI: i32 = 70;
/// Exit code for a program that ended with a code from 126 up, for the same reason.
const LARGEST_UNDER_WASI: i32 = 125;

fn main() {
    #[cfg(target_family = "wasm")]
    stepmark_core::alloc::pages::set_last_words(out_of_memory);
    let code = execute().unwrap_or_else(|error| {
        report(&format!("error: {error}"));
        error.exit_code()
    });
    std::process::exit(code);
}

/// Ends the process where the node's memory is not enough.
#[cfg(target_family = "wasm")]
fn out_of_memory(asked: usize) {
    drop(writeln!(io::stderr(), "error: the module ran out of memory: it needs {asked} bytes more in one piece"));
    std::process::exit(JobError::resource("").exit_code());
}

/// Does what the command line asks for and returns the process's exit code.
fn execute() -> Result<i32, JobError> {
    match args::parse(&arguments()?)? {
        ModuleCommand::Run(mut options) => {
            let source = ReplySource::new(&mut options)?;
            run(Session::new(*options), source)
        }
        ModuleCommand::Help => print(args::HELP),
        ModuleCommand::Version => print(concat!("guest-interp ", env!("CARGO_PKG_VERSION"), "\n")),
        ModuleCommand::SelfTest => self_test(),
    }
}

fn print(text: &str) -> Result<i32, JobError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map(|()| 0).map_err(|error| JobError::io(format!("standard output: {error}")))
}

/// Checks the runtime: 0 if it is good enough, else 1.
fn self_test() -> Result<i32, JobError> {
    let mut written = Ok(0);
    let good = selftest::run(".", &mut |line| {
        if written.is_ok() {
            written = print(&format!("{line}\n"));
        }
    });
    written.map(|_| i32::from(!good))
}

/// Runs the job to its end, or to its limit.
fn run(mut session: Session, mut source: ReplySource) -> Result<i32, JobError> {
    supply_inputs(&mut session)?;
    forward_messages(&mut session);
    let output_dir = session.output_dir().to_owned();
    files::prepare_output(&output_dir, &session.job_hash(), session.start_id())?;
    loop {
        let event = session.run(Budget { gas: u64::MAX, steps: u64::MAX })?;
        forward_output(&mut session)?;
        forward_messages(&mut session);
        match event {
            Event::Snapshot(_) => write_files(&mut session, &output_dir)?,
            Event::Question => source.answer(&mut session)?,
            Event::Output | Event::Paused => {}
            Event::Finished => {
                write_files(&mut session, &output_dir)?;
                return Ok(wasi_exit_code(&session));
            }
        }
    }
}

/// The arguments without `argv[0]`. The job records them, so they must be text.
fn arguments() -> Result<Vec<String>, JobError> {
    std::env::args_os()
        .skip(1)
        .map(|word| {
            word.into_string().map_err(|word| JobError::usage(format!("argument is not UTF-8: {}", word.display())))
        })
        .collect()
}

/// Hands the session every file that it asks for; it says how long one may be that it holds.
fn supply_inputs(session: &mut Session) -> Result<(), JobError> {
    while let Some(path) = session.want()? {
        let most = session.most_wanted();
        let found = files::read(&path, most, &mut |chunk| session.give(chunk))?;
        session.give_end(found.is_some())?;
    }
    Ok(())
}

/// Writes every file that the session has ready, each replaced at once.
fn write_files(session: &mut Session, output_dir: &str) -> Result<(), JobError> {
    let mut chunk = Vec::new();
    while let Some(next) = session.next_file() {
        files::replace(output_dir, &next.to_string(), |file| {
            while session.take_chunk(&mut chunk)? {
                file.write(&chunk)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Passes on what the program wrote, unchanged.
fn forward_output(session: &mut Session) -> Result<(), JobError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(&session.take_output(1)).and_then(|()| stdout.flush());
    written.map_err(|error| JobError::io(format!("standard output: {error}")))?;
    let written = io::stderr().lock().write_all(&session.take_output(2));
    written.map_err(|error| JobError::io(format!("standard error: {error}")))
}

fn forward_messages(session: &mut Session) {
    while let Some(message) = session.take_message() {
        report(&format!("warning: {message}"));
    }
}

/// A line on standard error; where that is closed, the exit code still tells. Names of others may be in it.
fn report(line: &str) {
    drop(writeln!(io::stderr().lock(), "{}", ShownLines(line)));
}

/// The exit code by the node's own table, but 70 for a trap, and 125 for a program's own code from 126 up.
fn wasi_exit_code(session: &Session) -> i32 {
    match session.outcome() {
        Some(RunOutcome::Trapped(_)) => TRAP_UNDER_WASI,
        Some(RunOutcome::Exited(code)) => i32::try_from(*code).unwrap_or(i32::MAX).min(LARGEST_UNDER_WASI),
        _ => session.exit_code(),
    }
}
