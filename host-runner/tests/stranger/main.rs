//! What a stranger can do with files alone: nothing. The built program meets directories, archives and databases that nobody
//! wrote in earnest. One file for each kind.
// Tests make what strangers would have made, and look at what came of it.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]
#![cfg(target_os = "linux")]

mod archives;
mod databases;
mod places;
mod sweep;
mod texts;
#[allow(dead_code, unused_imports, unreachable_pub)]
#[path = "../runner/util.rs"]
mod util;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// Longest that any command may take with a file that it cannot use.
const MOST_TIME: Duration = Duration::from_secs(5);
/// Most memory, in KiB, that it may take for it.
const MOST_MEMORY: i64 = 256 << 10;

/// What a command came to.
struct Met {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a command to its end; `aside` is a directory for its output. A command that takes too long is ended, and has no code.
fn meet(command: &mut Command, aside: &Path) -> Met {
    let paths = ["stdout", "stderr"].map(|name| aside.join(name));
    let [stdout, stderr] = paths.each_ref().map(|path| File::create(path).expect("a file"));
    let child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().expect("starts");
    let code = wait(child);
    let [stdout, stderr] = paths.map(|path| String::from_utf8_lossy(&fs::read(path).expect("readable")).into_owned());
    Met { code, stdout, stderr }
}

/// Waits for a child as long as is allowed; its exit code.
fn wait(mut child: Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        match child.try_wait().expect("a child of ours") {
            Some(status) => return status.code(),
            None if began.elapsed() > MOST_TIME => {
                child.kill().expect("ended");
                child.wait().expect("a child of ours");
                return None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Most memory, in KiB, that any child so far has taken.
fn most_memory() -> i64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).expect("known").max_rss()
}
