//! Source lines of code offsets, and the functions that were inlined there, from the DWARF sections of a module, when it has them.

use std::cell::OnceCell;
use std::ops::Range;

use addr2line::gimli::{
    self, AttributeValue, DW_AT_ranges, DW_TAG_inlined_subroutine, DW_TAG_subprogram, Dwarf, EndianSlice,
    LineProgramHeader, LittleEndian, Section, Unit, UnitHeader, UnitRef,
};
use addr2line::{Context, Location};
use serde::Serialize;
use wasmparser::{Parser, Payload};

use crate::demangle::demangled;

type DwarfSlice<'a> = EndianSlice<'a, LittleEndian>;

/// What reading debug information may still come to, in bytes of memory or of what is looked at. Its parts may name others again
/// and again: a small module could ask for all memory, or for hours.
struct ReadingBudget(usize);

impl ReadingBudget {
    const WHOLE: Self = Self(192 << 20);
    /// An abbreviation or an attribute of one, which each unit reads.
    const ABBREVIATION: usize = 96;
    /// A byte of a line program, which may become a line.
    const LINE: usize = 24;
    /// A directory or a file, beside its path.
    const FILE: usize = 128;
    /// An entry of a list of ranges, also one that is skipped.
    const RANGE: usize = 96;
    /// An attribute of an entry, which may take no byte at all.
    const ATTRIBUTE: usize = 4;

    /// Takes so many things of a size; none if that is too much.
    fn spend(&mut self, count: usize, size: usize) -> Option<()> {
        self.0 = self.0.checked_sub(count.checked_mul(size)?)?;
        Some(())
    }

