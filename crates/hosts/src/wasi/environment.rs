//! Arguments and environment: two lists of NUL-terminated strings, each fetched by a call for sizes and one for contents.

use crate::wasi::calls::Args;
use crate::wasi::fs::byte_steps;
use crate::wasi::{Answer, Errno, in_bounds, store};
use stepmark_core::host::GuestMemory;
use stepmark_state::error::JobError;

/// Bytes of a pointer in the program's memory.
const POINTER: u64 = 4;

/// The environment as `NAME=value` strings.
pub(super) fn variables(env: &[(String, String)]) -> Result<Vec<Vec<u8>>, JobError> {
    let bad = env.iter().find(|(name, _)| name.is_empty() || name.contains('='));
    if let Some((name, _)) = bad {
        return Err(JobError::usage(format!(
            "environment: {name:?} is no name, expected one without '=' and not empty"
        )));
    }
    Ok(env.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect())
}

/// Refuses strings that cannot be passed.
pub(super) fn check(what: &str, strings: &[Vec<u8>]) -> Result<(), JobError> {
    if let Some(index) = strings.iter().position(|string| string.contains(&0)) {
        return Err(JobError::usage(format!("{what}: string {index} holds a NUL byte")));
    }
    if units(strings) > u64::from(u32::MAX) {
        return Err(JobError::usage(format!("{what}: larger than any 32-bit program can hold")));
    }
    Ok(())
}

/// Bytes of all strings with their terminators.
fn strings_size(strings: &[Vec<u8>]) -> u64 {
    strings.iter().map(|string| (string.len() as u64).saturating_add(1)).fold(0, u64::saturating_add)
}

fn pointers_size(strings: &[Vec<u8>]) -> u64 {
    (strings.len() as u64).saturating_mul(POINTER)
}

/// Bytes that `get` writes.
pub(super) fn units(strings: &[Vec<u8>]) -> u64 {
    strings_size(strings).saturating_add(pointers_size(strings))
}

/// Steps of `sizes_get`: one for each 16 strings.
pub(super) fn size_steps(strings: &[Vec<u8>]) -> u64 {
    byte_steps(strings.len())
}

/// `*_sizes_get(count, size)`.
pub(super) fn sizes_get(strings: &[Vec<u8>], args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
    in_bounds(memory, args.ptr(0), POINTER)?;
    in_bounds(memory, args.ptr(1), POINTER)?;
    // Both fit: `check` has bounded the sum of all bytes.
    let count = u32::try_from(strings.len()).map_err(|_| Errno::Inval)?;
    let size = u32::try_from(strings_size(strings)).map_err(|_| Errno::Inval)?;
    store(memory, args.ptr(0), &count.to_le_bytes())?;
    store(memory, args.ptr(1), &size.to_le_bytes())
}

/// `*_get(pointers, strings)`.
pub(super) fn get(strings: &[Vec<u8>], args: Args<'_>, memory: &mut dyn GuestMemory) -> Answer {
    let (mut pointer, mut at) = (args.ptr(0), args.ptr(1));
    in_bounds(memory, pointer, pointers_size(strings))?;
    in_bounds(memory, at, strings_size(strings))?;
    for string in strings {
        let address = u32::try_from(at).map_err(|_| Errno::Fault)?;
        store(memory, pointer, &address.to_le_bytes())?;
        store(memory, at, string)?;
        let end = at.saturating_add(string.len() as u64);
        store(memory, end, &[0])?;
        pointer = pointer.saturating_add(POINTER);
        at = end.saturating_add(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepmark_core::host::test_memory::VecMemory;

    #[test]
    fn strings_and_pointers_are_laid_out_as_c_expects() {
        let strings = [b"ab".to_vec(), Vec::new(), b"c".to_vec()];
        let mut memory = VecMemory::new(32);
        sizes_get(&strings, Args { slots: &[0, 4], is_unstable: false }, &mut memory).unwrap();
        assert_eq!(memory.bytes[..8], [3, 0, 0, 0, 6, 0, 0, 0]);
        get(&strings, Args { slots: &[0, 20], is_unstable: false }, &mut memory).unwrap();
        assert_eq!(memory.bytes[..12], [20, 0, 0, 0, 23, 0, 0, 0, 24, 0, 0, 0]);
        assert_eq!(memory.bytes[20..26], *b"ab\0\0c\0");
        assert_eq!(units(&strings), 18);
    }

    #[test]
    fn strings_that_no_program_can_be_given_are_refused() {
        let pair = |name: &str| vec![(name.to_owned(), "v".to_owned())];
        assert!(variables(&pair("")).is_err() && variables(&pair("a=b")).is_err());
        assert_eq!(variables(&pair("a")).unwrap(), [b"a=v"]);
        assert_eq!(
            check("arguments", &[vec![1], vec![0]]).unwrap_err().message(),
            "arguments: string 1 holds a NUL byte"
        );
    }
}
