//! Modules by their bytes: what a text of them would say at a hundred times the length.

/// A module in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoder {
    sections: Vec<(u8, Vec<u8>)>,
    bodies: Vec<Vec<u8>>,
    types_of: Vec<u32>,
}

/// Unsigned LEB128.
pub(super) fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// How many, then all of them.
pub(super) fn list(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let items: Vec<Vec<u8>> = items.into_iter().collect();
    [leb(items.len()), items.concat()].concat()
}

/// A name, or any bytes with their length.
pub(super) fn name(bytes: &[u8]) -> Vec<u8> {
    [leb(bytes.len()), bytes.to_vec()].concat()
}

/// A function type.
pub(super) fn func_type(params: &[u8], results: &[u8]) -> Vec<u8> {
    [vec![0x60], name(params), name(results)].concat()
}

impl Encoder {
    /// Adds a section; those of functions and code come by themselves.
    pub(super) fn section(mut self, id: u8, bytes: Vec<u8>) -> Self {
        self.sections.push((id, bytes));
        self
    }

    /// Adds a function without its end.
    pub(super) fn func(mut self, ty: u32, locals: Vec<u8>, code: Vec<u8>) -> Self {
        self.types_of.push(ty);
        self.bodies.push([locals, code, vec![0x0b]].concat());
        self
    }

    /// The module with one function that does nothing.
    pub(super) fn finish_plain(self) -> Vec<u8> {
        self.section(1, list([func_type(&[], &[])])).func(0, vec![0], Vec::new()).finish(0)
    }

    /// The module; it exports the function of this index as `run`.
    pub(super) fn finish(mut self, run: usize) -> Vec<u8> {
        self.sections.push((3, list(self.types_of.iter().map(|ty| leb(*ty as usize)))));
        if !self.sections.iter().any(|(id, _)| *id == 7) {
            self.sections.push((7, list([[name(b"run"), vec![0], leb(run)].concat()])));
        }
        self.sections.push((10, list(self.bodies.iter().map(|body| name(body)))));
        // Custom sections are last; tags come before globals, and the count of data segments before the code.
        let order = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11, 0];
        self.sections.sort_by_key(|(id, _)| order.iter().position(|known| known == id));
        let sections = self.sections.into_iter().flat_map(|(id, bytes)| [vec![id], name(&bytes)].concat());
        b"\0asm\x01\0\0\0".iter().copied().chain(sections).collect()
    }
}
