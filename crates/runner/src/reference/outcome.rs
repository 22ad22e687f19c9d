//! What a reference run came to, in the words that the node uses, so that both can be compared.

use std::fmt;
use std::time::Duration;

use stepmark_session::report::ReturnedValue;
use stepmark_session::values::ValKind;
use stepmark_state::trap::Trap;
use wasmtime::Val;
use wasmtime_wasi::I32Exit;

use crate::failure::{self, DATA, Failure, MISMATCH, Result};
use crate::reference::Stopped;
use crate::reference::replay::Diverged;
use crate::reference::stand_in::Refused;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceEnd {
    /// The entry returned.
    Returned,
    /// The program asked to exit with this code.
    Exited(i32),
    /// The program trapped.
    Trapped(Trap),
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct ReferenceOutcome {
    /// How it ended.
    pub end: ReferenceEnd,
    /// Returned values.
    pub values: Vec<ReturnedValue>,
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// Standard error, whole.
    pub stderr: Vec<u8>,
    /// Bytes of recorded answers that the program did not ask for.
    pub unused_answers: usize,
    /// Calls that the program imports whose answers are the system's, with what may differ: a sentence each.
    pub by_nature: Vec<String>,
    /// Time from the first instruction to the last: without reading and compiling.
    pub time: Duration,
}

impl ReferenceEnd {
    /// The exit code that the host runner has for it.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Returned => 0,
            Self::Exited(code) => *code,
            Self::Trapped(_) => failure::TRAP,
        }
    }
}

impl fmt::Display for ReferenceEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returned"),
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Trapped(trap) => write!(f, "trapped: {trap}"),
        }
    }
}

/// Tells the program's end from its caller's faults.
pub(super) fn classify(
    ended: std::result::Result<Vec<ReturnedValue>, Stopped>,
) -> Result<(ReferenceEnd, Vec<ReturnedValue>)> {
    let error = match ended {
        Ok(values) => return Ok((ReferenceEnd::Returned, values)),
        Err(Stopped::Caller(failure)) => return Err(failure),
        Err(Stopped::Program(error)) => error,
    };
    if let Some(I32Exit(code)) = error.downcast_ref() {
        // Code 0 is a normal end, as the node has it.
        return Ok((if *code == 0 { ReferenceEnd::Returned } else { ReferenceEnd::Exited(*code) }, Vec::new()));
    }
    if let Some(Diverged(text)) = error.downcast_ref() {
        return Err(Failure::new(MISMATCH, "Stepmark and the reference (wasmtime) differ").caused_by(text));
    }
    if error.is::<Refused>() {
        return Ok((ReferenceEnd::Trapped(Trap::HostError), Vec::new()));
    }
    if error.is::<wasmtime::ThrownException>() {
        return Ok((ReferenceEnd::Trapped(Trap::UncaughtException), Vec::new()));
    }
    match error.downcast_ref().and_then(|trap| our_trap(*trap)) {
        Some(trap) => Ok((ReferenceEnd::Trapped(trap), Vec::new())),
        None => Err(Failure::wasmtime(DATA, "wasmtime cannot run the program", &error)),
    }
}

/// The node's name for a trap; none for what cannot happen with the node's features.
fn our_trap(trap: wasmtime::Trap) -> Option<Trap> {
    Some(match trap {
        wasmtime::Trap::UnreachableCodeReached => Trap::Unreachable,
        wasmtime::Trap::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
        wasmtime::Trap::TableOutOfBounds => Trap::TableOutOfBounds,
        wasmtime::Trap::IndirectCallToNull => Trap::UninitializedElement,
        wasmtime::Trap::BadSignature => Trap::IndirectCallTypeMismatch,
        wasmtime::Trap::IntegerDivisionByZero => Trap::IntegerDivideByZero,
        wasmtime::Trap::IntegerOverflow => Trap::IntegerOverflow,
        wasmtime::Trap::BadConversionToInteger => Trap::InvalidConversionToInteger,
        wasmtime::Trap::StackOverflow => Trap::CallStackExhausted,
        wasmtime::Trap::NullReference => Trap::NullReference,
        _ => return None,
    })
}

/// A returned value.
pub(super) fn returned_value(value: &Val) -> ReturnedValue {
    let (kind, bits) = match value {
        Val::I32(value) => (ValKind::I32, u128::from(value.cast_unsigned())),
        Val::I64(value) => (ValKind::I64, u128::from(value.cast_unsigned())),
        Val::F32(bits) => (ValKind::F32, u128::from(*bits)),
        Val::F64(bits) => (ValKind::F64, u128::from(*bits)),
        Val::V128(bits) => (ValKind::V128, bits.as_u128()),
        other => (ValKind::Ref, u128::from(!other.ref_().is_some_and(|reference| reference.is_null()))),
    };
    ReturnedValue { kind, bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_unsigned_and_floats_shortest() {
        assert_eq!(returned_value(&Val::I32(-1)).to_string(), "4294967295");
        assert_eq!(returned_value(&Val::I64(-1)).to_string(), "18446744073709551615");
        assert_eq!(returned_value(&Val::F64(0.1f64.to_bits())).to_string(), "0.1");
    }

    #[test]
    fn exit_code_0_is_a_normal_end() {
        let exit = |code| classify(Err(Stopped::Program(I32Exit(code).into()))).expect("an outcome").0;
        assert_eq!(exit(0), ReferenceEnd::Returned);
        assert_eq!(exit(3), ReferenceEnd::Exited(3));
        assert_eq!(ReferenceEnd::Trapped(Trap::Unreachable).exit_code(), 134);
    }
}
