//! Runs the command lines of the pages, and compares what they print with what the page says that they print.
//!
//! A block that begins with ```` ```console ```` is run: lines that begin with `$ ` are given to bash, the others are its output
//! (standard output and errors in one), and `[exit code N]` ends the output of a command that does not end with 0. In a line
//! of output `[..]` stands for anything. Speeds, times and numbers of workers are not compared. All blocks of a page are run by
//! one shell in one folder, in which the sample programs and scripts are where the repository has them.
//!
//! - `console,node`: needs Node.js; `WITHOUT_NODE_JS=1` leaves it out.
//! - `console,ignore`: is not run. These are the four examples of the sdk in docs/tutorial-embed.md: they are programs of another
//!   package, which this one's tests do not build.
//!
//! `cargo run -p host-runner --` stands for the command that is built already. Lines in blocks without `console` are not run:
//! in README.md `cargo test --workspace`, which would run this test.
//!
//! `BLESS=1` writes the output into the page where it differs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, Once, PoisonError};

use crate::{Fenced, fenced, pages, root, text};

/// The pages whose command lines are run, each by a test of its own.
const RUN: [&str; 12] = [
    "README.md",
    "docs/compiled.md",
    "docs/everyday.md",
    "docs/profile.md",
    "docs/store.md",
    "docs/timeline.md",
    "docs/toolchains.md",
    "docs/tutorial-embed.md",
    "docs/tutorial-first.md",
    "docs/tutorial-move.md",
    "docs/tutorial-received.md",
    "docs/tutorial-verify.md",
];

/// What is copied from the repository to where a page is run.
const COPIED: &str = "wasmfiles/*.wasm wasmfiles/fib32.wat wasmfiles/contracts/*.wasm wasmfiles/toolchains/*.wasm \
                      wasmfiles/apps/lua.wasm tests/js embedders/node docs";

/// Set to 1, this leaves out the blocks that need Node.js.
const LEAVE_OUT_NODE_JS: &str = "WITHOUT_NODE_JS";

/// Comes before the output of each command.
const MARK: char = '\u{1e}';

/// A command of a page.
struct Step {
    /// The line in the page on which its output begins, counted from 0.
    line: usize,
    command: String,
    /// The output, as the page has it.
    expected: Vec<String>,
}

/// Returns whether a block is run here.
fn is_run(page: &str, block: &Fenced) -> bool {
    let leaves_out = || std::env::var_os(LEAVE_OUT_NODE_JS).is_some_and(|value| value == "1");
    match &*block.info {
        "console" => true,
        "console,node" if leaves_out() => {
            eprintln!("{page}: line {} is left out ({LEAVE_OUT_NODE_JS}=1)", block.lines.start);
            false
        }
        "console,node" => true,
        _ => false,
    }
}

/// Returns the commands of a page that are run here.
fn steps(page: &str, text: &str) -> Vec<Step> {
    let lines: Vec<&str> = text.lines().collect();
    let mut steps: Vec<Step> = Vec::new();
    for block in fenced(text).iter().filter(|block| is_run(page, block)) {
        let mut goes_on = false;
        for number in block.lines.clone() {
            let line = lines[number];
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    steps.push(Step { line: number + 1, command: command.to_owned(), expected: Vec::new() });
                }
                (None, Some(step)) if goes_on => {
                    step.command += &format!("\n{line}");
                    step.line = number + 1;
                }
                (None, Some(step)) => {
                    step.expected.push(line.to_owned());
                    continue;
                }
                (None, None) => panic!("{page}: line {} is the output of no command", number + 1),
            }
            goes_on = line.ends_with('\\');
        }
    }
    steps
}

/// Runs commands in one shell, in a new folder with the samples; returns what each has printed.
fn outputs(steps: &[Step]) -> Vec<String> {
    compile_the_module_once();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let copied = Command::new("sh")
        .args(["-c", &format!("cp -r --parents {COPIED} \"$0\"")])
        .arg(dir.path())
        .current_dir(root())
        .status();
    assert!(copied.expect("starts").success());
    // The command that the pages begin with makes another build; ours is there already.
    let mut script =
        "exec 2>&1\ncargo() { [ \"$1 $2 $3 $4\" = 'run -p host-runner --' ] && stepmark \"${@:5}\"; }\n".to_owned();
    for step in steps {
        let after = "code=$?; [ $code = 0 ] || echo \"[exit code $code]\"";
        script += &format!("printf '{MARK}'\n{}\n{after}\n", step.command);
    }
    let output = shell(dir.path()).args(["-c", &script]).output().expect("the shell starts");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    printed.split(MARK).skip(1).map(str::to_owned).collect()
}

/// Returns a shell in which `stepmark` is the command under test.
fn shell(dir: &Path) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_stepmark")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell.current_dir(dir).stdin(Stdio::null()).env("PATH", format!("{}:{path}", bin.display()));
    shell.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
    shell.env("LC_ALL", "C").env_remove("COLUMNS");
    shell
}

/// Puts the compiled module into the cache, so that tests do not compile it side by side, nor in the second after which a
/// page interrupts its command.
fn compile_the_module_once() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::copy(root().join("wasmfiles/fib32.wasm"), dir.path().join("fib32.wasm")).expect("copied");
        let status = shell(dir.path()).args(["-c", "stepmark -q fib32.wasm fib 1"]).status();
        assert!(status.expect("starts").success());
    });
}

