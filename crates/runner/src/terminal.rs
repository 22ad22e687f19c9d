//! What leaves the runner for people: the only place that writes to standard output and standard error (`clippy.toml` keeps
//! it so). All words of ours pass through [`Shown`], because there may be words of others in them: names in a module, paths
//! in a snapshot, messages of a database. What a program writes to its own streams is the program's, and passes as it is.

use std::io::{self, ErrorKind, IsTerminal, Write};

use stepmark_state::shown::Shown;

use crate::failure::{CLOSED, Failure, IO, Result};

/// Prints a line of ours on standard output: text, or a JSON object, which stays one.
///
/// # Errors
/// Exit code 74 when it cannot be written.
pub fn print(line: &str) -> Result<()> {
    pass_on(true, format!("{}\n", Shown(line)).as_bytes())
}

/// Prints a part of a line of ours: of a JSON object that is too long to be held.
///
/// # Errors
/// Exit code 74 when it cannot be written.
pub fn print_part(text: &str) -> Result<()> {
    pass_on(true, Shown(text).to_string().as_bytes())
}

/// Prints lines of ours, in which no name of others can have begun a line.
///
/// # Errors
/// Exit code 74 when they cannot be written.
pub fn print_lines(text: &str) -> Result<()> {
    let lines: String = text.lines().map(|line| format!("{}\n", Shown(line))).collect();
    pass_on(true, lines.as_bytes())
}

/// Says a line on standard error; where that is closed, the exit code still tells.
pub fn say(line: &str) {
    drop(pass_on(false, format!("{}\n", Shown(line)).as_bytes()));
}

/// Says what went wrong, if that is not only that somebody has read enough.
pub fn complain(failure: &Failure) {
    if failure.is_silent() {
        return;
    }
    failure.to_string().lines().for_each(say);
}

/// Passes bytes of a program, or of a store, on as they are.
///
/// # Errors
/// Exit code 74 when they cannot be written, 141 when nobody reads standard output any more.
#[expect(clippy::disallowed_methods, reason = "the one place that writes to them")]
pub fn pass_on(to_stdout: bool, bytes: &[u8]) -> Result<()> {
    let (name, written) = if to_stdout {
        let mut stdout = io::stdout().lock();
        ("standard output", stdout.write_all(bytes).and_then(|()| stdout.flush()))
    } else {
        ("standard error", io::stderr().lock().write_all(bytes))
    };
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe if to_stdout => Failure::new(CLOSED, "standard output was closed"),
        _ => Failure::new(IO, format!("{name}: {error}")),
    })
}

/// Whether somebody sees what is said: progress is for them only.
#[expect(clippy::disallowed_methods, reason = "nothing is written")]
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Text as one word of a shell's command line: what is not plain stands between quotes, and nothing in it does anything.
pub fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._/-+=:@%,".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Text for a page, in which nothing of it is a tag or moves the rest.
pub fn html(text: &str) -> String {
    let shown = Shown(text).to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    shown.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_text_and_obeys_none_of_it() {
        let text = "<script>\"a\" & 'b'</script>\u{202e}\u{1b}";
        let page = "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;\\u202e\\u001b";
        assert_eq!(html(text), page);
    }
}
