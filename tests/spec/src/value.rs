//! Arguments and expected results. A host reference of number n is the slot 1 + n, so that none is null.

use anyhow::{Result, bail, ensure};
use guest_interp::module::ValType;
use wast::core::{HeapType, NanPattern, WastArgCore, WastRetCore};
use wast::{WastArg, WastRet};

/// The one NaN of the deterministic profile.
const CANONICAL_F32: u32 = 0x7fc0_0000;
/// The same in double precision.
const CANONICAL_F64: u64 = 0x7ff8_0000_0000_0000;

/// The bit pattern of an argument, checked against the parameter's type.
pub(super) fn argument(argument: &WastArg<'_>, ty: ValType) -> Result<u64> {
    let WastArg::Core(core) = argument else { bail!("unknown argument {argument:?}") };
    let (found, bits) = match core {
        WastArgCore::I32(value) => (ValType::I32, u64::from(*value as u32)),
        WastArgCore::I64(value) => (ValType::I64, *value as u64),
        WastArgCore::F32(value) => (ValType::F32, u64::from(value.bits)),
        WastArgCore::F64(value) => (ValType::F64, value.bits),
        WastArgCore::RefNull(heap) => (null_type(heap)?, 0),
        WastArgCore::RefExtern(value) => (ValType::ExternRef, 1 + u64::from(*value)),
        other => bail!("unknown argument {other:?}"),
    };
    ensure!(found == ty, "argument of type {found} for a parameter of type {ty}");
    Ok(bits)
}

fn null_type(heap: &HeapType<'_>) -> Result<ValType> {
    use wast::core::AbstractHeapType as Abstract;
    match heap {
        HeapType::Abstract { ty: Abstract::Func, shared: false } => Ok(ValType::FuncRef),
        HeapType::Abstract { ty: Abstract::Extern, shared: false } => Ok(ValType::ExternRef),
        other => bail!("unknown reference type {other:?}"),
    }
}

/// Compares results, their number and types included.
pub(super) fn compare(results: &[u64], types: &[ValType], expected: &[WastRet<'_>]) -> Result<()> {
    ensure!(results.len() == types.len(), "{} results for {} result types", results.len(), types.len());
    ensure!(results.len() == expected.len(), "{} results, expected {}", results.len(), expected.len());
    for ((bits, ty), expected) in results.iter().zip(types).zip(expected) {
        let WastRet::Core(core) = expected else { bail!("unknown result {expected:?}") };
        ensure!(holds(*bits, *ty, core)?, "result {bits:#x} of type {ty}, expected {core:?}");
    }
    Ok(())
}

fn holds(bits: u64, ty: ValType, expected: &WastRetCore<'_>) -> Result<bool> {
    let (wanted, equal) = match expected {
        WastRetCore::I32(value) => (ValType::I32, bits == u64::from(*value as u32)),
        WastRetCore::I64(value) => (ValType::I64, bits == *value as u64),
        WastRetCore::F32(NanPattern::Value(value)) => (ValType::F32, bits == u64::from(value.bits)),
        WastRetCore::F64(NanPattern::Value(value)) => (ValType::F64, bits == value.bits),
        // Stricter than the patterns: the node has one NaN wherever the specification lets it choose.
        WastRetCore::F32(_) => (ValType::F32, bits == u64::from(CANONICAL_F32)),
        WastRetCore::F64(_) => (ValType::F64, bits == CANONICAL_F64),
        WastRetCore::RefNull(None) => (ty, ty.is_ref() && bits == 0),
        WastRetCore::RefNull(Some(heap)) => (null_type(heap)?, bits == 0),
        WastRetCore::RefExtern(None) => (ValType::ExternRef, bits != 0),
        WastRetCore::RefExtern(Some(value)) => (ValType::ExternRef, bits == 1 + u64::from(*value)),
        WastRetCore::RefFunc(None) => (ValType::FuncRef, bits != 0),
        WastRetCore::Either(any) => {
            for one in any {
                if holds(bits, ty, one)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        other => bail!("unknown result {other:?}"),
    };
    Ok(wanted == ty && equal)
}
