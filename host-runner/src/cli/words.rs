//! One grammar for all commands that look at chains: `stepmark VERB DIR[@ID] [--program FILE]`, in which the program may stand
//! among the words as well, before or after the directories.

use std::path::Path;

use stepmark_runner::failure::{Failure, Result};

/// The program, if one is named by a word or by the flag `--program`, and `wanted` places of chains.
///
/// # Errors
/// Exit code 2 for another number of words, and for a program that is named twice.
pub(super) fn program_and_places<'a>(
    words: &'a [String],
    wanted: usize,
    flag: Option<&'a str>,
) -> Result<(Option<&'a str>, Vec<&'a str>)> {
    let mut places: Vec<&str> = words.iter().map(String::as_str).collect();
    if places.len() == wanted {
        return Ok((flag, places));
    }
    let dirs = if wanted == 1 { "DIR" } else { "DIR_A DIR_B" };
    let expected =
        || Failure::usage(format!("expected {dirs}, and the program's file where it is not found by its hash"));
    if places.len() != wanted.saturating_add(1) {
        return Err(expected());
    }
    // A file that is there can be nothing else; where none is there, what is no directory was meant to be one.
    let is_file = |word: &&str| Path::new(word).is_file();
    let at = places.iter().position(is_file).or_else(|| places.iter().position(|word| !is_place(word)));
    let program = places.remove(at.ok_or_else(|| expected().caused_by("all words are directories"))?);
    match flag {
        None => Ok((Some(program), places)),
        Some(flag) => Err(Failure::usage(format!("the program is named twice: {program}, and --program {flag}"))),
    }
}

/// The program, if one is named, and the one place.
///
/// # Errors
/// As [`program_and_places`].
pub(super) fn program_and_place<'a>(words: &'a [String], flag: Option<&'a str>) -> Result<(Option<&'a str>, &'a str)> {
    let (program, places) = program_and_places(words, 1, flag)?;
    Ok((program, places[0]))
}

/// Whether a word is a directory, or a snapshot in one.
fn is_place(word: &str) -> bool {
    let of_snapshot = word.rsplit_once('@').map(|(dir, _)| dir);
    [Some(word), of_snapshot].into_iter().flatten().any(|dir| Path::new(dir).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_may_stand_before_or_after_the_directories() {
        let temporary = tempfile::tempdir().expect("a directory");
        let name = |name: &str| temporary.path().join(name).display().to_string();
        let (a, b, program, missing) = (name("a"), name("b"), name("p.wasm"), name("missing.wasm"));
        [&a, &b].into_iter().for_each(|dir| std::fs::create_dir(dir).expect("a directory"));
        std::fs::write(&program, "").expect("a file");
        let (at, of_b) = (format!("{a}@3"), format!("{b}@paused"));
        let split = |words: &[&String], wanted, flag: Option<&str>| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let split = program_and_places(&words, wanted, flag);
            split.map(|(program, places)| {
                (program.map(str::to_owned), places.into_iter().map(str::to_owned).collect::<Vec<_>>())
            })
        };
        let named = |program: &String, places: &[&String]| {
            Ok((Some(program.clone()), places.iter().map(ToString::to_string).collect::<Vec<_>>()))
        };
        assert_eq!(split(&[&a], 1, None), Ok((None, vec![a.clone()])));
        for words in [[&program, &at], [&at, &program]] {
            assert_eq!(split(&words, 1, None), named(&program, &[&at]));
        }
        assert_eq!(split(&[&a, &program, &of_b], 2, None), named(&program, &[&a, &of_b]));
        assert_eq!(split(&[&a], 1, Some(&program)), named(&program, &[&a]));
        // What is not there was meant to be what is wanted still.
        assert_eq!(split(&[&a, &missing], 1, None), named(&missing, &[&a]));
        assert_eq!(split(&[&program, &missing], 1, None), named(&program, &[&missing]));
        for (words, flag) in [(vec![&a, &b], None), (vec![&a, &program], Some("p")), (vec![&a, &b, &program], None)] {
            assert_eq!(split(&words, 1, flag).expect_err("ambiguous").code(), 2, "{words:?}");
        }
    }
}
