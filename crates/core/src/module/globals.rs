//! Globals whose initial value is a vector. wasmparser's own vector instructions would make the node an eighth larger
//! (RATIONALE.md), so it is built without them: such a global is shown to the validator as an i32, and where bodies use it,
//! as the v128 that it is.

use std::collections::BTreeSet;
use std::ops::Range;

use wasmparser::{BinaryReader, ConstExpr, GlobalSectionReader, GlobalType, Payload, ValType};

use super::parse::{invalid, malformed};
use stepmark_state::error::JobError;

/// Prefix of vector instructions.
const VECTOR: u8 = 0xfd;
/// The number of `v128.const` after it.
const V128_CONST: u32 = 0x0c;
const GLOBAL_GET: u8 = 0x23;
const END: u8 = 0x0b;

/// The entries of a global section: type, and where the initial expression lies in the module.
pub(super) struct GlobalEntries<'a> {
    bytes: &'a [u8],
    reader: BinaryReader<'a>,
    left: u32,
}

impl<'a> GlobalEntries<'a> {
    pub(super) fn new(section: &GlobalSectionReader<'_>, bytes: &'a [u8]) -> Result<Self, JobError> {
        let range = section.range();
        let mut reader = BinaryReader::new(&bytes[range.clone()], range.start);
        let left = reader.read_var_u32().map_err(malformed)?;
        Ok(Self { bytes, reader, left })
    }

    fn entry(&mut self) -> Result<(GlobalType, Range<usize>), JobError> {
        let ty = self.reader.read::<GlobalType>().map_err(malformed)?;
        let start = self.reader.original_position();
        if self.bytes.get(start) == Some(&VECTOR) {
            skip_vector(&mut self.reader)?;
        } else {
            self.reader.read::<ConstExpr<'_>>().map_err(malformed)?;
        }
        Ok((ty, start..self.reader.original_position()))
    }
}

impl Iterator for GlobalEntries<'_> {
    type Item = Result<(GlobalType, Range<usize>), JobError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.entry())
    }
}

/// Skips `v128.const` and the end of the expression.
fn skip_vector(reader: &mut BinaryReader<'_>) -> Result<(), JobError> {
    let start = reader.original_position();
    reader.read_u8().map_err(malformed)?;
    let right = reader.read_var_u32().map_err(malformed)? == V128_CONST
        && reader.read_bytes(16).is_ok()
        && reader.read_u8().map_err(malformed)? == END;
    if right { Ok(()) } else { Err(invalid("constant expression required: a vector constant alone", start)) }
}

/// A global section without vector constants.
pub(super) struct Section {
    bytes: Vec<u8>,
    /// Where the section that it stands for lies in the module.
    offset: usize,
}

impl Section {
    pub(super) fn reader(&self) -> Result<GlobalSectionReader<'_>, JobError> {
        GlobalSectionReader::new(BinaryReader::new(&self.bytes, self.offset)).map_err(malformed)
    }
}

/// The section to show to the validator, if this is one with vector constants, and the globals that are hidden in it.
///
/// # Errors
/// A program error if the section cannot be read.
pub(super) fn without_vectors(
    payload: &Payload<'_>,
    bytes: &[u8],
    imported: u32,
    simd: bool,
) -> Result<Option<(Section, BTreeSet<u32>)>, JobError> {
    let Payload::GlobalSection(section) = payload else { return Ok(None) };
    let range = section.range();
    if !simd || !bytes[range.clone()].contains(&VECTOR) {
        return Ok(None);
    }
    let mut shown = Vec::with_capacity(range.len());
    let mut entries = GlobalEntries::new(section, bytes)?;
    shown.extend_from_slice(&bytes[range.start..entries.reader.original_position()]);
    let mut hidden = BTreeSet::new();
    let mut index = imported;
    loop {
        let start = entries.reader.original_position();
        let Some(entry) = entries.next() else { break };
        let (ty, init) = entry?;
        let is_constant = bytes[init.start] == VECTOR;
        if ty.content_type == ValType::V128 && (is_constant || copies(&bytes[init.clone()], &hidden)) {
            hidden.insert(index);
            // An i32 as mutable as the vector: the value 0, or a copy of another one, where the validator allows that.
            shown.extend_from_slice(&[0x7f, u8::from(ty.mutable)]);
            shown.extend_from_slice(if is_constant { &[0x41, 0x00, END] } else { &bytes[init.clone()] });
        } else {
            shown.extend_from_slice(&bytes[start..init.end]);
        }
        index += 1;
    }
    shown.extend_from_slice(&bytes[entries.reader.original_position()..range.end]);
    Ok((!hidden.is_empty()).then_some((Section { bytes: shown, offset: range.start }, hidden)))
}

/// Whether the expression is a copy of one of these globals.
fn copies(expr: &[u8], hidden: &BTreeSet<u32>) -> bool {
    let mut reader = BinaryReader::new(expr, 0);
    let is_get = reader.read_u8().is_ok_and(|code| code == GLOBAL_GET);
    let global = reader.read_var_u32();
    is_get && global.is_ok_and(|index| hidden.contains(&index)) && reader.read_u8().is_ok_and(|code| code == END)
}
