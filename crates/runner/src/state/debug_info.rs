//! Source lines of code offsets, and the functions that were inlined there, from the DWARF sections of a module, when it has them.

use std::cell::OnceCell;

use addr2line::gimli::{
    self, AttributeValue, DW_AT_ranges, DW_TAG_inlined_subroutine, DW_TAG_subprogram, Dwarf, EndianSlice, LittleEndian,
    Section, UnitHeader, UnitRef,
};
use addr2line::{Context, Location};
use serde::Serialize;
use wasmparser::{Parser, Payload};

use crate::demangle::demangled;

type DwarfSlice<'a> = EndianSlice<'a, LittleEndian>;

/// What reading debug information may come to. Its parts may name others again and again: a small module could ask for all memory.
struct ReadingBudget {
    /// Bytes of abbreviations, read for each unit.
    abbreviations: usize,
    /// Bytes of line programs, each of which may become a line of 24 bytes.
    lines: usize,
    /// Ranges of addresses.
    ranges: usize,
    /// Attributes of entries, of which one may take no byte at all.
    attributes: usize,
}

impl ReadingBudget {
    const WHOLE: Self = Self { abbreviations: 256 << 20, lines: 16 << 20, ranges: 2 << 20, attributes: 64 << 20 };

    /// Takes what a unit comes to; none if that is too much, or nothing can be read.
    fn take(&mut self, dwarf: &Dwarf<DwarfSlice<'_>>, header: UnitHeader<DwarfSlice<'_>>) -> Option<()> {
        let table = dwarf.debug_abbrev.reader().slice().get(header.debug_abbrev_offset().0..)?;
        self.abbreviations = self.abbreviations.checked_sub(abbreviation_bytes(table))?;
        let unit = dwarf.unit(header).ok()?;
        if let Some(program) = &unit.line_program {
            self.lines = self.lines.checked_sub(program.header().raw_program_buf().len())?;
        }
        let mut ranges = dwarf.unit_ranges(&unit).ok()?;
        while ranges.next().ok()?.is_some() {
            self.ranges = self.ranges.checked_sub(1)?;
        }
        Some(())
    }

    /// Takes what the functions of a unit come to.
    fn take_functions(&mut self, dwarf: &Dwarf<DwarfSlice<'_>>, header: UnitHeader<DwarfSlice<'_>>) -> Option<()> {
        let unit = dwarf.unit(header).ok()?;
        let unit = unit.unit_ref(dwarf);
        let mut entries = unit.entries_raw(None).ok()?;
        while !entries.is_empty() {
            let Some(abbreviation) = entries.read_abbreviation().ok()? else { continue };
            let is_function = [DW_TAG_subprogram, DW_TAG_inlined_subroutine].contains(&abbreviation.tag());
            if entries.next_depth() > MOST_DEPTH {
                return None;
            }
            for specification in abbreviation.attributes() {
                self.attributes = self.attributes.checked_sub(1)?;
                let attribute = entries.read_attribute(*specification).ok()?;
                if is_function && attribute.name() == DW_AT_ranges {
                    self.take_ranges(unit, attribute.value())?;
                }
            }
        }
        Some(())
    }

    fn take_ranges<'a>(
        &mut self,
        unit: UnitRef<'_, DwarfSlice<'a>>,
        list: AttributeValue<DwarfSlice<'a>>,
    ) -> Option<()> {
        let Some(mut ranges) = unit.attr_ranges(list).ok()? else { return Some(()) };
        while ranges.next().ok()?.is_some() {
            self.ranges = self.ranges.checked_sub(1)?;
        }
        Some(())
    }
}

/// Most entries around another one: those of functions are read by recursion.
const MOST_DEPTH: isize = 256;
/// Most functions that are shown of those inlined into one another.
const MOST_INLINED: usize = 64;

/// What is taken of a unit.
type Take<'a> = fn(&mut ReadingBudget, &Dwarf<DwarfSlice<'a>>, UnitHeader<DwarfSlice<'a>>) -> Option<()>;

/// Whether all of it can be read in memory and time in proportion to real programs.
fn is_bounded<'a>(dwarf: &Dwarf<DwarfSlice<'a>>, take: Take<'a>) -> bool {
    let mut budget = ReadingBudget::WHOLE;
    let mut units = dwarf.units();
    loop {
        match units.next() {
            Ok(Some(header)) if take(&mut budget, dwarf, header).is_some() => {}
            Ok(None) => return true,
            _ => return false,
        }
    }
}

/// Bytes of a table of abbreviations, up to the 0 that ends it (DWARF 5, section 7.5.3).
fn abbreviation_bytes(table: &[u8]) -> usize {
    /// `DW_FORM_implicit_const`, after which a number stands.
    const IMPLICIT: u64 = 0x21;
    let mut rest = table;
    let number = |rest: &mut &[u8]| {
        let mut value = 0;
        let mut shift = 0;
        while let Some((byte, after)) = rest.split_first() {
            *rest = after;
            value |= if shift < 64 { u64::from(byte & 0x7f) << shift } else { 0 };
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    };
    // Code, tag, one byte, then pairs of attribute and form.
    while number(&mut rest) != 0 {
        number(&mut rest);
        rest = rest.get(1..).unwrap_or_default();
        loop {
            let (attribute, form) = (number(&mut rest), number(&mut rest));
            if form == IMPLICIT {
                number(&mut rest);
            }
            if (attribute, form) == (0, 0) {
                break;
            }
        }
    }
    table.len() - rest.len()
}

/// A function that runs somewhere, and how far it has come there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceFrame {
    /// Its name, as the source has it.
    pub function: Option<String>,
    /// `file:line:column`, as far as they are known.
    pub source: Option<String>,
}

