//! Types of the values that cross the border to a host.

use serde::{Deserialize, Serialize};

/// Type of a host function's parameter or result. Values travel as `u64` bit patterns; an `I32` is zero-extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
}

impl HostType {
    /// Its name in the text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// The type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::I32, Self::I64, Self::F32, Self::F64].into_iter().find(|ty| ty.name() == name)
    }
}
