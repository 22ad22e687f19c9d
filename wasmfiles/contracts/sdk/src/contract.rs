//! This invocation: its arguments, who called, its result; and calls of other contracts.
#![expect(unsafe_code, reason = "imports")]

use alloc::vec::Vec;

use crate::imports::contract;
use crate::parts::read_whole;

/// The arguments of this invocation.
pub fn args() -> Vec<u8> {
    // SAFETY: the import writes no more than `to`, a whole slice.
    read_whole(|to, offset| unsafe { contract::args(to.as_mut_ptr(), to.len(), offset) }).unwrap_or_default()
}

/// The name of the contract that called; empty in the outermost invocation, unless the job names a caller.
pub fn caller() -> Vec<u8> {
    // SAFETY: the import writes no more than `to`, a whole slice.
    read_whole(|to, offset| unsafe { contract::caller(to.as_mut_ptr(), to.len(), offset) }).unwrap_or_default()
}

/// Sets the result of this invocation, in place of one set before.
pub fn set_result(result: &[u8]) {
    // SAFETY: the import reads a whole slice.
    unsafe { contract::set_result(result.as_ptr(), result.len()) }
}

/// Invokes another contract with a gas limit of its own, in a fresh instance; its result.
///
/// # Errors
/// Why the call did not complete. What it wrote, and what its own calls wrote, is undone then.
pub fn call(name: &[u8], args: &[u8], gas_limit: u64) -> Result<Vec<u8>, CallError> {
    // SAFETY: the import reads two whole slices.
    let status = unsafe { contract::call(name.as_ptr(), name.len(), args.as_ptr(), args.len(), gas_limit) };
    match status {
        0 => Ok(result()),
        1 => Err(CallError::Trapped),
        2 => Err(CallError::GasLimit),
        3 => Err(CallError::NoSuchContract),
        4 => Err(CallError::TooDeep),
        _ => Err(CallError::NotInstantiated),
    }
}

/// The result of the last call that completed.
fn result() -> Vec<u8> {
    // SAFETY: the import writes no more than `to`, a whole slice.
    read_whole(|to, offset| unsafe { contract::result(to.as_mut_ptr(), to.len(), offset) }).unwrap_or_default()
}

/// Why a call did not complete, by the number that the node has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CallError {
    /// It trapped.
    Trapped = 1,
    /// It reached its gas limit.
    GasLimit = 2,
    /// There is no contract of that name.
    NoSuchContract = 3,
    /// Calls are nested too deep.
    TooDeep = 4,
    /// The contract could not be instantiated.
    NotInstantiated = 5,
}