/// The source lines of a module.
pub struct SourceLines<'a> {
    context: Option<Context<DwarfSlice<'a>>>,
    sections: Vec<(&'a str, &'a [u8])>,
    /// Whether the functions can be read too; they need not be for lines.
    has_functions: OnceCell<bool>,
    /// Where the code section's contents start: what DWARF counts from.
    code: u64,
}

impl<'a> SourceLines<'a> {
    /// Those of a valid module; of one without debug information there are none.
    pub fn new(module: &'a [u8]) -> Self {
        let mut sections: Vec<(&str, &[u8])> = Vec::new();
        let mut code = 0;
        for payload in Parser::new(0).parse_all(module) {
            match payload {
                Ok(Payload::CodeSectionStart { range, .. }) => code = u64::try_from(range.start).unwrap_or(0),
                Ok(Payload::CustomSection(section)) => sections.push((section.name(), section.data())),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let has_lines = sections.iter().any(|(name, _)| *name == ".debug_line");
        let dwarf =
            has_lines.then(|| dwarf(&sections).filter(|dwarf| is_bounded(dwarf, ReadingBudget::take))).flatten();
        let context = dwarf.and_then(|dwarf| Context::from_dwarf(dwarf).ok());
        Self { context, sections, has_functions: OnceCell::new(), code }
    }

    /// `file:line` of an offset in the module.
    pub fn line(&self, offset: u32) -> Option<String> {
        let found = self.context.as_ref()?.find_location(self.address(offset)?).ok()??;
        shown(&Location { column: None, ..found })
    }

    /// The functions at an offset in the module: those that were inlined, innermost first, and then the one that they were
    /// inlined into. None where nothing is known.
    pub fn frames(&self, offset: u32) -> Vec<SourceFrame> {
        let (Some(context), Some(address)) = (&self.context, self.address(offset)) else { return Vec::new() };
        let can_read = || dwarf(&self.sections).is_some_and(|dwarf| is_bounded(&dwarf, ReadingBudget::take_functions));
        if !*self.has_functions.get_or_init(can_read) {
            let source = context.find_location(address).ok().flatten().and_then(|place| shown(&place));
            return source.map(|source| SourceFrame { function: None, source: Some(source) }).into_iter().collect();
        }
        let mut frames = Vec::new();
        let Ok(mut found) = context.find_frames(address).skip_all_loads() else { return frames };
        while let Ok(Some(frame)) = found.next() {
            let name = frame.function.as_ref().and_then(|function| function.raw_name().ok());
            let source = frame.location.as_ref().and_then(shown);
            if frames.len() < MOST_INLINED && (name.is_some() || source.is_some()) {
                frames.push(SourceFrame { function: name.map(|name| demangled(&name)), source });
            }
        }
        frames
    }

    /// An offset in the module as DWARF counts.
    fn address(&self, offset: u32) -> Option<u64> {
        u64::from(offset).checked_sub(self.code)
    }
}

fn dwarf<'a>(sections: &[(&str, &'a [u8])]) -> Option<Dwarf<DwarfSlice<'a>>> {
    let find = |name: &str| sections.iter().find(|(found, _)| *found == name).map_or(&[][..], |(_, data)| *data);
    let load = |id: gimli::SectionId| Ok::<_, gimli::Error>(EndianSlice::new(find(id.name()), LittleEndian));
    Dwarf::load(load).ok()
}

/// A place in a source, as far as it is known.
fn shown(place: &Location<'_>) -> Option<String> {
    Some(match (place.file?, place.line, place.column.filter(|column| *column > 0)) {
        (file, Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        (file, Some(line), None) => format!("{file}:{line}"),
        (file, None, _) => file.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with the debug information of so many units, all of which name one list of so many ranges.
    fn module(units: u32, ranges: u32) -> Vec<u8> {
        // DW_TAG_compile_unit without children: DW_AT_ranges as an offset.
        let abbreviations = vec![1, 0x11, 0, 0x55, 0x17, 0, 0, 0];
        // Length, version 4, abbreviations at 0, addresses of 4 bytes, code 1, ranges at 0.
        let unit = [12, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
        let list = (1..=ranges).flat_map(|at| [2 * at, 2 * at + 1]).chain([0, 0]);
        let sections = [
            (".debug_abbrev", abbreviations),
            (".debug_info", unit.repeat(units as usize)),
            (".debug_ranges", list.flat_map(u32::to_le_bytes).collect()),
            (".debug_line", vec![0]),
        ];
        let text = sections.map(|(name, bytes)| {
            let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
            format!("(@custom \"{name}\" \"{bytes}\")")
        });
        wat::parse_str(format!("(module {})", text.concat())).unwrap()
    }

    #[test]
    fn units_that_share_a_long_list_are_not_read_where_they_come_to_too_much() {
        assert!(SourceLines::new(&module(100, 1000)).context.is_some());
        assert!(SourceLines::new(&module(3000, 1000)).context.is_none(), "60 KB that come to 3,000,000 ranges");
    }

    #[test]
    fn a_table_of_abbreviations_ends_at_its_0() {
        // Code 1, tag, children, one attribute of an implicit constant, and its end; then the 0, and another table.
        let table = [1, 0x11, 0, 0x55, 0x21, 0x7f, 0, 0, 0, 9, 9];
        assert_eq!(abbreviation_bytes(&table), 9);
        assert_eq!((abbreviation_bytes(&[]), abbreviation_bytes(&[1, 0x11, 1, 0x80])), (0, 4));
    }
}
