//! What stands in for imported functions that nothing provides: AssemblyScript's `abort`, and stubs where the job asks for them.
//! They have no state. A module that is linked under the name comes before them.

use stepmark_core::host::{GuestMemory, GuestMemoryExt, Work};
use stepmark_core::module::{ExternType, FuncType, Import, Module, ValType};

/// Numbers of host functions from here on stand in for an import: its number in its module is what is added.
pub const FIRST: u32 = 1 << 20;

/// Bytes of a text of `abort` that are shown, two a unit.
const MOST_TEXT: u32 = 512;

/// The function that an import asks for.
fn import(module: &Module, number: u32) -> Option<(&Import, &FuncType)> {
    let import = module.imports().get(number as usize)?;
    match &import.ty {
        ExternType::Func(ty) => Some((import, ty)),
        _ => None,
    }
}

fn is_abort(import: &Import, ty: &FuncType) -> bool {
    import.module == "env" && import.name == "abort" && ty.params == [ValType::I32; 4] && ty.results.is_empty()
}

/// Number of what stands in for an import of `module`, if anything does.
pub fn find(module: &Module, number: u32) -> Option<u32> {
    let (import, ty) = import(module, number)?;
    let is_there = is_abort(import, ty) || module.features().unknown_imports().is_some();
    FIRST.checked_add(number).filter(|_| is_there)
}

/// Work of a call of what stands in for an import: for `abort`, whatever its texts are.
pub fn work(module: &Module, number: u32) -> Work {
    match import(module, number) {
        Some((import, ty)) if is_abort(import, ty) => Work::moving(2 * u64::from(MOST_TEXT)),
        _ => Work::NONE,
    }
}

/// Calls what stands in for an import: the slots of its results.
///
/// # Errors
/// Why the program traps: it has called `abort`, the job says so, or a result has no zero.
pub fn call(module: &Module, number: u32, args: &[u64], memory: &dyn GuestMemory) -> Result<Vec<u64>, String> {
    let Some((import, ty)) = import(module, number) else { unreachable!("BUG: what is linked is an import") };
    if is_abort(import, ty) {
        return Err(abort_text(args, memory));
    }
    let has_zero = |ty: &ValType| !matches!(ty, ValType::Ref(reference) if !reference.nullable);
    if module.features().unknown_imports() == Some(true) && ty.results.iter().all(has_zero) {
        return Ok(vec![0; ty.result_slots() as usize]);
    }
    Err(format!("unknown import {:?}.{:?}", import.module, import.name))
}

/// What a call `abort(message, file, line, column)` says.
fn abort_text(args: &[u64], memory: &dyn GuestMemory) -> String {
    let [message, file, line, column] = args else { return String::new() };
    let mut said = "abort".to_owned();
    append(&mut said, ": ", *message, memory);
    append(&mut said, " at ", *file, memory);
    format!("{said}:{line}:{column}")
}

