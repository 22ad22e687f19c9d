//! Text that others wrote, as it may be shown: names in a module, paths in a snapshot, messages about them. A terminal takes
//! some characters for commands, and others turn the order of a line around; neither is for a file to say. They are
//! written as JSON writes them (`\u001b`), so that a JSON object stays the object that it is.
//!
//! This is the one function for it: the command face and the host runner let nothing out but through here.

use core::fmt::{self, Display, Formatter, Write};

/// One line, in which nothing is left that does something else than being seen.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            c if is_plain(c) => f.write_char(c),
            c => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(f, "\\u{unit:04x}")),
        })
    }
}

/// A message of some lines: those after the first are indented, so that none of them is taken for another message.
#[derive(Clone, Copy, Debug)]
pub struct ShownLines<'a>(pub &'a str);

impl Display for ShownLines<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut lines = self.0.split('\n');
        Shown(lines.next().unwrap_or_default()).fmt(f)?;
        lines.try_for_each(|line| {
            let indent = if line.starts_with("  ") { "" } else { "  " };
            write!(f, "\n{indent}{}", Shown(line))
        })
    }
}

/// Whether a character can be seen, or is the space between such, and moves nothing else.
fn is_plain(c: char) -> bool {
    let moves = matches!(c,
        // Marks of direction, joiners, invisible operators, separators of lines, the byte order mark, tags.
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !moves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_as_json_writes_it() {
        for (text, expected) in [
            ("a name, \"quoted\" \\ and été 漢字", "a name, \"quoted\" \\ and été 漢字"),
            ("\u{1b}[2J\u{7}", "\\u001b[2J\\u0007"),
            ("two\nlines\r\tand a tab", "two\\nlines\\r\\tand a tab"),
            ("\u{7f}\u{9b}31m", "\\u007f\\u009b31m"),
            ("\u{202e}gpj.exe\u{2066}\u{200b}", "\\u202egpj.exe\\u2066\\u200b"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(Shown(text).to_string(), expected);
            // What was made safe stays as it is.
            assert_eq!(Shown(expected).to_string(), expected);
        }
    }

    #[test]
    fn only_the_first_line_of_a_message_begins_at_the_left() {
        assert_eq!(ShownLines("one\u{7}").to_string(), "one\\u0007");
        assert_eq!(ShownLines("list:\n  a\nerror: b\u{1b}").to_string(), "list:\n  a\n  error: b\\u001b");
    }
}
