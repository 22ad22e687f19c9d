//! Traps: the faults that a program can commit, a closed list with the texts of the specification's test suite.

use std::fmt;

/// Why a program stopped abnormally. The numbers are part of the receipt and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Trap {
    /// `unreachable` was executed.
    Unreachable = 0,
    /// A load, store or bulk operator left its memory or data segment.
    MemoryOutOfBounds = 1,
    /// A table operator left its table or element segment.
    TableOutOfBounds = 2,
    /// `call_indirect` named an element beyond the table's end.
    UndefinedElement = 3,
    /// `call_indirect` found a null element.
    UninitializedElement = 4,
    /// `call_indirect` found a function of another type.
    IndirectCallTypeMismatch = 5,
    /// Integer division or remainder by zero.
    IntegerDivideByZero = 6,
    /// An integer result does not fit (division, or float to integer).
    IntegerOverflow = 7,
    /// NaN was converted to an integer.
    InvalidConversionToInteger = 8,
    /// The job's limit of frames or of stack slots was reached.
    CallStackExhausted = 9,
    /// A host function refused to go on.
    HostError = 10,
    /// A reference that must not be null was.
    NullReference = 11,
    /// No `try_table` around a `throw` catches its exception.
    UncaughtException = 12,
    /// The job's limit of exceptions that the program can still reach was reached.
    ExceptionsExhausted = 13,
    /// A null reference was called.
    NullFunctionReference = 14,
}

impl Trap {
    /// The text that the specification's test suite expects.
    pub fn message(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::MemoryOutOfBounds => "out of bounds memory access",
            Self::TableOutOfBounds => "out of bounds table access",
            Self::UndefinedElement => "undefined element",
            Self::UninitializedElement => "uninitialized element",
            Self::IndirectCallTypeMismatch => "indirect call type mismatch",
            Self::IntegerDivideByZero => "integer divide by zero",
            Self::IntegerOverflow => "integer overflow",
            Self::InvalidConversionToInteger => "invalid conversion to integer",
            Self::CallStackExhausted => "call stack exhausted",
            Self::HostError => "host function error",
            Self::NullReference => "null reference",
            Self::NullFunctionReference => "null function reference",
            Self::UncaughtException => "uncaught exception",
            Self::ExceptionsExhausted => "too many exceptions",
        }
    }
}

impl Trap {
    /// All traps, in the order of their numbers.
    pub const ALL: [Trap; 15] = [
        Self::Unreachable,
        Self::MemoryOutOfBounds,
        Self::TableOutOfBounds,
        Self::UndefinedElement,
        Self::UninitializedElement,
        Self::IndirectCallTypeMismatch,
        Self::IntegerDivideByZero,
        Self::IntegerOverflow,
        Self::InvalidConversionToInteger,
        Self::CallStackExhausted,
        Self::HostError,
        Self::NullReference,
        Self::UncaughtException,
        Self::ExceptionsExhausted,
        Self::NullFunctionReference,
    ];

    /// The trap with this text, as a receipt has it.
    pub fn from_message(message: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trap| trap.message() == message)
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Trap {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trap_has_its_number_and_a_text_of_its_own() {
        for (number, trap) in Trap::ALL.into_iter().enumerate() {
            assert_eq!((trap as usize, Trap::from_message(trap.message())), (number, Some(trap)));
        }
        assert_eq!(Trap::from_message("no such trap"), None);
    }
}