/// Appends a string of AssemblyScript, and what stands before it, if there is one at `at`: units of 16 bits, in front of them
/// their length in bytes.
fn append(said: &mut String, before: &str, at: u64, memory: &dyn GuestMemory) -> Option<()> {
    let length = memory.read_u32(at.checked_sub(4)?)?.min(MOST_TEXT);
    let units = memory.read(at, length.into())?.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    said.push_str(before);
    for unit in char::decode_utf16(units) {
        said.push(unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepmark_core::host::test_memory::VecMemory;
    use stepmark_core::module::Features;

    fn module(text: &str, unknown_imports: Option<bool>) -> Module {
        let mut features = Features::default();
        unknown_imports.iter().for_each(|zeros| features.set("unknown-imports", *zeros).unwrap());
        Module::parse(wat::parse_str(text).unwrap(), features).unwrap()
    }

    /// What stands in for the first import.
    fn found(text: &str, unknown_imports: Option<bool>) -> Option<u32> {
        let module = module(text, unknown_imports);
        find(&module, 0)
    }

    #[test]
    fn abort_is_there_by_name_and_type_and_all_else_if_the_job_says_so() {
        let abort = r#"(module (import "env" "abort" (func (param i32 i32 i32 i32))))"#;
        let others = [
            r#"(module (import "env" "abort" (func)))"#,
            r#"(module (import "env" "abort" (func (param i32 i32 i32 i32) (result i32))))"#,
            r#"(module (import "env" "seed" (func (result f64))))"#,
        ];
        for unknown_imports in [None, Some(false), Some(true)] {
            assert_eq!(found(abort, unknown_imports), Some(FIRST));
            for other in others {
                assert_eq!(found(other, unknown_imports), unknown_imports.map(|_| FIRST), "{other}");
            }
            assert_eq!(found(r#"(module (import "env" "m" (memory 1)))"#, unknown_imports), None, "no function");
        }
    }

    #[test]
    fn a_stub_returns_a_zero_of_each_type_or_traps_and_names_itself() {
        let text = r#"(module (import "a" "m" (memory 1)) (import "a" "f" (func (result i32 v128 externref)))
            (type $t (func)) (import "a" "g" (func (result (ref $t)))) (import "a" "h" (func)))"#;
        let answers = |unknown_imports| {
            let (module, memory) = (module(text, unknown_imports), VecMemory::new(0));
            [1, 2, 3].map(|import| call(&module, import, &[], &memory))
        };
        let refused = |name: &str| Err(format!("unknown import \"a\".\"{name}\""));
        assert_eq!(answers(Some(true)), [Ok(vec![0; 4]), refused("g"), Ok(Vec::new())], "no reference is a function");
        assert_eq!(answers(Some(false)), ["f", "g", "h"].map(refused));
    }

    /// A memory with a string at 20, `prefix` being what it says of its length.
    fn memory(prefix: u32, units: &[u16]) -> VecMemory {
        let mut memory = VecMemory::new(4096);
        memory.write_u32(16, prefix);
        memory.write(20, &units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>());
        memory
    }

    #[test]
    fn abort_says_its_message_and_its_place() {
        let units: Vec<u16> = "no \u{1f980}".encode_utf16().collect();
        let memory = memory(10, &units);
        let module = module(r#"(module (import "env" "abort" (func (param i32 i32 i32 i32))))"#, Some(true));
        let said = |args: [u64; 4]| call(&module, 0, &args, &memory).unwrap_err();
        assert_eq!(said([20, 20, 3, 7]), "abort: no \u{1f980} at no \u{1f980}:3:7");
        assert_eq!(said([0, 20, 3, 7]), "abort at no \u{1f980}:3:7");
        assert_eq!(said([0, 0, 0, 0]), "abort:0:0");
    }

    #[test]
    fn a_message_that_is_none_or_too_long_is_left_out_or_cut() {
        let of = |memory: &VecMemory, at: u64| {
            let mut said = String::new();
            append(&mut said, "", at, memory);
            said
        };
        assert_eq!(of(&memory(u32::MAX, &[65; 400]), 20), "A".repeat(256), "cut");
        assert_eq!(of(&memory(3, &[65, 66]), 20), "A", "half a unit is none");
        assert_eq!(of(&memory(4, &[0xd800, 66]), 20), "\u{fffd}B", "half a pair");
        let memory = memory(8, &[65; 4]);
        for at in [0, 3, 4095, 4096, 4100, u64::from(u32::MAX)] {
            assert_eq!(of(&memory, at), "", "{at}");
        }
    }

    #[test]
    fn what_is_read_has_been_paid() {
        let memory = memory(u32::MAX, &[65; 400]);
        let written = memory.moved.get();
        abort_text(&[20, 20, 0, 0], &memory);
        let read = memory.moved.get() - written;
        let module =
            module(r#"(module (import "env" "abort" (func (param i32 i32 i32 i32))) (import "a" "f" (func)))"#, None);
        assert!(read <= work(&module, 0).bytes + 8, "{read} bytes");
        assert_eq!(work(&module, 1), Work::NONE);
    }
}
