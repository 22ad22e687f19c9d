//! Standard input of the command as the program's: what a pipe or a redirection holds is read whole before the run begins, as
//! a job is decided before it runs, and is a file of the job like any other.

use std::io::{IsTerminal, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use stepmark_runner::ask::imports;
use stepmark_runner::failure::{Failure, IO, Result};

use stepmark_runner::terminal;
use stepmark_session::spec::JobSpec;

/// What the module calls the file that standard input is.
pub const NAME: &str = "-";
/// Most bytes of it, in memory and in the job.
const MOST: u64 = 1 << 30;
/// How long nothing is said about waiting for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the program reads as its standard input, where that is the command's own; none where it is a file, or nothing.
///
/// With `--stdin -` or `/dev/stdin` it is read whatever it is. Else it is read where it is a pipe or a file, the run is one
/// from the start, and the program imports the call that reads (else nobody waits for what it would not look at); a terminal is
/// then an empty input.
///
/// # Errors
/// Exit code 74 when it cannot be read, or is longer than 1 GiB.
pub fn read(job: &mut JobSpec) -> Result<Option<Vec<u8>>> {
    let is_wanted = match job.stdin.as_deref() {
        Some(NAME | "/dev/stdin") => true,
        Some(_) => false,
        None => job.resume.is_none() && is_redirected() && imports::any(job, &["fd_read"]),
    };
    if !is_wanted {
        return Ok(None);
    }
    let failed = |error: &std::io::Error| Failure::new(IO, format!("standard input: {error}"));
    let mut bytes = Vec::new();
    let done = say_what_is_waited_for();
    std::io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    drop(done);
    if bytes.len() as u64 > MOST {
        return Err(Failure::new(IO, format!("standard input is longer than {MOST} bytes")));
    }
    // Nothing to read is what a program has without any.
    job.stdin = (!bytes.is_empty()).then(|| NAME.to_owned());
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

/// Whether there is a standard input that a program would read, if its run did not go on with the one that it began with.
pub fn is_left_unread(job: &JobSpec) -> bool {
    job.resume.is_some() && is_redirected() && imports::any(job, &["fd_read"])
}

/// Says after a while what is waited for, until the result is dropped.
fn say_what_is_waited_for() -> mpsc::Sender<()> {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            terminal::say("reading standard input to its end (give --stdin FILE, or < /dev/null, for another one)");
        }
    });
    done
}

/// Whether standard input is a pipe or a file.
#[cfg(unix)]
fn is_redirected() -> bool {
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::fs::FileTypeExt;
    let stdin = std::io::stdin();
    let same = stdin.as_fd().try_clone_to_owned();
    let kind = same.and_then(|same: OwnedFd| std::fs::File::from(same).metadata()).map(|found| found.file_type());
    !stdin.is_terminal() && kind.is_ok_and(|kind| kind.is_fifo() || kind.is_file())
}

/// Whether standard input is no terminal.
#[cfg(not(unix))]
fn is_redirected() -> bool {
    !std::io::stdin().is_terminal()
}
