//! Modules as text. Where the user has named a module, WebAssembly text is assembled as it is read; from there on it is the
//! module, and its hash is the module's. What came with a chain is never assembled.

use std::ffi::OsStr;
use std::path::Path;

use wast::Wat;
use wast::parser::{self, ParseBuffer};

use crate::failure::{Failure, Result};

/// Bytes of the longest text.
pub(crate) const MOST: u64 = 64 << 20;

/// Whether a file that begins with `head` is text: by its name, or because that is how a module's text begins.
pub(crate) fn is_text(path: &Path, head: &[u8]) -> bool {
    let is_named = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(OsStr::new("wat")));
    !head.starts_with(b"\0asm") && (is_named || after_comments(head).starts_with(b"(module"))
}

/// What follows white space and comments.
fn after_comments(mut text: &[u8]) -> &[u8] {
    loop {
        text = text.trim_ascii_start();
        let comment = match text {
            [b';', b';', ..] => text.iter().position(|byte| *byte == b'\n'),
            [b'(', b';', ..] => block_comment(text),
            _ => return text,
        };
        text = comment.and_then(|end| text.get(end..)).unwrap_or_default();
    }
}

/// Length of the block comment at the beginning, with those inside it.
fn block_comment(text: &[u8]) -> Option<usize> {
    let (mut open, mut at) = (0usize, 0usize);
    while let Some(pair) = text.get(at..)?.first_chunk::<2>() {
        match pair {
            b"(;" => open = open.saturating_add(1),
            b";)" => open = open.saturating_sub(1),
            _ => {
                at = at.saturating_add(1);
                continue;
            }
        }
        at = at.saturating_add(2);
        if open == 0 {
            return Some(at);
        }
    }
    None
}

/// The module that a text is.
///
/// # Errors
/// Exit code 65, with the line and column of what is wrong.
pub(crate) fn assemble(path: &Path, text: Vec<u8>) -> Result<Vec<u8>> {
    let wrong = |what: &str| Failure::data(format!("{}: {what}", path.display()));
    let text = String::from_utf8(text).map_err(|_| wrong("is not UTF-8, which WebAssembly text is"))?;
    let refused = |error: wast::Error| {
        let (line, column) = error.span().linecol_in(&text);
        let message = error.message();
        let place = format!("{}:{}", line.saturating_add(1), column.saturating_add(1));
        Failure::data(format!("{}:{place}: {message}", path.display())).caused_by("it is read as WebAssembly text")
    };
    let buffer = ParseBuffer::new(&text).map_err(refused)?;
    match parser::parse::<Wat<'_>>(&buffer).map_err(refused)? {
        Wat::Component(_) => Err(wrong("is the text of a component: Stepmark runs core modules")),
        mut module @ Wat::Module(_) => module.encode().map_err(refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_known_by_its_name_or_by_its_beginning() {
        let is = |name: &str, head: &str| is_text(Path::new(name), head.as_bytes());
        assert!(is("a.wat", "") && is("a.WAT", "(func)") && !is("a.wat", "\0asm\x01\0\0\0"));
        assert!(is("a", "(module)") && is("a.wasm", " \n;; note\n(; a (; b ;) ;;\n;) (module $m"));
        for head in ["", ";; only a comment", "(; open", "(component)", "(func)", "modul", "(; ;) x"] {
            assert!(!is("a.wasm", head), "{head:?}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_line_and_column() {
        let said = |text: &str| assemble(Path::new("a.wat"), text.into()).expect_err("wrong").what().to_owned();
        assert_eq!(said("(module\n  (func $f\n    i32.bad))"), "a.wat:3:5: unknown operator or unexpected token");
        assert_eq!(said("(module (func (call $g)))"), "a.wat:1:21: unknown func: failed to find name `$g`");
        assert_eq!(said("(component)"), "a.wat: is the text of a component: Stepmark runs core modules");
        let empty = b"\0asm\x01\0\0\0";
        assert_eq!(assemble(Path::new("a.wat"), b"(module)".to_vec()), Ok(empty.to_vec()));
    }
}
