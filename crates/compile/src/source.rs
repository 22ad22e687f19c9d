//! What the emitter reads of the program's bytes beside decoded bodies: types of locals and blocks, codes of operators.

use stepmark_core::code::Instr;
use stepmark_core::module::{Module, ValType};

use crate::rules::Num;

/// Byte that begins the instructions of a second table of codes.
const MISCELLANEOUS: u8 = 0xfc;

/// Reads a number of variable length from the front of bytes that have been validated; the number, and what follows.
fn unsigned(mut bytes: &[u8]) -> (u64, &[u8]) {
    let (mut value, mut shift) = (0, 0);
    while let [byte, rest @ ..] = bytes {
        bytes = rest;
        if shift < 64 {
            value |= u64::from(byte & 0x7f) << shift;
        }
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value, bytes)
}

/// The code of the type of vectors.
const VECTOR: u8 = 0x7b;

fn num_of_code(code: u8) -> Option<Num> {
    Some(match code {
        0x7f => Num::I32,
        0x7e => Num::I64,
        0x7d => Num::F32,
        0x7c => Num::F64,
        _ => return None,
    })
}

/// What the slots of a function's locals hold, parameters first, if there are at most `most` and all parameters are numbers. A
/// local that compiled code does not work with has slots without a type.
pub(crate) fn locals(module: &Module, func: u32, most: u32) -> Option<Vec<Option<Num>>> {
    let params = Num::list(&module.func_type(func).params)?;
    let mut locals: Vec<_> = params.into_iter().map(Some).collect();
    let (groups, mut bytes) = unsigned(&module.bytes()[module.body(func)?]);
    for _ in 0..groups {
        let (count, rest) = unsigned(bytes);
        let (code, rest) = rest.split_first()?;
        // A typed reference names what it refers to.
        bytes = if matches!(code, 0x63 | 0x64) { unsigned(rest).1 } else { rest };
        let slots = count * if *code == VECTOR { 2 } else { 1 };
        if count > u64::from(most) || locals.len() as u64 + slots > u64::from(most) {
            return None;
        }
        locals.extend(std::iter::repeat_n(num_of_code(*code), slots as usize));
    }
    Some(locals)
}

/// Types of the parameters and results of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockTypes {
    pub(crate) params: Vec<Num>,
    pub(crate) results: Vec<Num>,
}

/// The types of a `block`, `loop` or `if`, if compiled code works with all of them.
pub(crate) fn block_types(module: &Module, instr: &Instr) -> Option<BlockTypes> {
    let bytes = &module.bytes()[instr.offset as usize + 1..];
    match bytes[0] {
        0x40 => Some(BlockTypes::default()),
        // The index of a type is not negative: its sign is the seventh bit of its last byte.
        code if code & 0xc0 == 0x40 => Some(BlockTypes { params: Vec::new(), results: vec![num_of_code(code)?] }),
        _ => {
            let ty = &module.types()[unsigned(bytes).0 as usize];
            let types: &[ValType] = &ty.params;
            Some(BlockTypes { params: Num::list(types)?, results: Num::list(&ty.results)? })
        }
    }
}

/// How many constructs a `br` or `br_if` goes out of.
pub(crate) fn branch_depth(module: &Module, instr: &Instr) -> u32 {
    unsigned(&module.bytes()[instr.offset as usize + 1..]).0 as u32
}

/// How many constructs each branch of a `br_table` goes out of, the default last.
pub(crate) fn branch_depths(module: &Module, instr: &Instr) -> Vec<u32> {
    let (count, mut bytes) = unsigned(&module.bytes()[instr.offset as usize + 1..]);
    let mut next = |_| {
        let (depth, rest) = unsigned(bytes);
        bytes = rest;
        depth as u32
    };
    (0..=count).map(&mut next).collect()
}

/// Appends the code of an operator without immediates.
pub(crate) fn copy_operator(module: &Module, instr: &Instr, code: &mut Vec<u8>) {
    let bytes = &module.bytes()[instr.offset as usize..];
    code.push(bytes[0]);
    if bytes[0] == MISCELLANEOUS {
        // Those of one byte are all that the emitter has: the saturating truncations.
        code.push(unsigned(&bytes[1..]).0 as u8);
    }
}

/// The first byte of an instruction.
pub(crate) fn code_of(module: &Module, instr: &Instr) -> u8 {
    module.bytes()[instr.offset as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_however_long_they_are_written() {
        assert_eq!(unsigned(&[0x05, 9]), (5, &[9][..]));
        assert_eq!(unsigned(&[0x85, 0x80, 0x00, 9]), (5, &[9][..]));
        assert_eq!(unsigned(&[0xe5, 0x8e, 0x26]), (624_485, &[][..]));
    }
}