/// Returns a line without what is measured, which is another number each time.
fn without_measurements(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 0..words.len() {
        let next = |by: usize| words.get(at + by).copied().unwrap_or_default();
        if words[at].parse::<f64>().is_err() {
            continue;
        }
        if next(2).starts_with("gas/s") {
            words.splice(at..at + 2, ["N", "M"]);
        } else if next(1) == "s" {
            words[at] = "N";
        } else if next(1).starts_with("worker") {
            words.splice(at..at + 2, ["N", "workers"]);
        }
    }
    words.join(" ")
}

/// Returns whether a line is as the page says, where `[..]` stands for anything.
fn is_as_written(written: &str, line: &str) -> bool {
    let (written, line) = (without_measurements(written), without_measurements(line));
    let mut parts = written.split("[..]");
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        let found = if parts.peek().is_none() { rest.ends_with(part).then_some(rest.len()) } else { rest.find(part) };
        let Some(found) = found else { return false };
        rest = rest.get(found + part.len()..).unwrap_or_default();
    }
    true
}

/// Runs a page, and says each line that is not as it is written there.
fn run(page: &str) {
    /// One page at a time: an example that interrupts its command does so after a time that it must have to begin.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = text(page);
    let steps = steps(page, &text);
    let outputs = outputs(&steps);
    assert_eq!(outputs.len(), steps.len(), "{page}: the shell ended early: {:?}", outputs.last());
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut wrong = Vec::new();
    for (step, output) in steps.iter().zip(&outputs).rev() {
        let as_written = |(at, line): (usize, &str)| {
            let written = step.expected.get(at).filter(|written| is_as_written(written, line));
            written.map_or(line, String::as_str).to_owned()
        };
        let printed: Vec<String> = output.lines().enumerate().map(as_written).collect();
        if printed != step.expected {
            wrong.push(format!("{page}:{}: $ {}\n{}", step.line, step.command, printed.join("\n")));
        }
        lines.splice(step.line..step.line + step.expected.len(), printed);
    }
    if std::env::var_os("BLESS").is_some() && !wrong.is_empty() {
        fs::write(root().join(page), lines.join("\n") + "\n").expect("written");
    }
    wrong.reverse();
    assert!(wrong.is_empty(), "printed (BLESS=1 writes it into the page):\n{}", wrong.join("\n"));
}

#[test]
fn the_first_run_prints_what_its_page_says() {
    run("README.md");
}

#[test]
fn the_tutorial_for_a_first_program_prints_what_it_says() {
    run("docs/tutorial-first.md");
}

#[test]
fn the_tutorial_on_a_received_chain_prints_what_it_says() {
    run("docs/tutorial-received.md");
}

#[test]
fn the_page_on_toolchains_prints_what_it_says() {
    run("docs/toolchains.md");
}

#[test]
fn the_page_of_everyday_commands_prints_what_it_says() {
    run("docs/everyday.md");
}

#[test]
fn the_tutorial_on_verifying_prints_what_it_says() {
    run("docs/tutorial-verify.md");
}

#[test]
fn the_tutorial_on_moving_prints_what_it_says() {
    run("docs/tutorial-move.md");
}

#[test]
fn the_tutorial_on_embedding_prints_what_it_says() {
    run("docs/tutorial-embed.md");
}

#[test]
fn the_page_on_the_store_prints_what_it_says() {
    run("docs/store.md");
}

#[test]
fn the_page_on_profiles_prints_what_it_says() {
    run("docs/profile.md");
}

#[test]
fn the_page_on_any_moment_of_a_run_prints_what_it_says() {
    run("docs/timeline.md");
}

#[test]
fn the_page_on_compiled_code() {
    run("docs/compiled.md");
}

#[test]
fn every_command_line_of_a_page_is_run_or_marked() {
    for page in pages() {
        let text = text(&page);
        let lines: Vec<&str> = text.lines().collect();
        for block in fenced(&text) {
            let is_marked = ["console", "console,node", "console,ignore"].contains(&&*block.info);
            let has_prompt = lines[block.lines.clone()].iter().any(|line| line.starts_with("$ "));
            assert_eq!(has_prompt, is_marked, "{page}:{}: {:?}", block.lines.start, block.info);
            assert!(!is_marked || RUN.contains(&&*page), "{page} has command lines, and no test runs it");
        }
    }
}

#[test]
fn a_line_is_as_written_but_for_what_is_left_open_or_measured() {
    let same = [
        ("a", "a"),
        ("a [..] c", "a b b c"),
        ("[..]", ""),
        ("[..] b [..]", "a b c"),
        ("x, 1.5 M gas, 10.0 M gas/s, y", "x, 1.5 M gas, 1.2 G gas/s, y"),
        ("VALID: 0.0 s with 2 workers", "VALID: 12.5 s with 1 worker"),
    ];
    let different =
        [("a", "ab"), ("a [..] c", "a b"), ("1.5 M gas, 1 M gas/s", "1.6 M gas, 1 M gas/s"), ("[..]b", "bc")];
    for (written, line) in same {
        assert!(is_as_written(written, line), "{written} | {line}");
    }
    for (written, line) in different {
        assert!(!is_as_written(written, line), "{written} | {line}");
    }
}
