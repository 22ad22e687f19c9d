//! Source lines of code offsets, from the DWARF sections of a module, when it has them.

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian};
use wasmparser::{Parser, Payload};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// The source lines of a module.
pub struct SourceLines<'a> {
    context: Option<Context<Slice<'a>>>,
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
        let find = |name: &str| sections.iter().find(|(found, _)| *found == name).map_or(&[][..], |(_, data)| *data);
        let load = |id: addr2line::gimli::SectionId| -> std::result::Result<Slice<'a>, addr2line::gimli::Error> {
            Ok(EndianSlice::new(find(id.name()), LittleEndian))
        };
        let context = has_lines.then(|| Dwarf::load(load).and_then(Context::from_dwarf).ok()).flatten();
        Self { context, code }
    }

    /// `file:line` of an offset in the module.
    pub fn line(&self, offset: u32) -> Option<String> {
        let context = self.context.as_ref()?;
        let place = context.find_location(u64::from(offset).checked_sub(self.code)?).ok()??;
        Some(match (place.file, place.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.to_owned(),
            _ => return None,
        })
    }
}
