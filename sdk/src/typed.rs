//! Rust types for the parameters and results of host functions: the eight numbers, and tuples of them. The type of a
//! closure says the type of the import, so that a mistyped one is found when the program is linked.

use crate::value::{Value, ValueType};

mod sealed {
    pub trait Sealed {}
}

/// A number that passes between a program and a host function. `u32` and `u64` are the bits of `i32` and `i64`.
pub trait WasmNumber: sealed::Sealed + Sized {
    /// Its type on the program's side.
    const TYPE: ValueType;
    /// The number with this bit pattern.
    fn from_slot(slot: u64) -> Self;
    /// Its bit pattern.
    fn into_slot(self) -> u64;
}

macro_rules! numbers {
    ($($ty:ty, $name:ident, $slot:ident => $from:expr;)+) => {$(
        impl sealed::Sealed for $ty {}

        impl WasmNumber for $ty {
            const TYPE: ValueType = ValueType::$name;

            fn from_slot($slot: u64) -> Self {
                $from
            }

            fn into_slot(self) -> u64 {
                Value::from(self).bits() as u64
            }
        }
    )+};
}

numbers! {
    i32, I32, slot => slot as u32 as i32;
    u32, I32, slot => slot as u32;
    i64, I64, slot => slot as i64;
    u64, I64, slot => slot;
    f32, F32, slot => f32::from_bits(slot as u32);
    f64, F64, slot => f64::from_bits(slot);
}

/// The parameters of a host function: a number, or a tuple of up to eight.
pub trait WasmParams: sealed::Sealed + Sized {
    /// Their types.
    fn types() -> Vec<ValueType>;
    /// The parameters with these bit patterns; none if there are too few.
    fn from_slots(slots: &[u64]) -> Option<Self>;
}

/// The results of a host function: nothing, a number, or a tuple of up to eight.
pub trait WasmResults: sealed::Sealed {
    /// Their types.
    fn types() -> Vec<ValueType>;
    /// Their bit patterns.
    fn into_slots(self) -> Vec<u64>;
}

impl<T: WasmNumber> WasmParams for T {
    fn types() -> Vec<ValueType> {
        vec![T::TYPE]
    }

    fn from_slots(slots: &[u64]) -> Option<Self> {
        slots.first().map(|slot| T::from_slot(*slot))
    }
}

impl<T: WasmNumber> WasmResults for T {
    fn types() -> Vec<ValueType> {
        vec![T::TYPE]
    }

    fn into_slots(self) -> Vec<u64> {
        vec![self.into_slot()]
    }
}

macro_rules! tuples {
    ($(($($name:ident),*))+) => {$(
        impl<$($name: WasmNumber),*> sealed::Sealed for ($($name,)*) {}

        impl<$($name: WasmNumber),*> WasmParams for ($($name,)*) {
            fn types() -> Vec<ValueType> {
                vec![$($name::TYPE),*]
            }

            #[allow(unused_mut, unused_variables, clippy::unused_unit, reason = "there may be no parameter")]
            fn from_slots(slots: &[u64]) -> Option<Self> {
                let mut slots = slots.iter();
                Some(($($name::from_slot(*slots.next()?),)*))
            }
        }

        impl<$($name: WasmNumber),*> WasmResults for ($($name,)*) {
            fn types() -> Vec<ValueType> {
                vec![$($name::TYPE),*]
            }

            #[allow(non_snake_case, reason = "a value has the name of its type")]
            fn into_slots(self) -> Vec<u64> {
                let ($($name,)*) = self;
                vec![$($name.into_slot()),*]
            }
        }
    )+};
}

tuples! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G)
(A, B, C, D, E, F, G, H) }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_went() {
        assert_eq!(i32::from_slot((-5_i32).into_slot()), -5);
        assert_eq!((-5_i32).into_slot(), 0xffff_fffb, "an i32 is zero-extended");
        assert_eq!(u64::from_slot(u64::MAX.into_slot()), u64::MAX);
        assert_eq!(f32::from_slot(1.5_f32.into_slot()), 1.5);
        assert_eq!(f64::from_slot((-0.0_f64).into_slot()).to_bits(), (-0.0_f64).to_bits());
    }

    #[test]
    fn tuples_name_their_types_in_order() {
        use ValueType::{F32, F64, I32, I64};
        type Eight = (i32, i64, u32, u64, f32, f64, i32, i64);
        assert_eq!(<Eight as WasmParams>::types(), [I32, I64, I32, I64, F32, F64, I32, I64]);
        assert_eq!(<(i32, i64) as WasmParams>::from_slots(&[1]), None);
        assert_eq!((1_u32, 2_u64).into_slots(), [1, 2]);
        assert_eq!(().into_slots(), [0_u64; 0]);
    }
}
