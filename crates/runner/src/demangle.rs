//! Names of functions as their sources have them: compilers of Rust and C++ put types and modules into one word.

use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, Symbol};

/// Most bytes of a name: those that a compiler has shortened may come to far more than they are long.
const MOST: usize = 1024;

/// A function's name as its source has it: of Rust (both manglings, without the hash) and of C++; any other as it is.
pub fn demangled(name: &str) -> String {
    let mut out = ShortText::default();
    let written = if let Ok(rust) = rustc_demangle::try_demangle(name) {
        write!(out, "{rust:#}")
    } else if let Some(cpp) = name.strip_prefix("_Z").and_then(|_| Symbol::new(name).ok()) {
        cpp.structured_demangle(&mut out, &DemangleOptions::new())
    } else {
        out.write_str(name)
    };
    match written {
        Ok(()) => out.text,
        Err(_) if out.is_full => out.text + "...",
        Err(_) => name.to_owned(),
    }
}

/// Text that takes no more than [`MOST`] bytes.
#[derive(Default)]
struct ShortText {
    text: String,
    is_full: bool,
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST.saturating_sub(self.text.len());
        let end = text.floor_char_boundary(room);
        self.text.push_str(text.get(..end).unwrap_or_default());
        self.is_full = end < text.len();
        if self.is_full { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        for (name, expected) in [
            ("_ZN4core9panicking5panic17h0123456789abcdefE", "core::panicking::panic"),
            ("_RNvMCsfMdpe13HyOz_10trap_dwarfNtB2_3Bin4mean", "<trap_dwarf::Bin>::mean"),
            ("_Z8multiplyPKiS0_Pi", "multiply(int const*, int const*, int*)"),
            (
                "_ZNSt3__26vectorIiNS_9allocatorIiEEE9push_backEOi",
                "std::__2::vector<int, std::__2::allocator<int> >::push_back(int&&)",
            ),
            ("main", "main"),
            ("multiply(int const*)", "multiply(int const*)"),
            ("_Znonsense", "_Znonsense"),
            ("", ""),
        ] {
            assert_eq!(demangled(name), expected);
        }
    }

    #[test]
    fn a_name_that_comes_to_more_than_it_is_long_is_cut() {
        // Each argument is the pair of the one before with itself.
        let digits: Vec<char> = ('0'..='9').chain('A'..='Z').collect();
        let pairs: String = digits.iter().map(|digit| format!("S_IS{digit}_S{digit}_E")).collect();
        let shown = demangled(&format!("_Z1f1aIiiE{pairs}"));
        assert!(
            shown.starts_with("f(a<int, int>, a<a<int, int>, a<int, int> >, ") && shown.len() == MOST + 3,
            "{shown}"
        );
        assert_eq!(demangled(&"x".repeat(5000)), "x".repeat(MOST) + "...");
    }
}
