//! Values as they pass between a program and its embedder, and their bit patterns on the program's side.

use stepmark_core::module::ValType;
use stepmark_session::values::ValKind;
use stepmark_state::host_type::HostType;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// A reference of any type.
    Ref,
}

/// A value. Floats keep their bits.
///
/// ```
/// use node_sdk::{Value, ValueType};
///
/// assert_eq!(Value::from(7_i32), Value::I32(7));
/// assert_eq!(Value::from(u32::MAX), Value::I32(-1));
/// assert_eq!(Value::F64(0.5).ty(), ValueType::F64);
/// assert_eq!(Value::I32(-1).to_string(), "4294967295");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// 32-bit float.
    F32(f32),
    /// 64-bit float.
    F64(f64),
    /// 128-bit vector.
    V128(u128),
    /// The null reference.
    NullRef,
    /// A reference that is not null. It means nothing outside the program, so it can only be a result.
    Ref,
}

impl ValueType {
    /// Its name in the text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::Ref => "ref",
        }
    }

    pub(crate) fn of(ty: ValType) -> Self {
        match ty {
            ValType::I32 => Self::I32,
            ValType::I64 => Self::I64,
            ValType::F32 => Self::F32,
            ValType::F64 => Self::F64,
            ValType::V128 => Self::V128,
            ValType::Ref(_) => Self::Ref,
        }
    }

    /// The type as that of a host function's parameter or result; none for vectors and references, which cannot be one.
    pub(crate) fn host(self) -> Option<HostType> {
        match self {
            Self::I32 => Some(HostType::I32),
            Self::I64 => Some(HostType::I64),
            Self::F32 => Some(HostType::F32),
            Self::F64 => Some(HostType::F64),
            Self::V128 | Self::Ref => None,
        }
    }
}

impl Value {
    /// Its type.
    pub fn ty(&self) -> ValueType {
        match self {
            Self::I32(_) => ValueType::I32,
            Self::I64(_) => ValueType::I64,
            Self::F32(_) => ValueType::F32,
            Self::F64(_) => ValueType::F64,
            Self::V128(_) => ValueType::V128,
            Self::NullRef | Self::Ref => ValueType::Ref,
        }
    }

    /// Its bit pattern, zero-extended.
    pub(crate) fn bits(&self) -> u128 {
        match self {
            Self::I32(value) => value.cast_unsigned().into(),
            Self::I64(value) => value.cast_unsigned().into(),
            Self::F32(value) => value.to_bits().into(),
            Self::F64(value) => value.to_bits().into(),
            Self::V128(value) => *value,
            Self::NullRef => 0,
            Self::Ref => 1,
        }
    }

    /// Its slots of 64 bits.
    pub(crate) fn push_slots(&self, slots: &mut Vec<u64>) {
        let bits = self.bits();
        slots.push(bits as u64);
        if self.ty() == ValueType::V128 {
            slots.push((bits >> 64) as u64);
        }
    }

    /// The value of this type whose bit pattern this is.
    pub(crate) fn from_bits(ty: ValueType, bits: u128) -> Self {
        match ty {
            ValueType::I32 => Self::I32(bits as u32 as i32),
            ValueType::I64 => Self::I64(bits as u64 as i64),
            ValueType::F32 => Self::F32(f32::from_bits(bits as u32)),
            ValueType::F64 => Self::F64(f64::from_bits(bits as u64)),
            ValueType::V128 => Self::V128(bits),
            ValueType::Ref => {
                if bits == 0 {
                    Self::NullRef
                } else {
                    Self::Ref
                }
            }
        }
    }

    pub(crate) fn from_report(value: &stepmark_session::report::ReturnedValue) -> Self {
        let ty = match value.kind {
            ValKind::I32 => ValueType::I32,
            ValKind::I64 => ValueType::I64,
            ValKind::F32 => ValueType::F32,
            ValKind::F64 => ValueType::F64,
            ValKind::V128 => ValueType::V128,
            ValKind::Ref => ValueType::Ref,
        };
        Self::from_bits(ty, value.bits)
    }

    /// The text by which a job names this value as an argument; none for what has no text: references, and NaNs other
    /// than the canonical one.
    pub(crate) fn argument(&self) -> Option<String> {
        let has_text = match self {
            Self::F32(value) => !value.is_nan() || value.to_bits() == 0x7fc0_0000,
            Self::F64(value) => !value.is_nan() || value.to_bits() == 0x7ff8_0000_0000_0000,
            Self::NullRef | Self::Ref => false,
            _ => true,
        };
        has_text.then(|| self.to_string())
    }
}

impl std::fmt::Display for Value {
    /// As in `result.txt`: integers and vectors unsigned, floats in the fewest digits that read back the same.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.ty() {
            ValueType::I32 => ValKind::I32,
            ValueType::I64 => ValKind::I64,
            ValueType::F32 => ValKind::F32,
            ValueType::F64 => ValKind::F64,
            ValueType::V128 => ValKind::V128,
            ValueType::Ref => ValKind::Ref,
        };
        stepmark_session::report::ReturnedValue { kind, bits: self.bits() }.fmt(f)
    }
}

/// From Rust's own types; unsigned integers keep their bits.
macro_rules! from {
    ($($ty:ty: $value:ident => $made:expr),+ $(,)?) => {$(
        impl From<$ty> for Value {
            fn from($value: $ty) -> Self {
                $made
            }
        }
    )+};
}

from! {
    i32: value => Self::I32(value),
    u32: value => Self::I32(value.cast_signed()),
    i64: value => Self::I64(value),
    u64: value => Self::I64(value.cast_signed()),
    f32: value => Self::F32(value),
    f64: value => Self::F64(value),
    u128: value => Self::V128(value),
}
