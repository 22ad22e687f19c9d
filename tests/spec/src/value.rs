//! Arguments and expected results. A host reference of number n is the slot 1 + n, so that none is null.

use anyhow::{Context, Result, bail, ensure};
use stepmark_core::module::{HeapType as Heap, RefType, ValType, slots};
use wast::core::{HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// The one NaN of the deterministic profile.
const CANONICAL_F32: u32 = 0x7fc0_0000;
/// The same in double precision.
const CANONICAL_F64: u64 = 0x7ff8_0000_0000_0000;

/// The slots of an argument, checked against the parameter's type.
pub(super) fn argument(argument: &WastArg<'_>, ty: ValType) -> Result<Vec<u64>> {
    let WastArg::Core(core) = argument else { bail!("unknown argument {argument:?}") };
    let (found, bits) = match core {
        WastArgCore::I32(value) => (ValType::I32, u64::from(*value as u32)),
        WastArgCore::I64(value) => (ValType::I64, *value as u64),
        WastArgCore::F32(value) => (ValType::F32, u64::from(value.bits)),
        WastArgCore::F64(value) => (ValType::F64, value.bits),
        WastArgCore::V128(value) => {
            ensure!(ty == ValType::V128, "a vector for a parameter of type {ty}");
            let bits = u128::from_le_bytes(value.to_le_bytes());
            return Ok(vec![bits as u64, (bits >> 64) as u64]);
        }
        WastArgCore::RefNull(heap) => (null_type(heap)?, 0),
        WastArgCore::RefExtern(value) => (ValType::EXTERNREF, 1 + u64::from(*value)),
        other => bail!("unknown argument {other:?}"),
    };
    // Of a reference that is not null, the text does not say that it cannot be.
    let fits = found.matches(ty) || (bits != 0 && ty.is_ref());
    ensure!(fits, "argument of type {found} for a parameter of type {ty}");
    Ok(vec![bits])
}

fn null_type(heap: &HeapType<'_>) -> Result<ValType> {
    use wast::core::AbstractHeapType as Abstract;
    match heap {
        HeapType::Abstract { ty, shared: false } => {
            let heap = match ty {
                Abstract::Func => Heap::Func,
                Abstract::NoFunc => Heap::NoFunc,
                Abstract::Extern => Heap::Extern,
                Abstract::NoExtern => Heap::NoExtern,
                Abstract::Exn => Heap::Exn,
                Abstract::NoExn => Heap::NoExn,
                other => bail!("unknown reference type {other:?}"),
            };
            Ok(ValType::Ref(RefType { nullable: true, heap }))
        }
        other => bail!("unknown reference type {other:?}"),
    }
}

/// Compares results, their number and types included.
pub(super) fn compare(results: &[u64], types: &[ValType], expected: &[WastRet<'_>]) -> Result<()> {
    ensure!(results.len() == slots(types) as usize, "{} result slots for {types:?}", results.len());
    ensure!(types.len() == expected.len(), "{} results, expected {}", types.len(), expected.len());
    let mut results = results.iter().map(|slot| u128::from(*slot));
    for (ty, expected) in types.iter().zip(expected) {
        let WastRet::Core(core) = expected else { bail!("unknown result {expected:?}") };
        let low = results.next().context("counted above")?;
        let high = if *ty == ValType::V128 { results.next().context("counted above")? } else { 0 };
        let bits = low | high << 64;
        ensure!(holds(bits, *ty, core)?, "result {bits:#x} of type {ty}, expected {core:?}");
    }
    Ok(())
}

/// Stricter than the patterns: the node has one NaN wherever the specification lets it choose. The sign of one that is
/// only to be canonical is left open, for `neg` of such a NaN.
fn f32_holds(bits: u32, expected: &NanPattern<F32>) -> bool {
    match expected {
        NanPattern::Value(value) => bits == value.bits,
        NanPattern::CanonicalNan => bits & (u32::MAX >> 1) == CANONICAL_F32,
        NanPattern::ArithmeticNan => bits == CANONICAL_F32,
    }
}

/// The same in double precision.
fn f64_holds(bits: u64, expected: &NanPattern<F64>) -> bool {
    match expected {
        NanPattern::Value(value) => bits == value.bits,
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == CANONICAL_F64,
        NanPattern::ArithmeticNan => bits == CANONICAL_F64,
    }
}

fn vector_holds(bits: u128, expected: &V128Pattern) -> bool {
    let bytes = bits.to_le_bytes();
    match expected {
        V128Pattern::I8x16(lanes) => bytes == lanes.map(|lane| lane as u8),
        V128Pattern::I16x8(lanes) => bytes == *lanes.map(i16::to_le_bytes).as_flattened(),
        V128Pattern::I32x4(lanes) => bytes == *lanes.map(i32::to_le_bytes).as_flattened(),
        V128Pattern::I64x2(lanes) => bytes == *lanes.map(i64::to_le_bytes).as_flattened(),
        V128Pattern::F32x4(lanes) => {
            lanes.iter().enumerate().all(|(i, lane)| f32_holds((bits >> (32 * i)) as u32, lane))
        }
        V128Pattern::F64x2(lanes) => {
            lanes.iter().enumerate().all(|(i, lane)| f64_holds((bits >> (64 * i)) as u64, lane))
        }
    }
}

fn holds(bits: u128, ty: ValType, expected: &WastRetCore<'_>) -> Result<bool> {
    if let WastRetCore::V128(pattern) = expected {
        return Ok(ty == ValType::V128 && vector_holds(bits, pattern));
    }
    if let WastRetCore::Either(any) = expected {
        return any.iter().try_fold(false, |held, one| Ok(held || holds(bits, ty, one)?));
    }
    let bits = u64::try_from(bits).context("a vector")?;
    let (wanted, equal) = match expected {
        WastRetCore::I32(value) => (ValType::I32, bits == u64::from(*value as u32)),
        WastRetCore::I64(value) => (ValType::I64, bits == *value as u64),
        WastRetCore::F32(pattern) => (ValType::F32, f32_holds(bits as u32, pattern)),
        WastRetCore::F64(pattern) => (ValType::F64, f64_holds(bits, pattern)),
        WastRetCore::RefNull(None) => (ty, ty.is_ref() && bits == 0),
        WastRetCore::RefNull(Some(heap)) => (null_type(heap)?, bits == 0),
        WastRetCore::RefExtern(None) => (ValType::EXTERNREF, bits != 0),
        WastRetCore::RefExtern(Some(value)) => (ValType::EXTERNREF, bits == 1 + u64::from(*value)),
        WastRetCore::RefFunc(None) => (ValType::FUNCREF, bits != 0),
        other => bail!("unknown result {other:?}"),
    };
    // A result may be of a narrower type than the text can say, a null of a wider one.
    Ok(equal && (ty.matches(wanted) || (bits == 0 && wanted.matches(ty))))
}