    /// A unit, whose name and directory are looked through to their ends.
    fn unit<'a>(
        &mut self,
        dwarf: &Dwarf<DwarfSlice<'a>>,
        header: UnitHeader<DwarfSlice<'a>>,
    ) -> Option<Unit<DwarfSlice<'a>>> {
        let unit = dwarf.unit(header).ok()?;
        let length = |text: &Option<DwarfSlice<'a>>| text.as_ref().map_or(0, |text| text.len());
        self.spend(length(&unit.name).checked_add(length(&unit.comp_dir))?, 1)?;
        Some(unit)
    }

    /// Takes what a unit comes to; none if that is too much, or nothing can be read.
    fn take(&mut self, dwarf: &Dwarf<DwarfSlice<'_>>, header: UnitHeader<DwarfSlice<'_>>) -> Option<()> {
        let table = dwarf.debug_abbrev.reader().slice().get(header.debug_abbrev_offset().0..)?;
        self.spend(abbreviations(table), Self::ABBREVIATION)?;
        let unit = self.unit(dwarf, header)?;
        let unit = unit.unit_ref(dwarf);
        if let Some(program) = &unit.line_program {
            let header = program.header();
            self.spend(header.raw_program_buf().len(), Self::LINE)?;
            self.take_paths(unit, header)?;
        }
        let mut entries = unit.entries_raw(None).ok()?;
        let Some(abbreviation) = entries.read_abbreviation().ok()? else { return Some(()) };
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification).ok()?;
            if attribute.name() == DW_AT_ranges {
                self.take_ranges(unit, attribute.value())?;
            }
        }
        Some(())
    }

    /// Takes the paths of the files that the lines of a unit are in: each the directories before it and its name.
    fn take_paths<'a>(
        &mut self,
        unit: UnitRef<'_, DwarfSlice<'a>>,
        header: &LineProgramHeader<DwarfSlice<'a>>,
    ) -> Option<()> {
        let length = |value| unit.attr_string(value).map_or(0, |text| text.len());
        let mut directories = Vec::new();
        for value in header.include_directories() {
            directories.push(length(*value));
            self.spend(1, directories.last()?.checked_add(Self::FILE)?)?;
        }
        let root = unit.comp_dir.map_or(0, |directory| directory.len());
        for file in header.file_names() {
            // Version 4 counts from 1 where 5 counts from 0.
            let at = usize::try_from(file.directory_index()).unwrap_or(usize::MAX);
            let of = |at: usize| directories.get(at).copied().unwrap_or(0);
            let before = of(at).max(of(at.wrapping_sub(1)));
            let path = root.checked_add(before)?.checked_add(length(file.path_name()))?;
            // Put together, and again when it is kept.
            self.spend(2, path.checked_add(Self::FILE)?)?;
        }
        Some(())
    }

    /// Takes what the functions of a unit come to.
    fn take_functions(&mut self, dwarf: &Dwarf<DwarfSlice<'_>>, header: UnitHeader<DwarfSlice<'_>>) -> Option<()> {
        let unit = self.unit(dwarf, header)?;
        let unit = unit.unit_ref(dwarf);
        let mut entries = unit.entries_raw(None).ok()?;
        while !entries.is_empty() {
            let Some(abbreviation) = entries.read_abbreviation().ok()? else { continue };
            let is_function = [DW_TAG_subprogram, DW_TAG_inlined_subroutine].contains(&abbreviation.tag());
            if entries.next_depth() > MOST_DEPTH {
                return None;
            }
            for specification in abbreviation.attributes() {
                self.spend(1, Self::ATTRIBUTE)?;
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
        let Some(offset) = unit.attr_ranges_offset(list).ok()? else { return Some(()) };
        let mut ranges = unit.raw_ranges(offset).ok()?;
        while ranges.next().ok()?.is_some() {
            self.spend(1, Self::RANGE)?;
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

/// Abbreviations of a table, up to the 0 that ends it (DWARF 5, section 7.5.3), and their attributes.
fn abbreviations(table: &[u8]) -> usize {
    /// `DW_FORM_implicit_const`, after which a number stands.
    const IMPLICIT: u64 = 0x21;
    let mut rest = table;
    let mut count = 0;
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
        count += 1;
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
            count += 1;
        }
    }
    count
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

    /// The code of a line of the files whose path ends with `file`, as byte offsets in the module; of the next line that has code
    /// where it has none, and which line that is.
    pub fn code_of(&self, file: &str, line: u32) -> Option<(u32, Vec<Range<u32>>)> {
        let ends_with = |path: &str| path.strip_suffix(file).is_some_and(|dir| dir.is_empty() || dir.ends_with('/'));
        let (mut found, mut ranges) = (u32::MAX, Vec::new());
        for (address, length, place) in self.context.as_ref()?.find_location_range(0, u64::MAX).ok()? {
            let at = place.line.filter(|at| (line..=found).contains(at) && place.file.is_some_and(ends_with));
            let Some(at) = at else { continue };
            if at < found {
                (found, ranges) = (at, Vec::new());
            }
            let end = u32::try_from(self.code.saturating_add(address).saturating_add(length)).ok();
            let start = u32::try_from(self.code.saturating_add(address)).ok();
            ranges.extend(start.zip(end).map(|(start, end)| start..end));
        }
        ranges.sort_by_key(|range| (range.start, range.end));
        ranges.dedup_by(|next, last| {
            let goes_on = next.start <= last.end;
            last.end = if goes_on { last.end.max(next.end) } else { last.end };
            goes_on
        });
        (!ranges.is_empty()).then_some((found, ranges))
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
        let list = (1..=ranges).flat_map(|at| [2 * at, 2 * at + 1]).chain([0, 0]);
        module_with(units, list.flat_map(u32::to_le_bytes).collect())
    }

    fn module_with(units: u32, list: Vec<u8>) -> Vec<u8> {
        // DW_TAG_compile_unit without children: DW_AT_ranges as an offset.
        let abbreviations = vec![1, 0x11, 0, 0x55, 0x17, 0, 0, 0];
        // Length, version 4, abbreviations at 0, addresses of 4 bytes, code 1, ranges at 0.
        let unit = [12, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
        assembled(&[
            (".debug_abbrev", abbreviations),
            (".debug_info", unit.repeat(units as usize)),
            (".debug_ranges", list),
            (".debug_line", vec![0]),
        ])
    }

    fn assembled(sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let text: Vec<String> = sections.iter().map(|(name, bytes)| custom(name, bytes)).collect();
        wat::parse_str(format!("(module {})", text.concat())).unwrap()
    }

    fn custom(name: &str, bytes: &[u8]) -> String {
        let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!("(@custom \"{name}\" \"{bytes}\")")
    }

    /// A number as DWARF has it, of at most 14 bits.
    fn number(value: u16) -> [u8; 2] {
        [(value & 0x7f) as u8 | 0x80, (value >> 7) as u8]
    }

    /// A module of so many units (version 5) that name the same lines, in so many files of one directory.
    fn units_with_files(units: u16, files: u16, directory: &str) -> Vec<u8> {
        // DW_TAG_compile_unit without children: DW_AT_stmt_list as an offset.
        let abbreviations = vec![1, 0x11, 0, 0x10, 0x17, 0, 0, 0];
        // Length, version 5, compilation, addresses of 4 bytes, abbreviations at 0, code 1, lines at 0.
        let unit = [13, 0, 0, 0, 5, 0, 1, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        // Instructions of 1 byte, opcodes below 13; directories and files are a string each (DW_LNCT_path as DW_FORM_string).
        let mut header = vec![1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
        header.extend([1, 1, 8, 1]);
        header.extend(directory.bytes().chain([0]));
        header.extend([1, 1, 8]);
        header.extend(number(files));
        header.extend(std::iter::repeat_n(0, files.into()));
        let mut lines = vec![5, 0, 4, 0];
        lines.extend((header.len() as u32).to_le_bytes());
        lines.extend(header);
        let lines = [&(lines.len() as u32).to_le_bytes()[..], &lines].concat();
        assembled(&[
            (".debug_abbrev", abbreviations),
            (".debug_info", unit.repeat(units.into())),
            (".debug_line", lines),
        ])
    }

    #[test]
    fn units_that_share_many_files_or_long_paths_are_not_read_where_they_come_to_too_much() {
        assert!(SourceLines::new(&units_with_files(10, 1000, "d")).context.is_some());
        let files = units_with_files(1000, 16_000, "d");
        assert!(SourceLines::new(&files).context.is_none(), "{} bytes that come to 2 GB", files.len());
        let paths = units_with_files(1, 16_000, &"d".repeat(100_000));
        assert!(SourceLines::new(&paths).context.is_none(), "{} bytes that come to 1.6 GB", paths.len());
    }

    #[test]
    fn ranges_that_are_skipped_and_names_that_are_shared_are_counted_too() {
        // All ranges are empty: none of them is given to who asks.
        let skipped = |units: u32, ranges: u32| {
            let list = (1..=ranges).flat_map(|at| [2 * at, 2 * at]).chain([0, 0]);
            module_with(units, list.flat_map(u32::to_le_bytes).collect())
        };
        assert!(SourceLines::new(&skipped(100, 1000)).context.is_some());
        assert!(
            SourceLines::new(&skipped(6000, 33_000)).context.is_none(),
            "300 KB, of which 200 million entries are read"
        );
        let named = |units: usize, length: usize| {
            // DW_TAG_compile_unit without children: DW_AT_name as an offset of a string.
            let unit = [12, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
            let name = [&vec![b'n'; length][..], b"\0"].concat();
            assembled(&[
                (".debug_abbrev", vec![1, 0x11, 0, 0x03, 0x0e, 0, 0, 0]),
                (".debug_info", unit.repeat(units)),
                (".debug_str", name),
                (".debug_line", vec![0]),
            ])
        };
        assert!(SourceLines::new(&named(100, 1000)).context.is_some());
        assert!(SourceLines::new(&named(12_000, 250_000)).context.is_none(), "500 KB, of which 3 GB are read");
    }

    #[test]
    fn units_that_share_many_abbreviations_are_not_read_where_they_come_to_too_much() {
        let module = |units: usize, count: u16| {
            let mut table = vec![1, 0x11, 0, 0, 0];
            for code in 2..count {
                table.extend(number(code));
                table.extend([0x11, 0, 0, 0]);
            }
            table.push(0);
            let unit = [8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 1];
            assembled(&[(".debug_abbrev", table), (".debug_info", unit.repeat(units)), (".debug_line", vec![0])])
        };
        assert!(SourceLines::new(&module(10, 1000)).context.is_some());
        assert!(SourceLines::new(&module(1500, 16_000)).context.is_none(), "120 KB that come to 2.6 GB");
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
        assert_eq!(abbreviations(&table), 2);
        assert_eq!((abbreviations(&[]), abbreviations(&[1, 0x11, 1, 0x80])), (0, 1));
    }
}
