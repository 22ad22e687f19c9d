//! What a module imports and exports, as far as it decides how it is driven.

use anyhow::{Result, bail};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

/// The functions that a module imports, and the names of those that it exports.
#[derive(Default)]
pub struct Interface {
    pub imports: Vec<Import>,
    pub exports: Vec<String>,
}

/// An imported function.
#[derive(Clone)]
pub struct Import {
    pub module: String,
    pub name: String,
    pub params: Vec<ValType>,
    pub results: Vec<ValType>,
}

impl Interface {
    /// Reads the head of a module.
    pub fn of(wasm: &[u8]) -> Result<Self> {
        let mut interface = Self::default();
        let mut types: Vec<FuncType> = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    types = section.into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        interface.add_import(import.module, import.name, import.ty, &types)?;
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            interface.exports.push(export.name.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }

    fn add_import(&mut self, module: &str, name: &str, ty: TypeRef, types: &[FuncType]) -> Result<()> {
        let TypeRef::Func(index) = ty else { bail!("imports {module}.{name}, which is no function") };
        let Some(ty) = types.get(index as usize) else { bail!("imports {name} of an unknown type") };
        let (params, results) = (ty.params().to_vec(), ty.results().to_vec());
        self.imports.push(Import { module: module.to_owned(), name: name.to_owned(), params, results });
        Ok(())
    }

    /// Whether it exports all of these functions.
    pub fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.exports.iter().any(|export| export == name))
    }
}
